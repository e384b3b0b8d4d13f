"""Presses that cross, repeat, come late, come from the wrong person or were forged: there is one
decision, by an entitled person."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from bot.sandbox import Outcome, Person
from tests.faults.running_bot import ROLES, Company, parts
from tests.waiting import until

Json = dict[str, Any]
DB_LEADS = ["ben", "gwen"]


def at_once(acts: list[Callable[[], Outcome]]) -> list[Outcome]:
    """Does all of these at the same moment."""
    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(act) for act in acts]]


def decisions(company: Company, request: str) -> list[str]:
    ends = ("request:approval:given", "request:denial:given")
    return [event for event in company.events(request=request) if event in ends]


def members(company: Company, handle: str) -> set[str]:
    """The members of a group, as the bot knows them."""
    found = company.rows("SELECT members FROM user_groups WHERE handle = ?", handle)
    return {
        person
        for row in found
        for person in row[0].strip('[]"').replace('", "', '","').split('","')
    }


def set_group(company: Company, handle: str, people: list[str]) -> None:
    """Changes a group in Slack and waits until the bot knows it."""
    company.sandbox.admin.set_group(f"@{handle}", people)
    until(lambda: members(company, handle) == set(people))


@contextmanager
def roles_changed(company: Company, old: str, new: str) -> Iterator[None]:
    """Saves another roles.toml, and the usual one again at the end; each time the bot has loaded
    it."""

    def save(text: str) -> None:
        before = len(company.events(event="policy:file:loaded"))
        company.roles.write_text(text)
        until(lambda: len(company.events(event="policy:file:loaded")) > before)

    assert old in ROLES
    save(ROLES.replace(old, new))
    try:
        yield
    finally:
        save(ROLES)


def forged(company: Company, by: str, **changes: Any) -> Json:
    """A payload like that of this person's newest press, with changes."""
    sent = [
        each for each in company.sandbox.inspector.deliveries() if each["kind"] == "interactive"
    ]
    found = [each["payload"] for each in sent if each["payload"]["user"]["id"] == by]
    return {**copy.deepcopy(found[-1]), **changes}


def answer_to(who: Person, card: Json, label: str, value: str | None = None) -> str:
    """Presses, and returns the answer that only this person sees."""
    before = len(who.ephemerals())
    assert who.click(card, label, value=value).ok
    until(lambda: len(who.ephemerals()) > before)
    return who.plain(who.ephemerals()[-1])


def labels(message: Json) -> list[str]:
    return [part["text"]["text"] for part in parts(message) if part.get("type") == "button"]


# --- at the same moment


def test_of_twenty_approvers_at_once_one_decides_and_the_others_read_who_did(
    company: Company,
) -> None:
    crowd = [company.newcomer() for _ in range(20)]
    for each in crowd:
        company.sandbox.admin.add_to_channel("#access-approvals", each.id)
    set_group(company, "sre", [company.farid.id, *(each.id for each in crowd)])
    request = company.ask(company.emi, "oncall")
    card = company.card(request)
    pressed = at_once([lambda who=who: who.click(card, "Approve") for who in crowd])
    assert all(each.ok for each in pressed)
    company.wait_card(request, "Active until")
    company.quiet()
    assert decisions(company, request) == ["request:approval:given"]
    assert len(company.rows("SELECT id FROM grants WHERE request_id = ?", request)) == 1
    told = [
        who
        for who in crowd
        if who.ephemerals() and "approved already by" in who.plain(who.ephemerals()[-1])
    ]
    assert len(told) == 19
    set_group(company, "sre", [company.farid.id])
    assert company.access(company.emi, "done oncall").ok


@pytest.mark.parametrize("attempt", range(4))
def test_approve_against_deny_ends_in_exactly_one_decision(company: Company, attempt: int) -> None:
    who = company.newcomer()
    request = company.ask(who, "shop-admin")
    card = company.card(request)
    assert company.gwen.click(card, "Deny").ok
    company.gwen.wait_view("Deny")
    company.gwen.fill({"Reason": "no"})
    at_once([lambda: company.ben.click(card, "Approve"), company.gwen.submit])
    until(lambda: company.request(who, "shop-admin")[1] in ("approved", "denied"))
    company.quiet()
    assert len(decisions(company, request)) == 1
    denied = company.request(who, "shop-admin")[1] == "denied"
    assert (company.grant(who, "shop-admin")[0] == "") is denied
    if company.gwen.view() is not None:
        company.gwen.close_view()


