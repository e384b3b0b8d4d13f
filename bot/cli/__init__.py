"""Defines the command line: its table of commands, and the exit code of every failure."""

import logging
import os
import sys
from io import TextIOWrapper
from typing import Any

import click

from bot.cli.lazy import LazyCommand, LazyGroup
from bot.config.logging import redact
from bot.core.errors import AccessBotError

log = logging.getLogger(__name__)


class Commands(LazyGroup):
    """Prints every failure as one line on standard error and exits.

    The exit code is 1 for a refusal or nothing to do, 2 for a wrong setting or an unavailable
    service, 130 for an interrupt.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise  # click prints these; a closed pipe (`| head`) needs no message
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(130)
        except AccessBotError as error:
            self._fail(ctx, str(error))
        except Exception as error:
            log.debug("unexpected", exc_info=error)
            name = type(error).__name__
            self._fail(ctx, f"Unexpected {name}: {error} (LOG_LEVEL=DEBUG shows the traceback)")

    def _fail(self, ctx: click.Context, text: str) -> None:
        click.echo(redact(text), err=True)
        ctx.exit(2)


@click.group(
    cls=Commands,
    commands=[
        LazyCommand(name, module, help)
        for name, module, help in (
            ("run", "bot.cli.serve", "Run everything in one process."),
            ("web", "bot.cli.serve", "Run HTTP only: token checks, and Slack events in HTTP mode."),
            ("worker", "bot.cli.serve", "Run everything except HTTP."),
            ("init", "bot.cli.init", "Write .env, roles.toml and manifest.json for a new bot."),
            ("migrate", "bot.cli.migrate", "Bring the database schema up to date."),
            ("check", "bot.cli.check", "Validate roles.toml offline."),
            ("doctor", "bot.cli.doctor", "Check settings, database, Slack and every system, live."),
            ("keys", "bot.cli.keys", "Create signing keys."),
            ("manifest", "bot.cli.manifest", "Print the manifest of the Slack app."),
            ("grants", "bot.cli.grants", "List and revoke access."),
            ("requests", "bot.cli.requests", "List, approve and deny requests."),
            ("emergency", "bot.cli.emergency", "Take a role at once, without Slack."),
            (
                "onboarding",
                "bot.cli.onboarding",
                "List, start, pause, resume and end onboardings.",
            ),
            ("reviews", "bot.cli.reviews", "Start review campaigns, and decide on their items."),
            ("policy", "bot.cli.policy", "Explain a role, and compare two roles.toml."),
            ("panic", "bot.cli.panic", "End access now, and block new access until `resume`."),
            ("resume", "bot.cli.panic", "Allow access again after `panic`."),
            ("people", "bot.cli.people", "Pseudonymise people who have left."),
            ("backup", "bot.cli.backup", "Copy the database into a file while the bot runs."),
            ("restore", "bot.cli.backup", "Put a copy of the database back."),
            ("audit", "bot.cli.audit", "Query, export, verify and archive the audit log."),
            ("evidence", "bot.cli.evidence", "Write a folder of evidence for an auditor."),
            ("usage", "bot.cli.usage", "Show how access was used."),
            ("systems", "bot.cli.systems", "List systems, find drift, and confirm a new address."),
            ("flags", "bot.cli.flags", "List flags, and run the rules on past records."),
            (
                "api-tokens",
                "bot.cli.api_tokens",
                "Let programs request roles in the name of a person.",
            ),
            ("accounts", "bot.cli.accounts", "List and correct account links."),
            ("demo", "bot.cli.demo", "Play a whole lifecycle in a local Slack sandbox."),
            ("sandbox", "bot.cli.demo", "Run the Slack sandbox without a bot."),
        )
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "Example: access-bot grants list. Settings come from the environment and from .env. Exit"
        " codes: 0 done, 1 refused or nothing to do, 2 a setting is wrong or a service unavailable."
    ),
)
@click.version_option(package_name="access-bot", message="access-bot %(version)s")
def cli() -> None:
    """Temporary production access in Slack: people request it, approvers decide, and it ends
    automatically."""


def main() -> None:
    """The entry point of `access-bot` and of `python -m bot`."""
    os.umask(0o077)  # the database holds reasons, people and tokens: no other account may read it
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A name that the terminal lacks must not end a list.
            stream.reconfigure(errors="replace")
    cli(prog_name="access-bot")
