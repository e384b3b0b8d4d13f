"""Implements `access-bot flags`: lists flags, and tries the rules on the past."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict

import click

from bot.cli.common import json_option, limit_option, opened
from bot.cli.errors import Wrong
from bot.cli.output import clean, json_line, moment, progress, table, utc
from bot.config.roles.without_secrets import policy_without_secrets
from bot.config.settings import load_settings
from bot.connectors import KINDS
from bot.core.durations import BadDuration
from bot.core.flags.flag import EXPECTED, REVOKED, Flag
from bot.core.flags.rule import FlagSettings
from bot.core.time_filters import parse_moment
from bot.operations.flags.describe_flags import list_flags
from bot.operations.flags.raise_flags import settings_of
from bot.operations.flags.replay_flags import Replayed, Row, replay_flags

LONG = 200
"""Columns for a sentence."""


@click.group(epilog="Example: access-bot flags list")
def flags() -> None:
    """List flags, and run the rules on past records."""


@flags.command("list", epilog="Example: access-bot flags list --open --json")
@click.option("--open", "only_open", is_flag=True, help="Only flags that wait for an answer.")
@json_option
@limit_option(1000)
def list_(only_open: bool, as_json: bool, limit: int) -> None:
    """List flags with their answers, newest first."""
    with opened("flags") as base:
        found = list_flags(base.world, limit, only_open)
        if as_json:
            for flag in found:
                json_line(_as_json(flag))
        elif not found:
            click.echo("No open flags." if only_open else "No flags.")
        else:
            titles = ("AT", "SEVERITY", "RULE", "ABOUT", "ANSWER", "TIMES", "WHAT")
            table(titles, map(_cells, found), LONG)


def _cells(flag: Flag) -> tuple[str, ...]:
    cells = (utc(flag.at), flag.severity, flag.rule, clean(flag.about, 80), _state(flag))
    return (*cells, str(flag.times), clean(flag.sentence, LONG))


def _state(flag: Flag) -> str:
    if flag.answer:
        return f"{flag.answer} by {flag.answered_by}"
    if flag.joined:
        return f"part of {flag.joined}"
    if flag.quiet:
        return "needs none"
    return f"{flag.investigated_by} investigates" if flag.investigated_by else "open"


def _as_json(flag: Flag) -> dict[str, object]:
    times = ("at", "raised_at", "last_at", "answered_at", "investigated_at")
    fields = {name: value for name, value in asdict(flag).items() if name != "key"}
    return fields | {name: moment(fields[name] or None) for name in times}


@flags.command(epilog="Example: access-bot flags replay --since 30d --roles other.toml")
@click.option(
    "--since",
    default="90d",
    show_default=True,
    help="First record, in UTC: an age (90d), a day (2026-11-22) or a time (2026-11-22T14:05).",
)
@click.option("--roles", type=click.Path(), help="Use [flags] and the timezone of this roles.toml.")
@json_option
def replay(since: str, roles: str | None, as_json: bool) -> None:
    """Run the rules on past records, and show the answers to earlier flags.

    It raises, changes and records nothing.
    """
    chosen = _settings_in(roles) if roles else None
    try:
        begin = parse_moment(since, int(time.time()), "UTC")
    except BadDuration as error:
        raise Wrong(f"--since: {error}") from None
    with opened("flags") as base:
        found = replay_flags(
            base.world, begin, chosen or settings_of(base.world.policy()), _watched
        )
    if as_json:
        for rule in found.rules:
            json_line(_counts(found, rule))
    elif not found.rules:
        click.echo("The rules find nothing.")
    else:
        titles = ("RULE", "WOULD BE FLAGGED", "WAS FLAGGED", "EXPECTED", "REVOKED", "NO ANSWER")
        table(titles, ([str(value) for value in _counts(found, r).values()] for r in found.rules))


def _settings_in(path: str) -> FlagSettings:
    return settings_of(policy_without_secrets(path, load_settings().environ, KINDS))


def _watched(rows: Iterator[Row], count: int) -> Iterable[Row]:
    with progress("Checking", count, rows) as shown:
        yield from shown


def _counts(found: Replayed, rule: str) -> dict[str, object]:
    answers = found.answers.get(rule, Counter())
    return {
        "rule": rule,
        "would_be_flagged": found.count(rule),
        "was_flagged": sum(answers.values()),
        "expected": answers.get(EXPECTED, 0),
        "revoked": answers.get(REVOKED, 0),
        "no_answer": answers.get("", 0),
    }
