"""The messages to approvers, requesters, threads and the security channel."""

from dataclasses import replace
from textwrap import wrap
from typing import Any

import pytest

from bot.connectors import KINDS
from bot.core.criteria import Criterion, Verdict
from bot.core.model import EndReason, GrantState, Lease, RequestState
from bot.core.usage import GrantUsage
from bot.operations.requests.request_access import Submitted
from bot.sandbox.blocks import validate_message
from bot.slack.blocks import actions, button, message, paragraph
from bot.slack.ids import Action
from bot.slack.views import (
    answers,
    approval_message,
    direct_messages,
    request_details,
    security_notes,
    thread_notes,
)
from tests.slack.views_samples import (
    ENDED,
    HOUR,
    NOW,
    a_card,
    a_grant,
    a_grant_view,
    a_request,
    a_role,
    elements,
    labels,
    shown,
    words,
)


def decided(state: RequestState, **changes: Any) -> dict[str, Any]:
    request = a_request(state=state, decided_by="U0BEN", decided_at=NOW, **changes)
    return approval_message.render(a_card(request=request), NOW)


# --- the approval message


def test_the_first_line_says_who_wants_what_for_how_long() -> None:
    first = approval_message.render(a_card(), NOW)["blocks"][0]
    assert (
        words({"blocks": [first]}).strip()
        == "Ana Silva (@U0ANA) asks for Orders database, read only (orders-read) for 1h."
    )


def test_the_first_line_names_the_program_that_asked() -> None:
    card = a_card(request=a_request(program="deploy-job"))
    first = approval_message.render(card, NOW)["blocks"][0]
    said = words({"blocks": [first]})
    assert said.strip().endswith("(orders-read) for 1h through the program deploy-job.")


def test_the_first_line_has_the_values_of_parameters() -> None:
    card = a_card(request=a_request(parameters={"customer": "4711", "table": "orders"}))
    first = approval_message.render(card, NOW)["blocks"][0]
    said = words({"blocks": [first]})
    assert "(orders-read) with customer 4711 and table orders for 1h." in said
    view = a_grant_view(parameters={"customer": "4711"})
    assert "(orders-read) with customer 4711 until" in words(
        direct_messages.grant_note("active", view, NOW)
    )


def test_the_facts_of_a_plain_request_are_one_line_and_so_are_its_criteria() -> None:
    met = tuple(replace(each, verdict=Verdict.MET) for each in a_card().criteria)
    facts = approval_message.render(a_card(criteria=met), NOW)["blocks"][2]
    assert shown(facts).strip().split("\n") == [
        "orders-db: SELECT ON ALL TABLES IN SCHEMA public · ticket OPS-17 · low risk · first time"
        " · can be extended twice without asking again, at most 3h in all",
        "✓ All 3 criteria are met.",
    ]


def test_a_plain_request_fits_the_screen_of_a_phone() -> None:
    """Of 42 characters; a screen has room for about 16 lines above the buttons."""
    met = tuple(replace(each, verdict=Verdict.MET) for each in a_card().criteria)
    message = approval_message.render(a_card(criteria=met), NOW, ["<@U0BEN>"])
    lines = [line for block in message["blocks"][:-1] for line in shown(block).split("\n")]
    assert sum(len(wrap(line, 42)) for line in lines) <= 10


def test_the_reason_is_cut_in_the_message_and_whole_in_the_details() -> None:
    reason = "why " * 749 + "end."
    card = a_card(request=a_request(reason=reason))
    message, view = approval_message.render(card, NOW), request_details.render(card)
    assert len(elements(message, "rich_text_quote")[0]["elements"][0]["text"]) == 300
    assert elements(view, "rich_text_quote")[0]["elements"][0]["text"] == reason


def test_a_reason_of_many_lines_becomes_one_line() -> None:
    message = approval_message.render(a_card(request=a_request(reason="a\n" * 20)), NOW)
    assert "\n" not in elements(message, "rich_text_quote")[0]["elements"][0]["text"]


def test_a_pending_request_has_approve_deny_edit_details_with_its_id_and_nothing_else() -> None:
    message = approval_message.render(a_card(), NOW)
    assert labels(message) == ["Approve", "Deny", "Edit", "Details"]
    assert {button["value"] for button in elements(message, "button")} == {"r1"}
    assert not [button for button in elements(message, "button") if "confirm" in button]


def test_who_is_to_be_pinged_is_pinged_while_it_waits_and_not_after() -> None:
    pinged = ["<@U0BEN>", "<!subteam^S0DB>"]
    assert "<@U0BEN> <!subteam^S0DB>" in words(approval_message.render(a_card(), NOW, pinged))
    request = a_request(state=RequestState.DENIED, decided_by="U0EVE", decided_at=NOW)
    assert "S0DB" not in str(approval_message.render(a_card(request=request), NOW, pinged))


def test_nobody_is_pinged_who_has_to_know_nothing() -> None:
    """Users in a card's past, and approvers by id who are not to be notified, are not mentioned by
    it."""
    past = a_grant(**{**ENDED, "end_reason": EndReason.REVOKED, "end_by": "U0EVE"})
    card = a_card(past=(past,), approved=1, role=a_role(approvers=("U0EVE", "S0ALL")))
    for said in (approval_message.render(card, NOW), request_details.render(card)):
        assert {each["user_id"] for each in elements(said, "user")} == {"U0ANA"}
        assert not elements(said, "usergroup")


