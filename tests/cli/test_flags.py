"""`flags list` and `flags replay`: what was flagged, and what other rules would have flagged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.operations.flags.raise_flags import FlagRaiser
from bot.operations.requests.withdraw_request import withdraw_request
from tests.builders import SYSTEMS, policy_text
from tests.cli.conftest import Shop, run
from tests.factories import ANA


@pytest.fixture(autouse=True)
def _flagged(shop: Shop) -> None:
    made, raiser = shop.made, FlagRaiser(shop.made.world)
    raiser.raise_new()
    for _ in range(5):
        withdraw_request(made.world, made.a_request("reports-read").id, ANA)
    assert raiser.raise_new() == 1


def test_the_list_has_the_answers(shop: Shop) -> None:
    shown = run("flags", "list", "--open")
    assert shown.exit_code == 0, shown.stderr
    assert "nagging" in shown.stdout and ANA in shown.stdout and "open" in shown.stdout
    (line,) = run("flags", "list", "--json").stdout.splitlines()
    told = json.loads(line)
    assert (told["rule"], told["person"], told["answer"]) == ("nagging", ANA, "")


def test_a_replay_counts_what_other_rules_find(shop: Shop) -> None:
    (line,) = run("flags", "replay", "--since", "2020-01-01", "--json").stdout.splitlines()
    assert json.loads(line) == {
        "rule": "nagging",
        "would_be_flagged": 1,
        "was_flagged": 1,
        "expected": 0,
        "revoked": 0,
        "no_answer": 1,
    }
    off = SYSTEMS + '[flags]\noff = { nagging = "a test" }\n'
    Path("other.toml").write_text(policy_text(systems=off))
    shown = run("flags", "replay", "--since", "2020-01-01", "--roles", "other.toml")
    assert shown.stdout == "The rules find nothing.\n", shown.stderr
    assert run("flags", "replay", "--since", "yesterday-ish").exit_code == 2
