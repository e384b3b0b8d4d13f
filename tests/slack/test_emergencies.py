"""Break-glass in Slack: the command, the form, the message with its review, and App Home."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.model import RequestState
from bot.operations.requests.approve_request import approve_request
from bot.operations.requests.describe_request import RequestCard, describe_request
from bot.slack.ids import Action, Field, Modal
from bot.slack.views import emergency_message
from bot.slack.views.emergency_modal import IS_DRILL
from tests.factories import ANA, BEN, CARA, LEA, Made, a_person
from tests.slack import views_samples as samples
from tests.slack.slack_driver import SlackDriver, a_command, a_home, a_submission, words

HOUR = 3600
TABLE = 'max_duration = "4h"\n[roles.{}.emergency]\nmembers = ["@sre"]\nmax_duration = "1h"'


@pytest.fixture(autouse=True)
def _tables(request: pytest.FixtureRequest) -> None:
    name = "stored" if "stored" in request.fixturenames else "driver"
    made = request.getfixturevalue(name).made
    made.set_policy(shop_admin=TABLE.format("shop-admin"), shop_deploy=TABLE.format("shop-deploy"))
    made.forget_work()


def start(driver: SlackDriver, user: str = CARA, role: str = "shop-admin") -> str:
    """Calls an emergency and gives the id of its request."""
    driver.command(f"emergency {role} the till is down", user)
    ((request,),) = driver.rows(
        "SELECT id FROM requests WHERE requester = ? AND role = ? AND urgency <> ''", user, role
    )
    return str(request)


def card(made: Made, request: str) -> RequestCard:
    found = describe_request(made.world, request)
    assert found is not None
    return found


def message(made: Made, request: str) -> dict[str, Any]:
    said = emergency_message.render(card(made, request), made.clock.at, ("<@U0LEA>",))
    assert samples.problems(said) == []
    return said


# --- the command


def test_a_member_has_it_with_one_line(stored: SlackDriver) -> None:
    answer = stored.command("emergency shop-admin 30m the till is down", CARA)
    said = words(answer)
    assert "Starting now" in said and "Emergency: Shop admin" in said and "30m" in said
    assert "All leads, the approvers and the security channel are being notified." in said
    assert stored.rows("SELECT person, state, duration, urgency FROM grants") == [
        (CARA, "starting", 1800, "emergency")
    ]
    assert stored.work("start_grant") != []


def test_delivered_twice_it_is_one(stored: SlackDriver) -> None:
    body = a_command("emergency shop-admin the till is down", CARA)
    for _ in range(3):
        assert stored.send(body).status == 200
    assert stored.made.count("grants") == stored.made.count("emergencies") == 1


def test_without_a_duration_it_is_as_long_as_it_may_be(driver: SlackDriver) -> None:
    start(driver)
    assert driver.rows("SELECT duration FROM grants") == [(HOUR,)]


@pytest.mark.parametrize(
    ("typed", "user", "said"),
    [
        ("emergency shop-admin down", ANA, "Only @sre can take shop-admin in an emergency"),
        ("emergency shop-admin 2h down", CARA, "at most 1h in an emergency"),
        ("emergency shop-admin", CARA, "Say why you need it"),
        ("emergency shop-admin 30m", CARA, "Say why you need it"),
        ("emergency shop-admim down", CARA, "Did you mean shop-admin?"),
        ("emergency reports-read down", CARA, "reports-read has no emergency access"),
        ("emergency shop-admin 30 down", CARA, "/access emergency shop-admin 30m down"),
    ],
)
def test_a_refusal_says_why_and_what_would_be_accepted(
    driver: SlackDriver, typed: str, user: str, said: str
) -> None:
    assert said in words(driver.command(typed, user))
    assert driver.made.count("grants") == 0
    assert [(actor, action) for actor, action, _ in driver.refusals()] == [(user, "emergency")]


def test_somebody_whom_slack_did_not_confirm_lately_is_looked_up_first(driver: SlackDriver) -> None:
    driver.made.clock.at += 61
    assert "I am asking Slack who you are" in words(
        driver.command("emergency shop-admin down", CARA)
    )
    (asked,) = driver.work("ask")
    assert asked["emergency"] is True and asked["until"] == driver.made.clock.at + 60


def test_the_next_one_says_that_it_waits(driver: SlackDriver) -> None:
    start(driver)
    said = words(driver.command("emergency shop-deploy down too", CARA))
    assert "Not started yet" in said and "presses Approve" in said


def test_called_again_it_says_what_is_held(driver: SlackDriver) -> None:
    start(driver)
    assert "You have shop-admin already" in words(driver.command("emergency shop-admin x", CARA))


def test_what_is_held_twice_is_given_back_one_after_the_other(driver: SlackDriver) -> None:
    made = driver.made
    start(driver)
    first = made.start(made.grant(driver.rows("SELECT id FROM grants")[0][0]))
    driver.command("request shop-admin 2h still down", CARA)
    asked = driver.rows("SELECT id FROM requests WHERE state = 'pending'")[0][0]
    approve_request(made.world, asked, a_person(BEN))
    second = made.start(made.grant(driver.rows("SELECT id FROM grants WHERE urgency = ''")[0][0]))
    made.clock.at += 30
    assert "Renewed" in words(driver.command("renew shop-admin", CARA))
    assert "shop-admin is closed" in words(driver.command("done shop-admin", CARA))
    assert [made.grant(each.id).state for each in (first, second)] == ["ending", "active"]


# --- the form


def test_alone_it_opens_the_form_with_the_roles_of_the_member(driver: SlackDriver) -> None:
    assert driver.command("emergency", CARA) == {}
    view = driver.views.last
    assert view["callback_id"] == Modal.EMERGENCY
    assert "This is a drill" in words(view) and "Access starts at once" in words(view)
    found = driver.options("", CARA, action=Action.CHOOSE_EMERGENCY_ROLE)
    assert [each["value"] for each in found] == ["shop-admin", "shop-deploy"]
    assert driver.options("", ANA, action=Action.CHOOSE_EMERGENCY_ROLE) == []


def test_who_may_take_nothing_is_told_so(driver: SlackDriver) -> None:
    driver.command("emergency", ANA)
    assert "There is no role that you can take" in words(driver.views.last)


def test_the_chosen_role_says_how_long(driver: SlackDriver) -> None:
    view = {"id": "V1", "type": "modal", "hash": "h1", "blocks": [], "state": {"values": {}}}
    driver.press(Action.CHOOSE_EMERGENCY_ROLE, "shop-deploy", CARA, view=view)
    assert "at most 1h" in words(driver.views.last)


@pytest.mark.parametrize(("ticked", "urgency"), [([], "emergency"), ([IS_DRILL], "drill")])
def test_the_form_starts_it_or_a_drill_of_it(
    stored: SlackDriver, ticked: list[str], urgency: str
) -> None:
    values = {
        Field.ROLE: "shop-admin",
        Field.DURATION: "20m",
        Field.REASON: "down",
        Field.DRILL: ticked,
    }
    body = a_submission(Modal.EMERGENCY, values, CARA)
    said = words(stored.submitted(body))
    assert f"{urgency.title()}: Shop admin" in said
    stored.submitted(body)
    assert stored.rows("SELECT urgency, duration FROM grants") == [(urgency, 1200)]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (Field.DURATION, "2h", "at most 1h"),
        (Field.DURATION, "30", "30"),
        (Field.REASON, " ", "Say why"),
        (Field.ROLE, "reports-read", "no emergency access"),
    ],
)
def test_the_form_says_at_the_input_what_is_wrong(
    driver: SlackDriver, field: str, value: str, said: str
) -> None:
    values = {Field.ROLE: "shop-admin", Field.DURATION: "", Field.REASON: "down", field: value}
    reply = driver.submit(Modal.EMERGENCY, values, CARA)
    assert said in reply["errors"][field]
    assert driver.made.count("grants") == 0


# --- the message


def test_the_message_says_who_took_what_and_that_a_review_is_open(driver: SlackDriver) -> None:
    said = message(driver.made, start(driver))
    text = samples.words(said)
    assert "took Emergency: Shop admin, read and refund (shop-admin) for 1h" in text
    assert "without approval" in text and "the till is down" in text
    assert "Review open: a lead has to sign it, not @U0CARA." in text
    assert samples.labels(said) == ["Sign review", "End now"]
    assert "<@U0LEA> please look at this, and sign its review." in text


def test_a_drill_says_so(driver: SlackDriver) -> None:
    values = {Field.ROLE: "shop-admin", Field.REASON: "exercise", Field.DRILL: [IS_DRILL]}
    driver.submit(Modal.EMERGENCY, values, CARA)
    request = driver.rows("SELECT id FROM requests")[0][0]
    text = samples.words(message(driver.made, request))
    assert "took Drill: Shop admin" in text and "This is a drill: the access is real" in text


def test_without_another_lead_the_message_says_that_nobody_can_sign(driver: SlackDriver) -> None:
    driver.made.set_groups(platform_leads=[CARA])
    assert "There is no other lead" in samples.words(message(driver.made, start(driver)))


def test_a_lead_ends_the_access_and_signs_the_review(stored: SlackDriver) -> None:
    request = start(stored)
    made = stored.made
    made.start(made.grant(stored.rows("SELECT id FROM grants")[0][0]))
    body = stored.press(Action.END_EMERGENCY, request, LEA)
    stored.send(body)
    assert stored.rows("SELECT state, end_reason FROM grants") == [("ending", "emergency_closed")]
    assert samples.labels(message(made, request)) == ["Sign review"]
    stored.press(Action.SIGN_REVIEW, request, LEA)
    view = stored.views.last
    assert view["callback_id"] == Modal.SIGN_REVIEW and view["private_metadata"] == request
    reply = stored.submit(
        Modal.SIGN_REVIEW, {Field.CONCLUSION: "It was right."}, LEA, metadata=request
    )
    assert reply == {}
    said = message(made, request)
    assert samples.labels(said) == []
    assert "Review signed by @U0LEA" in samples.words(said) and "It was right." in str(said)


def test_signing_while_it_is_active_says_that_it_ends(driver: SlackDriver) -> None:
    request = start(driver)
    driver.made.start(driver.made.grant(driver.rows("SELECT id FROM grants")[0][0]))
    driver.press(Action.SIGN_REVIEW, request, LEA)
    assert "Signing ends the access at once." in words(driver.views.last)


@pytest.mark.parametrize("user", [CARA, BEN, ANA])
def test_nobody_but_a_lead_opens_the_review_or_ends_it(driver: SlackDriver, user: str) -> None:
    request = start(driver)
    driver.press(Action.SIGN_REVIEW, request, user)
    driver.press(Action.END_EMERGENCY, request, user)
    assert driver.views.calls == []
    assert [why["why"][:10] for why in driver.work("answer")] == ["Only leads"] * 2


def test_the_user_who_is_a_lead_does_not_sign(driver: SlackDriver) -> None:
    driver.made.set_groups(platform_leads=[LEA, CARA])
    request = start(driver)
    driver.press(Action.SIGN_REVIEW, request, CARA)
    reply = driver.submit(
        Modal.SIGN_REVIEW, {Field.CONCLUSION: "It was right."}, CARA, metadata=request
    )
    assert "your own emergency" in str(driver.work("answer")) + str(reply)
    assert driver.made.count("emergencies", "signed_at IS NULL") == 1


def test_a_forged_id_signs_and_ends_nothing(driver: SlackDriver) -> None:
    for request in ("r1", "", "x" * 200):
        driver.press(Action.END_EMERGENCY, request, LEA)
    reply = driver.submit(Modal.SIGN_REVIEW, {Field.CONCLUSION: "Fine."}, LEA, metadata="r1")
    assert "does not exist" in str(reply)


def test_the_message_of_one_that_waits_has_approve_and_deny(driver: SlackDriver) -> None:
    start(driver)
    said = message(driver.made, start(driver, role="shop-deploy"))
    assert "Emergency that waits for you." in samples.words(said)
    assert {"Approve", "Deny"} <= set(samples.labels(said))


def test_after_the_press_it_says_who_approved(driver: SlackDriver) -> None:
    start(driver)
    request = start(driver, role="shop-deploy")
    approve_request(driver.made.world, request, a_person(LEA))
    assert "with the approval of @U0LEA" in samples.words(message(driver.made, request))


# --- App Home


def home(driver: SlackDriver, user: str) -> dict[str, Any]:
    from bot.operations.people.describe_person import describe_home
    from bot.slack.views import home as view

    made = view.render(describe_home(driver.made.world, user), driver.made.clock.at)
    assert samples.problems(made) == []
    return made


def test_the_home_of_a_lead_begins_with_the_open_emergencies(driver: SlackDriver) -> None:
    request = start(driver)
    first = home(driver, LEA)["blocks"]
    assert first[0]["text"]["text"] == "Open emergencies (1)"
    assert "took Emergency: Shop admin" in samples.shown(first[1])
    assert "Open emergencies" not in words(home(driver, BEN))
    driver.press(Action.END_EMERGENCY, request, LEA, view=a_home())
    assert driver.work("publish_home")[-1]["person"] == LEA


def test_many_open_emergencies_leave_room_for_the_rest(driver: SlackDriver) -> None:
    people = [f"U0SRE{n:02}" for n in range(25)]
    driver.made.know(*map(a_person, people))
    driver.made.set_groups(sre=people)
    for person in people:
        start(driver, person)
    view = home(driver, LEA)
    assert "Open emergencies (25)" in words(view) and "and 22 more" in words(view)
    assert "Everything active (25)" in words(view)


def test_the_lead_who_took_it_is_told_that_another_signs(driver: SlackDriver) -> None:
    driver.made.set_groups(platform_leads=[LEA, CARA])
    start(driver)
    view = home(driver, CARA)
    assert "Another lead has to sign your review." in words(view)
    assert "Sign review" not in samples.labels(view)


def test_the_holder_sees_what_it_is(driver: SlackDriver) -> None:
    start(driver)
    assert "Emergency: Shop admin" in words(driver.command("list", CARA))
    assert driver.made.state("requests", driver.rows("SELECT id FROM requests")[0][0]) == (
        RequestState.APPROVED
    )


# --- the worst that can be typed


@pytest.mark.parametrize("text", samples.NASTY.values(), ids=samples.NASTY)
def test_nothing_that_was_typed_is_interpreted_or_breaks_the_message(
    driver: SlackDriver, text: str
) -> None:
    from dataclasses import replace

    request = start(driver)
    shown = card(driver.made, request)
    assert shown.emergency is not None
    shown = replace(
        shown,
        request=replace(shown.request, reason=text),
        requester=replace(shown.requester, name=text),
        emergency=replace(shown.emergency, signed_at=1, signed_by=LEA, conclusion=text),
    )
    said = emergency_message.render(shown, driver.made.clock.at)
    assert samples.problems(said) == []
    assert "<!channel>" not in samples.interpreted(said)
