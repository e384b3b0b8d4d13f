"""`access-bot usage`: what was really used, minute by minute."""

import click

from bot.cli.common import json_option, limit_option, opened
from bot.cli.plain import json_line, moment, table, utc


@click.group(epilog="Example: access-bot usage list")
def usage() -> None:
    """What was really used."""


@usage.command("list", epilog="Example: access-bot usage list --grant g4k2m9p0q1rs")
@click.option("--grant", help="Only of this grant.")
@json_option
@limit_option(1000)
def list_(grant: str | None, as_json: bool, limit: int) -> None:
    """Checks of tokens by grant, system, source and minute, the newest first."""
    with opened("usage") as base:
        from bot.operations.list_rows import list_usage

        found = list_usage(base.world, grant, limit)
        if as_json:
            for count in found:
                values = count._asdict()
                json_line({**values, "minute": moment(count.minute), "last_at": moment(count.last_at)})
        elif not found:
            click.echo("Nothing was used.")
        else:
            rows = ((c.grant, c.system, c.source, utc(c.minute), c.outcome, c.checks) for c in found)
            table(("GRANT", "SYSTEM", "SOURCE", "MINUTE", "OUTCOME", "CHECKS"), rows)
        if len(found) == limit:
            click.echo(f"These are the newest {limit}; pass --limit for more.", err=True)
