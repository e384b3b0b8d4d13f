"""`access-bot requests`: who asks for what, and deciding on it without Slack."""

from typing import TYPE_CHECKING

import click

from bot.cli.common import Refusal, Wrong, actor, confirm, json_option, limit_option, on_terminal, opened, yes_option
from bot.cli.plain import clean, json_line, moment, relative, table, utc

if TYPE_CHECKING:
    from bot.core.model import Person, Request
    from bot.operations._unit import World
    from bot.operations.approve_request import Granted
    from bot.operations.take_press import AlreadyDecided

STATES = ("pending", "approved", "denied", "withdrawn", "lapsed", "all")


@click.group(epilog="Example: access-bot requests list")
def requests() -> None:
    """Who asks for what, and deciding on it."""


@requests.command("list", epilog="Example: access-bot requests list --state denied --json")
@click.option("--state", type=click.Choice(STATES), default="pending", show_default=True, help="Only in this state.")
@json_option
@limit_option(1000)
def list_(state: str, as_json: bool, limit: int) -> None:
    """Requests, the newest first."""
    with opened("requests") as base:
        from bot.operations.list_rows import list_requests

        found = list_requests(base.world, None if state == "all" else state, limit)
        if as_json:
            for request in found:
                json_line(_as_json(request))
        elif not found:
            click.echo("No requests." if state == "all" else f"No request is {state}.")
        else:
            _table(found, base.world.now())
        if len(found) == limit:
            click.echo(f"These are the newest {limit}; pass --limit for more.", err=True)


@requests.command(epilog="Example: access-bot requests approve r4k2m9p0q1rs --yes")
@click.argument("request")
@yes_option
def approve(request: str, yes: bool) -> None:
    """Approve REQUEST in your own name. What is needed beyond one approval is told."""
    with opened("requests") as base:
        from bot.cli.hands import start_work
        from bot.core.approval import NeedsApproval, Refused
        from bot.operations.approve_request import approve_request
        from bot.operations.take_press import AlreadyDecided

        _ask(base.world, request, "Approve it?", yes)
        outcome = approve_request(base.world, request, _operator(base.world))
        if isinstance(outcome, Refused):
            raise Refusal(outcome.reason)
        if isinstance(outcome, AlreadyDecided):
            raise Refusal(_decided(outcome))
        if isinstance(outcome, NeedsApproval):
            left = outcome.need - len(outcome.have)
            click.echo(f"Your approval counts: {len(outcome.have)} of {outcome.need}, {left} more needed.")
            return
        start_work(base, outcome.grant.id)
        _say_started(base.world, outcome)


@requests.command(epilog='Example: access-bot requests deny r4k2m9p0q1rs --reason "use the replica" --yes')
@click.argument("request")
@click.option("--reason", default="", help="Told to the requester; asked for on a terminal.")
@yes_option
def deny(request: str, reason: str, yes: bool) -> None:
    """Deny REQUEST; one denial ends it."""
    with opened("requests") as base:
        from bot.core.approval import Refused
        from bot.operations.deny_request import deny_request
        from bot.operations.take_press import AlreadyDecided

        if not reason and not on_terminal():
            raise Wrong("A denial needs a reason for the requester: pass --reason.")
        if _ask(base.world, request, "Deny it?", yes) and not reason:
            reason = click.prompt("Reason, told to the requester", err=True)
        outcome = deny_request(base.world, request, _operator(base.world), reason)
        if isinstance(outcome, Refused):
            raise Refusal(outcome.reason)
        if isinstance(outcome, AlreadyDecided):
            raise Refusal(_decided(outcome))
        click.echo(f"{request} is denied. The bot sends the reason to the requester.")


def _ask(world: "World", request: str, question: str, yes: bool) -> bool:
    """Whether there is something to decide. What is not pending is not asked about: the refusal says what it is."""
    from bot.core.durations import format_duration
    from bot.core.model import RequestState
    from bot.operations.describe_request import describe_request

    card = describe_request(world, request)
    if card is None or card.request.state is not RequestState.PENDING:
        return False
    asked = card.request
    told = f"{clean(card.requester.name)} ({asked.requester}) asks for {asked.role}"
    span = format_duration(asked.duration)
    confirm(f"{told} on {', '.join(asked.systems)} for {span}: {clean(asked.reason, 300)}\n{question}", yes)
    return True


def _operator(world: "World") -> "Person":
    """Whoever runs this, as somebody who may decide (`core/approval.py`, OPERATOR)."""
    from bot.core.model import Person

    return Person(actor(), actor(), "", "UTC", "", world.now())


def _decided(outcome: "AlreadyDecided") -> str:
    request = outcome.request
    return f"{request.id} is {request.state} already, by {request.decided_by} on {utc(request.decided_at)}."


def _say_started(world: "World", outcome: "Granted") -> None:
    """What is true of the access now, and nothing that is only hoped for."""
    from bot.core.model import GrantState
    from bot.operations.describe_grant import describe_grant

    view = describe_grant(world, outcome.grant.id)
    grant = view.grant if view else outcome.grant
    who = clean(view.person.name) if view else grant.person
    if grant.state is GrantState.FAILED:
        raise Refusal(f"Approved, but {grant.id} of {who} failed to start; `access-bot audit list` has the reason.")
    done = "extended" if outcome.request.renews else "active"
    said = {
        GrantState.ACTIVE: f"{done} until {utc(grant.ends_at)} ({relative(grant.ends_at, world.now())}).",
        GrantState.SCHEDULED: f"scheduled: it starts on {utc(grant.starts_at)}.",
        GrantState.STARTING: f"starting; {', '.join(grant.systems)} has not confirmed yet. The bot goes on trying.",
    }
    click.echo(f"Approved: {grant.id}, {grant.role} for {who}, is {said.get(grant.state, f'{grant.state}.')}")


def _table(found: "list[Request]", now: int) -> None:
    from bot.core.durations import format_duration

    table(
        ("REQUEST", "PERSON", "ROLE", "FOR", "STATE", "ASKED", "DECIDED", "TICKET", "REASON"),
        (
            (
                request.id,
                request.requester,
                request.role,
                format_duration(request.duration),
                request.state,
                utc(request.created_at),
                f"lapses {relative(request.lapses_at, now)}" if request.state == "pending" else request.decided_by,
                request.ticket or "–",
                request.reason,
            )
            for request in found
        ),
    )


def _as_json(request: "Request") -> dict[str, object]:
    return {
        "request": request.id,
        "person": request.requester,
        "role": request.role,
        "systems": request.systems,
        "actions": request.actions,
        "duration": request.duration,
        "reason": request.reason,
        "ticket": request.ticket,
        "state": request.state,
        "starts_at": moment(request.start_at),
        "asked_at": moment(request.created_at),
        "lapses_at": moment(request.lapses_at),
        "decided_at": moment(request.decided_at),
        "decided_by": request.decided_by,
        "decision_reason": request.decision_reason,
    }
