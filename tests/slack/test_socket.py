"""What the Socket Mode connection adds to Slack's own client: no looking without need, no certificates without TLS."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
from slack_bolt import App
from slack_sdk import WebClient

from bot.slack.socket import Socket
from tests.fakes import until


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


def test_a_context_that_is_given_is_kept(client: WebClient) -> None:
    client.ssl = given = ssl.create_default_context()
    bolt = App(client=client, signing_secret="unused", token_verification_enabled=False)
    Socket(bolt, "xapp-test", client).close()
    assert client.ssl is given


def test_whoever_hands_on_messages_waits_for_one_without_looking(line: Socket) -> None:
    queue = line._handler.client.message_queue
    got: list[object] = []
    waiting = threading.Thread(target=lambda: got.append(queue.get(timeout=0.01)))
    waiting.start()
    time.sleep(0.1)
    assert waiting.is_alive()
    queue.put("hello")
    until(lambda: got == ["hello"])


def test_a_connection_that_is_lost_is_made_anew_when_it_is_looked_at(
    line: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    well, tries = threading.Event(), list[float]()
    well.set()
    monkeypatch.setattr(line, "well", well.is_set)
    monkeypatch.setattr(line, "_connect", lambda: (tries.append(time.monotonic()), well.set()))
    line.start()
    line.look()
    assert tries == []
    well.clear()
    line.look()
    until(lambda: len(tries) == 1)
