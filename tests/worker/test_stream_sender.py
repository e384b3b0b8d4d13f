"""Streams of the audit log on both databases: in order, at least once, by one process at a time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from bot.core.errors import OutcomeUnknown, SystemUnavailable
from bot.core.streams import LATE_AFTER, Row, Stream
from bot.operations.streams.next_records import CLAIM, next_records, waiting_streams
from bot.worker.stream_sender import BACKOFF, StreamSender
from tests.builders import SYSTEMS
from tests.factories import CARA, Made
from tests.waiting import until

TABLE = """
[[stream]]
kind = "webhook"
name = "{}"
url = "https://siem.example.com/in"
secret = "a secret of the receiver"
"""


@dataclass
class Receiver:
    """Takes batches unless `fault` is set; a lost answer comes after the batch was taken."""

    fault: Exception | None = None
    taken: list[int] = field(default_factory=list)
    calls: int = 0

    def __call__(self, _stream: Stream, rows: Sequence[Row]) -> None:
        self.calls += 1
        if self.fault is None or isinstance(self.fault, OutcomeUnknown):
            self.taken += [row[0] for row in rows]
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def receiver(made: Made) -> Iterator[Receiver]:
    """At the end, threads that send may still use the database, which is closed next."""
    before = set(threading.enumerate())
    made.set_policy(systems=SYSTEMS + TABLE.format("siem"))
    yield Receiver()
    until(lambda: set(threading.enumerate()) <= before)


def a_sender(made: Made, receiver: Receiver) -> tuple[StreamSender, Stream]:
    sender = StreamSender(made.another_process(), receiver)
    (stream,) = made.world.policy().streams
    return sender, stream


def records(made: Made, where: str = "seq > 0") -> list[int]:
    return [int(str(seq)) for (seq,) in made.rows(f"SELECT seq FROM audit WHERE {where}")]


def notes(made: Made) -> list[str]:
    found = made.rows("SELECT data FROM outbox WHERE data LIKE '%\"stream_%' ORDER BY id")
    return [json.loads(str(data))["note"] for (data,) in found]


def test_a_new_stream_gets_the_whole_log_in_order_and_then_what_follows(
    made: Made, receiver: Receiver
) -> None:
    made.a_grant()
    sender, stream = a_sender(made, receiver)
    sender.send(stream)
    assert receiver.taken == sorted(records(made))
    made.a_request(person=CARA)
    sender.send_due()
    until(lambda: receiver.taken == sorted(records(made)))
    sender.send_due()
    assert receiver.calls == 2, "it was called although nothing was new"


def test_a_batch_whose_answer_was_lost_is_sent_again(made: Made, receiver: Receiver) -> None:
    made.a_request()
    sender, stream = a_sender(made, receiver)
    receiver.fault = OutcomeUnknown("siem.example.com did not answer")
    sender.send(stream)
    receiver.fault = None
    sender.send(stream)
    assert receiver.taken == sorted(records(made)) * 2


def test_a_receiver_that_was_down_misses_nothing_and_the_leads_hear_it_once(
    made: Made, receiver: Receiver
) -> None:
    made.a_grant()
    sender, stream = a_sender(made, receiver)
    sender.send(stream)
    made.a_request(person=CARA)
    receiver.fault = SystemUnavailable("siem.example.com answered 503")
    for _ in range(24):  # an hour
        sender.send(stream)
        made.clock.at += LATE_AFTER // 2
    assert notes(made) == ["stream_late"]
    receiver.fault = None
    sender.send(stream)
    assert notes(made) == ["stream_late", "stream_resumed"]
    assert receiver.taken == sorted(records(made))
    (late,) = made.rows("SELECT detail FROM audit WHERE event = 'audit:stream:late'")
    assert json.loads(str(late[0]))["error"] == "siem.example.com answered 503"


def test_a_failing_receiver_is_tried_again_after_a_pause(made: Made, receiver: Receiver) -> None:
    made.a_request()
    time = [0.0]
    receiver.fault = SystemUnavailable("siem.example.com answered 503")
    sender = StreamSender(made.world, receiver, lambda: time[0])
    sender.send_due()
    until(lambda: receiver.calls == 1)
    sender.send_due()
    assert receiver.calls == 1
    time[0] += BACKOFF.first
    until(lambda: sender.send_due() is None and receiver.calls == 2)


def test_one_process_sends_until_it_stops_or_its_claim_is_over(
    made: Made, receiver: Receiver
) -> None:
    made.a_grant()
    first, stream = a_sender(made, receiver)
    second, _ = a_sender(made, receiver)
    first.send(stream)
    made.a_request(person=CARA)
    assert next_records(made.world, "siem", "another") is None
    second.send(stream)
    assert len(receiver.taken) < len(records(made))
    made.clock.at += CLAIM
    second.send(stream)
    assert receiver.taken == sorted(records(made))
    second.stop()
    assert next_records(made.world, "siem", "another") is not None


def test_a_process_that_lost_its_claim_does_not_move_the_cursor(
    made: Made, receiver: Receiver
) -> None:
    """It was slow: another process has sent this batch, and the next one."""
    made.a_grant()
    other, stream = a_sender(made, Receiver())

    def slow(_stream: Stream, _rows: Sequence[Row]) -> None:
        made.clock.at += CLAIM
        other.send(stream)
        made.a_request(person=CARA)
        other.send(stream)

    StreamSender(made.another_process(), slow).send(stream)
    ((seq,),) = made.rows("SELECT seq FROM streams")
    assert seq == max(records(made))


def test_an_outdated_process_sends_nothing(made: Made, receiver: Receiver) -> None:
    made.a_request()
    with made.world.db.transaction():
        made.world.db.run(
            "INSERT INTO key_values (key, value) VALUES ('policy in force', 'another')"
        )
    assert waiting_streams(made.world) == []
