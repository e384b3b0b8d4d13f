"""Slack in trouble: slow, silent, refusing, half gone. Nothing is lost, nothing said too often, and
no end waits."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from slack_bolt import App
from slack_sdk import WebClient

from bot.sandbox import Person, Sandbox, running_sandbox
from bot.slack import socket as slack_socket
from tests.faults.running_bot import Company
from tests.waiting import until

APPROVALS, DB_APPROVALS, SECURITY = "C0APPROVAL", "C0DBAPPROV", "G0SECURITY"


@pytest.fixture(autouse=True)
def healthy(company: Company) -> Iterator[None]:
    """Each test leaves Slack well and nothing undone."""
    yield
    company.sandbox.faults.clear()
    company.quiet(60)


def known(company: Company) -> Person:
    """A newcomer whom the bot has met."""
    who = company.newcomer()
    assert company.access(who, "list").ok
    return who


def posts_about(company: Company, who: Person, channel: str) -> list[dict[str, object]]:
    """The messages of a channel, oldest first, that name this person."""
    return [each for each in company.sandbox.inspector.messages(channel) if who.id in str(each)]


TROUBLE: dict[str, Callable[[Sandbox], None]] = {
    "429": lambda sandbox: sandbox.faults.rate_limited("*", 1),
    "500": lambda sandbox: sandbox.faults.http("*", 500),
    "internal_error": lambda sandbox: sandbox.faults.internal_error("*"),
    "reset": lambda sandbox: sandbox.faults.reset("*"),
    "invalid_auth": lambda sandbox: sandbox.faults.invalid_auth("*"),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_what_an_outage_holds_back_arrives_once_and_in_order_while_ends_go_on(
    company: Company, trouble: Callable[[Sandbox], None]
) -> None:
    holder, askers = company.newcomer(), [known(company) for _ in range(3)]
    company.hold(holder, "shop-admin", "6s work")
    token = company.token(holder, "shop-admin")
    trouble(company.sandbox)
    for who in askers:
        assert "Sent" in company.access(who, "request shop-admin 1h because").text
    assert company.check(token) in (200, 401)
    until(lambda: company.grant(holder, "shop-admin")[1] == "ended")
    assert company.check(token) == 401
    assert not any(posts_about(company, who, APPROVALS) for who in askers)
    company.sandbox.faults.clear()
    holder.wait_dm("expired", timeout=60)
    for who in askers:
        company.card(company.request(who, "shop-admin")[0], timeout=60)
    company.quiet(60)
    mine = [[each["ts"] for each in posts_about(company, who, APPROVALS)] for who in askers]
    assert [len(each) for each in mine] == [1, 1, 1] and mine == sorted(mine)
    assert [company.ben.plain(dm).count("has ended") for dm in holder.dms()].count(1) == 1


def test_a_pause_that_slack_asks_for_is_kept_for_the_channel(company: Company) -> None:
    first, second = known(company), known(company)
    company.sandbox.inspector.forget()
    company.sandbox.faults.rate_limited("chat.postMessage", 3, count=1)
    requests = [company.ask(who, "shop-admin") for who in (first, second)]
    company.card(requests[1])
    calls = company.sandbox.inspector.calls("chat.postMessage")
    assert calls[0]["status"] == 429 and len(calls) > 2
    assert all(call["at"] - calls[0]["at"] >= 3 for call in calls[1:])


def test_a_pause_that_slack_asks_for_is_kept_for_the_method(company: Company) -> None:
    askers = [known(company) for _ in range(4)]
    requests = [company.ask(who, "shop-admin") for who in askers]
    assert all(company.card(request) for request in requests)
    company.sandbox.inspector.forget()
    company.sandbox.faults.rate_limited("chat.update", 3, count=1)
    assert company.access(askers[0], "cancel shop-admin").ok
    refused = until(lambda: company.sandbox.inspector.calls("chat.update"))[0]
    assert refused["status"] == 429
    for who in askers[1:]:
        assert company.access(who, "cancel shop-admin").ok
    for request in requests:
        company.wait_card(request, "Withdrawn")
    later = company.sandbox.inspector.calls("chat.update")[1:]
    assert len(later) == 4 and all(call["at"] - refused["at"] >= 3 for call in later)


def test_a_post_that_is_cut_off_again_and_again_still_arrives_once(company: Company) -> None:
    who = known(company)
    company.sandbox.faults.reset("chat.postMessage", count=4)
    company.card(company.ask(who, "shop-admin"))
    company.quiet()
    assert len(posts_about(company, who, APPROVALS)) == 1


def test_a_lost_answer_repeats_that_message_at_most_once_and_every_copy_can_be_used(
    company: Company,
) -> None:
    first, second = known(company), known(company)
    company.sandbox.faults.lost_answer("chat.postMessage", count=1)
    request, later = [company.ask(who, "shop-admin") for who in (first, second)]
    company.card(later)
    copies = posts_about(company, first, APPROVALS)
    assert 1 <= len(copies) <= 2 and len(posts_about(company, second, APPROVALS)) == 1
    assert company.ben.click(copies[0], "Approve").ok
    company.wait_card(request, "Approved by")
    company.quiet()
    for copy in posts_about(company, first, APPROVALS):
        assert "Approved by" in company.ben.plain(copy)


def test_answers_that_are_lost_again_and_again_make_two_copies_and_never_three(
    company: Company,
) -> None:
    company.expect("post_approval can't be done")
    who = known(company)
    company.sandbox.faults.lost_answer("chat.postMessage", count=3)
    company.ask(who, "shop-admin")
    company.quiet(60)
    assert 1 <= len(posts_about(company, who, APPROVALS)) <= 2


# --- messages that can't be delivered


def test_a_closed_channel_is_told_to_security_once_and_another_channel_is_asked(
    company: Company,
) -> None:
    company.expect("can't be done")
    dev, first = company.dev, known(company)
    company.sandbox.admin.archive("#db-approvals")
    try:
        asked = ((dev, "customer-data"), (first, "reports-read"))
        for request in [company.ask(who, role, "1h OPS-1") for who, role in asked]:
            assert company.card(request)["channel"] == APPROVALS
        company.quiet()
        told = [company.chiara.plain(each) for each in company.sandbox.inspector.messages(SECURITY)]
        assert sum("can't be delivered" in each and "db-approvals" in each for each in told) == 1
    finally:
        company.sandbox.admin.archive("#db-approvals", archived=False)


def test_who_asks_hears_that_nobody_saw_it_when_no_channel_takes_it(company: Company) -> None:
    company.expect("can't be done")
    first, second = known(company), known(company)
    company.sandbox.admin.remove_from_channel("#access-approvals")
    try:
        for who in (first, second):
            company.ask(who, "shop-admin")
            who.wait_dm("to its channel now", timeout=30)
        company.quiet()
        told = [company.chiara.plain(each) for each in company.sandbox.inspector.messages(SECURITY)]
        assert (
            sum("can't be delivered" in each and "access-approvals" in each for each in told) == 1
        )
    finally:
        company.sandbox.admin.add_to_channel("#access-approvals")


def test_without_the_scope_for_files_a_lead_is_referred_to_the_command_line(
    company: Company,
) -> None:
    company.expect("can't be done")
    with without(company, "files:write"):
        assert company.access(company.chiara, "audit export").ok
        assert "access-bot audit export" in company.chiara.wait_dm("may not send files")["text"]


@contextmanager
def without(company: Company, scope: str) -> Iterator[None]:
    """The app lacks this scope meanwhile."""
    scopes = company.sandbox.call("set_app")["scopes"]
    company.sandbox.admin.grant_scopes([each for each in scopes if each != scope])
    try:
        yield
    finally:
        company.sandbox.admin.grant_scopes(scopes)


# --- the person of a press


def test_nothing_is_decided_while_slack_does_not_say_who_pressed(company: Company) -> None:
    who = known(company)
    request = company.ask(who, "shop-admin")
    card = company.card(request)
    company.sandbox.inspector.forget()
    company.sandbox.faults.http("users.info", 500)
    assert company.ben.click(card, "Approve").ok
    until(lambda: len(company.sandbox.inspector.calls("users.info")) >= 2)
    assert company.request(who, "shop-admin")[1] == "pending"
    company.sandbox.faults.clear("users.info")
    company.wait_card(request, "Approved by")


def test_an_approver_whom_slack_will_not_name_decides_nothing_and_is_told(company: Company) -> None:
    company.expect("decide can't be done")
    who = known(company)
    request = company.ask(who, "shop-admin")
    card = company.card(request)
    with without(company, "users:read"):
        assert company.ben.click(card, "Approve").ok
        company.ben.wait_ephemeral("nothing was decided")
    assert company.request(who, "shop-admin")[1] == "pending"
    assert company.events(actor=company.ben.id, request=request) == ["request:action:refused"]


# --- sockets


def test_a_refused_or_cut_socket_comes_back_and_until_then_the_bot_is_not_ready(
    company: Company,
) -> None:
    company.expect("bot.slack.socket")
    who = known(company)
    company.sandbox.faults.socket("refuse")
    company.sandbox.faults.drop_sockets()
    until(lambda: company.bot.get("/readyz")[0] == 503, 5)
    assert "Slack" in company.bot.get("/readyz")[1] and company.bot.get("/healthz")[0] == 200
    assert company.access(who, "list").outcome == "dispatch_failed"
    company.sandbox.faults.clear()
    until(company.bot.is_ready)
    assert company.access(who, "list").ok


def test_a_refresh_that_slack_announces_leads_to_a_new_connection_at_once(company: Company) -> None:
    who = known(company)
    company.sandbox.inspector.forget()
    company.sandbox.faults.disconnect_sockets()
    until(lambda: len(company.sandbox.inspector.calls("apps.connections.open")) >= 1)
    until(lambda: company.access(who, "list").ok, 5)
    assert all(company.access(who, "list").ok for _ in range(5))


def test_payloads_that_arrive_twice_or_in_another_order_have_one_effect(company: Company) -> None:
    who = company.newcomer()
    company.sandbox.faults.socket("duplicate")
    company.sandbox.faults.socket("reorder")
    request = company.ask(who, "shop-admin")
    assert company.ben.click(company.card(request), "Approve").ok
    who.wait_dm("Show credentials")
    company.quiet()
    assert company.events(request=request).count("request:vote:given") == 1
    assert len(posts_about(company, who, APPROVALS)) == 1


@pytest.fixture
def collected() -> Iterator[None]:
    """Slack's client drops a deaf connection without closing it, and its threads hold on to it
    until their last read is over; that warning belongs here, not to a later test."""
    before = set(threading.enumerate())
    yield
    until(lambda: not set(threading.enumerate()) - before)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.usefixtures("collected")
def test_a_connection_that_only_looks_alive_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack_socket, "PING", 0.2)
    monkeypatch.setattr(slack_socket, "DEAF", 0.8)
    with running_sandbox() as sandbox, ThreadPoolExecutor(1) as pool:
        env = sandbox.environment
        client = WebClient(env["SLACK_BOT_TOKEN"], base_url=env["SLACK_API_URL"])
        bolt = App(
            client=client,
            signing_secret="unused",
            token_verification_enabled=False,
            listener_executor=pool,
        )
        bolt.command("/access")(lambda ack: ack("alive"))
        kept = slack_socket.Socket(bolt, env["SLACK_APP_TOKEN"], client)
        kept.start()
        try:
            sandbox.wait_connected()
            until(kept.well)
            sandbox.faults.socket("silent")
            until(lambda: not kept.well())
            sandbox.faults.clear()
            until(kept.well)
            until(lambda: sandbox.person("ana").command("/access").text == "alive")
        finally:
            sandbox.faults.clear()
            kept.close()


def test_a_bot_that_starts_while_slack_is_away_guards_the_gates_and_serves_people_later(
    make_company: Callable[..., Company],
) -> None:
    company = make_company()
    company.sandbox.faults.http("*", 503)
    company.sandbox.faults.socket("refuse")
    bot = company.launch()
    until(lambda: bot.get("/healthz")[0] == 200)
    assert company.check("no-token-at-all") == 401
    assert bot.get("/readyz")[0] == 503
    until(lambda: company.sandbox.inspector.calls("auth.test"))
    company.sandbox.faults.clear()
    until(bot.is_ready)
    company.quiet(30)
    company.ask(company.ana, "shop-admin")


def test_a_slow_slack_slows_down_no_end_and_no_gate(company: Company) -> None:
    holder = company.newcomer()
    company.hold(holder, "shop-admin", "6s work")
    token = company.token(holder, "shop-admin")
    ends_at = company.rows(
        "SELECT ends_at FROM grants WHERE id = ?", company.grant(holder, "shop-admin")[0]
    )[0][0]
    company.sandbox.faults.hang("*")
    until(lambda: time.time() >= ends_at)
    assert company.check(token) == 401
    until(lambda: company.grant(holder, "shop-admin")[1] == "ended", 5)
    company.sandbox.faults.clear()
    holder.wait_dm("expired", timeout=60)


def test_a_first_start_refuses_nobody_and_alerts_nobody_while_groups_are_not_known(
    make_company: Callable[..., Company],
) -> None:
    company = make_company()
    company.sandbox.faults.internal_error("usergroups.list")
    bot, who = company.launch(), company.newcomer()
    until(lambda: bot.alive and bot.output and bot.is_ready(), 25)
    assert '"people": "starting"' in bot.get("/readyz")[1].replace('":"', '": "')
    said = company.access(who, "request shop-admin 1h SHOP-12 a refund")
    assert "and who is in the groups of shop-admin" in said.text
    assert company.rows("SELECT id FROM requests") == []
    company.sandbox.faults.clear()
    company.wait_card(
        until(lambda: next(iter(company.rows("SELECT id FROM requests")), ("",))[0]), "asks for"
    )
    until(lambda: "starting" not in bot.get("/readyz")[1])
    assert not [
        each for each in company.sandbox.inspector.messages(SECURITY) if "Too few" in str(each)
    ]
    assert not company.events(event="request:action:refused")
