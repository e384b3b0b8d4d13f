"""Looks at real grants' sessions: what hangs or fails delays nobody, and is asked again when it can
answer."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from bot.connectors import Systems
from bot.connectors.base import Session
from bot.core.errors import SystemUnavailable
from bot.core.model import Grant
from bot.operations.grants.release_grant import release_grant
from bot.operations.usage.describe_usage import describe_usage
from bot.worker.session_poller import SessionPoller
from tests.factories import ANA, CARA, START, Made
from tests.fakes import FakeSystem
from tests.waiting import until


@dataclass
class Watched(FakeSystem):
    """One that tells its sessions, unless it hangs or fails; `asked` counts the questions,
    `answered` the answers."""

    open: list[Session] = field(default_factory=list)
    asked: int = 0
    answered: int = 0
    error: Exception | None = None
    free_to_answer: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.free_to_answer.set()

    def sessions(self) -> Iterable[Session]:
        self.asked += 1
        assert self.free_to_answer.wait(30)
        self.answered += 1
        if self.error is not None:
            raise self.error
        return list(self.open)


class Each(Systems):
    """A connector for each name."""

    def __init__(self, **systems: FakeSystem) -> None:
        self.systems = {name.replace("_", "-"): system for name, system in systems.items()}

    def of(self, name: str, kind: str) -> FakeSystem:  # type: ignore[override]
        return self.systems[name]


def looked(watch: SessionPoller, made: Made, *systems: Watched) -> None:
    """One round, a quarter of a minute after the last, until these have answered and no thread is
    left."""
    made.clock.at += 15
    before = [(system, system.answered) for system in systems]
    watch.poll()
    for system, answered in before:
        until(lambda system=system, answered=answered: system.answered > answered)  # type: ignore[misc]
    until(
        lambda: (
            not [
                each
                for each in threading.enumerate()
                if each.name in {f"ask-{n}" for n in names(systems)}
            ]
        )
    )


def names(systems: Iterable[FakeSystem]) -> list[str]:
    return [name for name in ("shop-admin", "reports") if systems]


def times(made: Made, grant: Grant) -> list[tuple[str, int | None, int | None]]:
    view = describe_usage(made.world, grant.id)
    assert view is not None
    return sorted((row.name, row.opened_at, row.closed_at) for row in view.sessions)


def test_sessions_become_use_while_the_grant_lasts_and_until_they_are_gone(made: Made) -> None:
    grant, shop = made.a_grant(), Watched()
    watch = SessionPoller(made.world, Each(shop_admin=shop))
    shop.open = [Session(grant.id, "pid 1", "192.0.2.7", START + 3)]
    looked(watch, made, shop)
    assert times(made, grant) == [("pid 1", START + 3, None)]
    assert made.log("grant:use:first", "actor, system") == [(ANA, "shop-admin")]
    release_grant(made.world, grant.id, ANA)
    made.close_gates(grant)
    shop.open = []
    looked(watch, made, shop)
    assert times(made, grant) == [("pid 1", START + 3, START + 30)]
    made.clock.at += 15
    watch.poll()
    assert shop.asked == 2, "nothing can be open there any more"


def test_one_that_hangs_delays_nobody_and_is_not_asked_again_meanwhile(made: Made) -> None:
    shop, reports = Watched(), Watched()
    grant, other = made.a_grant(), made.a_grant("reports-read", CARA)
    shop.free_to_answer.clear()
    reports.open = [Session(other.id, "r", "", START)]
    watch = SessionPoller(made.world, Each(shop_admin=shop, reports=reports))
    try:
        for round in (1, 2, 3):
            made.clock.at += 15
            watch.poll()
            until(lambda round=round: reports.answered == round)  # type: ignore[misc]
            until(lambda: "ask-reports" not in {each.name for each in threading.enumerate()})
        assert times(made, other) == [("r", START, None)]
        assert (shop.asked, times(made, grant)) == (1, [])
    finally:
        shop.free_to_answer.set()
    until(lambda: "ask-shop-admin" not in {each.name for each in threading.enumerate()})
    looked(watch, made, shop, reports)
    assert shop.asked == 2


def test_an_answer_that_took_too_long_is_not_believed(made: Made) -> None:
    grant, shop = made.a_grant(), Watched()
    shop.open = [Session(grant.id, "old", "", START)]
    looked(SessionPoller(made.world, Each(shop_admin=shop), patience=-1), made, shop)
    assert times(made, grant) == []


def test_one_that_fails_closes_nothing_and_has_a_next_time(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    grant, shop = made.a_grant(), Watched()
    watch = SessionPoller(made.world, Each(shop_admin=shop))
    shop.open = [Session(grant.id, "a", "", START)]
    looked(watch, made, shop)
    for shop.error in (SystemUnavailable("down"), RuntimeError("what?")):
        looked(watch, made, shop)
        assert times(made, grant) == [("a", START, None)]
    assert "the sessions on shop-admin could not be listed: down" in caplog.text
    shop.error, shop.open = None, []
    looked(watch, made, shop)
    assert times(made, grant) == [("a", START, START + 60)]


def test_of_several_processes_one_asks(made: Made) -> None:
    made.a_grant()
    shop = Watched()
    looked(SessionPoller(made.world, Each(shop_admin=shop)), made, shop)
    SessionPoller(made.world, Each(shop_admin=shop)).poll()
    until(lambda: "ask-shop-admin" not in {each.name for each in threading.enumerate()})
    assert shop.asked == 1


def test_a_system_that_can_not_tell_is_left_alone(made: Made) -> None:
    made.a_grant()
    SessionPoller(made.world, Each(shop_admin=FakeSystem())).poll()
    until(lambda: "ask-shop-admin" not in {each.name for each in threading.enumerate()})
    assert made.count("sessions") == 0
    assert made.rows("SELECT key FROM key_values WHERE key LIKE '%sessions%'") == []
