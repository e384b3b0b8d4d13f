"""The facts about the requester in a request's record."""

from __future__ import annotations

from bot.core.model import Directory
from bot.core.recorded_facts import recorded_facts
from tests.factories import ANA, BEN, a_person

GROUPS = {
    "S0SRE": frozenset({ANA}),
    "@sre": frozenset({ANA}),
    "@db-leads": frozenset({BEN}),
}
KNOWN = Directory(groups=GROUPS, answered=frozenset({"@empty"}))


def test_the_groups_of_the_person_by_id_and_handle_and_no_others() -> None:
    found = recorded_facts(a_person(ANA), KNOWN, ["@sre", "@empty", "U0BEN"], {}, False)
    assert found == {"groups": ["@sre", "S0SRE"]}


def test_what_was_unknown_is_not_the_same_as_not_a_member() -> None:
    found = recorded_facts(a_person(BEN), KNOWN, ["@sre", "@other", "a@example.com"], {}, False)
    assert found == {"groups": ["@db-leads"], "unknown": ["@other", "a@example.com"]}


def test_each_duty_that_was_read_and_an_open_emergency() -> None:
    duties = {"web": frozenset({BEN}), "db": frozenset({ANA})}
    found = recorded_facts(a_person(ANA), Directory(), [], duties, True)
    assert found == {"groups": [], "on_call": {"db": True, "web": False}, "emergency": True}
