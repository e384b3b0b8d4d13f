"""Buttons, forms, shortcuts and events, sent through Bolt to a real database: who is let in, what
is stored, what is left to do, and what people read when it can't be.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from bot.core.durations import format_duration
from bot.core.eligibility import Ask
from bot.core.errors import StorageUnavailable
from bot.core.model import Source
from bot.operations.browser.open_session import BrowserSession, open_session
from bot.operations.people.record_people import record_people
from bot.operations.requests.count_vote import count_vote
from bot.operations.requests.deny_request import deny_request
from bot.operations.requests.request_access import Submitted, request_access
from bot.operations.tokens.introspect_token import TokenActive, introspect_token
from bot.slack.actions import ACTIONS
from bot.slack.ids import Action, Field, Modal, Shortcut
from bot.slack.listeners import EVENTS
from bot.slack.views.home import NO_ROLE
from bot.tokens import ForeignToken
from tests.builders import SHOP_URL, browser_systems
from tests.factories import ANA, BEN, LEA, START, Made, a_person
from tests.slack.slack_driver import (
    SlackDriver,
    a_click,
    a_command,
    a_home,
    a_message_shortcut,
    a_shortcut,
    a_submission,
    an_event,
    make_driver,
    words,
)

HOUR = 3600

FORM = {
    Field.ROLE: "shop-admin",
    Field.DURATION: "1h",
    Field.REASON: "fix the till",
    Field.START: None,
}


def pending(driver: SlackDriver, role: str = "shop-admin", person: str = ANA, **more: Any) -> str:
    """The id of a request that waits for a decision."""
    asked = request_access(driver.made.world, Ask(person, role, "because", ticket="OPS-1", **more))
    assert isinstance(asked, Submitted), asked
    return asked.request.id


def deny(driver: SlackDriver, request: str) -> None:
    deny_request(driver.made.world, request, a_person(BEN), "no")


def replies(driver: SlackDriver) -> list[tuple[str, str, str]]:
    """The private answers: person, channel, and the words or the note."""
    return [
        (w["person"], w["channel"], str(w.get("text") or w.get("why") or w["note"]))
        for w in driver.work("answer")
    ]


# --- deciding


def test_approve_is_kept_to_be_counted_with_the_copy_that_was_pressed(stored: SlackDriver) -> None:
    request = pending(stored)
    stored.press(Action.APPROVE, request, BEN)
    (work,) = stored.work("decide")
    assert (work["request"], work["voter"], work["approve"], work["channel"]) == (
        request,
        BEN,
        True,
        "C0OPS",
    )
    assert stored.rows("SELECT request_id, channel, ts FROM messages") == [
        (request, "C0OPS", "17.5")
    ]
    assert replies(stored) == [] and stored.views.calls == []


def test_a_double_click_or_a_redelivery_is_counted_once(stored: SlackDriver) -> None:
    body = stored.press(Action.APPROVE, pending(stored), BEN)
    stored.send(body)
    assert len(stored.work("decide")) == 1


def test_an_approver_whom_nobody_knows_is_not_asked_for_twice(driver: SlackDriver) -> None:
    """The press is counted only after Slack was asked about them, so it isn't asked here."""
    driver.press(Action.APPROVE, pending(driver), "U0NEW")
    assert len(driver.work("decide")) == 1
    assert driver.slack_people.asked == []


@pytest.mark.parametrize("action", [Action.APPROVE, Action.DENY, Action.EDIT])
def test_a_person_without_the_right_to_decide_is_refused_at_once_and_on_record(
    driver: SlackDriver, action: Action
) -> None:
    request = pending(driver)
    driver.press(action, request, LEA)
    driver.press(action, request, ANA)
    assert [why[:30] for _, _, why in replies(driver)] == [
        "Only the approvers of shop-adm",
        "You can't decide on your own r",
    ]
    assert [(actor, refused) for actor, refused, _ in driver.refusals()] == [
        (LEA, "deny" if action is Action.DENY else "approve"),
        (ANA, "deny" if action is Action.DENY else "approve"),
    ]
    assert driver.views.calls == [] and driver.work("decide") == []


@pytest.mark.parametrize("action", [Action.APPROVE, Action.DENY, Action.EDIT])
def test_a_stale_press_hears_who_was_first(driver: SlackDriver, action: Action) -> None:
    request = pending(driver)
    deny(driver, request)
    driver.press(action, request, BEN)
    (answer,) = driver.work("answer")
    assert (answer["note"], answer["request"], answer["person"], answer["channel"]) == (
        "already_decided",
        request,
        BEN,
        "C0OPS",
    )


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize(
    "value", ["", "r0forged", "' OR 1=1 --", "x" * 2000, "{}", '{"before":1,"sql":"x"}', "\u202e"]
)
def test_a_forged_value_does_nothing_and_breaks_nothing(
    driver: SlackDriver, action: Action, value: str
) -> None:
    grant, request = driver.made.a_grant(), pending(driver, "reports-read")
    for user in (ANA, BEN, LEA):
        driver.press(action, value, user)
    assert driver.made.grant(grant.id) == grant
    assert [row[0] for row in driver.rows("SELECT state FROM requests WHERE id = ?", request)] == [
        "pending"
    ]
    assert "went wrong" not in str(driver.work("answer")) + words(
        [c for _, c in driver.views.calls]
    )


