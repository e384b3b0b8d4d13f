"""Handlers that grant, extend and revoke access on systems, and record the confirmed results."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bot.connectors import for_more, for_order, target_of
from bot.connectors.base import EndsTogether, Extends
from bot.core.errors import (
    NotCalled,
    OutcomeUnknown,
    Outdated,
    SystemRefused,
    SystemUnavailable,
    already_called,
)
from bot.core.model import ProvisionOrder
from bot.operations._unit_of_work import Context
from bot.operations.claim_work import Work
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.grants.end_many import end_many
from bot.operations.grants.record_results import (
    order_for,
    reapply_shared_access,
    recheck_late_start,
    record_end_failed,
    record_ended,
    record_extend_failed,
    record_extended,
    record_not_made,
    record_start_delayed,
    record_start_failed,
    record_started,
    record_system_ready,
    waits_for_person,
    was_never_called,
)
from bot.operations.policy.find_unresolved import unresolved_of_start
from bot.operations.systems.targets import record_target
from bot.worker.deps import HandlerDeps
from bot.worker.unwritten_ends import forget_if_back

START_PATIENCE = 600
"""Seconds after which a start fails if its system does not answer."""

PERSON_PATIENCE = 3600
"""Seconds after which a start fails if the person has not acted."""


# --- starts


def start_grant(deps: HandlerDeps, work: Work) -> None:
    """Creates the access on every system of the grant."""
    grant = work.data["grant"]
    if unknown := unresolved_of_start(deps.world, grant):
        deps.people.resolve(unknown)
    deps.tickets.look_up_before_start(grant)
    orders = begin_attempt(deps.world, grant)
    if orders and not deps.world.policy().digest:
        raise NotCalled("roles.toml can't be read, so nothing is started")
    for order in orders:
        try:
            _make(deps, order)
        except SystemUnavailable as error:
            surely = _made_nothing(deps, order, error)
            record_not_made(deps.world, order.grant, order.system, str(error), surely=surely)
            raise
        if len(orders) > 1 and not record_system_ready(deps.world, order.grant, order.system):
            return
    if orders:
        work.finish(record_started, grant)


def delay_start(deps: HandlerDeps, work: Work, error: SystemUnavailable) -> None:
    """Notifies the requester that the start is retried, or that it failed after too long."""
    row, grant = work.row, work.data["grant"]
    waits = error.to_person or waits_for_person(deps.world, grant)
    patience = PERSON_PATIENCE if waits else START_PATIENCE
    if deps.world.now() - row.created_at >= patience:
        fail_start(deps, work, error)
    elif (row.attempts == 1 or error.to_person) and not isinstance(error, Outdated):
        record_start_delayed(deps.world, grant, error.to_person, row.created_at + patience)


def fail_start(deps: HandlerDeps, work: Work, error: SystemUnavailable | SystemRefused) -> None:
    """Records that the start failed."""
    work.finish(record_start_failed, work.data["grant"], str(error), error.to_person)


def _made_nothing(deps: HandlerDeps, order: ProvisionOrder, error: SystemUnavailable) -> bool:
    """Whether access that a system failed to create can't exist, now or later."""
    try:
        connector = for_order(deps.systems, order)
    except SystemUnavailable:
        return isinstance(error, NotCalled)
    if isinstance(error, NotCalled):
        return True
    try:
        return not isinstance(error, OutcomeUnknown) and not connector.read_back(order)
    except (SystemUnavailable, SystemRefused):
        return False


# --- renewals


def extend_lease(deps: HandlerDeps, work: Work) -> None:
    """Extends the access on one system."""
    grant, system, attempts = work.data["grant"], work.data["system"], work.row.attempts
    if (order := order_for(deps.world, grant, system, still_active=True)) is None:
        return
    try:
        _make(deps, order, extend=True)
    except (SystemUnavailable, SystemRefused) as error:
        record_extend_failed(deps.world, grant, system, str(error), attempts, error.to_person)
        raise
    work.finish(record_extended, grant, system, attempts)


def _make(deps: HandlerDeps, order: ProvisionOrder, extend: bool = False) -> None:
    with _calling(deps, order.system):
        connector = for_more(deps.systems, order)
        if not order.target and not extend and (target := target_of(connector)):
            record_target(deps.world, order.grant, order.system, target)
        if extend and isinstance(connector, Extends):
            connector.extend(order)
        else:
            connector.grant(order)
        with already_called():
            if not connector.read_back(order):
                raise SystemUnavailable(f"{order.system} does not have the access yet")


# --- ends


def end_lease(deps: HandlerDeps, work: Work) -> None:
    """Revokes the access on one system and confirms that it is gone."""
    grant, system, late = work.data["grant"], work.data["system"], bool(work.data.get("late"))
    if work.is_handed_over:  # its system has confirmed
        work.finish(record_ended, grant, system)
        return
    order = work.order or order_for(deps.world, grant, system)
    if order is None:
        return
    with _calling(deps, system):
        try:
            connector = for_order(deps.systems, order)
        except SystemUnavailable:
            if late or not was_never_called(deps.world, grant):
                raise
            work.finish(record_ended, grant, system)
            return
        if not deps.systems.in_our_rows(order.connector):
            forget_if_back(deps.world.unwritten, connector, order)
        connector.revoke(order)
        if connector.read_back(order):
            raise SystemUnavailable(f"{system} still has the access")
    is_shared = hasattr(connector, "shares")
    # A retried end is recorded alone: it may wait for locked rows, and must not delay others.
    if late or is_shared or work.row.attempts > 1 or not deps.ends.take(work):
        work.finish(_record_ended, grant, system, is_shared=is_shared, late=late)


def _record_ended(world: Context, grant: str, system: str, *, is_shared: bool, late: bool) -> None:
    record_ended(world, grant, system)
    if is_shared:
        reapply_shared_access(world, grant, system)
    if late:
        recheck_late_start(world, grant, system)


def delay_end(deps: HandlerDeps, work: Work, error: SystemUnavailable) -> None:
    """Records that the system did not confirm; an end is retried until it does."""
    grant, system = work.data["grant"], work.data["system"]
    record_end_failed(deps.world, grant, system, str(error), work.row.attempts)


def end_in_database(deps: HandlerDeps, work: Work) -> None:
    """Revokes these grants in one transaction, because their access is rows in our database."""

    def revoke(orders: Sequence[ProvisionOrder]) -> None:
        connector = deps.systems.of(orders[0].system, orders[0].connector)
        if not isinstance(connector, EndsTogether):
            raise TypeError(f"{orders[0].connector} can't end many at once")
        connector.revoke_all(orders)

    work.finish_once(end_many, work.rows, revoke)


@contextmanager
def _calling(deps: HandlerDeps, system: str) -> Iterator[None]:
    """Notes the health of the system, and adds its name to the exception."""
    try:
        with deps.health.watching(system):
            yield
    except SystemUnavailable as error:
        error.system = system
        raise
