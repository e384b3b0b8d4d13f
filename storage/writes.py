"""Whether the database takes writes, as far as this process has tried."""

import time


class Writes:
    """Each transaction reports here whether it could be written. One that changes nothing reports no success, because
    a full disk takes it, too."""

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
        """Why the last write failed; "" when it worked, or none was tried."""
        return self._failing[1] if self._failing else ""

    @property
    def failing_for(self) -> float:
        """Seconds since the first of the writes that failed in a row; 0 when the last one worked."""
        return time.monotonic() - self._failing[0] if self._failing else 0.0

    def failed_within(self, seconds: float) -> bool:
        """Whether any write failed in the last `seconds`, although others may have worked since."""
        return time.monotonic() - self._last_failure < seconds
