"""`access-bot reviews`: the verbs of a lead and a reviewer without Slack."""

from __future__ import annotations

import csv
import json

import pytest

from tests.cli.conftest import Shop, run
from tests.factories import ANA


def started(shop: Shop, *more: str) -> str:
    shown = run("reviews", "start", "--yes", *more)
    assert shown.exit_code == 0, shown.stderr
    return str(shop.made.rows("SELECT id FROM campaigns ORDER BY started_at DESC")[0][0])


def test_the_items_of_a_review_are_counted_by_kind(shop: Shop) -> None:
    assert "7 items (4 approvers, 3 requesters)" in run("reviews", "start", "--yes").stdout


def test_a_whole_review_on_the_command_line(shop: Shop) -> None:
    grant = shop.made.a_grant()
    review = started(shop, "--role", "shop-admin")
    shown = run("reviews", "show", review)
    assert "0 of 3 answered" in shown.stdout and "Lea" in shown.stdout.title()
    assert "command line" not in shown.stdout
    items = [
        json.loads(line)
        for line in run("reviews", "show", review, "--json").stdout.split("\n")[:-1]
    ]
    mine = next(item for item in items if item["about"] == grant.id)
    assert (mine["holders"], mine["reviewers"], mine["state"]) == ([ANA], ["U0BEN"], "pending")

    ends = run("reviews", "decide", review, str(mine["item"]), "--end", "--reason", "left", "--yes")
    assert ends.exit_code == 0 and "1 item to end." in ends.stdout, ends.stderr
    assert shop.made.grant(grant.id).state == "ended"
    keeps = run("reviews", "decide", review, "--all", "--keep", "--reason", "right", "--yes")
    assert keeps.exit_code == 0 and "2 items kept." in keeps.stdout
    assert "No review is open" in run("reviews", "list").stdout
    listed = json.loads(run("reviews", "list", "--all", "--json").stdout)
    assert (listed["state"], listed["answered"], listed["undone"]) == ("finished", 3, 0)
    assert shop.recorded("review:campaign:started", "review:item:decided", "grant:end:asked")

    rows = list(csv.DictReader(run("reviews", "show", review, "--csv").stdout.splitlines()))
    gone = [row["about"] for row in rows if row["there_after"] == "no"]
    assert (len(rows), gone) == (3, [grant.id])


def test_the_change_of_roles_toml_is_printed_until_it_was_made(shop: Shop) -> None:
    review = started(shop, "--role", "shop-deploy")
    run("reviews", "decide", review, "--all", "--end", "--reason", "too many", "--yes")
    shown = run("reviews", "show", review, "--undone")
    assert "[roles.shop-deploy]\n# nobody is left in requesters" in shown.stdout
    assert "closing" in run("reviews", "list").stdout


def test_an_item_that_nobody_in_slack_may_decide_on_says_so(shop: Shop) -> None:
    review = started(shop, "--role", "shop-admin")
    with shop.made.world.db.transaction():
        shop.made.world.db.run("UPDATE people SET deleted = 1")
    assert run("reviews", "show", review).stdout.count("command line") == 2


def test_a_list_that_was_changed_is_reported(shop: Shop) -> None:
    review = started(shop)
    with shop.made.world.db.transaction():
        shop.made.world.db.run("UPDATE review_items SET about = 'x' WHERE number = 1")
    shown = run("reviews", "show", review)
    assert (shown.exit_code, "list was changed" in shown.stderr) == (1, True)


WRONG = {
    "an unknown review": (("show", "c0"), 2, "no review c0"),
    "an unknown role": (("start", "--role", "shop-admn", "--yes"), 1, "Did you mean shop-admin"),
    "no duration": (("start", "--due", "soon", "--yes"), 2, "The due date"),
    "no decision": (("decide", "c0", "1", "--reason", "x", "--yes"), 2, "--keep or --end"),
    "no items": (("decide", "c0", "--keep", "--reason", "x", "--yes"), 2, "--keep or --end"),
    "items of no review": (("decide", "c0", "1", "--keep", "--reason", "x", "--yes"), 1, "no such"),
    "no question": (("start",), 2, "pass --yes"),
}


@pytest.mark.parametrize(("words", "code", "why"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_reported(shop: Shop, words: tuple[str, ...], code: int, why: str) -> None:
    shown = run("reviews", *words)
    assert (shown.exit_code, why in shown.stderr) == (code, True), shown.stderr
