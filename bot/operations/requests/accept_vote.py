"""Stores a press on Approve or Deny at once; `count_vote` counts it after Slack has confirmed the
voter."""

from dataclasses import dataclass

from bot.core import effects
from bot.core.approval import Refused, may_decide
from bot.core.authority import decider_references
from bot.core.eligibility import check_reason
from bot.core.model import Person, Request, RequestState
from bot.operations._unit_of_work import Context, UnitOfWork, unit
from storage import requests


@dataclass(frozen=True, slots=True)
class Press:
    """`approve` False is a denial and needs a reason; `duration`, `actions`, `systems` and
    `start_at` are set by Edit only. `voter` is as known before Slack is asked; `channel` and `ts`
    name the copy of the message, where it was pressed on one."""

    request: str
    voter: Person
    approve: bool
    reason: str = ""
    duration: int | None = None
    actions: tuple[str, ...] | None = None
    systems: tuple[str, ...] | None = None
    start_at: int | None = None
    channel: str = ""
    ts: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """The press is stored. Its outcome is shown in the message, or in a private reply."""


@dataclass(frozen=True, slots=True)
class AlreadyDecided:
    request: Request


def submit_vote(world: Context, press: Press) -> Taken | AlreadyDecided | Refused:
    """Refuses a vote at once if no look-up is needed for that, and queues the rest for
    `count_vote`."""
    with unit(world) as u:
        request = requests.get(u.db, press.request)
        if request is None:
            return u.refuse(Refused("This request does not exist."), press.voter.id, _action(press))
        if press.ts:
            requests.add_message(u.db, request.id, press.channel, press.ts)
        if request.state is not RequestState.PENDING:
            refused = Refused(f"already {request.state}")
            u.refuse(refused, press.voter.id, _action(press), request)
            return AlreadyDecided(request)
        if (refused_now := _refusal(u, press, request)) is not None:
            return u.refuse(
                refused_now, press.voter.id, _action(press), request, reason=press.reason
            )
        u.do(effects.decide(request.id, press.voter.id, _stored(press)))
        return Taken()


def _refusal(u: UnitOfWork, press: Press, request: Request) -> Refused | None:
    """Refuses nobody before the voter and the approvers were looked up once, nor while roles.toml
    is outdated: then `count_vote`, or another process, decides."""
    person, role = press.voter, u.role_of(request)
    unknown = role and u.directory.unresolved(decider_references(role))
    if u.outdated or person.checked_at == 0 or unknown:
        return None
    refused = may_decide(role, request, person, u.authority(request))
    return refused or (None if press.approve else check_reason(press.reason))


def _stored(press: Press) -> dict[str, object]:
    return {
        "approve": press.approve,
        "reason": press.reason,
        "duration": press.duration,
        "actions": press.actions,
        "systems": press.systems,
        "start_at": press.start_at,
        "channel": press.channel,
    }


def _action(press: Press) -> str:
    return "approve" if press.approve else "deny"
