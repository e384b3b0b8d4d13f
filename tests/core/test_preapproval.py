"""Pre-approval: what people type, who may give one, when it is lost, and how many are enough."""

from dataclasses import replace
from datetime import datetime
from itertools import combinations
from zoneinfo import ZoneInfo

import pytest

from bot.core.durations import BadDuration
from bot.core.model import Directory
from bot.core.preapproval import PreApproval, Terms, enough, lost, may_give, read_terms
from bot.core.roles import Role
from bot.core.rules import Tier
from tests.builders import a_policy
from tests.factories import a_person

BERLIN = ZoneInfo("Europe/Berlin")
HOUR, DAY = 3600, 86400


def at(*when: int) -> int:
    return int(datetime(2026, *when, tzinfo=BERLIN).timestamp())


NOW = at(11, 23, 10)
ROLE = a_policy().roles["shop-admin"]
ANN, BEN = a_person("U0ANN"), a_person("U0BEN")
KNOWN = Directory(
    groups={"@db-leads": frozenset({"U0BEN", "U0CLEO"}), "@sre": frozenset({"U0DAN", "U0BEN"})},
    answered=frozenset({"@db-leads", "@sre"}),
)


def given(**changes: object) -> PreApproval:
    row = PreApproval(
        "p1", "U0BEN", "U0ANN", "shop-admin", HOUR, NOW + DAY, "", ROLE.fingerprint, NOW
    )
    return replace(row, **changes)  # type: ignore[arg-type]


