"""`/access audit ID` and `access-bot audit list ID` tell one request or grant as a story."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.core.audit import Event, Record
from bot.core.record_lines import lines_of, sentence
from bot.operations.audit.read_story import RequestStory, read_story
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.renew_grant import renew_grant
from bot.operations.requests.request_access import Submitted
from bot.slack.views import request_story
from bot.slack.views._fit import MESSAGE_CHARACTERS, weight
from tests.factories import ANA, BEN, LEA, Made, a_person
from tests.slack.slack_driver import SlackDriver, words


def _told(made: Made, id: str) -> list[str]:
    found = read_story(made.world, LEA, id)
    assert isinstance(found, RequestStory), found
    return [sentence(line, lambda who: who) for line in lines_of(found.records)]


DETAILS = {
    "source_address": "192.0.2.7",
    "answer": "used",
    "campaign": "c1",
    "decision": "keep",
    "severity": "info",
    "sentence": "The first request for bastion in 90 days.",
    "rule": "first_time",
    "ends_at": 1790003600,
    "duration": 3600,
    "why": "expired",
}


@pytest.mark.parametrize(
    "event",
    [
        *(each for each in Event if each.startswith(("request:", "grant:", "emergency:", "flag:"))),
        *(Event.ITEM_DECIDED, Event.EXCESS_FOUND, Event.REMOVAL_ASKED, Event.ACCESS_REMOVED),
    ],
)
def test_every_event_of_a_request_or_grant_has_a_sentence(event: Event) -> None:
    about = ("r1", "g1", "", json.dumps(DETAILS), "", "")
    record = Record(1, 1790000000, event, ANA, ANA, "bastion", "bastion", *about)
    (line,) = lines_of([record])
    assert event not in line.text


def _ended(made: Made) -> tuple[str, str]:
    grant = made.a_grant()
    made.clock.at = grant.ends_at
    expire_due(made.world)
    made.close_gates(made.grant(grant.id))
    made.know(replace(a_person(LEA), checked_at=made.clock.at))
    return grant.request, grant.id


def test_a_story_goes_from_the_request_to_the_confirmed_end(driver: SlackDriver) -> None:
    request, grant = _ended(driver.made)
    lines = _told(driver.made, grant)
    assert lines == _told(driver.made, request)
    assert [line.partition(" ")[2].split(" on ")[0] for line in lines[:2]] == [
        "asked for shop-admin",
        "approved it for 1h, as an approver of shop-admin",
    ]
    assert lines[0].startswith(ANA) and lines[0].endswith("for 1h: “because”")
    assert f"with 1 approval, for 1h ({BEN})" in lines[2]
    assert lines[3].startswith("system read back shop-admin: the access is there, until ")
    assert "began the end (expired)" in lines[4]
    assert lines[5] == "system read back shop-admin: the access has ended there"


def test_a_lead_reads_it_in_slack_with_the_criteria_as_they_were(driver: SlackDriver) -> None:
    request, grant = _ended(driver.made)
    for id in (request, grant):
        shown = words(driver.command(f"audit {id}", user=LEA))
        assert "met: may ask for this role" in shown and f"access-bot audit list {grant}" in shown
    assert driver.made.events("audit:log:read") == 2


@pytest.mark.parametrize(
    ("person", "id", "said"),
    [(ANA, "g0000000000z", "Only leads"), (LEA, "g0000000000z", "No request or grant has the id")],
)
def test_it_is_refused_to_others_and_for_unknown_ids(
    driver: SlackDriver, person: str, id: str, said: str
) -> None:
    assert said in words(driver.command(f"audit {id}", user=person))
    assert len(driver.refusals()) == 1


def test_a_long_story_fits_and_names_the_rest(driver: SlackDriver) -> None:
    _, grant = _ended(driver.made)
    found = read_story(driver.made.world, LEA, grant)
    assert isinstance(found, RequestStory)
    many = RequestStory(found.request, grant, found.records * 40, found.names)
    shown = request_story.render(many)
    assert weight(shown["blocks"]) <= MESSAGE_CHARACTERS
    assert "more records: " in words(shown)


def test_a_renewal_leads_to_the_story_of_its_grant(driver: SlackDriver) -> None:
    made = driver.made
    grant = made.a_grant("reports-read")
    made.clock.at += 600
    renewal = renew_grant(made.world, grant.id, ANA, duration=3600, reason="later")
    assert isinstance(renewal, Submitted), renewal
    made.try_to_approve(renewal.request)
    made.know(replace(a_person(LEA), checked_at=made.clock.at))
    lines = _told(made, renewal.request.id)
    assert lines == _told(made, grant.id)
    assert sum("asked to renew reports-read" in line for line in lines) == 1
    assert any("renewed it until" in line for line in lines)
