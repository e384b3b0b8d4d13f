"""What each kind of work does that is none of Slack's messages: it calls a system or asks Slack, and gives what to
write down when that is done. It doesn't know when it is tried again; `bot/delivery.py` does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from bot.connectors import Systems, for_more, for_order, target_of
from bot.connectors.base import EndsTogether, Extends, Shares
from bot.core.effects import Kind
from bot.core.errors import (
    NotCalled,
    OutcomeUnknown,
    Outdated,
    SystemRefused,
    SystemUnavailable,
    already_called,
)
from bot.core.model import Order
from bot.health import Health
from bot.operations._unit import World
from bot.operations.answer_waiting import answer_waiting
from bot.operations.count_usage import UsageMeter, sum_usage
from bot.operations.decide_press import decide_press, earlier_voters
from bot.operations.find_unresolved import (
    groups_needed_for,
    unresolved_of_request,
    unresolved_of_role,
    unresolved_of_start,
)
from bot.operations.keep_target import keep_target
from bot.operations.reconcile import reconcile
from bot.operations.record_delivery import (
    look_again,
    make_again,
    order_for,
    record_ended,
    record_extend_failed,
    record_extended,
    record_made,
    record_not_made,
    record_started,
    was_never_told,
)
from bot.operations.record_people import groups_read_since, record_people
from bot.operations.record_policy import is_outdated
from bot.operations.refresh_messages import refresh_messages
from bot.operations.remove_found import record_removed, refuse_removal
from bot.operations.take_work import Row
from bot.operations.try_start import try_start
from bot.slack.people import SlackPeople
from bot.survey import Survey
from bot.unwritten_ends import forget_if_back

Recording = Callable[[World], object]


class Works:
    """Raises SystemUnavailable, SystemRefused and StorageUnavailable."""

    def __init__(self, world: World, systems: Systems, people: SlackPeople, meter: UsageMeter, health: Health) -> None:
        self.systems = systems
        self._world, self._people, self._meter, self._health = world, people, meter, health
        self._survey = Survey(world, systems, health=health)

    def stop(self) -> None:
        """Waits for no system that is being asked what is there."""
        self._survey.stop()

    def revoke_all(self, orders: Sequence[Order]) -> None:
        connector = self.systems.of(orders[0].system, orders[0].connector)
        if not isinstance(connector, EndsTogether):
            raise TypeError(f"{orders[0].connector} can't end many at once")
        connector.revoke_all(orders)

    def start_grant(self, row: Row) -> Sequence[Recording]:
        if unknown := unresolved_of_start(self._world, row.data["grant"]):
            self._people.resolve(unknown)
        orders = try_start(self._world, row.data["grant"])
        if orders and not self._world.policy().digest:
            raise NotCalled("roles.toml can't be read, so nothing is started")
        for order in orders:
            try:
                self._make(order)
            except SystemUnavailable as error:
                surely = self._made_nothing(order, error)
                record_not_made(self._world, order.grant, order.system, str(error), surely=surely)
                raise
            if len(orders) > 1 and not record_made(self._world, order.grant, order.system):
                return []
        return [lambda world: record_started(world, row.data["grant"])] if orders else []

    def _made_nothing(self, order: Order, error: SystemUnavailable) -> bool:
        """Whether a system that failed to make it can't have it, now or later."""
        try:
            connector = for_order(self.systems, order)
        except SystemUnavailable:
            return isinstance(error, NotCalled)
        if isinstance(error, NotCalled):
            return True
        try:
            return not isinstance(error, OutcomeUnknown) and not connector.read_back(order)
        except (SystemUnavailable, SystemRefused):
            return False

    def extend_lease(self, row: Row) -> Sequence[Recording]:
        grant, system = row.data["grant"], row.data["system"]
        if (order := order_for(self._world, grant, system, still_active=True)) is None:
            return []
        try:
            self._make(order, extend=True)
        except (SystemUnavailable, SystemRefused) as error:
            about = str(error), row.attempts, error.to_person
            record_extend_failed(self._world, grant, system, *about)
            raise
        return [lambda world: record_extended(world, grant, system, row.attempts)]

    def _make(self, order: Order, extend: bool = False) -> None:
        with _calling(order.system), self._health.watching(order.system):
            connector = for_more(self.systems, order)
            if not order.target and not extend and (target := target_of(connector)):
                keep_target(self._world, order.grant, order.system, target)
            if extend and isinstance(connector, Extends):
                connector.extend(order)
            else:
                connector.grant(order)
            with already_called():
                if not connector.read_back(order):
                    raise SystemUnavailable(f"{order.system} has not got the access yet")

    def end_lease(self, row: Row) -> Sequence[Recording]:
        grant, system = row.data["grant"], row.data["system"]
        order = order_for(self._world, grant, system)
        if order is None:
            return []
        with _calling(system), self._health.watching(system):
            try:
                connector = for_order(self.systems, order)
            except SystemUnavailable:
                if row.data.get("late") or not was_never_told(self._world, grant):
                    raise
                return [lambda world: record_ended(world, grant, system)]
            if not self.systems.in_our_rows(order.connector):
                forget_if_back(self._world.unwritten, connector, order)
            connector.revoke(order)
            if connector.read_back(order):
                raise SystemUnavailable(f"{system} still has the access")
        done: list[Recording] = [lambda world: record_ended(world, grant, system)]
        if isinstance(connector, Shares):
            done.append(lambda world: make_again(world, grant, system))
        if row.data.get("late"):
            done.append(lambda world: look_again(world, grant, system))
        return done

    def sum_usage(self, row: Row) -> Sequence[Recording]:
        self._meter.flush()
        return [lambda world: sum_usage(world, row.data["grants"])]

    def ask(self, row: Row) -> Sequence[Recording]:
        self._must_be_in_force()
        person = self._people.look_up(row.data["person"])
        self._people.resolve(unresolved_of_role(self._world, row.data["role"]))
        return [lambda world: record_people(world, [person]), lambda world: answer_waiting(world, row.data)]

    def refresh_messages(self, row: Row) -> Sequence[Recording]:
        refresh_messages(self._world, row.data["grants"], row.data["requests"], row.data["cards"])
        return []

    def decide(self, row: Row) -> Sequence[Recording]:
        self._must_be_in_force()
        voter = self._people.confirm(row.data["voter"], groups_needed_for(self._world, row.data["request"]))
        self._people.resolve(unresolved_of_request(self._world, row.data["request"]))
        earlier = [self._people.look_up(each) for each in earlier_voters(self._world, row.data)]
        return [lambda world: decide_press(world, row.data, voter, earlier)]

    def _must_be_in_force(self) -> None:
        """Raises Outdated where another process has to decide."""
        if is_outdated(self._world):
            raise Outdated

    def look_up_person(self, row: Row) -> Sequence[Recording]:
        person = self._people.look_up(row.data["person"])
        return [lambda world: record_people(world, [person])]

    def refresh_groups(self, row: Row) -> Sequence[Recording]:
        if not groups_read_since(self._world, row.created_at):
            self._people.refresh_groups()
        return []

    def refresh_people(self, row: Row) -> Sequence[Recording]:
        self._people.refresh_people()
        return []

    def reconcile(self, row: Row) -> Sequence[Recording]:
        seen = self._survey.look()
        return [lambda world: reconcile(world, seen, row.data["by"], row.data["channel"])]

    def remove_found(self, row: Row) -> Sequence[Recording]:
        removal = self._survey.remove(row.data["finding"])
        by, channel = row.data["by"], row.data["channel"]
        if removal is None:
            return [lambda world: refuse_removal(world, by, channel)]
        return [lambda world: record_removed(world, removal, by, channel)]


@contextmanager
def _calling(system: str) -> Iterator[None]:
    """Says of a failure whose it is."""
    try:
        yield
    except SystemUnavailable as error:
        error.system = system
        raise


OWN: Mapping[Kind, Callable[[Works, Row], Sequence[Recording]]] = {
    Kind.START_GRANT: Works.start_grant,
    Kind.EXTEND_LEASE: Works.extend_lease,
    Kind.END_LEASE: Works.end_lease,
    Kind.SUM_USAGE: Works.sum_usage,
    Kind.REFRESH_MESSAGES: Works.refresh_messages,
    Kind.DECIDE: Works.decide,
    Kind.ASK: Works.ask,
    Kind.LOOK_UP_PERSON: Works.look_up_person,
    Kind.REFRESH_GROUPS: Works.refresh_groups,
    Kind.REFRESH_PEOPLE: Works.refresh_people,
    Kind.RECONCILE: Works.reconcile,
    Kind.REMOVE_FOUND: Works.remove_found,
}
