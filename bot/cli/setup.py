"""The verbs for whoever sets the bot up: schema, roles.toml, keys, the Slack app, and a live check of all of it."""

from typing import Literal

import click

from bot.cli.common import Wrong, load
from bot.cli.plain import counted, table
from storage.drivers import load_for


@click.command(epilog="Example: access-bot migrate")
def migrate() -> None:
    """Bring the database's schema up. Safe to repeat, and at the same time as others."""
    url = load("migrate").database_url
    load_for(url)
    from storage.database import Database

    db = Database(url)
    applied = db.migrate()
    db.close()
    click.echo(f"Applied {', '.join(applied)}." if applied else "The schema is up to date.")


@click.command(epilog="Example: ACCESS_ROLES=roles.toml access-bot check")
def check() -> None:
    """Validate roles.toml offline; every problem is told at once.

    It also warns of access that is broader than it may need to be, and of settings that look strict and are open. The
    exit code stays 0 for warnings.
    """
    from bot.connectors import installed, judge
    from bot.core.durations import format_duration
    from bot.core.policy import REPORTED, load_policy
    from bot.core.policy_lint import warnings

    settings = load("check")
    policy = load_policy(settings.roles_path, settings.environ, installed(), judge)
    roles, systems = counted(len(policy.roles), "role"), counted(len(policy.systems), "system")
    click.echo(f"{policy.file} is valid: {roles}, {systems}.")
    table(
        ("ROLE", "SYSTEMS", "REQUESTERS", "APPROVERS", "MAX"),
        (
            (
                role.name,
                ", ".join(role.systems),
                ", ".join(role.requesters),
                (f"{role.approvals} of " if role.approvals > 1 else "") + ", ".join(role.approvers),
                format_duration(role.max_duration),
            )
            for role in policy.roles.values()
        ),
    )
    found = warnings(policy)
    for warning in found[:REPORTED]:
        click.echo(f"warning: {warning}")
    if len(found) > REPORTED:
        click.echo(f"and {len(found) - REPORTED} more warnings")


@click.command(epilog="Example: access-bot doctor")
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Validate tokens, scopes, channels, approvers and the database against the live services.

    Exit code 0 when nothing failed, 1 when something did, 2 when the configuration itself is wrong.
    """
    from bot.doctor import examine
    from bot.logs import configure, redact

    configure("CRITICAL", "text")  # the findings say it all
    worst = 0
    for finding in examine():
        click.echo(redact(str(finding)))
        worst = max(worst, finding.exit_code)
    ctx.exit(worst)


@click.group(epilog="Example: access-bot keys new")
def keys() -> None:
    """Keys that sign access tokens and seal the audit log."""


@keys.command(epilog="Example: echo ACCESS_SECRET_KEYS=$(access-bot keys new) >> .env")
def new() -> None:
    """Print a new signing key. To change keys, add it behind the present ones: the last one signs."""
    import secrets

    click.echo(secrets.token_urlsafe(32))


@click.command(epilog="Example: access-bot manifest --mode http --url https://access.example.com")
@click.option("--mode", type=click.Choice(["socket", "http"]), required=True, help="How Slack reaches the bot.")
@click.option("--url", default="", help="The bot's public address, https://…; needed for http.")
def manifest(mode: Literal["socket", "http"], url: str) -> None:
    """Print the manifest to create the Slack app from (api.slack.com/apps, “From a manifest”)."""
    if mode == "http" and not url.startswith("https://"):
        raise Wrong("HTTP mode needs the bot's public address: pass --url https://…")
    import json

    from bot.slack.manifest import manifest as built

    click.echo(json.dumps(built(mode, url), indent=2))