def test_deny_asks_for_a_reason_and_then_denies_with_it(driver: SlackDriver) -> None:
    request = pending(driver)
    driver.press(Action.DENY, request, BEN)
    assert driver.views.last["callback_id"] == Modal.DENY
    assert (
        driver.submit(
            Modal.DENY, {Field.REASON: "ask <the> team & \u202ethem"}, BEN, metadata=request
        )
        == {}
    )
    (work,) = driver.work("decide")
    assert (work["approve"], work["reason"]) == (False, "ask <the> team & \u202ethem")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("", "Say why"),
        (" \u200b", "Say why"),
        ("x" * 10_000, "10,000 characters"),
        ("…", "Say why"),
    ],
)
def test_a_denial_without_a_good_reason_is_refused_at_its_input(
    driver: SlackDriver, reason: str, said: str
) -> None:
    reply = driver.submit(Modal.DENY, {Field.REASON: reason}, BEN, metadata=pending(driver))
    assert reply["response_action"] == "errors"
    assert said in reply["errors"][Field.REASON]
    assert driver.work("decide") == []


EDITED: Any = {
    Field.DURATION: "until 18:00",
    Field.START: START + HOUR,
    Field.SYSTEMS: ["reports"],
    Field.ACTIONS: ["read"],
}


def _of_two_systems(driver: SlackDriver, **more: Any) -> str:
    driver.made.set_policy(
        two='title = "Two"\nsystems = ["shop-admin", "reports"]\nactions = ["read", "write"]\n'
        'requesters = ["everyone"]\napprovers = ["@db-leads"]\nmax_duration = "12h"'
    )
    return pending(driver, "two", duration=12 * HOUR, **more)


def test_edit_sends_what_is_left_and_the_later_start(driver: SlackDriver) -> None:
    request = _of_two_systems(driver)
    assert driver.submit(Modal.EDIT, EDITED | {Field.DURATION: "1h"}, BEN, metadata=request) == {}
    (work,) = driver.work("decide")
    assert (work["systems"], work["actions"]) == (["reports"], ["read"])
    assert (work["start_at"], work["duration"]) == (START + HOUR, HOUR)


def test_an_end_in_an_edit_counts_from_the_start(driver: SlackDriver) -> None:
    at_once = EDITED | {Field.START: None}
    driver.submit(Modal.EDIT, at_once, BEN, metadata=_of_two_systems(driver))
    driver.submit(Modal.EDIT, EDITED, BEN, metadata=_of_two_systems(driver, person=LEA))
    first, second = (work["duration"] for work in driver.work("decide"))
    assert first - second == HOUR


WIDER: dict[str, tuple[str, Any]] = {
    "a system that was not asked for": (Field.SYSTEMS, ["reports", "payroll"]),
    "an action that was not asked for": (Field.ACTIONS, ["read", "delete"]),
    "an earlier start": (Field.START, START - HOUR),
    "a longer time": (Field.DURATION, "13h"),
}


@pytest.mark.parametrize(("field", "value"), WIDER.values(), ids=WIDER)
def test_an_edit_that_gives_more_is_refused_at_its_input(
    driver: SlackDriver, field: str, value: Any
) -> None:
    values = EDITED | {Field.DURATION: "1h", field: value}
    reply = driver.submit(Modal.EDIT, values, BEN, metadata=_of_two_systems(driver))
    assert list(reply["errors"]) == [field]
    assert driver.work("decide") == []


def test_a_refused_modal_can_be_sent_again_and_then_counts(driver: SlackDriver) -> None:
    body = a_submission(Modal.DENY, {Field.REASON: ""}, BEN, metadata=pending(driver))
    assert driver.submitted(body)["response_action"] == "errors"
    body["view"]["state"]["values"]["reason"]["reason"]["value"] = "no need"
    assert driver.submitted({**body, "trigger_id": "next"}) == {}
    assert len(driver.work("decide")) == 1


def test_a_denial_sent_twice_is_counted_once(stored: SlackDriver) -> None:
    body = a_submission(Modal.DENY, {Field.REASON: "no need"}, BEN, metadata=pending(stored))
    assert stored.submitted(body) == stored.submitted(body) == {}
    assert len(stored.work("decide")) == 1


def test_a_form_about_a_request_that_was_decided_says_so_and_keeps_what_was_typed(
    driver: SlackDriver,
) -> None:
    request = pending(driver)
    deny(driver, request)
    for modal, values in (
        (Modal.DENY, {Field.REASON: "no"}),
        (Modal.EDIT, {Field.DURATION: "30m"}),
    ):
        reply = driver.submit(modal, values, BEN, metadata=request)
        assert reply["response_action"] == "errors", "the form stays open"
        assert "already denied" in words(reply["errors"])


@pytest.mark.parametrize("metadata", ["", "r0forged", "{}", "x" * 3000])
@pytest.mark.parametrize("modal", [Modal.DENY, Modal.EDIT])
def test_a_forged_request_in_a_modal_is_refused(
    driver: SlackDriver, modal: Modal, metadata: str
) -> None:
    values = {Field.REASON: "no"} if modal is Modal.DENY else {Field.DURATION: "1h"}
    reply = driver.submit(modal, values, BEN, metadata=metadata)
    assert "does not exist" in words(reply)


def test_edit_approves_less_than_was_asked_for(stored: SlackDriver) -> None:
    request = pending(stored, duration=5400)
    stored.press(Action.EDIT, request, BEN)
    assert stored.views.last["callback_id"] == Modal.EDIT
    assert "1h 30m" in words(stored.views.last)
    assert (
        stored.submit(
            Modal.EDIT,
            {Field.DURATION: "30m", Field.ACTIONS: ["orders:read"]},
            BEN,
            metadata=request,
        )
        == {}
    )
    (work,) = stored.work("decide")
    assert (work["approve"], work["duration"], work["actions"]) == (True, 1800, ["orders:read"])
    count_vote(stored.made.world, work, a_person(BEN))
    assert stored.rows("SELECT duration, actions FROM grants") == [(1800, '["orders:read"]')]