# --- again


def test_a_redelivered_payload_has_no_second_effect(company: Company) -> None:
    who, replay = company.newcomer(), company.sandbox.replay
    asked = company.access(who, "request shop-admin 1h because")
    request = company.request(who, "shop-admin")[0]
    approved = company.ben.click(company.card(request), "Approve")
    given = who.wait_dm("Show credentials")
    shown = who.click(given, "Show credentials")
    token = company.read_token(who)
    renewed = company.renew(who, "shop-admin 1h")
    who.wait_dm("Renewed")
    for act in (asked, approved, shown, renewed):
        assert replay(act.delivery)["outcome"] == "acked"
        assert replay(act.delivery, same_envelope=False)["outcome"] == "acked"
    company.quiet()
    assert who.view() is None and company.check(token) == 200
    events = company.events(request=request)
    for once in (
        "request:vote:given",
        "request:approval:given",
        "grant:credentials:shown",
        "grant:access:renewed",
    ):
        assert events.count(once) == 1
    done = who.click(given, "I'm done")
    who.wait_dm("you gave it back")
    again = company.ask(who, "shop-admin", "1h once more")
    replay(done.delivery)
    replay(approved.delivery)
    replay(asked.delivery)
    company.quiet()
    assert company.request(who, "shop-admin") == (again, "pending")
    assert len(company.rows("SELECT id FROM requests WHERE requester = ?", who.id)) == 2


def test_a_form_that_is_sent_twice_makes_one_request(company: Company) -> None:
    who = company.newcomer()
    company.access(who, "")
    who.wait_view("Reason")
    sent = who.fill_and_submit({"Role": "Shop admin", "Reason": "because"})
    again = company.sandbox.replay(sent.delivery, same_envelope=False)
    assert again["ack"]["response_action"] == "update" and "errors" not in again["ack"]
    payload = forged(company, who.id, trigger_id=company.sandbox.call("trigger", user=who.id))
    pressed_again = company.sandbox.deliver("interactive", payload)
    assert pressed_again["ack"]["response_action"] == "update"
    assert len(company.rows("SELECT id FROM requests WHERE requester = ?", who.id)) == 1


def test_two_presses_in_a_row_count_once(company: Company) -> None:
    who = company.newcomer()
    request = company.ask(who, "shop-admin")
    card = company.card(request)
    at_once([lambda: company.ben.click(card, "Approve")] * 2)
    given = who.wait_dm("Show credentials")
    at_once([lambda: who.click(given, "I'm done")] * 2)
    who.wait_dm("you gave it back")
    company.quiet()
    events = company.events(request=request)
    assert (events.count("request:approval:given"), events.count("grant:access:ended")) == (1, 1)


# --- late


def test_buttons_from_before_a_restart_still_work_and_old_ones_say_what_happened(
    own_company: Company,
) -> None:
    company = own_company
    request = company.ask(company.ana, "shop-admin")
    card = company.card(request)
    grant = company.hold(company.dev, "shop-admin", "1h because")
    given = company.about(company.dev, "shop-admin")
    company.restart()
    assert company.ben.click(card, "Approve").ok
    company.wait_card(request, "Active until")
    assert company.gwen.click(card, "Approve").ok
    company.gwen.wait_ephemeral("approved already by @ben")
    assert company.gwen.click(card, "Deny").ok
    until(lambda: len(company.gwen.ephemerals()) == 2)
    assert company.dev.click(given, "Show credentials").ok
    token = company.read_token(company.dev)
    assert company.check(token) == 200
    assert company.dev.click(given, "I'm done").ok
    until(lambda: company.grant(company.dev, "shop-admin") == (grant, "ended"))
    assert company.dev.click(given, "Renew").ok
    company.dev.wait_dm("can't be renewed")


