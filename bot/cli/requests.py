"""Implements `access-bot requests`: lists requests and decides on one without Slack."""

import click

from bot.cli.common import (
    actor,
    confirm,
    json_option,
    limit_option,
    on_terminal,
    opened,
    yes_option,
)
from bot.cli.errors import Refusal, Wrong
from bot.cli.inline_worker import look_up_ticket, start_work
from bot.cli.output import clean, json_line, moment, relative, table, utc
from bot.core.approval import NeedsApproval, Refused
from bot.core.durations import format_duration
from bot.core.model import GrantState, Person, Request, RequestState
from bot.operations._unit_of_work import Context
from bot.operations.grants.describe_grant import describe_grant
from bot.operations.grants.list_grants import list_requests
from bot.operations.requests.accept_vote import AlreadyDecided
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.deny_request import deny_request
from bot.operations.requests.describe_request import describe_request

STATES = ("pending", "approved", "denied", "withdrawn", "lapsed", "all")


@click.group(epilog="Example: access-bot requests list")
def requests() -> None:
    """List, approve and deny requests."""


@requests.command("list", epilog="Example: access-bot requests list --state denied --json")
@click.option(
    "--state",
    type=click.Choice(STATES),
    default="pending",
    show_default=True,
    help="State of the requests to list.",
)
@json_option
@limit_option(1000)
def list_(state: str, as_json: bool, limit: int) -> None:
    """List requests, newest first."""
    with opened("requests") as base:
        found = list_requests(base.world, None if state == "all" else state, limit)
        if as_json:
            for request in found:
                json_line(_as_json(request))
        elif not found:
            click.echo("No requests." if state == "all" else f"No {state} requests.")
        else:
            _table(found, base.world.now())
        if len(found) == limit:
            click.echo(f"Showing the newest {limit}; pass --limit for more.", err=True)


@requests.command(epilog="Example: access-bot requests approve r4k2m9p0q1rs --yes")
@click.argument("request")
@yes_option
def approve(request: str, yes: bool) -> None:
    """Approve REQUEST as the operator, os:USER in the audit log.

    This counts as one approval; the output says how many more are needed.
    """
    with opened("requests", gives=True) as base:
        _ask(base.world, request, "Approve it?", yes)
        look_up_ticket(base, request)
        outcome = approve_request(base.world, request, _operator(base.world))
        if isinstance(outcome, Refused):
            raise Refusal(outcome.reason)
        if isinstance(outcome, AlreadyDecided):
            raise Refusal(_decided(outcome))
        if isinstance(outcome, NeedsApproval):
            have, need = len(outcome.have), outcome.need
            more = f"{have} of {need}, {need - have} more needed"
            where = f" by “{outcome.tier}”" if outcome.tier else ""
            click.echo(f"Your approval is recorded: {more}{where}.")
            return
        start_work(base, outcome.grant.id)
        _report_start(base.world, outcome)


@requests.command(
    epilog='Example: access-bot requests deny r4k2m9p0q1rs --reason "use the replica" --yes'
)
@click.argument("request")
@click.option("--reason", default="", help="Reason for the requester; a terminal prompts for it.")
@yes_option
def deny(request: str, reason: str, yes: bool) -> None:
    """Deny REQUEST. One denial is final."""
    with opened("requests") as base:
        if not reason and not on_terminal():
            raise Wrong("The requester needs a reason: pass --reason.")
        if _ask(base.world, request, "Deny it?", yes) and not reason:
            reason = click.prompt("Reason for the requester", err=True)
        outcome = deny_request(base.world, request, _operator(base.world), reason)
        if isinstance(outcome, Refused):
            raise Refusal(outcome.reason)
        if isinstance(outcome, AlreadyDecided):
            raise Refusal(_decided(outcome))
        click.echo(f"{request} is denied. The bot sends the reason to the requester.")


def _ask(world: Context, request: str, question: str, yes: bool) -> bool:
    """Asks for confirmation of a decision on a pending request; False for any other, because its
    refusal names its state."""
    card = describe_request(world, request)
    if card is None or card.request.state is not RequestState.PENDING:
        return False
    asked = card.request
    requester = f"{clean(card.requester.name)} ({asked.requester})"
    wanted = f"{asked.role} on {', '.join(asked.systems)} for {format_duration(asked.duration)}"
    confirm(f"{requester} requests {wanted}: {clean(asked.reason, 300)}\n{question}", yes)
    return True


def _operator(world: Context) -> Person:
    """Returns the operator as a person who may decide (`core/approval.py`, OPERATOR)."""
    return Person(actor(), actor(), "", "UTC", "", world.now())


def _decided(outcome: AlreadyDecided) -> str:
    request = outcome.request
    return (
        f"{request.id} is already {request.state}, by {request.decided_by} on"
        f" {utc(request.decided_at)}."
    )


def _report_start(world: Context, outcome: Granted) -> None:
    """Prints the state of the access as the systems have confirmed it so far."""
    view = describe_grant(world, outcome.grant.id)
    grant = view.grant if view else outcome.grant
    name = clean(view.person.name) if view else grant.person
    if grant.state is GrantState.FAILED:
        details = f"`access-bot audit list --grant {grant.id}` shows the reason."
        raise Refusal(f"Approved, but {grant.id} for {name} failed to start: {details}")
    done = "extended" if outcome.request.renews else "active"
    left, systems = relative(grant.ends_at, world.now()), ", ".join(grant.systems)
    words = {
        GrantState.ACTIVE: f"{done} until {utc(grant.ends_at)} ({left}).",
        GrantState.SCHEDULED: f"scheduled: it starts on {utc(grant.starts_at)}.",
        GrantState.STARTING: f"starting; {systems} has not confirmed yet. The bot keeps retrying.",
    }
    state = words.get(grant.state, f"{grant.state}.")
    click.echo(f"Approved: {grant.id}, {grant.role} for {name}, is {state}")


def _table(found: list[Request], now: int) -> None:
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
                (
                    f"lapses {relative(request.lapses_at, now)}"
                    if request.state == "pending"
                    else request.decided_by
                ),
                request.ticket or "–",
                request.reason,
            )
            for request in found
        ),
    )


def _as_json(request: Request) -> dict[str, object]:
    return {
        "request": request.id,
        "person": request.requester,
        "role": request.role,
        "systems": request.systems,
        "actions": request.actions,
        "system_actions": dict(request.system_actions),
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
        "urgency": request.urgency,
        "program": request.program,
        "parameters": dict(request.parameters),
    }