def test_edit_takes_the_duration_as_it_was_written_there(driver: SlackDriver) -> None:
    request = pending(driver, duration=5400)
    assert driver.submit(Modal.EDIT, {Field.DURATION: " 1h 30m "}, BEN, metadata=request) == {}


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        pytest.param({"duration": "2h"}, "duration", "only shorten", id="longer"),
        pytest.param({"duration": "0m"}, "duration", "is zero", id="nothing"),
        pytest.param({"duration": "-1h"}, "duration", "is not a duration", id="negative"),
        pytest.param({"duration": ""}, "duration", "is not a duration", id="empty"),
        pytest.param({"duration": "1h", "actions": []}, "actions", "at least one", id="no actions"),
        pytest.param(
            {"duration": "1h", "actions": ["admin"]},
            "actions",
            "at least one",
            id="an action not asked for",
        ),
    ],
)
def test_an_edit_that_would_give_more_or_nothing_is_refused_at_its_input(
    driver: SlackDriver, values: dict[str, Any], field: str, said: str
) -> None:
    reply = driver.submit(Modal.EDIT, values, BEN, metadata=pending(driver))
    assert said in reply["errors"][field]
    assert driver.work("decide") == []
    assert driver.refusals()[-1][:2] == (BEN, "approve")


# --- holding


def test_credentials_are_shown_in_a_modal_to_the_holder_and_replace_the_earlier(
    stored: SlackDriver,
) -> None:
    grant = stored.made.a_grant()
    tokens = []
    for _ in range(2):
        stored.press(Action.SHOW_CREDENTIALS, grant.id)
        preformatted = [
            e
            for b in stored.views.last["blocks"]
            for e in b.get("elements", [])
            if "preformatted" in e["type"]
        ]
        tokens.append(preformatted[0]["elements"][0]["text"])
    assert [alive(stored, token) for token in tokens] == [False, True]
    assert tokens[1] not in str(stored.rows("SELECT * FROM audit")) + str(
        stored.rows("SELECT * FROM outbox")
    )


def test_the_holder_gets_a_link_for_a_browser_that_is_stored_nowhere(driver: SlackDriver) -> None:
    driver.made.set_policy(systems=browser_systems())
    grant = driver.made.a_grant()
    driver.press(Action.SHOW_CREDENTIALS, grant.id)
    buttons = [e for b in driver.views.last["blocks"] for e in b.get("elements", [])]
    (link,) = (e for e in buttons if e.get("action_id") == Action.OPEN_IN_BROWSER)
    assert link["text"]["text"] == "Open in browser"
    address, code = link["url"].split("?code=")
    assert address == f"{SHOP_URL}/_access/open"
    stored = [
        driver.rows(f"SELECT * FROM {table}") for table in ("audit", "outbox", "browser_codes")
    ]
    assert code not in str(stored)
    driver.press(Action.OPEN_IN_BROWSER, grant.id)
    assert isinstance(open_session(driver.made.world, code, "shop-admin", ""), BrowserSession)


def shown_token(driver: SlackDriver) -> str:
    preformatted = [
        e
        for b in driver.views.last["blocks"]
        for e in b.get("elements", [])
        if "preformatted" in e["type"]
    ]
    return str(preformatted[0]["elements"][0]["text"])


def alive(driver: SlackDriver, token: str) -> bool:
    claims = driver.made.signer.read_token(token)
    assert not isinstance(claims, ForeignToken)
    return isinstance(introspect_token(driver.made.world, claims, "shop-admin"), TokenActive)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    ["expired_trigger_id", "invalid_arguments", "ratelimited", RuntimeError("bug")],
    ids=repr,
)
def test_a_token_that_could_not_be_shown_never_works_and_the_earlier_one_stays(
    driver: SlackDriver, error: str | Exception
) -> None:
    grant = driver.made.a_grant()
    token = driver.made.a_token(grant)
    driver.views.error = error
    driver.press(Action.SHOW_CREDENTIALS, grant.id)
    assert alive(driver, token)
    assert len(driver.rows("SELECT 1 FROM audit WHERE event = 'grant:credentials:revoked'")) == 1
    assert len(replies(driver)) == 1


def test_a_token_whose_window_is_open_although_slacks_answer_was_lost_works(
    driver: SlackDriver,
) -> None:
    grant = driver.made.a_grant()
    earlier = driver.made.a_token(grant)
    driver.views.lost = 1
    driver.press(Action.SHOW_CREDENTIALS, grant.id)
    assert [method for method, _ in driver.views.calls] == ["views.open", "views.update"]
    names = {
        arguments.get("external_id", arguments["view"]["external_id"])
        for _, arguments in driver.views.calls
    }
    assert len(names) == 1
    assert (alive(driver, shown_token(driver)), alive(driver, earlier), replies(driver)) == (
        True,
        False,
        [],
    )


def test_while_nobody_knows_whether_a_token_is_shown_it_works_and_the_next_one_replaces_all(
    driver: SlackDriver,
) -> None:
    grant = driver.made.a_grant()
    earlier = driver.made.a_token(grant)
    driver.views.lost = 2
    driver.press(Action.SHOW_CREDENTIALS, grant.id)
    unsure = shown_token(driver)
    assert alive(driver, unsure) and alive(driver, earlier)
    assert "press again" in replies(driver)[0][2]
    driver.press(Action.SHOW_CREDENTIALS, grant.id)
    assert [alive(driver, token) for token in (earlier, unsure, shown_token(driver))] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("user", [BEN, LEA])
