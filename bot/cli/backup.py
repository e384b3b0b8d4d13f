"""Implements `access-bot backup` and `access-bot restore`."""

from pathlib import Path

import click

from bot.app import build_base
from bot.cli.common import actor, confirm, load, opened, yes_option
from bot.cli.errors import Refusal
from bot.cli.output import utc
from bot.core.approval import Refused
from bot.core.model import Source
from bot.core.plurals import counted
from bot.operations.audit.verify_audit import verdict_text
from bot.operations.backups.restore_backup import restore_postgres, restore_sqlite
from bot.operations.backups.write_backup import write_backup

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(epilog="Example: access-bot backup /backups/access-2026-11-29.db")
@click.argument("file", type=FILE)
def backup(file: Path) -> None:
    """Copy the database into a file while the bot runs."""
    with opened("backup") as base:
        digest = write_backup(base.world, actor(), file)
        if isinstance(digest, Refused):
            raise Refusal(digest.reason)
        click.echo(f"The copy is in {file}, SHA-256 {digest}.")
        click.echo("It holds reasons, people and the audit log: keep it like the database.")


@click.command(epilog="Example: access-bot restore /backups/access-2026-11-29.db")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@yes_option
def restore(file: Path, yes: bool) -> None:
    """Put a copy of the database back.

    Stop every process first. All access in the copy ends, because it may have ended since, and
    nothing new is given until `access-bot resume`.
    """
    base = build_base(load("restore"), Source.CLI, only_ending=True)
    confirm(
        f"This replaces the database with the copy in {file} and ends all access in it. Continue?",
        yes,
    )
    restore_into = restore_sqlite if base.db.is_sqlite else restore_postgres
    done = restore_into(base.world, actor(), file)
    if isinstance(done, Refused):
        raise Refusal(done.reason)
    ended, withdrawn = counted(done.ended, "grant"), counted(done.withdrawn, "request")
    click.echo(f"The database is now the copy of {utc(done.copied_at)}.")
    click.echo(f"To end: {ended}. Withdrawn: {withdrawn}. They may have ended since the copy.")
    if done.verdict.broken is None:
        click.echo(verdict_text(done.verdict))
    if done.aside is not None:
        click.echo(f"The previous database is in {done.aside}.")
    click.echo(
        "Start the bot, wait until it has ended that access, and run `access-bot systems drift`."
        " Then allow new access: `access-bot resume`."
    )
    if done.verdict.broken is not None:
        raise Refusal(f"The copy can't be trusted. {verdict_text(done.verdict)}")
