"""Records ends that systems have confirmed: under load many in one transaction, on one thread, so
that the threads that call systems do not wait for the database."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from bot.core.errors import StorageUnavailable
from bot.operations.claim_work import Work, finish_together
from bot.operations.grants.end_many import end_many
from bot.worker.concurrency import THREADS

log = logging.getLogger(__name__)

GATHERS = 0.02
"""Seconds in which confirmed ends are gathered while many come."""

MANY = 0.1
"""Seconds since the last record within which ends count as many."""


class EndRecorder(threading.Thread):
    """One for each process. An end that comes alone is recorded at once; `waiting` are the ends
    that are not being recorded yet. An end that can't be recorded with others is finished alone, on
    another thread, because it may have to wait for the database or for locked rows."""

    def __init__(self) -> None:
        super().__init__(name="end-recorder", daemon=True)
        self.waiting: list[Work] = []
        self._alone = ThreadPoolExecutor(THREADS, thread_name_prefix="end-alone")
        self._lock, self._come, self._stopping = threading.Lock(), threading.Event(), False

    def take(self, work: Work) -> bool:
        """Takes work over. It calls `returned` when it is finished, or has to be finished alone.
        False where the caller has to finish it."""
        if work.returned is None or not self.is_alive():
            return False
        work.is_handed_over = True
        with self._lock:
            self.waiting.append(work)
        self._come.set()
        return True

    def stop(self) -> None:
        """Records the ends that were taken over. Call it when no more can come."""
        self._stopping = True
        self._come.set()
        if self.is_alive():
            self.join()
        self._alone.shutdown(wait=False)

    def run(self) -> None:
        recorded_at = float("-inf")
        while self.waiting or not self._stopping:
            self._come.wait()
            self._come.clear()
            if time.monotonic() - recorded_at < MANY and not self._stopping:
                time.sleep(GATHERS)
            self._record_all()
            recorded_at = time.monotonic()

    def _record_all(self) -> None:
        """Finishes the ends that wait, all or none. Never raises."""
        with self._lock:
            works, self.waiting = self.waiting, []
        if works:
            self._record(works)
        for work in works:
            assert work.returned is not None
            if work.is_recorded:
                work.returned(work)
            else:
                self._alone.submit(work.returned, work)

    def _record(self, works: Sequence[Work]) -> None:
        try:
            finish_together(works, lambda world: end_many(world, [each.row for each in works]))
        except StorageUnavailable as error:
            log.warning("%s ends can't be recorded yet: %s", len(works), error)
            for work in works:
                work.note_ends()
        except Exception as error:
            log.warning("%s ends could not be recorded together (%r)", len(works), error)