def test_nobody_but_the_holder_sees_credentials(driver: SlackDriver, user: str) -> None:
    grant = driver.made.a_grant()
    driver.press(Action.SHOW_CREDENTIALS, grant.id, user)
    assert driver.views.calls == []
    assert replies(driver) == [(user, "C0OPS", "Only the holder can see these credentials.")]


def test_credentials_delivered_twice_are_made_once(driver: SlackDriver) -> None:
    body = driver.press(Action.SHOW_CREDENTIALS, driver.made.a_grant().id)
    driver.send(body)
    assert len(driver.views.calls) == 1


def test_renew_done_and_cancel_work_from_a_message(stored: SlackDriver) -> None:
    grant, request = stored.made.a_grant(), pending(stored, "reports-read")
    stored.pass_time(1800)
    stored.press(Action.RENEW, grant.id)
    assert stored.made.grant(grant.id).ends_at == stored.made.clock.at + 3600
    stored.press(Action.DONE, grant.id)
    stored.press(Action.CANCEL, request)
    assert stored.made.grant(grant.id).state == "ending"
    assert ("withdrawn",) in stored.rows("SELECT state FROM requests")
    assert replies(stored) == [(ANA, "C0OPS", "Withdrawn: your request for reports-read.")]


@pytest.mark.parametrize("action", [Action.RENEW, Action.DONE, Action.CANCEL])
def test_the_same_press_delivered_twice_counts_once(stored: SlackDriver, action: Action) -> None:
    grant, request = stored.made.a_grant(), pending(stored, "reports-read")
    stored.made.clock.at += 1800
    body = stored.press(action, request if action is Action.CANCEL else grant.id)
    before = stored.rows("SELECT COUNT(*) FROM audit")
    stored.send(body)
    assert stored.rows("SELECT COUNT(*) FROM audit") == before


def test_a_renewal_that_needs_an_approval_says_so(driver: SlackDriver) -> None:
    grant = driver.made.a_grant("reports-read")
    driver.pass_time(1800)
    driver.press(Action.RENEW, grant.id)
    driver.press(Action.RENEW, grant.id)
    assert [text[:21] for _, _, text in replies(driver)] == [
        "Sent to the approvers",
        "You have already requ",
    ]


@pytest.mark.parametrize("action", [Action.RENEW, Action.DONE, Action.CANCEL])
def test_a_press_in_app_home_shows_it_again(driver: SlackDriver, action: Action) -> None:
    grant, request = driver.made.a_grant(), pending(driver, "reports-read")
    driver.pass_time(1800)
    driver.press(action, request if action is Action.CANCEL else grant.id, view=a_home())
    assert driver.work("publish_home") == [{"person": ANA}]
    assert replies(driver) == []


@pytest.mark.parametrize("action", [Action.APPROVE, Action.DENY, Action.EDIT])
def test_a_stale_decision_in_app_home_shows_it_again(driver: SlackDriver, action: Action) -> None:
    request = pending(driver)
    deny(driver, request)
    driver.press(action, request, BEN, view=a_home())
    assert driver.work("publish_home") == [{"person": BEN}]


@pytest.mark.parametrize("action", [Action.RENEW, Action.DONE, Action.CANCEL])
def test_somebody_else_s_access_and_requests_are_left_alone(
    driver: SlackDriver, action: Action
) -> None:
    grant, request = driver.made.a_grant(), pending(driver, "reports-read")
    driver.press(action, request if action is Action.CANCEL else grant.id, LEA)
    assert driver.made.grant(grant.id) == grant
    assert replies(driver)[0][2].startswith("Only the")


def test_a_lead_revokes_and_nobody_else_does(stored: SlackDriver) -> None:
    grant = stored.made.a_grant()
    stored.press(Action.REVOKE, grant.id, BEN)
    assert stored.made.grant(grant.id).state == "active"
    body = stored.press(Action.REVOKE, grant.id, LEA)
    stored.send(body)
    ended = stored.made.grant(grant.id)
    assert (ended.end_reason, ended.end_by) == ("revoked", LEA)
    assert [text[:10] for _, _, text in replies(stored)] == ["Only leads", "Revoked: s"]


def test_the_older_page_is_left_to_be_shown_where_it_was_asked_for(driver: SlackDriver) -> None:
    driver.press(Action.AUDIT_OLDER, '{"before":7,"role":"shop-admin","since":5}', LEA)
    assert driver.work("answer") == [
        {
            "person": LEA,
            "channel": "C0OPS",
            "note": "audit_page",
            "filters": {"role": "shop-admin", "since": 5},
            "before": 7,
        }
    ]


@pytest.mark.parametrize(
    "value", ["[]", "7", '{"before":"7"}', '{"before":7,"role":5}', '{"before":7,"since":"x"}']
)
def test_a_forged_older_page_is_refused(driver: SlackDriver, value: str) -> None:
    driver.press(Action.AUDIT_OLDER, value, LEA)
    assert driver.work("answer") == []
    assert "This button is broken" in words(driver.views.last)


# --- asking with the form


