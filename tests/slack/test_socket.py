"""The Socket Mode connection beyond Slack's own client: no needless polling, and no certificates
without TLS."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from slack_bolt import App, BoltRequest, BoltResponse
from slack_sdk import WebClient
from slack_sdk.socket_mode.response import SocketModeResponse

from bot.core.errors import StorageUnavailable
from bot.slack.listeners import TROUBLE
from bot.slack.receiver import Receiver
from bot.slack.socket import Socket
from tests.waiting import until


@pytest.fixture
def client() -> WebClient:
    return WebClient("xoxb-test", base_url="http://127.0.0.1:9/")


@pytest.fixture
def line(client: WebClient) -> Iterator[Socket]:
    bolt = App(client=client, signing_secret="unused", token_verification_enabled=False)
    line = Socket(bolt, "xapp-test", client)
    yield line
    line.close()


def _tries(context: ssl.SSLContext) -> ssl.SSLSocket:
    ours, theirs = socket.socketpair()
    theirs.close()
    return context.wrap_socket(ours, server_hostname="slack.com", do_handshake_on_connect=False)


def test_certificates_are_read_for_the_first_connection_with_tls_and_then_checked(
    line: Socket, client: WebClient
) -> None:
    context = client.ssl
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats()["x509_ca"] == 0
    for _ in range(2):
        _tries(context).close()
        assert context.cert_store_stats() == ssl.create_default_context().cert_store_stats()


def test_a_given_context_is_used(client: WebClient) -> None:
    client.ssl = given = ssl.create_default_context()
    bolt = App(client=client, signing_secret="unused", token_verification_enabled=False)
    Socket(bolt, "xapp-test", client).close()
    assert client.ssl is given


def test_a_lost_connection_is_made_again_at_the_next_check(
    line: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    well, tries = threading.Event(), list[float]()
    well.set()
    monkeypatch.setattr(line, "well", well.is_set)
    monkeypatch.setattr(line, "_connect", lambda: (tries.append(time.monotonic()), well.set()))
    line.start()
    line.check()
    assert tries == []
    well.clear()
    line.check()
    until(lambda: len(tries) == 1)


class Wire:
    """The envelopes sent back over the socket."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send_socket_mode_response(self, response: SocketModeResponse) -> None:
        self.sent.append(response.to_dict())


def arrive(line: Socket, wire: Wire, envelope: dict[str, Any]) -> None:
    """Hands a message on as Slack's client does when it arrives."""
    # Only Slack's client calls it.
    line._answer(wire, envelope, None)  # type: ignore[arg-type] # noqa: SLF001


ODD_PAYLOADS = [
    None,
    [],
    7,
    "text",
    {},
    {"type": "nobody_knows"},
    {"type": "view_submission", "view": {}},
]


@pytest.mark.parametrize("payload", ODD_PAYLOADS, ids=repr)
def test_every_envelope_is_acknowledged_whatever_its_content(line: Socket, payload: object) -> None:
    wire = Wire()
    arrive(line, wire, {"envelope_id": "e1", "type": "events_api", "payload": payload})
    until(lambda: [sent["envelope_id"] for sent in wire.sent] == ["e1"])


def test_a_message_that_is_no_envelope_is_ignored(line: Socket) -> None:
    wire = Wire()
    arrive(line, wire, {"type": "hello"})
    assert wire.sent == []


def test_an_event_that_the_database_cannot_store_is_left_for_slack_to_send_again(
    client: WebClient,
) -> None:
    def down(request: BoltRequest) -> BoltResponse:
        request.context[TROUBLE] = StorageUnavailable("it is gone")
        return BoltResponse(status=200, body="")

    bolt = App(client=client, signing_secret="unused", token_verification_enabled=False)
    line, wire = Socket(bolt, "xapp-test", client, receiver=Receiver(down)), Wire()
    event = {"type": "event_callback", "event": {"type": "team_join"}}
    arrive(line, wire, {"envelope_id": "e1", "payload": event})
    arrive(line, wire, {"envelope_id": "e2", "payload": {"type": "block_actions"}})
    until(lambda: wire.sent)
    line.close()
    assert [sent["envelope_id"] for sent in wire.sent] == ["e2"]


def test_slow_listeners_of_one_person_do_not_delay_another(client: WebClient) -> None:
    go = threading.Event()

    def slowly(request: BoltRequest) -> BoltResponse:
        assert request.body["user_id"] == "U0BEN" or go.wait(20)
        return BoltResponse(status=200, body="")

    bolt = App(client=client, signing_secret="unused", token_verification_enabled=False)
    line, wire = Socket(bolt, "xapp-test", client, receiver=Receiver(slowly)), Wire()
    for number in range(40):
        payload = {"command": "/access", "user_id": "U0BEN" if number == 39 else "U0ANA"}
        envelope = {"envelope_id": str(number), "payload": payload}
        # Slack's client runs it like this.
        line._handler.client.message_workers.submit(arrive, line, wire, envelope)  # noqa: SLF001
    try:
        until(lambda: [sent["envelope_id"] for sent in wire.sent] == ["39"])
    finally:
        go.set()
        line.close()
    assert len(wire.sent) == 40


def test_a_listener_that_takes_too_long_is_acknowledged_once(client: WebClient) -> None:
    go = threading.Event()

    def slowly(request: BoltRequest) -> BoltResponse:
        assert go.wait(20)
        return BoltResponse(status=200, body="")

    bolt = App(client=client, signing_secret="unused", token_verification_enabled=False)
    receiver, wire = Receiver(slowly), Wire()
    receiver.within = 0.05
    line = Socket(bolt, "xapp-test", client, receiver=receiver)
    line._watcher.start()  # noqa: SLF001, as starting the line would connect it
    arrive(line, wire, {"envelope_id": "e1", "payload": {"command": "/access"}})
    until(lambda: wire.sent)
    go.set()
    line.close()
    assert [sent["envelope_id"] for sent in wire.sent] == ["e1"]
