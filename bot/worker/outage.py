"""Revokes due access while the database takes no writes, and reports the outage to Slack without
the outbox."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from bot.core.errors import (
    AccessBotError,
    OutcomeUnknown,
    StorageUnavailable,
    SystemRefused,
    SystemUnavailable,
)
from bot.operations._unit_of_work import Context
from bot.operations.process.end_outage import Outage, end_outage, settle_unwritten, whom_to_notify
from bot.operations.process.find_unwritten import DueEnd, find_unwritten, known_ends
from bot.worker.unwritten_ends import UnwrittenRevocations

log = logging.getLogger(__name__)

LATE, LATE_IF_WRITABLE = 2, 15
"""Seconds after which an end is overdue, while writes fail and while they work. In the second case
a lock may hold the row of a grant, which the sweep skips."""

RECENT = 10.0
"""Seconds after a failed write for which ends are watched although other writes work."""

OUTAGE_AFTER = 5.0
"""Seconds without a successful write, or with an overdue end, after which it is an outage."""

CHECK_EVERY = 10.0
"""Seconds between checks for overdue ends while no write fails. An end that is overdue in two
checks can't be written; after one check, the process may just have slept or started."""

STEADY = 5.0
"""Seconds without a failed write after which an outage is over."""

LEARN_PEOPLE_EVERY = 60.0
"""Seconds between reads of the leads and the security channel into memory."""

NOTIFIES_EVERY = 15.0
"""Seconds between attempts to report to Slack."""

Notify = Callable[[str, Mapping[str, object]], None]
"""Posts a security note to a channel or person. Raises SystemUnavailable, OutcomeUnknown and
SystemRefused."""


class OutageWatch:
    """Checks once a second, on its own thread. `notify` runs on another thread, because it may take
    seconds."""

    def __init__(self, world: Context, revocations: UnwrittenRevocations, notify: Notify) -> None:
        self._world, self._revocations = world, revocations
        self._report = _Report(notify, world.db.is_first)
        self._outage: Outage | None = None
        self._overdue_since: dict[tuple[str, str], float] = {}
        self._known: Sequence[DueEnd] = ()
        self._to: tuple[str, Sequence[str]] = ("", ())
        self._ended = 0
        self._looked = self._learned_people = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outage", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5)

    def well(self) -> bool:
        """Whether no outage is known."""
        return self._outage is None

    def check(self) -> None:
        """Call it once a second. Never raises."""
        try:
            is_failing = self._world.db.writes.failed_within(RECENT)
            if is_failing or self._outage is not None:
                self._judge(is_failing)
            elif time.monotonic() - self._looked >= CHECK_EVERY:
                self._looked = time.monotonic()
                self._judge(is_failing)
                if self._outage is None:
                    self._learn()
        except AccessBotError as error:
            log.warning("ends that can't be written: %s", error)
        except Exception:
            log.exception("the check of ends that can't be written failed")

    def _run(self) -> None:
        while not self._stopping.wait(1):
            self.check()

    def _judge(self, is_failing: bool) -> None:
        overdue = self._overdue(LATE if is_failing else LATE_IF_WRITABLE, is_failing)
        # An end in the outbox may only be waiting for its system.
        unwritten = [end for end in overdue if end.at or self._world.db.writes.problem]
        for_long = [end for end in unwritten if self._is_overdue_for(end, OUTAGE_AFTER)]
        self._revocations.begin(end.order for end in (overdue if is_failing else for_long))
        writes = self._world.db.writes
        if self._outage is None and (for_long or writes.failing_for >= OUTAGE_AFTER):
            cause = writes.problem or "the rows of a grant are locked"
            self._outage = Outage(self._world.now() - round(writes.failing_for), cause)
            log.warning("ends can't be written; access is revoked anyway: %s", cause)
        if self._outage is None:
            return
        if for_long or writes.problem:
            self._report.begin(self._to, {"since": self._outage.since})
        elif not overdue and not writes.failed_within(STEADY):
            self._end(self._outage)

    def _overdue(self, late: int, is_failing: bool) -> Sequence[DueEnd]:
        """From memory if nothing can be read."""
        try:
            found = find_unwritten(self._world, late, asked=is_failing)
        except StorageUnavailable:
            found = [end for end in self._known if end.at <= self._world.now() - late]
        now, before = time.monotonic(), self._overdue_since
        self._overdue_since = {end.pair: before.get(end.pair, now) for end in found}
        return found

    def _is_overdue_for(self, end: DueEnd, seconds: float) -> bool:
        return time.monotonic() - self._overdue_since[end.pair] >= seconds

    def _end(self, outage: Outage) -> None:
        self._ended += self._world.unwritten.count()
        end_outage(self._world, replace(outage, ended=self._ended, reported=self._report.reported))
        self._ended = 0
        log.warning("ends can be written again")
        self._outage = None
        self._report.reset()
        self._revocations.reset()

    def _learn(self) -> None:
        """Keeps in memory everything that is needed while the database can't be read."""
        settle_unwritten(self._world)
        self._world.unwritten.count()
        self._known = known_ends(self._world)
        channel, leads = self._to
        is_known = channel[:1] != "#" and leads
        if not is_known or time.monotonic() - self._learned_people >= LEARN_PEOPLE_EVERY:
            self._to, self._learned_people = whom_to_notify(self._world), time.monotonic()


class _Report:
    """Notifies the security channel once per outage, or each lead if the channel refuses the
    message. Only the first of several processes does so, or each of them if the database can't tell
    which is first."""

    def __init__(self, notify: Notify, is_first: Callable[[], bool]) -> None:
        self._notify, self._is_first = notify, is_first
        self._thread: threading.Thread | None = None
        self._next, self._unknown, self.reported = 0.0, 0, False

    def reset(self) -> None:
        self._next, self._unknown, self.reported = 0.0, 0, False

    def begin(self, to: tuple[str, Sequence[str]], facts: Mapping[str, object]) -> None:
        """Starts an attempt, unless Slack has the report or it is too early."""
        if (
            self.reported
            or time.monotonic() < self._next
            or (self._thread and self._thread.is_alive())
        ):
            return
        self._next = time.monotonic() + NOTIFIES_EVERY
        self._thread = threading.Thread(
            target=self._try, args=(to, facts), name="outage-report", daemon=True
        )
        self._thread.start()

    def _try(self, to: tuple[str, Sequence[str]], facts: Mapping[str, object]) -> None:
        """After a second lost answer the report counts as delivered, so that it is not posted a
        third time."""
        channel, leads = to
        with suppress(StorageUnavailable):
            if not self._is_first():
                log.info("another process reports that ends can't be written")
                return
        try:
            if channel:
                self._notify(channel, facts)
                self.reported = True
                return
        except SystemRefused as error:
            log.warning("the outage can't be reported to the security channel: %s", error)
        except SystemUnavailable as error:
            log.warning("it is unknown whether Slack has the report of the outage: %s", error)
            self._unknown += isinstance(error, OutcomeUnknown)
            self.reported = self._unknown > 1
            return
        reached = [self._reaches(lead, facts) for lead in leads]
        self.reported = any(reached)

    def _reaches(self, lead: str, facts: Mapping[str, object]) -> bool:
        try:
            self._notify(lead, facts)
        except OutcomeUnknown:
            return True
        except AccessBotError as error:
            log.warning("the outage can't be reported to the lead %s: %s", lead, error)
            return False
        return True