DECISION_CARD = {
    "a criterion that is met": ({}, "✓ met: 2h is within the role's maximum, 4h"),
    "a criterion that is not": ({}, "✗ not met: the ticket is closed"),
    "a criterion that nobody could check": ({}, "? could not be checked: nobody counted"),
    "first time": ({}, "First time for this role"),
    "first time, but denied before": (
        {"denied": 2},
        "First time for this role; denied before: 2 times",
    ),
    "history": ({"approved": 1, "denied": 3}, "Approved before: once; denied: 3 times"),
    "last grants": ({"approved": 1, "past": (a_grant(**ENDED),)}, "13:30 UTC for 1h, expired"),
    "holds nothing": ({}, "Holds nothing else now"),
    "holds": ({"holds": (a_grant(role="shop-admin"),)}, "Holds now: shop-admin"),
    "holds much": ({"holds": (a_grant(),) * 50}, ", orders-read" * 49),
    "usual duration": ({"usual_duration": 2 * HOUR}, "Usual duration: 2h"),
    "longer than usual": (
        {"usual_duration": 1800},
        "Usual duration: 30m, shorter than asked for now",
    ),
    "no usual duration": ({}, "No usual duration yet"),
    "why you": (
        {},
        ("Approvers of this role are asked (@db-leads); 3 people can decide, one approval"),
    ),
    "one decider": ({"deciders": frozenset({"U0BEN"})}, "1 person can decide"),
    "quorum": ({"need": 2, "have": ("U0BEN",)}, "1 of 2 approvals (@U0BEN)"),
    "quorum, nobody yet": ({"need": 2}, "0 of 2 approvals"),
    "start later": (
        {"request": a_request(start_at=NOW + HOUR)},
        "for 1h, from 22 Nov 2026 15:00 UTC",
    ),
    "a renewal": ({"request": a_request(renews="g1")}, "for 1h more, as a renewal"),
    "role gone": ({"role": None}, "asks for orders-read for 1h"),
    "nobody decides on a role that is gone": (
        {"role": None},
        "no longer in roles.toml, so nobody can decide",
    ),
    "what a renewal would extend": (
        {"request": a_request(renews="g1"), "grant": a_grant()},
        "Has it now until 22 Nov 2026 14:29 UTC",
    ),
    "what may follow without asking": (
        {},
        "Can be extended twice without asking again, at most 3h in all",
    ),
    "what may follow, once": (
        {"role": a_role(max_renewals=1)},
        "extended once without asking again, at most 2h",
    ),
    "what may follow, within the longest total": (
        {"role": a_role(max_total=9000)},
        "asking again, at most 2h 30m",
    ),
    "what may follow a start later": (
        {"request": a_request(start_at=NOW + HOUR)},
        "at most 3h in all, until 22 Nov 2026 18:00 UTC",
    ),
    "lapse": ({}, "Lapses 22 Nov 2026 21:00 UTC if nobody decides"),
}


@pytest.mark.parametrize(("changes", "expected"), DECISION_CARD.values(), ids=DECISION_CARD)
def test_the_details_say(changes: dict[str, Any], expected: str) -> None:
    assert expected in words(request_details.render(a_card(**changes)))


RULED = Criterion("quota", Verdict.NOT_MET, "3 of 3 used this week", rule="on call")
SHORT_CARD = {
    "what is not met, then what could not be checked, then the others": (
        {},
        "✗ not met: the ticket is closed\n? could not be checked: nobody counted\n✓ The other"
        " criterion is met.",
    ),
    "why a rule did not decide": (
        {"criteria": (RULED,)},
        "✗ The rule “on call” does not decide it: 3 of 3 used this week.",
    ),
    "a condition of a rule that could not be checked": (
        {"criteria": (replace(RULED, verdict=Verdict.UNKNOWN),)},
        "? The rule “on call” does not decide it: 3 of 3 used this week.",
    ),
    "what changed": (
        {"changed": ("the ticket is closed; before: the ticket was found and open",)},
        "Changed since it was asked: the ticket is closed; before: the ticket was found and open",
    ),
    "a quorum": ({"need": 2, "have": ("U0BEN",)}, " · 1 of 2 approvals (@U0BEN) · "),
    "how often it was denied": ({"denied": 2}, " · denied twice before"),
    "that it is not the first time": ({"approved": 1}, "low risk · can be"),
    "a renewal": (
        {"request": a_request(renews="g1"), "grant": a_grant()},
        " · has it until 22 Nov 2026 14:29 UTC",
    ),
    "many actions": (
        {"request": a_request(actions=tuple(f"action-{n}" for n in range(50)))},
        "action-8 and 41 more · ticket",
    ),
    "no actions": ({"request": a_request(actions=())}, "orders-db: no actions · "),
    "what may follow": ({}, "can be extended twice without asking again, at most 3h in all"),
}


@pytest.mark.parametrize(("changes", "expected"), SHORT_CARD.values(), ids=SHORT_CARD)
def test_the_message_says_in_short(changes: dict[str, Any], expected: str) -> None:
    assert expected in words(approval_message.render(a_card(**changes), NOW))


