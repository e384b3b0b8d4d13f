"""Implements `access-bot check`: validates roles.toml offline and shows its roles."""

import click

from bot.cli.output import table
from bot.config.roles.lint import warnings
from bot.config.roles.parse import REPORTED, load_policy
from bot.config.settings import load_settings
from bot.connectors import KINDS
from bot.core.authority import tiers_of
from bot.core.durations import format_duration
from bot.core.plurals import counted
from bot.core.roles import Role


@click.command(epilog="Example: ACCESS_ROLES=roles.toml access-bot check")
def check() -> None:
    """Validate roles.toml offline.

    It reports every problem at once. It also warns of access that is broader than necessary, and
    of settings that look strict but are not. Warnings do not change the exit code.
    """
    settings = load_settings()
    policy = load_policy(settings.roles_path, settings.environ, KINDS)
    roles, systems = counted(len(policy.roles), "role"), counted(len(policy.systems), "system")
    click.echo(f"{policy.file} is valid: {roles}, {systems}.")
    table(
        ("ROLE", "SYSTEMS", "REQUESTERS", "APPROVERS", "MAX"),
        (
            (
                role.name,
                ", ".join(role.systems),
                ", ".join(role.requesters),
                _approvers(role),
                format_duration(role.max_duration),
            )
            for role in policy.roles.values()
        ),
    )
    found = warnings(policy)
    for warning in found[:REPORTED]:
        click.echo(f"warning: {warning}")
    if len(found) > REPORTED:
        click.echo(f"and {len(found) - REPORTED} more warnings")


def _approvers(role: Role) -> str:
    """The tiers in the order in which they are asked."""
    return ", then ".join(
        (f"{tier.approvals} of " if tier.approvals > 1 else "") + ", ".join(tier.approvers)
        for tier in tiers_of(role)
    )
