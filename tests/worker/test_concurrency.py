"""The limit of calls that run at once on a system, and a system that hangs without blocking the
others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.core.effects import Queue
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import Grant, GrantState
from bot.operations.grants.release_grant import release_grant
from bot.operations.requests.describe_request import describe_request
from bot.operations.usage.count_usage import UsageMeter
from bot.slack.views import approval_message
from bot.worker.concurrency import DOWN, FIRST, MOST, THREADS, ConcurrencyLimits
from bot.worker.dispatcher import Dispatcher
from tests.factories import ANA, CARA, Made, a_person, make_world
from tests.fakes import FakeMessenger, FakePeople, SeveralSystems
from tests.slack.slack_driver import words
from tests.waiting import until


def entered(limits: ConcurrencyLimits, system: str = "a") -> int:
    """The number of its calls that may start one after the other."""
    number = 0
    while limits.enter([system]):
        number += 1
    return number


def test_every_answer_allows_more_calls_up_to_a_limit() -> None:
    limits = ConcurrencyLimits()
    assert entered(limits) == FIRST and limits.full() == ["a"]
    limits.leave(["a"], [])
    assert entered(limits) == 2
    for _ in range(MOST):
        limits.leave(["a"], [])
        limits.enter(["a"])
    assert entered(limits) == MOST - FIRST - 1


def test_a_system_that_fails_repeatedly_gets_one_call_at_a_time_until_it_answers() -> None:
    limits = ConcurrencyLimits()
    for _ in range(DOWN):
        assert limits.enter(["a"])
        assert limits.leave(["a"], ["a"]) == []
    assert entered(limits) == 1
    assert limits.leave(["a"], []) == ["a"]
    assert entered(limits) == FIRST + 1


def test_a_call_of_several_needs_room_at_each_and_blames_only_the_one_that_failed() -> None:
    limits = ConcurrencyLimits()
    entered(limits, "a")
    assert not limits.enter(["b", "a"])
    assert entered(limits, "b") == FIRST
    limits = ConcurrencyLimits()
    for _ in range(DOWN):
        limits.enter(["a", "b"])
        limits.leave(["a", "b"], ["b"])
    assert (entered(limits, "a"), entered(limits, "b")) == (FIRST + DOWN, 1)


def test_a_system_that_was_not_called_does_not_count_as_answering() -> None:
    limits = ConcurrencyLimits()
    for _ in range(DOWN):
        limits.enter(["b"])
        limits.leave(["b"], ["b"])
    assert limits.enter(["a", "b"])
    assert limits.leave(["b", "a"], ["a"]) == []
    assert entered(limits, "b") == 1


def test_however_many_hang_at_once_there_are_threads_for_one_more() -> None:
    """Each has answered well until now, so each might have as many calls as a system can."""
    limits, names = ConcurrencyLimits(), "abcdef"
    for name in names:
        for _ in range(MOST):
            limits.enter([name])
            limits.leave([name], [])
    hanging = [entered(limits, name) for name in names[:-1]]
    assert hanging[0] == MOST and sum(hanging) < THREADS
    assert 1 <= entered(limits, names[-1]) <= THREADS - sum(hanging)
    assert limits.enter(["one more"])


# --- in delivery


@pytest.fixture
def several() -> SeveralSystems:
    return SeveralSystems()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    made = make_world(tmp_path)
    both = (
        'systems = ["shop-admin", "reports"]\nactions = ["read"]\nrequesters ='
        ' ["everyone"]\napprovers = ["@db-leads"]'
    )
    made.set_policy(both=both, reports_read="renewal_approval = false")
    made.forget_work()
    with closing(made.world.db):
        yield made


@pytest.fixture
def delivery(made: Made, several: SeveralSystems) -> Iterator[Dispatcher]:
    meter = UsageMeter(made.world)
    delivery = Dispatcher(made.world, several, FakeMessenger(), FakePeople(), meter)  # type: ignore[arg-type]
    yield delivery
    several.free()
    if delivery.well():
        delivery.stop()


def starting(made: Made, role: str, person: str = ANA) -> Grant:
    return made.a_started(made.a_request(role, person))


def people(number: int) -> list[str]:
    return [f"U0WAITS{n}" for n in range(number)]


@pytest.fixture
def crowd(made: Made) -> Callable[[str, int], list[Grant]]:
    def come(role: str, number: int) -> list[Grant]:
        made.know(*map(a_person, people(number)))
        return [starting(made, role, person) for person in people(number)]

    return come


def test_starts_on_a_system_that_hangs_do_not_delay_another(
    made: Made,
    several: SeveralSystems,
    delivery: Dispatcher,
    crowd: Callable[[str, int], list[Grant]],
) -> None:
    several.known["shop-admin"].hang("grant")
    stuck = crowd("shop-admin", 60)
    other = starting(made, "reports-read", CARA)
    delivery.start()
    until(lambda: made.grant(other.id).state is GrantState.ACTIVE)
    until(lambda: several.known["shop-admin"].inside == FIRST)
    several.free()
    until(lambda: all(made.grant(grant.id).state is GrantState.ACTIVE for grant in stuck))
    assert several.known["shop-admin"].count_calls("grant") == 60


def test_ends_on_a_system_that_hangs_do_not_delay_another(
    made: Made,
    several: SeveralSystems,
    delivery: Dispatcher,
    crowd: Callable[[str, int], list[Grant]],
) -> None:
    given = [*crowd("shop-admin", 70), starting(made, "reports-read", CARA)]
    delivery.drain(Queue.START)
    several.known["shop-admin"].hang("revoke")
    for grant in given:
        release_grant(made.world, grant.id, grant.person)
    delivery.start()
    until(lambda: made.grant(given[-1].id).state is GrantState.ENDED)
    until(lambda: several.known["shop-admin"].inside == FIRST)


def test_work_for_a_system_is_retried_at_once_when_it_answers_again(
    made: Made,
    several: SeveralSystems,
    delivery: Dispatcher,
    crowd: Callable[[str, int], list[Grant]],
) -> None:
    given = crowd("reports-read", 8)
    delivery.drain(Queue.START)
    several.known["reports"].failing["revoke"] = SystemUnavailable("it sleeps")
    for grant in given:
        release_grant(made.world, grant.id, grant.person)
    delivery.start()
    until(
        lambda: made.count("outbox", "queue = 'end' AND attempts > 0 AND claimed_by IS NULL") == 8
    )
    several.known["reports"].failing.clear()
    with made.world.db.transaction():
        first = "(SELECT MIN(id) FROM outbox WHERE queue = 'end')"
        made.world.db.run(f"UPDATE outbox SET due_at = {made.clock.at + 3600} WHERE queue = 'end'")
        made.world.db.run(f"UPDATE outbox SET due_at = 0 WHERE id = {first}")
    delivery.wake([Queue.END])
    until(lambda: all(made.grant(grant.id).state is GrantState.ENDED for grant in given))


# --- several systems


def shown(made: Made, grant: Grant) -> str:
    card = describe_request(made.world, grant.request)
    assert card is not None
    return re.sub(
        r" +", " ", words(approval_message.render(card, made.clock.at)).replace(" True", "")
    )


def test_a_role_of_several_systems_is_active_when_all_are_and_shows_progress(
    made: Made, several: SeveralSystems, delivery: Dispatcher
) -> None:
    grant = starting(made, "both")
    several.known["shop-admin"].failing["grant"] = SystemUnavailable("not yet")
    delivery.drain(Queue.START)
    assert made.grant(grant.id).state is GrantState.STARTING
    assert "1 of 2 systems : reports" in shown(made, grant)
    several.known["shop-admin"].failing.clear()
    made.clock.at += 60
    delivery.drain(Queue.START)
    assert made.grant(grant.id).state is GrantState.ACTIVE
    # The first system has had it since then.
    assert made.grant(grant.id).ends_at == made.clock.at - 60 + grant.duration
    assert "of 2 systems" not in shown(made, grant)


def test_access_on_some_systems_is_removed_when_another_refuses(
    made: Made, several: SeveralSystems, delivery: Dispatcher
) -> None:
    grant = starting(made, "both")
    several.known["shop-admin"].failing["grant"] = SystemRefused("no_such_action")
    delivery.drain(Queue.START)
    assert made.grant(grant.id).state is GrantState.FAILED
    assert several.known["reports"].held == {grant.id}
    delivery.drain(Queue.END)
    assert several.known["reports"].held == set()
    assert made.count("leases", "state <> 'ended'") == 0


def test_each_system_of_a_role_ends_separately(
    made: Made, several: SeveralSystems, delivery: Dispatcher
) -> None:
    grant = starting(made, "both")
    delivery.drain(Queue.START)
    several.known["shop-admin"].failing["revoke"] = SystemUnavailable("it sleeps")
    release_grant(made.world, grant.id, grant.person)
    delivery.drain(Queue.END)
    assert several.known["reports"].held == set() and several.known["shop-admin"].held == {grant.id}
    assert made.grant(grant.id).state is GrantState.ENDING
    assert "Not confirmed yet by shop-admin" in shown(made, grant)
    several.known["shop-admin"].failing.clear()
    made.clock.at += 300
    delivery.drain(Queue.END)
    assert made.grant(grant.id).state is GrantState.ENDED
    assert made.events("grant:access:ended") == 2
