"""P5 to P8: one lifecycle from request to end, with the real bot as a process and the sandbox as
Slack. The limits are those of the closest peer, and constants, because the peer doesn't run
here."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.acks import spent_text
from bench.bots import Bot, a_bot
from bench.measure import Line, Scale, Spent, Watch, cpu_of, interleave, median, ms, paired
from bench.place import BEN, TEAM, Place, a_place
from bot.app import build_systems
from bot.core.effects import Queue
from bot.core.model import Person
from bot.operations.requests.accept_vote import Press, Taken, submit_vote
from bot.sandbox import Sandbox, running_sandbox
from bot.worker.dispatcher import Dispatcher
from tests.waiting import until

# Figures of the closest peer, measured once on another machine (PERFORMANCE.md): an order of
# magnitude only.
PEER_CALLS = 18
PEER_CLICK = 0.532
PEER_CPU = 0.068
OURS_ALONE = 0.015  # seconds of our own between the click and the system's call
PEER_CROWD = 6  # times the cost of an approval with 100 active grants

STILL = re.compile(r"Active until|You have .* until|ends in |Lapses |lapses ")
"""Words that only messages about open requests or grants contain."""

NOT_OF_A_LIFECYCLE = {"auth.test", "apps.connections.open", "users.list"}
GROUPS = "usergroups.list"
"""Counted only between the click and the grant: all groups are also read every 40 s."""


@dataclass
class Office:
    """The bot at work in a small company."""

    place: Place
    sandbox: Sandbox
    bot: Bot
    record: Path

    def ask(self, person: str, role: str) -> str:
        """Requests a role as a person would, and returns the id of the request."""
        who = self.sandbox.person(person)
        outcome = who.command("/access", f"request {role} because the benchmark asks")
        assert outcome.ok, outcome
        return str(
            self.place.rows(
                "SELECT id FROM requests WHERE requester = ? ORDER BY created_at DESC", who.id
            )[0][0]
        )

    def card(self, request: str) -> dict[str, Any]:
        sql = "SELECT channel, ts FROM messages WHERE request_id = ?"
        channel, ts = until(lambda: next(iter(self.place.rows(sql, request)), None))
        return {"channel": channel, "ts": ts, **self._posted(channel, ts)}

    def _posted(self, channel: str, ts: str) -> dict[str, Any]:
        return dict(next(m for m in self.sandbox.inspector.messages(channel) if m["ts"] == ts))

    def approve(self, request: str) -> float:
        """Ben presses the button; returns when."""
        card, ben = self.card(request), self.sandbox.person("ben")
        pressed = time.time()
        assert ben.click(card, "Approve").ok
        return pressed

    def grant(self, request: str, state: str, timeout: float = 30) -> str:
        sql = "SELECT id FROM grants WHERE request_id = ? AND state = ?"
        return str(
            until(lambda: next(iter(self.place.rows(sql, request, state)), None), timeout)[0]
        )

    def quiet(self) -> None:
        """Waits until no work is left, except later sums and work on the system that hangs."""
        left = "SELECT id FROM outbox WHERE kind <> 'sum_usage' AND systems <> ' archive ' LIMIT 1"
        until(lambda: not self.place.rows(left))

    def noted(self, what: str) -> list[tuple[str, float, float]]:
        lines = [json.loads(line) for line in self.record.read_text().splitlines()]
        return [(who, began, ended) for kind, who, began, ended in lines if kind == what]

    def newcomers(self, number: int) -> list[str]:
        return [self.newcomer(n) for n in range(number)]

    def newcomer(self, number: int) -> str:
        name = f"new{number}"
        self.sandbox.admin.create_user(name, name.capitalize(), join=False)
        return name


@contextmanager
def an_office(
    module: str = "bench.recorded", more: Mapping[str, str] | None = None
) -> Iterator[Office]:
    with ExitStack() as stack:
        place = stack.enter_context(a_place())
        sandbox = stack.enter_context(running_sandbox(rate_limits=False))
        record = place.folder / "record"
        env = place.env | sandbox.environment | {"BENCH_RECORD": str(record)} | dict(more or {})
        bot = stack.enter_context(a_bot("run", env, place.folder, module))
        until(bot.is_ready)
        office = Office(place, sandbox, bot, record)
        until(
            lambda: (
                not place.rows("SELECT id FROM outbox WHERE ordering_key IN ('groups', 'people')")
            )
        )
        yield office


def calls(scale: Scale) -> Iterator[Line]:
    """P5"""
    with an_office() as office:
        cold, _ = _one(office, "ana")
        warm, between = _one(office, "dev")
        wrong = [words for person in ("ana", "dev") for words in _left_wrong(office, person)]
    note = "the response_url of the answer to the request counts as a call"
    peer = f"peer {PEER_CALLS}"
    yield Line(
        "Slack calls in one lifecycle, warm",
        _counted(warm),
        peer,
        len(warm),
        10,
        unit="",
        note=note,
    )
    yield Line(
        "Slack calls in one lifecycle, cold",
        _counted(cold),
        peer,
        len(cold),
        12,
        unit="",
        note=note,
    )
    yield Line("messages left wrong", "; ".join(wrong) or "none", "–", len(wrong), 0, unit="")
    note = "the look-ups of the approver and of their group, side by side"
    yield Line(
        "calls between the click and the grant",
        _counted(between),
        "–",
        len(between),
        2,
        unit="",
        note=note,
    )


def _left_wrong(office: Office, name: str) -> list[str]:
    """Messages about this person's finished lifecycle that still have a button or claim that it is
    open."""
    person = office.sandbox.person(name)
    seen = [
        *person.dms(),
        *person.ephemerals(),
        *office.sandbox.inspector.messages("#access-approvals"),
    ]
    texts = [(json.dumps(message), person.plain(message)) for message in seen]
    return [text[:60] for whole, text in texts if '"action_id"' in whole or STILL.search(text)]


def _counted(methods: list[str]) -> str:
    """`chat.postMessage ×5, users.info`"""
    number = Counter(methods)
    return (
        ", ".join(
            method if times == 1 else f"{method} ×{times}" for method, times in number.items()
        )
        or "none"
    )


def _one(office: Office, person: str) -> tuple[list[str], list[str]]:
    """The calls of one lifecycle, and those between the click and the call of the system."""
    office.sandbox.inspector.forget()
    request = office.ask(person, "brief")
    pressed = office.approve(request)
    grant = office.grant(request, "ended")
    office.quiet()
    time.sleep(0.3)
    opened = next(began for who, began, _ in office.noted("grant") if who == grant)
    made = [
        call
        for call in office.sandbox.inspector.calls()
        if call["method"] not in NOT_OF_A_LIFECYCLE
    ]
    between = [call["method"] for call in made if pressed <= call["at"] <= opened]
    rest = [call["method"] for call in made if not pressed <= call["at"] <= opened]
    return between + [method for method in rest if method != GROUPS], between


def click_to_grant(scale: Scale) -> Iterator[Line]:
    """P6"""
    total, rest = [], []
    with an_office() as office:
        for number in range(scale.lives):
            request = office.ask(office.newcomer(number), "shop-admin")
            office.card(request)
            office.quiet()
            office.sandbox.faults.latency("*", 0.1)
            pressed = office.approve(request)
            grant = office.grant(request, "active")
            office.sandbox.faults.clear()
            office.quiet()
            opened = next(began for who, began, _ in office.noted("grant") if who == grant)
            looked = [
                at for _, *at in office.noted("look up") if pressed <= at[0] and at[1] <= opened
            ]
            total.append(opened - pressed)
            rest.append(
                opened - pressed - (max(at[1] for at in looked) - min(at[0] for at in looked))
            )
    limit = f"peer {ms(PEER_CLICK)}"
    note = (
        "the product demands the look-ups of the approver and of their group: two calls of 100 ms,"
        " side by side"
    )
    yield Line(
        "click to the system's call, 100 ms a Slack call",
        f"p50 {ms(median(total))}",
        limit,
        median(total) / PEER_CLICK,
        (0.1 + OURS_ALONE) / PEER_CLICK,
        note=note,
    )
    note = "four durable commits: the press, its claim, the decision, the start"
    yield Line(
        "… without these look-ups",
        f"p50 {ms(median(rest))}",
        limit,
        median(rest) / PEER_CLICK,
        OURS_ALONE / PEER_CLICK,
        note=note,
    )


def cpu(scale: Scale) -> Iterator[Line]:
    """P7"""
    with an_office() as office:
        if scale.rounds > 1:
            _one(office, "ana")
        spent = live_through(office, office.newcomers(scale.lives))
    each = spent.cpu / spent.count
    ours = f"{ms(each)} ({spent.count} in {spent.wall:.1f} s, idle work included)"
    yield Line("CPU of one lifecycle", ours, f"peer {ms(PEER_CPU)}", each / PEER_CPU, 0.4)


def live_through(office: Office, people: list[str]) -> Spent:
    """Runs a lifecycle of each of them, in parallel, from the request to the end."""
    before, began, asked = cpu_of(office.bot.pid), time.monotonic(), []
    for person in people:
        asked.append(office.ask(person, "brief"))
        office.approve(asked[-1])
    for request in asked:
        office.grant(request, "ended")
    office.quiet()
    return Spent(time.monotonic() - began, cpu_of(office.bot.pid) - before, len(people))


class Known:
    """Replaces the look-up of the person who pressed, which is not measured here."""

    def look_up(self, person: str) -> Person:
        return Person(
            person, person.title(), f"{person.lower()}@example.com", "UTC", TEAM, int(time.time())
        )


def crowd(scale: Scale) -> Iterator[Line]:
    """P8"""
    number = max(4, scale.loads // 8)
    with ExitStack() as stack:

        def leg(active: int) -> Any:
            place = stack.enter_context(a_place())
            people, left = number * (scale.rounds + 1), scale.rounds + 1
            place.company(people + active)
            place.grants(active, int(time.time()) + 3600, first=people) if active else None
            waiting = iter(place.requests(0, number * left))
            made = build_systems(place.world)
            delivery = Dispatcher(place.world, made, None, Known(), None)  # type: ignore[arg-type]

            def approve() -> Spent:
                each, watch, ben = [], Watch(), Known().look_up(BEN)
                for _ in range(number):
                    request, began = next(waiting), time.perf_counter()
                    assert isinstance(submit_vote(place.world, Press(request, ben, True)), Taken)
                    delivery.drain(Queue.DECIDE)
                    delivery.drain(Queue.START)
                    each.append(time.perf_counter() - began)
                return watch.spent(number, each)

            return approve

        found = interleave(scale.rounds, {"many": leg(scale.many), "none": leg(0)})
    value = paired(found, "many", "none", lambda s: s.cpu)
    what = f"an approval with {scale.many:,} active grants against none (CPU)"
    yield Line(
        what,
        spent_text(found["many"], True),
        spent_text(found["none"], True),
        value,
        1.1,
        note=f"the peer: {PEER_CROWD} × at 100",
    )


FIGURES = {"P5": calls, "P6": click_to_grant, "P7": cpu, "P8": crowd}
