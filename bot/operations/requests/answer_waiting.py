"""Decides a request that waited until Slack described its groups, and answers the requester."""

from collections.abc import Mapping
from typing import Any

from bot.core import effects
from bot.core.approval import Refused
from bot.core.eligibility import Ask
from bot.core.model import Source
from bot.core.names import slash
from bot.core.programs import Program
from bot.operations._unit_of_work import OUTDATED, Context, unit
from bot.operations.emergencies.start_emergency import (
    Call,
    NeedsPress,
    Started,
    start_emergency,
)
from bot.operations.grants.renew_grant import Renewed, renew_grant
from bot.operations.messages.private_answers import GRANT, REQUEST, answer_by_change
from bot.operations.requests.request_access import (
    AlreadyHeld,
    AlreadyPending,
    GrantedAtOnce,
    Submitted,
    Waiting,
    request_access,
)
from storage import programs

Asked = Mapping[str, Any]
"""The data of an `ask` effect."""

OVER = "The API token was revoked or has expired. Ask an operator for another one."


def answer_waiting(world: Context, asked: Asked) -> None:
    """Makes the request and queues the answer; gives it up if its time is over. Raises
    StorageUnavailable."""
    if world.now() >= int(asked["until"]):
        give_up_waiting(world, asked, "the answer came too late")
        return
    if asked.get("program"):
        _answer_program(world, asked)
        return
    outcome = _outcome(world, asked)
    if (about := _kept(outcome)) is not None:
        with unit(world) as u:
            url, given_at = str(asked.get("answer_url", "")), int(asked.get("asked_at", 0))
            if answer_by_change(u, str(asked["person"]), url, *about, given_at):
                return
    note, facts = "refused", {"why": "This was asked for before."}
    match outcome:
        case Refused():
            facts = {"why": outcome.reason}
        case Started() | NeedsPress():
            note, facts = "emergency", {"request": outcome.request.id}
        case Submitted() | GrantedAtOnce() | AlreadyPending():
            note, facts = "asked", {"request": outcome.request.id}
        case AlreadyHeld():
            facts = {"why": f"You have {outcome.grant.role} already. {slash()} list shows it."}
        case Renewed():
            return  # the direct message with the new end answers
        case Waiting():
            return  # roles.toml changed: it waits again, for its new references
    with unit(world) as u:
        u.do(effects.answer(str(asked["person"]), str(asked["channel"]), note, **facts))


def _answer_program(world: Context, asked: Asked) -> None:
    """Makes the request of a program, which reads the result itself."""
    program = Program(**asked["program"])
    token = programs.locked_token(world.db, program.token)
    world = world.via(Source.API, program.token)
    if token is None or token.state(world.now()) != "active":
        person, role, reason = (str(asked[name]) for name in ("person", "role", "reason"))
        with unit(world) as u:
            u.refuse(Refused(OVER), person, "request", role=role, reason=reason)
            programs.refuse_request(u.db, program.request, OVER)
        return
    outcome = _outcome(world, asked, program)
    if (why := refusal_words(outcome)) is not None:
        programs.refuse_request(world.db, program.request, why)


def refusal_words(outcome: object) -> str | None:
    """The reason why a program's request was not made; None if it was, or waits."""
    match outcome:
        case Refused():
            return outcome.reason
        case AlreadyHeld():
            return f"The owner has {outcome.grant.role} already."
        case AlreadyPending():
            return f"A request of the owner for {outcome.request.role} is pending already."
    return None


def _kept(outcome: object) -> tuple[str, str] | None:
    """Returns kind and subject of an answer that is kept up to date."""
    match outcome:
        case Submitted() | GrantedAtOnce() | AlreadyPending():
            return REQUEST, outcome.request.id
        case AlreadyHeld():
            return GRANT, outcome.grant.id
    return None


def _outcome(world: Context, asked: Asked, program: Program | None = None) -> object:
    if asked.get("emergency"):
        given = ("person", "role", "reason", "duration", "is_drill", "channel", "parameters")
        return start_emergency(world, Call(**{name: asked[name] for name in given}))
    if grant := asked.get("grant"):
        words = {"duration": asked["duration"], "reason": str(asked["reason"])}
        return renew_grant(
            world, str(grant), str(asked["person"]), **words, channel=asked["channel"]
        )
    names = ("person", "role", "reason", "duration", "ticket", "start_at", "channel", "parameters")
    return request_access(world, Ask(**{name: asked[name] for name in names}, program=program))


def give_up_waiting(world: Context, asked: Asked, error: str, *, outdated: bool = False) -> None:
    """Gives up a request because Slack did not or will not answer, or because no process had the
    current roles.toml (`outdated`). Nothing was requested; the requester is notified."""
    role = str(asked["role"])
    why = (
        f"Slack did not say who may ask for {role} or decide on it ({error}). Ask again, or tell a"
        " lead."
    )
    if asked.get("emergency"):
        why = (
            f"Slack did not say in time who you are or who may take {role} in an emergency"
            f" ({error}), so nothing was started. Try again; while Slack is down, the operator of"
            " the bot can use `access-bot emergency`."
        )
    why = OUTDATED.reason if outdated else why
    program = asked.get("program")
    with unit(world.via(Source.API, program["token"]) if program else world) as u:
        action = "renew" if asked.get("grant") else "request"
        action = "emergency" if asked.get("emergency") else action
        u.refuse(Refused(why), str(asked["person"]), action, role=role, reason=str(asked["reason"]))
        if program:
            programs.refuse_request(u.db, program["request"], why)
            return
        u.do(effects.answer(str(asked["person"]), str(asked["channel"]), "refused", why=why))
