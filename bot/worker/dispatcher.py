"""Dispatches outbox work to its handlers, and retries or gives up failed work.

Every queue has its own workers, so that an end never waits for a start, a person or Slack.
"""

import logging
import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from bot.connectors import Systems
from bot.connectors.health import Health
from bot.core.correlation import correlated
from bot.core.effects import Kind, Queue
from bot.core.errors import OutcomeUnknown, StorageUnavailable, SystemRefused, SystemUnavailable
from bot.operations._unit_of_work import Context
from bot.operations.claim_work import ClaimedQueue, Work, next_work
from bot.operations.grants.record_results import orders_for
from bot.operations.usage.count_usage import UsageMeter
from bot.slack.api import LOCKED_OUT
from bot.slack.messenger import Messenger
from bot.slack.people import SlackPeople
from bot.worker.deps import HandlerDeps
from bot.worker.end_recorder import EndRecorder
from bot.worker.handlers import HANDLERS, Handler
from bot.worker.inventory import InventoryScan
from bot.worker.provisioning import end_in_database
from bot.worker.queue_worker import SETTINGS, Outcome, QueueWorker, pause
from bot.worker.ticket_lookups import TicketLookups

log = logging.getLogger(__name__)

YIELDS_FOR = 1
"""Seconds that updates wait longer than a pause that Slack asked for, so that decisions are shown
first."""

HOLD = 3.0
"""Ends wait at most this many seconds until all due ends are in the outbox."""

SENDS = 2
"""The most attempts for a message whose answer was lost."""


