"""`access-bot onboarding`: the verbs of a lead without Slack."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.builders import SYSTEMS, policy_text
from tests.cli.conftest import Shop, run
from tests.factories import ANA, BEN, a_person
from tests.ramps import BUNDLES, ROLES, set_bundles


@pytest.fixture
def shop(shop: Shop, configured: Path) -> Shop:
    """With bundles, and people whom Slack has just described."""
    text = policy_text(systems=SYSTEMS + BUNDLES, **ROLES)
    (configured / "roles.toml").write_text(text)
    set_bundles(shop.made)
    shop.made.know(*(replace(a_person(p), checked_at=shop.made.clock.at) for p in (ANA, BEN)))
    return shop


def only(shop: Shop) -> tuple[str, str]:
    """Id and state of the only onboarding."""
    ((ramp, state),) = shop.made.rows("SELECT id, state FROM ramps")
    return str(ramp), str(state)


def test_start_gives_the_first_stage_and_list_shows_it(shop: Shop) -> None:
    shown = run("onboarding", "start", ANA, "engineer", "--mentor", "u0ben@example.com", "--yes")
    assert shown.exit_code == 0, shown.stderr
    ramp, state = only(shop)
    assert state == "running" and shown.stdout == f"Onboarding {ramp} has started.\n"
    assert shop.made.rows("SELECT role, state FROM grants") == [("shop-admin", "active")]
    listed = json.loads(run("onboarding", "list", "--json").stdout)
    assert (listed["newcomer"], listed["mentor"], listed["state"]) == (ANA, BEN, "running")
    assert [stage["state"] for stage in listed["stages"]] == ["opened", "waiting", "waiting"]
    assert "engineer" in run("onboarding", "list").stdout
    assert shop.recorded("onboarding:ramp:started")


def test_the_plan_is_shown_before_it_starts(shop: Shop) -> None:
    shop.made.set_groups(engineers=[BEN])
    shown = run("onboarding", "start", ANA, "engineer")
    assert shown.exit_code == 2 and "pass --yes" in shown.stderr
    assert shop.made.count("ramps") == 0


def test_an_address_that_nobody_has_is_planned(shop: Shop) -> None:
    shown = run("onboarding", "start", "ola@example.com", "engineer", "--yes")
    assert "is planned: it starts when they join" in shown.stdout
    assert only(shop)[1] == "planned"


def test_pause_resume_and_end_say_what_is_so(shop: Shop) -> None:
    run("onboarding", "start", ANA, "engineer", "--yes")
    ramp = only(shop)[0]
    for verb, state in (("pause", "paused"), ("resume", "running"), ("end", "ended")):
        shown = run("onboarding", verb, ramp, "--yes")
        assert (shown.exit_code, only(shop)[1]) == (0, state), shown.stderr
    again = run("onboarding", "end", ramp, "--yes")
    assert (again.exit_code, "ended already" in again.stderr) == (1, True)
    assert "No onboarding is running" in run("onboarding", "list").stdout
    assert ramp in run("onboarding", "list", "--all").stdout


WRONG = {
    "an unknown bundle": (("start", ANA, "enginer"), 1, "did you mean"),
    "an unknown person": (("start", "U0NOBODY", "engineer"), 1, "can't get access"),
    "no person": (("start", "ana", "engineer"), 2, "is not a member"),
    "an unknown onboarding": (("pause", "o0"), 2, "There is no onboarding o0"),
}


@pytest.mark.parametrize(("words", "code", "why"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(shop: Shop, words: tuple[str, ...], code: int, why: str) -> None:
    shown = run("onboarding", *words, "--yes")
    assert (shown.exit_code, why in shown.stderr) == (code, True), shown.stderr
