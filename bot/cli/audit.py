"""Implements `access-bot audit`: queries, exports and verifies the audit log."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from bot.cli.common import (
    Command,
    actor,
    confirm,
    json_option,
    limit_option,
    opened,
    person_named,
    yes_option,
)
from bot.cli.errors import Refusal, Wrong
from bot.cli.output import clean, progress, table, utc
from bot.core.approval import Refused
from bot.core.audit import Event, Record
from bot.core.audit_export import json_lines
from bot.core.audit_ocsf import ocsf_lines
from bot.core.plurals import counted
from bot.core.record_lines import lines_of, sentence
from bot.core.time_filters import parse_moment
from bot.core.values import did_you_mean
from bot.operations._unit_of_work import Context
from bot.operations.audit.archive_log import archive_log
from bot.operations.audit.read_audit import Filters, export_audit, export_csv, read_audit
from bot.operations.audit.read_story import read_story
from bot.operations.audit.record_verified import record_verified
from bot.operations.audit.verify_audit import verdict_text, verify_audit
from bot.worker.anchors import outside

Row = TypeVar("Row")

WIDEST_LINE = 400
"""Columns for one line of a story."""

_NAMES = {"user": "person"}
_FILTERS = {
    "user": "Actor or subject: a Slack id, an e-mail, os:NAME, rule:NAME or system.",
    "role": "Name of a role.",
    "system": "Name of a system.",
    "event": "Name of an event, or its beginning: grant:access:ended, grant:access, grant.",
    "request": "Id of a request.",
    "grant": "Id of a grant.",
    "since": "First moment, in UTC: an age (7d), a day (2026-11-22) or a time (2026-11-22T14:05).",
    "until": "Last moment, in the same forms; a day is included as a whole.",
    "text": "Part of a reason; the letters A to Z in either case.",
}


def filter_options(command: Command) -> Command:
    """Declares the filters that `list` and `export` share."""
    for name, help in reversed(_FILTERS.items()):
        command = click.option(f"--{name}", help=help)(command)
    return command


@click.group(epilog="Example: access-bot audit list --user ana@example.com --since 7d")
def audit() -> None:
    """Query, export, verify and archive the audit log."""


@audit.command(
    "list", epilog="Example: access-bot audit list --role shop-admin --event grant --since 7d"
)
@click.argument("id", required=False, metavar="[ID]")
@filter_options
@click.option(
    "--before",
    type=click.IntRange(1, 2**63 - 1),
    help="Only records older than record SEQ: the next page.",
    metavar="SEQ",
)
@json_option
@limit_option(20)
def list_(
    id: str | None, before: int | None, as_json: bool, limit: int, **asked: str | None
) -> None:
    """List one page of records, newest first; with ID, the id of a request or grant, its whole
    story, oldest first. The query itself is recorded."""
    with opened("audit") as base:
        if id is not None:
            return _story(base.world, id, as_json)
        filters = _filters(base.world, asked)
        found = read_audit(base.world, actor(), filters, before, limit + 1)
        if isinstance(found, Refused):
            raise Refusal(found.reason)
        records = found[:limit]
        if as_json:
            for line in json_lines(map(astuple, records), ascii=True):
                click.echo(line, nl=False)
        elif not records:
            click.echo("No audit records match.")
        else:
            _table(records)
        if len(found) > limit:
            click.echo(f"For older records: --before {records[-1].seq}", err=True)
        return None


def _story(world: Context, id: str, as_json: bool) -> None:
    found = read_story(world, actor(), id)
    if isinstance(found, Refused):
        raise Refusal(found.reason)
    if as_json:
        for text in json_lines(map(astuple, found.records), ascii=True):
            click.echo(text, nl=False)
        return
    click.echo(f"Request {found.request}" + (f", grant {found.grant}" if found.grant else ""))

    def name(id: str) -> str:
        return "Access Bot" if id == "system" else found.names.get(id, id)

    for line in lines_of(found.records):
        click.echo(f"{utc(line.at)}  {line.seq}  {clean(sentence(line, name), WIDEST_LINE)}")
        for each in line.more:
            click.echo(f"    {clean(each, WIDEST_LINE)}")
    if found.paths:
        click.echo(f"Paths that were used: access-bot usage list --grant {found.grant}")


@audit.command(
    epilog="Example: access-bot audit export --format csv --since 2026-11-01 > audit.csv"
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv", "ocsf"]),
    default="jsonl",
    show_default=True,
    help="JSON lines (exact), CSV for a spreadsheet, or OCSF events as JSON lines.",
)
@filter_options
def export(form: str, **asked: str | None) -> None:
    """Write every matching record to standard output, oldest first. The export is recorded."""
    with opened("audit") as base:
        filters, out = _filters(base.world, asked), sys.stdout.buffer  # UTF-8 on every terminal
        if form == "csv":
            out.writelines(export_csv(base.world, actor(), filters, _watched))
        else:
            count, rows = export_audit(base.world, actor(), filters)
            lines = ocsf_lines if form == "ocsf" else json_lines
            out.writelines(map(str.encode, lines(_watched(rows, count))))
        out.flush()


@audit.command(epilog="Example: access-bot audit archive /archive/access-2026.zip")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@yes_option
def archive(file: Path, yes: bool) -> None:
    """Move records older than `[retention] log` into FILE.

    FILE is read back and checked before records are deleted. A record in the log stands for them.
    """
    with opened("audit") as base:
        confirm("This deletes old records once they are in FILE. Continue?", yes)
        try:
            with progress("Records", 0, step=1) as bar:
                done = archive_log(base.world, actor(), file, partial(_advance, bar))
        except OSError as error:
            raise Wrong(f"{file} can't be written: {error.strerror}") from None
        if isinstance(done, Refused):
            raise Refusal(done.reason)
        click.echo(
            f"Records {done.first:,} to {done.last:,} are in {file} and no longer in the log."
        )
        click.echo(f"SHA-256 of the records in it: {done.sha256}")


def _advance(bar: Any, done: int, count: int) -> None:
    bar.length, bar.label = max(done, count), counted(count, "record")
    bar.update(done - bar.pos)


@audit.command(epilog="Example: access-bot audit verify || echo 'treat it as an incident'")
def verify() -> None:
    """Verify the whole chain of records, and compare the log with its anchors and the database.

    The verified head is anchored: it goes to the security channel and to the anchor file.

    Exit code 0: intact. 1: broken. 2: could not be checked.
    """
    with opened("audit") as base:
        with progress("Records", 0, step=1) as bar:
            places = outside(base.world)
            verdict = verify_audit(base.world, partial(_advance, bar), places)
        if verdict.broken is not None:
            raise Refusal(verdict_text(verdict))
        if verdict.unchecked:
            raise Wrong(verdict_text(verdict))
        record_verified(base.world, actor(), verdict.records, verdict.head)
        click.echo(verdict_text(verdict))


def _watched(rows: Iterable[Row], count: int) -> Iterator[Row]:
    """Yields the rows, and shows the progress on a terminal."""
    with progress(counted(count, "record"), count, rows) as bar:
        yield from bar


def _filters(world: Context, asked: dict[str, str | None]) -> Filters:
    """Parses the options of `filter_options`. Raises for an unknown value."""
    given = {name: value for name, value in asked.items() if value is not None}
    values: dict[str, Any] = {
        _NAMES.get(name, name): _value(world, name, text) for name, text in given.items()
    }
    return Filters(**values)


def _value(world: Context, name: str, text: str) -> str | int:
    if name == "user":
        is_name = text == "system" or text.startswith(("os:", "rule:"))
        return text if is_name else person_named(world, text)
    if name == "event":
        return _event(text)
    if name in ("since", "until"):
        return parse_moment(text, world.now(), "UTC", closing=name == "until")
    return text


def _event(text: str) -> str:
    if not any(event.startswith(text) for event in Event):
        raise Wrong(f"Unknown event “{text}”{did_you_mean(text, list(Event))}")
    return text


_COLUMNS = ("event", "actor", "subject", "role", "system", "request", "grant", "reason")


def _table(records: list[Record]) -> None:
    table(
        ("SEQ", "AT", *map(str.upper, _COLUMNS)),
        (
            (
                record.seq,
                utc(record.at),
                *(str(getattr(record, column)) or "–" for column in _COLUMNS),
            )
            for record in records
        ),
    )