@pytest.mark.parametrize("state", [each for each in RequestState if each != "pending"])
def test_the_details_of_a_decided_request_say_who_decided(state: RequestState) -> None:
    request = a_request(state=state, decided_by="U0BEN", decided_at=NOW)
    said = words(request_details.render(a_card(request=request)))
    assert OUTCOMES[state] in said and "Lapses" not in said


def by_rule(**changes: Any) -> dict[str, Any]:
    request = a_request(
        state=RequestState.APPROVED, decided_by="rule:on call, short", decided_at=NOW
    )
    return approval_message.render(a_card(request=request, **changes), NOW)


def test_what_a_rule_approved_names_it_and_each_criterion_and_can_be_revoked() -> None:
    message = by_rule(grant=a_grant())
    said = words(message)
    assert "Approved by rule “on call, short” 22 Nov 2026 14:00 UTC." in said
    assert "✓ met: 2h is within the role's maximum, 4h" in said
    assert labels(message) == ["Revoke"]


@pytest.mark.parametrize("state", [GrantState.ENDING, GrantState.ENDED, GrantState.FAILED])
def test_what_is_over_can_not_be_revoked(state: GrantState) -> None:
    assert labels(by_rule(grant=a_grant(**{**ENDED, "state": state}))) == []


def test_the_reason_of_who_revoked_it_is_shown() -> None:
    revoked = {**ENDED, "end_reason": EndReason.REVOKED, "end_by": "U0BEN"}
    revoked["end_words"] = "not today"
    assert "revoked by @U0BEN (“not today”)" in words(by_rule(grant=a_grant(**revoked)))
    note = direct_messages.grant_note("ended", a_grant_view(**revoked), NOW)
    assert "revoked by @U0BEN (“not today”)" in words(note)


OUTCOMES = {
    RequestState.APPROVED: "Approved by @U0BEN 22 Nov 2026 14:00 UTC.",
    RequestState.DENIED: "Denied by @U0BEN 22 Nov 2026 14:00 UTC.",
    RequestState.WITHDRAWN: "Withdrawn by @U0BEN 22 Nov 2026 14:00 UTC.",
    RequestState.LAPSED: "Nobody decided in time, so it lapsed 22 Nov 2026 14:00 UTC.",
}


@pytest.mark.parametrize(("state", "expected"), OUTCOMES.items(), ids=OUTCOMES)
def test_a_decided_request_says_who_and_when_and_has_no_buttons(
    state: RequestState, expected: str
) -> None:
    message = decided(state, decision_reason="Use the replica")
    assert expected in words(message)
    assert "Use the replica" in words(message)
    assert labels(message) == []


def test_everybody_who_approved_is_named_also_from_the_command_line() -> None:
    request = a_request(
        state=RequestState.APPROVED, decided_by="U0BEN,os:eve,rule:on call", decided_at=NOW
    )
    said = words(approval_message.render(a_card(request=request), NOW))
    assert "Approved by @U0BEN, eve (command line), rule “on call” 22 Nov" in said


FATES = {
    "scheduled": (
        {"state": GrantState.SCHEDULED, "starts_at": NOW + HOUR},
        "Scheduled: starts 22 Nov 2026 15:00 UTC for 1h.",
    ),
    "starting": ({"state": GrantState.STARTING}, "Starting: it is being set up"),
    "active": ({}, "Active until 22 Nov 2026 14:29 UTC."),
    "active, and may be extended": (
        {},
        "extended twice without asking again, at most until 22 Nov 2026 16:29 UTC.",
    ),
    "scheduled, and may be extended": (
        {
            "state": GrantState.SCHEDULED,
            "starts_at": NOW,
            "ends_at": NOW + HOUR,
            "started_at": None,
        },
        "extended twice without asking again, at most until 22 Nov 2026 17:00 UTC.",
    ),
    "extended, and may be once more": (
        {"renewals": 1},
        "extended once more without asking again, at most until 22",
    ),
    "ending": (
        {"state": GrantState.ENDING, "end_reason": EndReason.RELEASED},
        "Not confirmed yet by orders-db.",
    ),
    "ended": (ENDED, "Ended 22 Nov 2026 14:00 UTC: expired."),
    "failed": (
        {"state": GrantState.FAILED},
        "Failed: it could not be set up, so it was not given; the parts that were set up",
    ),
    "shorter": ({"duration": 1800}, "Given for 30m, less than was asked for."),
    "narrower": ({"actions": ()}, "Only: "),
}


@pytest.mark.parametrize(("changes", "expected"), FATES.values(), ids=FATES)
def test_an_approved_request_says_what_became_of_the_access(
    changes: dict[str, Any], expected: str
) -> None:
    grant = a_grant(**changes)
    request = a_request(state=RequestState.APPROVED, decided_by="U0BEN", decided_at=NOW)
    card = a_card(
        request=request, grant=grant, leases=(Lease("g1", "orders-db", "gateway", grant.state),)
    )
    assert expected in words(approval_message.render(card, NOW))


