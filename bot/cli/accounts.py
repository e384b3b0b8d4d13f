"""`access-bot accounts`: whom each connected system knows people as, and correcting that."""

import click

from bot.cli.common import Refusal, actor, confirm, json_option, opened, person_named, yes_option
from bot.cli.plain import json_line, table


@click.group(epilog="Example: access-bot accounts list")
def accounts() -> None:
    """Whom connected systems know people as."""


@accounts.command("list", epilog="Example: access-bot accounts list --json")
@json_option
def list_(as_json: bool) -> None:
    """Every account that was found once and is kept since, whatever the person's e-mail becomes."""
    with opened("accounts") as base:
        from bot.operations.keep_pins import list_accounts

        found = list_accounts(base.world)
        if as_json:
            for row in found:
                json_line(dict(zip(("system", "person", "account"), row, strict=True)))
        elif found:
            table(("SYSTEM", "PERSON", "ACCOUNT"), found)
        else:
            click.echo("Nobody is bound to an account.")


@accounts.command(epilog="Example: access-bot accounts unlink code ana@example.com")
@click.argument("system")
@click.argument("user")
@yes_option
def unlink(system: str, user: str, yes: bool) -> None:
    """Undo a wrong binding: USER (Slack id or e-mail) is looked for anew on SYSTEM at the next grant."""
    with opened("accounts") as base:
        from bot.core.approval import Refused
        from bot.operations.keep_pins import unlink_account

        person = person_named(base.world, user)
        confirm(f"{person} will be looked for anew on {system}, and the account may then be another's. Go on?", yes)
        unlinked = unlink_account(base.world, actor(), system, person)
        if isinstance(unlinked, Refused):
            raise Refusal(unlinked.reason)
        click.echo(f"{person} is not bound to {unlinked} on {system} any more.")
