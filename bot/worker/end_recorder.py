"""Records confirmed ends: those that wait while others are being recorded become one
transaction."""

import logging
import threading
from collections.abc import Sequence

from bot.core.errors import StorageUnavailable
from bot.operations.claim_work import Work, finish_together
from bot.operations.grants.end_many import end_many

log = logging.getLogger(__name__)


class EndRecorder:
    """One for each process. An end that is alone is recorded at once; `waiting` are the others."""

    def __init__(self) -> None:
        self.waiting: list[Work] = []
        self._lock, self._recording = threading.Lock(), threading.Lock()

    def record(self, work: Work) -> None:
        """Finishes the work unless that fails: then it is for the caller to finish it alone."""
        with self._lock:
            self.waiting.append(work)
        with self._recording:
            if work.is_recorded:
                return
            with self._lock:
                works, self.waiting = self.waiting, []
            if work in works:
                self._record(works)

    def _record(self, works: Sequence[Work]) -> None:
        try:
            finish_together(works, lambda world: end_many(world, [each.row for each in works]))
        except StorageUnavailable as error:
            log.warning("%s ends can't be recorded yet: %s", len(works), error)
        except Exception as error:
            log.warning("%s ends could not be recorded together (%r)", len(works), error)