@pytest.mark.parametrize(
    ("role", "grant"),
    [
        ({"renewal_approval": True}, {}),
        ({"max_renewals": 0}, {}),
        ({"max_total": HOUR}, {"latest_end": NOW + 1799}),
        ({}, {"renewals": 2}),
        ({}, {"state": GrantState.ENDING}),
    ],
    ids=["only by approval", "never", "as long as it may last", "as often as it may", "it ends"],
)
def test_nothing_is_said_of_extensions_that_nobody_gets(
    role: dict[str, Any], grant: dict[str, Any]
) -> None:
    request = a_request(state=RequestState.APPROVED, decided_by="U0BEN", decided_at=NOW)
    card = a_card(request=request, role=a_role(**role), grant=a_grant(**grant))
    assert "xtended" not in words(approval_message.render(card, NOW))
    if role:
        assert "xtended" not in words(approval_message.render(a_card(role=a_role(**role)), NOW))


def test_only_the_answer_of_the_systems_makes_access_active() -> None:
    request = a_request(state=RequestState.APPROVED, decided_by="U0BEN", decided_at=NOW)
    said = words(
        approval_message.render(
            a_card(request=request, grant=a_grant(state=GrantState.STARTING)), NOW
        )
    )
    assert "Active" not in said


# --- direct messages

NOTES: dict[str, tuple[str, dict[str, Any], list[str], list[str]]] = {
    "scheduled": (
        "scheduled",
        {"state": GrantState.SCHEDULED, "starts_at": NOW + HOUR, "started_at": None},
        ["starts 22 Nov 2026 15:00 UTC for 1h"],
        ["I'm done"],
    ),
    "active": (
        "active",
        {},
        ["until 22 Nov 2026 14:29 UTC (1h)"],
        ["Show credentials", "Renew", "I'm done"],
    ),
    "active, less than asked for": (
        "active",
        {"duration": 900},
        ["Your approver changed it. You get 15m instead of"],
        [],
    ),
    "delayed": (
        "delayed",
        {"state": GrantState.STARTING},
        ["keep trying", "starts with the first system that has it"],
        ["I'm done"],
    ),
    "failed on one of its systems": (
        "failed",
        {"state": GrantState.FAILED},
        ["set up everywhere, so it ends"],
        [],
    ),
    "failed": (
        "failed",
        {"state": GrantState.FAILED, "started_at": None},
        ["you do not have it", "leads have not been notified"],
        [],
    ),
    "renewed": (
        "renewed",
        {},
        ["now ends 22 Nov 2026 14:29 UTC"],
        ["Show credentials", "Renew", "I'm done"],
    ),
    "renewed, but not everywhere": (
        "unextended",
        {},
        [
            "is yours until 22 Nov 2026 14:29 UTC.",
            "may end it there when it would have ended before",
            "leads have not been notified",
        ],
        ["Show credentials", "Renew", "I'm done"],
    ),
    "renewed everywhere at last": (
        "extended",
        {},
        ["now has", "is yours until 22 Nov 2026 14:29 UTC."],
        [],
    ),
    "not confirmed yet": (
        "end_delayed",
        {**ENDED, "state": GrantState.ENDING, "ended_at": None},
        ["is over, but", "orders-db", "has not confirmed it yet", "Please stop using it"],
        [],
    ),
    "expired": (
        "ended",
        ENDED,
        ["has ended: expired", "from 22 Nov 2026 13:30 UTC to 22 Nov 2026 14:00 UTC"],
        [],
    ),
    "given back": (
        "ended",
        {**ENDED, "end_reason": EndReason.RELEASED, "end_by": "U0ANA"},
        ["you gave it back"],
        [],
    ),
    "revoked": (
        "ended",
        {**ENDED, "end_reason": EndReason.REVOKED, "end_by": "U0BEN"},
        ["revoked by @U0BEN"],
        [],
    ),
    "revoked on the command line": (
        "ended",
        {**ENDED, "end_reason": EndReason.REVOKED, "end_by": "os:eve"},
        ["revoked by eve (command line)"],
        [],
    ),
    "offboarded": (
        "ended",
        {**ENDED, "end_reason": EndReason.OFFBOARDED},
        ["the account was offboarded"],
        [],
    ),
    "ended before it started": (
        "ended",
        {**ENDED, "started_at": None},
        ["It had not started yet."],
        [],
    ),
    "overtaken by the end": ("active", {**ENDED}, ["Ended 22 Nov 2026 14:00 UTC"], []),
}


@pytest.mark.parametrize(("note", "changes", "expected", "buttons"), NOTES.values(), ids=NOTES)
def test_a_person_is_told(
    note: str, changes: dict[str, Any], expected: list[str], buttons: list[str]
) -> None:
    message = direct_messages.grant_note(note, a_grant_view(**changes), NOW)
    assert [part for part in expected if part not in words(message)] == []
    assert not buttons or labels(message) == buttons


def test_who_has_to_do_something_first_reads_what_and_until_when_it_helps() -> None:
    view = replace(
        a_grant_view(state=GrantState.STARTING),
        why="Accept the invitation to acme on github.com.",
        until=NOW + 3600,
    )
    message = direct_messages.grant_note("delayed", view, NOW)
    assert (
        "waits for you.\nAccept the invitation to acme on github.com. Your access starts after that"
        in words(message)
    )
    assert "before 22 Nov 2026 15:00 UTC." in words(message) and "a system" not in words(message)
    assert message["text"].endswith("waits for you: Accept the invitation to acme on github.com.")


