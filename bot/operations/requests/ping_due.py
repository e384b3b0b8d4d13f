"""Mentions the deciders of requests when quiet hours are over, and the backups of requests that
nobody has decided. Mentions that were missed while no process ran are sent once."""

from dataclasses import replace

from bot.core import effects
from bot.core.audit import Event
from bot.core.model import Request, RequestState
from bot.core.pings import next_escalation, quiet_until
from bot.core.roles import Role
from bot.core.rules import Escalation
from bot.operations._pings import ESCALATED, backups_asked_directly, mention
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork, unit
from storage import pings, requests
from storage.pings import Ping

BATCH = 100


def ping_due(world: Context) -> int:
    """Sends the pings that are due; returns the number of requests. Raises StorageUnavailable."""
    handled = 0
    while True:
        with unit(world) as u:
            due = pings.due(u.db, u.now, BATCH)
            for each in due:
                _ping(u, each.request)
        handled += len(due)
        if len(due) < BATCH:
            return handled


def _ping(u: UnitOfWork, request_id: str) -> None:
    """Handles one request, in the same order of locks as a decision on it."""
    request = requests.locked(u.db, request_id)
    due = pings.get(u.db, request_id)
    role = u.role_of(request) if request else None
    if request is None or due is None or role is None or request.state is not RequestState.PENDING:
        return pings.drop(u.db, request_id)
    if not (_is_over(due.ping_at, u.now) or _is_over(due.escalate_at, u.now)):
        return None  # another process was faster
    if quiet := quiet_until(u.policy.workspace, role, u.now):
        return _wait(u, due, quiet)
    if _is_over(due.escalate_at, u.now) and role.escalation:
        return _escalate(u, role, role.escalation, request, due.escalations + 1)
    if _is_over(due.ping_at, u.now):
        mention(u, role, request, due.why)
    if due.escalate_at is None or role.escalation is None:
        return pings.drop(u.db, request_id)
    return _plan_next(u, replace(due, ping_at=None, why=""))


def _is_over(at: int | None, now: int) -> bool:
    return at is not None and at <= now


def _wait(u: UnitOfWork, due: Ping, until: int) -> None:
    """Delays to `until` each mention that is due before."""
    early = [at for at in (due.ping_at, due.escalate_at) if at is not None and at < until]
    ping_at = until if due.ping_at in early else due.ping_at
    escalate_at = until if due.escalate_at in early else due.escalate_at
    _plan_next(u, replace(due, ping_at=ping_at, escalate_at=escalate_at))


def _plan_next(u: UnitOfWork, ping: Ping) -> None:
    pings.put(u.db, ping)
    u.expect(ping.ping_at, ping.escalate_at)


def _escalate(
    u: UnitOfWork, role: Role, escalation: Escalation, request: Request, times: int
) -> None:
    """Mentions the deciders, and the backups, who may decide from now on."""
    later = next_escalation(escalation.after, times, u.now)
    _plan_next(u, Ping(request.id, None, "", later, times))
    u.record(
        Event.ESCALATION_SENT,
        SYSTEM,
        request,
        times=times,
        backups=list(escalation.approvers),
        waited=u.now - request.created_at,
    )
    if times == 1:
        u.do(
            *(
                effects.post_approval(request, who)
                for who in backups_asked_directly(u, role, request)
            )
        )
    mention(u, role, request, ESCALATED)
    u.do(effects.update_approval(request.id, role.channel))
