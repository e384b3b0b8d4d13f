"""`access-bot systems`: compares the connected systems with the grants, and confirms a system's new address."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bot.cli.common import Refusal, Wrong, actor, confirm, json_option, on_terminal, opened, yes_option
from bot.cli.plain import clean, counted, json_line, table

if TYPE_CHECKING:
    from bot.app import Base
    from bot.core.findings import Finding, Seen
    from bot.survey import Survey


@click.group(epilog="Example: access-bot systems drift")
def systems() -> None:
    """The connected systems themselves."""


@systems.command("confirm-target", epilog="Example: access-bot systems confirm-target orders-db")
@click.argument("system")
@yes_option
def confirm_target(system: str, yes: bool) -> None:
    """Say that SYSTEM is the same one at its new place, so that ends there count.

    Access that was made where its settings led before stays "ending" until then: what is not found elsewhere has not
    ended. If the old one still runs, put the settings back instead until it has ended there.
    """
    with opened("systems") as base:
        from bot.app import build_systems
        from bot.connectors import target_of
        from bot.core.approval import Refused
        from bot.operations.confirm_move import confirm_move

        known = base.world.policy().systems.get(system)
        if known is None:
            raise Wrong(f"There is no system {system} in roles.toml.")
        target = target_of(build_systems(base.world).of(system, known.connector))
        confirm(f"What was made on {system} before will be ended, and looked for, where it leads now. Go on?", yes)
        told = confirm_move(base.world, actor(), system, target)
        if isinstance(told, Refused):
            raise Refusal(told.reason)
        click.echo(f"{system} is the same system at its new place, for {counted(told, 'grant')}.")


@systems.command(epilog="Example: access-bot systems drift || access-bot systems drift --remove")
@click.option("--remove", is_flag=True, help="Ask for each thing that should not be there, and remove it.")
@yes_option
@json_option
@click.pass_context
def drift(ctx: click.Context, remove: bool, yes: bool, as_json: bool) -> None:
    """Ask every system what is there: what has ended and still is, what no grant says, what is missing.

    Exit code 0 nothing found (or all of it removed), 1 something found, 2 some system could not be asked.
    """
    with opened("systems") as base:
        from bot.app import build_systems
        from bot.operations.reconcile import reconcile
        from bot.survey import Survey

        if remove and not yes and not on_terminal():
            raise Wrong("There is no terminal to ask on: pass --yes to remove it all without a question.")
        survey = Survey(base.world, build_systems(base.world))
        seen = survey.look()
        found = reconcile(base.world, seen, actor())
        _show(found, seen, as_json)
        left = [each for each in found if not (remove and _removed(base, survey, each, yes))]
        unasked = [one for one in seen if one.problem]
    ctx.exit(1 if left else 2 if unasked else 0)


def _show(found: "Sequence[Finding]", seen: "Sequence[Seen]", as_json: bool) -> None:
    for one in seen:
        if one.problem:
            click.echo(f"{one.system} could not be asked, or not in full: {clean(one.problem, 300)}", err=True)
    if as_json:
        for each in found:
            json_line({name: getattr(each, name) for name in ("id", "system", "what", "name", "grant", "detail")})
    elif found:
        rows = [(each.system, each.what, each.name or "–", each.grant or "–", each.detail or "–") for each in found]
        table(("SYSTEM", "WHAT", "NAME", "GRANT", "DETAIL"), rows)
    else:
        click.echo(f"Nothing was found on {counted(sum(not one.problem for one in seen), 'system')}.")


def _removed(base: "Base", survey: "Survey", finding: "Finding", yes: bool) -> bool:
    """Whether it is gone: asked for, confirmed, and read back."""
    from bot.core.approval import Refused
    from bot.core.findings import EXCESS
    from bot.operations.remove_found import Removal, ask_removal, record_removed, said

    what = f"{clean(finding.name or finding.grant)} on {finding.system}"
    if finding.what not in EXCESS or not (yes or click.confirm(f"Remove {what}?", err=True)):
        return False
    asked = ask_removal(base.world, actor(), finding.id)
    if isinstance(asked, Refused):
        click.echo(f"{what}: {asked.reason}", err=True)
        return False
    removal = survey.remove(finding.id) or Removal(finding, "it is not known to be there any more: look again")
    record_removed(base.world, removal, actor())
    click.echo(clean(said(removal), 400), err=bool(removal.error))
    return not removal.error