def test_the_request_button_opens_the_form_and_a_role_chosen_in_it_changes_it(
    driver: SlackDriver,
) -> None:
    driver.press(Action.REQUEST, NO_ROLE, view=a_home())
    assert driver.views.last["callback_id"] == Modal.REQUEST
    view = {**a_home("V1"), "type": "modal"}
    view["state"] = {
        "values": {"reason": {"reason": {"type": "plain_text_input", "value": "typed"}}}
    }
    driver.press(Action.CHOOSE_ROLE, "reports-read", view=view)
    method, call = driver.views.calls[-1]
    assert (method, call["view_id"], call["hash"]) == ("views.update", "V1", "h")
    assert "ticket" in [block.get("block_id") for block in call["view"]["blocks"]]
    assert "typed" in words(call["view"])


def test_the_request_button_of_a_role_chooses_it_unless_it_is_not_mine_any_more(
    driver: SlackDriver,
) -> None:
    driver.press(Action.REQUEST, "reports-read", view=a_home())
    assert "ticket" in [block.get("block_id") for block in driver.views.last["blocks"]]
    driver.press(Action.REQUEST, "shop-deploy", LEA, view=a_home())
    assert driver.views.last["callback_id"] == Modal.NOTICE
    assert "You can no longer request shop-deploy" in words(driver.views.last)
    assert driver.work("publish_home") == [{"person": LEA}]


def test_ask_again_opens_the_form_with_role_duration_and_reason(driver: SlackDriver) -> None:
    driver.command("request shop-admin 90min order 7 *twice*")
    request = driver.rows("SELECT id FROM requests")[0][0]
    driver.command("cancel")
    driver.press(Action.ASK_AGAIN, request, view=a_home())
    blocks = {
        block.get("block_id"): block.get("element", {}) for block in driver.views.last["blocks"]
    }
    assert blocks[Field.ROLE]["initial_option"]["value"] == "shop-admin"
    assert blocks[Field.DURATION]["initial_value"] == "1h 30m"
    assert blocks[Field.REASON]["initial_value"] == "order 7 *twice*"


def test_nobody_asks_again_for_what_another_person_asked(driver: SlackDriver) -> None:
    driver.command("request shop-admin 1h a secret of ana")
    request = driver.rows("SELECT id FROM requests")[0][0]
    driver.press(Action.ASK_AGAIN, request, BEN, view=a_home())
    assert "You have no such request" in words(driver.views.last)
    assert "secret" not in words(driver.views.last)


def test_asking_again_for_a_role_that_is_gone_says_so(driver: SlackDriver) -> None:
    driver.command("request shop-admin 1h fix")
    request = driver.rows("SELECT id FROM requests")[0][0]
    driver.made.set_policy(shop_admin='requesters = ["@sre"]')
    driver.press(Action.ASK_AGAIN, request, view=a_home())
    assert "You can no longer request shop-admin" in words(driver.views.last)
    assert driver.work("publish_home") == [{"person": ANA}]


def test_another_page_of_home_is_left_to_be_shown(driver: SlackDriver) -> None:
    driver.press(Action.HOME_PAGE, "ask:8", view=a_home())
    assert driver.work("publish_home") == [{"person": ANA, "section": "ask", "skip": 8}]
    driver.press(Action.HOME_PAGE, "ask:0", view=a_home())
    assert driver.work("publish_home")[1] == {"person": ANA}


def test_end_now_in_home_ends_it_once_and_says_what_is_so_to_who_is_late(
    stored: SlackDriver,
) -> None:
    grant = stored.made.a_grant()
    stored.press(Action.REVOKE, grant.id, LEA, view=a_home())
    stored.press(Action.REVOKE, grant.id, LEA, view=a_home())
    said = [text for _, _, text in replies(stored)]
    assert said[0].startswith("Revoked: shop-admin") and said[1].endswith(
        "access to shop-admin is ending already."
    )
    assert stored.work("publish_home") == [{"person": LEA}] * 2


def test_a_role_that_is_not_mine_to_choose_changes_nothing(driver: SlackDriver) -> None:
    driver.press(Action.CHOOSE_ROLE, "shop-deploy", LEA, view={**a_home("V1"), "type": "modal"})
    assert driver.views.calls == []


def test_the_form_stores_the_request_and_becomes_its_confirmation(stored: SlackDriver) -> None:
    reply = stored.submit(Modal.REQUEST, {**FORM, Field.REASON: " two\nlines & <!channel> "})
    assert reply["response_action"] == "update"
    assert "It needs 1 approval" in words(reply["view"])
    assert stored.requests() == [
        (ANA, "shop-admin", 3600, " two\nlines & <!channel> ", "", "pending", None)
    ]


def test_the_form_sent_twice_asks_once_and_confirms_both_times(stored: SlackDriver) -> None:
    body = a_submission(Modal.REQUEST, FORM)
    assert stored.submitted(body) == stored.submitted(body)
    again = stored.submitted({**body, "trigger_id": "another"})
    assert "already waiting" in words(again["view"])
    assert len(stored.requests()) == len(stored.work("post_approval")) == 1


def test_a_form_delivered_again_after_the_decision_asks_for_nothing(driver: SlackDriver) -> None:
    body = a_submission(Modal.REQUEST, FORM)
    driver.submitted(body)
    deny(driver, driver.rows("SELECT id FROM requests")[0][0])
    assert "sent before" in words(driver.submitted(body)["view"])
    assert len(driver.requests()) == 1


