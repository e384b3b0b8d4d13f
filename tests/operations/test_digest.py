"""The weekly digest: when it is queued, and the facts that it is made of."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from bot.core.digest import Outcome
from bot.core.effects import Kind
from bot.core.feedback import Feedback
from bot.core.model import EndReason, Grant
from bot.core.right_sizing import Change
from bot.core.weekly import Period
from bot.operations._end_grant import request_end
from bot.operations._unit_of_work import POLICY_IN_FORCE, unit
from bot.operations.digest.describe_digest import describe_digest
from bot.operations.digest.describe_right_sizing import describe_right_sizing
from bot.operations.digest.send_due_digest import send_due_digest
from bot.operations.grants.give_feedback import give_feedback
from bot.operations.grants.record_results import record_ended
from bot.operations.messages.record_posted import forward_refused_notes
from bot.operations.policy.record_policy import record_loaded
from bot.operations.process.forget_old import forget_old
from bot.operations.requests.deny_request import deny_request
from bot.operations.requests.withdraw_request import withdraw_request
from bot.operations.usage.count_usage import UsageMeter
from storage import key_values
from tests.builders import WORKSPACE
from tests.factories import ANA, BEN, CARA, DAN, LEA, START, Made, a_person

MONDAYS = WORKSPACE + 'digest = "Mon 09:00"\n'
BERLIN = ZoneInfo("Europe/Berlin")
DIGESTS = "SELECT data FROM outbox WHERE kind = 'send_digest' ORDER BY id"
WEEK = 7 * 86400


def monday(made: Made, day: int, clock: str = "09:00") -> int:
    """Moves the clock to a Monday of September or October 2026; the test begins on the 21st."""
    month, day = (9, day) if day <= 30 else (10, day - 30)
    made.clock.at = int(
        datetime.fromisoformat(f"2026-{month:02}-{day:02} {clock}")
        .replace(tzinfo=BERLIN)
        .timestamp()
    )
    return made.clock.at


def weekly(made: Made) -> None:
    """A roles.toml with a digest, and a log that has begun."""
    made.set_policy(workspace=MONDAYS)
    made.a_request()


def queued(made: Made) -> list[dict[str, Any]]:
    return [json.loads(data) for (data,) in made.rows(DIGESTS)]


def test_it_is_queued_once_a_week_by_the_first_process(made: Made) -> None:
    weekly(made)
    others = [made.another_process(), made.another_process()]
    assert not send_due_digest(made.world), "last Monday there was no log yet"
    monday(made, 28, "08:59")
    assert not send_due_digest(made.world)
    at = monday(made, 28)
    assert [send_due_digest(world) for world in (made.world, *others)] == [True, False, False]
    about = {"channel": "#access-security", "since": at - WEEK, "until": at}
    assert queued(made) == [{**about, "report": "weekly"}, {**about, "report": "right_sizing"}]
    made.clock.at += 8 * 86400 - 1
    forget_old(made.world)
    assert send_due_digest(others[0]) and not send_due_digest(made.world)
    assert [each["report"] for each in queued(made)] == ["weekly", "right_sizing"] * 2, (
        "the next Monday is in October"
    )
    made.clock.at += WEEK
    assert send_due_digest(made.world) and len(queued(made)) == 5, "once a month"


def test_a_digest_that_was_missed_is_made_up_for(made: Made) -> None:
    weekly(made)
    monday(made, 28)
    made.clock.at += 3 * WEEK + 86400
    assert send_due_digest(made.world) and not send_due_digest(made.world)
    assert len(queued(made)) == 2


def test_without_the_key_there_is_none(made: Made) -> None:
    made.a_request()
    monday(made, 28)
    assert not send_due_digest(made.world)


def test_a_process_with_an_outdated_file_sends_none(made: Made) -> None:
    weekly(made)
    monday(made, 28)
    with made.world.db.transaction():
        key_values.put(made.world.db, POLICY_IN_FORCE, "another")
    assert not send_due_digest(made.world)


def test_leads_get_what_the_security_channel_refuses(made: Made) -> None:
    weekly(made)
    monday(made, 28)
    send_due_digest(made.world)
    made.forget_work()
    data = {"channel": "#access-security", "report": "weekly", "since": 1, "until": 2}
    forward_refused_notes(made.world, [(Kind.SEND_DIGEST, data)], "#access-security", "is_archived")
    assert queued(made) == [{**data, "channel": LEA}]


def end(made: Made, grant: Grant, why: EndReason = EndReason.EXPIRED) -> None:
    with unit(made.world) as u:
        request_end(u, [grant], why, "system")
    for system in grant.systems:
        record_ended(made.world, grant.id, system)


def test_the_facts_are_those_of_the_period(made: Made) -> None:
    """Each number is counted from rows that real operations made, on both databases."""
    early, waits = made.a_grant("reports-read", DAN), made.a_request("shop-admin", LEA)
    made.clock.at = START + 100
    held, over = made.a_grant("shop-admin", CARA), made.a_grant("shop-admin", DAN)
    made.check(made.a_token(over))
    asked = made.a_request("shop-admin", ANA)
    made.clock.at += 60
    deny_request(made.world, asked.id, a_person(BEN), "no")
    withdraw_request(made.world, waits.id, LEA)
    end(made, over, EndReason.RELEASED)
    end(made, early)
    give_feedback(made.world, early.id, DAN, Feedback.MORE)
    made.clock.at += 1000
    made.a_grant("reports-read", LEA)
    view = describe_digest(made.world, Period(START + 100, START + 200))
    found = view.digest
    assert [grant.id for grant in found.held] == [held.id]
    assert {grant.id for grant in found.started} == {held.id, over.id}
    assert {grant.id for grant in found.ended} == {early.id, over.id}
    assert found.ends == {EndReason.RELEASED: 1, EndReason.EXPIRED: 1}
    assert found.outcomes == {Outcome.BY_PEOPLE: 2, Outcome.DENIED: 1, Outcome.WITHDRAWN: 1}
    assert (found.to_decision and found.to_decision.most) == 60
    assert (found.to_access and found.to_access.count) == 2
    assert found.feedback == {Feedback.MORE: 1}
    assert view.names[CARA] == "U0Cara"


def test_suggestions_are_made_from_the_rows_of_a_quarter(made: Made) -> None:
    """On both databases: the roles.toml of its first day, requests, grants, use and answers."""
    record_loaded(made.world, made.world.policy())
    meter, made.clock.at = UsageMeter(made.world), START + 86400
    for number in range(10):
        made.clock.at += 7000
        grant = made.a_grant("shop-admin", (ANA, CARA, DAN)[number % 3])
        made.clock.at += 500
        meter.count(grant.id, "shop-admin", "192.0.2.7")
        meter.flush()
        end(made, grant)
    made.clock.at = START + 90 * 86400
    found = describe_right_sizing(made.world, made.clock.at)
    assert (found.roles, found.requests, found.grants) == (3, 10, 10)
    assert {each.role: each.change for each in found.suggestions} == {
        "shop-deploy": Change.UNUSED_ROLE,
        "reports-read": Change.UNUSED_ROLE,
        "shop-admin": Change.SHORTER,
    }
    with made.world.db.transaction():
        made.world.db.run("DELETE FROM usage")
    kept = describe_right_sizing(made.world, made.clock.at).suggestions
    assert {each.change for each in kept} == {Change.UNUSED_ROLE}
    assert "shop-admin" not in {each.role for each in kept}, "retention does not make it unused"
    made.clock.at = START + 91 * 86400
    made.set_policy(
        mine='title = "New"\nsystem = "reports"\nactions = ["r"]\n'
        'requesters = ["everyone"]\napprovers = ["@db-leads"]\n'
    )
    later = describe_right_sizing(made.world, made.clock.at)
    assert (later.roles, later.suggestions) == (4, kept), "a new role is left alone"


def test_before_the_log_is_a_quarter_old_nothing_counts_as_never_used(made: Made) -> None:
    made.clock.at = START + 80 * 86400
    record_loaded(made.world, made.world.policy())
    assert describe_right_sizing(made.world, made.clock.at + 1).suggestions == ()