def test_an_expired_trigger_is_answered_and_changes_nothing(company: Company) -> None:
    who = company.newcomer()
    company.hold(who, "shop-admin")
    token = company.token(who, "shop-admin")
    used = forged(company, who.id)["trigger_id"]
    assert who.click(company.about(who, "shop-admin"), "Show credentials", trigger_id=used).ok
    who.wait_dm("did not open the window in time")
    assert who.view() is None and company.check(token) == 200
    request = company.ask(who, "reports-read")
    assert company.ben.click(company.card(request), "Deny", trigger_id=used).ok
    company.ben.wait_ephemeral("did not open the window in time")
    assert company.request(who, "reports-read")[1] == "pending"


# --- people who may no longer decide


def test_a_role_that_was_changed_or_removed_while_a_request_waits_is_not_given(
    company: Company,
) -> None:
    who = company.newcomer()
    request = company.ask(who, "shop-admin")
    wider = '"orders:read", "orders:refund", "orders:delete"'
    with roles_changed(company, '"orders:read", "orders:refund"', wider):
        assert company.ben.click(company.card(request), "Approve").ok
        company.ben.wait_ephemeral("was changed in roles.toml")
    with roles_changed(company, "[roles.shop-admin]", "[roles.shop-office]"):
        assert company.ben.click(company.card(request), "Approve").ok
        company.ben.wait_ephemeral("no longer in roles.toml")
    assert decisions(company, request) == [] and company.request(who, "shop-admin")[1] == "pending"
    assert company.ben.click(company.card(request), "Approve").ok
    company.wait_card(request, "Approved by")


def test_an_approver_who_left_the_group_decides_nothing_and_their_vote_no_longer_counts(
    company: Company,
) -> None:
    who = company.newcomer()
    request = company.ask(who, "shop-admin")
    dual = company.ask(company.dev, "shop-deploy")
    assert company.farid.click(company.card(dual), "Approve").ok
    company.farid.wait_ephemeral("1 of 2")
    set_group(company, "db-leads", [company.gwen.id])
    set_group(company, "sre", [company.emi.id])
    assert company.ben.click(company.card(request), "Approve").ok
    company.ben.wait_ephemeral("Only the approvers of shop-admin")
    assert company.chiara.click(company.card(dual), "Approve").ok
    company.chiara.wait_ephemeral("1 of 2")
    assert company.request(company.dev, "shop-deploy")[1] == "pending"
    set_group(company, "sre", [company.farid.id])
    set_group(company, "db-leads", [company.sandbox.person(name).id for name in DB_LEADS])
    assert decisions(company, request) == []
    assert company.access(company.dev, "cancel shop-deploy").ok


@pytest.mark.parametrize(("name", "role"), [("ben", "shop-admin"), ("chiara", "shop-deploy")])
def test_nobody_decides_on_their_own_request_whatever_they_are(
    company: Company, name: str, role: str
) -> None:
    """Ben is in the approvers' group; Chiara is an approver and a lead."""
    who, other = company.sandbox.person(name), company.newcomer()
    set_group(company, "sre", [company.farid.id, company.emi.id])
    request, foreign = company.ask(who, role), company.ask(other, "shop-admin")
    card = company.card(request)
    for label in ("Approve", "Deny", "Edit"):
        assert "your own request" in answer_to(who, card, label) and who.view() is None
    assert "your own request" in answer_to(who, company.card(foreign), "Approve", request)
    view = {
        "callback_id": "deny_modal",
        "private_metadata": request,
        "id": "V1",
        "blocks": [],
        "type": "modal",
    }
    state = {"values": {"reason": {"reason": {"type": "plain_text_input", "value": "no"}}}}
    submission = forged(company, who.id, type="view_submission", view={**view, "state": state})
    company.sandbox.deliver("interactive", submission)
    company.quiet()
    assert decisions(company, request) == [] and company.request(who, role)[1] == "pending"
    assert company.access(who, f"cancel {role}").ok
    set_group(company, "sre", [company.farid.id])


OUTSIDERS = {
    "guest": "hugo",
    "stranger": "ivy",
    "deactivated": "jon",
    "bot": "deploybot",
    "nobody": "",
}


