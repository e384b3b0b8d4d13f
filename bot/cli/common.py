"""What the verbs share: settings, an open world, who is asking, and questions before something is done."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from storage.drivers import load_for

if TYPE_CHECKING:
    from bot.app import Base
    from bot.operations._unit import World
    from bot.settings import Settings

Verb = TypeVar("Verb", bound=Callable[..., Any])


class Failure(click.ClickException):
    """One line on standard error, as it is."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.format_message(), file=file, err=True)


class Refusal(Failure):
    """It was refused, or there was nothing to do; nothing was changed."""

    exit_code = 1


class Wrong(Failure):
    """What was asked for, or what is configured, can't be right."""

    exit_code = 2


yes_option = click.option("--yes", is_flag=True, help="Don't ask, do it.")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for scripts.")


def limit_option(default: int) -> Callable[[Verb], Verb]:
    """`--limit N`."""
    bounds = click.IntRange(1, 1_000_000)
    return click.option("--limit", type=bounds, default=default, show_default=True, help="At most so many.")


def load(verb: str) -> "Settings":
    """The settings that `verb` needs. Raises ConfigError."""
    from bot.settings import NEEDS, load_settings

    return load_settings(need=NEEDS.get(verb, frozenset()))


@contextmanager
def opened(verb: str, *, only_ending: bool = False) -> "Iterator[Base]":
    """The world of this database for one verb; raises what is wrong with settings, roles, database or schema. A bad
    roles.toml doesn't stop who only wants to end access."""
    settings = load(verb)
    load_for(settings.database_url)
    from bot.app import build_base
    from bot.core.model import Source
    from bot.logs import configure
    from bot.operations.check_storage import begin_log
    from bot.operations.continue_time import newest_record

    # What a verb has to say it prints; of the log only what is worth a look is left.
    configure("DEBUG" if settings.log_level == "DEBUG" else "WARNING", settings.log_format)
    base = build_base(settings, Source.CLI, only_ending=only_ending)
    must_exist(settings.database_url)
    base.db.check_schema()
    begin_log(base.world)
    base.clock.go_on_from(newest_record(base.world))
    try:
        yield base
    finally:
        base.db.close()


def must_exist(url: str) -> None:
    """Refuses a SQLite file that isn't there, because opening it would make an empty one."""
    if (path := missing_file(url)) is not None:
        raise Wrong(f"environment DATABASE_URL: there is no database {path}: `access-bot migrate` makes one")


def missing_file(url: str) -> Path | None:
    """The SQLite file that this URL names, if it doesn't exist yet."""
    path = Path(url.removeprefix("sqlite:///"))
    return path if url.startswith("sqlite:") and not path.exists() else None


def actor() -> str:
    """How the audit log calls whoever runs this: `os:` and the account of the process, whatever $USER claims."""
    return "os:" + (re.sub(r"[^\w.@-]", "_", _account())[:64] or "unknown")


def _account() -> str:
    import getpass
    import os

    try:
        import pwd
    except ImportError:  # a system without such a database
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's account without a name
        return f"uid-{os.getuid()}"


def on_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def confirm(question: str, yes: bool) -> None:
    """Goes on when the answer is yes, or `yes` was given beforehand."""
    if yes:
        return
    if not on_terminal():
        raise Wrong("There is no terminal to ask on: pass --yes to do it without a question.")
    if not click.confirm(question, err=True):
        raise Refusal("Nothing was done.")


def person_known(world: "World", text: str) -> str:
    """The id of a person given by Slack id or e-mail, whom the bot has seen."""
    from bot.operations.record_people import find_person

    person = person_named(world, text)
    if find_person(world, person) is None:
        raise Wrong(f"Nobody with the Slack id {text} is known here. Give the id (U…) or the e-mail of a member.")
    return person


def person_named(world: "World", text: str) -> str:
    """The id of a person given by Slack id or e-mail."""
    from bot.core.policy import classify
    from bot.operations.find_by_email import find_by_email

    if classify(text) == "user":
        return text
    if "@" not in text.lstrip("@"):
        raise Wrong(f"“{text}” is nobody: give a Slack id (U…) or an e-mail.")
    if (found := find_by_email(world, text)) is None:
        raise Wrong(f"Nobody with the e-mail {text} is known here. Give a Slack id (U…) or another e-mail.")
    return found
