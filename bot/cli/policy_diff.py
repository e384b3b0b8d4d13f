"""Implements `access-bot policy diff`: reports the effect of another roles.toml."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate
from secrets import token_hex
from typing import Any

import click

from bot.app import Services, build_base
from bot.cli.common import json_option, must_exist
from bot.cli.errors import Wrong
from bot.cli.output import clean, json_line, moment, progress, table, utc
from bot.config.logging import configure
from bot.config.roles.without_secrets import policy_without_secrets
from bot.config.settings import load_settings
from bot.connectors import KINDS
from bot.core.durations import BadDuration
from bot.core.model import Source
from bot.core.plurals import counted
from bot.core.policy_replay import Comparison, Effect, Row
from bot.core.time_filters import parse_moment
from bot.operations.policy.compare_policies import Row as Logged
from bot.operations.policy.compare_policies import compare_policies

MARK = "<!-- access-bot policy diff -->"
"""The first line of the Markdown, by which a workflow finds its own comment."""

SHOWN = 100
"""Rows and changes in the table and in the Markdown."""

MOST_MARKDOWN = 25_000
"""Characters of one table in Markdown: GitHub refuses a comment of more than 65,536."""

LONG = 200
"""Columns for a sentence."""


@click.command(epilog="Example: access-bot policy diff new.toml --since 30d --markdown")
@click.argument("new", metavar="NEW.toml", type=click.Path())
@click.option(
    "--since",
    default="90d",
    show_default=True,
    help="First request, in UTC: an age (90d), a day (2026-11-22) or a time (2026-11-22T14:05).",
)
@json_option
@click.option("--markdown", is_flag=True, help="Print Markdown for a pull request.")
@click.pass_context
def diff(ctx: click.Context, new: str, since: str, as_json: bool, markdown: bool) -> None:
    """Compare NEW.toml with the roles.toml of ACCESS_ROLES, by the requests in the audit log.

    A variable of [systems], [oncall] or [tickets] that is not set does not stop it: that table is
    not checked. It needs no Slack and no signing key, and it changes and records nothing.

    Exit code 0: no one gets more. 1: somebody would. 2: could not be compared, in whole or for some
    requests.
    """
    if as_json and markdown:
        raise Wrong("Give --json or --markdown, not both.")
    found = _compared(new, since)
    show: Callable[[Comparison], None] = (
        _as_json if as_json else _as_markdown if markdown else _as_table
    )
    show(found)
    ctx.exit(1 if found.gives_more else 2 if found.is_unsure else 0)


def _compared(new: str, since: str) -> Comparison:
    settings = load_settings()
    old, other = (
        policy_without_secrets(path, settings.environ, KINDS) for path in (settings.roles_path, new)
    )
    try:
        begin = parse_moment(since, int(time.time()), "UTC")
    except BadDuration as error:
        raise Wrong(f"--since: {error}") from None
    with _read_only() as base:
        return compare_policies(base.world, old, other, begin, _watched)


@contextmanager
def _read_only() -> Iterator[Services]:
    """Opens the database without a record: a workflow's account may only read."""
    settings = load_settings()
    configure("WARNING", settings.log_format)
    must_exist(settings.database_url)
    unused = replace(settings, secret_keys=(token_hex(32),))  # nothing is signed
    base = build_base(unused, Source.CLI, only_ending=True)
    try:
        base.db.check_schema()
        yield base
    finally:
        base.db.close()


def _watched(rows: Iterator[Logged], count: int) -> Iterator[Logged]:
    with progress("Comparing", count, rows) as shown:
        yield from shown


def _summary(found: Comparison) -> str:
    parts = [f"{counted(found.compared, 'request')} compared"]
    parts += [f"{found.counts[each]:,} {each}" for each in Effect if found.counts.get(each)]
    if found.left_out:
        parts.append(
            f"not replayed, because the log does not have the facts: {found.left_out:,} renewals,"
            " emergencies or stages"
        )
    return f"{'; '.join(parts)}. {_NEVER}"