def test_who_was_refused_for_a_reason_about_them_reads_it_and_what_follows() -> None:
    view = replace(a_grant_view(state=GrantState.FAILED), why="Your Okta account is SUSPENDED.")
    message = direct_messages.grant_note("failed", view, NOW)
    assert "Your Okta account is SUSPENDED.\nThen ask again with /access request." in words(message)


@pytest.mark.parametrize(
    ("note", "to_leads"),
    [("failed", "start_failed"), ("unextended",) * 2, ("missing",) * 2, ("end_delayed", "alert")],
)
def test_a_holder_reads_that_the_leads_were_told_only_when_they_were(
    note: str, to_leads: str
) -> None:
    state = {"failed": GrantState.FAILED, "end_delayed": GrantState.ENDING}.get(
        note, GrantState.ACTIVE
    )
    view = a_grant_view(state=state)
    said = {
        told: words(
            direct_messages.grant_note(note, replace(view, leads_notified=frozenset(told)), NOW)
        )
        for told in ((), ("something else",), (to_leads,))
    }
    assert ["The leads were notified" in each for each in said.values()] == [False, False, True]
    assert [
        "The leads have not been notified yet: please tell one." in each for each in said.values()
    ] == [
        True,
        True,
        False,
    ]


USED: dict[str, tuple[GrantUsage, str, str]] = {
    "often": (
        GrantUsage(1234, NOW - 900, NOW - 60),
        "used 1,234 times, last 22 Nov 2026 13:59 UTC",
        "used 1,234 times",
    ),
    "once": (GrantUsage(1, NOW, NOW), "used once, last 22 Nov 2026 14:00 UTC", "used once"),
    "never": (GrantUsage(), "never used", "never used"),
    "looked at": (
        GrantUsage(glimpsed=True),
        "not seen in use, checked every 15 seconds",
        "not seen in use",
    ),
    "nobody tells": (
        GrantUsage(silent=("orders-aws",)),
        "not seen in use; orders-aws does not report usage",
        "not seen in use",
    ),
}


@pytest.mark.parametrize(("used", "told", "short"), USED.values(), ids=USED)
def test_an_end_says_how_it_was_used_and_no_more_than_is_known(
    used: GrantUsage, told: str, short: str
) -> None:
    message = direct_messages.grant_note("ended", replace(a_grant_view(**ENDED), used=used), NOW)
    assert f"It was {told}." in words(message)
    assert message["text"].endswith(f" has ended. It was {short}.")
    thread = thread_notes.render(
        "ended", {"grant": "g1", "why": "expired"}, a_card(grant=a_grant(**ENDED), used=used)
    )
    assert f": expired; {told}." in words(thread)


def test_what_never_started_was_not_unused() -> None:
    message = direct_messages.grant_note(
        "ended", a_grant_view(**{**ENDED, "started_at": None}), NOW
    )
    assert "used" not in words(message) + message["text"]


def test_half_a_start_says_where_it_is_and_until_when() -> None:
    view = a_grant_view(state=GrantState.STARTING)
    leases = (
        Lease("g1", "reports", "gateway", GrantState.ACTIVE),
        Lease("g1", "shop", "gateway", GrantState.STARTING),
    )
    said = words(direct_messages.grant_note("delayed", replace(view, leases=leases), NOW))
    assert "You have it on reports until 22 Nov 2026 14:29 UTC; shop is still being set up." in said


def test_a_start_that_is_not_given_any_more_says_why() -> None:
    view = replace(a_grant_view(state=GrantState.ENDING), why="shop-admin is only for @sre now.")
    said = words(direct_messages.grant_note("not_started", view, NOW))
    assert "was approved, but does not start." in said and "only for @sre now." in said


def test_a_reminder_says_what_is_left_and_offers_renew_and_done() -> None:
    message = direct_messages.reminder(a_grant_view(ends_at=NOW + 29 * 60), NOW)
    assert "ends in 29 min: 22 Nov 2026 14:29 UTC." in words(message)
    assert message["text"] == "Your access to Orders database, read only ends in 29 min."
    assert labels(message) == ["Renew", "I'm done"]


@pytest.mark.parametrize("changes", [ENDED, {"ends_at": NOW}], ids=["ended", "its time is up"])
def test_a_reminder_that_comes_too_late_does_not_promise_time(changes: dict[str, Any]) -> None:
    assert "ends in" not in words(direct_messages.reminder(a_grant_view(**changes), NOW))


def test_giving_back_asks_once_more() -> None:
    done = elements(direct_messages.reminder(a_grant_view(), NOW), "button")[1]
    assert done["confirm"]["confirm"]["text"] == "I'm done"


def test_a_denial_says_who_and_quotes_why_and_what_to_do() -> None:
    request = a_request(
        state=RequestState.DENIED, decided_by="U0BEN", decision_reason="Use the *replica*"
    )
    message = direct_messages.request_note("denied", a_card(request=request), NOW)
    assert "@U0BEN denied your request for Orders database, read only" in words(message)
    assert "Use the *replica*" in words(message)
    assert "ask again" in words(message)
    assert "replica" not in message["text"]


