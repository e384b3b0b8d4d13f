"""`access-bot usage`: what was really used, at gates minute by minute, and session by session."""

from typing import TYPE_CHECKING

import click

from bot.cli.common import json_option, limit_option, opened
from bot.cli.plain import clean, counted, json_line, moment, table, utc

if TYPE_CHECKING:
    from bot.operations.describe_usage import UsageView
    from storage.sessions import Row
    from storage.usage import Count


@click.group(epilog="Example: access-bot usage list")
def usage() -> None:
    """What was really used."""


@usage.command("list", epilog="Example: access-bot usage list --grant g4k2m9p0q1rs")
@click.option("--grant", help="Only of this grant, with its sums.")
@json_option
@limit_option(1000)
def list_(grant: str | None, as_json: bool, limit: int) -> None:
    """Checks of tokens by grant, system, source and minute, and sessions, the latest first."""
    with opened("usage") as base:
        from bot.operations.describe_usage import describe_usage
        from bot.operations.list_rows import list_usage

        found = list_usage(base.world, grant, limit)
        view = describe_usage(base.world, grant) if grant and not as_json else None
        if as_json:
            for each in found:
                json_line(_as_json(each))
        elif view is not None:
            _sums(view)
        elif not found:
            click.echo("Nothing was used.")
        if found and not as_json:
            table(("GRANT", "SYSTEM", "SOURCE", "MINUTE", "OUTCOME", "CHECKS"), map(_cells, found))
        if len(found) == limit:
            click.echo(f"These are the newest {limit}; pass --limit for more.", err=True)


def _as_json(row: "Count | Row") -> dict[str, object]:
    """A line of what was counted in a minute, or of a session; only the latter has `session`."""
    from storage.usage import Count

    if isinstance(row, Count):
        return {**row._asdict(), "minute": moment(row.minute), "last_at": moment(row.last_at)}
    return {
        "grant": row.grant,
        "system": row.system,
        "source": row.source,
        "session": row.name,
        "opened_at": moment(row.opened_at),
        "closed_at": moment(row.closed_at),
        "outlived": row.outlived,
    }


def _cells(row: "Count | Row") -> tuple[object, ...]:
    from storage.usage import Count

    if isinstance(row, Count):
        return row.grant, row.system, row.source, utc(row.minute), row.outcome, row.checks
    closed = f"closed {utc(row.closed_at)}" if row.closed_at is not None else "open"
    beyond = ", beyond the end" if row.outlived else ""
    told = f"session {clean(row.name, 20)}, {closed}{beyond}"
    return row.grant, row.system, row.source or "–", utc(row.opened_at), told, "–"


def _sums(view: "UsageView") -> None:
    """All of a grant together, then each of its systems."""
    used, grant = view.used, view.grant
    if used.times:
        times = "once" if used.times == 1 else f"{used.times:,} times"
        words = f"used {times}, first {utc(used.first)}, last {utc(used.last)}"
    else:
        silent = f"; {', '.join(used.silent)} told of none" if used.silent else ""
        words = f"not seen in use{silent}" if used.silent or used.glimpsed else "never used"
    click.echo(f"{grant.id} of {grant.person}, {grant.role}: {words}.")
    for system, here in view.systems.items():
        refused = f" ({here.refused:,} refused)" if here.refused else ""
        still = f" ({here.open:,} open)" if here.open else ""
        told = f"{counted(here.allowed, 'check')}{refused}, {counted(here.sessions, 'session')}{still}"
        whence = f", from {', '.join(view.sources[system])}" if view.sources[system] else ""
        click.echo(f"  {system}: {told}{clean(whence, 200)}")
