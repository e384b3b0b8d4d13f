"""Implements `access-bot accounts`: lists account links and removes wrong ones."""

import click

from bot.cli.common import actor, confirm, json_option, opened, person_named, yes_option
from bot.cli.errors import Refusal
from bot.cli.output import json_line, table
from bot.core.approval import Refused
from bot.operations.systems.account_links import list_accounts, unlink_account


@click.group(epilog="Example: access-bot accounts list")
def accounts() -> None:
    """List and correct account links.

    An account link says which account on a connected system belongs to a person.
    """


@accounts.command("list", epilog="Example: access-bot accounts list --json")
@json_option
def list_(as_json: bool) -> None:
    """List every account link. A link stays when the person's e-mail changes."""
    with opened("accounts") as base:
        found = list_accounts(base.world)
        if as_json:
            for row in found:
                json_line(dict(zip(("system", "person", "account"), row, strict=True)))
        elif found:
            table(("SYSTEM", "PERSON", "ACCOUNT"), found)
        else:
            click.echo("No account links.")


@accounts.command(epilog="Example: access-bot accounts unlink code ana@example.com")
@click.argument("system")
@click.argument("user")
@yes_option
def unlink(system: str, user: str, yes: bool) -> None:
    """Remove a wrong account link.

    The next grant looks USER (Slack id or e-mail) up on SYSTEM again.
    """
    with opened("accounts") as base:
        person = person_named(base.world, user)
        again = f"The next grant looks {person} up on {system} again"
        confirm(f"{again}, and may find another account. Continue?", yes)
        unlinked = unlink_account(base.world, actor(), system, person)
        if isinstance(unlinked, Refused):
            raise Refusal(unlinked.reason)
        click.echo(f"{person} is no longer linked to {unlinked} on {system}.")
