"""`panic` and `resume`: everything ends at once, and a mistyped name is never reported as done."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.connectors.gateway import Gateway
from bot.core.model import GrantState
from tests.cli.conftest import Shop, run
from tests.factories import ANA, CARA


def test_panic_ends_everything_and_gives_nothing_new_until_resumed(shop: Shop) -> None:
    grants = [shop.made.a_grant("shop-admin"), shop.made.a_grant("reports-read")]
    waiting = shop.ask("shop-deploy")
    shown = run("panic", "--yes")
    assert shown.exit_code == 0, shown.stderr
    assert shown.stdout.splitlines() == [
        "The panic switch is on for all access; it ended 2 grants.",
        "New access is blocked until: access-bot resume",
    ]
    assert {shop.made.grant(grant.id).state for grant in grants} == {GrantState.ENDED}
    refused = run("requests", "approve", waiting.id, "--yes")
    assert (refused.exit_code, "panic switch" in refused.stderr) == (1, True)
    assert run("resume", "--yes").stdout == "The panic switch is off for all access.\n"
    assert run("requests", "approve", waiting.id, "--yes").exit_code == 0
    assert shop.recorded("panic:switch:on", "panic:switch:off")


@pytest.mark.parametrize(
    "words", [("--role", "shop-admin"), ("--user", ANA), ("--user", "u0ana@example.com")]
)
def test_panic_can_be_for_one_role_or_one_person(words: tuple[str, str], shop: Shop) -> None:
    hit, spared = shop.made.a_grant("shop-admin", ANA), shop.made.a_grant("reports-read", CARA)
    shown = run("panic", *words, "--yes")
    assert (
        shown.stdout.splitlines()[-1]
        == f"New access is blocked until: access-bot resume {' '.join(words)}"
    )
    assert shop.made.grant(hit.id).state is GrantState.ENDED
    assert shop.made.grant(spared.id).state is GrantState.ACTIVE
    wrong = run("resume", "--yes")
    assert (wrong.exit_code, "access-bot resume --" in wrong.stderr) == (1, True)
    assert run("resume", *words, "--yes").exit_code == 0


def test_panic_names_the_systems_that_have_not_confirmed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.cli.inline_worker.PATIENCE", 0)
    monkeypatch.setattr(Gateway, "read_back", lambda self, order: True)
    grant = shop.made.a_grant()
    shown = run("panic", "--yes")
    assert shown.exit_code == 0, shown.stderr
    assert f"{grant.id} is ending: shop-admin has not confirmed the revocation yet" in shown.stdout


UNKNOWN = {
    "role": (("--role", "shop-amdin"), "There is no role “shop-amdin”; did you mean"),
    "id": (("--user", "U0NOBODY"), "No member with the Slack id U0NOBODY is known"),
    "e-mail": (("--user", "x@example.com"), "No member with the e-mail x@example.com is known"),
    "name": (("--user", "ana"), "“ana” is not a member: give a Slack id"),
    "handle": (("--user", "@ana"), "“@ana” is not a member: give a Slack id"),
}


@pytest.mark.parametrize(("words", "said"), UNKNOWN.values(), ids=UNKNOWN)
def test_panic_for_an_unknown_person_is_refused(
    words: tuple[str, str], said: str, shop: Shop
) -> None:
    shown = run("panic", *words, "--yes")
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.startswith(said)


def test_resume_without_a_panic_says_so(shop: Shop) -> None:
    shown = run("resume", "--role", "shop-admin", "--yes")
    assert (
        shown.exit_code,
        shown.stderr.startswith("No panic switch is on for all access of role shop"),
    ) == (1, True)


@pytest.mark.parametrize("content", ["", "not = toml =", "[workspace]\n"])
def test_access_can_be_ended_with_a_bad_roles_file(
    content: str, shop: Shop, configured: Path
) -> None:
    first, second = shop.made.a_grant("shop-admin"), shop.made.a_grant("reports-read")
    (configured / "roles.toml").write_text(content)
    assert run("grants", "revoke", first.id, "--yes").exit_code == 0
    assert run("panic", "--yes").exit_code == 0
    assert {shop.made.grant(grant.id).state for grant in (first, second)} == {GrantState.ENDED}
    assert run("resume", "--yes").exit_code == 2


def test_without_roles_nobody_can_be_approved(shop: Shop, configured: Path) -> None:
    waiting = shop.ask("shop-deploy")
    (configured / "roles.toml").write_text("")
    assert run("requests", "approve", waiting.id, "--yes").exit_code == 2
