"""Implements `access-bot systems`: lists systems, finds drift, and confirms the new address of a
system."""

from collections.abc import Sequence
from typing import NamedTuple

import click

from bot.app import Services, build_systems
from bot.cli.common import (
    actor,
    confirm,
    json_option,
    limit_option,
    on_terminal,
    opened,
    yes_option,
)
from bot.cli.errors import Refusal, Wrong
from bot.cli.output import clean, json_line, moment, table, utc
from bot.connectors import target_of
from bot.connectors.fan_out import FanOut
from bot.connectors.health import check_all
from bot.core.approval import Refused
from bot.core.drift import EXCESS, Finding, ScanResult
from bot.core.errors import AccessBotError
from bot.core.plurals import counted
from bot.operations.systems.confirm_target import confirm_target as confirm_new_target
from bot.operations.systems.list_systems import SystemView, list_systems
from bot.operations.systems.reconcile import reconcile
from bot.operations.systems.remove_orphan import Removal, ask_removal, record_removed, sentence_of
from bot.worker.inventory import InventoryScan

HEALTH_PATIENCE = 20.0
"""Seconds to wait for the checks of all systems together."""


@click.group(epilog="Example: access-bot systems list")
def systems() -> None:
    """List systems, find drift, and confirm a new address."""


@systems.command("list", epilog="Example: access-bot systems list --json | jq -r .health")
@json_option
@limit_option(1000)
@click.pass_context
def list_(ctx: click.Context, as_json: bool, limit: int) -> None:
    """List the systems of roles.toml, and check each of them live.

    ACTIVE counts grants, and ENDING counts revocations that the system has not confirmed. The last
    error is from the audit log.

    Exit code 0: every system that can be checked is well. 1: a system is unwell.
    """
    with opened("systems") as base:
        found = list_systems(base.world, limit)
        healths = _healths(base, found)
        if as_json:
            for view in found:
                json_line(_as_json(view, healths[view.system.name]))
        elif found:
            titles = ("SYSTEM", "CONNECTOR", "HEALTH", "ACTIVE", "ENDING", "LAST ERROR")
            table(titles, [_cells(view, healths[view.system.name]) for view in found])
        else:
            click.echo("No systems.")
        if len(found) == limit:
            click.echo(f"Showing the first {limit}; pass --limit for more.", err=True)
    ctx.exit(1 if any(health.problem for health in healths.values()) else 0)


class SystemHealth(NamedTuple):
    """`health` is well, unwell, or unchecked where there is no live check."""

    health: str
    problem: str


def _healths(base: Services, found: Sequence[SystemView]) -> dict[str, SystemHealth]:
    known = {view.system.name: view.system for view in found}
    answers = check_all(build_systems(base.world), known, HEALTH_PATIENCE, FanOut())
    return {name: _health(answer) for name, answer in answers.items()}


def _health(answer: list[str] | AccessBotError | None) -> SystemHealth:
    if answer is None:
        return SystemHealth("unchecked", "")
    problem = str(answer) if isinstance(answer, AccessBotError) else "; ".join(answer)
    return SystemHealth("unwell" if problem else "well", problem)


def _cells(view: SystemView, health: SystemHealth) -> tuple[object, ...]:
    error = f"{utc(view.last_error_at)}: {view.last_error}" if view.last_error else "–"
    state = f"{health.health}: {health.problem}" if health.problem else health.health
    system = view.system
    return system.name, system.connector, state, view.active, view.ending, error


def _as_json(view: SystemView, health: SystemHealth) -> dict[str, object]:
    return {
        "system": view.system.name,
        "connector": view.system.connector,
        **health._asdict(),
        "active": view.active,
        "ending": view.ending,
        "last_error": view.last_error or None,
        "last_error_at": moment(view.last_error_at),
    }


@systems.command("confirm-target", epilog="Example: access-bot systems confirm-target orders-db")
@click.argument("system")
@yes_option
def confirm_target(system: str, yes: bool) -> None:
    """Confirm that SYSTEM is the same system at its new address.

    Until then, access granted at the old address stays "ending", because its absence at another
    address proves nothing. If the old system still runs, restore the settings instead until that
    access has ended.
    """
    with opened("systems") as base:
        known = base.world.policy().systems.get(system)
        if known is None:
            raise Wrong(f"There is no system {system} in roles.toml.")
        target = target_of(build_systems(base.world).of(system, known.connector))
        change = f"Access granted on {system} so far will be checked and revoked at its new address"
        confirm(f"{change}. Continue?", yes)
        moved = confirm_new_target(base.world, actor(), system, target)
        if isinstance(moved, Refused):
            raise Refusal(moved.reason)
        click.echo(f"The new address of {system} is confirmed for {counted(moved, 'grant')}.")


@systems.command(epilog="Example: access-bot systems drift || access-bot systems drift --remove")
@click.option("--remove", is_flag=True, help="Ask for each unexpected access, and remove it.")
@yes_option
@json_option
@click.pass_context
def drift(ctx: click.Context, remove: bool, yes: bool, as_json: bool) -> None:
    """Compare the access on every system with the grants.

    It finds access without a grant, access of a grant that has ended, and access that is missing.

    Exit code 0: no drift, or all of it removed. 1: drift. 2: a system could not be checked.
    """
    with opened("systems") as base:
        if remove and not yes and not on_terminal():
            raise Wrong("Confirmation needs a terminal: pass --yes to remove everything.")
        inventory = InventoryScan(base.world, build_systems(base.world))
        seen = inventory.scan()
        found = reconcile(base.world, seen, actor())
        _show(found, seen, as_json)
        left = [each for each in found if not (remove and _removed(base, inventory, each, yes))]
        failed = [one for one in seen if one.problem]
    ctx.exit(1 if left else 2 if failed else 0)


def _show(found: Sequence[Finding], seen: Sequence[ScanResult], as_json: bool) -> None:
    for one in seen:
        if one.problem:
            problem = f"not checked, or not in full: {clean(one.problem, 300)}"
            click.echo(f"{one.system}: {problem}", err=True)
    if as_json:
        names = ("id", "system", "what", "name", "grant", "detail")
        for each in found:
            json_line({name: getattr(each, name) for name in names})
    elif found:
        columns = ("system", "what", "name", "grant", "detail")
        rows = [[getattr(each, column) or "–" for column in columns] for each in found]
        table([column.upper() for column in columns], rows)
    else:
        click.echo(f"No drift on {counted(sum(not one.problem for one in seen), 'system')}.")


def _removed(base: Services, inventory: InventoryScan, finding: Finding, yes: bool) -> bool:
    """Asks for confirmation, removes the access, and returns whether the system confirmed that."""
    what = f"{clean(finding.name or finding.grant)} on {finding.system}"
    if finding.what not in EXCESS or not (yes or click.confirm(f"Remove {what}?", err=True)):
        return False
    asked = ask_removal(base.world, actor(), finding.id)
    if isinstance(asked, Refused):
        click.echo(f"{what}: {asked.reason}", err=True)
        return False
    gone = "no longer known to be there; run `access-bot systems drift` again"
    removal = inventory.remove(finding.id) or Removal(finding, gone)
    record_removed(base.world, removal, actor())
    click.echo(clean(sentence_of(removal), 400), err=bool(removal.error))
    return not removal.error
