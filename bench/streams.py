"""P24: the speed at which a stream sends the audit log, and the delay of a decision by a receiver
that hangs."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

from bench import payloads
from bench.acks import fire, spent_text
from bench.bots import Bot, a_bot
from bench.measure import Line, Scale, Spent, interleave, median, paired
from bench.place import ROLES, Place, a_child, a_place
from bot.core.audit import Entry, Event
from bot.core.streams import WebhookStream
from bot.sandbox import running_sandbox
from bot.worker.stream_sender import StreamSender
from storage import audit
from tests.connectors.raw_server import raw_server, read_request
from tests.waiting import until

SECRET = "a secret of the receiver"
TABLE = '\n[[stream]]\nkind = "webhook"\nurl = "{}"\nsecret = "' + SECRET + '"\n'
AT_ONCE = 500


def _takes(line: socket.socket, _over: threading.Event) -> None:
    read_request(line)
    line.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


def _hangs(line: socket.socket, over: threading.Event) -> None:
    read_request(line)
    over.wait(60)


def rate(scale: Scale) -> Iterator[Line]:
    """P24"""
    number, found = min(scale.rows, 20_000), []
    with raw_server(_takes) as receiver:
        for _ in range(scale.rounds):
            with a_place() as place, closing(place.world.db):
                _records(place, number)
                sender, began = StreamSender(place.world), time.perf_counter()
                sender.send(WebhookStream("siem", receiver.url, SECRET))
                found.append(number / (time.perf_counter() - began))
                ((sent,),) = place.rows("SELECT seq FROM streams")
                if sent != number:
                    raise RuntimeError(f"{sent} of {number} records were sent")
    what = f"{number:,} records to a receiver on this machine"
    yield Line(what, f"{median(found):,.0f}/s", "–", median(found), 2000, least=True, unit="/s")
    yield from _beside(scale)


def _records(place: Place, number: int) -> None:
    entry = Entry(Event.ACTION_REFUSED, "U0ANA", "U0ANA", "shop-admin", reason="x" * 80)
    for start in range(0, number, AT_ONCE):
        entries = [entry] * min(AT_ONCE, number - start)
        with place.world.db.transaction():
            audit.append(place.world.db, entries, int(time.time()), place.world.chain)


def _beside(scale: Scale) -> Iterator[Line]:
    """The click of P2 while the receiver hangs, and without a stream."""
    number = scale.loads // 2
    with ExitStack() as stack:
        receiver = stack.enter_context(raw_server(_hangs))
        load = stack.enter_context(a_child("bench.load"))

        def leg(table: str) -> tuple[Bot, Place, Iterator[str]]:
            place = stack.enter_context(a_place())
            (place.folder / "roles.toml").write_text(ROLES + table)
            pending = number * (scale.rounds + 1)
            place.company(pending)
            asked = place.requests(0, pending)
            sandbox = stack.enter_context(running_sandbox(rate_limits=False))
            env = place.env | sandbox.environment
            env |= {"SLACK_APP_TOKEN": "", "SLACK_SIGNING_SECRET": payloads.SIGNING}
            bot = stack.enter_context(a_bot("run", env, place.folder))
            until(bot.is_ready)
            return bot, place, iter(asked)

        def clicks(bot: Bot, place: Place, asked: Iterator[str]) -> Spent:
            pressed = [payloads.signed(payloads.click(next(asked))) for _ in range(number)]
            return fire(load, place.folder, bot.port, bot.pid, pressed, 1)

        hung, without = leg(TABLE.format(receiver.url)), leg("")
        until(lambda: receiver.taken > 0)
        found = interleave(
            scale.rounds, {"hung": lambda: clicks(*hung), "without": lambda: clicks(*without)}
        )
    value = paired(found, "hung", "without", lambda s: s.p50)
    what = "Approve pressed and acked while the receiver hangs"
    yield Line(
        what, spent_text(found["hung"], True), spent_text(found["without"], True), value, 1.1
    )


FIGURES = {"P24": rate}
