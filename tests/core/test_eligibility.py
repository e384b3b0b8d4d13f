"""Whether a person may request a role in these words, as values."""

from __future__ import annotations

import pytest

from bot.core.approval import Refused
from bot.core.eligibility import (
    LATEST_START,
    REASON_LIMIT,
    TICKET_LIMIT,
    Ask,
    check_words,
    find_role,
    may_request,
)
from bot.core.model import Directory, Person
from tests.builders import a_policy

NOW = 1_790_000_000
POLICY = a_policy()
ANA = Person("U0ANA", "Ana", "ana@x", "UTC", "T1", NOW)


def _field(role: str = "shop-admin", **asked: object) -> str | None:
    """The field of the refusal, or None if there is none."""
    ask = Ask("U0ANA", role, **{"reason": "because", **asked})  # type: ignore[arg-type]
    refused = check_words(POLICY.roles[role], ask, NOW)
    return refused.field if refused else None


@pytest.mark.parametrize(
    ("duration", "field"),
    [
        (None, None),
        (1, None),
        (4 * 3600, None),
        (4 * 3600 + 1, "duration"),
        (0, "duration"),
        (-3600, "duration"),
        (999_999 * 3600, "duration"),
    ],
)
def test_a_duration_within_the_limit(duration: int | None, field: str | None) -> None:
    policy = a_policy(shop_admin='max_duration = "4h"')
    refused = check_words(
        policy.roles["shop-admin"], Ask("U1", "shop-admin", "because", duration), NOW
    )
    assert (refused.field if refused else None) == field


@pytest.mark.parametrize(
    ("reason", "field"),
    [
        ("x", None),
        ("修复", None),
        ("r" * REASON_LIMIT, None),
        ("r" * (REASON_LIMIT + 1), "reason"),
        ("", "reason"),
        (" \n\t", "reason"),
        ("!!! ???", "reason"),
        ("\u202e\u200b", "reason"),
        ("\u3164\uffa0\u115f\u1160", "reason"),
        ("a\x00", "reason"),
        ("a\udc00", "reason"),
        ("<@U0ANA> *bold* <https://x|y>", None),
    ],
    ids=[
        "a letter",
        "Chinese",
        "the longest",
        "too long",
        "none",
        "blank",
        "signs",
        "invisible",
        "letters that show nothing",
        "NUL",
        "half",
        "links",
    ],
)
def test_a_reason_that_can_be_read_and_stored(reason: str, field: str | None) -> None:
    assert _field(reason=reason) == field


@pytest.mark.parametrize(
    ("role", "ticket", "field"),
    [
        ("shop-admin", "", None),
        ("shop-admin", "anything goes", None),
        ("shop-admin", "T" * (TICKET_LIMIT + 1), "ticket"),
        ("shop-admin", "a\x00", "ticket"),
        ("reports-read", "OPS-1", None),
        ("reports-read", "", "ticket"),
        ("reports-read", "OPS-1\n", "ticket"),
        ("reports-read", "see OPS-1", "ticket"),
    ],
)
def test_a_ticket_that_the_role_accepts(role: str, ticket: str, field: str | None) -> None:
    assert _field(role, ticket=ticket) == field


@pytest.mark.parametrize(
    ("start", "field"),
    [(None, None), (0, None), (LATEST_START, None), (-1, "start"), (LATEST_START + 1, "start")],
    ids=["at once", "now", "the latest", "past", "too far"],
)
def test_a_start_from_now_on(start: int | None, field: str | None) -> None:
    assert _field(start_at=None if start is None else NOW + start) == field


def test_the_first_error_is_named() -> None:
    assert _field(duration=0, reason="", ticket="x" * 999) == "duration"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shop-admin", ""),
        ("shop-admn", "Did you mean shop-admin?"),
        ("zzz", "/access roles"),
        ("", "/access roles"),
        ("x" * 4000, "…"),
    ],
)
def test_an_unknown_role_names_the_nearest(name: str, said: str) -> None:
    found = find_role(POLICY, name)
    assert (found.reason if isinstance(found, Refused) else "").count(said) >= 1
    assert len(getattr(found, "reason", "")) < 200


@pytest.mark.parametrize(
    ("role", "members", "may"),
    [("shop-admin", [], True), ("shop-deploy", ["U0ANA"], True), ("shop-deploy", ["U0BEN"], False)],
    ids=["everyone", "in the group", "not in the group"],
)
def test_who_may_request(role: str, members: list[str], may: bool) -> None:
    directory = Directory({"@engineers": frozenset(members)})
    assert (may_request(POLICY.roles[role], ANA, directory) is None) == may


MEMBERSHIP = Directory(
    groups={"@a": frozenset({"U1", "U2"}), "S1": frozenset({"U3"})},
    emails={"ann@example.com": "U4"},
    unfit=frozenset({"U2"}),
    handles={"@a": "S2"},
)


@pytest.mark.parametrize("person", ["U1", "U2", "U3", "U4", "U5", "everyone", ""])
@pytest.mark.parametrize(
    "refs",
    [(), ("@a",), ("S1", "@a"), ("Ann@Example.com",), ("U5",), ("U2",), ("@gone",), ("everyone",)],
    ids=str,
)
def test_one_person_is_among_references_where_these_stand_for_them(
    refs: tuple[str, ...], person: str
) -> None:
    assert MEMBERSHIP.has(refs, person) is (person in MEMBERSHIP.resolve(refs))
