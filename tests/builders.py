"""Small valid objects for tests, in which a test states only what it is about. A builder knows the
product's values and nothing of Slack or of a database."""

from __future__ import annotations

from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.core.roles import Policy
from tests.bot_environment import REPORTS, ROLE_SECRETS, SHOP

SHOP_SECRET, REPORTS_SECRET, ENVIRON = SHOP, REPORTS, ROLE_SECRETS

WORKSPACE = """
[workspace]
approvals_channel = "#access-approvals"
security_channel = "#access-security"
leads = ["@platform-leads"]
timezone = "Europe/Berlin"
"""

SYSTEMS = """
[systems.shop-admin]
connector = "gateway"
secret = "${SHOP_ADMIN_SECRET}"

[systems.reports]
connector = "gateway"
secret = "${REPORTS_SECRET}"
"""

SHOP_URL, REPORTS_URL = "https://shop.example.com", "https://reports.example.com"


def browser_systems(shop: str = SHOP_URL) -> str:
    """SYSTEMS, each at its own address for browsers."""
    shop_admin, reports = SYSTEMS.split("[systems.reports]")
    lines = 'browser = true\nurl = "{}"\n'
    shop_admin, reports = shop_admin + lines.format(shop), reports + lines.format(REPORTS_URL)
    return f"{shop_admin}\n[systems.reports]{reports}"


ROLES = {
    "shop-admin": """
title = "Shop admin, read and refund"
system = "shop-admin"
actions = ["orders:read", "orders:refund"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "4h"
""",
    "shop-deploy": """
title = "Shop, deploy"
system = "shop-admin"
actions = ["deploy:write"]
requesters = ["@engineers"]
approvers = ["@platform-leads", "@sre"]
approvals = 2
max_duration = "4h"
""",
    "reports-read": r"""
title = "Reports, read only"
system = "reports"
actions = ["reports:read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "4h"
ticket = '^[A-Z]+-\d+$'
renewal_approval = true
""",
}


def a_policy(**overrides: str) -> Policy:
    """A small valid policy; `overrides` are more lines of TOML for a role, with _ for - in its
    name:

    `a_policy(shop_admin='max_duration = "30m"')`, or a role of its own: `a_policy(mine='system =
    …')`. A key given again replaces the one above. `workspace` and `systems` replace those parts as
    a whole.
    """
    return parse_policy(policy_text(**overrides), "roles.toml", ENVIRON, KINDS)


def policy_text(workspace: str = WORKSPACE, systems: str = SYSTEMS, **roles: str) -> str:
    """The roles.toml that `a_policy` parses."""
    named = {name.replace("_", "-"): lines for name, lines in roles.items()}
    tables = {
        name: _replaced(ROLES.get(name, ""), named.get(name, "")) for name in {**ROLES, **named}
    }
    return "\n".join(
        [workspace, systems, *(f"[roles.{name}]\n{lines}" for name, lines in tables.items())]
    )


def _replaced(lines: str, more: str) -> str:
    again = {line.partition("=")[0].strip() for line in more.splitlines()}
    kept = [line for line in lines.splitlines() if line.partition("=")[0].strip() not in again]
    return "\n".join([*kept, more])
