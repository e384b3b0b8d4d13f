"""One press at the end of a grant: whether its holder needed it."""

from __future__ import annotations

import json

import pytest

from bot.core.feedback import Feedback
from bot.core.model import EndReason, Grant
from bot.operations._end_grant import request_end
from bot.operations._unit_of_work import unit
from bot.operations.grants.describe_grant import describe_grant
from bot.operations.grants.record_results import record_ended
from bot.operations.messages.direct_notes import record_notes
from bot.operations.process.forget_old import forget_old
from bot.sandbox.blocks import validate_message
from bot.slack.ids import Action
from bot.slack.views import direct_messages
from storage.direct_notes import DirectNote
from tests.factories import ANA, BEN
from tests.slack.slack_driver import SlackDriver
from tests.slack.views_samples import ENDED, NOW, a_grant_view, labels, words

D = "D0ANA"
BUTTONS = ["Used it", "Did not need it", "Needed more"]


def ended(driver: SlackDriver) -> Grant:
    """A grant whose end Ana has read."""
    made = driver.made
    grant = made.a_grant()
    with unit(made.world) as u:
        request_end(u, [grant], EndReason.EXPIRED, "system")
    for system in grant.systems:
        record_ended(made.world, grant.id, system)
    record_notes(made.world, [DirectNote(D, "1.1", 0, grant.id, "", "ended", made.clock.at, True)])
    made.forget_work()
    return made.grant(grant.id)


def answers(driver: SlackDriver) -> list[tuple[str, str]]:
    found = driver.made.log("grant:feedback:given", "actor, detail")
    return [(actor, json.loads(detail)["answer"]) for actor, detail in found]


def shown(driver: SlackDriver, grant: Grant) -> dict[str, object]:
    view = describe_grant(driver.made.world, grant.id)
    assert view is not None
    return direct_messages.grant_note("ended", view, driver.made.clock.at)


@pytest.mark.parametrize(
    ("action", "answer", "label"),
    [
        (Action.FEEDBACK_USED, Feedback.USED, "Used it"),
        (Action.FEEDBACK_UNNEEDED, Feedback.UNNEEDED, "Did not need it"),
        (Action.FEEDBACK_MORE, Feedback.MORE, "Needed more"),
    ],
    ids=BUTTONS,
)
def test_the_message_about_the_end_asks_and_then_shows_the_answer(
    driver: SlackDriver, action: Action, answer: Feedback, label: str
) -> None:
    grant = ended(driver)
    assert labels(shown(driver, grant)) == BUTTONS
    driver.press(action, grant.id)
    assert answers(driver) == [(ANA, answer)]
    assert driver.work("update_direct") == [{"channel": D, "ts": "1.1"}]
    assert labels(shown(driver, grant)) == []
    assert f"You answered: {label}." in words(shown(driver, grant))


def test_the_first_answer_counts(driver: SlackDriver) -> None:
    grant = ended(driver)
    driver.press(Action.FEEDBACK_UNNEEDED, grant.id)
    driver.press(Action.FEEDBACK_MORE, grant.id)
    assert answers(driver) == [(ANA, "unneeded")]
    assert "Your answer is on record: Did not need it." in str(driver.work("answer"))


def test_only_the_holder_answers_and_only_after_the_end(driver: SlackDriver) -> None:
    grant = ended(driver)
    driver.press(Action.FEEDBACK_USED, grant.id, BEN)
    driver.press(Action.FEEDBACK_USED, driver.made.a_grant("reports-read").id)
    driver.press(Action.FEEDBACK_USED, "g0unknown")
    assert answers(driver) == []
    assert len(driver.refusals()) == 3


@pytest.mark.parametrize(
    "change",
    [{"started_at": None}, {"end_reason": EndReason.OFFBOARDED}],
    ids=["never started", "left"],
)
def test_nobody_is_asked_who_never_had_it_or_has_left(change: dict[str, object]) -> None:
    view = a_grant_view(**{**ENDED, **change})
    assert labels(direct_messages.grant_note("ended", view, NOW)) == []


def test_the_message_can_be_answered_long_after_the_end(driver: SlackDriver) -> None:
    grant, made = ended(driver), driver.made
    made.clock.at += 30 * 86400
    forget_old(made.world)
    driver.press(Action.FEEDBACK_USED, grant.id)
    assert driver.work("update_direct") == [{"channel": D, "ts": "1.1"}]


def test_slack_accepts_the_question() -> None:
    assert validate_message(direct_messages.grant_note("ended", a_grant_view(**ENDED), NOW)) == []
