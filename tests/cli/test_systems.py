"""`access-bot systems` and `access-bot accounts`: what only somebody who knows can say, and that it
is on record."""

from __future__ import annotations

import json

import pytest

from bot.operations.systems.account_links import StoredPins
from tests.cli.conftest import Shop, run
from tests.factories import ANA


def test_a_wrong_account_is_listed_and_forgotten_on_record(shop: Shop) -> None:
    assert run("accounts", "list").stdout == "No account links.\n"
    StoredPins(shop.made.world).keep("code", ANA, "1701")
    assert run("accounts", "list").stdout.splitlines()[1].split() == ["code", ANA, "1701"]
    (line,) = run("accounts", "list", "--json").stdout.splitlines()
    assert json.loads(line) == {"system": "code", "person": ANA, "account": "1701"}
    assert run("accounts", "unlink", "code", ANA).exit_code == 2  # nobody to ask
    done = run("accounts", "unlink", "code", f"{ANA.lower()}@example.com", "--yes")
    assert (done.exit_code, done.stdout) == (0, f"{ANA} is no longer linked to 1701 on code.\n")
    assert shop.said("person:account:unlinked")
    assert run("accounts", "unlink", "code", ANA, "--yes").exit_code == 1


def test_saying_that_a_system_has_moved_needs_one_that_has(shop: Shop) -> None:
    assert "There is no system nowhere" in run("systems", "confirm-target", "nowhere").stderr
    done = run("systems", "confirm-target", "shop-admin", "--yes")
    assert done.exit_code == 1 and "nothing was changed" in done.stderr
    assert not shop.said("system:target:confirmed")


@pytest.mark.parametrize("typed", ["n\n", "y\n"])
def test_what_was_made_elsewhere_is_looked_for_at_the_new_place_when_somebody_says_so(
    shop: Shop, at_terminal: None, typed: str
) -> None:
    grant = shop.made.a_grant()
    with shop.made.world.db.transaction():
        shop.made.world.db.run("UPDATE leases SET target = 'elsewhere'")
    done = run("systems", "confirm-target", "shop-admin", typed=typed)
    said = typed == "y\n"
    assert done.exit_code == (0 if said else 1), done.output
    assert shop.said("system:target:confirmed") is said
    assert shop.made.rows("SELECT target FROM leases WHERE grant_id = ?", grant.id) == [
        ("" if said else "elsewhere",)
    ]
