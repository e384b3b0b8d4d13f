"""Implements `access-bot usage`: lists token checks by minute, and sessions."""

import click

from bot.cli.common import json_option, limit_option, opened
from bot.cli.output import clean, json_line, moment, table, utc
from bot.core.plurals import counted
from bot.operations.grants.list_grants import Count, Row, list_usage
from bot.operations.usage.describe_usage import (
    PathCount,
    UsageView,
    describe_usage,
    list_paths,
)


@click.group(epilog="Example: access-bot usage list")
def usage() -> None:
    """Show how access was used."""


@usage.command("list", epilog="Example: access-bot usage list --grant g4k2m9p0q1rs")
@click.option("--grant", help="Only this grant, with its totals.")
@json_option
@limit_option(1000)
def list_(grant: str | None, as_json: bool, limit: int) -> None:
    """List token checks and sessions, newest first.

    Checks are counted by grant, system, source and minute. With --grant, the paths follow that a
    system with record = "paths" recorded.
    """
    with opened("usage") as base:
        found = list_usage(base.world, grant, limit)
        view = describe_usage(base.world, grant) if grant and not as_json else None
        if as_json:
            for each in [*found, *(list_paths(base.world, grant) if grant else ())]:
                json_line(_as_json(each))
        elif view is not None:
            _totals(view)
        elif not found:
            click.echo("No usage recorded.")
        if found and not as_json:
            titles = ("GRANT", "SYSTEM", "SOURCE", "MINUTE", "OUTCOME", "HOW", "CHECKS")
            table(titles, map(_cells, found))
        if view is not None and view.paths:
            table(_PATH_TITLES, map(_path_cells, view.paths))
        if len(found) == limit:
            click.echo(f"Showing the newest {limit}; pass --limit for more.", err=True)


def _as_json(row: Count | Row | PathCount) -> dict[str, object]:
    """Returns one minute's count, one session or one path: only a session has `session`, and only
    a path has `path`."""
    if isinstance(row, PathCount):
        times = {"first_at": moment(row.first_at), "last_at": moment(row.last_at)}
        return {**row._asdict(), **times}
    if isinstance(row, Count):
        return {**row._asdict(), "minute": moment(row.minute), "last_at": moment(row.last_at)}
    return {
        "grant": row.grant,
        "system": row.system,
        "source": row.source,
        "session": row.name,
        "opened_at": moment(row.opened_at),
        "closed_at": moment(row.closed_at),
        "used_after_end": row.used_after_end,
    }


def _cells(row: Count | Row) -> tuple[object, ...]:
    if isinstance(row, Count):
        how = row.how or "–"
        return row.grant, row.system, row.source, utc(row.minute), row.outcome, how, row.checks
    closed = f"closed {utc(row.closed_at)}" if row.closed_at is not None else "open"
    late = ", after the end" if row.used_after_end else ""
    session = f"session {clean(row.name, 20)}, {closed}{late}"
    return row.grant, row.system, row.source or "–", utc(row.opened_at), session, "–", "–"


_PATH_TITLES = ("SYSTEM", "METHOD", "PATH", "CHECKS", "REFUSED", "FIRST", "LAST")


def _path_cells(row: PathCount) -> tuple[object, ...]:
    known = (row.method or "–", row.path or "not sent by the proxy")
    return row.system, *known, row.allowed, row.refused, utc(row.first_at), utc(row.last_at)


def _totals(view: UsageView) -> None:
    """Prints the totals of a grant, then those of each of its systems."""
    used, grant = view.used, view.grant
    if used.times:
        times = "once" if used.times == 1 else f"{used.times:,} times"
        words = f"used {times}, first {utc(used.first)}, last {utc(used.last)}"
    elif used.silent:
        verb = "does" if len(used.silent) == 1 else "do"
        words = f"no use seen; {', '.join(used.silent)} {verb} not report usage"
    else:
        words = "no use seen" if used.glimpsed else "never used"
    click.echo(f"{grant.id} of {grant.person}, {grant.role}: {words}.")
    for system, here in view.systems.items():
        refused = f" ({here.refused:,} refused)" if here.refused else ""
        still = f" ({here.open:,} open)" if here.open else ""
        checks, sessions = counted(here.allowed, "check"), counted(here.sessions, "session")
        sources = f", from {', '.join(view.sources[system])}" if view.sources[system] else ""
        click.echo(f"  {system}: {checks}{refused}, {sessions}{still}{clean(sources, 200)}")
