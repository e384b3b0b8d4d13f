"""Renews an active grant: at once within the budget of the role, else by a new approval."""

from dataclasses import dataclass, replace

from bot.core.approval import Refused, as_approved
from bot.core.audit import Event
from bot.core.criteria import Judgement, why_renewal_asks
from bot.core.durations import format_duration
from bot.core.eligibility import check_duration, check_reason, may_request
from bot.core.lifecycle import renewed_end
from bot.core.model import Grant, GrantState, Request
from bot.core.names import slash
from bot.core.roles import Role
from bot.operations._begin_grant import parameters_on_record
from bot.operations._criteria import denied, judge_request, keep_asked
from bot.operations._extend_grant import extend_grant
from bot.operations._new_request import new_request
from bot.operations._unit_of_work import OUTDATED, Context, UnitOfWork, unit
from bot.operations.policy.find_unresolved import needed_for
from bot.operations.requests.request_access import (
    AlreadyPending,
    Submitted,
    Waiting,
    already_pending,
    ask_deciders,
    submitted,
    too_many,
    undecidable,
    wait_for_slack,
)
from storage import grants, renewals, requests


@dataclass(frozen=True, slots=True)
class Renewed:
    grant: Grant


Outcome = Renewed | Submitted | AlreadyPending | Refused | Waiting


def renew_grant(
    world: Context,
    grant_id: str,
    person: str,
    *,
    duration: int | None = None,
    reason: str = "",
    channel: str = "",
    look_up_first: bool = False,
) -> Outcome:
    """Extends this person's own active grant by `duration` seconds from now (None: by its approved
    duration). With `look_up_first` the person is looked up in Slack before.

    Without a `reason`, that of its request is kept. A role with `renewal_approval` makes it a
    request, and so does a renewal beyond the role's budget. Raises StorageUnavailable.
    """
    with unit(world) as u:
        grant = grants.locked(u.db, grant_id)
        if grant is None or grant.person != person:
            return u.refuse(Refused("Only the holder can renew access."), person, "renew", grant)
        if (waiting := _waiting(u, grant, duration, reason, channel, look_up_first)) is not None:
            return waiting
        length = duration if duration is not None else grant.duration
        role = _renewable_role(u, grant, length, reason)
        if isinstance(role, Refused):
            return u.refuse(role, person, "renew", grant, reason=reason)
        return _renew(u, role, grant, length, reason)


def _renew(u: UnitOfWork, role: Role, grant: Grant, duration: int, reason: str) -> Outcome:
    """Extends the grant, or asks the approvers where the role wants that."""
    u.db.lock(f"renew:{grant.person}:{role.name}")  # so that two can't share the last of a quota
    request = _renewal_request(u, role, grant, duration, reason)
    judged = judge_request(u, role, request, u.person(grant.person))
    if why := why_renewal_asks(role, judged):
        return _ask(u, role, grant, request, judged, why)
    if (refused := _unapproved(u, grant, duration)) is not None:
        return u.refuse(refused, grant.person, "renew", grant, reason=reason)
    return Renewed(_extend(u, role, grant, request))


def _extend(u: UnitOfWork, role: Role, grant: Grant, request: Request) -> Grant:
    """Extends the grant at once, and counts it; the request itself is not stored."""
    renewals.add(u.db, grant.id, grant.renewals + 1, grant.person, role.name, u.now)
    return extend_grant(u, role, grant, request.duration, grant.person, request.reason)


def _not_renewed(grant: Grant) -> Refused:
    return Refused(
        f"Emergency access ends as planned and can't be renewed. To keep {grant.role} longer, ask"
        f" for it now: {slash()} request {grant.role} DURATION REASON"
    )


def _waiting(
    u: UnitOfWork,
    grant: Grant,
    duration: int | None,
    reason: str,
    channel: str,
    look_up_first: bool,
) -> Waiting | Refused | None:
    """Queues the renewal while it is unknown who may renew or approve it, or while this process has
    an outdated roles.toml."""
    if grant.urgency or grant.state is not GrantState.ACTIVE:
        return None
    role = u.role_of(grant)
    if role is None and u.outdated:
        return u.refuse(OUTDATED, grant.person, "renew", grant, reason=reason)
    if role is None:
        return None
    unknown = u.outdated or u.directory.unresolved(needed_for(u.policy, role))
    if not look_up_first and not unknown:
        return None
    asked = {"grant": grant.id, "duration": duration, "reason": reason, "channel": channel}
    return wait_for_slack(u, role, grant.person, asked)


