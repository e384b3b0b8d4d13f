"""Reads the settings from the environment and checks that they are complete and safe. It does not
check whether a token works; `access-bot doctor` does.
"""

from __future__ import annotations

import enum
import ipaddress
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from bot.config.secret_files import read_secret
from bot.core.errors import ConfigError, Problem
from bot.core.names import APP, COMMAND

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - only where a platform sets PORT, see _default


class Need(enum.Enum):
    """The needs of a command beyond a database and a roles file."""

    SLACK = "calls Slack"
    EVENTS = "receives events from Slack, over Socket Mode or HTTP"
    EVENTS_IF_SLACK = "receives events from Slack in HTTP mode; needs no Slack if none is set up"
    KEYS = "signs or reads access tokens, or seals what it does in the audit log"


# The needs of each command. `migrate`, `check`, `keys` and `manifest` need nothing.
#
# A command that reads or writes rows needs the keys: every act, reading included, goes into the
# audit log, whose last record is sealed with them. Such a command ignores the variables of Slack
# and of HTTP, so that a broken token never blocks `access-bot panic`.
#
# `web` serves Slack's events only in HTTP mode, and then needs the bot token (it opens modals) and
# the signing secret. In Socket Mode the `worker` holds the socket, and `web` only answers systems
# that check tokens, so it should run without any Slack variable. A bot token without an app token
# means HTTP mode, so that a missing signing secret still prevents the start.
NEEDS: Mapping[str, frozenset[Need]] = {
    "run": frozenset({Need.SLACK, Need.EVENTS, Need.KEYS}),
    "worker": frozenset({Need.SLACK, Need.EVENTS, Need.KEYS}),
    "doctor": frozenset({Need.SLACK, Need.EVENTS, Need.KEYS}),
    "web": frozenset({Need.EVENTS_IF_SLACK, Need.KEYS}),
    "grants": frozenset({Need.KEYS}),
    "requests": frozenset({Need.KEYS}),
    "emergency": frozenset({Need.KEYS}),
    "onboarding": frozenset({Need.KEYS}),
    "reviews": frozenset({Need.KEYS}),
    "policy": frozenset({Need.KEYS}),
    "panic": frozenset({Need.KEYS}),
    "resume": frozenset({Need.KEYS}),
    "audit": frozenset({Need.KEYS}),
    "people": frozenset({Need.KEYS}),
    "backup": frozenset({Need.KEYS}),
    "restore": frozenset({Need.KEYS}),
    "flags": frozenset({Need.KEYS}),
    "usage": frozenset({Need.KEYS}),
    "systems": frozenset({Need.KEYS}),
    "accounts": frozenset({Need.KEYS}),
    "api-tokens": frozenset({Need.KEYS}),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings. Secrets are left out of the repr; texts that are not set are ""."""

    slack_bot_token: str = field(repr=False)
    slack_app_token: str = field(repr=False)
    slack_signing_secret: str = field(repr=False)
    slack_api_url: str
    database_url: str = field(repr=False)
    roles_path: str
    policy_revision: str
    secret_keys: tuple[str, ...] = field(repr=False)
    host: str
    port: int
    command: str
    app_name: str
    log_level: str
    log_format: str
    environ: Mapping[str, str] = field(repr=False)

    @property
    def slack_mode(self) -> Literal["socket", "http"]:
        """`http` when a signing secret is set and no app token is: Slack's events then come over
        HTTP."""
        return "http" if self.slack_signing_secret and not self.slack_app_token else "socket"


def load_settings(
    environ: Mapping[str, str] | None = None,
    dotenv: str | None = ".env",
    need: frozenset[Need] = frozenset(),
) -> Settings:
    """The settings of one process, from the environment (default: this process's) and the file
    `dotenv`.

    The environment overrides the file; `dotenv=None` means no file; an empty value counts as not
    set. A PORT in the environment changes the default of HOST. `need` has the command's needs
    (`NEEDS`). Every secret may also be in a file named by NAME_FILE. `Settings.environ` fills in
    `${NAME}` in roles.toml. Raises ConfigError with every problem, never with a value.
    """
    problems: list[Problem] = []
    given = os.environ if environ is None else environ
    texts = _merged(given, dotenv, problems)
    values: dict[str, Any] = {}
    for name, variable in VARIABLES.items():
        wanted = variable.always or bool(need & variable.looked_at)
        text = _text_of(name, variable, texts, problems) if wanted else ""
        text = text or _default(name, variable, given)
        values[variable.field] = _checked(name, variable, text, problems)
    wrong = {problem.key.removesuffix("_FILE") for problem in problems}
    missing = [each for each, unless in _missing(values, need) if not wrong & unless]
    if missing and dotenv is not None and not Path(dotenv).is_file():
        missing.append(Problem(dotenv, 0, "", _NO_DOTENV))
    problems += missing
    if problems:
        raise ConfigError(problems)
    return Settings(**values, environ=texts)


# --- the source of a value


def _default(name: str, variable: Variable, environ: Mapping[str, str]) -> str:
    """The default of a variable. A hosting platform sets PORT in the environment, and its router
    calls from another machine; a PORT in `.env` is the operator's, and changes nothing else."""
    platform = name == "HOST" and environ.get("PORT", "").strip()
    return ANY_ADDRESS if platform else variable.default


def _merged(
    environ: Mapping[str, str], dotenv: str | None, problems: list[Problem]
) -> dict[str, str]:
    """The environment, and those variables of the file that it sets neither as NAME nor as
    NAME_FILE."""
    given = {name.removesuffix("_FILE") for name, text in environ.items() if text}
    late = {
        name: text
        for name, text in _dotenv(dotenv, problems)
        if name.removesuffix("_FILE") not in given
    }
    return {**late, **{name: text for name, text in environ.items() if text or name not in late}}


def _dotenv(path: str | None, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    if path is None or not Path(path).is_file():
        return
    from dotenv import dotenv_values  # most have no such file

    try:
        # Without interpolation, because a key or a password may hold a dollar sign.
        values = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        problems.append(Problem(path, 0, "", f"can't be read: {reason or 'unknown reason'}"))
        return
    yield from ((name, text) for name, text in values.items() if text is not None)


def _text_of(
    name: str, variable: Variable, texts: Mapping[str, str], problems: list[Problem]
) -> str:
    text, path = texts.get(name, "").strip(), texts.get(f"{name}_FILE", "").strip()
    if not (variable.secret and path):
        return text
    if text:
        problems.append(_problem(name, f"is set, and so is {name}_FILE: set only one of them"))
        return ""
    try:
        return read_secret(path)
    except ValueError as error:
        problems.append(_problem(f"{name}_FILE", f"names a file that can't be used: {error}"))
        return ""


def _problem(name: str, text: str) -> Problem:
    return Problem("environment", 0, name, text)


def _checked(name: str, variable: Variable, text: str, problems: list[Problem]) -> Any:
    try:
        return variable.check(_utf8(text)) if text else variable.unset
    except ValueError as error:
        problems.append(_problem(name, str(error)))
        return variable.unset


def _missing(
    values: Mapping[str, Any], need: frozenset[Need]
) -> Iterator[tuple[Problem, set[str]]]:
    """The problems of missing variables, each with the variables whose own problem already explains
    it."""
    bot, app, signing = (
        values[f"slack_{name}"] for name in ("bot_token", "app_token", "signing_secret")
    )
    http = Need.EVENTS_IF_SLACK in need and not app and (bot or signing)
    if not bot and (Need.SLACK in need or http):
        yield _unset("SLACK_BOT_TOKEN", "the Bot User OAuth Token of the app, xoxb-…")
    if not app and not signing and (Need.EVENTS in need or http):
        hint = "for Socket Mode set SLACK_APP_TOKEN (xapp-…) instead; HTTP mode needs it"
        yield _unset("SLACK_SIGNING_SECRET", hint, "SLACK_APP_TOKEN")
    if not values["secret_keys"] and Need.KEYS in need:
        yield _unset("ACCESS_SECRET_KEYS", _NEW_KEY)


def _unset(name: str, hint: str, *unless: str) -> tuple[Problem, set[str]]:
    return _problem(name, f"is not set: {hint}"), {name, *unless}


# --- checks of values: each returns the value, or raises ValueError. The message never quotes the
# text, which may be a secret

_NO_DOTENV = "is not in this folder: start where it is, or set the variables in the environment"
_NEW_KEY = "`access-bot keys new` prints a good one"
_TOKENS = {
    "xoxb-": "a bot token (SLACK_BOT_TOKEN)",
    "xapp-": "an app token (SLACK_APP_TOKEN)",
    "xoxp-": "a user's token, which the bot does not use",
    "xoxe": "a token with rotation, which a single workspace does not need: turn rotation off",
}
_DATABASES = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"


def _token(prefix: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text.startswith(prefix):
            return _ascii_word(text)
        other = next((what for start, what in _TOKENS.items() if text.startswith(start)), None)
        raise ValueError(f"must begin with {prefix}" + (f"; this is {other}" if other else ""))

    return check


def _utf8(text: str) -> str:
    """Refuses bytes that are not UTF-8: the environment can hold them, but nothing can send or
    store them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8") from None
    return text


def _word(text: str) -> str:
    if not text.isprintable() or any(char.isspace() for char in text):
        raise ValueError("must not hold spaces or control characters")
    return text


def _ascii_word(text: str) -> str:
    """A value for a header, a host name or a URL. The usual mistake is the “…” of an example."""
    if not text.isascii():
        raise ValueError("must be ASCII only: was it copied in full?")
    return _word(text)


def _signing_secret(text: str) -> str:
    if other := next((what for start, what in _TOKENS.items() if text.startswith(start)), None):
        raise ValueError(f"must be the Signing Secret of the app; this is {other}")
    if len(text) < 16:
        raise ValueError("is too short for a Slack signing secret")
    return _ascii_word(text)


def _api_url(text: str) -> str:
    parts = _split(_word(text), "must be a URL like https://slack.com/api/")
    if parts.scheme not in ("https", "http") or not parts.hostname or not text.isascii():
        raise ValueError("must be a URL like https://slack.com/api/")
    if parts.username is not None or parts.query or parts.fragment or "\\" in text:
        raise ValueError("must be a plain URL, without a user, a query or a fragment")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError(
            "must be https: plain http would show the tokens to the network (loopback is exempt)"
        )
    return text.rstrip("/") + "/"


def _split(url: str, problem: str) -> SplitResult:
    """The parts of a URL; urllib's own messages are replaced, because they quote passwords and
    hosts."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # urllib checks the port only when it is read
    except ValueError:
        raise ValueError(problem) from None
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _database_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if "+" in scheme:
        raise ValueError(
            f"names a driver (postgresql+psycopg://), as only SQLAlchemy does: {_DATABASES}"
        )
    if not separator or scheme not in ("sqlite", "postgresql", "postgres"):
        raise ValueError(f"must be {_DATABASES}")
    if scheme == "sqlite" and not rest.removeprefix("/"):
        raise ValueError("names no file: sqlite:///access.db, or sqlite:////var/lib/access.db")
    if scheme == "sqlite" and not rest.startswith("/"):
        raise ValueError("needs three slashes, four for an absolute path: sqlite:///access.db")
    return text if scheme == "sqlite" else _postgres_url(text)


def _postgres_url(text: str) -> str:
    if find_spec("psycopg") is None:
        raise ValueError("needs PostgreSQL's driver: pip install 'access-bot[postgres]'")
    parts = _split(
        _word(text), f"is not a URL ({_DATABASES}); write % and / of a password as %25 and %2F"
    )
    if not parts.path.strip("/"):
        raise ValueError(f"names no database: {_DATABASES}")
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        known = conninfo_to_dict(text)
    except (ProgrammingError, UnicodeDecodeError):  # its own words quote the password
        problem = (
            "is not a connection URI that PostgreSQL's driver accepts: is each parameter after ?"
            " one of libpq's?"
        )
        raise ValueError(problem) from None
    if "options" in known:
        raise ValueError("must not set options: the bot sets its own")
    if not str(known.get("connect_timeout", "1")).isdigit():
        raise ValueError("has a connect_timeout that is not a whole number of seconds")
    return text


def _keys(text: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in text.split(","))
    short = [str(place) for place, key in enumerate(keys, start=1) if len(key) < 32]
    if short:
        named = f"key {short[0]} of {len(keys)} has"
        if len(short) > 1:
            named = f"keys {', '.join(short)} of {len(keys)} have"
        raise ValueError(f"{named} fewer than 32 characters: {_NEW_KEY}")
    return keys


def _revision(text: str) -> str:
    if not text.isprintable() or len(text) > 200:
        raise ValueError("must be one line of at most 200 characters, such as the id of a commit")
    return text


_SLACKS_OWN = re.compile(
    "/(active|archive|away|call|collapse|dm|dnd|expand|feed|help|huddle|invite|join|keys|kick|leave"
    "|me|msg|mute|open|prefs|remind|remove|rename|search|shortcuts|shrug|star|status|topic|who)"
)
"""Commands that Slack keeps for itself (https://slack.com/help/articles/201259356): they would
never reach the bot."""


def _command(text: str) -> str:
    """Slack's rule for commands (https://docs.slack.dev/reference/app-manifest): a slash, then at
    most 31 characters."""
    if not re.fullmatch(r"/[a-z0-9_-]{1,31}", text):
        raise ValueError(
            "must be a slash, then at most 31 small letters a-z, digits, - or _, such as /access"
        )
    if _SLACKS_OWN.fullmatch(text):
        raise ValueError("must not be a command that Slack keeps for itself")
    return text


def _app_name(text: str) -> str:
    """Slack's limit for the name of an app; characters that have a meaning in messages or in `.env`
    are left out."""
    if not text.isprintable() or len(text) > 35 or re.search(r"[<>&*_~`@#|\\$\"']", text):
        raise ValueError(
            "must be one line of at most 35 characters, without quotes and < > & * _ ~ ` @ # | \\ $"
        )
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise ValueError("must be a number from 0 to 65535")
    return int(text)


def _one_of(*known: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        word = next((word for word in known if word.casefold() == text.casefold()), None)
        if word is None:
            raise ValueError(f"must be one of {', '.join(known)}")
        return word

    return check


_KEYED = frozenset({Need.KEYS})
_SERVING = frozenset({Need.SLACK, Need.EVENTS, Need.EVENTS_IF_SLACK})


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: the field it fills, its check, and which commands read it."""

    field: str
    check: Callable[[str], Any]
    default: str = ""
    secret: bool = False  # then NAME_FILE works too
    always: bool = False  # every command reads it, not only those that need one of `looked_at`
    looked_at: frozenset[Need] = _SERVING
    unset: Any = ""


VARIABLES: Mapping[str, Variable] = {
    "SLACK_BOT_TOKEN": Variable("slack_bot_token", _token("xoxb-"), secret=True),
    "SLACK_APP_TOKEN": Variable("slack_app_token", _token("xapp-"), secret=True),
    "SLACK_SIGNING_SECRET": Variable("slack_signing_secret", _signing_secret, secret=True),
    "SLACK_API_URL": Variable("slack_api_url", _api_url, "https://slack.com/api/"),
    "DATABASE_URL": Variable(
        "database_url", _database_url, "sqlite:///access.db", secret=True, always=True
    ),
    "ACCESS_ROLES": Variable("roles_path", str, "roles.toml", always=True),
    "ACCESS_POLICY_REVISION": Variable("policy_revision", _revision),
    "ACCESS_SECRET_KEYS": Variable("secret_keys", _keys, secret=True, looked_at=_KEYED, unset=()),
    "HOST": Variable("host", _ascii_word, "127.0.0.1"),
    "PORT": Variable("port", _port, "3000"),
    "ACCESS_COMMAND": Variable("command", _command, COMMAND, always=True),
    "ACCESS_APP_NAME": Variable("app_name", _app_name, APP, always=True),
    "LOG_LEVEL": Variable(
        "log_level", _one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), "INFO", always=True
    ),
    "LOG_FORMAT": Variable("log_format", _one_of("text", "json"), "text", always=True),
}
