"""`grants` and `requests`: lists, and decisions that have taken effect when they are reported."""

from __future__ import annotations

import json
import re
import socket
import threading
from contextlib import closing
from pathlib import Path

import pytest

from bot.cli import common
from bot.connectors.gateway import Gateway
from bot.core.effects import Queue
from bot.core.model import GrantState, RequestState
from bot.operations.claim_work import ClaimedQueue
from tests.builders import SYSTEMS, policy_text
from tests.cli.conftest import Shop, run
from tests.connectors.raw_server import RawServer, read_request
from tests.factories import ANA

# --- grants


def test_grants_are_listed_with_the_time_left(shop: Shop) -> None:
    grant = shop.made.a_grant(duration=1800 + 30)
    titles, row = run("grants", "list").stdout.splitlines()
    assert titles.split() == [
        "GRANT",
        "PERSON",
        "NAME",
        "ROLE",
        "SYSTEMS",
        "STATE",
        "STARTS",
        "ENDS",
        "LEFT",
    ]
    assert row.startswith(f"{grant.id}  {ANA}")
    assert re.search(r"active .* UTC  in (29|30) min$", row)
    assert titles.index("LEFT") == row.rindex("in ")


def test_a_list_for_scripts_is_one_object_a_line(shop: Shop) -> None:
    grants = {shop.made.a_grant(role).id for role in ("shop-admin", "reports-read")}
    found = [json.loads(line) for line in run("grants", "list", "--json").stdout.splitlines()]
    assert {each["grant"] for each in found} == grants
    assert all((each["used"], each["last_used_at"]) == (0, None) for each in found)
    assert found[0]["state"] == "active" and re.fullmatch(r"[\d-]+T[\d:]+Z", found[0]["ends_at"])


def test_a_shortened_list_says_so(shop: Shop) -> None:
    shop.made.a_grant("shop-admin"), shop.made.a_grant("reports-read")
    shown = run("grants", "list", "--limit", "1")
    assert len(shown.stdout.splitlines()) == 2
    assert shown.stderr == "Showing the first 1; pass --limit for more.\n"


def test_revoke_ends_the_access_on_the_system_at_once(shop: Shop) -> None:
    grant = shop.made.a_grant()
    shown = run("grants", "revoke", grant.id, "--yes")
    assert (shown.exit_code, shown.stdout) == (0, f"{grant.id} ended on shop-admin.\n")
    ended = shop.made.grant(grant.id)
    assert (ended.state, ended.end_reason) == (GrantState.ENDED, "revoked")
    assert ended.end_by == common.actor()
    assert shop.recorded("grant:end:asked")


def test_revoke_says_which_system_has_not_confirmed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.cli.inline_worker.PATIENCE", 0)
    monkeypatch.setattr(Gateway, "read_back", lambda self, order: True)
    grant = shop.made.a_grant()
    shown = run("grants", "revoke", grant.id, "--yes")
    assert shown.exit_code == 0
    assert shown.stdout.startswith(
        f"{grant.id} is ending: shop-admin has not confirmed the revocation yet (shop-admin"
        " still has"
    )
    assert shop.made.grant(grant.id).state is GrantState.ENDING


