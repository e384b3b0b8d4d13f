"""Implements `access-bot migrate`: brings the database schema up to date."""

import click

from bot.config.settings import load_settings
from bot.operations.process.check_storage import migrate_schema


@click.command(epilog="Example: access-bot migrate")
def migrate() -> None:
    """Bring the database schema up to date. Safe to repeat and to run in parallel."""
    applied = migrate_schema(load_settings().database_url)
    click.echo(f"Applied {', '.join(applied)}." if applied else "The schema is up to date.")
