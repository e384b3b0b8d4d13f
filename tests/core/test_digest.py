"""The numbers of the weekly digest, from made-up facts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.core.digest import Digest, Facts, Outcome, Times, digest, times
from bot.core.emergency import EmergencyReview
from bot.core.feedback import Feedback
from bot.core.model import EndReason, Grant, GrantState, Request, RequestState, Urgency
from bot.core.usage import GrantUsage
from bot.core.weekly import Period

DAY, HOUR = 86400, 3600
SINCE = 1_790_000_000
WEEK = Period(SINCE, SINCE + 7 * DAY)
UTC = ZoneInfo("UTC")


def asked(id: str = "r1", **changes: Any) -> Request:
    # Fmt: skip.
    request = Request(
        id,
        "U1",
        "shop",
        ("s",),
        ("a",),
        "f",
        HOUR,
        "because",
        "",
        None,
        RequestState.APPROVED,
        SINCE + 100,
        SINCE + DAY,
        decided_at=SINCE + 160,
        decided_by="U2",
    )
    return replace(request, **changes)


def grant(id: str = "g1", **changes: Any) -> Grant:
    # Fmt: skip.
    made = Grant(
        id,
        "r1",
        "U1",
        "shop",
        ("s",),
        ("a",),
        GrantState.ENDED,
        HOUR,
        SINCE + 200,
        SINCE + 200 + HOUR,
        SINCE + DAY,
        started_at=SINCE + 200,
        end_reason=EndReason.EXPIRED,
        ended_at=SINCE + 200 + HOUR,
    )
    return replace(made, **changes)


def of(**facts: Any) -> Digest:
    return digest(WEEK, Facts(**facts), UTC)


ACTIVE = {"state": GrantState.ACTIVE, "end_reason": None, "ended_at": None}
TIMES = {
    "started and ended in the week": ({}, (0, 1, 1)),
    "started before it": ({"started_at": SINCE - 1}, (0, 0, 1)),
    "started with its first second": ({"started_at": SINCE}, (0, 1, 1)),
    "ended with its last second": ({"ended_at": WEEK.until - 1}, (0, 1, 1)),
    "ended when it was over": ({"ended_at": WEEK.until}, (1, 1, 0)),
    "active": (ACTIVE, (1, 1, 0)),
    "failed to start": ({"state": GrantState.FAILED}, (0, 0, 0)),
}


@pytest.mark.parametrize(("changes", "numbers"), TIMES.values(), ids=TIMES)
def test_a_grant_counts_as_held_started_and_ended(
    changes: dict[str, Any], numbers: tuple[int, int, int]
) -> None:
    found = of(had=[grant(**changes)])
    assert (len(found.held), len(found.started), len(found.ended)) == numbers


def test_each_day_has_its_starts_and_ends() -> None:
    late = {"started_at": SINCE + DAY, "ended_at": SINCE + 2 * DAY}
    found = of(had=[grant(), grant("g2", **late)])
    assert [(a, b) for _, a, b in found.by_day][:4] == [(1, 1), (1, 0), (0, 1), (0, 0)]
    assert found.ends == {EndReason.EXPIRED: 2}


RULED = "rule:on call"
OUTCOMES = {
    "by people": (asked(decided_by="U2,U3"), Outcome.BY_PEOPLE),
    "by an operator": (asked(decided_by="os:eve"), Outcome.BY_PEOPLE),
    "by a rule": (asked(decided_by=RULED), Outcome.BY_RULE),
    "in advance": (asked("advance"), Outcome.IN_ADVANCE),
    "by an onboarding": (asked(decided_by="rule:onboarding:backend"), Outcome.BY_PLAN),
    "denied": (asked(state=RequestState.DENIED), Outcome.DENIED),
    "lapsed": (asked(state=RequestState.LAPSED), Outcome.LAPSED),
    "withdrawn": (asked(state=RequestState.WITHDRAWN), Outcome.WITHDRAWN),
    "an emergency": (asked(urgency=Urgency.EMERGENCY), None),
}


@pytest.mark.parametrize(("request_", "outcome"), OUTCOMES.values(), ids=OUTCOMES)
def test_a_request_has_one_outcome(request_: Request, outcome: Outcome | None) -> None:
    found = of(settled=[request_], in_advance={"advance"})
    assert found.outcomes == ({outcome: 1} if outcome else {})


def test_shares_are_of_what_was_decided() -> None:
    every = [request for request, _ in OUTCOMES.values()]
    found = of(settled=every, in_advance={"advance"})
    assert found.decided == 5
    assert found.share(Outcome.DENIED) == 20
    assert found.share(Outcome.BY_RULE, Outcome.IN_ADVANCE) == 40
    assert of().share(Outcome.DENIED) is None


def test_only_people_take_time_to_decide() -> None:
    slow = asked("r2", decided_at=SINCE + 100 + HOUR, state=RequestState.DENIED)
    by_rule = asked("r3", decided_by=RULED)
    lapsed = asked("r4", state=RequestState.LAPSED, decided_at=SINCE + DAY)
    found = of(settled=[asked(), slow, by_rule, lapsed])
    assert found.to_decision == Times(2, 60, HOUR)


def test_the_time_to_access_leaves_out_later_starts_and_emergencies() -> None:
    had = [
        grant(),
        grant("g2", request="later"),
        grant("g3", urgency=Urgency.EMERGENCY),
        grant("g4", started_at=SINCE - 5),
    ]
    every = {"r1": asked(), "later": asked("later", start_at=SINCE + DAY)}
    assert of(had=had, asked=every).to_access == Times(1, 100, 100)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([], None),
        ([7], Times(1, 7, 7)),
        ([3, 1, 2], Times(3, 2, 3)),
        (list(range(1, 11)), Times(10, 5, 9)),
        (list(range(1, 12)), Times(11, 6, 10)),
    ],
    ids=["none", "one", "three", "ten", "eleven"],
)
def test_the_middle_and_the_ninth_of_ten(seconds: list[int], expected: Times | None) -> None:
    assert times(seconds) == expected


USE = {
    "used": (GrantUsage(3), None, (0, 1)),
    "never used": (GrantUsage(), None, (1, 1)),
    "not reported": (GrantUsage(silent=("s",)), None, (0, 0)),
    "only looked at": (GrantUsage(glimpsed=True), None, (0, 0)),
    "not reported, but the holder used it": (GrantUsage(silent=("s",)), Feedback.USED, (0, 1)),
    "not reported and not needed": (GrantUsage(silent=("s",)), Feedback.UNNEEDED, (1, 1)),
    "used, whatever the holder says": (GrantUsage(1), Feedback.UNNEEDED, (0, 1)),
    "not seen, but needed for longer": (GrantUsage(glimpsed=True), Feedback.MORE, (0, 1)),
}


@pytest.mark.parametrize(("use", "answer", "expected"), USE.values(), ids=USE)
def test_what_was_never_used_is_what_is_known_not_to_be(
    use: GrantUsage, answer: Feedback | None, expected: tuple[int, int]
) -> None:
    feedback = {"g1": answer} if answer else {}
    found = of(had=[grant()], used={"g1": use}, feedback=feedback)
    assert (len(found.unused), found.use_known) == expected
    assert found.feedback == ({answer: 1} if answer else {})


def test_the_longest_access_counts_from_its_start_to_the_end_of_the_week() -> None:
    old = grant("old", started_at=SINCE - DAY, **ACTIVE)
    long = grant("long", ended_at=SINCE + 200 + 3 * DAY)
    found = of(had=[grant("g1"), grant("g2"), old, long])
    assert [(each.grant.id, each.seconds) for each in found.longest] == [
        ("old", 8 * DAY),
        ("long", 3 * DAY),
        ("g1", HOUR),
    ]


def test_emergencies_are_in_the_order_of_their_starts() -> None:
    def review(id: str, at: int) -> EmergencyReview:
        return EmergencyReview(id, "g", "U1", "shop", Urgency.EMERGENCY, "U1", True, at, None)

    found = of(emergencies=[review("b", SINCE + 2), review("a", SINCE + 1)])
    assert [each.request for each in found.emergencies] == ["a", "b"]
