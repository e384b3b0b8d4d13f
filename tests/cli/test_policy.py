"""`policy explain`: a role in general without a database, and for one person with it."""

from __future__ import annotations

import json
from pathlib import Path

from bot.operations.policy.record_policy import record_loaded
from tests.builders import policy_text
from tests.cli.conftest import Shop, run
from tests.factories import ANA


def test_a_role_in_general_needs_no_database(configured: Path) -> None:
    shown = run("policy", "explain", "shop-deploy")
    assert shown.exit_code == 0, shown.stderr
    assert "Who decides  2 of @platform-leads, @sre" in shown.stdout
    assert "CRITERION" not in shown.stdout and not (configured / "access.db").exists()


def test_a_person_by_mail_is_judged(shop: Shop) -> None:
    shown = run("policy", "explain", "shop-admin", "u0ana@example.com")
    assert shown.exit_code == 0, shown.stderr
    assert f"Asked now by {ANA.title()} for 1h: It waits for 1 approval" in shown.stdout
    assert "the role  eligible   met  may ask for this role" in shown.stdout


def test_it_is_one_object_as_json(shop: Shop) -> None:
    rule = '\n[[roles.shop-admin.auto_approve]]\nname = "short"\nmax_duration = "30m"'
    Path("roles.toml").write_text(policy_text(shop_admin=rule))
    shown = json.loads(run("policy", "explain", "shop-admin", ANA, "--json").stdout)
    assert (shown["person"], shown["would"], shown["unchecked"]) == (ANA, "waits for approval", [])
    assert [(each["rule"], each["holds"], each["duration"]) for each in shown["rules"]] == [
        ("short", True, 1800)
    ]
    assert [each["name"] for each in shown["criteria"]] == ["maximum", "eligible"]


def test_what_is_unknown_is_refused(shop: Shop) -> None:
    for words, said in (
        (("shop-admn",), "Did you mean shop-admin?"),
        (("shop-admin", "U0NOBODY"), "No member with the Slack id"),
        (("shop-admin", "nobody@example.com"), "No member with the e-mail"),
    ):
        shown = run("policy", "explain", *words)
        assert shown.exit_code == 2 and said in shown.stderr


def test_the_text_in_force_at_a_decision_is_found_in_the_log(shop: Shop) -> None:
    for title in ("Before", "Then", "Now"):
        shop.made.set_policy(shop_admin=f'title = "{title}"')
        record_loaded(shop.made.world, shop.made.world.policy())
        if title == "Then":
            shop.ask()
    decision = json.loads(run("audit", "list", "--event", "request:access:asked", "--json").stdout)
    listed = ("audit", "list", "--event", "policy:file:loaded", "--json", "--limit", "100")
    records = run(*listed, "--before", str(decision["seq"])).stdout.splitlines()
    found = [json.loads(json.loads(line)["detail"]).get("text") for line in records]
    assert 'title = "Then"' in next(filter(None, found))
    assert len(run(*listed).stdout.splitlines()) == len(records) + 1
