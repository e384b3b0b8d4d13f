"""A lock that its waiters get in the order in which they came."""

import threading
from collections import deque


class FairLock:
    """Like `threading.Lock`, but a thread that asks again and again cannot starve the others."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._is_held = False
        self._waiting: deque[threading.Event] = deque()

    def acquire(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds for the lock; returns False if it did not come."""
        with self._mutex:
            if not self._is_held:
                self._is_held = True
                return True
            turn = threading.Event()
            self._waiting.append(turn)
        try:
            if turn.wait(timeout):
                return True
        except BaseException:  # a signal's handler raised: the turn must not be lost
            self._leave(turn, keep=False)
            raise
        return self._leave(turn, keep=True)

    def _leave(self, turn: threading.Event, keep: bool) -> bool:
        """Stops waiting. Returns True if the lock came at the last moment and is kept."""
        with self._mutex:
            if not turn.is_set():
                self._waiting.remove(turn)
                return False
        if not keep:
            self.release()
        return keep

    def release(self) -> None:
        """Hands the lock to the thread that has waited longest."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_held = False