def test_a_lapsed_request_says_how_long_it_waited() -> None:
    card = a_card(request=a_request(created_at=NOW - 8 * HOUR, lapses_at=NOW))
    assert "Nobody decided within 8h" in words(direct_messages.request_note("lapsed", card, NOW))


def test_a_denied_renewal_does_not_take_what_is_held() -> None:
    card = a_card(request=a_request(renews="g1", decided_by="U0BEN"))
    assert "Your access ends as planned." in words(
        direct_messages.request_note("denied", card, NOW)
    )


LESS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "shorter": ({"duration": 3600}, {"duration": 4 * 3600}, "You get 1h instead of 4h."),
    "without a system": (
        {"systems": ("orders-db",)},
        {"systems": ("orders-db", "reports")},
        "; without reports.",
    ),
    "without an action": ({"actions": ("read",)}, {"actions": ("read", "write")}, "without write."),
    "later": (
        {"state": GrantState.SCHEDULED, "starts_at": NOW + 3600},
        {"decided_at": NOW},
        "; from 22 Nov 2026 15:00 UTC.",
    ),
}


@pytest.mark.parametrize(("given", "asked", "said"), LESS.values(), ids=LESS)
def test_a_holder_reads_what_the_approver_changed_and_can_give_it_back(
    given: dict[str, Any], asked: dict[str, Any], said: str
) -> None:
    same = {"duration": 3600, "systems": ("orders-db",), "actions": ("read",)}
    request = replace(a_request(), **{**same, **asked})
    view = replace(a_grant_view(**{**same, **given}), request=request)
    message = direct_messages.grant_note(str(view.grant.state), view, NOW)
    assert "Your approver changed it." in words(message) and said in words(message)
    assert labels(message)[-1] == "Give it back"


def test_several_notes_in_one_post_are_all_said_or_said_in_short() -> None:
    asked = a_request(actions=tuple(f"{n} {'a' * 190}" for n in range(50)))
    view = replace(a_grant_view(duration=60, actions=asked.actions[:1]), request=asked)
    messages = [direct_messages.grant_note("active", view, NOW) for _ in range(10)]
    said = words(direct_messages.join(messages))
    assert said.count("You have Orders database, read only") == 10
    assert "in short" in said


def test_a_single_note_is_posted_as_it_is() -> None:
    message = direct_messages.reminder(a_grant_view(), NOW)
    assert direct_messages.join([message]) is message


# --- threads, and the security channel


def test_a_thread_hears_of_renewals_and_ends() -> None:
    renewed = thread_notes.render("renewed", {"by": "U0ANA", "ends_at": NOW}, a_card())
    assert "Renewed by @U0ANA until 22 Nov 2026 14:00 UTC." in words(renewed)
    grant = a_grant(**{**ENDED, "end_reason": EndReason.REVOKED, "end_by": "U0BEN"})
    ended = thread_notes.render("ended", {"grant": "g1", "why": "revoked"}, a_card(grant=grant))
    assert "Ended 22 Nov 2026 14:00 UTC: revoked by @U0BEN." in words(ended)


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("ssh", {"ends_at": NOW + 60}, True),
        ("ssh", {}, False),
        ("ssh", {"ends_at": NOW + 60, "started_at": None}, False),
        ("gateway", {"ends_at": NOW + 60}, False),
    ],
    ids=["early", "on time", "before it started", "where it holds at once"],
)
def test_a_thread_hears_that_hosts_learn_of_an_early_end_by_themselves(
    kind: str, changes: dict[str, Any], said: bool
) -> None:
    card = a_card(
        grant=a_grant(**{**ENDED, **changes}),
        leases=(Lease("g1", "bastion", kind, GrantState.ENDED),),
        certified=("bastion",) if KINDS[kind].abilities.certifies else (),
    )
    ended = words(thread_notes.render("ended", {"grant": "g1", "why": "revoked"}, card))
    assert ("; hosts of bastion refuse it once they have fetched the list again." in ended) == said


def test_a_digest_names_everybody_and_pings_nobody() -> None:
    notes = [("ended", {"why": EndReason.EXPIRED}, a_card())] * 40
    assert words(thread_notes.digest(notes)).count("Ended: expired") == 40
    message = thread_notes.digest(notes * 10)
    assert "400 changes of access" in words(message)
    assert "Ana Silva, Orders database, read only (orders-read): Ended: expired" in words(message)
    counted = words(message).count("Ended: expired")
    assert f"and {400 - counted} more: the approval message of each says the same" in words(message)
    assert not elements(message, "user") and validate_message(message) == []


