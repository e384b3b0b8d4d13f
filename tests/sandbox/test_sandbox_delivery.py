"""Delivery: acks, retries, signatures, and sockets that open, close, fall silent or repeat
envelopes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as websocket

from bot.sandbox import Person, Sandbox

Json = dict[str, Any]


@pytest.fixture
def heard(app: App) -> list[Json]:
    """A command and an event, as they were received."""
    bodies: list[Json] = []

    @app.command("/access")
    def on_command(ack: Any, body: Json) -> None:
        bodies.append(body)
        ack("heard")

    @app.event("team_join")
    def on_join(body: Json, request: Any) -> None:
        bodies.append({**body, "retry": request.headers.get("x-slack-retry-num", ["0"])[0]})

    return bodies


def join(sandbox: Sandbox) -> None:
    sandbox.admin.create_user("zoe", "Zoe Novak")


def test_without_a_connection_a_command_fails_visibly(ana: Person) -> None:
    failed = ana.command("/access", "x")
    assert (failed.ok, failed.error) == (False, "dispatch_failed")
    assert failed.text == '/access failed with the error "dispatch_failed"'


def test_an_app_that_does_not_ack_in_time_fails_visibly(
    sandbox: Sandbox, app: App, connect: Any, ana: Person
) -> None:
    sandbox.admin.delivery(ack_seconds=0.2)
    released = threading.Event()

    @app.command("/access")
    def slow(ack: Any) -> None:
        released.wait(10)
        ack("too late")

    connect()
    late = ana.command("/access", "x")
    released.set()
    assert late.error == "operation_timeout"
    sandbox.wait_for(lambda: sandbox.inspector.deliveries()[-1]["acks"])
    assert sandbox.inspector.deliveries()[-1]["outcome"] == "operation_timeout"


def test_the_inspector_keeps_each_ack_and_how_long_it_took(
    sandbox: Sandbox, heard: list[Json], connect: Any, ana: Person
) -> None:
    connect()
    ana.command("/access", "x")
    delivery = sandbox.inspector.deliveries()[-1]
    assert (delivery["kind"], delivery["ack"], delivery["acks"]) == (
        "slash_commands",
        {"text": "heard"},
        1,
    )
    assert delivery["seconds"] > 0


def test_envelopes_go_to_one_of_the_connections_in_turn(
    sandbox: Sandbox, heard: list[Json], connect: Any, ana: Person
) -> None:
    connect()
    connect()
    for _ in range(4):
        ana.command("/access", "x")
    assert len({item["via"] for item in sandbox.inspector.deliveries()}) == 2


def test_ten_connections_are_the_most(sandbox: Sandbox) -> None:
    env = sandbox.environment
    web = WebClient(base_url=env["SLACK_API_URL"])

    def open_one() -> Any:
        return websocket(
            web.apps_connections_open(app_token=env["SLACK_APP_TOKEN"])["url"], proxy=None
        )

    with ExitStack() as sockets:
        for _ in range(10):
            sockets.enter_context(open_one())
        sandbox.wait_connected(10)
        with pytest.raises(SlackApiError, match="too_many_websockets"):
            open_one()
    sandbox.wait_for(lambda: sandbox.inspector.connections() == 0)


def test_a_ticket_opens_one_socket(sandbox: Sandbox) -> None:
    env = sandbox.environment
    url = WebClient(base_url=env["SLACK_API_URL"]).apps_connections_open(
        app_token=env["SLACK_APP_TOKEN"]
    )["url"]
    with websocket(url, proxy=None) as socket:
        assert '"hello"' in str(socket.recv())
    with pytest.raises(InvalidStatus):
        websocket(url, proxy=None)


def test_an_event_without_an_ack_comes_again_with_its_number_and_reason(
    sandbox: Sandbox, heard: list[Json], connect: Any
) -> None:
    sandbox.admin.delivery(ack_seconds=0.2, retry_delays=[0.1] * 100)
    connect()
    sandbox.faults.socket("silent")
    join(sandbox)
    sandbox.wait_for(lambda: len(sandbox.inspector.deliveries()) >= 2)
    sandbox.faults.socket("silent", on=False)
    sandbox.wait_for(lambda: heard)
    last = sandbox.wait_for(
        lambda: [d for d in sandbox.inspector.deliveries() if d["outcome"] == "acked"]
    )[-1]
    assert last["attempt"] >= 1 and last["retry_reason"] == "http_timeout"
    assert heard[-1]["retry"] == str(last["attempt"])
    assert len({d["payload"]["event_id"] for d in sandbox.inspector.deliveries()}) == 1


def test_an_event_waits_for_the_app_to_start(
    sandbox: Sandbox, heard: list[Json], connect: Any
) -> None:
    sandbox.admin.delivery(retry_delays=[0.2] * 100)
    join(sandbox)
    connect()
    sandbox.wait_for(lambda: heard)
    assert int(heard[0]["retry"]) >= 0


def test_a_refreshed_socket_loses_nothing(
    sandbox: Sandbox, heard: list[Json], connect: Any, ana: Person
) -> None:
    handler = connect()
    before = handler.client.session_id()
    sandbox.faults.disconnect_sockets("refresh_requested")
    sandbox.wait_for(lambda: handler.client.session_id() != before)
    sandbox.wait_for(lambda: ana.command("/access", "x").ok)


def test_a_cut_socket_is_opened_again_by_slacks_client(
    sandbox: Sandbox, heard: list[Json], connect: Any, ana: Person
) -> None:
    connect()
    assert sandbox.faults.drop_sockets() == 1
    assert ana.command("/access", "x").error == "dispatch_failed"
    sandbox.wait_for(lambda: sandbox.inspector.connections() == 1, 20)
    sandbox.wait_for(lambda: ana.command("/access", "x").ok)


def test_a_silent_socket_answers_no_pings_and_delivers_nothing(
    sandbox: Sandbox, heard: list[Json], connect: Any, ana: Person
) -> None:
    handler = connect()
    sandbox.wait_for(lambda: handler.client.current_session.last_ping_pong_time)
    sandbox.admin.delivery(ack_seconds=0.2)
    sandbox.faults.socket("silent")
    assert ana.command("/access", "x").error == "operation_timeout"
    assert heard == []
    first = handler.client.session_id()
    sandbox.wait_for(lambda: handler.client.session_id() != first, 20)


def test_refused_connections_let_no_client_in(sandbox: Sandbox, connect: Any) -> None:
    handler = connect()
    sandbox.faults.socket("refuse")
    sandbox.faults.drop_sockets()
    assert sandbox.inspector.connections() == 0
    sandbox.faults.socket("refuse", on=False)
    sandbox.wait_for(lambda: sandbox.inspector.connections() == 1, 20)
    sandbox.wait_for(handler.client.is_connected)


@pytest.fixture
def raw(sandbox: Sandbox) -> Iterator[Any]:
    """A socket without Slack's client around it, which shows the order on the wire."""
    env = sandbox.environment
    web = WebClient(base_url=env["SLACK_API_URL"])
    url = web.apps_connections_open(app_token=env["SLACK_APP_TOKEN"])["url"]
    with websocket(url, proxy=None) as socket:
        assert json.loads(socket.recv())["type"] == "hello"
        yield socket


