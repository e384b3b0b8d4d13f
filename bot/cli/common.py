"""Provides the parts that commands share: settings, an open database, the operator and
confirmations."""

import getpass
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from bot.app import Services, build_base
from bot.cli.errors import Refusal, Wrong
from bot.config.logging import configure
from bot.config.settings import NEEDS, Settings, load_settings
from bot.core.model import Source
from bot.core.values import classify
from bot.operations._unit_of_work import Context
from bot.operations.people.find_by_email import find_anybody_by_email
from bot.operations.people.record_people import find_person
from bot.operations.process.check_storage import begin_log, refuse_copy
from bot.operations.process.continue_time import newest_record

try:
    import pwd
except ImportError:  # the platform has no account database
    pwd = None  # type: ignore[assignment]

Command = TypeVar("Command", bound=Callable[..., Any])

yes_option = click.option("--yes", is_flag=True, help="Skip the confirmation prompt.")
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line."
)


def limit_option(default: int) -> Callable[[Command], Command]:
    """Declares `--limit N`."""
    bounds = click.IntRange(1, 1_000_000)
    help = "Maximum number of rows."
    return click.option("--limit", type=bounds, default=default, show_default=True, help=help)


def load(command: str) -> Settings:
    """Returns the settings that `command` needs. Raises ConfigError."""
    return load_settings(need=NEEDS.get(command, frozenset()))


@contextmanager
def opened(command: str, *, only_ending: bool = False, gives: bool = False) -> Iterator[Services]:
    """Opens the database for one command. Raises for wrong settings, roles, database or schema.

    With `only_ending`, an invalid roles.toml does not stop a command that only ends access. A
    command that `gives` access is refused on a copy of the database.
    """
    settings = load(command)
    # A command prints its results; the log is for warnings.
    level = "DEBUG" if settings.log_level == "DEBUG" else "WARNING"
    configure(level, settings.log_format)
    base = build_base(settings, Source.CLI, only_ending=only_ending)
    must_exist(settings.database_url)
    base.db.check_schema()
    if gives:
        refuse_copy(base.world)
    begin_log(base.world)
    base.clock.go_on_from(newest_record(base.world))
    try:
        yield base
    finally:
        base.db.close()


def must_exist(url: str) -> None:
    """Refuses a missing SQLite file, because opening it would create an empty one."""
    path = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:") and not path.exists():
        advice = "create it with `access-bot migrate`"
        raise Wrong(f"environment DATABASE_URL: the database {path} does not exist: {advice}")


def actor() -> str:
    """Names the operator in the audit log: `os:` and the account of the process, not $USER."""
    return "os:" + (re.sub(r"[^\w.@-]", "_", _account())[:64] or "unknown")


def _account() -> str:
    if pwd is None:
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's account without a name
        return f"uid-{os.getuid()}"


def on_terminal() -> bool:
    """Returns whether the operator can answer a prompt."""
    return sys.stdin.isatty()


def confirm(question: str, yes: bool) -> None:
    """Returns when the operator answers yes, or `yes` is set."""
    if yes:
        return
    if not on_terminal():
        raise Wrong("Confirmation needs a terminal: pass --yes to skip the prompt.")
    if not click.confirm(question, err=True):
        raise Refusal("Cancelled: nothing was changed.")


def person_known(world: Context, text: str) -> str:
    """Returns the id of a person that the database knows, from a Slack id or an e-mail."""
    person = person_named(world, text)
    if find_person(world, person) is None:
        advice = "Give the id (U…) or the e-mail of a member."
        raise Wrong(f"No member with the Slack id {text} is known. {advice}")
    return person


def person_named(world: Context, text: str) -> str:
    """Returns the id of a person from a Slack id or an e-mail."""
    if classify(text) == "user":
        return text
    if "@" not in text.lstrip("@"):
        raise Wrong(f"“{text}” is not a member: give a Slack id (U…) or an e-mail.")
    if (found := find_anybody_by_email(world, text)) is None:
        advice = "Give a Slack id (U…) or another e-mail."
        raise Wrong(f"No member with the e-mail {text} is known. {advice}")
    return found
