"""Warnings about a valid roles.toml that may give too much, and the second approval that high risk
needs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.config.roles.lint import warnings
from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.core.errors import ConfigError, Problem
from bot.core.roles import Policy, System
from tests.builders import ENVIRON, SYSTEMS, WORKSPACE
from tests.builders import policy_text as any_policy_text

STRONG = {"SHOP_ADMIN_SECRET": "Zq3vN8xKw2LrT7hB", "REPORTS_SECRET": "pM5yD9sGc4VfJ6nX"}
HANDLES = f'{WORKSPACE}meant = {{ handle-or-email = "those of the builders are easier to read" }}\n'

LIMITED = 'max_duration = "4h"'
ALL_LIMITED = {"shop_admin": LIMITED, "shop_deploy": LIMITED, "reports_read": LIMITED}


def policy_text(**parts: str) -> str:
    return any_policy_text(workspace=HANDLES, **parts)


def problems(policy: Policy) -> list[Problem]:
    return [each.problem for each in warnings(policy)]


def warnings_of(**roles: str) -> list[str]:
    """The warnings about a roles.toml in which only these lines are unusual."""
    text = policy_text(
        **{name: f"{LIMITED}\n{roles[name]}" if name in roles else LIMITED for name in ALL_LIMITED}
    )
    return [str(each) for each in problems(parse_policy(text, "roles.toml", STRONG, KINDS))]


def test_a_roles_file_without_anything_broad_has_no_warnings() -> None:
    assert warnings_of() == []


ACTIONS = {
    "a wildcard": ("gateway", "orders:*", "wildcard"),
    "everything": ("gateway", "*", "wildcard"),
    "admin": ("gateway", "admin", "administrator"),
    "a scope of admin": ("gateway", "orders:admin", "administrator"),
    "root": ("command", "root", "administrator"),
    "superuser": ("webhook", "superuser", "administrator"),
    "owners": ("github", "owners", "administrator"),
    "all privileges": (
        "postgres",
        "ALL PRIVILEGES ON ALL TABLES IN SCHEMA public",
        "ALL PRIVILEGES",
    ),
    "all, for short": ("postgres", "all on orders", "ALL PRIVILEGES"),
    "a role over everything": ("postgres", "ROLE pg_read_all_data", "for the whole server"),
    "a quoted one": ("postgres", 'role "rds_superuser"', "for the whole server"),
    "to hand on": ("postgres", "SELECT ON orders WITH GRANT OPTION", "grant it to others"),
    "change every table": (
        "postgres",
        "SELECT, UPDATE ON ALL TABLES IN SCHEMA public",
        "every table",
    ),
    "the administrators' set": ("aws", "AdministratorAccess", "nearly everything"),
    "a power user": ("aws", "arn:aws:iam::aws:policy/PowerUserAccess", "nearly everything"),
    "the cluster": ("kubernetes", "cluster-admin", "everything in the cluster"),
    "everybody's group": ("okta", "Everyone", "group of all users"),
    "all, among others": ("postgres", "SELECT, ALL ON orders", "ALL PRIVILEGES"),
    "a mighty role, among others": (
        "postgres",
        "ROLE reporting, pg_write_server_files",
        "for the whole server",
    ),
    "an administrator's role": ("postgres", "ROLE shop_dbadmin", "administrator"),
    "triggers on every table": (
        "postgres",
        "TRIGGER ON ALL TABLES IN SCHEMA public",
        "every table",
    ),
    "in capitals within a name": ("aws", "ProdAdmin", "administrator"),
    "at the beginning of one": ("aws", "AdminAccess", "administrator"),
    "a job of AWS": ("aws", "SystemAdministrator", "administrator"),
    "all of a service": ("aws", "AmazonS3FullAccess", "everything with a service"),
    "several": ("okta", "Super Admins", "administrator"),
    "a team of them": ("github", "admins", "administrator"),
    "all": ("gateway", "orders:ALL", "everything"),
    "full access": ("gateway", "full-access", "everything"),
    "sudo": ("command", "sudo", "administrator"),
    "in two words": ("webhook", "SuperUser", "administrator"),
}
FINE = {
    "a scope": ("gateway", "orders:read"),
    "a word with admin in it": ("gateway", "administration-guide:read"),
    "reading all tables": ("postgres", "SELECT ON ALL TABLES IN SCHEMA public"),
    "changing one table": ("postgres", "SELECT, UPDATE ON orders"),
    "a role of one's own": ("postgres", "ROLE reporting"),
    "a table called all": ("postgres", "SELECT ON all_orders"),
    "a small permission set": ("aws", "ReadOnlyLogs"),
    "a team": ("github", "backend"),
    "an extension": ("ssh", "port-forwarding"),
    "a table called owners": ("postgres", "SELECT ON owners"),
    "a schema called admin": ("postgres", "SELECT ON ALL TABLES IN SCHEMA admin"),
    "statistics": ("postgres", "ROLE pg_monitor"),
    "to look at what is an administrator's": ("gateway", "shop-admin:read"),
    "a word with all in it": ("gateway", "allocations:read"),
    "a word with root in it": ("gateway", "rooted"),
    "all that may be read": ("aws", "ReadOnlyAccess"),
}


@pytest.mark.parametrize(("kind", "action", "words"), ACTIONS.values(), ids=ACTIONS)
def test_a_broad_action_is_told(kind: str, action: str, words: str) -> None:
    assert words in KINDS[kind].broad_action(action)


@pytest.mark.parametrize(("kind", "action"), FINE.values(), ids=FINE)
def test_an_ordinary_action_is_not(kind: str, action: str) -> None:
    assert KINDS[kind].broad_action(action) == ""


ROLES = {
    "a broad action": (
        'actions = ["orders:read", "orders:*"]',
        'shop-admin.actions[1]: "orders:*" is a wildcard',
    ),
    "four days": (
        'max_duration = "4d"\nmax_renewals = 0',
        "shop-admin.max_duration: 4d is long for one grant",
    ),
    "a month with renewals": (
        'max_total = "30d"',
        "shop-admin.max_total: 30d with renewals is nearly permanent",
    ),
    "days that nobody approves": (
        'max_total = "13d"',
        "shop-admin.max_total: 13d with renewals without approval",
    ),
}


@pytest.mark.parametrize(("lines", "words"), ROLES.values(), ids=ROLES)
def test_the_warning_about_a_broad_role_has_file_line_and_key(lines: str, words: str) -> None:
    (warning,) = (
        warnings_of(shop_admin=lines) if "max_duration" not in lines else _with(shop_admin=lines)
    )
    assert warning.startswith("roles.toml:") and words in warning


@pytest.mark.parametrize("lines", ['max_total = "30d"', 'max_total = "13d"'])
def test_a_reason_for_long_access_silences_the_warning(lines: str) -> None:
    assert warnings_of(shop_admin=f'{lines}\nduration_reason = "the migration takes a month"') == []


@pytest.mark.parametrize("lines", ["renewal_approval = true", "max_renewals = 0"])
def test_days_with_renewals_that_somebody_approves_are_not(lines: str) -> None:
    assert warnings_of(shop_admin=f'max_total = "13d"\n{lines}') == []


def _with(**roles: str) -> list[str]:
    text = policy_text(**{**ALL_LIMITED, **roles})
    return [str(each) for each in problems(parse_policy(text, "roles.toml", STRONG, KINDS))]


def test_a_secret_that_the_list_of_processes_would_show_is_told() -> None:
    table = """[systems.lab]