def test_a_duplicate_is_delivered_twice(sandbox: Sandbox, raw: Any) -> None:
    sandbox.faults.socket("duplicate")
    join(sandbox)
    first, second = json.loads(raw.recv()), json.loads(raw.recv())
    assert first == second
    assert first["payload"]["event"]["type"] == "team_join"


def test_a_later_event_overtakes_an_earlier_one(sandbox: Sandbox, raw: Any) -> None:
    sandbox.faults.socket("reorder")
    sandbox.admin.set_group("@sre", [])
    kinds = [json.loads(raw.recv())["payload"]["event"]["type"] for _ in range(2)]
    assert kinds == ["subteam_updated", "subteam_members_changed"]


def test_http_deliveries_are_signed_and_a_wrong_secret_is_refused(
    sandbox: Sandbox, heard: list[Json], http_app: App, ana: Person
) -> None:
    assert ana.command("/access", "x").text == "heard"
    sandbox.call("set_app", signing_secret="another-secret-altogether")
    refused = ana.command("/access", "x")
    assert refused.error == "dispatch_failed"
    assert len(heard) == 1


def test_http_events_are_repeated_with_the_retry_headers(
    sandbox: Sandbox, heard: list[Json], http_app: App
) -> None:
    sandbox.admin.delivery(retry_delays=[0.0, 0.0, 60.0])
    secret = sandbox.environment["SLACK_SIGNING_SECRET"]
    sandbox.call("set_app", signing_secret="another-secret-altogether")
    join(sandbox)
    sandbox.wait_for(lambda: len(sandbox.inspector.deliveries()) == 3)
    assert [item["attempt"] for item in sandbox.inspector.deliveries()] == [0, 1, 2]
    assert sandbox.inspector.deliveries()[1]["retry_reason"] == "http_error"
    sandbox.call("set_app", signing_secret=secret)
    sandbox.replay(3)
    assert heard[-1]["retry"] == "2"


def test_a_missing_endpoint_is_a_failed_dispatch(sandbox: Sandbox, ana: Person) -> None:
    sandbox.admin.delivery(request_url="http://127.0.0.1:9/slack/events")
    assert ana.command("/access", "x").error == "dispatch_failed"
