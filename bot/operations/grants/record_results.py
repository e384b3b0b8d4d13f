"""Records the results of systems: only here access becomes active or ended."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from bot.core import effects
from bot.core.audit import Event
from bot.core.lifecycle import first_reminder
from bot.core.model import Clock, EndReason, Grant, GrantState, Person, ProvisionOrder
from bot.operations._end_alert import AFTER_LEADS, alert_failed_end, resolve_alerts, watch_end
from bot.operations._end_grant import channel_of
from bot.operations._unit_of_work import SYSTEM, Context, Snapshot, UnitOfWork, unit
from bot.operations.grants.begin_attempt import let_end_stand, order_of
from storage import grants, key_values, outbox

QUIET_EXTENDS = 3
"""Attempts to move an end on a system that may fail, within some seconds, before people are
notified."""

LATE = 300
"""Seconds after an end in which a call without an answer may still take effect: as long as the
slowest system may take (`bot/connectors/transport/document.py`)."""


def record_started(world: Context, grant_id: str) -> None:
    """Records that every system of the grant has confirmed the access. If the grant has ended,
    because this attempt lost its claim, the access is revoked again."""
    with unit(world) as u:
        grant = grants.locked(u.db, grant_id)
        if grant is None or grant.state is GrantState.ACTIVE:
            return
        if grant.state is not GrantState.STARTING:
            u.do(*(effects.end_lease(grant.id, system) for system in grant.systems))
            return
        role = u.role_of(grant)
        remind_at = first_reminder(u.now, grant.ends_at, role.reminders if role else ())
        had = {
            lease.system
            for lease in grants.leases(u.db, grant.id)
            if lease.state is GrantState.ACTIVE
        }
        for system in [each for each in grant.systems if each not in had]:
            u.record(Event.GRANT_STARTED, SYSTEM, grant, system=system, ends_at=grant.ends_at)
        grants.confirm_start(u.db, grant.id, u.now, remind_at)
        grants.set_leases(u.db, grant.id, GrantState.ACTIVE)
        u.expect(grant.ends_at, remind_at)
        u.do(effects.notify_person(grant.person, "active", grant=grant.id))
        _show(u, grant)


def record_system_ready(world: Context, grant_id: str, system: str) -> bool:
    """Records that one of several systems has it: from the first one on, the end is fixed for all.
    Returns False if the grant has ended, and revokes the access again. The holder is notified when
    all systems have it."""
    with unit(world) as u:
        grant = grants.locked(u.db, grant_id)
        if grant is None or grant.state is not GrantState.STARTING:
            u.do(
                *(
                    [effects.end_lease(grant_id, system)]
                    if grant and grant.state is not GrantState.ACTIVE
                    else []
                )
            )
            return False
        had = {
            lease.system
            for lease in grants.leases(u.db, grant.id)
            if lease.state is GrantState.ACTIVE
        }
        if system not in had:
            grants.set_clock(u.db, grant.id, Clock.STANDS)
            grants.set_started(u.db, grant.id, u.now)
            grants.set_lease(u.db, grant.id, system, GrantState.ACTIVE)
            u.record(Event.GRANT_STARTED, SYSTEM, grant, system=system, ends_at=grant.ends_at)
            u.expect(grant.ends_at)
            _show(u, grant)
        return True


def record_not_made(
    world: Context, grant_id: str, system: str, error: str, *, surely: bool
) -> None:
    """Records a failed attempt. Unless the system certainly created nothing, the end is fixed from
    now on."""
    with unit(world) as u:
        grant = grants.locked(u.db, grant_id)
        if grant is None or grant.state is not GrantState.STARTING:
            return
        if grants.clock(u.db, grant.id) is Clock.TRYING:
            if surely:
                grants.set_clock(u.db, grant.id, Clock.FREE)
            else:
                let_end_stand(u, grant, error, system)


def record_start_delayed(
    world: Context, grant_id: str, to_person: str = "", until: int = 0
) -> None:
    """Records a failed attempt that is retried `until` then. Notifies the requester once, and once
    for each thing that they must do first (`to_person`)."""
    with unit(world) as u:
        grant = grants.get(u.db, grant_id)
        if grant is None or grant.state is not GrantState.STARTING:
            return
        if to_person and not key_values.claim_key(u.db, f"waits:{grant.id}:{to_person}", u.now):
            return
        if to_person:
            key_values.claim_key(u.db, _waits(grant.id), u.now)
        waits = {"why": to_person, "until": until} if to_person else {}
        u.do(effects.notify_person(grant.person, "delayed", grant=grant.id, **waits))
        _show(u, grant)


def waits_for_person(world: Context, grant_id: str) -> bool:
    """Whether the holder was notified that this start waits for them. Raises StorageUnavailable."""
    with world.db.reading():
        return key_values.is_claimed(world.db, _waits(grant_id))


def _waits(grant: str) -> str:
    return f"waits:{grant}"


def record_start_failed(world: Context, grant_id: str, error: str, to_person: str = "") -> None:
    """Records that the start failed, and revokes the parts that were created. The requester gets
    the reason if it is about them (`to_person`)."""
    with unit(world) as u:
        grant = grants.locked(u.db, grant_id)
        if grant is None or not grants.fail(u.db, grant.id, u.now):
            return
        u.record(Event.GRANT_FAILED, SYSTEM, grant, error=error)
        grants.set_leases(u.db, grant.id, GrantState.ENDING)
        u.do(*(effects.end_lease(grant.id, system, late=True) for system in grant.systems))
        watch_end(u, [(grant.id, system) for system in grant.systems])
        why = {"why": to_person} if to_person else {}
        to_holder = effects.notify_person(grant.person, "failed", grant=grant.id, **why)
        u.do(effects.later(to_holder, AFTER_LEADS))
        drill = grant.urgency.as_detail()
        u.notify_leads("start_failed", grant=grant.id, error=error, **drill)
        _show(u, grant)


Pair = tuple[str, str]
"""A grant and one of its systems."""


def order_for(
    world: Context, grant_id: str, system: str, *, still_active: bool = False
) -> ProvisionOrder | None:
    """The order for one system of the grant as it is now. None if the grant does not have the
    system, or should be active but no longer is."""
    pair = grant_id, system
    return orders_for(world, [pair], still_active=still_active).get(pair)


def orders_for(
    world: Context, pairs: Sequence[Pair], *, still_active: bool = False
) -> dict[Pair, ProvisionOrder]:
    """Returns the orders for these grants and systems, without those for which `order_for` has
    none. A revocation names the actions that the holder's other grants still need. Raises
    StorageUnavailable."""
    ids = sorted({grant for grant, _ in pairs})
    with world.db.reading():
        u = Snapshot(world)
        found = {
            grant.id: grant
            for grant in grants.several(u.db, ids)
            if not still_active or grant.state is GrantState.ACTIVE
        }
        if not found:
            return {}
        leases = grants.leases_of(u.db, list(found))
        holders = u.people({grant.person for grant in found.values()})
        needs = grants.needs_beside(u.db, list(found)) if not still_active else {}
    orders, wanted = dict[Pair, ProvisionOrder](), set(pairs)
    for lease in (each for known in leases.values() for each in known):
        if (pair := (lease.grant, lease.system)) in wanted:
            grant = found[lease.grant]
            kept = needs.get(pair, set()).intersection(lease.actions)
            order = order_of(grant, lease, holders[grant.person], u.policy)
            orders[pair] = replace(order, kept=tuple(sorted(kept)))
    return orders


def was_never_called(world: Context, grant_id: str) -> bool:
    """Whether no system was ever called for this grant, so that its end needs no call. Raises
    StorageUnavailable."""
    with world.db.reading():
        grant = grants.get(world.db, grant_id)
        return (
            grant is not None
            and grant.started_at is None
            and grants.clock(world.db, grant_id) is Clock.FREE
        )


def reapply_shared_access(world: Context, grant_id: str, system: str) -> None:
    """After an end on a system with shared access, applies the access of the holder's other grants
    again, because one may have started after `kept` was read."""
    with unit(world) as u:
        ended = grants.get(u.db, grant_id)
        for other, actions in grants.needs_of_others(u.db, grant_id, system):
            if ended is not None and set(actions) & set(ended.actions_of(system)):
                u.do(effects.extend_lease(other, system))


def record_ended(world: Context, grant_id: str, system: str) -> None:
    """Records that a system has confirmed the end. With the last system the grant has ended."""
    with unit(world) as u:
        grant = grants.locked(u.db, grant_id)
        if grant is None:
            return
        ended = grants.set_lease(u.db, grant.id, system, GrantState.ENDED)
        resolve_alerts(u, [(grant.id, system)])
        if not ended:
            return
        note_ended(u, grant, system)
        if grant.state is not GrantState.ENDING or any(
            lease.state is not GrantState.ENDED for lease in grants.leases(u.db, grant.id)
        ):
            return
        grants.confirm_end(u.db, grant.id, over_at(u, grant))
        notify_ended(u, [grant], {grant.person: u.person(grant.person)})


def over_at(u: UnitOfWork, grant: Grant) -> int:
    """The time at which the grant ended: earlier than now if it could not be written then."""
    unwritten = u.world.unwritten
    at = unwritten.over(grant)
    for system in grant.systems:
        if unwritten.at(grant.id, system) is not None:
            u.db.after_commit(partial(unwritten.forget, grant.id, system))
    return u.now if at is None else at


def recheck_late_start(world: Context, grant_id: str, system: str) -> None:
    """Checks once more later: an earlier attempt timed out and may still take effect."""
    with unit(world) as u:
        u.do(effects.end_lease(grant_id, system, delay=LATE))


def note_ended(u: UnitOfWork, grant: Grant, system: str) -> None:
    """Adds an audit record: a confirmed end on one system, or a failed start that was cleaned up.
    `ended_at` is its time if it could not be written then."""
    at = u.world.unwritten.at(grant.id, system)
    earlier: dict[str, Any] = {} if at is None else {"ended_at": at}
    if grant.state is GrantState.FAILED:
        u.record(Event.START_UNDONE, SYSTEM, grant, system=system, **earlier)
        return
    u.record(
        Event.GRANT_ENDED,
        SYSTEM,
        grant,
        system=system,
        why=grant.end_reason or "",
        by=grant.end_by or "",
        started_at=grant.started_at,
        **earlier,
    )


def record_end_failed(
    world: Context, grant_id: str, system: str, error: str, attempts: int
) -> None:
    """Records that the system did not confirm the end: it stays `ending`, or is `ending` again. The
    holder is notified once, the leads on a schedule until it is gone or one of them has
    acknowledged it."""
    with unit(world) as u:
        grant = grants.locked(u.db, grant_id)
        if grant is None:
            return
        if not grants.set_lease(u.db, grant.id, system, GrantState.ENDING, error):
            if not outbox.is_ending(u.db, effects.grant_key(grant.id), system):
                return  # another worker's try succeeded meanwhile
            grants.reopen_lease(u.db, grant.id, system, error)
        alert_failed_end(u, grant, system, error, attempts)


def record_extend_failed(
    world: Context, grant_id: str, system: str, error: str, attempts: int, to_person: str = ""
) -> None:
    """Records that the system has not confirmed the new end, and may end the access earlier.
    Notifies the holder and the leads once, after the first attempts have failed."""
    if attempts != QUIET_EXTENDS:
        return
    with unit(world) as u:
        grant = grants.locked(u.db, grant_id)
        if grant is not None and grant.state is GrantState.ACTIVE:
            u.record(
                Event.RENEWAL_FAILED,
                SYSTEM,
                grant,
                system=system,
                error=error,
                ends_at=grant.ends_at,
            )
            why = {"why": to_person} if to_person else {}
            to_holder = effects.notify_person(grant.person, "unextended", grant=grant.id, **why)
            u.do(effects.later(to_holder, AFTER_LEADS))
            about = {
                "role": grant.role,
                "person": grant.person,
                **grant.urgency.as_detail(),
            }
            u.notify_leads("unextended", grant=grant.id, system=system, error=error, **about)


def record_extended(world: Context, grant_id: str, system: str, attempts: int) -> None:
    """Records that the system has confirmed the new end, and notifies those who got the earlier
    report. If the grant has ended, because this attempt lost its claim, the access is revoked
    again."""
    with unit(world) as u:
        grant = grants.locked(u.db, grant_id)
        if grant is not None and grant.state is not GrantState.ACTIVE:
            u.do(effects.end_lease(grant.id, system))
        elif grant is not None and attempts > QUIET_EXTENDS:
            u.record(Event.RENEWAL_CONFIRMED, SYSTEM, grant, system=system, ends_at=grant.ends_at)
            u.do(effects.notify_person(grant.person, "extended", grant=grant.id))


def _show(u: UnitOfWork, grant: Grant) -> None:
    """Updates the approval message: by the update that waits since the decision, or by a new
    one."""
    if not outbox.run_now(u.db, [effects.update_key(grant.request)], u.now):
        u.do(effects.update_approval(grant.request, channel_of(u, grant.role)))


def notify_ended(u: UnitOfWork, over: Sequence[Grant], holders: Mapping[str, Person]) -> None:
    """After every system has confirmed: notifies the holder, posts to the thread, and sums up the
    use."""
    for grant in over:
        if not holders[
            grant.person
        ].deleted:  # a deactivated account gets no messages, and the error would look like a fault
            u.do(effects.notify_person(grant.person, "ended", grant=grant.id))
        about = {"grant": grant.id, "why": grant.end_reason or EndReason.EXPIRED}
        u.do(effects.thread_note(grant, channel_of(u, grant.role), "ended", **about))
    if over:
        u.do(effects.sum_usage([grant.id for grant in over]))