connector = "command"
argv = ["/bin/open", "--token=${LAB_TOKEN}", "$${PLAIN}"]
env = { TOKEN = "${LAB_TOKEN}" }
"""
    text = policy_text(systems=SYSTEMS + table, **dict.fromkeys(ALL_LIMITED, LIMITED))
    (line,) = problems(parse_policy(text, "roles.toml", {**STRONG, "LAB_TOKEN": "hunter22"}, KINDS))
    assert "list of processes" in str(line) and "env" in str(line) and "hunter22" not in str(line)
    assert 'systems.lab.argv[1]: "--token=${LAB_TOKEN}" is visible' in str(line)


def test_a_host_where_one_would_be_root_is_told() -> None:
    text = policy_text(**ALL_LIMITED)
    policy = parse_policy(text, "roles.toml", STRONG, KINDS)
    ssh = System("reports", "ssh", {"principals": ["deploy", "root"]})
    (warning,) = problems(replace(policy, systems={**policy.systems, "reports": ssh}))
    assert (warning.key, warning.text.split(";")[0]) == (
        "roles.reports-read.system",
        "logs in as root on every host of reports",
    )


SYSTEM = '[systems.{}]\nconnector = "ssh"\nca_key = "{}"\nprincipals = {}\n'
OTHER = {
    "the same key and name": ("/ca", '["deploy"]', True),
    "the same key, written otherwise": ("/etc/..//ca", '["reader", "deploy"]', True),
    "the same key": ("/ca", '["reader"]', False),
    "the same name": ("/other", '["deploy"]', False),
    "the same key from elsewhere": ("${CA}", '["deploy"]', True),
}


@pytest.mark.parametrize(("key", "principals", "said"), OTHER.values(), ids=OTHER)
def test_systems_whose_hosts_can_t_tell_them_apart_are_told(
    key: str, principals: str, said: bool
) -> None:
    ssh = SYSTEM.format("web", "/ca", '["deploy"]') + SYSTEM.format("db", key, principals)
    text = f"{policy_text(**ALL_LIMITED)}\n{ssh}"
    found = [
        str(each)
        for each in problems(parse_policy(text, "roles.toml", {**STRONG, "CA": "/ca"}, KINDS))
    ]
    words = (
        "systems.db.principals: it shares its ca_key and a principal with web: a certificate"
        " for one also opens"
    )
    assert len(found) == said and all(words in each for each in found)


def test_root_for_one_command_only_is_not() -> None:
    text = policy_text(**ALL_LIMITED)
    policy = parse_policy(text, "roles.toml", STRONG, KINDS)
    ssh = System("reports", "ssh", {"principals": ["root"], "force_command": "/usr/local/bin/menu"})
    assert problems(replace(policy, systems={**policy.systems, "reports": ssh})) == []


@pytest.mark.parametrize(
    ("namespace", "action", "broad"),
    [(None, "edit", True), ("shop", "edit", False), (None, "view", False)],
)
def test_what_is_much_in_a_namespace_is_told_for_a_whole_cluster(
    namespace: str | None, action: str, broad: bool
) -> None:
    text = policy_text(**{**ALL_LIMITED, "reports_read": f'{LIMITED}\nactions = ["{action}"]'})
    policy = parse_policy(text, "roles.toml", STRONG, KINDS)
    cluster = System("reports", "kubernetes", {"namespace": namespace})
    found = problems(replace(policy, systems={**policy.systems, "reports": cluster}))
    assert ["for the whole cluster" in each.text for each in found] == [True] * broad


def _told_of_a_rule(kind: str, role: str, rule: str) -> list[Problem]:
    text = policy_text(**{**ALL_LIMITED, "shop_admin": f"{LIMITED}\n{role}"})
    text += f"\n[[roles.shop-admin.{kind}]]\n{rule}\n"
    return problems(parse_policy(text, "roles.toml", STRONG, KINDS))


RULES = {
    "everybody, and nobody approves": (
        'requesters = ["everyone"]',
        'name = "short"\nmax_duration = "30m"',
        ["everybody may request it and nobody has to approve"],
    ),
    "some people only": ('requesters = ["everyone"]', 'name = "on call"\nmembers = ["@sre"]', []),
    "some may ask": ('requesters = ["@sre"]', 'name = "short"\nmax_duration = "30m"', []),
    "a high risk": (
        'requesters = ["@sre"]\nrisk = "high"\nrisk_reason = "only they know it"',
        'name = "on call"\nmembers = ["@sre"]',
        ["the risk is high"],
    ),
}


@pytest.mark.parametrize(("role", "rule", "words"), RULES.values(), ids=RULES)
def test_a_rule_under_which_nobody_agrees_is_told(role: str, rule: str, words: list[str]) -> None:
    found = _told_of_a_rule("auto_approve", role, rule)
    assert [each.key for each in found] == ["roles.shop-admin.auto_approve[0]"] * len(words)
    assert all(each.text.startswith(said) for each, said in zip(found, words, strict=True))


HIGH = {
    "one approver": ('risk = "high"', False),
    "one approver, said": ('risk = "high"\napprovals = 1', False),
    "two approvers": ('risk = "high"\napprovals = 2', True),
    "a reason": (
        'risk = "high"\nrisk_reason = "Only the DBAs can judge it, and one is on duty."',
        True,
    ),
    "a reason of nothing": ('risk = "high"\nrisk_reason = ""', False),
    "a medium risk": ('risk = "medium"', True),
}


@pytest.mark.parametrize(("lines", "valid"), HIGH.values(), ids=HIGH)
def test_a_high_risk_needs_two_approvers_or_a_reason(lines: str, valid: bool) -> None:
    text = policy_text(shop_admin=lines)
    if valid:
        role = parse_policy(text, "roles.toml", ENVIRON, KINDS).roles["shop-admin"]
        assert bool(role.risk_reason) == ("risk_reason" in lines)
        return
    with pytest.raises(ConfigError) as caught:
        parse_policy(text, "roles.toml", ENVIRON, KINDS)
    (problem,) = caught.value.problems
    assert problem.key.startswith("roles.shop-admin.risk")


DENIED = {
    "everyone, always": ('members = ["everyone"]', True),
    "all who may ask": ('members = ["@SRE", "@other"]', True),
    "all hours of the week": ('hours = "Mon-Sun 00:00-24:00"', True),
    "some of those who may ask": ('members = ["@other"]', False),
    "everyone, at night": ('members = ["everyone"]\nhours = "Mon-Sun 22:00-06:00"', False),
}


@pytest.mark.parametrize(("rule", "found"), DENIED.values(), ids=DENIED)
def test_a_role_that_nobody_can_get_is_told(rule: str, found: bool) -> None:
    role, rule = 'requesters = ["@sre"]', f'name = "r"\nreason = "No."\n{rule}'
    told = [each.text for each in _told_of_a_rule("deny", role, rule)]
    assert any("nobody can get this role" in text for text in told) is found
