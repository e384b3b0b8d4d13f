"""One person requests without end: the limit of requests, and its one record."""

from __future__ import annotations

import pytest

from bot.core.approval import Refused
from bot.core.eligibility import Ask
from bot.operations.grants.renew_grant import renew_grant
from bot.operations.requests.request_access import (
    MOST_REQUESTS,
    MOST_WITHIN,
    Outcome,
    Submitted,
    Waiting,
    request_access,
)
from bot.operations.requests.withdraw_request import Withdrawn, withdraw_request
from tests.factories import ANA, CARA, Made

LIMIT = "You made 30 requests within 10m, which is the limit. You can ask again in "


def _ask(made: Made, person: str = ANA) -> Outcome:
    return request_access(made.world, Ask(person, "shop-admin", "because"))


def _ask_and_cancel(made: Made, times: int = 1, person: str = ANA) -> None:
    for _ in range(times):
        asked = _ask(made, person)
        assert isinstance(asked, Submitted), asked
        assert isinstance(withdraw_request(made.world, asked.request.id, person), Withdrawn)


def test_the_thirty_first_request_in_ten_minutes_is_refused_and_says_when(made: Made) -> None:
    _ask_and_cancel(made)
    made.clock.at += 60
    _ask_and_cancel(made, MOST_REQUESTS - 1)
    made.clock.at += 90
    assert _ask(made) == Refused(f"{LIMIT}7m 30s.", wait=450)
    _ask_and_cancel(made, person=CARA)
    made.clock.at += 450 - 1
    assert _ask(made) == Refused(f"{LIMIT}1s.", wait=1)
    made.clock.at += 1
    _ask_and_cancel(made)
    assert _ask(made) == Refused(f"{LIMIT}1m.", wait=60)


def test_a_hundred_requests_above_the_limit_are_one_record(made: Made) -> None:
    _ask_and_cancel(made, MOST_REQUESTS)
    before = made.count("audit"), made.count("outbox")
    assert {_ask(made) for _ in range(100)} == {Refused(f"{LIMIT}10m.", wait=600)}
    assert made.log("request:action:refused", "actor, role, reason") == [
        (ANA, "shop-admin", "because")
    ]
    assert (made.count("audit"), made.count("outbox")) == (before[0] + 1, before[1])
    made.clock.at += MOST_WITHIN
    _ask_and_cancel(made, MOST_REQUESTS)
    _ask(made)
    assert made.events("request:action:refused") == 2


def test_renewals_that_need_approval_count_as_requests(made: Made) -> None:
    made.set_policy(shop_admin="renewal_approval = true\nmax_renewals = 100")
    grant = made.a_grant(duration=4 * 3600)
    made.clock.at += MOST_WITHIN
    for _ in range(MOST_REQUESTS):
        asked = renew_grant(made.world, grant.id, ANA)
        assert isinstance(asked, Submitted), asked
        withdraw_request(made.world, asked.request.id, ANA)
    assert renew_grant(made.world, grant.id, ANA) == Refused(f"{LIMIT}10m.", wait=600)
    assert made.log("request:action:refused", 'actor, "grant"') == [(ANA, grant.id)]


def test_requests_that_wait_for_slack_have_the_same_limit(made: Made) -> None:
    made.reload(shop_admin='requesters = ["@new-group"]')
    asked = [_ask(made) for _ in range(MOST_REQUESTS + 20)]
    assert [type(outcome) for outcome in asked[:MOST_REQUESTS]] == [Waiting] * MOST_REQUESTS
    assert all(isinstance(outcome, Refused) for outcome in asked[MOST_REQUESTS:])
    assert made.events("request:action:refused") == 1


@pytest.mark.parametrize("others", [0, 3])
def test_the_limit_is_each_persons_own(made: Made, others: int) -> None:
    _ask_and_cancel(made, MOST_REQUESTS)
    for _ in range(others):
        _ask_and_cancel(made, person=CARA)
    assert isinstance(_ask(made), Refused)
    assert isinstance(_ask(made, CARA), Submitted)