def _renewable_role(u: UnitOfWork, grant: Grant, duration: int, reason: str) -> Role | Refused:
    """The role by which this grant can be renewed, or the reason why it can't."""
    if grant.urgency:
        return _not_renewed(grant)
    if grant.state is not GrantState.ACTIVE:
        return Refused(f"This access is {grant.state}, so it can't be renewed. Request it again.")
    if grant.ends_at <= u.now:
        return Refused("This access has ended, so it can't be renewed. Request it again.")
    role = u.role_of(grant)
    if role is None:
        return Refused(
            f"The role {grant.role} is no longer in roles.toml; your access ends as planned."
        )
    refused = (
        may_request(role, u.person(grant.person), u.directory)
        or u.paused(role.name, grant.person)
        or denied(u, role, u.person(grant.person))
        or check_duration(role, duration)
        or (check_reason(reason) if reason else None)
        or _still_given(role, grant)
        or _limits(u, role, grant, duration)
    )
    return refused or role


def _limits(u: UnitOfWork, role: Role, grant: Grant, duration: int) -> Refused | None:
    if role.max_renewals == 0:
        return Refused(f"{role.name} can't be renewed. Request it again when it has ended.")
    latest_end = min(grant.latest_end, (grant.started_at or grant.starts_at) + role.max_total)
    if renewed_end(u.now, duration, grant.ends_at, latest_end) > grant.ends_at:
        return None
    if latest_end <= grant.ends_at:
        total = format_duration(role.max_total)
        return Refused(
            f"{role.name} lasts up to {total}, and your access already runs to that limit. Request"
            " it again."
        )
    left = format_duration(grant.ends_at - u.now)
    return Refused(
        f"Your access still runs for {left}. A renewal counts from now, so it would add nothing"
        " yet."
    )


def _still_given(role: Role, grant: Grant) -> Refused | None:
    """Refuses to renew systems or actions that the role in roles.toml no longer has."""
    if set(grant.systems) <= set(role.systems) and all(
        set(grant.actions_of(each)) <= set(role.actions_of(each)) for each in grant.systems
    ):
        return None
    return Refused(
        f"{role.name} was changed in roles.toml and no longer gives all that you have, so it "
        "can't be renewed. Request it again when it has ended."
    )


def _unapproved(u: UnitOfWork, grant: Grant, duration: int) -> Refused | None:
    """Limits a renewal without a new approval to the approved targets and the approved duration."""
    if (refused := as_approved(grants.leases(u.db, grant.id), u.policy.systems)) is not None:
        return refused
    if duration <= grant.duration:
        return None
    given = format_duration(grant.duration)
    return Refused(
        f"This was approved for {given}, and a renewal adds up to {given}. Renew it for that long, "
        "or request it again when it has ended.",
        "duration",
    )


def _ask(
    u: UnitOfWork, role: Role, grant: Grant, request: Request, judged: Judgement, why: str
) -> Submitted | AlreadyPending | Refused:
    reason = request.reason
    if (refused := undecidable(u, role, grant.person)) is not None:
        return u.refuse(refused, grant.person, "renew", grant, reason=reason)
    if (limited := too_many(u, grant.person, "renew", role, reason, grant)) is not None:
        return limited
    if not requests.insert(u.db, request):
        return already_pending(u, grant.person, role.name)
    u.record(
        Event.REQUEST_ASKED,
        grant.person,
        request,
        reason=request.reason,
        duration=request.duration,
        renews=grant.id,
        why=why,
        **parameters_on_record(request),
        **keep_asked(u, request, judged),
    )
    ask_deciders(u, role, request)
    return replace(submitted(u, role, request), why=why)


def _renewal_request(
    u: UnitOfWork, role: Role, grant: Grant, duration: int, reason: str
) -> Request:
    """A request for the same access, with the first reason unless there is a new one."""
    first = requests.get(u.db, grant.request)
    words = reason or (first.reason if first else "")
    ticket = first.ticket if first else ""
    asked = new_request(u, role, grant.person, duration, words, ticket=ticket, renews=grant.id)
    return replace(
        asked,
        systems=grant.systems,
        actions=grant.actions,
        system_actions=grant.system_actions,
    )
