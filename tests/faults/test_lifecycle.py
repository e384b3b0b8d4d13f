"""Every verb and button as people use them, against the real bot: what they press and read, and
what is open then."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import Any

import pytest

from bot.sandbox import Person
from tests.faults.running_bot import Company, parts
from tests.waiting import until

ENDED = "has ended"


def labels(message: dict[str, Any]) -> list[str]:
    """The words on the buttons of a message or view."""
    return [part["text"]["text"] for part in parts(message) if part.get("type") == "button"]


def deny(approver: Person, card: dict[str, Any], reason: str) -> None:
    assert approver.click(card, "Deny").ok
    approver.wait_view("Deny")
    assert approver.fill_and_submit({"Reason": reason}).ok


# --- asking


def test_the_form_puts_each_error_at_its_input_and_asks_for_a_ticket_when_the_role_does(
    company: Company,
) -> None:
    dev = company.dev
    form = company.access(dev, "").view
    assert form is not None and "Ticket" not in dev.plain(form)
    dev.fill({"Role": "Customer records"})
    dev.wait_view("Ticket")
    for typed, field in (
        ({"Duration": "-1h", "Reason": "because", "Ticket": "OPS-1"}, "duration"),
        ({"Duration": "9h"}, "duration"),
        ({"Duration": "1h", "Ticket": "no ticket"}, "ticket"),
        ({"Ticket": "OPS-1", "Reason": "!!!"}, "reason"),
        ({"Reason": "because", "Start": int(time.time()) - 7200}, "start"),
    ):
        assert list(dev.fill_and_submit(typed).errors) == [field]
    sent = dev.fill_and_submit({"Start": None})
    assert sent.errors == {} and sent.view is not None and "Sent" in dev.plain(sent.view)
    card = company.card(company.request(dev, "customer-data")[0])
    said = company.ben.plain(company.ben.wait_message("#db-approvals", "Dev Patel"))
    assert (
        "OPS-1" in said
        and "because" in said
        and labels(card) == ["Approve", "Deny", "Edit", "Details"]
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("shop-admim 1h because", "Did you mean shop-admin?"),
        ("shop-admin -1h because", "-1h"),
        ("shop-admin 0m because", "0m"),
        ("shop-admin 999999h because", "nothing lasts more than"),
        ("shop-admin 5h because", "at most 4h"),
        ("shop-admin 2h until tomorrow because", "until"),
        ("shop-admin 1h", "Say why"),
        ("shop-admin 1h …!", "Say why"),
        ("shop-admin 1h " + "a" * 10_000, "10,000 characters"),
        ("customer-data 1h because", "customer-data is only for @engineers"),
    ],
)
def test_a_refused_command_says_why_and_is_on_record(
    company: Company, words: str, says: str
) -> None:
    who = company.newcomer()
    said = company.access(who, f"request {words}")
    assert says in said.text
    assert company.events(actor=who.id) == ["request:action:refused"]


def test_what_is_pending_or_held_is_not_asked_for_twice_and_offers_more_time(
    company: Company,
) -> None:
    who = company.newcomer()
    request = company.ask(who, "shop-admin", "1h first")
    assert "it waits for a decision" in company.access(who, "request shop-admin again").text
    assert company.ben.click(company.card(request), "Approve").ok
    who.wait_dm("Show credentials")
    again = company.access(who, "request shop-admin again")
    assert "already" in again.text and "Renew" in labels(again.messages[-1])
    second_later = time.time() + 1
    until(lambda: time.time() > second_later)
    assert who.click(again.messages[-1], "Renew").ok
    who.wait_dm("Renewed")
    assert len(company.rows("SELECT id FROM requests WHERE requester = ?", who.id)) == 1


def test_both_shortcuts_open_the_form_and_the_message_becomes_the_reason(company: Company) -> None:
    dev = company.dev
    form = dev.shortcut("request_access").view
    assert form is not None and "Reason" in dev.plain(form)
    dev.close_view()
    talk = dev.say("C0GENERAL", "the orders page <!channel> is down")
    form = dev.message_shortcut("request_access_from_message", talk).view
    assert form is not None
    dev.fill_and_submit({"Role": "Shop admin", "Duration": "30m"})
    request, state = company.request(dev, "shop-admin")
    assert state == "pending" and "the orders page" in company.card_text(request)
    assert company.access(dev, "cancel shop-admin").ok


# --- deciding


def test_an_approved_request_opens_the_gate_for_its_holder_until_it_is_given_back(
    company: Company,
) -> None:
    who = company.newcomer()
    request = company.ask(who, "shop-admin", "1h to look at orders")
    assert company.ben.click(company.card(request), "Approve").ok
    card = company.wait_card(request, "Active until")
    assert labels(card) == [] and "Approved by @ben" in company.card_text(request)
    given = who.wait_dm("You have")
    assert labels(given) == ["Show credentials", "Renew", "I'm done"]
    token = company.token(who, "shop-admin")
    assert company.check(token) == 200 and company.check(token, "reports") == 403
    assert who.click(given, "I'm done").ok
    who.wait_dm("you gave it back")
    assert company.check(token) == 401
    company.ben.wait_message("#access-approvals", "given back", thread=card["ts"])
    assert company.events(request=request) == [
        "request:access:asked",
        "request:vote:given",
        "request:approval:given",
        "grant:access:started",
        "grant:credentials:shown",
        "grant:use:first",
        "grant:end:asked",
        "grant:access:ended",
    ]


def test_a_denial_needs_a_reason_which_the_requester_reads(company: Company) -> None:
    who = company.newcomer()
    request = company.ask(who, "shop-admin")
    card = company.card(request)
    assert company.gwen.click(card, "Deny").ok
    company.gwen.wait_view("Deny")
    assert list(company.gwen.fill_and_submit({"Reason": "  "}).errors) == ["reason"]
    assert company.gwen.fill_and_submit({"Reason": "ask Ben *first* <!here>"}).ok
    assert "ask Ben *first* <!here>" in who.plain(who.wait_dm("denied"))
    card = company.wait_card(request, "Denied by @gwen")
    assert labels(card) == [] and "ask Ben *first* <!here>" in company.card_text(request)
    assert company.grant(who, "shop-admin") == ("", "")


def test_edit_gives_less_and_never_more(company: Company) -> None:
    who = company.newcomer()
    request = company.ask(who, "shop-admin", "2h everything")
    assert company.ben.click(company.card(request), "Edit").ok
    company.ben.wait_view("Edit")
    assert list(company.ben.fill_and_submit({"Duration": "3h"}).errors) == ["duration"]
    assert list(company.ben.fill_and_submit({"Duration": "soon"}).errors) == ["duration"]
    assert company.ben.fill_and_submit({"Duration": "30m", "Actions": ["orders:read"]}).ok
    assert "Your approver changed it" in who.plain(who.wait_dm("Show credentials"))
    found = company.rows("SELECT duration, actions FROM grants WHERE request_id = ?", request)
    assert [(seconds, json.loads(actions)) for seconds, actions in found] == [
        (1800, ["orders:read"])
    ]
    company.wait_card(request, "Given for 30m")


def test_a_quorum_counts_people_and_not_presses(company: Company) -> None:
    request = company.ask(company.dev, "shop-deploy", "1h ship it")
    assert company.chiara.click(company.card(request), "Approve").ok
    company.chiara.wait_ephemeral("1 of 2")
    assert company.chiara.click(company.card(request), "Approve").ok
    company.quiet()
    assert company.request(company.dev, "shop-deploy")[1] == "pending"
    assert "1 of 2" in company.card_text(request)
    assert company.farid.click(company.card(request), "Approve").ok
    company.dev.wait_dm("Shop deploy")
    company.wait_card(request, "Active until")
    assert "@chiara, @farid" in company.card_text(request)
    assert company.access(company.dev, "done shop-deploy").ok


def test_an_unanswered_request_lapses(company: Company) -> None:
    who = company.newcomer()
    request = company.ask(who, "hurried")
    who.wait_dm("Nobody decided")
    assert labels(company.wait_card(request, "Nobody decided in time")) == []
    assert company.request(who, "hurried")[1] == "lapsed"


def test_a_request_for_later_starts_when_its_time_comes(company: Company) -> None:
    who = company.newcomer()
    company.access(who, "")
    who.wait_view("Start")
    sent = who.fill_and_submit(
        {"Role": "Shop admin", "Duration": "1h", "Reason": "tonight", "Start": int(time.time()) + 4}
    )
    assert sent.errors == {}
    request = company.request(who, "shop-admin")[0]
    assert company.ben.click(company.card(request), "Approve").ok
    assert labels(who.wait_dm("You get a message when it works")) == ["I'm done"]
    who.wait_dm("Show credentials")
    assert company.check(company.token(who, "shop-admin")) == 200


# --- holding


def test_a_renewal_moves_the_end_as_often_as_the_role_allows(company: Company) -> None:
    who = company.newcomer()
    grant = company.hold(who, "shop-admin", "2h work")
    before = company.rows("SELECT ends_at FROM grants WHERE id = ?", grant)[0][0]
    old = company.token(who, "shop-admin")
    company.renew(who, "shop-admin 2h still at it")
    renewed = who.wait_dm("Renewed")
    after = company.rows("SELECT ends_at FROM grants WHERE id = ?", grant)[0][0]
    assert before < after <= time.time() + 7200
    assert company.check(old) == 200
    new = company.token(who, "shop-admin")
    assert (company.check(old), company.check(new)) == (401, 200)
    assert "would add nothing" in company.access(who, "renew 10m").text
    assert "approved for 2h" in company.access(who, "renew 3h").text
    company.renew(who, "2h")
    time.sleep(1.1)  # or the third one would add nothing
    assert who.click(renewed, "Renew").ok
    asked = until(lambda: company.rows("SELECT id FROM requests WHERE renews = ?", grant))[0][0]
    assert company.ben.click(company.card(asked), "Approve").ok
    until(lambda: company.rows("SELECT renewals FROM grants WHERE id = ?", grant) == [(3,)])


def test_a_role_with_renewal_approval_asks_again(company: Company) -> None:
    who = company.newcomer()
    grant = company.hold(who, "reports-read", "1h work")
    before = company.rows("SELECT ends_at FROM grants WHERE id = ?", grant)[0][0]
    assert company.access(who, "renew reports-read 2h more work").ok
    request = until(lambda: company.rows("SELECT id FROM requests WHERE renews = ?", grant))[0][0]
    assert company.rows("SELECT ends_at FROM grants WHERE id = ?", grant)[0][0] == before
    assert "as a renewal" in company.card_text(request) and "more work" in company.card_text(
        request
    )
    assert company.ben.click(company.card(request), "Approve").ok
    who.wait_dm("Renewed")
    assert company.rows("SELECT ends_at FROM grants WHERE id = ?", grant)[0][0] > before + 3000
    company.wait_card(request, "Approved by")


def test_access_ends_on_time_and_a_reminder_came_before(company: Company) -> None:
    who = company.newcomer()
    grant = company.hold(who, "brief")
    token = company.token(who, "brief")
    reminder = who.wait_dm("Still working?")
    assert labels(reminder) == ["Renew", "I'm done"]
    assert who.click(reminder, "Renew").ok
    who.wait_dm("Renewed")
    token = company.token(who, "brief")
    assert company.check(token) == 200
    who.wait_dm("has ended")
    assert company.check(token) == 401
    assert company.grant(who, "brief") == (grant, "ended")
    (request,) = company.rows("SELECT request_id FROM grants WHERE id = ?", grant)[0]
    card = company.wait_card(request, "Ended")
    company.quiet()
    assert "expired" in company.card_text(request) and labels(card) == []
    thread = company.sandbox.inspector.messages(card["channel"], card["ts"])
    replies = [company.chiara.plain(each) for each in thread if each["ts"] != card["ts"]]
    assert replies and not [words for words in replies if "Ended" in words]
    assert company.events(grant=grant).count("grant:reminder:sent") >= 1


def test_done_and_cancel_work_by_command_and_say_what_there_is_to_choose(company: Company) -> None:
    who = company.newcomer()
    assert "you hold no access" in company.access(who, "done").text
    assert "you have no pending request" in company.access(who, "cancel").text
    first, second = company.ask(who, "shop-admin"), company.ask(who, "reports-read")
    assert company.card(first) and company.card(second)  # nothing is posted once it is withdrawn
    assert "reports-read, shop-admin" in company.access(who, "cancel").text
    assert "Withdrawn" in company.access(who, "cancel shop-admin").text
    company.wait_card(first, "Withdrawn by")
    listed = company.access(who, "list").messages[-1]
    assert who.click(listed, "Cancel").ok
    assert labels(company.wait_card(second, "Withdrawn by")) == []
    company.hold(who, "shop-admin")
    assert "closed from now on" in company.access(who, "done").text
    who.wait_dm("you gave it back")


def test_a_lead_revokes_after_a_confirm_and_nobody_else_can(company: Company) -> None:
    who = company.newcomer()
    company.hold(who, "shop-admin")
    token = company.token(who, "shop-admin")
    assert "Only leads" in company.access(company.ben, f"revoke @{who.name}").text
    shown = company.access(company.chiara, f"revoke @{who.name} all").messages[-1]
    button = next(part for part in parts(shown) if part.get("action_id") == "revoke")
    assert button["style"] == "danger" and "confirm" in button
    assert company.chiara.click(shown, "Revoke").ok
    assert "revoked by @chiara" in who.plain(who.wait_dm(ENDED))
    assert company.check(token) == 401
    company.chiara.wait_dm("Revoked: shop-admin")
    assert "has no access right now" in company.access(company.chiara, f"revoke @{who.name}").text


def test_the_token_stands_in_the_modal_only_and_the_next_one_replaces_it(company: Company) -> None:
    who, other = company.newcomer(), company.newcomer()
    grant = company.hold(who, "shop-admin")
    company.hold(other, "shop-admin")
    first = company.token(who, "shop-admin")
    assert company.check(first) == 200
    assert who.click(company.about(who, "shop-admin"), "Show credentials").ok
    assert "stops working now" in who.plain(who.wait_view())
    second = company.read_token(who)
    assert (company.check(first), company.check(second)) == (401, 200)
    assert other.click(company.about(other, "shop-admin"), "Show credentials", value=grant).ok
    other.wait_dm("Only the holder")
    assert other.view() is None
    posted = json.dumps(
        [
            call
            for call in company.sandbox.inspector.calls()
            if not call["method"].startswith("views.")
        ]
    )
    assert first not in posted and second not in posted and second not in json.dumps(who.dms())


# --- looking


def test_home_shows_what_is_mine_what_waits_for_me_and_to_leads_everything(
    company: Company,
) -> None:
    who = company.newcomer()
    who.open_home()
    assert "Request access" in labels(who.wait_home("You have no access right now"))
    request = company.ask(who, "shop-admin", "1h for the home page")
    who.open_home()
    who.wait_home("Waiting for a decision")
    company.ben.open_home()
    home = company.ben.wait_home("for the home page")
    assert "Waiting for you" in company.ben.plain(home)
    place = next(
        part
        for part in parts(home)
        if part.get("value") == request and part.get("action_id") == "approve"
    )
    assert company.ben.click(home, action_id="approve", value=place["value"]).ok
    who.wait_dm("Show credentials")
    who.open_home()
    who.wait_home("Active until")
    company.chiara.open_home()
    assert f"@{who.name}" in company.sandbox.person("chiara").plain(
        company.chiara.wait_home("Everything active")
    )
    assert who.click(who.wait_home("Active until"), "I'm done").ok
    who.wait_home("You have no access right now")


def test_help_roles_and_list_answer_and_verbs_of_leads_are_refused(company: Company) -> None:
    who = company.newcomer()
    assert (
        "/access renew" in company.access(who, "help").text
        and "For leads" not in company.access(who, "help").text
    )
    assert "For leads" in company.access(company.chiara, "help").text
    listed = company.access(who, "roles").text
    assert "shop-admin" in listed and "customer-data" not in listed
    assert "You have no access" in company.access(who, "list").text
    assert "It waits for 1 approval" in company.access(who, "explain shop-admin").text
    for verb in ("onboard @ana backend", "review start", "flags", "audit", "audit verify"):
        assert "Only leads" in company.access(who, verb).text
    assert "No review waits" in company.access(who, "review").text
    assert "Did you mean /access renew?" in company.access(who, "renwe").text
    assert "/access help" in company.access(who, "xyzzy").text


def test_the_audit_log_is_filtered_paged_exported_and_checked(company: Company) -> None:
    who, lead = company.newcomer(), company.chiara
    company.hold(who, "shop-admin", '1h =HYPERLINK("http://evil.example")')
    assert company.access(who, "done").ok
    who.wait_dm(ENDED)
    page = company.access(lead, f"audit @{who.name}").messages[-1]
    said = lead.plain(page)
    assert "request:access:asked" in said and "grant:access:ended" in said
    only = lead.plain(
        company.access(lead, f"audit @{who.name} event:grant:access:ended since:1h").messages[-1]
    )
    assert "grant:access:ended" in only and "request:access:asked" not in only
    assert "role:shop-admin" in lead.plain(
        company.access(lead, "audit role:shop-admin system:shop-admin").messages[-1]
    )
    assert "Unknown filter" in company.access(lead, "audit color:red").text
    for _ in range(21):
        company.access(lead, "audit event:audit:log:read")
    first = company.access(lead, "audit event:audit:log:read").messages[-1]
    assert lead.click(first, "Older").ok
    lead.wait_dm("Audit log, newest first")
    assert "on their way" in company.access(lead, f"audit export @{who.name}").text
    files = until(
        lambda: [each for each in company.sandbox.inspector.files() if who.id in each["content"]]
    )
    rows = list(csv.DictReader(io.StringIO(files[-1]["content"])))
    assert rows[0]["event"] == "request:access:asked"
    assert rows[0]["reason"] == '\'=HYPERLINK("http://evil.example")'
    assert not [
        cell
        for row in rows
        for cell in row.values()
        if cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    ]
    assert company.access(lead, "audit verify").ok
    lead.wait_dm("The audit log is intact")


# --- typed text


HOSTILE = {
    "mentions": "see <!channel> <@U0HOSTILE> <!subteam^S0HOSTILE> <#C0HOSTILE>",
    "links": "see <https://evil.example|the docs> and https://evil.example/x",
    "formatting": "*bold* _it_ ~no~ `code` ```block``` > quote :tada: &lt;!here&gt;",
    "bidi": "safe \u202e gnitirw \u2066 \u200b\u200f end",
    "control": "bell \x07 escape \x1b[31m tab \t and \x85 done",
    "long": "why " + "<!everyone>" * 272,
}


@pytest.mark.parametrize("reason", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_reason_is_stored_as_typed_and_does_nothing_anywhere(
    company: Company, reason: str
) -> None:
    who = company.newcomer()
    company.access(who, "")
    who.wait_view("Reason")
    sent = who.fill_and_submit({"Role": "Shop admin", "Duration": "1h", "Reason": reason})
    assert sent.errors == {}
    request = company.request(who, "shop-admin")[0]
    assert company.rows("SELECT reason FROM requests WHERE id = ?", request) == [(reason,)]
    company.ben.open_home()
    assert company.ben.click(company.card(request), "Deny").ok
    company.ben.wait_view("Deny")
    assert company.ben.fill_and_submit({"Reason": reason}).ok
    who.wait_dm("denied")
    company.access(company.chiara, f"audit @{who.name}")
    company.quiet()
    shown = company.card_text(request)
    assert not {"\u202e", "\u2066", "\u200b", "\x07", "\x1b"} & set(shown)
    assert company.reactions() == []
    assert company.complaints() == []
