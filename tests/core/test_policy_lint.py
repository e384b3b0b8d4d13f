"""The warnings of `access-bot check`, each with a case that is just not one, and how a file accepts
them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.config.roles.lint import LONG, MANY_RENEWALS, NOT_NEEDED, PolicyWarning, warnings
from bot.config.roles.parse import parse_policy
from bot.config.roles.values import WARNINGS
from bot.connectors import KINDS
from bot.core.errors import ConfigError

ROOT = Path(__file__).parents[2]
STRONG = {"SHOP_ADMIN_SECRET": "Zq3vN8xKw2LrT7hB", "REPORTS_SECRET": "pM5yD9sGc4VfJ6nX"}
WORKSPACE = """[workspace]
approvals_channel = "#access-approvals"
security_channel = "#access-security"
leads = ["S0LEADS"]
"""
SYSTEMS = """[systems.shop]
connector = "gateway"
secret = "${SHOP_ADMIN_SECRET}"
"""
ROLE = """[roles.refund]
system = "shop"
actions = ["orders:refund"]
requesters = ["S0ENGINEERS"]
approvers = ["S0LEADS", "S0DBLEADS"]
"""
OTHER = """[roles.other]
system = "shop"
actions = ["orders:read"]
requesters = ["S0ENGINEERS"]
approvers = ["S0LEADS", "S0DBLEADS"]
"""
SSH = '[systems.bastion]\nconnector = "ssh"\nca_key = "/ca"\nprincipals = ["deploy"]\n'
HOOK = (
    '[systems.hook]\nconnector = "webhook"\nurl = "https://example.com/a"\nsecret ='
    ' "${HOOK_SECRET}"\n'
)
BROWSERS = (
    'browser = true\nurl = "https://one.example.com"\n[systems.stock]\nconnector = "gateway"\n'
    'secret = "${{HOOK_SECRET}}"\nbrowser = true\nurl = "{}"'
)
LAB = '[systems.lab]\nconnector = "command"\nargv = ["/lab"]\n'
POSTGRES = '[systems.db]\nconnector = "postgres"\nurl = "${URL}"\n'
ENVIRON = {**STRONG, "HOOK_SECRET": "w8Rk2Tq7Lz5Vb9Nc", "URL": "postgresql://bot:hunter2@db/orders"}


def file(*lines: str, workspace: str = WORKSPACE, systems: str = SYSTEMS, role: str = ROLE) -> str:
    """A roles.toml without any warning, and these lines at its end. A key given again replaces the
    one above."""
    return _merged(workspace) + _merged(systems) + _merged(role) + "\n".join(lines)


def _merged(table: str) -> str:
    """The table in which the last of several lines for a key counts."""
    kept: dict[str, str] = {}
    for number, line in enumerate(table.splitlines()):
        key = (
            line.partition("=")[0].strip()
            if "=" in line and not line.startswith("[")
            else f"{number}"
        )
        section = sum(each.startswith("[") for each in table.splitlines()[: number + 1])
        kept[f"{section} {key}"] = line
    return "\n".join(kept.values()) + "\n"


def found(text: str, environ: dict[str, str] | None = None) -> list[PolicyWarning]:
    return warnings(
        parse_policy(text, "roles.toml", ENVIRON if environ is None else environ, KINDS)
    )


def names(text: str, environ: dict[str, str] | None = None) -> list[str]:
    return [each.name for each in found(text, environ)]


def test_the_file_of_these_tests_is_told_nothing() -> None:
    assert found(file()) == []


def test_the_example_is_told_nothing() -> None:
    assert found((ROOT / "roles.toml").read_text(), STRONG) == []


OPEN: dict[str, tuple[str, str, str]] = {
    "approvers who are the requesters": (
        "approvers-are-requesters",
        file(
            role=ROLE
            + 'requesters = ["S0DBLEADS", "S0OTHERS"]\napprovers = ["S0OTHERS", "S0DBLEADS"]'
        ),
        file(role=ROLE + 'requesters = ["S0DBLEADS", "S0OTHERS"]\napprovers = ["S0DBLEADS"]'),
    ),
    "an approver named twice": (
        "approver-twice",
        file(role=ROLE + 'approvers = ["U1A", "S0DBLEADS", "U1A"]'),
        file(role=ROLE + 'approvers = ["U1A", "S0DBLEADS", "U1B"]'),
    ),
    "everyone beside a group": (
        "everyone-and-others",
        file(role=ROLE + 'requesters = ["everyone", "S0ENGINEERS"]'),
        file(role=ROLE + 'requesters = ["everyone"]'),
    ),
    "a ticket that may be anything": (
        "weak-ticket",
        file(role=ROLE + "ticket = '.+'"),
        file(role=ROLE + "ticket = '[A-Z]+-\\d+'"),
    ),
    "a ticket that asks for nothing much": (
        "weak-ticket",
        file(role=ROLE + "ticket = '[A-Za-z]+'"),
        file(role=ROLE + "ticket = '#\\d+'"),
    ),
    "one ticket for everything": (
        "weak-ticket",
        file(role=ROLE + "ticket = '^OPS-1$'"),
        file(role=ROLE + "ticket = '^OPS-\\d+$'"),
    ),
    "a reason of one word": (
        "one-word-reason",
        file(role=ROLE + 'risk = "high"\nrisk_reason = "necessary"'),
        file(role=ROLE + 'risk = "high"\nrisk_reason = "Only the DBAs can judge it."'),
    ),
    "many renewals that nobody approves": (
        "many-renewals",
        file(role=ROLE + "max_renewals = 6"),
        file(role=ROLE + "max_renewals = 6\nrenewal_approval = true"),
    ),
    "a few renewals": (
        "many-renewals",
        file(role=ROLE + "max_renewals = 20"),
        file(role=ROLE + "max_renewals = 5"),
    ),
    "another role that needs fewer": (
        "weaker-role",
        file(OTHER + "approvals = 1", role=ROLE + 'approvals = 2\nactions = ["orders:read", "x"]'),
        file(OTHER.replace("orders:read", "y") + "approvals = 1", role=ROLE + "approvals = 2"),
    ),
    "another role without a ticket": (
        "weaker-role",
        file(OTHER.replace("read", "refund"), role=ROLE + "ticket = '[A-Z]+-\\d+'"),
        file(
            OTHER.replace("read", "refund") + "ticket = '#\\d+'",
            role=ROLE + "ticket = '[A-Z]+-\\d+'",
        ),
    ),
    "another role that more decide": (
        "weaker-role",
        file(OTHER.replace("read", "refund").replace('"S0DBLEADS"]', '"S0DBLEADS", "S0SRE"]')),
        file(OTHER.replace("read", "refund").replace('"S0DBLEADS"]', '"S0SRE"]')),
    ),
    "another name of the same database": (
        "weaker-role",
        file(
            OTHER.replace("shop", "db2").replace("orders:read", "SELECT  ON Orders"),
            systems=SYSTEMS + POSTGRES + POSTGRES.replace("db]", "db2]"),
            role=ROLE + 'approvals = 2\nsystem = "db"\nactions = ["select on orders"]',
        ),
        file(
            OTHER.replace("shop", "db2").replace("orders:read", "SELECT ON orders"),
            systems=SYSTEMS
            + POSTGRES
            + POSTGRES.replace("db]", "db2]").replace("${URL}", "postgresql://db2/orders"),
            role=ROLE + 'approvals = 2\nsystem = "db"\nactions = ["SELECT ON orders"]',
        ),
    ),
    "the same access without actions": (
        "weaker-role",
        file(
            OTHER.replace("shop", "bastion").replace('["orders:read"]', "[]"),
            systems=SYSTEMS + SSH,
            role=ROLE + 'approvals = 2\nsystem = "bastion"\nactions = []',
        ),
        file(
            OTHER.replace("shop", "bastion").replace('["orders:read"]', '["pty"]'),
            systems=SYSTEMS + SSH,
            role=ROLE + 'approvals = 2\nsystem = "bastion"\nactions = []',
        ),
    ),
    "approvals in everybody's channel": (
        "public-channel",
        file(workspace=WORKSPACE + 'approvals_channel = "#general"'),
        file(workspace=WORKSPACE + 'approvals_channel = "#general-access"'),
    ),
    "warnings in everybody's channel": (
        "public-channel",
        file(workspace=WORKSPACE + 'security_channel = "#general"'),
        file(workspace=WORKSPACE + 'security_channel = "#security"'),
    ),
    "a role decided in everybody's channel": (
        "public-channel",
        file(role=ROLE + 'channel = "#random"'),
        file(role=ROLE + 'channel = "#db-approvals"'),
    ),
    "one channel for both": (
        "same-channel",
        file(workspace=WORKSPACE + 'security_channel = "#access-approvals"'),
        file(workspace=WORKSPACE + 'security_channel = "#access-approval"'),
    ),
    "a role decided in the security channel": (
        "same-channel",
        file(role=ROLE + 'channel = "#access-security"'),
        file(role=ROLE + 'channel = "#access-approvals"'),
    ),
    "leads who may ask": (
        "leads-may-ask",
        file(role=ROLE + 'requesters = ["S0LEADS"]'),
        file(role=ROLE + 'requesters = ["everyone"]'),
    ),
    "a secret in the file": (
        "secret-in-file",
        file(systems=SYSTEMS + 'secret = "Zq3vN8xKw2LrT7hB"'),
        file(systems=SYSTEMS + '# secret = "Zq3vN8xKw2LrT7hB"'),
    ),
    "a password in a URL": (
        "secret-in-file",
        file(systems=SYSTEMS + POSTGRES + 'url = "postgresql://bot:hunter2@db/orders"'),
        file(systems=SYSTEMS + POSTGRES + 'url = "postgresql://bot@db:5432/orders"'),
    ),
    "a secret in the environment of a program": (
        "secret-in-file",
        file(systems=SYSTEMS + LAB + 'env = { LAB_TOKEN = "hunter2" }'),
        file(systems=SYSTEMS + LAB + 'env = { DOORS = "/srv/doors" }'),
    ),
    "any address": (
        "any-address",
        file(systems=SYSTEMS + SSH + 'source_address = "10.0.0.0/8, 0.0.0.0/0"'),
        file(systems=SYSTEMS + SSH + 'source_address = "10.0.0.0/8"'),
    ),
    "half of all addresses": (
        "any-address",
        file(systems=SYSTEMS + SSH + 'source_address = "128.0.0.0/1"'),
        file(systems=SYSTEMS + SSH + 'source_address = "128.0.0.0/8"'),
    ),
    "any address of version 6": (
        "any-address",
        file(systems=SYSTEMS + SSH + 'source_address = "::/0"'),
        file(systems=SYSTEMS + SSH + 'source_address = "2001:db8::/32"'),
    ),
    "a link-local address": (
        "link-local",
        file(systems=SYSTEMS + HOOK + 'private = true\nurl = "http://169.254.169.254/latest"'),
        file(systems=SYSTEMS + HOOK + 'private = true\nurl = "http://10.1.2.3/access"'),
    ),
    "a link-local address as a number": (
        "link-local",
        file(systems=SYSTEMS + HOOK + 'private = true\nurl = "http://2852039166/"'),
        file(systems=SYSTEMS + HOOK + 'private = true\nurl = "http://167838211/"'),
    ),
    "a link-local address of version 6": (
        "link-local",
        file(systems=SYSTEMS + HOOK + 'private = true\nurl = "http://[::ffff:169.254.1.1]/"'),
        file(systems=SYSTEMS + HOOK + 'private = true\nurl = "http://[fd00::1]/"'),
    ),
    "where a cloud hands out credentials": (
        "link-local",
        file(systems=SYSTEMS + HOOK + 'private = true\nurl = "http://metadata.google.internal/"'),
        file(systems=SYSTEMS + HOOK + 'url = "https://metadata.google.internal/"'),
    ),
    "one host for two systems": (
        "same-host",
        file(systems=SYSTEMS + BROWSERS.format("https://one.example.com:8443")),
        file(systems=SYSTEMS + BROWSERS.format("https://two.example.com")),
    ),
    "a handle": (
        "handle-or-email",
        file(role=ROLE + 'approvers = ["@db-leads"]'),
        file(role=ROLE + 'approvers = ["U1A"]'),
    ),
    "an e-mail": (
        "handle-or-email",
        file(role=ROLE + 'notify = ["ana@example.com"]'),
        file(role=ROLE + "notify = []"),
    ),
    "leads by their handle": (
        "handle-or-email",
        file(workspace=WORKSPACE + 'leads = ["@leads"]'),
        file(workspace=WORKSPACE + 'leads = ["S0LEADERS"]'),
    ),
    "a person by e-mail": (
        "handle-or-email",
        file('[people."ana@example.com"]\ngithub = "ana"'),
        file('[people.U1A]\ngithub = "ana"'),
    ),
}


@pytest.mark.parametrize(("name", "case", "near"), OPEN.values(), ids=OPEN)
def test_what_looks_strict_and_is_open_is_told_and_what_is_near_is_not(
    name: str, case: str, near: str
) -> None:
    assert names(case) == [name]
    assert name not in names(near)


SECRETS = {
    "few characters": ("aaaabbbbaaaabbbb1", True),
    "repeated": ("Zq3vN8xKZq3vN8xK", True),
    "a word": ("Password-Zq3vN8xKw2", True),
    "digits": ("82639017465290138", True),
    "the system's name": ("shop-Zq3vN8xKw2LrT7", True),
    "a good one": ("Zq3vN8xKw2LrT7hB", False),
}


@pytest.mark.parametrize(("secret", "weak"), SECRETS.values(), ids=SECRETS)
def test_a_weak_secret_is_told_without_it(secret: str, weak: bool) -> None:
    told = found(file(), {**ENVIRON, "SHOP_ADMIN_SECRET": secret})
    assert [each.name for each in told] == ["weak-secret"] * weak
    assert secret not in str(told)


def test_two_systems_with_one_secret_are_told() -> None:
    text = file(systems=SYSTEMS + HOOK)
    (told,) = found(text, {**ENVIRON, "HOOK_SECRET": STRONG["SHOP_ADMIN_SECRET"]})
    assert (told.name, told.problem.key) == ("shared-secret", "systems.hook.secret")
    assert STRONG["SHOP_ADMIN_SECRET"] not in str(told) and "shop" in told.problem.text


def test_a_warning_has_its_line_its_reason_and_how_to_say_that_it_is_meant() -> None:
    (told,) = found(file(role=ROLE + 'requesters = ["everyone", "S0ENGINEERS"]'))
    assert (
        str(told)
        == 'roles.toml:11 roles.refund.requesters: "S0ENGINEERS" has no effect next to everyone:'
        ' name only the requesters (if meant: meant = { everyone-and-others = "why" } in'
        " [roles.refund])"
    )


MEANT = {
    "in a role": file(
        role=ROLE + 'ticket = "OPS-1"\nmeant = { weak-ticket = "one ticket for the whole audit" }'
    ),
    "in a role's table": file(
        '[roles.refund.meant]\nweak-ticket = "one ticket"', role=ROLE + 'ticket = "OPS-1"'
    ),
    "in a system": file(
        systems=SYSTEMS
        + SSH
        + 'source_address = "0.0.0.0/0"\nmeant = { any-address = "hosts are behind a VPN" }'
    ),
    "in the workspace": file(
        workspace=WORKSPACE
        + 'leads = ["@leads"]\nmeant = { handle-or-email = "handles are ours alone" }',
        role=ROLE + 'approvers = ["@db-leads"]',
    ),
}


@pytest.mark.parametrize("text", MEANT.values(), ids=MEANT)
def test_what_is_meant_is_not_told(text: str) -> None:
    assert found(text) == []


def test_a_warning_accepted_in_one_role_is_still_given_for_another() -> None:
    meant = ROLE + 'ticket = "OPS-1"\nmeant = { weak-ticket = "one ticket for the whole audit" }'
    (told,) = found(file(OTHER + 'ticket = "OPS-2"', role=meant))
    assert (told.name, told.problem.key) == ("weak-ticket", "roles.other.ticket")


@pytest.mark.parametrize("where", ["workspace", "systems", "role"])
def test_what_is_meant_and_not_there_is_told(where: str) -> None:
    parts = {"workspace": WORKSPACE, "systems": SYSTEMS, "role": ROLE}
    (told,) = found(file(**{where: parts[where] + 'meant = { any-address = "it was once" }'}))
    assert told.name == NOT_NEEDED and told.problem.key.endswith(".meant.any-address")
    assert told.problem.line > 1 and "if meant" not in str(told)


WRONG = {
    "an unknown name": (
        'meant = { weak-tickets = "why" }',
        '.meant: "weak-tickets": unknown warning',
    ),
    "a near one": ('meant = { weak-tickets = "why" }', 'did you mean "weak-ticket"?'),
    "no reason": ('meant = { weak-ticket = "" }', ".meant: weak-ticket must not be empty"),
    "a reason of spaces": (
        'meant = { weak-ticket = "  " }',
        ".meant: weak-ticket must say why the warning does not apply",
    ),
    "a reason that is no text": (
        "meant = { weak-ticket = true }",
        ".meant: weak-ticket must be text in quotes",
    ),
    "no table": ('meant = "weak-ticket"', ".meant: must be a table"),
    "what can't be meant": ('meant = { not-needed = "why" }', "unknown warning"),
}


@pytest.mark.parametrize("where", ["workspace", "systems", "role"])
@pytest.mark.parametrize(("line", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_meant_is_an_error(where: str, line: str, said: str) -> None:
    parts = {"workspace": WORKSPACE, "systems": SYSTEMS, "role": ROLE}
    with pytest.raises(ConfigError) as caught:
        parse_policy(file(**{where: parts[where] + line}), "roles.toml", ENVIRON, KINDS)
    (problem,) = caught.value.problems
    assert said in f".{problem.key.split('.')[-1]}: {problem.text}"


def test_what_is_meant_is_no_setting_of_a_connector_and_changes_no_role() -> None:
    plain = file(systems=SYSTEMS + SSH, role=ROLE + 'system = "bastion"\nactions = []')
    text = file(
        systems=SYSTEMS + SSH + 'meant = { any-address = "x" }',
        role=ROLE + 'system = "bastion"\nactions = []\nmeant = { weak-ticket = "x" }',
    )
    one, other = (parse_policy(each, "roles.toml", ENVIRON, KINDS) for each in (plain, text))
    assert one.systems == other.systems and one.roles == other.roles


EVERY = [*WARNINGS, *(name for kind in KINDS.values() for name in kind.warnings)]


def test_every_warning_is_in_the_documents() -> None:
    page = (ROOT / "docs/check.md").read_text()
    assert (
        f"more than {MANY_RENEWALS} renewals" in page and f"more than {LONG // 86_400} days" in page
    )
    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", page, re.M)) == sorted([*EVERY, NOT_NEEDED])


def test_every_warning_has_a_case_here_or_in_test_breadth() -> None:
    here = {name for name, _, _ in OPEN.values()} | {"weak-secret", "shared-secret"}
    assert set(EVERY) - here == {
        "broad-action",
        "root-login",
        "whole-cluster",
        "shared-hosts",
        "secret-in-argv",
        "long-access",
        "nobody-approves",
        "nobody-gets-it",
    }