def test_revoke_waits_for_a_running_bot_that_has_claimed_the_end(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot claims the row the moment it is committed, and finishes it while the command line
    waits."""
    grant, world = shop.made.a_grant(), shop.made.world

    def taken_by_the_bot(base: object) -> object:
        ClaimedQueue(world, Queue.END, "the bot", 60).take(10)
        return type("NoDispatcher", (), {"drain": lambda self, queue: 0})()

    monkeypatch.setattr("bot.cli.inline_worker.build_dispatcher", taken_by_the_bot)
    monkeypatch.setattr("time.sleep", lambda seconds: shop.made.close_gates(grant))
    assert run("grants", "revoke", grant.id, "--yes").stdout == f"{grant.id} ended on shop-admin.\n"


def test_a_start_that_waits_is_overtaken_by_its_end(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("bot.cli.inline_worker.PATIENCE", 0)
        patch.setattr(Gateway, "read_back", lambda self, order: False)
        asked = shop.ask()
        shown = run("requests", "approve", asked.id, "--yes")
    assert "starting; shop-admin has not confirmed yet" in shown.stdout
    (line,) = run("grants", "list", "--json").stdout.splitlines()
    grant = json.loads(line)["grant"]
    assert run("grants", "revoke", grant, "--yes").stdout == f"{grant} ended on shop-admin.\n"


def test_a_grant_that_does_not_exist_cannot_be_revoked(shop: Shop) -> None:
    shown = run("grants", "revoke", "gnothing")
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert "nothing to end" in shown.stderr
    assert shop.recorded("request:action:refused")


# --- requests


def test_pending_requests_are_listed_with_cleaned_text(shop: Shop) -> None:
    request = shop.ask(reason="fix\x1b[2J \u202enow\nsecond line")
    shown = run("requests", "list").stdout
    assert shown.splitlines()[1].startswith(request.id)
    assert "fix?[2J ?now second line" in shown
    assert not {"\x1b", "\u202e"} & set(shown)


def test_requests_are_listed_by_state(shop: Shop) -> None:
    denied, pending = shop.ask("shop-admin"), shop.ask("reports-read")
    run("requests", "deny", denied.id, "--reason", "not today", "--yes")

    def listed(*words: str) -> set[str]:
        return {
            json.loads(line)["request"]
            for line in run("requests", "list", "--json", *words).stdout.splitlines()
        }

    assert listed() == {pending.id}
    assert listed("--state", "denied") == {denied.id}
    assert listed("--state", "all") == {denied.id, pending.id}
    assert run("requests", "list", "--state", "lapsed").stdout == "No lapsed requests.\n"
    assert run("requests", "list", "--state", "gone").exit_code == 2


def test_approve_gives_the_access_on_the_system(shop: Shop) -> None:
    request = shop.ask()
    shown = run("requests", "approve", request.id, "--yes")
    assert shown.exit_code == 0
    assert re.search(
        r"^Approved: g\w+, shop-admin for U0Ana, is active until .* UTC \(in (59|1)", shown.stdout
    )
    approved = shop.request(request.id)
    assert (approved.state, approved.decided_by) == (RequestState.APPROVED, common.actor())
    assert shop.recorded("request:vote:given", "request:approval:given")


def test_approve_looks_up_the_ticket_at_the_decision(shop: Shop) -> None:
    def is_closed(line: socket.socket, over: threading.Event) -> None:
        read_request(line)
        said = b'{"found": true, "open": false}'
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))

    asked = shop.ask("reports-read")
    with closing(RawServer(is_closed)) as server:
        table = f'[tickets]\nkind = "webhook"\nurl = "{server.url}"\ntoken = "s3cret"\n'
        Path("roles.toml").write_text(policy_text(systems=SYSTEMS + table))
        shown = run("requests", "approve", asked.id, "--yes")
    assert (shown.exit_code, shop.request(asked.id).state) == (1, RequestState.PENDING)
    assert "The ticket “OPS-1” is closed" in shown.stderr


def test_approve_says_how_many_more_are_needed(shop: Shop) -> None:
    request = shop.ask("shop-deploy")
    shown = run("requests", "approve", request.id, "--yes")
    assert (shown.exit_code, shown.stdout) == (
        0,
        "Your approval is recorded: 1 of 2, 1 more needed.\n",
    )
    assert shop.request(request.id).state is RequestState.PENDING


def test_approve_says_when_the_start_failed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.core.errors import SystemRefused

    def refuse(self: object, order: object) -> None:
        raise SystemRefused("no_such_shop")

    monkeypatch.setattr(Gateway, "grant", refuse)
    shown = run("requests", "approve", shop.ask().id, "--yes")
    assert shown.exit_code == 1
    assert "failed to start" in shown.stderr


def test_deny_needs_a_reason(shop: Shop) -> None:
    request = shop.ask()
    shown = run("requests", "deny", request.id, "--yes")
    assert (shown.exit_code, "--reason" in shown.stderr) == (2, True)
    assert shop.request(request.id).state is RequestState.PENDING


def test_deny_asks_for_the_reason_on_a_terminal(shop: Shop, at_terminal: None) -> None:
    request = shop.ask()
    shown = run("requests", "deny", request.id, typed="y\nuse the replica\n")
    assert shown.exit_code == 0
    denied = shop.request(request.id)
    assert (denied.state, denied.decision_reason) == (RequestState.DENIED, "use the replica")


@pytest.mark.parametrize(
    "words", [("approve", "ID"), ("deny", "ID", "--reason", "no")], ids=["approve", "deny"]
)
def test_a_decided_request_stays_decided(words: tuple[str, ...], shop: Shop) -> None:
    request = shop.ask()
    run("requests", "deny", request.id, "--reason", "no", "--yes")
    shown = run("requests", *(request.id if word == "ID" else word for word in words), "--yes")
    assert shown.exit_code == 1
    assert shown.stderr.startswith(f"{request.id} is already denied, by {common.actor()} on ")


@pytest.mark.parametrize(
    "words", [("approve", "rnone"), ("deny", "rnone", "--reason", "no")], ids=["approve", "deny"]
)
def test_a_request_that_does_not_exist_is_refused(words: tuple[str, ...], shop: Shop) -> None:
    shown = run("requests", *words)
    assert (shown.exit_code, shown.stderr) == (1, "This request does not exist.\n")
