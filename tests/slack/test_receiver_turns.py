"""Thousands of payloads of one person leave a thread to everybody else."""

from __future__ import annotations

import threading

from slack_bolt import BoltRequest, BoltResponse

from bot.slack.receiver import MOST_OF_ONE, THREADS, Receiver


def _command(person: str) -> dict[str, object]:
    return {"command": "/access", "user_id": person, "text": "help"}


def test_one_person_who_opens_windows_without_end_does_not_delay_another() -> None:
    go, many = threading.Event(), THREADS * 3

    def slowly(request: BoltRequest) -> BoltResponse:
        if request.body["user_id"] == "U0ANA":
            assert go.wait(20)
        return BoltResponse(status=200, body=str(request.body["user_id"]))

    receiver = Receiver(slowly)
    flood = [receiver.submit(_command("U0ANA")) for _ in range(many)]
    try:
        assert receiver.submit(_command("U0BEN")).result(20).body == "U0BEN"
        assert not any(each.done() for each in flood)
    finally:
        go.set()
    assert [each.result(20).body for each in flood] == ["U0ANA"] * many
    receiver.close()


def test_payloads_that_wait_at_a_stop_are_answered() -> None:
    go = threading.Event()

    def slowly(request: BoltRequest) -> BoltResponse:
        assert go.wait(20)
        return BoltResponse(status=200, body="")

    receiver = Receiver(slowly)
    flood = [receiver.submit(_command("U0ANA")) for _ in range(MOST_OF_ONE * 2)]
    closing = threading.Thread(target=receiver.close)
    closing.start()
    go.set()
    closing.join(20)
    assert [each.result(20).status for each in flood] == [200] * (MOST_OF_ONE * 2)
