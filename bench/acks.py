"""P1 to P4: the time until Slack gets its answer. The bot stores a command or a press durably
before it answers. The limit is Bolt with a listener that does nothing, behind the same server and
the same socket client, plus one raw durable transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from bench import payloads
from bench.bots import Bot, a_bot
from bench.measure import Line, Scale, Spent, Watch, cpu_of, interleave, middle, ms, paired
from bench.place import Child, Place, a_child, a_place
from bot.core.effects import post_approval, start_grant
from bot.core.model import GrantState
from bot.sandbox import running_sandbox
from storage import outbox, requests
from tests.waiting import until

FULL_ACK = (
    "the ack carries the whole answer, after 12 statements in one durable transaction with a record"
    " in the chain, that change some 25 pages; the limit is a listener that does nothing and"
    " answers nothing, and one durable row"
)
ASK = "request shop-admin 1h because the benchmark asks"


class BotAndBolt:
    """A bot and a bare Bolt over HTTP, with people who have no request yet, and pending
    requests."""

    def __init__(
        self,
        stack: ExitStack,
        people: int,
        pending: int = 0,
        module: str = "bot",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.place: Place = stack.enter_context(a_place())
        self.place.company(people + pending)
        self._people, self._pending = (
            iter(range(people)),
            iter(self.place.requests(people, pending)),
        )
        self.bot: Bot = stack.enter_context(
            a_bot("web", self.place.env | dict(env or {}), self.place.folder, module)
        )
        self.bare: Child = stack.enter_context(
            a_child("bench.bare", "bolt", str(self.place.folder))
        )
        self.load: Child = stack.enter_context(a_child("bench.load"))
        until(lambda: self.bot.status("/healthz") == 200)

    def asked(self, number: int) -> list[bytes]:
        return [payloads.signed(payloads.command(next(self._people), ASK)) for _ in range(number)]

    def pressed(self, number: int) -> list[bytes]:
        return [payloads.signed(payloads.click(next(self._pending))) for _ in range(number)]

    def ours(self, requests: list[bytes], at_once: int) -> Spent:
        return fire(self.load, self.place.folder, self.bot.port, self.bot.pid, requests, at_once)

    def theirs(self, requests: list[bytes], at_once: int) -> Spent:
        return fire(
            self.load, self.place.folder, self.bare.ready["port"], self.bare.pid, requests, at_once
        )


def fire(
    load: Child, folder: Path, port: int, pid: int, requests: list[bytes], at_once: int
) -> Spent:
    """Sends one leg, in which every request is answered with 200."""
    path, before = payloads.keep(folder, requests), cpu_of(pid)
    reply = load.ask(port=port, requests=path, connections=at_once)
    if set(reply["statuses"]) - {"200", "204"}:
        raise RuntimeError(f"refused: {reply['statuses']}")
    return Spent(reply["wall"], cpu_of(pid) - before, len(requests), reply["each"])


def spent_text(spent: list[Spent], p50: bool = False) -> str:
    cpu = ms(middle(spent, lambda s: s.cpu / s.count))
    if p50:
        return f"p50 {ms(middle(spent, lambda s: s.p50))} · CPU {cpu}"
    return f"{middle(spent, lambda s: s.rate):,.0f}/s · CPU {cpu}"


def commands(scale: Scale) -> Iterator[Line]:
    """P1"""
    legs = {1: scale.loads // 2, 16: scale.loads}
    with ExitStack() as stack:
        both = BotAndBolt(stack, people=sum(legs.values()) * (scale.rounds + 1))
        raw = stack.enter_context(raw_file(both.place.folder))
        for at_once, number in legs.items():
            found = interleave(
                scale.rounds,
                {
                    "ours": lambda c=at_once, n=number: both.ours(both.asked(n), c),
                    "bare": lambda c=at_once, n=number: both.theirs(
                        [payloads.signed(payloads.command(0, ASK)) for _ in range(n)], c
                    ),
                    "raw": lambda n=number: transactions(raw, n),
                },
            )
            found["limit"] = durable(found)
            if at_once == 1:
                value = paired(found, "ours", "limit", lambda s: s.p50)
                ours, limit = spent_text(found["ours"], True), spent_text(found["limit"], True)
                yield Line("/access request, acked alone", ours, limit, value, 2.0, note=FULL_ACK)
            else:
                value = paired(found, "ours", "limit", lambda s: s.rate)
                what = f"/access request, {at_once} at once"
                yield Line(
                    what,
                    spent_text(found["ours"]),
                    spent_text(found["limit"]),
                    value,
                    0.5,
                    least=True,
                    note=FULL_ACK,
                )


def clicks(scale: Scale) -> Iterator[Line]:
    """P2"""
    number = scale.loads // 2
    with ExitStack() as stack:
        both = BotAndBolt(stack, people=0, pending=number * (scale.rounds + 1))
        raw = stack.enter_context(raw_file(both.place.folder))
        found = interleave(
            scale.rounds,
            {
                "ours": lambda: both.ours(both.pressed(number), 1),
                "bare": lambda: both.theirs(
                    [payloads.signed(payloads.click("r0")) for _ in range(number)], 1
                ),
                "raw": lambda: transactions(raw, number),
            },
        )
    found["limit"] = limit = durable(found)
    value = paired(found, "ours", "limit", lambda s: s.p50)
    yield Line(
        "Approve pressed, kept durably, acked",
        spent_text(found["ours"], True),
        spent_text(limit, True),
        value,
        2.0,
    )


def durable(found: Mapping[str, Sequence[Spent]]) -> list[Spent]:
    """The bare answer and then one durable transaction, for each request."""
    return [
        Spent(bare.wall + raw.wall, bare.cpu + raw.cpu, bare.count, [bare.p50 + raw.p50])
        for bare, raw in zip(found["bare"], found["raw"], strict=True)
    ]


@contextmanager
def raw_file(folder: Path) -> Iterator[sqlite3.Connection]:
    """A database as durable as the bot's."""
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
    for pragma in ("journal_mode = wal", "synchronous = full"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(
        "CREATE TABLE pressed (id INTEGER PRIMARY KEY, who TEXT, at INTEGER, data TEXT)"
    )
    try:
        yield connection
    finally:
        connection.close()


def transactions(connection: sqlite3.Connection, number: int) -> Spent:
    each, watch = [], Watch()
    for n in range(number):
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT INTO pressed (who, at, data) VALUES (?, ?, ?)", ("U0BENOKAFO", n, "x" * 200)
        )
        connection.execute("COMMIT")
        each.append(time.perf_counter() - began)
    return watch.spent(number, each)


