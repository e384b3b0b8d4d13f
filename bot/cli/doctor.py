"""Implements `access-bot doctor`: prints the findings of the live checks."""

import click

from bot.config.logging import configure, redact
from bot.doctor import examine


@click.command(epilog="Example: access-bot doctor")
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Check settings, database, Slack and every system, live.

    It checks tokens, scopes, channels and approvers too, and changes nothing.

    Exit code 0: no check failed. 1: a check failed. 2: the configuration is wrong.
    """
    configure("CRITICAL", "text")  # the findings replace the log
    worst = 0
    for finding in examine():
        click.echo(redact(str(finding)))
        worst = max(worst, finding.exit_code)
    ctx.exit(worst)
