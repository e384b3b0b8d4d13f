"""P23: the start of a review of many grants, and one decision in it. The limit of a decision is the
press on Approve of P2, both without HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

from bench.acks import spent_text
from bench.measure import Line, Scale, Spent, Watch, interleave, ms, paired
from bench.place import BEN, LEA, Place, a_place, postgres
from bot.core.review import Decision, ItemKind, Scope
from bot.operations.people.record_people import find_person, record_people
from bot.operations.requests.accept_vote import Press, Taken, submit_vote
from bot.operations.reviews.decide_items import Decided, decide_items
from bot.operations.reviews.start_campaign import Started, start_campaign

DUE = 7 * 86400
KEEP, END = Decision(True, "still needed"), Decision(False, "no longer needed")


def _reviewing(kind: str, url: str, scale: Scale) -> Iterator[Line]:
    held, number = max(20, scale.rows // 200), scale.loads // 2
    with a_place(url) as place:
        pressed = number * (scale.rounds + 1)
        place.company(held + pressed)
        place.grants(held, int(time.time()) + 36_000, first=pressed)
        pending = iter(place.requests(0, pressed))
        yield _start(place, kind, held)
        ((campaign, first),) = place.rows(
            "SELECT campaign_id, MIN(number) FROM review_items WHERE kind = ? GROUP BY campaign_id",
            ItemKind.GRANT,
        )
        items = count(first)

        def decide(decision: Decision) -> None:
            outcome = decide_items(place.world, BEN, campaign, [next(items)], decision)
            assert isinstance(outcome, Decided), outcome

        def approve() -> None:
            person = find_person(place.world, BEN)
            assert person is not None
            assert isinstance(submit_vote(place.world, Press(next(pending), person, True)), Taken)

        legs = {
            "keep": lambda: _each(place, number, lambda: decide(KEEP)),
            "end": lambda: _each(place, number, lambda: decide(END)),
            "approve": lambda: _each(place, number, approve),
        }
        found = interleave(min(scale.rounds, held // (2 * number) or 1), legs)
    for leg in ("keep", "end"):
        value = paired(found, leg, "approve", lambda spent: spent.p50)
        what = f"{leg} one of {held:,} items, {kind}"
        yield Line(what, spent_text(found[leg]), spent_text(found["approve"]), value, 2.0)


def _start(place: Place, kind: str, held: int) -> Line:
    _confirm(place)
    began = time.perf_counter()
    started = start_campaign(place.world, LEA, Scope(), DUE)
    took = time.perf_counter() - began
    assert isinstance(started, Started), started
    what = f"start a review of {held:,} grants, {kind}"
    return Line(what, ms(took), "–", took, 2, unit="s")


def _each(place: Place, number: int, act: Callable[[], None]) -> Spent:
    """The time of each of these decisions, by people who were just looked up in Slack."""
    _confirm(place)
    each, watch = [], Watch()
    for _ in range(number):
        began = time.perf_counter()
        act()
        each.append(time.perf_counter() - began)
    return watch.spent(number, each)


def _confirm(place: Place) -> None:
    found = [find_person(place.world, person) for person in (BEN, LEA)]
    now = int(time.time())
    record_people(place.world, [replace(each, checked_at=now) for each in found if each])


def reviewing(scale: Scale) -> Iterator[Line]:
    """P23"""
    yield from _reviewing("SQLite", "", scale)
    if (server := postgres()) is not None:
        with server.database() as url:
            yield from _reviewing("PostgreSQL", url, scale)


FIGURES = {"P23": reviewing}
