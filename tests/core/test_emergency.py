"""Emergencies as values: who may take a role at once, on which terms, and who signs the review."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.approval import Refused, deciders
from bot.core.authority import Authority
from bot.core.emergency import (
    EmergencyReview,
    as_emergency,
    check_call,
    in_the_way,
    marked,
    may_declare,
    may_sign,
    next_ping,
)
from bot.core.model import Directory, Grant, GrantState, Person, Urgency
from bot.core.rules import Emergency
from tests.builders import a_policy
from tests.factories import ANA, BEN, CARA, LEA, a_person

HOUR = 3600
ROLE = replace(a_policy().roles["shop-admin"], emergency=Emergency(("@sre",), HOUR))
LEADS = ("@platform-leads",)
EMERGENCY = as_emergency(ROLE, Urgency.EMERGENCY, HOUR, LEADS)
KNOWN = Directory(
    groups={"@sre": frozenset({ANA, CARA}), "@db-leads": frozenset({BEN}), LEADS[0]: {LEA}},
    answered=frozenset({"@sre", "@db-leads", LEADS[0]}),
)
STALE = KNOWN.without_groups()


def refusal(found: Refused | None) -> str:
    return found.reason if found else ""


# --- the terms


def test_an_emergency_has_its_own_members_length_and_deciders() -> None:
    assert EMERGENCY.requesters == ("@sre",)
    assert EMERGENCY.approvers == EMERGENCY.notify == ("@db-leads", "@platform-leads")
    assert (EMERGENCY.approvals, EMERGENCY.max_renewals) == (1, 0)
    assert (EMERGENCY.max_duration, EMERGENCY.max_total) == (HOUR, HOUR)
    assert deciders(EMERGENCY, LEA, Authority(KNOWN)) == {BEN}, "the user never counts, lead or not"


@pytest.mark.parametrize(
    ("urgency", "title"),
    [
        (Urgency.ORDINARY, "Shop"),
        (Urgency.EMERGENCY, "Emergency: Shop"),
        (Urgency.DRILL, "Drill: Shop"),
    ],
)
def test_every_title_says_whether_it_is_an_emergency_or_a_drill(
    urgency: Urgency, title: str
) -> None:
    assert marked(urgency, "Shop") == title


def test_a_role_without_the_table_is_for_nobody_in_an_emergency() -> None:
    plain = as_emergency(replace(ROLE, emergency=None), Urgency.EMERGENCY, HOUR, LEADS)
    assert refusal(may_declare(plain, a_person(CARA), KNOWN)) == (
        "shop-admin has no emergency access. Ask for it with /access request shop-admin."
    )


# --- the right to take, approve and sign


MAY: dict[str, tuple[Person, Directory, str]] = {
    "a member": (a_person(CARA), KNOWN, ""),
    "somebody else": (a_person(BEN), KNOWN, "Only @sre can take shop-admin in an emergency."),
    "a member who is a guest": (a_person(CARA, guest=True), KNOWN, "guest accounts"),
    "a member who was deactivated": (a_person(CARA, deleted=True), KNOWN, "deactivated"),
    "a bot": (a_person(CARA, bot=True), KNOWN, "apps and bots"),
    "a person of another workspace": (a_person(CARA, stranger=True), KNOWN, "other workspaces"),
    "an account that was only invited": (a_person(CARA, unconfirmed=True), KNOWN, "only invited"),
    "a member of a group that is too old": (
        a_person(CARA),
        STALE,
        "Slack has not said in the last ten minutes who is in @sre",
    ),
    "a member of a group that Slack was never asked about": (
        a_person(CARA),
        Directory(),
        "Slack has not said",
    ),
    "a guest of a group that is too old": (a_person(CARA, guest=True), STALE, "guest accounts"),
}


@pytest.mark.parametrize(("person", "directory", "why"), MAY.values(), ids=MAY)
def test_only_a_member_of_the_emergency_gets_in(
    person: Person, directory: Directory, why: str
) -> None:
    found = refusal(may_declare(EMERGENCY, person, directory))
    assert why in found and bool(found) is bool(why)


CALLS: dict[str, tuple[int, str, str]] = {
    "as long as it may be": (HOUR, "the shop is down", ""),
    "a second": (1, "the shop is down", ""),
    "a second too long": (HOUR + 1, "down", "at most 1h in an emergency; you asked for 1h 1s"),
    "as long as the role otherwise": (4 * HOUR, "down", "at most 1h in an emergency"),
    "no time": (0, "down", "you asked for 0s"),
    "less than no time": (-60, "down", "at most 1h in an emergency"),
    "no reason": (HOUR, "", "Say why you need it"),
    "a reason of blanks": (HOUR, " \t\u200b", "Say why you need it"),
    "a reason of signs": (HOUR, "!!! ...", "Say why you need it"),
    "a reason that is too long": (HOUR, "x" * 3001, "3,000 are the most"),
}


@pytest.mark.parametrize(("duration", "reason", "why"), CALLS.values(), ids=CALLS)
def test_duration_and_reason_are_judged_by_the_emergency(
    duration: int, reason: str, why: str
) -> None:
    found = refusal(check_call(EMERGENCY, duration, reason))
    assert why in found and bool(found) is bool(why)


# --- access that the person holds already


def held(**changes: object) -> Grant:
    grant = Grant("g1", "r1", CARA, "shop-admin", ("shop-admin",), (), GrantState.ACTIVE, HOUR, 0,
        HOUR, HOUR)  # fmt: skip
    return replace(grant, **changes)  # type: ignore[arg-type]


HELD: dict[str, tuple[Grant, bool]] = {
    "as long": (held(), True),
    "longer": (held(ends_at=2 * HOUR), True),
    "a second less": (held(ends_at=HOUR - 1), False),
    "about to start": (held(state=GrantState.STARTING), True),
    "later": (held(state=GrantState.SCHEDULED, starts_at=60, ends_at=9 * HOUR), False),
    "another emergency that ends soon": (held(urgency=Urgency.EMERGENCY, ends_at=1), True),
    "a drill": (held(urgency=Urgency.DRILL, ends_at=1), True),
}


@pytest.mark.parametrize(("grant", "needless"), HELD.values(), ids=HELD)
def test_what_lasts_as_long_makes_an_emergency_needless(grant: Grant, needless: bool) -> None:
    assert (in_the_way([grant], HOUR, 0) is not None) is needless


# --- the review


def a_review(**changes: object) -> EmergencyReview:
    review = EmergencyReview("r1", "g1", CARA, "shop-admin", Urgency.EMERGENCY, CARA, True, 0, HOUR)
    return replace(review, **changes)  # type: ignore[arg-type]


SIGNERS: dict[str, tuple[EmergencyReview, Person, str]] = {
    "a lead": (a_review(), a_person(LEA), ""),
    "the user, who is a lead": (a_review(), a_person(CARA), "your own emergency"),
    "another account of the user with the same address": (
        a_review(),
        a_person(LEA, email="U0cara@Example.com"),
        "your own emergency",
    ),
    "a lead without an address": (a_review(), a_person(LEA, email=""), ""),
    "an operator, who may have declared it": (
        a_review(declared_by="os:ann"),
        Person("os:ann", "os:ann", "", "UTC", "", 0),
        "signed in Slack",
    ),
}


@pytest.mark.parametrize(("review", "lead", "why"), SIGNERS.values(), ids=SIGNERS)
def test_a_lead_who_is_not_the_user_signs(review: EmergencyReview, lead: Person, why: str) -> None:
    found = refusal(may_sign(review, lead, a_person(CARA)))
    assert why in found and bool(found) is bool(why)


def test_two_people_without_an_address_are_not_one() -> None:
    assert may_sign(a_review(), a_person(LEA, email=""), a_person(CARA, email="")) is None


PINGS = {
    "at once": (0, HOUR),
    "just before the first": (HOUR - 1, HOUR),
    "at the first": (HOUR, 4 * HOUR),
    "after the second": (4 * HOUR, 28 * HOUR),
    "daily from then on": (28 * HOUR, 52 * HOUR),
    "after a week in which nobody was running": (7 * 24 * HOUR, 172 * HOUR),
}


@pytest.mark.parametrize(("now", "then"), PINGS.values(), ids=PINGS)
def test_the_leads_are_pinged_after_one_hour_four_hours_and_then_daily(now: int, then: int) -> None:
    assert next_ping(0, now) == then
