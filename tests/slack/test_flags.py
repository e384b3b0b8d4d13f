"""Flags in Slack: the message and its buttons, the form, `/access flags`, Home and the card."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.flags.flag import Flag
from bot.operations.flags.describe_flags import FlagView, describe_flag
from bot.operations.flags.raise_flags import FlagRaiser
from bot.operations.people.describe_person import describe_home
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.withdraw_request import withdraw_request
from bot.slack.ids import Action, Field, Modal
from bot.slack.views import approval_message, flag_message, home, request_details
from tests.factories import ANA, BEN, LEA, a_person
from tests.slack import views_samples as samples
from tests.slack.slack_driver import SlackDriver, words

HOSTILE = "<!channel> *bold* <https://evil.example|click> &amp; `x`"


@pytest.fixture
def flagged(stored: SlackDriver) -> str:
    """A flag about Ana, who holds access; its id."""
    made = stored.made
    raiser = FlagRaiser(made.world)
    raiser.raise_new()
    made.a_grant()
    for _ in range(5):
        withdraw_request(made.world, made.a_request("reports-read").id, ANA)
    raiser.raise_new()
    made.know(replace(a_person(LEA), checked_at=made.clock.at))
    ((flag,),) = made.rows("SELECT id FROM flags WHERE rule = 'nagging'")
    return str(flag)


def view(driver: SlackDriver, flag: str) -> FlagView:
    found = describe_flag(driver.made.world, flag)
    assert found is not None
    return found


def message(driver: SlackDriver, flag: str) -> dict[str, Any]:
    said = flag_message.render(view(driver, flag))
    assert samples.problems(said) == []
    return said


def labels(said: dict[str, Any]) -> list[str]:
    return [
        each["text"]["text"]
        for block in said["blocks"]
        if block["type"] == "actions"
        for each in block["elements"]
    ]


def test_the_message_has_the_facts_the_last_grants_and_three_buttons(
    stored: SlackDriver, flagged: str
) -> None:
    said = message(stored, flagged)
    text = words(said)
    assert "5 requests were cancelled or denied in 10 minutes." in text
    assert "Their last grants:" in text and "shop-admin" in text
    assert labels(said) == ["Expected", "Investigate", "Revoke now"]


def test_expected_asks_why_and_takes_the_buttons_away(stored: SlackDriver, flagged: str) -> None:
    stored.press(Action.FLAG_EXPECTED, flagged, BEN)
    assert "Only leads" in str(stored.refusals())
    stored.press(Action.FLAG_EXPECTED, flagged, LEA)
    opened = stored.views.last
    assert (opened["callback_id"], opened["private_metadata"]) == (Modal.FLAG_EXPECTED, flagged)
    why = {Field.REASON: HOSTILE}
    assert stored.submit(Modal.FLAG_EXPECTED, why, LEA, metadata=flagged) == {}
    said = message(stored, flagged)
    assert labels(said) == [] and HOSTILE in words(said)
    assert stored.work("update_flag") == [{"flag": flagged}]


def test_investigate_names_the_person_and_mentions_the_leads(
    stored: SlackDriver, flagged: str
) -> None:
    stored.press(Action.FLAG_INVESTIGATE, flagged, LEA)
    assert labels(message(stored, flagged)) == ["Expected", "Revoke now"]
    note = flag_message.investigated(view(stored, flagged))
    assert samples.problems(note) == [] and "<!subteam^S0PLATFORM-LEADS>" in str(note)


def test_revoke_now_ends_what_the_person_holds(stored: SlackDriver, flagged: str) -> None:
    stored.press(Action.FLAG_REVOKE, flagged, LEA)
    assert stored.rows("SELECT state, end_by FROM grants") == [("ending", LEA)]
    assert "Access revoked" in words(message(stored, flagged))


def test_the_list_home_and_the_card_show_it(stored: SlackDriver, flagged: str) -> None:
    listed = stored.command("flags", LEA)
    assert "1 open flag" in words(listed) and "nagging" in words(listed)
    assert "Only leads" in words(stored.command("flags", BEN))
    made = stored.made
    shown = home.render(describe_home(made.world, LEA), made.clock.at)
    assert "Open flags" in words(shown) and "nagging" in words(shown)
    card = describe_request(made.world, made.a_request("reports-read").id)
    assert card is not None
    assert "1 open flag about this person" in words(
        approval_message.render(card, made.clock.at, ())
    )
    assert "nagging" in words(request_details.render(card, BEN))


def test_names_from_systems_do_nothing_in_a_message() -> None:
    about = ("unexplained_access", "high", "shop", "", "", "shop", "", "")
    flag = Flag("w1", "k1", *about, f"shop has access that no grant explains ({HOSTILE}).", 1, 1)
    said = flag_message.render(FlagView(flag))
    assert samples.problems(said) == [] and HOSTILE in words(said["blocks"])
    assert "<!channel>" not in said["text"] and labels(said) == ["Expected", "Investigate"]
