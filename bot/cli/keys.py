"""Implements `access-bot keys`: creates signing keys."""

import secrets

import click


@click.group(epilog="Example: access-bot keys new")
def keys() -> None:
    """Create signing keys. They sign access tokens and seal the audit log."""


@keys.command(epilog="Example: echo ACCESS_SECRET_KEYS=$(access-bot keys new) >> .env")
def new() -> None:
    """Print a new signing key.

    To rotate keys, append it to ACCESS_SECRET_KEYS: the last key signs, every key verifies.
    """
    click.echo(secrets.token_urlsafe(32))
