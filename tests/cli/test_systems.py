"""`access-bot systems` and `access-bot accounts`: facts that only an operator can confirm, and
their records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.cli.output import moment
from bot.operations.grants.record_results import (
    QUIET_EXTENDS,
    record_end_failed,
    record_extend_failed,
)
from bot.operations.grants.release_grant import release_grant
from bot.operations.systems.account_links import StoredPins
from bot.operations.systems.alert_due import send_due_alerts
from tests.cli.conftest import Shop, run
from tests.factories import ANA


def listed(*words: str) -> list[dict[str, object]]:
    return [
        json.loads(line) for line in run("systems", "list", "--json", *words).stdout.splitlines()
    ]


class TestList:
    def test_each_system_of_roles_toml_with_its_active_grants(self, shop: Shop) -> None:
        shop.made.a_grant()
        shown = run("systems", "list")
        assert shown.exit_code == 0, shown.output
        assert [line.split() for line in shown.stdout.splitlines()] == [
            ["SYSTEM", "CONNECTOR", "HEALTH", "ACTIVE", "ENDING", "LAST", "ERROR"],
            ["shop-admin", "gateway", "unchecked", "1", "0", "–"],
            ["reports", "gateway", "unchecked", "0", "0", "–"],
        ]

    def test_json_has_one_object_for_each_system(self, shop: Shop) -> None:
        assert listed("--limit", "1") == [
            {
                "system": "shop-admin",
                "connector": "gateway",
                "health": "unchecked",
                "problem": "",
                "active": 0,
                "ending": 0,
                "last_error": None,
                "last_error_at": None,
            }
        ]

    def test_a_limit_that_is_reached_is_said(self, shop: Shop) -> None:
        assert run("systems", "list", "--limit", "1").stderr == (
            "Showing the first 1; pass --limit for more.\n"
        )

    def test_a_system_that_answers_is_well(self, folder_shop: Shop) -> None:
        (system,) = listed()
        assert (system["health"], system["problem"]) == ("well", "")
        assert run("systems", "list").exit_code == 0

    def test_a_system_that_does_not_answer_is_unwell_and_exit_code_1(
        self, folder_shop: Shop, files: Path
    ) -> None:
        (files / ".down").touch()
        (system,) = listed()
        assert (system["health"], system["problem"]) == ("unwell", "the folder is locked")
        shown = run("systems", "list")
        assert shown.exit_code == 1
        assert "unwell: the folder is locked" in shown.stdout

    def test_a_system_that_hangs_is_unwell_after_a_while(
        self, folder_shop: Shop, files: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.cli.systems.HEALTH_PATIENCE", 0.1)
        (files / ".hang").touch()
        (system,) = listed()
        (files / ".hang").unlink()
        assert system["problem"] == "it has not answered within 0.1 s"

    def test_an_unconfirmed_revocation_is_counted_and_its_error_is_the_last_one(
        self, shop: Shop
    ) -> None:
        made, grant = shop.made, shop.made.a_grant()
        record_extend_failed(made.world, grant.id, "shop-admin", "renewal", QUIET_EXTENDS)
        made.clock.at += 60
        release_grant(made.world, grant.id, ANA)
        record_end_failed(made.world, grant.id, "shop-admin", "first", 1)
        made.clock.at += 900
        record_end_failed(made.world, grant.id, "shop-admin", "timed\nout", 2)
        assert send_due_alerts(made.world) == 1
        system, other = listed()
        assert (system["active"], system["ending"]) == (0, 1)
        assert system["last_error"] == "timed\nout"
        assert system["last_error_at"] == moment(made.clock.at)
        assert other["last_error"] is None
        assert "UTC: timed out" in run("systems", "list").stdout

    def test_help_explains_the_exit_codes(self) -> None:
        assert "Exit code 0: every system" in run("systems", "list", "--help").stdout


def test_a_wrong_account_is_listed_and_its_unlinking_is_recorded(shop: Shop) -> None:
    assert run("accounts", "list").stdout == "No account links.\n"
    StoredPins(shop.made.world).keep("code", ANA, "1701")
    assert run("accounts", "list").stdout.splitlines()[1].split() == ["code", ANA, "1701"]
    (line,) = run("accounts", "list", "--json").stdout.splitlines()
    assert json.loads(line) == {"system": "code", "person": ANA, "account": "1701"}
    assert run("accounts", "unlink", "code", ANA).exit_code == 2  # no terminal for the question
    done = run("accounts", "unlink", "code", f"{ANA.lower()}@example.com", "--yes")
    assert (done.exit_code, done.stdout) == (0, f"{ANA} is no longer linked to 1701 on code.\n")
    assert shop.recorded("person:account:unlinked")
    assert run("accounts", "unlink", "code", ANA, "--yes").exit_code == 1


def test_confirm_target_needs_a_system_with_changed_settings(shop: Shop) -> None:
    assert "There is no system nowhere" in run("systems", "confirm-target", "nowhere").stderr
    done = run("systems", "confirm-target", "shop-admin", "--yes")
    assert done.exit_code == 1 and "nothing was changed" in done.stderr
    assert not shop.recorded("system:target:confirmed")


@pytest.mark.parametrize("typed", ["n\n", "y\n"])
def test_earlier_access_is_checked_at_the_new_address_after_a_confirmation(
    shop: Shop, at_terminal: None, typed: str
) -> None:
    grant = shop.made.a_grant()
    with shop.made.world.db.transaction():
        shop.made.world.db.run("UPDATE leases SET target = 'elsewhere'")
    done = run("systems", "confirm-target", "shop-admin", typed=typed)
    said = typed == "y\n"
    assert done.exit_code == (0 if said else 1), done.output
    assert shop.recorded("system:target:confirmed") is said
    assert shop.made.rows("SELECT target FROM leases WHERE grant_id = ?", grant.id) == [
        ("" if said else "elsewhere",)
    ]
