"""The flag rules as tables: facts that each one finds, and similar ones that it does not find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.core.flags.evaluate import Raised, Recent, Repeated, evaluate, with_open_emergencies
from bot.core.flags.facts import Fact, Sighting, What, network_of
from bot.core.flags.index import Index
from bot.core.flags.rule import FlagSettings, Severity
from bot.core.flags.rules import RULES

MINUTE, HOUR, DAY = 60, 3600, 86_400
NOW = 1_790_000_000
"""2026-09-21 14:13:20 UTC, a Monday."""

ANA, BEN = "U0ANA", "U0BEN"
HOME, OFFICE, PARIS = "10.1.2.0/24", "192.0.2.0/24", "198.51.100.0/24"


def fact(ago: int, what: What = What.REQUEST, person: str = ANA, **more: Any) -> Fact:
    return Fact(0, NOW - ago, what, person, **more)


def asked(ago: int, role: str = "shop", number: int | None = None, **more: Any) -> Fact:
    return fact(ago, request=f"r{ago if number is None else number}", role=role, **more)


def used(ago: int, network: str = HOME, agent: str = "Firefox", **more: Any) -> Fact:
    place = Sighting(network, agent, NOW - ago)
    return fact(ago, What.USED, place=place, system="shop", **more)


def found(
    rule: str, history: Sequence[Fact], now: Fact, settings: FlagSettings | None = None
) -> str | None:
    index = Index()
    for each in sorted(history, key=lambda each: each.at):
        index.add(each)
    seen = RULES[rule].check(now, index, settings or FlagSettings())
    assert now.what in RULES[rule].on
    return seen.sentence if seen else None


DAILY = [asked(day * DAY) for day in range(2, 32)]
"""One request on each of thirty days, at this hour."""

OFFICE_HOURS = [asked(week * 7 * DAY) for week in range(1, 12)]
WIDE = {"risk": "low", "systems": ("shop",), "actions": ("read", "write")}
NARROW = {**WIDE, "actions": ("read",)}


def denied(ago: int, number: int = 1) -> Fact:
    return fact(ago, What.DENIED, request=f"r{number}")


def votes(voter: str, requester: str, count: int, start: int = 0) -> list[Fact]:
    return [
        fact(
            DAY + number,
            What.APPROVED,
            voter,
            other=requester,
            request=f"{requester}{start + number}",
        )
        for number in range(count)
    ]


def quick(ago: int, waited: int = 9, risk: str = "medium") -> Fact:
    return fact(ago, What.APPROVED, waited=waited, risk=risk)


def loaded(*texts: str, **more: Any) -> Fact:
    return fact(0, What.LOADED, "", texts=texts, **more)


def grants(unused: str) -> list[Fact]:
    """Ended grants, oldest first: `u` was used, `-` was not, `?` on a system that does not
    report."""
    made = []
    for number, kind in enumerate(unused):
        ago, grant = (20 - number) * HOUR, f"g{number}"
        made += [fact(ago + 60, What.USED, grant=grant)] if kind == "u" else []
        made.append(fact(ago, What.SUMMED, grant=grant, is_known=kind != "?"))
    return made


Case = tuple[str, Sequence[Fact], Fact, bool]
CASES: dict[str, Case] = {
    "burst: five today, one a day before": (
        "burst_of_requests",
        [*DAILY, *(asked(n * HOUR) for n in range(1, 5))],
        asked(0),
        True,
    ),
    "burst: four today": (
        "burst_of_requests",
        [*DAILY, *(asked(n * HOUR) for n in range(1, 4))],
        asked(0),
        False,
    ),
    "burst: five on most days": (
        "burst_of_requests",
        [asked(day * DAY + n * HOUR) for day in range(31) for n in range(1, 6)],
        asked(0),
        True,
    ),
    "burst: six on most days": (
        "burst_of_requests",
        [
            *(asked(day * DAY + n * HOUR) for day in range(1, 31) for n in range(1, 7)),
            *(asked(n * HOUR) for n in range(1, 6)),
        ],
        asked(0),
        False,
    ),
    "burst: as many on two of thirty days": (
        "burst_of_requests",
        [
            *(asked(day * DAY) for day in range(1, 31)),
            *(asked(day * DAY + n * HOUR) for day in (10, 20) for n in range(1, 5)),
            *(asked(n * HOUR) for n in range(1, 5)),
        ],
        asked(0),
        False,
    ),
    "burst: nine requests before": (
        "burst_of_requests",
        [*DAILY[:9], *(asked(n * HOUR) for n in range(1, 5))],
        asked(0),
        False,
    ),
    "burst: on call": (
        "burst_of_requests",
        [*DAILY, *(asked(n * HOUR) for n in range(1, 5))],
        asked(0, on_call=True),
        False,
    ),
    "wider: more actions 30 minutes after a denial": (
        "asked_wider_after_denial",
        [asked(HOUR, number=1, **NARROW), denied(30 * MINUTE)],
        asked(0, "shop-admin", **WIDE),
        True,
    ),
    "wider: a minute later than that": (
        "asked_wider_after_denial",
        [asked(HOUR, number=1, **NARROW), denied(31 * MINUTE)],
        asked(0, "shop-admin", **WIDE),
        False,
    ),
    "wider: less than was denied": (
        "asked_wider_after_denial",
        [asked(HOUR, number=1, **WIDE), denied(MINUTE)],
        asked(0, **NARROW),
        False,
    ),
    "wider: the same again": (
        "asked_wider_after_denial",
        [asked(HOUR, number=1, **WIDE), denied(MINUTE)],
        asked(0, **WIDE),
        False,
    ),
    "wider: a higher risk with fewer actions": (
        "asked_wider_after_denial",
        [asked(HOUR, number=1, **WIDE), denied(MINUTE)],
        asked(0, **{**NARROW, "risk": "high"}),
        True,
    ),
    "wider: more systems but fewer actions": (
        "asked_wider_after_denial",
        [asked(HOUR, number=1, **WIDE), denied(MINUTE)],
        asked(0, **{**NARROW, "systems": ("shop", "reports")}),
        False,
    ),
    "wider: a second denial within an hour": (
        "asked_wider_after_denial",
        [denied(HOUR)],
        denied(0, 2),
        True,
    ),
    "wider: a second denial after an hour": (
        "asked_wider_after_denial",
        [denied(HOUR + 1)],
        denied(0, 2),
        False,
    ),
    "nagging: the fifth in 10 minutes": (
        "nagging",
        [denied(600), *(fact(n, What.CANCELLED) for n in (1, 2, 3))],
        fact(0, What.CANCELLED),
        True,
    ),
    "nagging: the first was a second earlier": (
        "nagging",
        [denied(601), *(fact(n, What.CANCELLED) for n in (1, 2, 3))],
        fact(0, What.CANCELLED),
        False,
    ),
    "nagging: of two people": (
        "nagging",
        [fact(n, What.CANCELLED, BEN) for n in (1, 2, 3, 4)],
        fact(0, What.CANCELLED),
        False,
    ),
    "each other: eight of ten, both ways": (
        "approving_each_other",
        [
            *votes(BEN, ANA, 10),
            *votes(ANA, BEN, 7),
            *votes("U0CARA", BEN, 2, start=7),
        ],
        fact(0, What.APPROVED, ANA, other=BEN, request="new"),
        True,
    ),
    "each other: seven of ten one way": (
        "approving_each_other",
        [*votes(BEN, ANA, 10), *votes(ANA, BEN, 6), *votes("U0CARA", BEN, 3, start=6)],
        fact(0, What.APPROVED, ANA, other=BEN, request="new"),
        False,
    ),
    "each other: nine requests of one": (
        "approving_each_other",
        [*votes(BEN, ANA, 9), *votes(ANA, BEN, 12)],
        fact(0, What.APPROVED, ANA, other=BEN, request="new"),
        False,
    ),
    "each other: nearly 30 days ago": (
        "approving_each_other",
        [
            replace(each, at=each.at - 29 * DAY + 20)
            for each in votes(BEN, ANA, 10) + votes(ANA, BEN, 9)
        ],
        fact(0, What.APPROVED, ANA, other=BEN, request="new"),
        True,
    ),
    "each other: longer than 30 days ago": (
        "approving_each_other",
        [replace(each, at=each.at - 30 * DAY) for each in votes(BEN, ANA, 10) + votes(ANA, BEN, 9)],
        fact(0, What.APPROVED, ANA, other=BEN, request="new"),
        False,
    ),
    "seconds: the third in a week": (
        "approved_in_seconds",
        [quick(7 * DAY), quick(DAY)],
        quick(0, risk="high"),
        True,
    ),
    "seconds: one took ten": (
        "approved_in_seconds",
        [quick(2 * DAY), quick(DAY, waited=10)],
        quick(0),
        False,
    ),
    "seconds: one had a low risk": (
        "approved_in_seconds",
        [quick(2 * DAY), quick(DAY, risk="low")],
        quick(0),
        False,
    ),
    "seconds: one is a week and a second old": (
        "approved_in_seconds",
        [quick(7 * DAY + 1), quick(DAY)],
        quick(0),
        False,
    ),
    "hour: at night": ("unusual_hour", OFFICE_HOURS, asked(-12 * HOUR), True),
    "hour: on call": ("unusual_hour", OFFICE_HOURS, asked(-12 * HOUR, on_call=True), False),
    "hour: the next one": ("unusual_hour", OFFICE_HOURS, asked(-HOUR), False),
    "hour: two hours later": ("unusual_hour", OFFICE_HOURS, asked(-2 * HOUR), True),
    "hour: on another weekday": ("unusual_hour", OFFICE_HOURS, asked(-2 * DAY), False),
    "hour: on a Saturday": ("unusual_hour", OFFICE_HOURS, asked(-5 * DAY), True),
    "hour: nine events before": ("unusual_hour", OFFICE_HOURS[:9], asked(-12 * HOUR), False),
    "hour: all events on two days": (
        "unusual_hour",
        [asked(day * DAY + n) for day in (7, 14) for n in range(6)],
        asked(-12 * HOUR),
        False,
    ),
    "hour: three nights before": (
        "unusual_hour",
        [*OFFICE_HOURS, *(used(day * DAY - 12 * HOUR) for day in (7, 14, 21))],
        asked(-12 * HOUR),
        False,
    ),
    "hour: two nights, one of them twice": (
        "unusual_hour",
        [*OFFICE_HOURS, *(used(n) for n in (7 * DAY, 7 * DAY - 60, 14 * DAY)), used(DAY // 2)],
        replace(asked(0), at=NOW + DAY // 2),
        True,
    ),
    "network: unseen": ("new_network", [used(n * DAY) for n in range(1, 11)], used(0, PARIS), True),
    "network: seen 90 days ago": (
        "new_network",
        [used(90 * DAY, PARIS), *(used(n * DAY) for n in range(1, 11))],
        used(0, PARIS),
        False,
    ),
    "network: seen a second earlier": (
        "new_network",
        [used(90 * DAY + 1, PARIS), *(used(n * DAY) for n in range(1, 11))],
        used(0, PARIS),
        True,
    ),
    "network: nine uses before": (
        "new_network",
        [used(n * DAY) for n in range(1, 10)],
        used(0, PARIS),
        False,
    ),
    "network: trusted": (
        "new_network",
        [used(n * DAY, PARIS) for n in range(1, 11)],
        used(0, "10.9.9.0/24"),
        False,
    ),
    "places: another network and program": (
        "two_places_at_once",
        [used(32 * MINUTE, PARIS, "curl")],
        used(0),
        True,
    ),
    "places: a second too long ago": (
        "two_places_at_once",
        [used(32 * MINUTE + 1, PARIS, "curl")],
        used(0),
        False,
    ),
    "places: the same program": ("two_places_at_once", [used(60, PARIS)], used(0), False),
    "places: the same network": ("two_places_at_once", [used(60, HOME, "curl")], used(0), False),
    "places: an unknown program": ("two_places_at_once", [used(60, PARIS, "")], used(0), False),
    "places: seen with the record": (
        "two_places_at_once",
        [],
        used(0, elsewhere=(Sighting(OFFICE, "curl", NOW - 60),)),
        True,
    ),
    "credentials: the tenth in 10 minutes": (
        "many_credentials",
        [fact(600 - n, What.CREDENTIALS) for n in range(9)],
        fact(0, What.CREDENTIALS),
        True,
    ),
    "credentials: the ninth": (
        "many_credentials",
        [fact(600 - n, What.CREDENTIALS) for n in range(8)],
        fact(0, What.CREDENTIALS),
        False,
    ),
    "ended: the tenth in an hour": (
        "many_ended",
        [fact(HOUR, What.ENDED), *(fact(n, What.ENDED) for n in range(8))],
        fact(0, What.ENDED),
        True,
    ),
    "ended: the first was a second earlier": (
        "many_ended",
        [fact(HOUR + 1, What.ENDED), *(fact(n, What.ENDED) for n in range(8))],
        fact(0, What.ENDED),
        False,
    ),
    "first time: another role": ("first_time", DAILY[:10], asked(0, "reports"), True),
    "first time: the same role": ("first_time", DAILY[:10], asked(0), False),
    "first time: nine events before": ("first_time", DAILY[:9], asked(0, "reports"), False),
    "first time: more time for what they hold": (
        "first_time",
        DAILY[:10],
        asked(0, "reports", renews=True),
        False,
    ),
    "first time: of a newcomer": (
        "first_time",
        [*DAILY[:10], fact(DAY, What.ONBOARDING)],
        asked(0, "reports"),
        False,
    ),
    "first time: after the onboarding": (
        "first_time",
        [*DAILY[:10], fact(DAY, What.ONBOARDING), fact(HOUR, What.ONBOARDED)],
        asked(0, "reports"),
        True,
    ),
    "dormant: nothing for 30 days": (
        "dormant",
        [asked(30 * DAY + n) for n in range(10)],
        asked(0),
        True,
    ),
    "dormant: a second less": (
        "dormant",
        [asked(30 * DAY - 1), *(asked(40 * DAY + n) for n in range(9))],
        asked(0),
        False,
    ),
    "dormant: nine events before": (
        "dormant",
        [asked(40 * DAY + n) for n in range(9)],
        asked(0),
        False,
    ),
    "unused: three of five": ("granted_never_used", grants("u-u-"), grants("u-u--")[-1], True),
    "unused: two of five": ("granted_never_used", grants("uu-u"), grants("uu-u-")[-1], False),
    "unused: three of four": ("granted_never_used", grants("u--"), grants("u---")[-1], False),
    "unused: not reported": ("granted_never_used", grants("u-u?"), grants("u-u?-")[-1], False),
    "unused: of a newcomer": (
        "granted_never_used",
        [fact(DAY * 2, What.ONBOARDING), *grants("u-u-")],
        grants("u-u--")[-1],
        False,
    ),
    "weakened: fewer approvals": (
        "policy_weakened",
        [],
        loaded("roles.shop.approvals: was 2, is 1"),
        True,
    ),
    "weakened: another channel": (
        "policy_weakened",
        [],
        loaded("roles.shop.channel: was a, is b", "workspace.leads: added U0BEN"),
        False,
    ),
    "emergency": ("emergency_used", [], fact(0, What.EMERGENCY), True),
    "emergency without a review": ("emergency_open", [], fact(0, What.STILL_OPEN), True),
    "drift": ("unexplained_access", [], fact(0, What.EXCESS, "", system="shop"), True),
    "use after the end": ("used_after_end", [], fact(0, What.USED_AFTER_END), True),
}
TRUSTING = FlagSettings(trusted_networks=("10.0.0.0/8", "2001:db8::/32"))


@pytest.mark.parametrize(("rule", "history", "now", "is_found"), CASES.values(), ids=CASES.keys())
def test_a_rule_finds_its_pattern_and_not_its_near_miss(
    rule: str, history: Sequence[Fact], now: Fact, is_found: bool
) -> None:
    sentence = found(rule, history, now, TRUSTING)
    assert (sentence is not None) is is_found
    assert not sentence or sentence.endswith(".")


def test_every_rule_has_a_case_of_each_kind() -> None:
    always = {"emergency_used", "emergency_open", "unexplained_access", "used_after_end"}
    kinds = {(rule, is_found) for rule, _, _, is_found in CASES.values()}
    assert kinds == {(rule, so) for rule in RULES for so in (True, False)} - {
        (rule, False) for rule in always
    }


def test_a_weaker_role_of_high_risk_is_flagged_as_high() -> None:
    change = loaded("roles.shop.requesters: added everyone", risky=("shop",))
    seen = RULES["policy_weakened"].check(change, Index(), FlagSettings())
    assert seen is not None and seen.severity is Severity.HIGH


def test_the_hour_counts_in_the_zone_of_the_workspace() -> None:
    """Friday afternoon in UTC is a Saturday night in Auckland."""
    friday = asked(-4 * DAY)
    assert found("unusual_hour", OFFICE_HOURS, friday) is None
    zone = FlagSettings(zone=ZoneInfo("Pacific/Auckland"))
    assert found("unusual_hour", OFFICE_HOURS, friday, zone) is not None


# --- folding and combining


def outcomes(facts: Sequence[Fact], **more: Any) -> Iterator[Raised | Repeated]:
    index, recent = Index(), Recent()
    for number, each in enumerate(facts, 1):
        yield from evaluate(replace(each, seq=number), index, recent, FlagSettings(**more))


def lines(found: Iterator[Raised | Repeated]) -> list[str]:
    return [
        f"{each.rule} {each.severity}{'+' if each.with_keys else ''}"
        if isinstance(each, Raised)
        else f"again {each.key}"
        for each in found
    ]


def emergency(ago: int, person: str = ANA) -> Fact:
    return fact(ago, What.EMERGENCY, person, request="r1", role="shop")


def test_the_same_rule_on_the_same_person_is_folded_for_an_hour() -> None:
    facts = [emergency(HOUR), emergency(1), emergency(0), emergency(0, BEN)]
    assert lines(outcomes(facts)) == [
        "emergency_used high",
        "again emergency_used:1",
        "emergency_used high",
        "emergency_used high",
    ]


def test_two_rules_on_one_person_within_an_hour_are_one_of_high() -> None:
    credentials = [fact(n, What.CREDENTIALS) for n in range(9, -1, -1)]
    assert lines(outcomes([emergency(HOUR - 1), *credentials])) == [
        "emergency_used high",
        "many_credentials high+",
    ]
    assert lines(outcomes([emergency(HOUR), *credentials])) == [
        "emergency_used high",
        "many_credentials low",
    ]
    assert lines(outcomes([emergency(60, BEN), *credentials]))[1] == "many_credentials low"


def test_a_quiet_rule_makes_nothing_high() -> None:
    last = asked(0, "reports")
    made = list(outcomes([*reversed(DAILY[:10]), emergency(60), last]))
    assert [(e.rule, e.quiet, e.with_keys) for e in made if isinstance(e, Raised)] == [
        ("emergency_used", False, ()),
        ("first_time", True, ()),
    ]


def test_a_pair_is_raised_once() -> None:
    both = [*votes(BEN, ANA, 10), *votes(ANA, BEN, 10)]
    again = [replace(each, at=each.at + 5 * DAY) for each in both]
    seen = [line for line in lines(outcomes([*both, *again])) if "again" not in line]
    assert seen == ["approving_each_other low"]


def test_a_rule_that_is_off_finds_nothing() -> None:
    assert lines(outcomes([emergency(0)], off={"emergency_used": "we drill all day"})) == []


def test_an_emergency_without_a_review_is_found_after_24_hours() -> None:
    reviewed = fact(1, What.REVIEWED, request="r1")
    late = asked(0)
    log = [emergency(DAY), late]
    assert [each.what for each in with_open_emergencies(log, NOW)] == [
        What.EMERGENCY,
        What.STILL_OPEN,
        What.REQUEST,
    ]
    in_time = [emergency(DAY), reviewed, late]
    assert What.STILL_OPEN not in [each.what for each in with_open_emergencies(in_time, NOW)]
    assert What.STILL_OPEN not in [each.what for each in with_open_emergencies(log[:1], NOW - 1)]


def test_records_out_of_order_stop_no_rule() -> None:
    """Two processes whose clocks differ by seconds write records whose times go back."""
    index = Index()
    for ago in (5 * DAY - 1, 5 * DAY + 1, *[4 * DAY] * 10, *range(50, 0, -1)):
        index.add(asked(ago))
    assert RULES["burst_of_requests"].check(asked(0), index, FlagSettings()) is not None
    index.put(ANA, [asked(-DAY), asked(5)])
    assert index.before(asked(0), What.REQUEST) == [asked(5)]


def test_a_flag_from_a_clock_that_was_ahead_folds_no_later_one() -> None:
    index, recent = Index(), Recent()
    shown = [
        next(evaluate(fact(ago, What.USED_AFTER_END, system="shop"), index, recent, FlagSettings()))
        for ago in (-30 * DAY, 0, -60)
    ]
    assert [type(each) for each in shown] == [Raised, Raised, Repeated]


def test_an_ipv4_address_in_ipv6_notation_is_in_its_own_network() -> None:
    assert network_of("::ffff:203.0.113.9") == network_of("203.0.113.7") == "203.0.113.0/24"


def test_a_risk_that_is_lowered_with_the_rules_is_high() -> None:
    old = {"risk": "high", "approvals": 2}
    texts = [
        f"roles.shop.{key}: was {was}, is {now}"
        for (key, was), now in zip(old.items(), ("low", 1), strict=True)
    ]
    found = RULES["policy_weakened"].check(loaded(*texts), Index(), FlagSettings())
    assert found is not None and found.severity is Severity.HIGH


def test_a_second_weakening_within_an_hour_is_another_flag() -> None:
    index, recent = Index(), Recent()
    first = loaded("roles.reports.max_duration: was 1h, is 2h")
    second = loaded("roles.shop.approvals: was 2, is 1", risky=("shop",))
    found = [*evaluate(first, index, recent, FlagSettings())]
    found += evaluate(replace(second, seq=1), index, recent, FlagSettings())
    found += evaluate(replace(second, seq=2), index, recent, FlagSettings())
    assert [type(each) for each in found] == [Raised, Raised, Repeated]
    assert [each.severity for each in found[:2] if isinstance(each, Raised)] == ["medium", "high"]
