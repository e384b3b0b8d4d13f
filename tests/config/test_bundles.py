"""The three companies of docs/onboarding.md: their bundles are valid with realistic roles, and give
no production writing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.core.onboarding import planned
from bot.core.roles import Policy
from tests.builders import SYSTEMS, a_policy

PAGE = Path(__file__).parents[2] / "docs" / "onboarding.md"
EXAMPLES = "\n".join(re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL))


def role(longest: str, more: str = "") -> str:
    return f"""
system = "reports"
actions = ["read"]
requesters = ["@engineers"]
approvers = ["@team-leads"]
max_duration = "{longest}"
max_total = "{longest}"
{more}"""


ROLES = {
    "dashboards": role("2w"),
    "staging_read": role("3d"),
    "staging_write": role("1d"),
    "prod_console_ro": role("24h", "max_renewals = 0"),
    "prod_db_write": role("2h", 'approvals = 2\nrisk = "high"'),
    "deploy_ops": role("12h"),
    "customer_view": role("2h", 'risk = "medium"\nticket = "^ZD-[0-9]+$"'),
    "admin_read": role("1w"),
}


@pytest.fixture(scope="module")
def policy() -> Policy:
    return a_policy(systems=SYSTEMS + EXAMPLES, **ROLES)


PLANS = {
    "product-engineer": [(0, False), (7, True), (28, False)],
    "backend-regulated": [(0, False), (14, True), (30, True)],
    "support-engineer": [(0, False), (14, True), (42, False)],
}


@pytest.mark.parametrize(("name", "days"), PLANS.items(), ids=PLANS)
def test_the_examples_are_plans_of_a_first_month(
    policy: Policy, name: str, days: list[tuple[int, bool]]
) -> None:
    stages = planned(policy.bundles[name])
    assert [(stage.after // 86400, stage.by_mentor) for stage in stages] == days


def test_no_example_gives_production_or_a_role_with_a_ticket(policy: Policy) -> None:
    given = {role for b in policy.bundles.values() for stage in b.stages for role in stage.roles}
    assert given == {"dashboards", "staging-read", "staging-write", "admin-read"}
    assert len(policy.bundles) == 3
