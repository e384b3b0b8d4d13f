"""`emergency`: access at once without Slack, in the operator's name, with the same review."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.core.model import GrantState
from tests.builders import policy_text
from tests.cli.conftest import Shop, run
from tests.factories import ANA, CARA

TABLE = 'max_duration = "4h"\n[roles.{}.emergency]\nmembers = ["@sre"]\nmax_duration = "1h"'
TABLES = {"shop_admin": TABLE.format("shop-admin"), "shop_deploy": TABLE.format("shop-deploy")}


@pytest.fixture(autouse=True)
def _tables(shop: Shop) -> None:
    Path("roles.toml").write_text(policy_text(**TABLES))
    shop.made.set_policy(**TABLES)


def call(role: str, *words: str) -> tuple[str, ...]:
    return ("emergency", role, CARA, "the", "shop", "is down", *words, "--yes")


def test_it_starts_at_once_and_says_until_when(shop: Shop) -> None:
    shown = run(*call("shop-admin"))
    assert shown.exit_code == 0, shown.stderr
    (grant,) = (each for (each,) in shop.made.rows("SELECT id FROM grants"))
    first, second = shown.stdout.splitlines()
    assert first.startswith(f"{grant}, shop-admin for U0Cara, is active until ")
    assert second.endswith("A lead has to sign the review in Slack.")
    assert shop.made.grant(grant).state is GrantState.ACTIVE
    ((actor, reason),) = shop.made.log("emergency:access:started")
    assert actor.startswith("os:") and reason == "the shop is down"


def test_it_takes_parameters(shop: Shop) -> None:
    more = '\n[roles.shop-admin.parameters]\ncustomer = "^[0-9]+$"\n'
    tables = {"shop_admin": 'actions = ["a:{customer}"]\n' + TABLES["shop_admin"] + more}
    Path("roles.toml").write_text(policy_text(**tables))
    assert "needs customer" in run(*call("shop-admin")).stderr
    assert "NAME=VALUE" in run(*call("shop-admin", "--parameter", "customer")).stderr
    assert run(*call("shop-admin", "--parameter", "customer=7")).exit_code == 0
    assert shop.made.rows("SELECT actions FROM grants") == [('["a:7"]',)]


def test_a_drill_shorter_and_as_json(shop: Shop) -> None:
    shown = run(*call("shop-admin", "--drill", "--duration", "30m", "--json"))
    assert shown.exit_code == 0, shown.stderr
    told = json.loads(shown.stdout)
    assert (told["person"], told["role"], told["urgency"], told["state"]) == (
        CARA,
        "shop-admin",
        "drill",
        "active",
    )
    assert shop.made.rows("SELECT duration FROM grants") == [(1800,)]


def test_the_next_one_names_the_command_for_its_press(shop: Shop) -> None:
    run(*call("shop-admin"))
    shown = run(*call("shop-deploy"))
    assert shown.exit_code == 0, shown.stderr
    request = shop.made.rows("SELECT id FROM requests WHERE state = 'pending'")[0][0]
    assert f"access-bot requests approve {request}" in shown.stdout
    assert run("requests", "approve", request, "--yes").exit_code == 0
    assert shop.made.count("emergencies") == 2


REFUSED = {
    "not a member": (("emergency", "shop-admin", ANA, "down"), 1, "Only @sre can take shop-admin"),
    "no such role": (("emergency", "shop-amdin", CARA, "down"), 1, "Did you mean shop-admin?"),
    "no such person": (("emergency", "shop-admin", "U0NOBODY", "down"), 2, "No member with the"),
    "no emergencies": (("emergency", "reports-read", CARA, "down"), 1, "no emergency access"),
    "an empty reason": (("emergency", "shop-admin", CARA, " "), 1, "Say why you need it"),
    "no reason": (("emergency", "shop-admin", CARA), 2, "Missing argument"),
    "too long": (
        ("emergency", "shop-admin", CARA, "down", "--duration", "2h"),
        1,
        "at most 1h in an emergency",
    ),
    "no duration": (
        ("emergency", "shop-admin", CARA, "down", "--duration", "30"),
        2,
        "--duration: ",
    ),
}


@pytest.mark.parametrize(("words", "code", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_starts_nothing(
    shop: Shop, words: tuple[str, ...], code: int, said: str
) -> None:
    shown = run(*words, "--yes")
    assert (shown.exit_code, shop.made.count("grants")) == (code, 0)
    assert said in shown.stderr


def test_without_yes_it_needs_a_terminal(shop: Shop) -> None:
    shown = run("emergency", "shop-admin", CARA, "down")
    assert shown.exit_code == 2 and shop.made.count("grants") == 0


def test_called_again_it_says_what_is_held(shop: Shop) -> None:
    run(*call("shop-admin"))
    shown = run(*call("shop-admin"))
    assert shown.exit_code == 1 and "has shop-admin already" in shown.stderr
