"""Opens a stage of a ramp: gives its roles as ordinary grants, and says which it leaves out."""

from dataclasses import dataclass, field, replace

from bot.core import effects
from bot.core.approval import Refused
from bot.core.audit import Event, rfc3339
from bot.core.model import Grant, Person, Request, RequestState, as_asked, is_recent
from bot.core.onboarding import (
    PlannedStage,
    Ramp,
    given_for,
    reason_of,
    rule_of,
    why_left_out,
)
from bot.core.roles import Role
from bot.operations._begin_grant import begin_grant, given_terms
from bot.operations._criteria import judge_request, keep_asked, keep_decided
from bot.operations._end_grant import withdraw
from bot.operations._leads_only import PERSON_LASTS
from bot.operations._new_request import new_request
from bot.operations._unit_of_work import SYSTEM, UnitOfWork
from bot.operations.onboarding.shared import facts_of, ramp_record, refresh_ramp
from storage import grants, outbox, ramps, requests


@dataclass(slots=True)
class Opened:
    """The result of an opened stage; `left_out` has the reasons by role."""

    given: list[Grant] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def not_yet(u: UnitOfWork, ramp: Ramp, stage: PlannedStage) -> Refused | None:
    """The reason why this stage can't be judged now, although it may be in a minute: Slack has not
    described the newcomer or the groups, or a panic switch is on."""
    for name in stage.roles:
        if (paused := u.paused(name, ramp.newcomer)) is not None:
            return paused
    newcomer = u.person(ramp.newcomer)
    if not is_recent(newcomer.checked_at, u.now, PERSON_LASTS):
        if not outbox.any_with_key(u.db, effects.person_key(ramp.newcomer)):
            u.do(effects.look_up_person(ramp.newcomer))
        return Refused("Slack is being asked about the newcomer. Try again in a few seconds.")
    if unknown := u.directory.unresolved(_refs(u, stage)):
        names = ", ".join(u.directory.called(unknown))
        return Refused(f"Slack has not said who is in {names}. Try again in a minute.")
    return None


def _refs(u: UnitOfWork, stage: PlannedStage) -> list[str]:
    roles = [role for name in stage.roles if (role := u.policy.roles.get(name)) is not None]
    denied = [ref for role in roles for rule in role.deny for ref in rule.members]
    return [ref for role in roles for ref in role.requesters] + denied


def give_stage(u: UnitOfWork, ramp: Ramp, stage: PlannedStage, by: str) -> Opened | None:
    """Opens a stage of the caller's locked ramp; None if it is open already. `by` is the mentor who
    pressed, or the ramp as a rule."""
    if not ramps.open_stage(u.db, ramp.id, stage.number, u.now, by):
        return None
    newcomer, opened = u.person(ramp.newcomer), Opened()
    for name in stage.roles:
        outcome = _give(u, ramp, stage, name, newcomer, by)
        if isinstance(outcome, Grant):
            opened.given.append(outcome)
        else:
            opened.left_out[name] = outcome
    ramps.set_left_out(u.db, ramp.id, stage.number, opened.left_out)
    ramp_record(
        u,
        Event.STAGE_OPENED,
        by,
        ramp,
        stage=stage.number,
        given={grant.role: grant.id for grant in opened.given},
        left_out=opened.left_out,
        may_ask=list(stage.may_ask),
    )
    refresh_ramp(u, ramp)
    return opened


def _give(
    u: UnitOfWork, ramp: Ramp, stage: PlannedStage, name: str, newcomer: Person, by: str
) -> Grant | str:
    """The grant of one role, or why it is left out."""
    if why := why_left_out(name, stage, ramp, u.policy, newcomer, facts_of(u)):
        return why
    role = u.policy.roles[name]
    duration = given_for(ramp, stage, role, u.now)
    usual = [each for each in grants.held_by(u.db, newcomer.id, name) if not each.urgency]
    held = max((grant.ends_at for grant in usual), default=0)
    start = max(u.now, held)
    if (duration := u.now + duration - start) <= 0:
        return f"they have it already, until {rfc3339(held)}" if held else "the onboarding ends now"
    return _grant(u, ramp, stage, role, duration, start, by)


def _grant(
    u: UnitOfWork, ramp: Ramp, stage: PlannedStage, role: Role, duration: int, start: int, by: str
) -> Grant:
    """Stores the request and its grant. Access that the newcomer has already is continued: the
    grant starts when that ends."""
    for pending in requests.pending_of(u.db, ramp.newcomer, role.name):
        if pending.renews is None and not pending.urgency:
            withdraw(u, pending, SYSTEM, "the onboarding gives this role now")
    request = _request(u, ramp, stage, role, duration, start if start > u.now else None)
    requests.insert(u.db, request)
    _record_request(u, ramp, role, request, by)
    grant = begin_grant(u, role, request, as_asked(request), rule_of(ramp))
    ramps.add_grant(u.db, ramp.id, stage.number, grant.id)
    u.do(
        effects.post_approval(request, role.channel),
        effects.update_approval(request.id, role.channel, delay=2),
    )
    return grant


def _request(
    u: UnitOfWork, ramp: Ramp, stage: PlannedStage, role: Role, duration: int, start: int | None
) -> Request:
    """A request that the plan of the ramp has decided, which its lead approved."""
    reason = reason_of(ramp, stage)
    return replace(
        new_request(u, role, ramp.newcomer, duration, reason, start_at=start),
        state=RequestState.APPROVED,
        lapses_at=u.now,
        decided_at=u.now,
        decided_by=rule_of(ramp),
    )


def _record_request(u: UnitOfWork, ramp: Ramp, role: Role, request: Request, by: str) -> None:
    """Records the request and its approval by the plan of the ramp."""
    actor = rule_of(ramp)
    judged = judge_request(u, role, request, u.person(ramp.newcomer))
    u.record(
        Event.REQUEST_ASKED,
        actor,
        request,
        reason=request.reason,
        duration=request.duration,
        ticket="",
        start_at=request.start_at,
        ramp=ramp.id,
        bundle=ramp.bundle,
        **keep_asked(u, request, judged),
    )
    u.record(
        Event.APPROVAL_GIVEN,
        actor,
        request,
        reason=request.reason,
        **given_terms(as_asked(request)),
        approvers=[actor],
        asked_duration=request.duration,
        ramp=ramp.id,
        lead=ramp.lead,
        opened_by=by,
        **keep_decided(u, role, request),
    )