def test_a_start_later_is_stored_and_an_end_counts_from_it(driver: SlackDriver) -> None:
    start = START + 86_400 - (START % 86_400) + 8 * 3600  # 10:00 in Berlin tomorrow
    driver.submit(Modal.REQUEST, {**FORM, Field.DURATION: "until 12:00", Field.START: start})
    assert driver.requests()[0][2] == 7200
    assert driver.requests()[0][6] == start


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("2 hours", 7200),
        ("“2h”", 7200),
        ("1,5h", 5400),
        ("1:30", 5400),
        ("for 90min", 5400),
        ("２Ｈ", 7200),
    ],
)
def test_the_form_and_the_edit_form_understand_what_people_type(
    driver: SlackDriver, typed: str, seconds: int
) -> None:
    said = words(driver.submit(Modal.REQUEST, {**FORM, Field.DURATION: typed})["view"])
    assert driver.requests()[0][2] == seconds
    assert f"{format_duration(seconds)} True , until" in said and "if it starts now" in said
    request = driver.rows("SELECT id FROM requests")[0][0]
    assert driver.submit(Modal.EDIT, {Field.DURATION: typed}, BEN, metadata=request) == {}
    assert driver.work("decide")[0]["duration"] == seconds


def test_an_empty_duration_in_the_form_says_that_the_default_is_used(driver: SlackDriver) -> None:
    values = {**FORM, Field.DURATION: "", Field.REASON: "down since 14:00"}
    said = words(driver.submit(Modal.REQUEST, values)["view"])
    assert (
        "You gave no duration, so this is the role's default" in said and "was read as part" in said
    )


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        pytest.param({"duration": "-1h"}, "duration", "is not a duration", id="negative"),
        pytest.param({"duration": "0m"}, "duration", "is zero", id="nothing"),
        pytest.param({"duration": "999999h"}, "duration", "too long", id="longer than anything"),
        pytest.param({"duration": "30d"}, "duration", "at most 4h", id="longer than the role"),
        pytest.param(
            {"duration": "2h until tomorrow"}, "duration", "one of the two", id="two ends"
        ),
        pytest.param(
            {"duration": "until 09:00 or so"}, "duration", "past", id="an end in the past"
        ),
        pytest.param(
            {"duration": "1h for the till"},
            "duration",
            "Did you mean `1h`?",
            id="a duration and more",
        ),
        pytest.param({"duration": "30"}, "duration", "Did you mean `30m`?", id="two readings"),
        pytest.param({"reason": ""}, "reason", "Say why", id="no reason"),
        pytest.param({"reason": "\u202e\u200b"}, "reason", "Say why", id="nothing to read"),
        pytest.param(
            {"reason": "x" * 10_000}, "reason", "10,000 characters", id="10,000 characters"
        ),
        pytest.param({"role": "shop-admn"}, "role", "Did you mean shop-admin?", id="unknown role"),
        pytest.param(
            {"role": "reports-read", "ticket": "no"}, "ticket", "does not match", id="bad ticket"
        ),
        pytest.param(
            {"role": "reports-read"},
            "role",
            "it is missing",
            id="a ticket the form did not ask for",
        ),
        pytest.param({"start": START - 3600}, "start", "in the past", id="a start in the past"),
        pytest.param(
            {"start": START + 99 * 86_400}, "start", "too far away", id="a start too far away"
        ),
    ],
)
def test_what_the_form_gets_wrong_is_said_at_its_input(
    driver: SlackDriver, values: dict[str, Any], field: str, said: str
) -> None:
    driver.made.clock.at = START + 6 * 3600 if "until" in str(values) else START
    reply = driver.submit(Modal.REQUEST, {**FORM, **values})
    assert reply["response_action"] == "errors"
    assert said in reply["errors"][field]
    assert driver.requests() == [] and len(driver.refusals()) == 1


def test_asking_for_what_is_held_is_said_at_the_role(driver: SlackDriver) -> None:
    driver.made.a_grant()
    reply = driver.submit(Modal.REQUEST, FORM)
    assert "renew" in reply["errors"][Field.ROLE]


def test_a_refusal_replaces_a_form_without_inputs(driver: SlackDriver) -> None:
    body = a_submission(Modal.REQUEST, FORM)
    body["view"]["blocks"] = []
    body["view"]["state"] = {"values": {}}
    assert "There is no role" in words(driver.submitted(body)["view"])


def test_a_notice_that_is_submitted_just_closes(driver: SlackDriver) -> None:
    assert driver.submit("something_else", {}) == {}


# --- shortcuts


def test_the_global_shortcut_opens_the_form(driver: SlackDriver) -> None:
    assert driver.send(a_shortcut(Shortcut.REQUEST)).status == 200
    assert driver.views.last["callback_id"] == Modal.REQUEST


def test_the_message_shortcut_opens_the_form_with_the_message_quoted(driver: SlackDriver) -> None:
    driver.send(a_message_shortcut(Shortcut.REQUEST_FOR_MESSAGE, "the till is down &lt;again&gt;"))
    (reason,) = [b for b in driver.views.last["blocks"] if b.get("block_id") == Field.REASON]
    assert reason["element"]["initial_value"].startswith(
        "“the till is down <again>” https://example.slack.com/archives/"
    )


def test_a_form_that_comes_too_late_for_a_shortcut_is_reported_by_message(
    driver: SlackDriver,
) -> None:
    driver.views.error = "expired_trigger_id"
    driver.send(a_shortcut(Shortcut.REQUEST))
    assert [(who, where) for who, where, _ in replies(driver)] == [(ANA, "")]


@pytest.mark.parametrize("action", [Action.DENY, Action.EDIT, Action.REQUEST])
def test_a_form_that_comes_too_late_for_a_press_is_reported_by_message(
    driver: SlackDriver, action: Action
) -> None:
    driver.views.error = "expired_trigger_id"
    driver.press(action, pending(driver), BEN)
    assert "in time" in replies(driver)[0][2]


