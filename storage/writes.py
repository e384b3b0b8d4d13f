"""Tracks whether the database accepts writes, by this process's own transactions."""

import time


class Writes:
    """The outcome of this process's transactions. A transaction that changes nothing does not count
    as a success, because a full disk accepts it."""

    def __init__(self) -> None:
        self._failing: tuple[float, str] | None = None
        self._last_failure = float("-inf")

    def worked(self) -> None:
        self._failing = None

    def failed(self, cause: str) -> None:
        self._last_failure = time.monotonic()
        since = self._failing[0] if self._failing else self._last_failure
        self._failing = since, cause

    @property
    def problem(self) -> str:
        """The reason why the last write failed; "" if it worked or none was tried."""
        return self._failing[1] if self._failing else ""

    @property
    def failing_for(self) -> float:
        """Seconds since the first failure of the current series; 0 if the last write worked."""
        return time.monotonic() - self._failing[0] if self._failing else 0.0

    def failed_within(self, seconds: float) -> bool:
        """Returns whether a write failed in the last `seconds`, even if others have worked
        since."""
        return time.monotonic() - self._last_failure < seconds