_NEVER = "Not replayed: renewals that needed no approval, and approvals in advance."


def _verdict(found: Comparison) -> str:
    if found.gives_more:
        return "Somebody would get more access."
    if found.is_unsure:
        return "It is not known whether somebody would get more access."
    return "No one gets more access."


def _rows(found: Comparison) -> list[Row]:
    """In the order of the effects; within one, those of the most requests first."""
    order = {effect: place for place, effect in enumerate(Effect)}
    return sorted(found.rows.values(), key=lambda row: (order[row.effect], -row.requests))


def _as_table(found: Comparison) -> None:
    click.echo(f"{_verdict(found)} {_summary(found)}")
    if found.changes:
        click.echo()
        changes = [("looser" if each.loosens else "other", str(each)) for each in found.changes]
        table(("IN THE FILE", "CHANGE"), changes[:SHOWN], LONG)
        _left(len(changes), "change")
    if rows := _rows(found):
        click.echo()
        titles = ("REQUESTS WOULD BE", "ROLE", "PERSON", "REQUESTS", "NEWEST", "BECAUSE")
        table(titles, map(_cells, rows[:SHOWN]), LONG)
        _left(len(rows), "row")


def _cells(row: Row) -> tuple[object, ...]:
    newest = f"{row.last} {utc(row.last_at)}"
    return str(row.effect), row.role, row.person.name, row.requests, newest, row.because


def _left(count: int, word: str) -> None:
    if count > SHOWN:
        click.echo(f"and {counted(count - SHOWN, f'more {word}')}")


def _as_json(found: Comparison) -> None:
    rows: list[dict[str, Any]] = [
        {
            "effect": str(row.effect),
            "role": row.role,
            "person": row.person.id,
            "because": row.because,
            "requests": row.requests,
            "last": row.last,
            "last_at": moment(row.last_at),
        }
        for row in _rows(found)
    ]
    json_line(
        {
            "gives_more": found.gives_more,
            "is_unsure": found.is_unsure,
            "compared": found.compared,
            "left_out": found.left_out,
            "counts": {str(effect): count for effect, count in found.counts.items()},
            "changes": [
                {"loosens": each.loosens, "where": each.where, "text": each.text}
                for each in found.changes
            ],
            "rows": rows,
        }
    )


def _as_markdown(found: Comparison) -> None:
    click.echo(f"{MARK}\n### Access: what this pull request changes\n")
    click.echo(f"**{_verdict(found)}** {_summary(found)}")
    _markdown_table(
        ("In the file", "Change"),
        [("**looser**" if each.loosens else "other", _escaped(each)) for each in found.changes],
    )
    _markdown_table(
        ("Requests would be", "Role", "Person", "Requests", "Because"),
        [
            (
                str(row.effect),
                _escaped(row.role),
                _escaped(row.person.name),
                str(row.requests),
                _escaped(row.because),
            )
            for row in _rows(found)
        ],
    )


def _markdown_table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    if not rows:
        return
    click.echo()
    lines = [f"| {' | '.join(cells)} |" for cells in (titles, ("---",) * len(titles), *rows)]
    sizes = accumulate(len(line) + 1 for line in lines)
    shown = [line for line, size in zip(lines, sizes, strict=True) if size <= MOST_MARKDOWN]
    click.echo("\n".join(shown[: SHOWN + 2]))
    if (left := len(lines) - min(len(shown), SHOWN + 2)) > 0:
        click.echo(f"\nand {left:,} more")


def _escaped(text: object) -> str:
    """Plain text in a cell: no markup, no link, and nobody is mentioned."""
    return "".join(_INSTEAD.get(char, char) for char in clean(str(text), LONG))


_INSTEAD = {
    **{char: f"&#{ord(char)};" for char in "\\`*_[]<>|~&:"},
    **{char: f"{char}&#8203;" for char in "@#"},
}
