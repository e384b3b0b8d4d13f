"""Repeated refusals of one person or one system are one record a minute, with their number."""

from __future__ import annotations

import json

import pytest

from bot.core.approval import Refused
from bot.core.eligibility import Ask
from bot.operations._repeats import MOST_APART, WITHIN
from bot.operations.audit.record_repeats import record_repeats
from bot.operations.grants.release_grant import release_grant
from bot.operations.requests.record_refusal import refuse_action
from bot.operations.requests.request_access import request_access
from bot.operations.requests.withdraw_request import withdraw_request
from bot.operations.usage.report_session import Kept, Report, Unfit, report_use
from tests.factories import ANA, BEN, CARA, Made

SHOP = "shop-admin"
REFUSED = "request:action:refused"


def _details(made: Made, event: str = REFUSED) -> list[dict[str, object]]:
    return [json.loads(detail) for (detail,) in made.log(event, "detail")]


def _repeated(made: Made, event: str = REFUSED) -> list[object]:
    """The number of repeats in each record."""
    return [detail.get("repeated") for detail in _details(made, event)]


def _press(made: Made, request: str, person: str = ANA) -> object:
    return made.press(request, person)


def test_a_press_that_is_refused_200_times_is_two_records(made: Made) -> None:
    request = made.a_request()
    for _ in range(200):
        assert isinstance(_press(made, request.id), Refused)
    made.clock.at += 20
    _press(made, request.id)
    assert _repeated(made) == [None]
    made.clock.at += WITHIN
    record_repeats(made.world)
    record_repeats(made.world)
    assert made.log(REFUSED, "actor, subject, request") == [(ANA, ANA, request.id)] * 2
    first, then = _details(made)
    assert then == {
        **first,
        "repeated": 200,
        "since": "2026-09-21T14:13:20Z",
        "until": "2026-09-21T14:13:40Z",
    }
    assert made.count("repeats") == 0


@pytest.mark.parametrize("is_over", [False, True], ids=["cancelled", "unknown"])
def test_a_press_on_a_decided_request_is_counted_too(made: Made, is_over: bool) -> None:
    request = made.a_request()
    withdraw_request(made.world, request.id, ANA)
    for _ in range(5):
        _press(made, "rnone" if is_over else request.id, BEN)
    assert _repeated(made) == [None]


def test_refused_commands_are_counted_whatever_reason_was_typed(made: Made) -> None:
    for number in range(5):
        assert isinstance(
            request_access(made.world, Ask(ANA, "nope", f"because {number}")), Refused
        )
        refuse_action(
            made.world, ANA, "request", Refused("“30” has two readings."), reason=f"30 {number}"
        )
    assert made.log(REFUSED, "reason") == [("because 0",), ("30 0",)]
    made.clock.at += WITHIN
    record_repeats(made.world)
    assert sorted(map(str, _repeated(made))) == ["4", "4", "None", "None"]


def test_each_person_and_each_kind_has_a_record_of_its_own(made: Made) -> None:
    for person in (ANA, CARA):
        for role in ("nope", "never"):
            for _ in range(3):
                request_access(made.world, Ask(person, role, "because"))
    assert sorted(made.log(REFUSED, "actor, role")) == [
        (ANA, "never"), (ANA, "nope"), (CARA, "never"), (CARA, "nope"),
    ]  # fmt: skip


def test_without_a_worker_the_next_refusal_records_the_number(made: Made) -> None:
    for _ in range(3):
        request_access(made.world, Ask(ANA, "nope", "because"))
    made.clock.at += WITHIN
    request_access(made.world, Ask(ANA, "nope", "because"))
    assert _repeated(made) == [None, 2, None]


def test_varied_refusals_of_one_person_are_at_most_20_records_a_minute(made: Made) -> None:
    for number in range(200):
        request_access(made.world, Ask(ANA, f"nope-{number}", "because"))
    request_access(made.world, Ask(CARA, "nope-1", "because"))
    details = _details(made)
    assert len(details) == MOST_APART + 2
    assert details[MOST_APART]["why"] == "more than 20 different refusals in a minute"
    made.clock.at += WITHIN
    record_repeats(made.world)
    assert _repeated(made)[MOST_APART + 2 :] == [200 - MOST_APART - 1]


def test_unknown_grants_are_one_record_a_minute_and_system(made: Made) -> None:
    for number in range(100):
        for system in (SHOP, "reports"):
            assert isinstance(
                report_use(made.world, system, Report(f"g{number}", "opened", "s1")), Unfit
            )
    assert made.log(REFUSED, "actor, system") == [("system", SHOP), ("system", "reports")]
    made.clock.at += WITHIN
    record_repeats(made.world)
    assert _repeated(made) == [None, None, 99, 99]


def test_grants_of_other_systems_are_one_record_a_minute(made: Made) -> None:
    grants = [made.a_grant(person=person) for person in (ANA, CARA)]
    for _ in range(5):
        for grant in grants:
            assert isinstance(
                report_use(made.world, "reports", Report(grant.id, "opened", "s1")), Unfit
            )
    assert made.log(REFUSED, '"grant"') == [(grants[0].id,)]


def test_sessions_after_the_end_are_reported_one_by_one_up_to_20_a_minute(made: Made) -> None:
    grant = made.a_grant()
    release_grant(made.world, grant.id, ANA)
    made.close_gates(grant)
    made.clock.at += 300
    made.forget_work()
    for number in range(100):
        assert isinstance(
            report_use(made.world, SHOP, Report(grant.id, "opened", f"s{number}")), Kept
        )
    assert (
        made.events("grant:use:after_end") == made.work().count("notify_security") == MOST_APART + 1
    )
    assert made.count("sessions") == 100
    made.clock.at += WITHIN
    record_repeats(made.world)
    assert _repeated(made, "grant:use:after_end")[-1] == 100 - MOST_APART - 1
