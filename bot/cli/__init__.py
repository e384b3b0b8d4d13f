"""The command line: the table of verbs, and what every failure of theirs becomes. Nothing of the product is imported
here, nor while the verbs are declared, so that `--help` answers at once.
"""

import os
import sys
from io import TextIOWrapper
from typing import Any

import click

from bot.cli import accounts, audit, demo, grants, panic, requests, serving, setup, systems, usage
from bot.core.errors import AccessBotError


class Verbs(click.Group):
    """Turns every failure into one line on standard error and an exit code: 1 refused or nothing done, 2 something is
    missing, wrong or out of reach, 130 interrupted."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise  # click says these itself; a closed pipe (`| head`) needs no words
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(130)
        except AccessBotError as error:
            self._fail(ctx, str(error))
        except Exception as error:
            self._fail(ctx, f"Unexpected {type(error).__name__}: {error} (LOG_LEVEL=DEBUG shows where)", error)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the table

    def _fail(self, ctx: click.Context, text: str, bug: Exception | None = None) -> None:
        import logging

        from bot.logs import redact

        logging.getLogger(__name__).debug("unexpected", exc_info=bug)
        click.echo(redact(text), err=True)
        ctx.exit(2)


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: access-bot grants list. Settings come from the environment and from .env. "
    "Exit codes: 0 done, 1 refused or nothing done, 2 something is missing or wrong.",
)
@click.version_option(package_name="access-bot", message="access-bot %(version)s")
def cli() -> None:
    """Temporary production access over Slack: ask, approve, and it ends by itself."""


for verb in (
    serving.run,
    serving.web,
    serving.worker,
    setup.migrate,
    setup.check,
    setup.doctor,
    setup.keys,
    setup.manifest,
    grants.grants,
    requests.requests,
    panic.panic,
    panic.resume,
    audit.audit,
    usage.usage,
    systems.systems,
    accounts.accounts,
    demo.demo,
    demo.sandbox,
):
    cli.add_command(verb)


def main() -> None:
    """The entry point of `access-bot` and of `python -m bot`."""
    os.umask(0o077)  # the database has reasons, people and tokens in it: no other account may read it
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that can't show a name must not hide the list
    cli(prog_name="access-bot")