# --- events


def test_opening_app_home_publishes_it(driver: SlackDriver) -> None:
    driver.send(an_event("app_home_opened", user=ANA, tab="home"))
    driver.send(an_event("app_home_opened", user=ANA, tab="messages"))
    assert driver.work("publish_home") == [{"person": ANA}]


def test_an_event_delivered_twice_counts_once(stored: SlackDriver) -> None:
    body = an_event("subteam_members_changed", subteam_id="S1")
    assert [stored.send(body).status, stored.send(body).status] == [200, 200]
    assert len(stored.work("refresh_groups")) == 1


@pytest.mark.parametrize("event", ["subteam_created", "subteam_updated", "subteam_members_changed"])
def test_changed_groups_are_read_again(driver: SlackDriver, event: str) -> None:
    driver.send(an_event(event, subteam={"id": "S1"}))
    assert len(driver.work("refresh_groups")) == 1


def test_somebody_who_joins_is_looked_up(driver: SlackDriver) -> None:
    driver.send(an_event("team_join", user={"id": "U0NEW", "team_id": "T1"}))
    assert driver.work("look_up_person") == [{"person": "U0NEW"}]


def test_events_of_another_workspace_change_nothing(driver: SlackDriver) -> None:
    for event in EVENTS:
        assert driver.send(an_event(event, team="T0OTHER", user=ANA, tab="home")).status == 200
    assert driver.rows("SELECT kind FROM outbox") == []


def test_an_event_that_could_not_be_stored_is_not_acknowledged_so_that_slack_sends_it_again(
    stored: SlackDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = an_event("app_home_opened", user=ANA, tab="home")
    with monkeypatch.context() as broken:
        storage_down(stored, broken)
        assert stored.send(body).status == 503
    assert stored.send(body).status == 200
    assert len(stored.work("publish_home")) == 1


# --- admission


def everything(user: str, **more: Any) -> list[tuple[str, dict[str, Any]]]:
    """One payload of each kind that a person can send."""
    presses = [(f"press {action}", a_click(action, "x", user, **more)) for action in ACTIONS]
    return [
        ("command", a_command("request shop-admin 1h fix", user, **more)),
        ("form", a_submission(Modal.REQUEST, FORM, user, **more)),
        ("shortcut", a_shortcut(Shortcut.REQUEST, user, **more)),
        *presses,
    ]


@pytest.mark.parametrize("kind", [kind for kind, _ in everything(ANA)])
def test_somebody_from_another_workspace_is_refused_everywhere_and_on_record(
    driver: SlackDriver, kind: str
) -> None:
    body = dict(everything(ANA, team="T0OTHER"))[kind]
    reply = driver.send(body)
    said = reply.body + words([call for _, call in driver.views.calls]) + str(driver.work("answer"))
    assert reply.status == 200
    assert "People from other workspaces" in said
    assert [actor for actor, _, _ in driver.refusals()] == [ANA]
    assert driver.requests() == [] and driver.work("decide") == []


def test_a_member_of_another_workspace_of_the_same_organisation_is_let_in(
    driver: SlackDriver,
) -> None:
    body = a_click(Action.APPROVE, pending(driver), BEN, enterprise={"id": "E1", "name": "Example"})
    body["user"]["team_id"] = "T0OTHER"
    driver.send(body)
    assert len(driver.work("decide")) == 1


def test_nobody_is_let_in_before_our_own_workspace_is_known(made: Made) -> None:
    driver = make_driver(made, team="")
    assert "just started" in words(driver.command("request shop-admin 1h fix"))
    driver.send(an_event("app_home_opened", user=ANA, tab="home"))
    assert len(driver.work("publish_home")) == 1


UNFIT = ["deleted", "bot", "guest", "stranger", "unconfirmed"]


@pytest.mark.parametrize("why", UNFIT)
@pytest.mark.parametrize("kind", [kind for kind, _ in everything(ANA)])
def test_guests_bots_strangers_and_deactivated_accounts_are_refused(
    driver: SlackDriver, kind: str, why: str
) -> None:
    record_people(driver.made.world, [a_person("U0GUEST", **{why: True})])
    reply = driver.send(dict(everything("U0GUEST"))[kind])
    said = reply.body + words([call for _, call in driver.views.calls]) + str(driver.work("answer"))
    assert "use access here" in said
    assert [actor for actor, _, _ in driver.refusals()] == ["U0GUEST"]
    assert driver.requests() == []


@pytest.mark.parametrize("why", UNFIT)
def test_an_unfit_approver_is_refused(driver: SlackDriver, why: str) -> None:
    request = pending(driver)
    record_people(driver.made.world, [a_person(BEN, **{why: True})])
    driver.press(Action.APPROVE, request, BEN)
    assert driver.work("decide") == []
    assert replies(driver)[0][2].startswith("You can't use access here")


def test_an_approver_who_is_a_full_member_again_is_heard_after_a_minute(
    driver: SlackDriver,
) -> None:
    request = pending(driver)
    record_people(driver.made.world, [a_person(BEN, guest=True)])
    driver.slack_people.people[BEN] = replace(a_person(BEN), checked_at=START + 61)
    driver.made.clock.at += 61
    driver.press(Action.APPROVE, request, BEN)
    assert len(driver.work("decide")) == 1


@pytest.mark.parametrize(
    "make", [lambda r: a_click(Action.APPROVE, r, BEN), lambda _: a_submission(Modal.REQUEST, FORM)]
)
def test_the_same_payload_delivered_by_many_at_the_same_moment_counts_once(
    stored: SlackDriver, make: Any
) -> None:
    body = make(pending(stored, "reports-read"))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: stored.send(body).status, range(8)))
    assert answers == [200] * 8
    assert len(stored.work("decide")) + len(stored.work("post_approval")) == 2


