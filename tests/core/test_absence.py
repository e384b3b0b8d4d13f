"""Whether decisions may be handed to a delegate, and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from bot.core.absence import LONGEST, delegate_is_here, may_go_away, read_until
from bot.core.durations import BadDuration
from bot.core.model import Delegation, Directory, Person

BEN = Person("U0BEN", "Ben", "", "UTC", "T1", 1)
CARA = Person("U0CARA", "Cara", "", "UTC", "T1", 1)
BERLIN = ZoneInfo("Europe/Berlin")
NOW = int(datetime(2026, 12, 21, 12, tzinfo=BERLIN).timestamp())  # a Monday
DAY = 86400


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("until 2026-12-24", "2026-12-24 18:00"),
        ("2026-12-24", "2026-12-24 18:00"),
        ("until 2026-12-24 09:00", "2026-12-24 09:00"),
        ("until friday", "2026-12-25 18:00"),
        ("3d", "2026-12-24 12:00"),
    ],
)
def test_the_end_of_an_absence_as_people_type_it(text: str, until: str) -> None:
    local = datetime.fromisoformat(until).replace(tzinfo=BERLIN)
    assert read_until(text, NOW, "Europe/Berlin") == int(local.timestamp())


@pytest.mark.parametrize("text", ["", "soon", "until 2026-12-20", "until 2026-02-30"])
def test_what_is_no_date_to_come_is_refused(text: str) -> None:
    with pytest.raises(BadDuration):
        read_until(text, NOW, "Europe/Berlin")


REFUSED = {
    "oneself": (BEN, NOW + DAY, "you can't decide in your own place"),
    "a guest": (replace(CARA, guest=True), NOW + DAY, "Cara can't decide in your place: guest"),
    "a bot": (replace(CARA, bot=True), NOW + DAY, "apps and bots"),
    "somebody deactivated": (replace(CARA, deleted=True), NOW + DAY, "deactivated"),
    "a stranger": (replace(CARA, stranger=True), NOW + DAY, "other workspaces"),
    "too long": (CARA, NOW + LONGEST + 1, "at most 90d"),
    "in the past": (CARA, NOW, "at most 90d"),
}


@pytest.mark.parametrize(("delegate", "until", "why"), REFUSED.values(), ids=REFUSED)
def test_a_delegation_is_refused(delegate: Person, until: int, why: str) -> None:
    refused = may_go_away(Delegation("U0BEN", delegate.id, NOW, until), BEN, delegate)
    assert refused is not None and why in refused.reason


def test_a_full_member_may_decide_for_at_most_90_days() -> None:
    given = Delegation("U0BEN", "U0CARA", NOW, NOW + LONGEST)
    assert may_go_away(given, BEN, CARA) is None


def test_a_delegate_who_is_away_is_refused() -> None:
    given = Delegation("U0BEN", "U0CARA", NOW, NOW + DAY)
    away = Directory(delegations=(Delegation("U0CARA", "U0DAN", 0, NOW + 1),))
    over = Directory(delegations=(Delegation("U0CARA", "U0DAN", 0, NOW),))
    assert delegate_is_here(given, away) is not None
    assert delegate_is_here(given, over) is None