def sockets(scale: Scale) -> Iterator[Line]:
    """P3"""
    number, at_once = scale.loads, 10
    with ExitStack() as stack:
        place = stack.enter_context(a_place())
        place.company(number * (scale.rounds + 1))
        people = count()

        def leg(kind: str, person: Callable[[], int]) -> Callable[[], Spent]:
            slack = stack.enter_context(a_child("bench.envelopes"))
            address = f"http://127.0.0.1:{slack.ready['port']}/api/"
            child = stack.enter_context(
                a_child(
                    "bench.bare",
                    kind,
                    str(place.folder),
                    env=place.env | {"SLACK_API_URL": address},
                )
            )

            def fire() -> Spent:
                path = place.folder / f"envelopes-{time.monotonic_ns()}"
                path.write_text(
                    "\n".join(
                        payloads.envelope(payloads.command(person(), ASK)) for _ in range(number)
                    )
                )
                before = cpu_of(child.pid)
                reply = slack.ask(envelopes=str(path), at_once=at_once)
                return Spent(reply["wall"], cpu_of(child.pid) - before, number, reply["each"])

            return fire

        raw = stack.enter_context(raw_file(place.folder))
        legs = {
            "ours": leg("socket-ours", lambda: next(people)),
            "bare": leg("socket-bare", lambda: 0),
            "raw": lambda: transactions(raw, number),
        }
        found = interleave(scale.rounds, legs)
    found["limit"] = durable(found)
    value = paired(found, "ours", "limit", lambda s: s.rate)
    what = f"/access request over Socket Mode, {at_once} at once"
    yield Line(
        what,
        spent_text(found["ours"]),
        spent_text(found["limit"]),
        value,
        0.4,
        least=True,
        note=FULL_ACK,
    )


def under_trouble(scale: Scale) -> Iterator[Line]:
    """P4"""
    number = scale.loads
    with ExitStack() as stack:
        idle, hung = (troubled(stack, scale, number, trouble) for trouble in (False, True))
        load = stack.enter_context(a_child("bench.load"))

        found = interleave(
            scale.rounds,
            {
                "idle": lambda: under_load(load, *idle, number),
                "hung": lambda: under_load(load, *hung, number),
            },
        )
    p99 = {
        name: Spent(1, 1, 1, sorted(t for s in legs for t in s.each))
        for name, legs in found.items()
    }
    value = p99["hung"].quantile(0.99) / p99["idle"].quantile(0.99)
    ours, limit = (
        f"p99 {ms(p99[name].quantile(0.99))} · {spent_text(found[name])}"
        for name in ("hung", "idle")
    )
    yield Line("acks while every system hangs 10 s and Slack takes 2 s", ours, limit, value, 1.5)
    worst = p99["hung"].quantile(0.99) * 1000
    yield Line("the same, p99 in milliseconds", ours, limit, worst, 100, unit="ms")


def troubled(
    stack: ExitStack,
    scale: Scale,
    number: int,
    trouble: bool,
    module: str = "bench.recorded",
    more: Mapping[str, str] | None = None,
) -> tuple[Place, Bot, Iterator[int]]:
    """The whole bot in one process, with work waiting for systems and for Slack when there is
    trouble."""
    place: Place = stack.enter_context(a_place())
    people, waiting = number * (scale.rounds + 1), min(200, scale.many)
    place.company(people + waiting)
    sandbox = stack.enter_context(running_sandbox(rate_limits=False))
    env = (
        place.env
        | sandbox.environment
        | dict(more or {})
        | {"BENCH_RECORD": str(place.folder / "record")}
    )
    env |= {"SLACK_APP_TOKEN": "", "SLACK_SIGNING_SECRET": payloads.SIGNING}
    if trouble:
        env["BENCH_HANG"] = "10"
        sandbox.faults.latency("*", 2)
        started = place.grants(
            waiting, int(time.time()) + 3600, state=GrantState.STARTING, first=people
        )
        asked = [str(request) for (request,) in place.rows("SELECT request_id FROM grants")]
        with place.world.db.transaction():
            pending = [requests.get(place.world.db, request) for request in asked]
            posts = [
                post_approval(request, payloads.CHANNEL)
                for request in pending
                if request is not None
            ]
            outbox.add(
                place.world.db,
                [*(start_grant(grant, ["shop-admin"]) for grant in started), *posts],
                int(time.time()),
            )
    bot = stack.enter_context(a_bot("run", env, place.folder, module))
    until(bot.is_ready)
    time.sleep(min(1.0, scale.seconds))
    return place, bot, iter(range(people))


def under_load(load: Child, place: Place, bot: Bot, people: Iterator[int], number: int) -> Spent:
    requests = [payloads.signed(payloads.command(next(people), ASK)) for _ in range(number)]
    return fire(load, place.folder, bot.port, bot.pid, requests, at_once=4)


FIGURES = {"P1": commands, "P2": clicks, "P3": sockets, "P4": under_trouble}
