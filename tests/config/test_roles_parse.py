"""The meaning of a valid roles.toml, and that nothing in it reveals a secret."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config.roles.parse import load_policy, parse_policy
from bot.config.roles.schema import WorkspaceTable
from bot.connectors import KINDS
from bot.core.errors import ConfigError
from bot.core.roles import Policy, references, ticket_matches
from bot.core.values import YEAR, classify
from tests.builders import ENVIRON, REPORTS_SECRET, SHOP_SECRET, SYSTEMS, a_policy, policy_text

REPOSITORY = Path(__file__).parents[2]


def error_of(text: str, environ: dict[str, str] = ENVIRON) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_policy(text, "roles.toml", environ, KINDS)
    return str(caught.value)


def test_a_role_with_only_required_keys_gets_the_documented_defaults() -> None:
    least = (
        'system = "reports"\nactions = ["a"]\nrequesters = ["everyone"]\napprovers ='
        ' ["@platform-leads", "@sre"]'
    )
    role = a_policy(least=least).roles["least"]
    assert (role.description, role.risk, role.ticket, role.approvals) == ("", "low", None, 1)
    assert (role.max_duration, role.default_duration, role.max_total) == (3600, 3600, 3 * 3600)
    assert (role.reminders, role.pending_timeout) == ((1800, 300), 8 * 3600)
    assert (role.max_renewals, role.renewal_approval) == (2, False)
    assert role.channel == "#access-approvals"
    assert role.notify == role.approvers == ("@platform-leads", "@sre")


def test_a_role_without_a_title_is_called_by_its_name() -> None:
    policy = a_policy(
        my_role=(
            'system = "reports"\nactions = ["a"]\nrequesters = ["everyone"]\napprovers = ["U1A"]'
        )
    )
    assert policy.roles["my-role"].title == "my-role"


def test_defaults_follow_a_short_maximum() -> None:
    role = a_policy(shop_admin='max_duration = "20m"').roles["shop-admin"]
    assert (role.default_duration, role.reminders) == (1200, (300,))


@pytest.mark.parametrize(("renewals", "total"), [(0, 3 * 86_400), (2, 9 * 86_400)])
def test_the_total_is_the_maximum_for_the_start_and_each_renewal(renewals: int, total: int) -> None:
    policy = a_policy(shop_admin=f'max_duration = "3d"\nmax_renewals = {renewals}')
    assert policy.roles["shop-admin"].max_total == total


RENEWALS = {
    "low risk": ("", False),
    "medium risk": ('risk = "medium"', True),
    "high risk": ('risk = "high"\nrisk_reason = "the only one on call"', True),
    "two approvals": ("approvals = 2", True),
    "medium risk, and the file says otherwise": (
        'risk = "medium"\nrenewal_approval = false',
        False,
    ),
    "two approvals, and the file says otherwise": (
        "approvals = 2\nrenewal_approval = false",
        False,
    ),
    "low risk, and the file says otherwise": ("renewal_approval = true", True),
}


@pytest.mark.parametrize(("lines", "asks"), RENEWALS.values(), ids=RENEWALS)
def test_a_risky_role_is_renewed_by_approval_unless_the_file_says_otherwise(
    lines: str, asks: bool
) -> None:
    assert a_policy(shop_admin=lines).roles["shop-admin"].renewal_approval is asks


def test_reminders_come_longest_first_and_once() -> None:
    assert a_policy(shop_admin='reminders = ["5m", "1h", "5m"]').roles["shop-admin"].reminders == (
        3600,
        300,
    )


def test_nobody_is_pinged_when_the_role_says_so() -> None:
    assert a_policy(shop_admin="notify = []").roles["shop-admin"].notify == ()


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "roles.toml"
    for content in (
        policy_text().encode(),
        b"\xef\xbb\xbf" + policy_text().replace("\n", "\r\n").encode(),
    ):
        file.write_bytes(content)
        assert load_policy(str(file), ENVIRON, KINDS).digest == hashlib.sha256(content).hexdigest()


TIERS = '[[roles.vault.tiers]]\nname = "a"\napprovers = ["@sre"]\n'


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (TIERS.replace("@sre", "@db-leads"), True),
        (TIERS + "approvals = 2", False),
        (TIERS.replace('"a"', '"b"'), False),
        (TIERS + TIERS.replace('"a"', '"b"'), False),
    ],
)
def test_the_fingerprint_changes_with_the_tiers_as_with_approvals(changed: str, same: bool) -> None:
    role = 'system = "reports"\nactions = ["reports:read"]\nrequesters = ["everyone"]\n'
    before, after = (
        a_policy(vault=role + tiers).roles["vault"].fingerprint for tiers in (TIERS, changed)
    )
    assert (before == after) is same


@pytest.mark.parametrize(
    ("lines", "same"),
    [
        ('title = "Another"', True),
        ('max_duration = "1h"', True),
        ('approvers = ["@sre"]', True),
        ('actions = ["orders:read"]', False),
        ('system = "reports"', False),
        ("approvals = 2", False),
    ],
)
def test_the_fingerprint_changes_with_the_role_that_an_approver_saw(lines: str, same: bool) -> None:
    before, after = (
        p.roles["shop-admin"].fingerprint for p in (a_policy(), a_policy(shop_admin=lines))
    )
    assert (before == after) is same


SSH = """
[systems.shop-admin]
connector = "ssh"
ca_key = "/ca"
principals = ["deploy", "${ACCOUNTS}"]
secret = "a-secret-of-the-hosts-0123"
[systems.reports]
connector = "command"
argv = ["/lab", "${TOKEN}"]
timeout = "10s"
[systems.shop-db]
connector = "postgres"
url = "${URL}"
[systems.rooms]
connector = "command"
argv = ["/rooms", "${BUILDING}"]
[systems.rooms.env]
ACCOUNT = "${ACCOUNT}"
API_TOKEN = "${NEWEST}"
KEY = "${API_KEY}"
PLACE = "http://h/?of=${TENANT}&k=${KEY_TOKEN}"
"""
SETTINGS = {
    "other principals": ('["deploy",', '["root",', {}, False),
    "another key": ('"/ca"', '"/other"', {}, False),
    "from anywhere": ('secret = "a-s', 'source_address = "0.0.0.0/0"\nsecret = "a-s', {}, False),
    "another program": ('"/lab"', '"/other"', {}, False),
    "another database server": ("", "", {"URL": "postgresql://a:b@other:5432/orders"}, False),
    "another database": ("", "", {"URL": "postgresql://a:b@db:5432/prod"}, False),
    "a new secret": ("a-secret-of", "another-secret-of", {}, True),
    "a new password": ("", "", {"URL": "postgresql://a:new@db:5432/orders"}, True),
    "a new token": ("", "", {"TOKEN": "new"}, True),
    "another host in the query": (
        "",
        "",
        {"URL": "postgresql://a:b@db:5432/orders?host=other"},
        False,
    ),
    "another password in the query": (
        "",
        "",
        {"URL": "postgresql://a:b@db:5432/orders?password=x"},
        True,
    ),
    "other principals from the environment": ("", "", {"ACCOUNTS": "root"}, False),
    "another word of a program": ("", "", {"BUILDING": "north"}, False),
    "another variable of a program": ("", "", {"ACCOUNT": "prod"}, False),
    "another variable in a query": ("", "", {"TENANT": "prod"}, False),
    "a new secret under a name that says so": ("", "", {"NEWEST": "new"}, True),
    "a new secret in a variable that says so": (
        "",
        "",
        {"API_KEY": "new", "KEY_TOKEN": "new"},
        True,
    ),
    "another time-out": ('"10s"', '"20s"', {}, True),
}


@pytest.mark.parametrize(("old", "new", "environ", "same"), SETTINGS.values(), ids=SETTINGS)
def test_the_fingerprint_changes_with_the_settings_of_the_systems(
    old: str, new: str, environ: dict[str, str], same: bool
) -> None:
    def fingerprint(systems: str, more: dict[str, str]) -> str:
        everywhere = 'systems = ["shop-admin", "reports"]\nactions = ["pty"]'
        text = policy_text(
            systems=systems,
            shop_admin='system = "shop-admin"\nactions = ["pty"]',
            shop_deploy='system = "shop-admin"\nactions = ["pty"]',
            reports_read='system = "reports"',
            db=(
                'system = "shop-db"\nactions = ["SELECT ON t"]\nrequesters ='
                ' ["everyone"]\napprovers = ["@a"]'
            ),
            rooms=(
                'system = "rooms"\nactions = ["pty"]\nrequesters = ["everyone"]\napprovers = ["@a"]'
            ),
            both=f'{everywhere}\nrequesters = ["everyone"]\napprovers = ["@a"]',
        )
        names = (
            "TOKEN",
            "ACCOUNTS",
            "BUILDING",
            "ACCOUNT",
            "NEWEST",
            "API_KEY",
            "TENANT",
            "KEY_TOKEN",
        )
        first = {"URL": "postgresql://a:b@db:5432/orders", **dict.fromkeys(names, "old")}
        roles = parse_policy(text, "roles.toml", first | more, KINDS).roles
        return "".join(roles[each].fingerprint for each in ("both", "db", "rooms"))

    assert (
        fingerprint(SSH, {}) == fingerprint(SSH.replace(old, new) if old else SSH, environ)
    ) is same


def test_the_fingerprint_changes_with_the_connector() -> None:
    text = policy_text().replace('"gateway"', '"custom"')
    there = parse_policy(text, "roles.toml", ENVIRON, {**KINDS, "custom": KINDS["gateway"]}).roles[
        "shop-admin"
    ]
    assert there.fingerprint != a_policy().roles["shop-admin"].fingerprint


def test_the_references_are_all_people_and_groups_to_look_up() -> None:
    policy = a_policy(
        shop_admin='notify = ["ana@example.com"]\nrequesters = ["everyone", "U024BE7LH"]'
    )
    assert references(policy) == {
        "@platform-leads",
        "@db-leads",
        "@engineers",
        "@sre",
        "ana@example.com",
        "U024BE7LH",
    }


REFERENCES = {
    "U024BE7LH": "user",
    "W012A3CDE": "user",
    "S0614TZR7": "group",
    "@db-leads": "handle",
    "ana@example.com": "email",
    "everyone": "everyone",
    "": None,
    "db-leads": None,
    "C024BE7LH": None,
    "@": None,
    "ana@": None,
    "<@U024BE7LH>": None,
    "@a b": None,
    "everyone\n": None,
}


@pytest.mark.parametrize(("ref", "kind"), REFERENCES.items(), ids=map(repr, REFERENCES))
def test_references_to_people_differ_by_their_form(ref: str, kind: str | None) -> None:
    assert classify(ref) == kind


# --- tickets


@pytest.mark.parametrize(
    ("ticket", "matches"),
    [
        ("OPS-12", True),
        ("OPS-12\n", False),
        ("see OPS-12", False),
        ("", False),
        ("OPS-" + "1" * 96, True),
        ("OPS-" + "1" * 97, False),
    ],
)
def test_the_whole_ticket_must_match(ticket: str, matches: bool) -> None:
    assert ticket_matches(a_policy().roles["reports-read"], ticket) is matches


def test_any_ticket_is_accepted_where_none_is_needed() -> None:
    assert ticket_matches(a_policy().roles["shop-admin"], "")


def test_half_a_ticket_does_not_match_one_of_two_alternatives() -> None:
    role = a_policy(shop_admin="ticket = 'A-\\d|B-\\d'").roles["shop-admin"]
    assert [ticket_matches(role, ticket) for ticket in ("A-1", "B-2", "A-1x", "xB-2")] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(a|aa)+$", r"\w*\w*\w*\w*\w*\w*\w*\w*\w*\w*!"]
)
def test_no_pattern_can_keep_the_bot_busy(pattern: str) -> None:
    role = a_policy(shop_admin=f"ticket = '{pattern}'").roles["shop-admin"]
    started = time.thread_time()  # CPU time of this thread only
    assert not ticket_matches(role, "a" * 99 + "?")
    assert time.thread_time() - started < 1


# --- secrets and the environment


def test_variables_are_filled_in_and_a_double_dollar_is_a_plain_one() -> None:
    lab = '[systems.lab]\nconnector = "command"\nargv = ["/lab", "${WHO}: $${WHO} $5"]\n'
    text = policy_text(systems=SYSTEMS + lab, shop_admin='title = "$${WHO} $5"')
    policy = parse_policy(text, "roles.toml", ENVIRON | {"WHO": "${X} Ana"}, KINDS)
    assert policy.systems["lab"].settings["argv"] == ["/lab", "${X} Ana: ${WHO} $5"]
    assert policy.roles["shop-admin"].title == "${WHO} $5"
    assert policy.systems["shop-admin"].secret == SHOP_SECRET


EMPTY = {"SHOP_ADMIN_SECRET": ""}


@pytest.mark.parametrize("secret", ["", "s3cr3t-too-short"[:15]])
def test_a_short_secret_is_refused_without_being_shown(secret: str) -> None:
    found = error_of(policy_text(), ENVIRON | {"SHOP_ADMIN_SECRET": secret})
    assert "systems.shop-admin.secret: must " in found
    assert not secret or secret not in found


def test_a_variable_may_come_from_the_file_that_name_file_names(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text(SHOP_SECRET + "\n")
    named = {"SHOP_ADMIN_SECRET_FILE": str(tmp_path / "shop")}
    policy = parse_policy(policy_text(), "roles.toml", ENVIRON | named | EMPTY, KINDS)
    assert policy.systems["shop-admin"].secret == SHOP_SECRET
    variable = "systems.shop-admin.secret: the environment variable SHOP_ADMIN_SECRET"
    assert f"{variable} is set, and so is" in error_of(policy_text(), ENVIRON | named)
    (tmp_path / "shop").write_text(" \n")
    problem = "_FILE names a file that can't be used: it is empty"
    assert f"{variable}{problem}" in error_of(policy_text(), ENVIRON | named | EMPTY)


def test_a_secret_that_is_not_utf8_is_refused() -> None:
    found = error_of(policy_text(), ENVIRON | {"SHOP_ADMIN_SECRET": "\udcff" * 20})
    assert (
        "systems.shop-admin.secret: the environment variable SHOP_ADMIN_SECRET is not UTF-8"
        in found
    )


def test_no_secret_is_shown_when_the_policy_is_printed() -> None:
    policy = a_policy()
    for shown in (repr(policy), str(policy.systems), f"{policy.systems['reports']}"):
        assert SHOP_SECRET not in shown and REPORTS_SECRET not in shown


@pytest.mark.parametrize(
    "key", ["title", "system", "channel", "max_duration", "ticket", "risk", "pending_timeout"]
)
def test_a_value_of_the_environment_is_never_shown_in_a_problem(key: str) -> None:
    secret = "(hunter2\u0007" + "x" * 30
    found = error_of(policy_text(shop_admin=f'{key} = "${{IT}}"'), ENVIRON | {"IT": secret})
    assert f".{key}" in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    "key", ["actions", "requesters", "approvers", "notify", "reminders", "systems"]
)
def test_a_value_of_the_environment_in_a_list_is_never_shown(key: str) -> None:
    secret = "hunter2 \u0007" + "x" * 300
    found = error_of(policy_text(shop_admin=f'{key} = ["${{IT}}"]'), ENVIRON | {"IT": secret})
    assert "hunter2" not in found


# --- anything at all


def _attempt(text: str) -> Policy | None:
    try:
        return parse_policy(text, "roles.toml", ENVIRON, KINDS)
    except ConfigError as error:
        assert error.problems and str(error)
        assert SHOP_SECRET not in str(error) and REPORTS_SECRET not in str(error)
        return None


@settings(deadline=None)
@given(st.text())
def test_any_text_gives_a_policy_or_a_refusal(text: str) -> None:
    _attempt(text)


def _values() -> Iterator[str]:
    yield from (
        '""',
        "0",
        "-1",
        "true",
        "[]",
        "{}",
        "1.5",
        "nan",
        "2026-11-23",
        "[[]]",
        "[{}]",
        "[1]",
        "{a = 1}",
    )
    yield from (
        '"${SHOP_ADMIN_SECRET}"',
        '["${SHOP_ADMIN_SECRET}"]',
        '{a = "${REPORTS_SECRET}"}',
        '"\\u0000"',
    )
    yield from (
        '"1h"',
        '["everyone"]',
        '["shop-admin"]',
        '"shop-admin"',
        '"gateway"',
        '"postgres"',
        '["@a", 3]',
    )


KEYS = [
    *re.findall(r"^(\w+)(?= =)", policy_text(), re.M),
    "systems",
    "emergency",
    "auto_approve",
    "env",
]


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_any_change_of_a_good_file_gives_a_policy_or_a_refusal(
    data: st.DataObject,
) -> None:
    lines = policy_text().splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(lines) - 1))
        key, value = data.draw(st.sampled_from(KEYS)), data.draw(st.sampled_from(list(_values())))
        lines[place] = data.draw(
            st.sampled_from([f"{key} = {value}", "", lines[place] + "]", "[roles]", "[[roles.a]]"])
        )
    _attempt("\n".join(lines))


# --- the file of this repository


def test_the_example_at_the_top_of_the_repository_is_valid() -> None:
    policy = load_policy(str(REPOSITORY / "roles.toml"), ENVIRON, KINDS)
    assert set(policy.systems) == {"shop-admin", "reports"}
    assert {role.approvals for role in policy.roles.values()} == {1, 2}
    assert all(classify(each) == "group" for each in references(policy)), (
        "a handle may lead to another group later"
    )
    text = (REPOSITORY / "roles.toml").read_text().split("[workspace]\n")[1].split("\n\n")[0]
    assert set(re.findall(r"^(?:#   )?(\w+) +=", text, re.MULTILINE)) == {
        key for key in WorkspaceTable.model_fields if key != "meant"
    }
    assert any(role.ticket for role in policy.roles.values())
    assert any(role.renewal_approval for role in policy.roles.values())
    shop = policy.roles["shop-admin"]
    assert (shop.max_duration, shop.default_duration, shop.reminders) == (
        14_400,
        3_600,
        (1_800, 300),
    )


def test_a_year_is_the_longest_that_a_role_may_give() -> None:
    assert a_policy(shop_admin='max_duration = "365d"').roles["shop-admin"].max_total == YEAR
