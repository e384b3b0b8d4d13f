"""Flags over a real log: raised once, folded, combined, answered by leads, and found again by a
replay."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest

from bot.core.approval import Refused
from bot.core.flags.flag import EXPECTED, REVOKED, Flag
from bot.core.flags.rule import NO_SETTINGS
from bot.core.flags.rules import RULES
from bot.operations._places import MOST_AGENTS
from bot.operations.emergencies.start_emergency import Call, Started, start_emergency
from bot.operations.flags.answer_flag import (
    Revoked,
    expect_flag,
    investigate_flag,
    revoke_flagged,
)
from bot.operations.flags.count_answers import RuleCount, count_answers
from bot.operations.flags.describe_flags import list_flags, open_flags
from bot.operations.flags.raise_flags import FlagRaiser, settings_of
from bot.operations.flags.replay_flags import replay_flags
from bot.operations.grants.revoke_grant import revoke_grant
from bot.operations.people.describe_person import describe_home
from bot.operations.policy.record_policy import record_loaded
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.withdraw_request import withdraw_request
from bot.operations.usage.count_usage import UsageMeter
from storage import audit, flags
from tests.builders import SYSTEMS
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, LEA, START, Made, a_person

EMERGENCY = """max_duration = "8h"
[roles.shop-admin.emergency]
members = ["@sre"]
max_duration = "1h"
"""
HOUR, DAY = 3600, 86_400


@pytest.fixture
def raiser(made: Made) -> FlagRaiser:
    """A raiser that has read the log up to now."""
    raiser = FlagRaiser(made.world)
    assert raiser.raise_new() == 0
    made.forget_work()
    return raiser


def fresh(made: Made, *people: str) -> None:
    made.know(*(replace(a_person(each), checked_at=made.clock.at) for each in people))


def nag(made: Made, times: int = 5, person: str = ANA) -> None:
    for _ in range(times):
        withdraw_request(made.world, made.a_request(person=person).id, person)
        made.clock.at += 1


def shown(made: Made) -> list[Flag]:
    """All flags, oldest first."""
    return sorted(list_flags(made.world, 100), key=lambda flag: (flag.at, flag.rule))


def the_flag(made: Made, raiser: FlagRaiser) -> Flag:
    nag(made)
    assert raiser.raise_new() == 1
    (flag,) = shown(made)
    return flag


def test_a_pattern_is_raised_once_with_its_facts_on_record(made: Made, raiser: FlagRaiser) -> None:
    nag(made, 4)
    assert raiser.raise_new() == 0
    nag(made, 1)
    assert raiser.raise_new() == 1
    assert raiser.raise_new() == FlagRaiser(made.world).raise_new() == 0
    (flag,) = shown(made)
    assert (flag.rule, flag.severity, flag.person, flag.times) == ("nagging", "low", ANA, 1)
    ((actor, subject, detail),) = made.log("flag:rule:raised", "actor, subject, detail")
    assert (actor, subject) == ("system", ANA)
    assert json.loads(detail)["sentence"] == flag.sentence
    assert made.work().count("post_flag") == 1
    nag(made, 1)
    assert raiser.raise_new() == 0
    assert [each.times for each in shown(made)] == [2]


def test_processes_that_read_at_the_same_time_raise_it_once(made: Made, raiser: FlagRaiser) -> None:
    nag(made, 4)
    others = [FlagRaiser(made.another_process()) for _ in range(3)]
    for each in others:
        each.raise_new()
    nag(made, 1)
    assert sum(together(made.world.db, [each.raise_new for each in (raiser, *others)])) == 1
    nag(made, 1)
    assert sum(each.raise_new() for each in (*others, raiser)) == 0
    assert (made.events("flag:rule:raised"), shown(made)[0].times) == (1, 2)


def test_two_rules_on_one_person_become_one_flag_of_high(made: Made, raiser: FlagRaiser) -> None:
    grant = made.a_grant()
    for _ in range(10):
        made.a_token(grant)
    assert raiser.raise_new() == 1
    (first,) = shown(made)
    made.forget_work()
    for _ in range(5):
        withdraw_request(made.world, made.a_request("reports-read").id, ANA)
    assert raiser.raise_new() == 1
    both = {flag.rule: flag for flag in shown(made)}
    whole = both["nagging"]
    assert (whole.severity, both["many_credentials"].joined) == ("high", whole.id)
    assert both["many_credentials"].id == first.id
    assert sorted(set(made.work()) & {"post_flag", "update_flag"}) == ["post_flag", "update_flag"]
    fresh(made, LEA)
    assert expect_flag(made.world, LEA, first.id, "fine") == Refused(
        "This flag is part of a later one. Answer that one."
    )
    assert expect_flag(made.world, LEA, whole.id, "a broken script") is None
    assert {flag.answer for flag in shown(made) if not flag.quiet} == {EXPECTED}


def test_two_rules_of_one_batch_post_one_message(made: Made, raiser: FlagRaiser) -> None:
    grant = made.a_grant()
    for _ in range(10):
        made.a_token(grant)
    for _ in range(5):
        withdraw_request(made.world, made.a_request("reports-read").id, ANA)
    made.forget_work()
    raiser.raise_new()
    assert [kind for kind in made.work() if "flag" in kind] == ["post_flag"]
    assert len([flag for flag in shown(made) if not flag.quiet]) == 2


def test_only_leads_answer_and_not_about_themselves(made: Made, raiser: FlagRaiser) -> None:
    flag = the_flag(made, raiser)
    fresh(made, BEN, LEA)
    refused = expect_flag(made.world, BEN, flag.id, "fine")
    assert isinstance(refused, Refused) and "Only leads" in refused.reason
    for nothing in ("  ", "\u3164\u200b"):
        assert isinstance(expect_flag(made.world, LEA, flag.id, nothing), Refused)
    assert isinstance(revoke_flagged(made.world, LEA, flag.id), Refused), "nothing to revoke"
    nag(made, 5, LEA)
    raiser.raise_new()
    own = next(each for each in shown(made) if each.person == LEA)
    fresh(made, LEA)
    refused = expect_flag(made.world, LEA, own.id, "fine")
    assert isinstance(refused, Refused) and "another lead" in refused.reason
    made.forged = True
    pair = replace(flag, id="w2", key="pair", person=ANA, about=f"{ANA} {LEA}", joined="")
    with made.world.db.transaction():
        flags.add(made.world.db, pair)
        flags.add(made.world.db, replace(pair, id="w3", key="whole", about=ANA))
    refused = expect_flag(made.world, LEA, "w2", "fine")
    assert isinstance(refused, Refused) and "another lead" in refused.reason
    with made.world.db.transaction():
        flags.join(made.world.db, ["pair"], "w3", "high")
    assert isinstance(revoke_flagged(made.world, LEA, "w3"), Refused)
    refused = expect_flag(made.world, LEA, "w3", "fine")
    assert isinstance(refused, Refused) and "another lead" in refused.reason
    assert not any(each.answer for each in shown(made))


def test_an_answer_is_kept_recorded_and_counted(made: Made, raiser: FlagRaiser) -> None:
    flag = the_flag(made, raiser)
    fresh(made, LEA)
    assert investigate_flag(made.world, LEA, flag.id) is None
    assert isinstance(investigate_flag(made.world, LEA, flag.id), Refused)
    assert expect_flag(made.world, LEA, flag.id, "=a *test*") is None
    assert isinstance(expect_flag(made.world, LEA, flag.id, "again"), Refused)
    answers = made.log("flag:rule:answered", "actor, reason, detail")
    assert [(actor, reason) for actor, reason, _ in answers] == [(LEA, ""), (LEA, "=a *test*")]
    assert [json.loads(detail)["answer"] for *_, detail in answers] == ["investigate", EXPECTED]
    made.clock.at += 2 * HOUR
    made.a_grant()
    nag_more = made.a_request("reports-read")
    withdraw_request(made.world, nag_more.id, ANA)
    for _ in range(4):
        withdraw_request(made.world, made.a_request("reports-read").id, ANA)
    raiser.raise_new()
    fresh(made, LEA)
    newest = next(each for each in shown(made) if not each.answer)
    outcome = revoke_flagged(made.world, LEA, newest.id)
    assert isinstance(outcome, Revoked) and len(outcome.grants) == 1
    assert made.log("grant:end:asked", "actor") == [(LEA,)]
    assert shown(made)[-1].answer == REVOKED
    counted = count_answers(made.world, START, made.clock.at + 1)
    assert counted == [RuleCount("nagging", raised=2, expected=1, investigated=1, revoked=1)]
    assert counted[0].expected_share == 0.5
    assert count_answers(made.world, START - DAY, START) == []


def test_an_answer_that_does_not_count_is_not_on_record(made: Made, raiser: FlagRaiser) -> None:
    flag, made.forged = the_flag(made, raiser), True
    fresh(made, LEA)
    with made.world.db.transaction():
        flags.add(made.world.db, replace(flag, id="w2", key="quiet", quiet=True))
    assert isinstance(expect_flag(made.world, LEA, "w2", "fine"), Refused)
    leads = [partial(expect_flag, made.another_process(), LEA, flag.id, f"{n}") for n in range(4)]
    assert together(made.world.db, leads).count(None) == 1
    assert made.events("flag:rule:answered") == 1


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE flags SET answer_reason = 'x'", "has another answer"),
        ("UPDATE flags SET answer = '', answered_by = ''", "has another answer"),
        ("UPDATE flags SET person = 'U0EVE'", "differs from record"),
        ("UPDATE flags SET id = 'w1'", "w1: no record says that it was raised"),
        ("DELETE FROM flags", "is not there"),
    ],
)
def test_a_changed_flag_is_found(made: Made, raiser: FlagRaiser, sql: str, told: str) -> None:
    flag = the_flag(made, raiser)
    fresh(made, LEA)
    assert expect_flag(made.world, LEA, flag.id, "fine") is None and made.verdict().is_intact
    made.forged = True
    with made.world.db.transaction():
        made.world.db.run(sql)
    found = made.verdict().differences
    assert any(told in each.what for each in found), found


def test_a_card_and_home_show_open_flags(made: Made, raiser: FlagRaiser) -> None:
    flag = the_flag(made, raiser)
    card = describe_request(made.world, made.a_request().id)
    assert card is not None and [each.id for each in card.flags] == [flag.id]
    fresh(made, LEA, ANA)
    assert [each.id for each in describe_home(made.world, LEA).flags] == [flag.id]
    assert describe_home(made.world, ANA).flags == ()
    assert isinstance(open_flags(made.world, ANA), Refused)
    expect_flag(made.world, LEA, flag.id, "fine")
    assert open_flags(made.world, LEA) == []


def test_a_replay_finds_what_was_raised_live(made: Made, raiser: FlagRaiser) -> None:
    """Read in pieces and by two processes while it happens, and at once afterwards."""
    other = FlagRaiser(made.another_process())
    flag = the_flag(made, raiser)
    fresh(made, LEA)
    expect_flag(made.world, LEA, flag.id, "a test")
    record_loaded(made.world, made.world.policy())
    made.set_policy(shop_admin=EMERGENCY)
    record_loaded(made.world, made.world.policy())
    assert isinstance(start_emergency(made.world, Call(CARA, "shop-admin", "the till")), Started)
    other.raise_new()
    for _ in range(10):
        grant = made.a_grant()
        raiser.raise_new()
        for _ in range(4):
            made.a_token(grant)
        fresh(made, LEA)
        revoke_grant(made.world, LEA, grant=grant.id)
        made.close_gates(made.grant(grant.id))
        other.raise_new()
        made.clock.at += 60
    made.clock.at += 2 * DAY
    raiser.raise_new()
    live = shown(made)
    assert {each.rule for each in live} == {
        *("nagging", "emergency_used", "emergency_open"),
        *("policy_weakened", "many_credentials", "many_ended"),
    }
    found = replay_flags(made.world, START - DAY, settings_of(made.world.policy()))
    assert {(each.key, each.severity, each.sentence) for each in found.raised} == {
        (each.key, each.severity, each.sentence) for each in live
    }
    assert found.answers["nagging"] == {EXPECTED: 1}
    assert {each.rule for each in replay_flags(made.world, START + DAY, NO_SETTINGS).raised} == {
        "emergency_open"
    }


def test_use_from_two_places_is_recorded_once_an_hour_and_flagged(
    made: Made, raiser: FlagRaiser
) -> None:
    grant, meter = made.a_grant(duration=4 * HOUR), UsageMeter(made.world)

    def use(address: str, agent: str) -> int:
        made.clock.at += 61
        meter.count(grant.id, "shop-admin", address, agent=agent)
        meter.flush()
        return made.events("grant:use:moved")

    assert [use("10.1.2.3", "Firefox") for _ in range(3)] == [0, 0, 0], "the first use has it"
    assert use("10.1.2.200", "Firefox") == 0, "the same network"
    assert [use("192.0.2.7", "Firefox") for _ in range(2)] == [1, 1], "a new network"
    assert raiser.raise_new() == 0
    assert [use("198.51.100.9", "curl/8") for _ in range(2)] == [2, 2]
    assert raiser.raise_new() == 1
    assert [flag.rule for flag in shown(made)] == ["two_places_at_once"]
    assert [use("192.0.2.7", "Firefox"), use("198.51.100.9", "curl/8")] == [2, 2]
    made.clock.at += HOUR
    assert use("198.51.100.9", "curl/8") == 2, "nobody was elsewhere for an hour"
    assert [use("192.0.2.7", "Firefox"), use("198.51.100.9", "curl/8")] == [3, 4]
    ((detail,),) = made.log("grant:use:first", "detail")
    assert json.loads(detail)["agent"] == "Firefox"


def test_invented_programs_do_not_fill_the_log(made: Made, raiser: FlagRaiser) -> None:
    grant, meter = made.a_grant(duration=4 * HOUR), UsageMeter(made.world)
    for minute in range(3):
        for number in range(30):
            meter.count(grant.id, "shop-admin", "192.0.2.7", agent=f"made up {minute} {number}")
        made.clock.at += 61
        meter.flush()
    assert made.events("grant:use:moved") == MOST_AGENTS, "the first use has one, all others one"
    meter.count(grant.id, "shop-admin", "198.51.100.9", agent="curl/8")
    meter.flush()
    assert raiser.raise_new() == 1, "use from another place is still seen"


def test_a_rule_that_is_off_raises_nothing(made: Made, raiser: FlagRaiser) -> None:
    made.set_policy(systems=SYSTEMS + '[flags]\noff = { nagging = "a test" }\n')
    nag(made)
    assert raiser.raise_new() == 0


def test_what_happened_before_the_first_look_is_flagged_too(made: Made) -> None:
    nag(made)
    assert FlagRaiser(made.world).raise_new() == 1


def test_a_record_that_is_written_during_a_look_counts_once(
    made: Made, raiser: FlagRaiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = audit.last(made.world.db)
    nag(made, 4)
    with monkeypatch.context() as patched:
        patched.setattr(audit, "last", lambda db: head)
        assert raiser.raise_new() == 0
    assert raiser.raise_new() == 0
    nag(made, 1)
    assert raiser.raise_new() == 1


def test_a_rule_that_fails_does_not_stop_the_flags_of_later_records(
    made: Made, raiser: FlagRaiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    rule = RULES["nagging"]
    with monkeypatch.context() as patched:
        patched.setitem(RULES, "nagging", replace(rule, check=fails))
        nag(made)
        assert raiser.raise_new() == 0
    nag(made)
    assert raiser.raise_new() == 1
