"""Implements `access-bot panic` and `access-bot resume`: ends and blocks access, and allows it
again."""

import click

from bot.cli.common import actor, confirm, opened, person_known, person_named, yes_option
from bot.cli.errors import Refusal, Wrong
from bot.cli.inline_worker import OVER, end_work, ending_lines
from bot.core.model import GrantState
from bot.core.panic_switch import resume_command
from bot.core.plurals import counted
from bot.core.values import did_you_mean
from bot.operations._unit_of_work import Context
from bot.operations.grants import panic as switch
from bot.operations.grants.list_grants import list_grants

role_option = click.option("--role", help="Only this role.")
user_option = click.option("--user", help="Only this person: Slack id or e-mail.")


@click.command(
    epilog="Example: access-bot panic --role shop-admin. "
    "With both options, all access of the role and all access of the person end."
)
@role_option
@user_option
@yes_option
def panic(role: str | None, user: str | None, yes: bool) -> None:
    """End access now, and block new access until `resume`."""
    with opened("panic", only_ending=True) as base:
        person = person_known(base.world, user) if user else None
        if role:
            _must_be_role(base.world, role)
        what = _what(role, user)
        confirm(
            f"This ends {what} now, and blocks it until `{_resume(role, user)}`. Continue?", yes
        )
        ended = switch.panic(base.world, actor(), role=role, person=person)
        every = list_grants(base.world, 1_000_000)
        ending = [grant for grant in every if grant.state is GrantState.ENDING]
        hit = [
            grant.id
            for grant in ending
            if not (role or person) or grant.role == role or grant.person == person
        ]
        end_work(base, hit)
        click.echo(f"The panic switch is on for {what}; it ended {counted(ended, 'grant')}.")
        left = {g.id for g in list_grants(base.world, 1_000_000) if g.state not in OVER}
        for grant in (grant for grant in hit if grant in left):
            for line in ending_lines(base.world, grant):
                click.echo(line)
        click.echo(f"New access is blocked until: {_resume(role, user)}")


@click.command(epilog="Example: access-bot resume --role shop-admin")
@role_option
@user_option
@yes_option
def resume(role: str | None, user: str | None, yes: bool) -> None:
    """Allow access again after `panic`.

    Give the same options as to `panic`. Access that has ended stays ended.
    """
    with opened("resume", gives=True) as base:
        person, what = person_named(base.world, user) if user else None, _what(role, user)
        confirm(f"This allows {what} to be requested and granted again. Continue?", yes)
        if not switch.resume(base.world, actor(), role=role, person=person):
            on = [f"`{resume_command(each)}`" for each in switch.switches_on(base.world)]
            others = f" To turn off what is on: {', '.join(on)}." if on else ""
            raise Refusal(f"No panic switch is on for {what}: nothing was changed.{others}")
        click.echo(f"The panic switch is off for {what}.")


def _must_be_role(world: Context, role: str) -> None:
    """Raises for an unknown role. A role that was removed from roles.toml may still have grants."""
    known = set(world.policy().roles)
    if role not in known and all(grant.role != role for grant in list_grants(world, 1_000_000)):
        raise Wrong(f"There is no role “{role}”{did_you_mean(role, known)}")


def _what(role: str | None, user: str | None) -> str:
    named = [f"{word} {name}" for word, name in (("role", role), ("user", user)) if name]
    return "all access of " + " and of ".join(named) if named else "all access"


def _resume(role: str | None, user: str | None) -> str:
    return resume_command(("role", role or ""), ("user", user or ""))
