"""Implements `access-bot init`: writes the files that a new bot needs."""

import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click

from bot.cli.errors import Wrong
from bot.cli.first_roles import first_roles
from bot.config.roles.parse import decode_policy
from bot.config.settings import VARIABLES
from bot.connectors import KINDS
from bot.core.durations import BadDuration, find_zone
from bot.core.errors import ConfigError
from bot.core.names import APP, COMMAND, use_names
from bot.slack.manifest import manifest as build_manifest

ROLES, MANIFEST, SETTINGS = "roles.toml", "manifest.json", ".env"

Answers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """One question, also the option `--name`. `check` returns the answer or raises ValueError."""

    name: str
    text: str
    default: str
    check: Callable[[str], str]


def _mode(text: str) -> str:
    if text not in ("socket", "http"):
        raise ValueError("must be socket or http")
    return text


def _url(text: str) -> str:
    build_manifest("http", text)
    return text


def _in_roles(name: str, text: str) -> str:
    """Reads a file with this answer and the defaults for the others."""
    try:
        _read(_defaults() | {name: text})
    except ConfigError as error:
        raise ValueError(error.problems[0].text) from None
    return text


def _read(answers: Answers) -> None:
    decode_policy(first_roles(answers).encode(), ROLES, {"SHOP_ADMIN_SECRET": _new_key()}, KINDS)


def _new_key() -> str:
    return secrets.token_urlsafe(32)


def _time_zone() -> str:
    """The zone of this machine, or UTC."""
    _, _, name = str(Path("/etc/localtime").resolve()).partition("/zoneinfo/")
    try:
        return find_zone(os.environ.get("TZ") or name).key
    except BadDuration:
        return "UTC"


def _checked(name: str) -> Callable[[str], str]:
    return partial(_in_roles, name)


QUESTIONS = (
    Question("mode", "How Slack reaches the bot: socket or http", "socket", _mode),
    Question("url", "Public address of the bot", "https://access.example.com", _url),
    Question("command", "Slash command", COMMAND, VARIABLES["ACCESS_COMMAND"].check),
    Question("app-name", "Name of the app in Slack", APP, VARIABLES["ACCESS_APP_NAME"].check),
    Question(
        "approvals",
        "Channel in which requests are decided",
        "#access-approvals",
        _checked("approvals"),
    ),
    Question(
        "security",
        "Channel for alerts and changes of the rules",
        "#access-security",
        _checked("security"),
    ),
    Question(
        "leads",
        "Leads, who may revoke access and read the log",
        "@platform-leads",
        _checked("leads"),
    ),
    Question("approvers", "Approvers of the first role", "@platform-leads", _checked("approvers")),
    Question("timezone", "Time zone of the team", _time_zone(), _checked("timezone")),
)


def _defaults() -> Answers:
    return {question.name: question.default for question in QUESTIONS}


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for question in reversed(QUESTIONS):
        default = "the leads" if question.name == "approvers" else question.default
        words = f"{question.text}. Default: {default}"
        command = click.option(f"--{question.name}", help=words)(command)
    return command


@click.command(epilog="Example: access-bot init, in an empty folder")
@click.option("--yes", is_flag=True, help="Ask nothing: take the default of every question.")
@_options
def init(yes: bool, **given: str | None) -> None:
    """Write .env, roles.toml and manifest.json for a new bot.

    It asks a few questions, each with a default, writes the files into this folder, and overwrites
    none. The signing key in .env is new, and only your account can read the file.
    """
    _must_be_new()
    answers: Answers = {}
    for question in QUESTIONS:
        if question.name == "url" and answers["mode"] == "socket":
            answers["url"] = ""
            continue
        if question.name == "approvers":
            question = replace(question, default=answers["leads"])
        answers[question.name] = _answer(question, given[question.name.replace("-", "_")], yes)
    _write(
        {
            ROLES: first_roles(answers),
            MANIFEST: _manifest(answers),
            SETTINGS: _settings(answers),
        }
    )
    click.echo(_next_steps(answers))


def _answer(question: Question, given: str | None, yes: bool) -> str:
    def check(text: str) -> str:
        try:
            return question.check(text.strip())
        except ValueError as error:
            raise click.UsageError(str(error)) from None

    if given is not None or yes:
        try:
            return check(question.default if given is None else given)
        except click.UsageError as error:
            raise Wrong(f"--{question.name}: {error.message}") from None
    try:
        answer: str = click.prompt(question.text, default=question.default, value_proc=check)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        advice = "pass --yes to take the defaults, or each answer as an option"
        raise Wrong(f"Questions need a terminal: {advice}. Nothing was written.") from None
    return answer


def _manifest(answers: Answers) -> str:
    use_names(answers["command"], answers["app-name"])
    made = build_manifest("http" if answers["url"] else "socket", answers["url"])
    return json.dumps(made, indent=2) + "\n"


def _settings(answers: Answers) -> str:
    own = "SLACK_SIGNING_SECRET" if answers["url"] else "SLACK_APP_TOKEN"
    found = {
        "SLACK_BOT_TOKEN": "",
        own: "",
        "ACCESS_SECRET_KEYS": _new_key(),
        "ACCESS_COMMAND": answers["command"],
        "ACCESS_APP_NAME": answers["app-name"],
        "SHOP_ADMIN_SECRET": _new_key(),
    }
    unchanged = {"ACCESS_COMMAND": COMMAND, "ACCESS_APP_NAME": APP}
    return "".join(
        f"{name}={text}\n" for name, text in found.items() if unchanged.get(name) != text
    )


# --- the files


def _must_be_new() -> None:
    names = (ROLES, MANIFEST, SETTINGS)
    if taken := [name for name in names if os.path.lexists(name)]:
        advice = "run `access-bot init` in an empty folder"
        raise Wrong(f"{', '.join(taken)}: already there, so nothing was written: {advice}")


def _write(files: Mapping[str, str]) -> None:
    """Writes all files, or none."""
    made: list[str] = []
    try:
        for name, text in files.items():
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            made.append(name)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        for written in made:
            Path(written).unlink(missing_ok=True)
        raise Wrong(f"{name}: can't be written: {error.strerror}; nothing was written") from None


def _next_steps(answers: Answers) -> str:
    if answers["url"]:
        other = "the Signing Secret (Basic Information)"
    else:
        other = "an app-level token with the scope connections:write (xapp-…, Basic Information)"
    channels = " and ".join(dict.fromkeys([answers["approvals"], answers["security"]]))
    return "\n".join(
        [
            "Wrote .env, roles.toml and manifest.json. Next:",
            "1. Make the Slack app: https://api.slack.com/apps, Create New App, From a manifest,",
            "   paste manifest.json, then Install to Workspace.",
            "2. Put into .env: the Bot User OAuth Token (xoxb-…, OAuth & Permissions), and",
            f"   {other}.",
            "3. Edit roles.toml: your system and its roles. `access-bot check` finds mistakes.",
            f"4. Make the channels {channels} if they are new, and type",
            f"   /invite @{answers['app-name']} in each.",
            "5. Run `access-bot doctor`, then `access-bot run`.",
        ]
    )