LATER = {"opened_at": NOW + 60, "ended_at": NOW}
SECURITY: dict[str, tuple[str, dict[str, object], str]] = {
    "a renewal that a system does not confirm": (
        "unextended",
        {
            "grant": "g1",
            "system": "orders-db",
            "role": "orders-read",
            "person": "U0ANA",
            "error": "it is down",
        },
        "A renewal is not confirmed by orders-db: access may end earlier there.",
    ),
    "nobody": (
        "nobody_can_decide",
        {"role": "orders-read"},
        "Too few people can decide on requests for orders-read",
    ),
    "start": ("start_failed", {"grant": "g1", "error": "role *x*"}, "Error: role *x*"),
    "end": (
        "end_confirmed",
        {"grant": "g1", "system": "orders-db", "since": 1_790_000_000},
        "Finally gone from orders-db",
    ),
    "used beyond the end": (
        "use_after_end",
        {
            "grant": "g1",
            "person": "U0ANA",
            "system": "orders-db",
            "session": "pid 7",
            "origin": "192.0.2.7",
            **LATER,
        },
        (
            "a session of @U0ANA from 192.0.2.7\nwas opened after it had ended. Opened 22 Nov 2026"
            " 14:01 UTC; grant g1 ended 22 Nov 2026 14:00 UTC.\nThe session is pid 7."
        ),
    ),
    "still open after the end": (
        "use_after_end",
        {
            "grant": "g1",
            "person": "U0ANA",
            "system": "orders-db",
            "session": "s",
            "origin": "",
            **LATER,
            "opened_at": 9,
        },
        "a session of @U0ANA\nis still open, although it has ended",
    ),
    "panic": (
        "panic_on",
        {"by": "os:eve", "role": "", "person": "", "ended": 2},
        "for all access, by eve",
    ),
    "panic on a role and a person": (
        "panic_on",
        {"by": "U0BEN", "role": "r", "person": "U0ANA", "ended": 1},
        (
            "for the role r and @U0ANA, by @U0BEN.\n1 grant ended now. New access is blocked until"
            " access-bot resume --role r --user U0ANA"
        ),
    ),
    "resume": (
        "panic_off",
        {"by": "U0BEN", "role": "r", "person": "", "ended": 0},
        "off for the role r",
    ),
    "a clock behind": ("clock_behind", {"seconds": 60}, "clock was 1m behind"),
    "no writes": (
        "writing_down",
        {"since": 1_790_000_000},
        (
            "The database takes no writes since 21 Sep 2026 14:13 UTC, or not all of them.\nAccess"
            " that is due ends anyway"
        ),
    ),
    "writes again": (
        "writing_back",
        {"since": 1_790_000_000, "seconds": 240, "ended": 2},
        (
            "takes writes again, after 4m (since 21 Sep 2026 14:13 UTC).\n2 revocations meanwhile;"
            " each"
        ),
    ),
    "writes again, and nothing was due": (
        "writing_back",
        {"since": 1_790_000_000, "seconds": 0, "ended": 0},
        "after 1s (since 21 Sep 2026 14:13 UTC).\nThis process revoked nothing meanwhile",
    ),
    "an accepted clock": (
        "clock_accepted",
        {"by": "os:eve", "seconds": 7200, "ended": 2, "withdrawn": 1},
        (
            "eve (command line) accepted the machine's clock, although the newest record was 2h"
            " ahead of it.\n2 grants ended, and 1 request with a later time was withdrawn."
        ),
    ),
    "an outdated file": (
        "policy_outdated",
        {"host": "b", "file": "roles.toml"},
        "bot on b decides and starts nothing",
    ),
    "policy": (
        "policy_rejected",
        {"problems": ["roles.toml:3 x: bad"], "count": 12},
        "and 11 more",
    ),
    "changed roles": (
        "policy_changed",
        {
            "looser": ["roles.a.approvals: was 2, is 1"],
            "other": ["systems.b: is new"],
            "loosening": 1,
            "count": 5,
        },
        (
            "roles.toml was changed: 5 changes, 1 looser than before. It is in force now. Looser"
            " than before: roles.a.approvals: was 2, is 1 Other changes: systems.b: is new and 3"
            " more, in the audit log."
        ),
    ),
    "roles changed for the stricter": (
        "policy_changed",
        {"looser": [], "other": ["systems.b: is new"], "loosening": 0, "count": 1},
        (
            "roles.toml was changed: 1 change, none looser than before. It is in force now."
            " Other changes: systems.b: is new"
        ),
    ),
    "a calendar that can't be read": (
        "calendar_unread",
        {"duty": "backend", "error": "cal.example.com answered 404"},
        "The on-call calendar can't be read: oncall.backend.",
    ),
    "an anchor": (
        "head_anchored",
        {"seq": 7, "hash": "ab" * 32, "at": 1_790_000_000},
        f"2026-09-21T14:13:20Z 7 {'ab' * 32}",
    ),
    "a nightly check": (
        "checkup_changed",
        {"new": ["warn  channel #a: <!here> shared"], "solved": ["FAIL  clock: off"], "open": 3},
        ("1 new, 1 solved, 3 open.\nNew: channel #a: <!here> shared (warning)\nSolved: clock: off"),
    ),
    "a new API token": (
        "api_token_created",
        {"by": "os:eve", "owner": "U0ANA", "program": "ci", "roles": ["a", "b"], "until": 1},
        "eve (command line) created an API token for the program ci.\nIt may ask for a, b in the",
    ),
    "a restored copy": (
        "copy_restored",
        {"by": "os:eve", "at": 1_790_000_000, "ended": 1, "withdrawn": 2},
        (
            "eve (command line) restored the database from a copy of 21 Sep 2026 14:13 UTC.\n1"
            " grant ended, and 2 requests were withdrawn"
        ),
    ),
    "a late stream": (
        "stream_late",
        {"stream": "siem", "sent": 41, "error": "siem.example.com answered 503"},
        "The audit log is late in the stream siem.\nIts receiver has the log up to record 41.",
    ),
    "a stream in time again": (
        "stream_resumed",
        {"stream": "siem", "sent": 99},
        "The audit log is up to date again in the stream siem.",
    ),
    "groups unread": ("groups_unread", {"since": 1_790_000_000}, "Groups can't be read since"),
    "a handle that moved": (
        "reference_moved",
        {"reference": "@db-leads", "bound": "S0OLD", "now": ["S0NEW"]},
        (
            "@db-leads leads to another group now: S0NEW.\nIt stood for S0OLD when roles.toml was"
            " first loaded with it."
        ),
    ),
    "an e-mail that moved": (
        "reference_moved",
        {"reference": "lea@example.com", "bound": "U0LEA", "now": ["U0NEW"]},
        "If the change is right, write the id of the account in roles.toml.",
    ),
    "a handle that is back": (
        "reference_moved",
        {"reference": "@db-leads", "bound": "S0OLD", "now": []},
        "@db-leads no longer leads to another group. It stands for S0OLD only.",
    ),
    "channel": (
        "undelivered",
        {"kind": "post_approval", "to": "#gone", "error": "e"},
        "to #gone (post approval)",
    ),
    "person": (
        "undelivered",
        {"kind": "notify_person", "to": "U0ANA", "error": "e"},
        "They find it in App Home",
    ),
}


