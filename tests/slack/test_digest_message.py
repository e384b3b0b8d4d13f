"""The weekly digest as Slack shows it: words, charts and a table that say the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.core.digest import Facts, digest
from bot.core.emergency import EmergencyReview
from bot.core.feedback import Feedback
from bot.core.model import Grant, GrantState, RequestState, Urgency
from bot.core.usage import GrantUsage
from bot.core.weekly import Period
from bot.operations.digest.describe_digest import DigestView
from bot.operations.flags.count_answers import RuleCount
from bot.sandbox.blocks import validate_message
from bot.slack.views import digest_message
from tests.slack.views_samples import ENDED, HOSTILE, NASTY, a_grant, a_request, interpreted, words

WEEK = Period(1_795_420_800, 1_795_420_800 + 7 * 86400)  # from Monday 23 Nov 2026 08:00 UTC
START = WEEK.since + 3600


FLAGS = (
    RuleCount("nagging", raised=3, repeated=4, expected=2, investigated=1, revoked=1),
    RuleCount("new_network", raised=2, unanswered=2),
)


def a_view(name: str = "Ana Silva", flags: Sequence[RuleCount] = (), **facts: Any) -> DigestView:
    found = digest(WEEK, Facts(**facts), ZoneInfo("UTC"))
    return DigestView(found, {"U0ANA": name, "U0BEN": "Ben Ode"}, flags)


def ended(id: str, **changes: Any) -> Grant:
    until = {"started_at": START, "ended_at": START + 5400, "ends_at": START + 5400}
    return a_grant(**{**ENDED, **until, "id": id, **changes})


def a_week() -> dict[str, Any]:
    held = a_grant(id="g9", person="U0BEN", started_at=START, ends_at=WEEK.until + 3600)
    asked = a_request(created_at=START - 900)
    decided = {"decided_at": START - 600, "decided_by": "U0BEN"}
    given = replace(asked, state=RequestState.APPROVED, **decided)
    # Fmt: skip.
    review = EmergencyReview(
        "r8",
        "g8",
        "U0ANA",
        "orders-read",
        Urgency.EMERGENCY,
        "U0ANA",
        True,
        START,
        None,
        START + 60,
        "U0LEA",
        "It was right.",
    )
    return {
        "had": [held, ended("g1"), ended("g2")],
        "settled": [
            given,
            replace(given, id="r2", decided_by="rule:on call"),
            replace(given, id="r3", state=RequestState.DENIED),
            replace(given, id="r4", state=RequestState.LAPSED),
        ],
        "asked": {"r1": given},
        "used": {"g1": GrantUsage(2), "g2": GrantUsage()},
        "feedback": {"g1": Feedback.MORE},
        "emergencies": [review, replace(review, request="r7", signed_at=None, conclusion="")],
        "refused": 2,
    }


SENTENCES = [
    "Access: 1 grant held by 1 person, 3 started, 2 ended (2 expired).",
    "Requests: 4 settled: 1 approved by people, 1 approved by a rule, 1 denied, 1 lapsed."
    " 33 % of the decisions needed no person, 33 % were denials. Denial rules refused 2 more.",
    "Time to a decision: median 5m, nine of ten within 5m (2 decisions by people).",
    "Time to access: median 15m, nine of ten within 15m (3 starts).",
    "Use: 1 of 2 ended grants had no use. Holders answered: 1 “needed more”.",
    "Longest access: Ben Ode orders-read 6d 23h, Ana Silva orders-read 1h 30m, Ana Silva"
    " orders-read 1h 30m.",
    "Emergencies: 2 started, 1 signed, 1 review open.",
]


def blocks(message: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [block for block in message["blocks"] if block["type"] == kind]


def test_every_number_is_in_words_and_in_the_text_for_screen_readers() -> None:
    message = digest_message.render(a_view(**a_week()))
    assert validate_message(message) == []
    shown = words(message)
    for sentence in SENTENCES:
        assert sentence in shown
        assert sentence in message["text"]
    assert "Held now: Ben Ode orders-read until 30 Nov 2026 09:00 UTC." in message["text"]
    assert "Never used: Ana Silva orders-read." in message["text"]
    assert "It was right." in shown and "The review is open." in shown


def test_the_charts_and_the_table_have_the_same_numbers() -> None:
    message = digest_message.render(a_view(**a_week()))
    requests, days = (block["chart"] for block in blocks(message, "data_visualization"))
    assert {each["label"]: each["value"] for each in requests["segments"]} == {
        "Approved by people": 1,
        "Approved by a rule": 1,
        "Denied": 1,
        "Not decided": 1,
    }
    assert days["axis_config"]["categories"][0] == "Mon 23"
    assert [sum(point["value"] for point in each["data"]) for each in days["series"]] == [3, 2]
    (table,) = blocks(message, "data_table")
    assert [cell.get("text") for cell in table["rows"][1]][:2] == ["Ben Ode", "orders-read"]


def test_flags_are_counted_by_rule_and_answer() -> None:
    message = digest_message.render(a_view(flags=FLAGS))
    assert validate_message(message) == []
    assert "Flags: 5 raised by 2 rules, 2 without an answer." in words(message)
    (table,) = blocks(message, "data_table")
    assert [[cell["text"] for cell in row] for row in table["rows"]] == [
        ["Rule", "Raised", "Expected", "Revoked", "No answer", "Investigated", "Expected share"],
        ["nagging", "3", "2", "1", "0", "1", "67 %"],
        ["new_network", "2", "0", "0", "2", "0", "–"],
    ]
    expected = "raised 3, expected 2, revoked 1, no answer 0, investigated 1, expected share 67 %."
    assert f"Flag nagging: {expected}" in message["text"]


def test_a_week_in_which_nothing_happened_fits_in_a_few_lines() -> None:
    message = digest_message.render(a_view())
    assert validate_message(message) == []
    assert "0 grants held by 0 people, 0 started, 0 ended." in words(message)
    assert "Emergencies: none." in message["text"] and "Flags: none." in message["text"]
    assert not blocks(message, "data_visualization") and not blocks(message, "data_table")


@pytest.mark.parametrize("typed", NASTY.values(), ids=NASTY)
def test_a_huge_week_with_hostile_words_is_within_slacks_limits_and_pings_nobody(
    typed: str,
) -> None:
    week = a_week()
    open_ = {"state": GrantState.ACTIVE, "ended_at": None, "role": "r" * 63}
    week["had"] = [ended(f"g{n}", **(open_ if n % 2 else {})) for n in range(600)]
    week["used"] = {f"g{n}": GrantUsage() for n in range(600)}
    week["emergencies"] = [replace(each, conclusion=typed) for each in week["emergencies"] * 20]
    flags = [RuleCount(f"rule_{n}", raised=9) for n in range(18)]
    message = digest_message.render(a_view(typed, flags, **week))
    assert validate_message(message) == []
    assert '"type": "user"' not in json.dumps(message)
    assert "<" not in interpreted(message)
    assert "more grants" in words(message) and "more emergencies" in words(message)


def test_a_hundred_holders_are_in_the_table_and_the_others_are_counted() -> None:
    open_ = {"state": GrantState.ACTIVE, "ended_at": None}
    message = digest_message.render(a_view(had=[ended(f"g{n}", **open_) for n in range(150)]))
    assert validate_message(message) == []
    (table,) = blocks(message, "data_table")
    assert len(table["rows"]) == 1 + 100
    assert "and 50 more grants" in words(message)


def test_hostile_names_stay_what_they_are() -> None:
    assert "@U0BOSS" not in words(digest_message.render(a_view("Ana", **a_week())))
    message = digest_message.render(a_view(HOSTILE, **a_week()))
    assert "&lt;!channel&gt;" in message["text"]
