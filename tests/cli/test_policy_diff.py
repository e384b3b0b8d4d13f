"""`policy diff`: what another roles.toml would change for the requests in the log."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from click.testing import Result

from bot.core.onboarding import Ramp
from bot.operations.emergencies.start_emergency import Call, Started, start_emergency
from bot.operations.grants.renew_grant import Renewed, renew_grant
from bot.operations.onboarding.start_ramp import Start, start_ramp
from bot.operations.policy.record_policy import record_loaded
from bot.operations.requests.request_access import Submitted
from tests.builders import policy_text
from tests.cli.conftest import Shop, run
from tests.factories import ANA, BEN, CARA, LEA
from tests.ramps import see_all

RULE = '\n[[roles.shop-admin.auto_approve]]\nname = "short"\n{}\n'


@pytest.fixture
def asked(shop: Shop) -> Shop:
    """Ana asked for the role under the rules that are in force."""
    record_loaded(shop.made.world, shop.made.world.policy())
    shop.ask()
    return shop


def diff(*words: str, shop_admin: str = "") -> Result:
    Path("new.toml").write_text(policy_text(shop_admin=shop_admin))
    return run("policy", "diff", "new.toml", *words)


CASES = {
    "nothing": ("", 0, "No one gets more access. 1 request compared."),
    "a title": ('title = "Shop"', 0, "No one gets more access."),
    "a rule that approves it": (
        RULE.format('max_duration = "2h"'),
        1,
        "approved without a person  shop-admin",
    ),
    "a shorter maximum": ('max_duration = "30m"', 0, "1h, the role's maximum gives at most 30m"),
    "a longer maximum": ('max_duration = "8h"', 1, "max_duration: was 4h, is 8h"),
    "no approver": ('approvers = ["U0ANA"]', 1, "nobody could approve it"),
    "a denial for a group that is not known": (
        '\n[[roles.shop-admin.deny]]\nname = "no"\nmembers = ["@new"]\nreason = "r"\n',
        2,
        "it is not known whom “no” denies it",
    ),
}


@pytest.mark.parametrize(("role", "code", "said"), CASES.values(), ids=CASES)
def test_a_change_of_a_role(asked: Shop, role: str, code: int, said: str) -> None:
    shown = diff(shop_admin=role)
    assert (shown.exit_code, said in shown.stdout) == (code, True), shown.output


def test_what_could_not_be_compared_is_never_zero(asked: Shop) -> None:
    with_rule = RULE.format('members = ["@new"]')
    Path("roles.toml").write_text(policy_text(shop_admin=with_rule))
    shown = diff(shop_admin='max_duration = "3h"\n' + with_rule)
    assert shown.exit_code == 2
    assert "It is not known whether somebody would get more access." in shown.stdout


def test_json_has_all_of_it(asked: Shop) -> None:
    shown = json.loads(diff("--json", shop_admin=RULE.format('max_duration = "2h"')).stdout)
    assert shown["gives_more"] and shown["counts"] == {"approved without a person": 1}
    assert [(row["person"], row["because"], row["requests"]) for row in shown["rows"]] == [
        (ANA, "short", 1)
    ]
    assert shown["changes"][0]["loosens"]


def test_markdown_mentions_nobody_and_has_no_markup_of_others(asked: Shop) -> None:
    shown = diff("--markdown", shop_admin=RULE.format('members = ["@a|b`c"]')).stdout
    shown += diff("--markdown", shop_admin='approvers = ["@db-leads", "@sre"]').stdout
    assert shown.startswith("<!-- access-bot policy diff -->\n")
    assert "| **looser** | roles.shop-admin.approvers&#58; added @&#8203;sre |" in shown


def test_it_needs_no_secrets_and_records_nothing(
    asked: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACCESS_SECRET_KEYS", "SHOP_ADMIN_SECRET", "REPORTS_SECRET"):
        monkeypatch.delenv(name)
    before = asked.events()
    assert diff().exit_code == 0
    assert asked.events() == before


def test_requests_before_since_are_left_out(shop: Shop) -> None:
    shop.made.clock.at -= 3600
    record_loaded(shop.made.world, shop.made.world.policy())
    shop.ask()
    for since, count in (("30m", "0 requests compared"), ("2h", "1 request compared")):
        shown = diff("--since", since, shop_admin='max_duration = "30m"').stdout
        assert count in shown and ("1 refused" in shown) == (since == "2h")


WRONG: dict[str, tuple[tuple[str, ...], str, str]] = {
    "a bad moment": (("--since", "soon"), "", "--since"),
    "two forms": (("--json", "--markdown"), "", "not both"),
    "a bad file": ((), 'max_duration = "soon"', "max_duration"),
}


@pytest.mark.parametrize(("words", "role", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(asked: Shop, words: Any, role: str, said: str) -> None:
    shown = diff(*words, shop_admin=role)
    assert shown.exit_code == 2 and said in shown.stderr


def test_without_a_database_it_can_not_be_compared(configured: Path) -> None:
    assert diff().exit_code == 2


def test_a_request_without_facts_or_rules_of_then_is_not_compared(shop: Shop) -> None:
    shop.ask()
    path = next(Path.cwd().glob("*.db"))
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM audit WHERE event = 'policy:file:loaded'")
    shown = diff(shop_admin='max_duration = "3h"')
    assert shown.exit_code == 2 and "could not be compared" in shown.stdout


def test_an_account_of_postgresql_that_may_only_read_is_enough(
    shop_on_postgresql: Shop, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = shop_on_postgresql
    record_loaded(shop.made.world, shop.made.world.policy())
    shop.ask()
    parts = urlsplit(postgres_url)
    name, host = f"reader_{parts.path.strip('/')}", parts.netloc.rpartition("@")[2]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for sql in (
            f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'reader'",
            f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{name}"',
        ):
            connection.execute(sql)
        try:
            reader = parts._replace(netloc=f"{name}:reader@{host}").geturl()
            monkeypatch.setenv("DATABASE_URL", reader)
            shown = diff(shop_admin=RULE.format('max_duration = "2h"'))
        finally:
            connection.execute(f'DROP OWNED BY "{name}"')
            connection.execute(f'DROP ROLE "{name}"')
    assert shown.exit_code == 1, shown.output
    assert "approved without a person" in shown.stdout


WITH_ALL = """max_renewals = 1
[roles.shop-admin.emergency]
members = ["@sre"]
max_duration = "1h"
[bundles.new]
title = "New"
max = "30d"
[[bundles.new.stages]]
after = "0d"
roles = ["shop-deploy"]
duration = "2h"
"""


def test_renewals_emergencies_and_stages_are_replayed(shop: Shop) -> None:
    made = shop.made
    Path("roles.toml").write_text(policy_text(shop_admin=WITH_ALL))
    made.set_policy(shop_admin=WITH_ALL)
    record_loaded(made.world, made.world.policy())
    grant = made.a_grant()
    for kind in (Renewed, Submitted):
        made.clock.at += 1800
        made.set_groups()
        assert isinstance(renew_grant(made.world, grant.id, ANA), kind)
    assert isinstance(start_emergency(made.world, Call(CARA, "shop-admin", "help")), Started)
    see_all(made)
    assert isinstance(start_ramp(made.world, LEA, Start("new", newcomer=ANA, mentor=BEN)), Ramp)
    made.clock.at = int(time.time())
    shown = diff("--json", shop_admin="max_renewals = 2")
    found = json.loads(shown.stdout)
    assert (shown.exit_code, found["compared"], found["left_out"]) == (1, 4, 0), shown.output
    assert {(each["effect"], each["role"], each["because"]) for each in found["rows"]} == {
        ("approved without a person", "shop-admin", "a renewal that needs no approval"),
        ("refused", "shop-admin", "the role has no emergency access"),
        ("refused", "shop-deploy", "the bundle new does not give it"),
    }
    assert "Not replayed: renewals that needed no approval" in diff().stdout
