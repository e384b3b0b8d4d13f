"""Implements `access-bot people`: pseudonymises people who have left."""

import click

from bot.cli.common import actor, confirm, opened, person_known, yes_option
from bot.cli.errors import Refusal
from bot.core.approval import Refused
from bot.operations.people.pseudonymise_person import pseudonymise_person


@click.group(epilog="Example: access-bot people pseudonymise U024BE7LH")
def people() -> None:
    """Pseudonymise people who have left."""


@people.command(epilog="Example: access-bot people pseudonymise U024BE7LH")
@click.argument("user")
@yes_option
def pseudonymise(user: str, yes: bool) -> None:
    """Replace the name of USER by their Slack id. USER is a Slack id or an e-mail.

    Their account must be deactivated in Slack. The audit log keeps the id.
    """
    with opened("people") as base:
        person = person_known(base.world, user)
        confirm(f"This deletes the name and the e-mail of {person}. Continue?", yes)
        done = pseudonymise_person(base.world, actor(), person)
        if isinstance(done, Refused):
            raise Refusal(done.reason)
        click.echo(f"Lists and messages show {person} instead of a name.")