TYPED = {
    "a date": ("until 2026-12-24", Terms(None, at(12, 24, 18), "")),
    "a duration and a date": ("2h until 2026-12-24", Terms(2 * HOUR, at(12, 24, 18), "")),
    "a reason": (
        "2h until 2026-12-24 the migration of SHOP-7",
        Terms(2 * HOUR, at(12, 24, 18), "the migration of SHOP-7"),
    ),
    "a reason after a colon": (
        "until 2026-12-24: migration",
        Terms(None, at(12, 24, 18), "migration"),
    ),
    "a date with a time": ("1h until 2026-12-24 09:00", Terms(HOUR, at(12, 24, 9), "")),
    "a date at a time, with a reason": (
        "until 2026-12-24 at 09:00 migration",
        Terms(None, at(12, 24, 9), "migration"),
    ),
    "a date with an hour": ("until 2026-12-24 9am move", Terms(None, at(12, 24, 9), "move")),
    "a weekday": ("30m until friday migration", Terms(1800, at(11, 27, 18), "migration")),
    "tomorrow": ("till tomorrow", Terms(None, at(11, 24, 18), "")),
    "no end": ("2h for the migration", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("text", "terms"), TYPED.values(), ids=TYPED)
def test_what_people_type(text: str, terms: Terms | None) -> None:
    assert read_terms(text, NOW, "Europe/Berlin") == terms


@pytest.mark.parametrize(
    "text",
    ["until 2026-11-22", "until 2026-13-01", "2 until 2026-12-24", "until whenever", "until "],
)
def test_what_nobody_can_read_is_refused(text: str) -> None:
    try:
        assert read_terms(text, NOW, "Europe/Berlin") is None
    except BadDuration as bad:
        assert str(bad)


WRONG = {
    "for oneself": ({"giver": "U0ANN"}, {}, "your own requests, also not in advance"),
    "by a guest": ({}, {"giver": replace(BEN, guest=True)}, "guest accounts"),
    "for a guest": ({}, {"receiver": replace(ANN, guest=True)}, "may not ask for shop-admin"),
    "longer than the role": ({"duration": 5 * HOUR}, {}, "at most 4h"),
    "for 91 days": ({"until": NOW + 91 * DAY}, {}, "at most 90d"),
    "in the past": ({"until": NOW}, {}, "earlier date"),
    "with half a reason": ({"reason": "…"}, {}, "Say why"),
}


@pytest.mark.parametrize(("row", "people", "why"), WRONG.values(), ids=WRONG)
def test_a_wrong_one_is_refused(
    row: dict[str, object], people: dict[str, object], why: str
) -> None:
    who = {"giver": BEN, "receiver": ANN, **people}
    refused = may_give(ROLE, given(**row), who["giver"], who["receiver"], KNOWN)  # type: ignore[arg-type]
    assert refused is not None and why in refused.reason


def test_a_good_one_is_not() -> None:
    assert may_give(ROLE, given(until=NOW + 90 * DAY, reason="SHOP-7"), BEN, ANN, KNOWN) is None


BOTH = frozenset({"U0BEN", "U0CLEO"})
LOST = {
    "while it holds": (ROLE, BOTH, BEN, None),
    "the role is gone": (None, BOTH, BEN, "the role is no longer in roles.toml"),
    "its giver left": (
        ROLE,
        BOTH,
        replace(BEN, deleted=True),
        "the account of the person who gave it no longer counts",
    ),
    "its giver may not decide": (
        ROLE,
        frozenset({"U0CLEO"}),
        BEN,
        "the person who gave it may no longer decide",
    ),
    "the role gives something else": (
        replace(ROLE, actions=("orders:*",)),
        BOTH,
        BEN,
        "the role was changed in roles.toml",
    ),
}


@pytest.mark.parametrize(("role", "entitled", "giver", "why"), LOST.values(), ids=LOST)
def test_it_is_lost_when(
    role: Role | None, entitled: frozenset[str], giver: object, why: str | None
) -> None:
    assert lost(role, given(), entitled, giver) == why  # type: ignore[arg-type]


NONE: frozenset[str] = frozenset()
LEADS = frozenset({"U0LEA"})
TIERED = replace(
    ROLE, approvals=2, tiers=(Tier("first", ("@db-leads",), 1), Tier("second", ("@sre",), 1))
)
ENOUGH = {
    "one approver": (ROLE, ["U0BEN"], HOUR, True),
    "a lead": (ROLE, ["U0LEA"], HOUR, True),
    "nobody": (ROLE, [], HOUR, False),
    "somebody else": (ROLE, ["U0DAN"], HOUR, False),
    "for longer": (ROLE, ["U0BEN"], HOUR + 1, False),
    "one of two": (replace(ROLE, approvals=2), ["U0BEN"], HOUR, False),
    "two of two": (replace(ROLE, approvals=2), ["U0BEN", "U0CLEO"], HOUR, True),
    "an approver and a lead": (replace(ROLE, approvals=2), ["U0BEN", "U0LEA"], HOUR, True),
    "one tier of two": (TIERED, ["U0CLEO"], HOUR, False),
    "the same person in both tiers": (TIERED, ["U0BEN"], HOUR, False),
    "both tiers": (TIERED, ["U0CLEO", "U0DAN"], HOUR, True),
    "a lead in a tier": (TIERED, ["U0CLEO", "U0LEA"], HOUR, False),
}


@pytest.mark.parametrize(("role", "givers", "duration", "decides"), ENOUGH.values(), ids=ENOUGH)
def test_as_many_people_are_needed_as_the_role_has_approvals(
    role: Role, givers: list[str], duration: int, decides: bool
) -> None:
    rows = [given(id=f"p{n}", giver=giver) for n, giver in enumerate(givers)]
    found = enough(role, rows, duration, LEADS, KNOWN)
    assert bool(found) is decides
    assert not decides or len({each.giver for each in found}) == role.approvals


def test_taking_one_away_never_decides_more() -> None:
    people = ["U0BEN", "U0CLEO", "U0DAN", "U0LEA"]
    rows = [given(id=f"p{n}", giver=giver) for n, giver in enumerate(people)]
    for role in (ROLE, replace(ROLE, approvals=2), TIERED):
        for size in range(1, len(rows) + 1):
            for some in combinations(rows, size):
                if enough(role, some[:-1], HOUR, LEADS, KNOWN):
                    assert enough(role, some, HOUR, LEADS, KNOWN)
