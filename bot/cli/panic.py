"""`access-bot panic` and `access-bot resume`: the big red switch, and turning it off again."""

from typing import TYPE_CHECKING

import click

from bot.cli.common import Refusal, Wrong, actor, confirm, opened, person_known, person_named, yes_option
from bot.cli.plain import counted

if TYPE_CHECKING:
    from bot.operations._unit import World


@click.command(epilog="Example: access-bot panic --role shop-admin. With both options, everything of either ends.")
@click.option("--role", help="Only this role.")
@click.option("--user", help="Only this person: Slack id or e-mail.")
@yes_option
def panic(role: str | None, user: str | None, yes: bool) -> None:
    """End everything (of a role, of a person) now, and give nothing new of it until `resume`."""
    with opened("panic", only_ending=True) as base:
        from bot.cli.hands import OVER, end_work, ending_lines
        from bot.core.model import GrantState
        from bot.operations.list_rows import list_grants
        from bot.operations.panic import panic as turn_on

        person = person_known(base.world, user) if user else None
        if role:
            _must_be_role(base.world, role)
        confirm(f"This ends {_what(role, user)} now, and nothing new of it is given until `resume`. Go on?", yes)
        ended = turn_on(base.world, actor(), role=role, person=person)
        asked = [g for g in list_grants(base.world, 1_000_000) if g.state is GrantState.ENDING]
        ours = [g.id for g in asked if not (role or person) or g.role == role or g.person == person]
        end_work(base, ours)
        click.echo(f"The panic switch is on for {_what(role, user)}; it ended {counted(ended, 'grant')}.")
        left = {g.id for g in list_grants(base.world, 1_000_000) if g.state not in OVER}
        for line in (line for grant in ours if grant in left for line in ending_lines(base.world, grant)):
            click.echo(line)
        click.echo(f"Nothing new is given until: access-bot resume{_options(role, user)}")


@click.command(epilog="Example: access-bot resume --role shop-admin")
@click.option("--role", help="Only this role.")
@click.option("--user", help="Only this person: Slack id or e-mail.")
@yes_option
def resume(role: str | None, user: str | None, yes: bool) -> None:
    """Turn a panic switch off again; it must be named as it was turned on. What was ended stays ended."""
    with opened("resume") as base:
        from bot.operations.panic import resume as turn_off

        person = person_named(base.world, user) if user else None
        confirm(f"From then on {_what(role, user)} may be asked for and given again. Go on?", yes)
        if not turn_off(base.world, actor(), role=role, person=person):
            raise Refusal(f"No panic switch is on for {_what(role, user)}: nothing was done.")
        click.echo(f"The panic switch is off for {_what(role, user)}.")


def _must_be_role(world: "World", role: str) -> None:
    """A role that roles.toml has no more may still be held."""
    from bot.core.policy_values import did_you_mean
    from bot.operations.list_rows import list_grants

    known = set(world.policy().roles)
    if role not in known and all(grant.role != role for grant in list_grants(world, 1_000_000)):
        raise Wrong(f"There is no role “{role}”{did_you_mean(role, known)}")


def _what(role: str | None, user: str | None) -> str:
    named = [f"{word} {name}" for word, name in (("role", role), ("user", user)) if name]
    return "everything of " + " and of ".join(named) if named else "everything"


def _options(role: str | None, user: str | None) -> str:
    return "".join(f" --{word} {name}" for word, name in (("role", role), ("user", user)) if name)