def test_somebody_nobody_knows_is_looked_up_once_and_then_served(driver: SlackDriver) -> None:
    driver.slack_people.people["U0NEW"] = a_person("U0NEW")
    driver.command("request shop-admin 1h fix", "U0NEW")
    driver.command("list", "U0NEW")
    assert driver.slack_people.asked == ["U0NEW"]
    assert driver.requests()[0][0] == "U0NEW"


def test_somebody_slack_says_nothing_about_is_not_served_and_may_try_again(
    driver: SlackDriver,
) -> None:
    assert "Slack did not confirm who you are" in words(driver.command("list", "U0NEW"))
    assert driver.refusals()[0][0] == "U0NEW"


def test_a_guest_who_became_a_member_is_served_after_a_minute(driver: SlackDriver) -> None:
    record_people(driver.made.world, [a_person("U0GUEST", guest=True)])
    driver.slack_people.people["U0GUEST"] = replace(a_person("U0GUEST"), checked_at=START + 61)
    assert "guest accounts" in words(driver.command("list", "U0GUEST"))
    driver.made.clock.at += 61
    assert "You have no access" in words(driver.command("list", "U0GUEST"))
    assert driver.slack_people.asked == ["U0GUEST"]


# --- errors


def storage_down(driver: SlackDriver, patch: pytest.MonkeyPatch) -> None:
    def down(*_: object) -> None:
        raise StorageUnavailable("disk I/O error")

    patch.setattr(driver.made.world.db, "reading", down)
    patch.setattr(driver.made.world.db, "transaction", down)


@pytest.mark.parametrize("kind", [kind for kind, _ in everything(ANA)])
def test_when_the_database_does_not_answer_the_person_reads_that_nothing_changed(
    driver: SlackDriver, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        storage_down(driver, broken)
        reply = driver.send(dict(everything(ANA))[kind])
    assert reply.status == 200
    assert "nothing was changed" in reply.body + words([call for _, call in driver.views.calls])
    assert driver.rows("SELECT COUNT(*) FROM outbox") == [(0,)]


def test_a_form_keeps_what_was_typed_while_the_database_is_away(
    driver: SlackDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        storage_down(driver, broken)
        reply = driver.submit(Modal.REQUEST, FORM)
    assert list(reply["errors"]) == [Field.ROLE]


@pytest.mark.parametrize("kind", [kind for kind, _ in everything(ANA)])
def test_an_unexpected_error_is_logged_and_reported_with_the_same_reference(
    driver: SlackDriver,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def bug(*_: object) -> None:
        raise KeyError("bug")

    monkeypatch.setattr("bot.slack.context.refuse_other_workspace", bug)
    reply = driver.send(dict(everything(ANA))[kind])
    assert reply.status == 200
    (record,) = [r for r in caplog.records if r.name == "bot.slack.listeners"]
    reference = str(record.args[0]) if isinstance(record.args, tuple) else ""
    assert len(reference) == 8
    assert reference in reply.body + words([call for _, call in driver.views.calls])


def test_a_payload_is_acknowledged_even_if_its_error_can_not_be_reported(
    driver: SlackDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.views.error = RuntimeError("no network")
    with monkeypatch.context() as broken:
        storage_down(driver, broken)
        assert driver.send(a_click(Action.RENEW, "g1")).status == 200


def test_an_unknown_action_of_an_older_version_is_answered(driver: SlackDriver) -> None:
    driver.press("retired_button", "x")
    assert "no longer works" in replies(driver)[0][2]


MALFORMED: list[tuple[str, dict[str, Any]]] = [
    (
        "press without an action's name",
        {**a_click("approve", "x"), "actions": [{"type": "button", "action_id": ""}]},
    ),
    ("press of nobody", {**a_click("approve", "x"), "user": {}}),
    ("press with a NUL", a_click("approve", "r\x00")),
    ("form of nobody", {**a_submission(Modal.REQUEST, FORM), "user": {}}),
    ("form with a NUL", a_submission(Modal.REQUEST, {**FORM, Field.REASON: "a\x00"})),
    ("shortcut of nobody", {**a_shortcut(Shortcut.REQUEST), "user": None}),
    ("command of nobody", a_command("list", "")),
]


@pytest.mark.parametrize(
    "body", [body for _, body in MALFORMED], ids=[name for name, _ in MALFORMED]
)
def test_a_malformed_payload_is_answered_and_changes_nothing(
    stored: SlackDriver, body: dict[str, Any]
) -> None:
    assert stored.send(body).status == 200
    assert stored.rows("SELECT COUNT(*) FROM outbox") == [(0,)]
    assert stored.requests() == []


def test_every_button_there_is_has_a_route() -> None:
    assert set(ACTIONS) == set(Action)


def test_records_say_that_it_came_through_slack(driver: SlackDriver) -> None:
    driver.command("request shop-admin 1h fix")
    ((detail,),) = driver.rows("SELECT detail FROM audit WHERE event = 'request:access:asked'")
    assert json.loads(detail)["source"] == Source.SLACK


def test_no_listener_asks_slack_about_people_it_knows(driver: SlackDriver) -> None:
    for _, body in everything(ANA):
        driver.send(body)
    assert driver.slack_people.asked == []