@pytest.mark.parametrize(("note", "facts", "expected"), SECURITY.values(), ids=SECURITY)
def test_the_security_channel_is_told(note: str, facts: dict[str, object], expected: str) -> None:
    assert expected in words(security_notes.render(note, facts))


# --- private answers


def test_a_refusal_is_said_word_for_word_and_shows_commands_as_code() -> None:
    message = answers.refused("`-1h` is not a duration; write for example 30m")
    assert words(message).strip() == "-1h is not a duration; write for example 30m"
    assert [e["text"] for e in elements(message, "text") if e.get("style") == {"code": True}] == [
        "-1h"
    ]


def test_asking_for_what_is_held_offers_renew() -> None:
    assert "Renew" in labels(answers.already_held(a_grant(), NOW))


def test_asking_again_while_it_waits_offers_to_cancel() -> None:
    assert labels(answers.already_pending(a_request(), NOW)) == ["Cancel"]


def test_an_answer_that_nothing_brings_up_to_date_stays_true_and_has_no_button() -> None:
    """Slack has no way to change what chat.postEphemeral showed."""
    said = [
        answers.render("asked", {"request": "r1"}, a_card(request=a_request(state=state)), NOW)
        for state in (RequestState.PENDING, RequestState.APPROVED)
    ]
    assert said[0] == said[1] and labels(said[0]) == []
    assert "was sent 22 Nov 2026" in words(said[0])


def test_a_later_page_of_grants_has_its_time_and_no_buttons_but_more() -> None:
    blocks = [
        actions(button("Renew", Action.RENEW, "g1")),
        actions(button("More", Action.MORE, "{}")),
    ]
    page = answers.unchanging(message("You have 30 grants.", paragraph(["Orders"]), *blocks), NOW)
    assert labels(page) == ["More"]
    assert "Read 22 Nov 2026 14:00 UTC" in words(page) and "not updated" in words(page)


def test_a_late_press_hears_who_was_first_and_when() -> None:
    request = a_request(state=RequestState.APPROVED, decided_by="U0BEN", decided_at=NOW)
    message = answers.render("already_decided", {"request": "r1"}, a_card(request=request), NOW)
    assert "This request is approved already by @U0BEN 22 Nov 2026 14:00 UTC." in words(message)


ANSWERS: dict[str, tuple[str, dict[str, object], str]] = {
    "refused": ("refused", {"why": "No."}, "No."),
    "counted": (
        "vote_counted",
        {"have": 1, "need": 2},
        "Your approval was counted: with it there were 1 of 2.",
    ),
    "asked, and gone": ("asked", {"request": "r1"}, "no longer exists"),
    "text": ("text", {"text": "The chain is whole."}, "The chain is whole."),
    "decided, and gone": ("already_decided", {"request": "r1"}, "no longer exists"),
    "a token": (
        "token_in_your_name",
        {"program": "ci", "roles": ["a", "b"], "until": 1_790_000_000},
        "The program ci may ask for a, b in your name until 21 Sep 2026 14:13 UTC.",
    ),
}


@pytest.mark.parametrize(("note", "facts", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_of_the_outbox_says(note: str, facts: dict[str, object], expected: str) -> None:
    assert expected in words(answers.render(note, facts, None, NOW))


def test_what_goes_wrong_says_so_with_the_next_step() -> None:
    assert "ab12" in words(answers.broken("ab12"))
    assert "Try again in a minute" in words(answers.storage_down())
    assert "/access help" in words(answers.unknown_verb("foo"))


def test_what_was_sent_says_what_happens_now() -> None:
    said = words(answers.submitted(Submitted(a_request(), a_role(approvals=2), 3)))
    assert "It needs 2 approvals; 3 people can give one." in said
    assert "lapses 22 Nov 2026 21:00 UTC" in said