@pytest.mark.parametrize("name", OUTSIDERS.values(), ids=OUTSIDERS)
def test_a_guest_decides_nothing_even_as_a_member_of_the_group(company: Company, name: str) -> None:
    outsider: Person | None = company.sandbox.person(name) if name else None
    user = outsider.id if outsider else "U0NOBODY000"
    team = company.sandbox.inspector.directory()["users"].get(user, {}).get("team_id", "T0PARTNER")
    who = company.newcomer()
    request, earlier = company.ask(who, "shop-admin"), company.ask(who, "reports-read")
    everybody = [company.sandbox.person(each).id for each in DB_LEADS]
    set_group(company, "db-leads", [*everybody, user])
    assert company.ben.click(company.card(earlier), "Approve").ok
    company.wait_card(earlier, "Approved by")
    press = forged(
        company, company.ben.id, user={"id": user, "team_id": team, "username": "x", "name": "x"}
    )
    card = company.card(request)
    press["container"] = {
        "type": "message",
        "channel_id": card["channel"],
        "message_ts": card["ts"],
    }
    press["actions"][0].update(value=request, action_id="approve")
    assert company.sandbox.deliver("interactive", press)["outcome"] == "acked"
    company.expect("answer can't be done")
    until(lambda: company.events(actor=user, request=request) or company.events(actor=user))
    company.quiet()
    set_group(company, "db-leads", everybody)
    assert decisions(company, request) == [] and company.request(who, "shop-admin")[1] == "pending"


@pytest.mark.parametrize("value", ["", "r0", "' OR 1=1 --", "g" * 2000, "\u202er\x07", "{}"])
def test_a_forged_value_is_answered_and_does_nothing(company: Company, value: str) -> None:
    who = company.newcomer()
    request = company.ask(who, "shop-admin")
    card = company.card(request)
    for label in ("Approve", "Deny", "Edit"):
        assert "does not exist" in answer_to(company.ben, card, label, value)
    assert company.request(who, "shop-admin") == (request, "pending")
    listed = company.access(who, "list").messages[-1]
    assert who.click(listed, "Cancel", value=value).ok
    company.quiet()
    assert company.request(who, "shop-admin") == (request, "pending")


# --- leavers


def test_a_person_who_left_while_the_bot_was_down_loses_everything_after_its_start(
    own_company: Company,
) -> None:
    company = own_company
    grant = company.hold(company.ana, "shop-admin")
    token = company.token(company.ana, "shop-admin")
    pending = company.ask(company.ana, "reports-read")
    assert company.bot.stop() == 0
    company.sandbox.admin.deactivate(company.ana.id)
    company.start()
    until(lambda: company.check(token) == 401, 25)
    until(lambda: company.grant(company.ana, "shop-admin") == (grant, "ended"))
    assert company.rows("SELECT end_reason FROM grants WHERE id = ?", grant) == [("offboarded",)]
    assert company.rows("SELECT state FROM requests WHERE id = ?", pending) == [("withdrawn",)]
    assert labels(company.wait_card(pending, "Withdrawn by")) == []


@pytest.mark.slow
def test_a_person_who_is_deactivated_in_slack_loses_everything_within_a_minute(
    company: Company,
) -> None:
    holder, waiter, leaver = company.newcomer(), company.newcomer(), company.ben
    grant = company.hold(holder, "shop-admin")
    token = company.token(holder, "shop-admin")
    pending = company.ask(waiter, "shop-admin")
    card = company.card(pending)
    press = forged(company, leaver.id)
    for who in (holder, waiter, leaver):
        company.sandbox.admin.deactivate(who.id)
    try:
        press["actions"][0].update(value=pending, action_id="approve")
        press["container"] = {
            "type": "message",
            "channel_id": card["channel"],
            "message_ts": card["ts"],
        }
        company.expect("answer can't be done")
        company.sandbox.deliver("interactive", press)
        until(lambda: "request:action:refused" in company.events(actor=leaver.id, request=pending))
        until(lambda: company.check(token) == 401, 60)
        until(lambda: company.request(waiter, "shop-admin")[1] == "withdrawn", 60)
        until(lambda: company.grant(holder, "shop-admin") == (grant, "ended"))
        assert decisions(company, pending) == []
    finally:
        company.sandbox.admin.reactivate(leaver.id)
