"""`access-bot systems`: saying that a system whose settings lead elsewhere now is still the same one."""

import click

from bot.cli.common import Refusal, Wrong, actor, confirm, opened, yes_option
from bot.cli.plain import counted


@click.group(epilog="Example: access-bot systems moved orders-db")
def systems() -> None:
    """The connected systems themselves."""


@systems.command(epilog="Example: access-bot systems moved orders-db")
@click.argument("system")
@yes_option
def moved(system: str, yes: bool) -> None:
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
