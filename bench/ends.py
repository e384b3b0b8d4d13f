"""P9 to P11: many grants that end in the same second, one that ends at its second, and ends that
became due while no process ran. The limit is the same SQL sent by a bare loop through the
driver."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from bench import replay
from bench.acks import spent_text
from bench.bots import Bot, a_bot
from bench.measure import Line, Scale, Spent, interleave, median, ms, paired
from bench.place import Child, Place, a_child, a_place, answer, jobs, postgres
from bot.app import build_systems
from bot.core.effects import Queue
from bot.operations.grants.expire_due import expire_due
from bot.worker.dispatcher import Dispatcher
from storage.database import Database
from tests.waiting import until

ASKED = "SELECT COUNT(*), COUNT(DISTINCT \"grant\") FROM audit WHERE event = 'grant:end:asked'"
ENDED = "SELECT COUNT(*), COUNT(DISTINCT \"grant\") FROM audit WHERE event = 'grant:access:ended'"


def once_each(db: Database, sql: str, many: int) -> None:
    """Checks that nothing was lost and nothing was done twice."""
    with db.reading():
        found = db.row(sql)
    if found is None or tuple(found) != (many, many):
        raise AssertionError(f"{found} instead of {many} of each: {sql}")


def at_once(scale: Scale) -> Iterator[Line]:
    """P9"""
    yield from _ending("SQLite", "", scale)
    yield from _confirming("SQLite", "", scale.many // 5, min(3, scale.rounds))
    if (server := postgres()) is not None:
        with server.database() as url:
            yield from _ending("PostgreSQL", url, scale)
        with server.database() as url:
            yield from _confirming("PostgreSQL", url, scale.many // 5, min(3, scale.rounds))
        yield from _replicas(scale)


def _ending(kind: str, url: str, scale: Scale) -> Iterator[Line]:
    with a_place(url) as place:
        place.company(scale.many)
        place.grants(scale.many, int(time.time()) - 1)

        def end(db: Database) -> int:
            return expire_due(place.world_on(db))

        sent = replay.record(place, end)
        found = interleave(
            min(scale.rounds, 3),
            {
                "ours": lambda: replay.ours(
                    place, end, lambda db: once_each(db, ASKED, scale.many)
                ),
                "bare": lambda: replay.theirs(place, sent, scale.many),
            },
            warm=False,
        )
        what = f"{scale.many:,} ends in one second, {kind}: closed and recorded"
        if url:
            value = paired(found, "ours", "bare", lambda s: s.rate)
            yield Line(
                what, spent_text(found["ours"]), spent_text(found["bare"]), value, 0.6, least=True
            )
        else:
            value = paired(found, "ours", "bare", lambda s: s.wall)
            yield Line(what, spent_text(found["ours"]), spent_text(found["bare"]), value, 2.0)


def _confirming(kind: str, url: str, many: int, rounds: int) -> Iterator[Line]:
    """Measures until every system has confirmed its end."""
    with a_place(url) as place:
        place.company(many)
        place.grants(many, int(time.time()) - 1)
        expire_due(place.world)
        yield _confirmed(kind, place, many, rounds)


def _confirmed(kind: str, place: Place, many: int, rounds: int) -> Line:
    def confirm(db: Database) -> int:
        world = place.world_on(db)
        delivery = Dispatcher(world, build_systems(world), None, None, None)  # type: ignore[arg-type]
        return delivery.drain(Queue.END)

    sent = replay.record(place, confirm)
    found = interleave(
        rounds,
        {
            "ours": lambda: replay.ours(place, confirm, lambda db: once_each(db, ENDED, many)),
            "bare": lambda: replay.theirs(place, sent, many),
        },
        warm=False,
    )
    value = paired(found, "ours", "bare", lambda s: s.wall)
    return Line(
        f"{many:,} of them confirmed by the system, {kind}",
        spent_text(found["ours"]),
        spent_text(found["bare"]),
        value,
        2.0,
    )


def _replicas(scale: Scale) -> Iterator[Line]:
    server = postgres()
    assert server is not None
    with ExitStack() as stack:
        children = [stack.enter_context(a_child("bench.ends")) for _ in range(2)]

        def leg(workers: list[Child]) -> Spent:
            with server.database() as url, a_place(url) as place:
                place.grants(scale.many, int(time.time()) - 1)
                for child in children:
                    child.ask(url=url, roles=str(place.folder))
                began = time.time()
                for child in workers:
                    child.send(go=True)
                replies = [child.receive() for child in workers]
                once_each(place.world.db, ASKED, scale.many)
                return Spent(
                    max(s["ended"] for s in replies) - began,
                    sum(s["cpu"] for s in replies),
                    scale.many,
                )

        found = interleave(
            min(scale.rounds, 3),
            {"two": lambda: leg(children), "one": lambda: leg(children[:1])},
            warm=False,
        )
    value = paired(found, "two", "one", lambda s: s.rate)
    what = f"{scale.many:,} ends, two processes on one PostgreSQL against one"
    yield Line(what, spent_text(found["two"]), spent_text(found["one"]), value, 1.3, least=True)


def lateness(scale: Scale) -> Iterator[Line]:
    """P10"""
    with ExitStack() as stack:
        place: Place = stack.enter_context(a_place())
        record = place.folder / "record"
        first = int(time.time()) + 4
        place.company(10)
        number = max(2, int(scale.seconds * 3))
        grants = place.grants(number, first, spread=scale.seconds)
        ends = dict(place.rows("SELECT id, ends_at FROM grants"))
        stack.enter_context(
            a_bot("run", place.env | {"BENCH_RECORD": str(record)}, place.folder, "bench.recorded")
        )
        until(lambda: len(revoked(record)) >= number, scale.seconds + 30, 0.2)
        ours, p99 = lateness_text(record, grants, ends)
    yield Line(
        "an end at light load, to the system's call", ours, "0 ms", p99 * 1000, 50, unit="ms"
    )


def lateness_text(record: Path, grants: list[str], ends: Mapping[str, int]) -> tuple[str, float]:
    """The lateness of the system's calls for these ends, in words, and its 99th percentile in
    seconds."""
    late = sorted(
        began - ends[grant] for grant, began in revoked(record).items() if grant in grants
    )
    p99 = late[min(len(late) - 1, int(0.99 * len(late)))]
    return f"p50 {ms(median(late))} · p99 {ms(p99)} ({len(late)} ends)", p99


def revoked(record: Path) -> dict[str, float]:
    """The time of the first revocation of each grant."""
    found: dict[str, float] = {}
    lines = record.read_text().splitlines() if record.exists() else []
    for what, grant, began, _ in map(json.loads, lines):
        if what == "revoke":
            found.setdefault(grant, began)
    return found


def overdue(scale: Scale) -> Iterator[Line]:
    """P11"""
    with ExitStack() as stack:
        place: Place = stack.enter_context(a_place())
        place.company(10)
        place.grants(scale.many, int(time.time()) - 60)
        first = stack.enter_context(a_bot("run", place.env, place.folder))
        until(lambda: left(place, "active") < scale.many, every=0.005)
        first.kill()
        second = stack.enter_context(a_bot("run", place.env, place.folder))
        ready, closed = _watch(place, second)
        second.kill()
        third = stack.enter_context(a_bot("run", place.env, place.folder))
        until(third.is_ready)
        began = time.monotonic()
        until(lambda: left(place, "ending") == 0, 300, 0.1)
        took = time.monotonic() - began
        once_each(place.world.db, ASKED, scale.many)
        once_each(place.world.db, ENDED, scale.many)
    what = f"{scale.many:,} overdue after SIGKILL and restart: closed after readiness"
    late = max(0.0, closed - ready)
    yield Line(
        what,
        ms(late),
        "–",
        late,
        2.0,
        unit="s",
        note="killed twice on the way; none lost, none doubled",
    )
    yield Line("… and confirmed by the system", ms(took), "–", took, 2.0, unit="s")


def left(place: Place, state: str) -> int:
    return int(place.rows("SELECT COUNT(*) FROM grants WHERE state = ?", state)[0][0])


def _watch(place: Place, bot: Bot) -> tuple[float, float]:
    """The time when the process was ready, and the time when no overdue end was left."""
    ready = closed = 0.0
    while not (ready and closed):
        if not closed and left(place, "active") == 0:
            closed = time.monotonic()
        if not ready and bot.is_ready():
            ready = time.monotonic()
        time.sleep(0.01)
    return ready, closed


FIGURES = {"P9": at_once, "P10": lateness, "P11": overdue}


def _child() -> None:
    """One replica: opens its database when it gets the URL, and ends due grants on order."""
    answer(ready=True)
    world = None
    with a_place() as place:
        for job in jobs():
            if "url" in job:
                if world is not None:
                    world.db.close()
                world = place.world_on(Database(job["url"]))
                with world.db.reading():
                    world.db.row("SELECT 1")
                answer()
                continue
            assert world is not None
            cpu = time.process_time()
            expire_due(world)
            answer(ended=time.time(), cpu=time.process_time() - cpu)
        if world is not None:
            with closing(world.db):
                pass


if __name__ == "__main__":
    _child()
    sys.stdout.flush()
