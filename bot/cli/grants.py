"""Implements `access-bot grants`: lists grants and revokes one without Slack."""

import click

from bot.cli.common import actor, confirm, json_option, limit_option, opened, yes_option
from bot.cli.errors import Refusal
from bot.cli.inline_worker import end_work, ending_lines
from bot.cli.output import clean, json_line, moment, relative, table, utc
from bot.core.approval import Refused
from bot.core.model import HELD, Grant
from bot.core.usage import GrantUsage
from bot.operations._unit_of_work import Context
from bot.operations.grants.describe_grant import describe_grant
from bot.operations.grants.list_grants import list_grants
from bot.operations.grants.revoke_grant import revoke_grant
from bot.operations.people.record_people import find_person
from bot.operations.usage.describe_usage import used_of_grants


@click.group(epilog="Example: access-bot grants list")
def grants() -> None:
    """List and revoke access."""


@grants.command("list", epilog="Example: access-bot grants list --json | jq -r .grant")
@json_option
@limit_option(1000)
def list_(as_json: bool, limit: int) -> None:
    """List every grant that has not ended, soonest end first."""
    with opened("grants", only_ending=True) as base:
        found = list_grants(base.world, limit)
        if as_json:
            used = used_of_grants(base.world, found)
            for grant in found:
                json_line(_as_json(grant, used[grant.id]))
        elif not found:
            click.echo("No grants.")
        else:
            _table(base.world, found)
        if len(found) == limit:
            click.echo(f"Showing the first {limit}; pass --limit for more.", err=True)


@grants.command(epilog="Example: access-bot grants revoke g4k2m9p0q1rs --yes")
@click.argument("grant")
@yes_option
def revoke(grant: str, yes: bool) -> None:
    """Revoke GRANT now.

    `grants list` shows its id, and /auth answers it in the header X-Access-Grant.
    """
    with opened("grants", only_ending=True) as base:
        view = describe_grant(base.world, grant)
        if view is not None and view.grant.state in HELD:
            ends_at = view.grant.ends_at
            left = relative(ends_at, base.world.now())
            held = f"{clean(view.person.name)} has {view.grant.role} until {utc(ends_at)} ({left})."
            confirm(f"{held} Revoke it now?", yes)
        outcome = revoke_grant(base.world, actor(), grant=grant)
        if isinstance(outcome, Refused):
            raise Refusal(outcome.reason)
        end_work(base, [grant])
        for line in ending_lines(base.world, grant):
            click.echo(line)


def _table(world: Context, found: list[Grant]) -> None:
    people = {grant.person: find_person(world, grant.person) for grant in found}
    names = {id: person.name if person else "" for id, person in people.items()}
    now = world.now()
    table(
        ("GRANT", "PERSON", "NAME", "ROLE", "SYSTEMS", "STATE", "STARTS", "ENDS", "LEFT"),
        (
            (
                grant.id,
                grant.person,
                names[grant.person],
                grant.role,
                ", ".join(grant.systems),
                grant.state,
                utc(grant.starts_at),
                utc(grant.ends_at),
                relative(grant.ends_at, now),
            )
            for grant in found
        ),
    )


def _as_json(grant: Grant, used: GrantUsage) -> dict[str, object]:
    return {
        "grant": grant.id,
        "request": grant.request,
        "person": grant.person,
        "role": grant.role,
        "systems": grant.systems,
        "actions": grant.actions,
        "system_actions": dict(grant.system_actions),
        "state": grant.state,
        "starts_at": moment(grant.starts_at),
        "ends_at": moment(grant.ends_at),
        "renewals": grant.renewals,
        "end_reason": grant.end_reason,
        "urgency": grant.urgency,
        "used": used.times,
        "last_used_at": moment(used.last),
    }
