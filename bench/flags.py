"""P21: transactions with the check for flags beside them and without it, and the time from the
commit of a flag's last fact to its message in the outbox."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count

from bench.measure import Line, Scale, Spent, Watch, interleave, middle, ms, paired
from bench.place import Place, a_place, postgres, someone
from bot.core.eligibility import Ask
from bot.operations.flags.raise_flags import FlagRaiser
from bot.operations.requests.request_access import Submitted, request_access
from bot.operations.requests.withdraw_request import withdraw_request
from bot.worker.flag_watch import FlagWatch

EACH = 4
"""Requests of one person, too few for a flag: as in real life, most events raise none."""

PAIRS = 4
"""Requests per unit of load, so that a leg lasts for several looks of the check."""


@contextmanager
def _a_company(url: str, people: int) -> Iterator[Place]:
    with a_place(url) as place:
        place.company(people)
        FlagRaiser(place.world).raise_new()
        yield place


def _ask_and_withdraw(place: Place, person: str) -> None:
    asked = request_access(place.world, Ask(person, "shop-admin", "because the benchmark asks", 60))
    assert isinstance(asked, Submitted), asked
    withdraw_request(place.world, asked.request.id, person)


def _leg(place: Place, number: int, people: Iterator[str], checked: bool) -> Spent:
    """Requests of many people, with or without the thread that checks them."""
    watch = FlagWatch(place.world)
    if checked:
        watch.start()
    spent, each = Watch(), []
    for _ in range(number):
        began = time.perf_counter()
        _ask_and_withdraw(place, next(people))
        each.append(time.perf_counter() - began)
    found = spent.spent(2 * number, each)
    if checked:
        watch.stop()
    return found


def _beside(kind: str, url: str, scale: Scale) -> Iterator[Line]:
    number = scale.loads * PAIRS
    most = 2 * (scale.rounds + 1) * number // EACH + 1
    with _a_company(url, most + scale.rounds) as place:
        people = (someone(turn // EACH) for turn in count())
        legs = {
            "checked": lambda: _leg(place, number, people, True),
            "without": lambda: _leg(place, number, people, False),
        }
        found = interleave(scale.rounds, legs)
        value = paired(found, "checked", "without", lambda s: s.wall)
        ours, bare = (middle(found[name], lambda s: s.wall / s.count) for name in legs)
        what = f"transactions with flag rules beside them, {kind}"
        yield Line(what, ms(ours), ms(bare), value, 1.2)
        slowest = _until_raised(place, range(most, most + scale.rounds))
        what = f"from the last fact to the flag's message in the outbox, {kind}"
        yield Line(what, ms(slowest), "–", slowest, 1, unit="s")


def _until_raised(place: Place, people: range) -> float:
    """The slowest of several flags."""
    slowest = 0.0
    with ExitStack() as stack:
        watch = FlagWatch(place.world)
        watch.start()
        stack.callback(watch.stop)
        for number in people:
            for _ in range(5):
                _ask_and_withdraw(place, someone(number))
            began = time.perf_counter()
            _wait(place, someone(number))
            slowest = max(slowest, time.perf_counter() - began)
    return slowest


def _wait(place: Place, person: str) -> None:
    sql = "SELECT 1 FROM flags WHERE rule = 'nagging' AND person = ?"
    for _ in count():
        with place.world.db.reading():
            if place.world.db.row(sql, person) is not None:
                return
        time.sleep(0.005)


def raising(scale: Scale) -> Iterator[Line]:
    """P21"""
    yield from _beside("SQLite", "", scale)
    if (server := postgres()) is not None:
        with server.database() as url:
            yield from _beside("PostgreSQL", url, scale)


FIGURES = {"P21": raising}
