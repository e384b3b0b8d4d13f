"""`access-bot audit`: the log as a table, as a file, and whether it is whole. That somebody looked is in it too."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bot.cli.common import Refusal, Verb, Wrong, actor, json_option, limit_option, opened, person_named
from bot.cli.plain import table, utc

if TYPE_CHECKING:
    from bot.core.audit import Record
    from bot.operations._unit import World
    from storage.audit import Filters

Row = TypeVar("Row")

STEP = 5000
"""Rows between two words on progress."""

_NAMES = {"user": "person"}
_FILTERS = {
    "user": "Who did it, or whom it was done to: Slack id, e-mail, os:NAME, rule:NAME or system.",
    "role": "Only of this role.",
    "system": "Only on this system.",
    "event": "Only this event, or all that begin like it: grant:access:ended, grant:access, grant.",
    "request": "Only of this request.",
    "grant": "Only of this grant.",
    "since": "From then on: how long ago (7d), a day (2026-11-22) or a time (2026-11-22T14:05), in UTC.",
    "until": "Until then; a day is included.",
}


def filter_options(verb: Verb) -> Verb:
    """The filters that `list` and `export` have in common."""
    for name, help in reversed(_FILTERS.items()):
        verb = click.option(f"--{name}", help=help)(verb)
    return verb


@click.group(epilog="Example: access-bot audit list --user ana@example.com --since 7d")
def audit() -> None:
    """The audit log: query, export, check."""


@audit.command("list", epilog="Example: access-bot audit list --role shop-admin --event grant --since 7d")
@filter_options
@click.option(
    "--before", type=click.IntRange(1, 2**63 - 1), help="Only records older than the one of this SEQ: the next page."
)
@json_option
@limit_option(20)
def list_(before: int | None, as_json: bool, limit: int, **asked: str | None) -> None:
    """One page of records, the newest first."""
    with opened("audit") as base:
        from bot.core.approval import Refused
        from bot.core.export import json_lines
        from bot.operations.read_audit import read_audit

        found = read_audit(base.world, actor(), _filters(base.world, asked), before, limit + 1)
        if isinstance(found, Refused):
            raise Refusal(found.reason)
        records = found[:limit]
        if as_json:
            for line in json_lines(map(astuple, records)):
                click.echo(line, nl=False)
        elif not records:
            click.echo("No audit records match.")
        else:
            _table(records)
        if len(found) > limit:
            click.echo(f"There are older ones: --before {records[-1].seq}", err=True)


@audit.command(epilog="Example: access-bot audit export --format csv --since 2026-11-01 > audit.csv")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@filter_options
def export(form: str, **asked: str | None) -> None:
    """Every matching record to standard output, the oldest first."""
    with opened("audit") as base:
        from bot.core.export import json_lines
        from bot.operations.read_audit import export_audit, export_csv

        filters, out = _filters(base.world, asked), sys.stdout.buffer  # always UTF-8, whatever the terminal speaks
        if form == "csv":
            out.writelines(export_csv(base.world, actor(), filters, _counted))
        else:
            count, rows = export_audit(base.world, actor(), filters)
            out.writelines(map(str.encode, json_lines(_counted(rows, count))))
        out.flush()


@audit.command(epilog="Example: access-bot audit verify || echo 'treat it as an incident'")
def verify() -> None:
    """Check the whole log, and that it tells what the database holds.

    Exit code 0 intact, 1 broken, 2 could not be checked.
    """
    with opened("audit") as base:
        from bot.operations.record_verified import record_verified
        from bot.operations.verify_audit import said, verify_audit

        watched = sys.stderr.isatty()
        verdict = verify_audit(base.world, _say_progress if watched else None)
        click.echo("", err=True, nl=watched)
        if verdict.broken is not None:
            raise Refusal(said(verdict))
        if verdict.unchecked:
            raise Wrong(said(verdict))
        record_verified(base.world, actor(), verdict.records)
        click.echo(said(verdict))


def _counted(rows: Iterable[Row], count: int) -> Iterator[Row]:
    """The rows, with progress told on a terminal."""
    if not sys.stderr.isatty():
        yield from rows
        return
    done, rows = 0, iter(rows)
    while batch := list(islice(rows, STEP)):
        yield from batch
        done += len(batch)
        _say_progress(done, count)
    click.echo(err=True)


def _say_progress(done: int, count: int) -> None:
    click.echo(f"\r{done:,} of {max(done, count):,} records", err=True, nl=False)


def _filters(world: "World", asked: dict[str, str | None]) -> "Filters":
    """What was asked for as filters; raises for what can't be meant."""
    from bot.operations.read_audit import Filters

    given = {name: value for name, value in asked.items() if value is not None}
    read: dict[str, Any] = {_NAMES.get(name, name): _read(world, name, value) for name, value in given.items()}
    return Filters(**read)


def _read(world: "World", name: str, value: str) -> str | int:
    from bot.core.moments import parse_moment

    if name == "user":
        return value if value == "system" or value.startswith(("os:", "rule:")) else person_named(world, value)
    if name == "event":
        return _event(value)
    if name in ("since", "until"):
        return parse_moment(value, world.now(), "UTC", closing=name == "until")
    return value


def _event(value: str) -> str:
    from bot.core.audit import Event
    from bot.core.policy_values import did_you_mean

    if not any(event.startswith(value) for event in Event):
        raise Wrong(f"No event is called “{value}”, nor begins like that{did_you_mean(value, list(Event))}")
    return value


def _table(records: "list[Record]") -> None:
    table(
        ("SEQ", "AT", "EVENT", "ACTOR", "SUBJECT", "ROLE", "SYSTEM", "REQUEST", "GRANT", "REASON"),
        (
            (
                record.seq,
                utc(record.at),
                *(
                    str(value) or "–"
                    for value in (
                        record.event,
                        record.actor,
                        record.subject,
                        record.role,
                        record.system,
                        record.request,
                        record.grant,
                        record.reason,
                    )
                ),
            )
            for record in records
        ),
    )
