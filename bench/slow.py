"""C6 to C11: the figures P6 to P11 with ten thousand grants on a system of which every call takes 5
ms, while another system hangs and has grants to start and to end, too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.bots import a_bot
from bench.ends import ASKED, ENDED, lateness_text, left, once_each, revoked
from bench.lifecycle import PEER_CLICK, PEER_CPU, Office, an_office, live_through
from bench.measure import Line, Scale, median, ms
from bench.place import Place, a_place
from bot.core.effects import start_grant
from bot.core.model import GrantState
from bot.worker.concurrency import MOST
from storage import outbox
from tests.waiting import until

CALL = 0.005
SLOW = {"BENCH_SLOW": str(CALL)}
STUCK = 100
"""Grants that wait for the system that hangs, at their start and at their end."""


def _stuck(place: Place, many: int, number: int) -> None:
    """Adds this number of starts and ends that hang, of people after the first `many`."""
    now = int(time.time())
    place.company(many + 2 * number + 10)
    place.grants(number, now - 60, first=many, name="archive")
    waiting = place.grants(
        number, now + 3600, state=GrantState.STARTING, first=many + number, name="archive"
    )
    with place.world.db.transaction():
        outbox.add(place.world.db, [start_grant(grant, ["archive"]) for grant in waiting], now)


@contextmanager
def _crowded(scale: Scale, many: int) -> Iterator[Office]:
    with an_office(more=SLOW) as office:
        _stuck(office.place, many, min(STUCK, scale.many))
        office.place.grants(many, int(time.time()) + 36000) if many else None
        until(lambda: len(office.noted("grant")) > 0 and len(office.noted("revoke")) > 0)
        yield office


def click_to_grant(scale: Scale) -> Iterator[Line]:
    """C6"""
    total, rest = [], []
    with _crowded(scale, scale.many) as office:
        for number in range(scale.lives):
            request = office.ask(office.newcomer(number), "shop-admin")
            office.card(request)
            office.sandbox.faults.latency("*", 0.1)
            pressed = office.approve(request)
            grant = office.grant(request, "active")
            office.sandbox.faults.clear()
            opened = next(began for who, began, _ in office.noted("grant") if who == grant)
            looked = next(
                ended - began for _, began, ended in office.noted("look up") if began >= pressed
            )
            total.append(opened - pressed)
            rest.append(opened - pressed - looked)
    text = f"p50 {ms(median(rest))}, with the look-up {ms(median(total))}"
    what = f"click to the system's call, {scale.many:,} grants, without the look-up"
    yield Line(what, text, f"peer {ms(PEER_CLICK)}", median(rest) / PEER_CLICK, 0.02)


def cpu(scale: Scale) -> Iterator[Line]:
    """C8"""
    each = {}
    for many in (0, scale.many):
        with _crowded(scale, many) as office:
            people = office.newcomers(scale.lives)
            live_through(office, people)  # newcomers make the bot read the members again
            spent = live_through(office, people)
            each[many] = spent.cpu / spent.count
    ours, bare = each[scale.many], each[0]
    yield Line(
        "CPU of one lifecycle beside them", ms(ours), f"peer {ms(PEER_CPU)}", ours / PEER_CPU, 0.4
    )
    yield Line("… against one without these grants", ms(ours), ms(bare), ours / bare, 1.1)


def lateness(scale: Scale) -> Iterator[Line]:
    """C10"""
    with ExitStack() as stack:
        place = stack.enter_context(a_place())
        record = place.folder / "record"
        number = max(2, int(scale.seconds * 3))
        _stuck(place, scale.many, min(STUCK, scale.many))
        place.grants(scale.many, int(time.time()) + 36000)
        first = int(time.time()) + 6
        place.company(scale.many + 2 * STUCK + number + 10)
        grants = place.grants(number, first, spread=scale.seconds, first=scale.many + 2 * STUCK)
        ends = dict(place.rows("SELECT id, ends_at FROM grants"))
        stack.enter_context(
            a_bot(
                "run",
                place.env | SLOW | {"BENCH_RECORD": str(record)},
                place.folder,
                "bench.recorded",
            )
        )
        until(lambda: len(revoked(record).keys() & set(grants)) >= number, scale.seconds + 60, 0.2)
        ours, p99 = lateness_text(record, grants, ends)
    yield Line(
        "an end beside a system that hangs, to the system's call",
        ours,
        "0 ms",
        p99 * 1000,
        50,
        unit="ms",
    )


def overdue(scale: Scale) -> Iterator[Line]:
    """C11"""
    with ExitStack() as stack:
        place = stack.enter_context(a_place())
        _stuck(place, scale.many, min(STUCK, scale.many))
        place.grants(scale.many, int(time.time()) - 60)
        env = place.env | SLOW | {"BENCH_RECORD": str(place.folder / "record")}
        bot = stack.enter_context(a_bot("run", env, place.folder, "bench.recorded"))
        until(bot.is_ready, 60)
        began = time.monotonic()
        until(lambda: left(place, "active") == 0, 60)
        asked = time.monotonic() - began
        until(lambda: left(place, "ending") <= min(STUCK, scale.many), 300, 0.1)
        took = time.monotonic() - began
        once_each(place.world.db, f"{ENDED} AND role = 'shop-admin'", scale.many)
        once_each(place.world.db, f"{ASKED} AND role = 'shop-admin'", scale.many)
    yield Line(
        f"{scale.many:,} overdue, all asked for after readiness",
        ms(asked),
        "–",
        asked,
        2.0,
        unit="s",
    )
    bare = scale.many * 2 * CALL / MOST
    what = f"… confirmed, two calls of 5 ms each, {MOST} at a time"
    yield Line(what, ms(took), f"calls alone {ms(bare)}", took / bare, 2.0)


FIGURES = {"C6": click_to_grant, "C8": cpu, "C10": lateness, "C11": overdue}