class Dispatcher:
    """All queues of this process. The clock is `world.now`."""

    def __init__(
        self,
        world: Context,
        systems: Systems,
        messenger: Messenger,
        people: SlackPeople,
        meter: UsageMeter,
    ) -> None:
        self._world, self._systems = world, systems
        self.health = Health(world.now)
        self.tickets = TicketLookups(world)
        inventory = InventoryScan(world, systems, health=self.health)
        self._deps = HandlerDeps(
            world,
            systems,
            people,
            messenger,
            meter,
            self.health,
            inventory,
            EndRecorder(),
            self.tickets,
        )
        self._stopping = threading.Event()
        self._due_at: dict[Queue, int] = {}
        owner = secrets.token_hex(8)
        self.loops: Mapping[Queue, QueueWorker] = {
            queue: self._loop(ClaimedQueue(world, queue, owner, SETTINGS[queue].claim))
            for queue in Queue
        }

    def _loop(self, claimed: ClaimedQueue) -> QueueWorker:
        group = self._ends_together if claimed.queue is Queue.END else list
        return QueueWorker(claimed, self.handle, self.wake, self._stopping, group)

    def start(self) -> None:
        self._deps.ends.start()
        for loop in self.loops.values():
            loop.start()

    def wake(self, queues: Iterable[Queue]) -> None:
        """Wakes these queues after this process or another one has added work."""
        for queue in queues:
            self.loops[queue].wake()

    def ends_held(self) -> AbstractContextManager[None]:
        """Holds back end work, for HOLD seconds at most, while a large batch of ends is being
        written, so that the last grant is not delayed by work on the first."""
        return self.loops[Queue.END].held(HOLD)

    def stop(self) -> None:
        """Finishes running work and starts nothing new; the rest stays in the outbox."""
        self.begin_stop()
        for loop in self.loops.values():
            loop.join()
        self._deps.ends.stop()

    def begin_stop(self) -> None:
        """Like `stop`, but does not wait."""
        self._stopping.set()
        self._deps.inventory.stop()
        self.health.stop()
        self.wake(self.loops)

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def well(self) -> bool:
        """Whether the loops of all queues run."""
        return all(loop.well() for loop in self.loops.values())

    def ask_systems(self) -> None:
        """Checks the health of every system in roles.toml, in a few seconds at most."""
        self.health.ask(self._systems, self._world.policy().systems)

    def drain(self, queue: Queue) -> int:
        """Runs the due work of one queue on this thread, and returns the number of rows."""
        return self.loops[queue].drain()

    def find_due(self) -> None:
        """Reads when the next work of each queue is due. Raises StorageUnavailable."""
        self._due_at = next_work(self._world)

    def wake_due(self) -> None:
        """Wakes the queues with due work. Call it once a second."""
        now = self._world.now()
        self.wake([queue for queue, due in self._due_at.items() if due <= now])

    # --- one piece of work

    def handle(self, work: Work) -> Outcome:
        """Runs the work, and retries or gives up failed work. Never raises: rows that can't be
        rescheduled are claimed again after their claim has expired."""
        with correlated(work.row.correlation):
            return self._guarded(work)

    def _guarded(self, work: Work) -> Outcome:
        try:
            return self._end_many(work) if len(work.rows) > 1 else self._handle(work)
        except StorageUnavailable as error:
            log.warning("work %s stays claimed until the database is back: %s", work.row.id, error)
        except Exception:
            log.exception("work %s of kind %s stays claimed", work.row.id, work.row.kind)
        return Outcome()

    def _end_many(self, work: Work) -> Outcome:
        try:
            end_in_database(self._deps, work)
            return Outcome()
        except StorageUnavailable:  # the database could not record them one by one either
            raise
        except Exception as error:
            log.warning("%s ends could not be confirmed together (%r)", len(work.rows), error)
        outcomes = [self.handle(each) for each in work.alone()]
        return Outcome(failed=[system for outcome in outcomes for system in outcome.failed])

    def _handle(self, work: Work) -> Outcome:
        row, handler = work.row, HANDLERS[work.row.kind]
        try:
            self._run(handler, work)
            if not (work.is_recorded or work.is_handed_over):
                work.finish(_nothing)
            if row.systems:
                log.info("%s on %s: done", row.kind, ", ".join(row.systems))
            return Outcome(taken=True if row.queue is Queue.SLACK else None)
        except (SystemUnavailable, StorageUnavailable) as error:
            if work.is_done:
                raise
            return self._retry(handler, work, error)
        except SystemRefused as error:
            return self._refuse(handler, work, error)
        except Exception as error:  # perhaps after the post: two messages are worse than none
            log.exception("work %s of kind %s failed unexpectedly", row.id, row.kind)
            lost = OutcomeUnknown(f"unexpected {type(error).__name__}")
            outcome = self._retry(handler, work, lost)
            return Outcome(row.systems, outcome.taken, outcome.others_wait)

    def _run(self, handler: Handler, work: Work) -> None:
        sent = work.row.outcome_unknown
        if handler.batch is not None and sent < SENDS:
            work.take_behind(handler.batch)
        if sent and not handler.resend_safe:
            if sent >= SENDS:
                raise SystemRefused("answer_lost", "sent twice without an answer, so not again")
            self._deps.messenger.expect_answers()
        handler.run(self._deps, work)

    def _retry(
        self, handler: Handler, work: Work, error: SystemUnavailable | StorageUnavailable
    ) -> Outcome:
        """Returns the rows for another try, unless the handler gives the work up."""
        row, is_system = work.row, isinstance(error, SystemUnavailable)
        failed: Sequence[str] = ()
        if isinstance(error, SystemUnavailable):
            failed = [error.system] if error.system and not error.to_person else []
            if handler.on_retry is not None:
                handler.on_retry(self._deps, work, error)
                if work.is_recorded:
                    return Outcome(failed)
        wait = pause(row, error)
        work.retry(wait, str(error), outcome_unknown=isinstance(error, OutcomeUnknown))
        is_silent = is_system and getattr(error, "retry_after", None) is None
        return Outcome(
            failed,
            taken=False if row.queue is Queue.SLACK and is_silent else None,
            others_wait=(
                wait + YIELDS_FOR if row.queue is Queue.UPDATE and handler.paces_queue else 0.0
            ),
        )

    def _refuse(self, handler: Handler, work: Work, error: SystemRefused) -> Outcome:
        """Records a final refusal and removes the work."""
        kind = work.row.kind
        # Nothing is given up while Slack rejects our token.
        if error.code in LOCKED_OUT:
            log.warning("%s waits until Slack accepts the bot's token: %s", kind, error.code)
            return self._retry(handler, work, SystemUnavailable(str(error)))
        log.error("%s can't be done: %s", kind, error)
        if handler.on_refused is None:
            return self._retry(handler, work, SystemUnavailable(str(error)))
        handler.on_refused(self._deps, work, error)
        return Outcome()

    def _ends_together(self, works: Sequence[Work]) -> Sequence[Work]:
        """Reads the orders for all these ends at once, and joins those of one kind in our own
        database."""
        ends = [work for work in works if work.row.kind is Kind.END_LEASE]
        pairs = [(str(work.data["grant"]), str(work.data["system"])) for work in ends]
        orders = orders_for(self._world, pairs) if len(ends) > 1 else {}
        together: dict[str, Work] = {}
        left = [work for work in works if work.row.kind is not Kind.END_LEASE]
        for work, pair in zip(ends, pairs, strict=True):
            work.order = orders.get(pair)
            kind = work.order.connector if work.order is not None else ""
            if not self._systems.ends_together(kind):
                left.append(work)
            elif kind in together:
                together[kind].rows += work.rows
            else:
                together[kind] = work
        return [*together.values(), *left]


def _nothing(world: Context) -> None:
    """Finishes work that has nothing to record."""
