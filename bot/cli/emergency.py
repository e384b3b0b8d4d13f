"""Implements `access-bot emergency`: takes a role for somebody at once, for when Slack is down."""

import click

from bot.cli.common import actor, confirm, json_option, opened, person_known, yes_option
from bot.cli.errors import Refusal, Wrong
from bot.cli.inline_worker import start_work
from bot.cli.output import clean, json_line, moment, relative, utc
from bot.core.approval import Refused
from bot.core.durations import BadDuration, format_duration
from bot.core.model import GrantState, Request
from bot.core.spans import parse_span
from bot.operations._unit_of_work import Context
from bot.operations.emergencies.start_emergency import (
    Call,
    NeedsPress,
    Started,
    start_emergency,
)
from bot.operations.grants.describe_grant import describe_grant
from bot.operations.people.record_people import find_person
from bot.operations.requests.request_access import AlreadyHeld, AlreadyPending, Waiting


@click.command(
    epilog='Example: access-bot emergency orders-read ana@example.com "the shop is down"'
)
@click.argument("role")
@click.argument("user")
@click.argument("reason", nargs=-1, required=True)
@click.option("--duration", help="For how long, such as 30m; by default as long as possible.")
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the role; repeat it for each.",
)
@click.option("--drill", is_flag=True, help="It is a drill: the access is real.")
@json_option
@yes_option
def emergency(
    role: str,
    user: str,
    reason: tuple[str, ...],
    duration: str | None,
    parameters: tuple[str, ...],
    drill: bool,
    as_json: bool,
    yes: bool,
) -> None:
    """Take a role at once, without Slack.

    USER gets ROLE without approval. USER is a Slack id or an e-mail, and must be one of the role's
    emergency members. Leads and approvers are notified, and a lead reviews it.
    """
    with opened("emergency", gives=True) as base:
        person = person_known(base.world, user)
        words = " ".join(reason)
        length, values = _seconds(base.world, duration), _values(parameters)
        call = Call(person, role, words, length, drill, actor(), parameters=values)
        known = find_person(base.world, person)
        name = clean(known.name) if known else person
        what = "a drill of an emergency" if drill else "an emergency"
        question = f"This is {what}: {name} gets {clean(role)} now, and all leads are notified."
        confirm(f"{question} Continue?", yes)
        outcome = start_emergency(base.world, call)
        if isinstance(outcome, NeedsPress):
            _report_waiting(outcome.request, name, as_json)
        elif isinstance(outcome, Started):
            start_work(base, outcome.grant.id)
            _report_start(base.world, outcome.grant.id, name, as_json)
        else:
            raise Refusal(_refusal(outcome, name))


def _seconds(world: Context, duration: str | None) -> int | None:
    try:
        return parse_span(duration, world.now(), "UTC") if duration else None
    except BadDuration as bad:
        raise Wrong(f"--duration: {bad}") from bad


def _values(parameters: tuple[str, ...]) -> dict[str, str]:
    pairs = [each.partition("=") for each in parameters]
    if len({name for name, equals, _ in pairs if equals}) < len(pairs):
        raise Wrong("--parameter: write NAME=VALUE, once for each name.")
    return {name: value for name, _, value in pairs}


def _refusal(outcome: AlreadyHeld | AlreadyPending | Waiting | Refused, name: str) -> str:
    match outcome:
        case Refused():
            return outcome.reason
        case AlreadyHeld():
            grant = outcome.grant
            return f"{name} has {grant.role} already, until {utc(grant.ends_at)} ({grant.id})."
        case AlreadyPending():
            return f"{name} has already asked for it: {outcome.request.id} waits for one press."
    return "It is not known who may take this role."


def _report_start(world: Context, grant_id: str, name: str, as_json: bool) -> None:
    if (view := describe_grant(world, grant_id)) is None:
        return
    grant, now = view.grant, world.now()
    if as_json:
        json_line(_as_json(view.request, grant.id, grant.state, grant.ends_at))
    if grant.state in (GrantState.FAILED, GrantState.ENDING, GrantState.ENDED):
        details = f"`access-bot audit list --grant {grant.id}` shows the reason."
        raise Refusal(f"{grant.id} for {name} did not start: {details}")
    if as_json:
        return
    until = f"until {utc(grant.ends_at)} ({relative(grant.ends_at, now)})"
    systems = ", ".join(grant.systems)
    state = {
        GrantState.ACTIVE: f"is active {until}.",
        GrantState.STARTING: f"is starting; {systems} has not confirmed yet. The bot retries.",
    }.get(grant.state, f"is {grant.state}.")
    click.echo(f"{grant.id}, {grant.role} for {name}, {state}")
    click.echo("The leads and the approvers are notified. A lead has to sign the review in Slack.")


def _report_waiting(request: Request, name: str, as_json: bool) -> None:
    if as_json:
        json_line(_as_json(request, None, request.state, None))
        return
    lasts = format_duration(request.duration)
    click.echo(
        f"{request.id}, {request.role} for {name} for {lasts}, waits for one press, because"
        " another emergency of theirs is open. Without Slack, somebody else approves it with"
        f" `access-bot requests approve {request.id}`."
    )


def _as_json(
    request: Request, grant: str | None, state: str, ends_at: int | None
) -> dict[str, object]:
    return {
        "request": request.id,
        "grant": grant,
        "person": request.requester,
        "role": request.role,
        "urgency": request.urgency,
        "state": state,
        "ends_at": moment(ends_at),
    }
