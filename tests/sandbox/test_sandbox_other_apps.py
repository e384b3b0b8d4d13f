"""Slack's own clients and an app of another project, unchanged: a program that gets the printed
environment."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from bot.sandbox import Person, Sandbox, running_sandbox

Json = dict[str, Any]
LUNCH = Path(__file__).parent / "lunch.py"
MANIFEST: Json = {
    "display_information": {"name": "Lunch"},
    "features": {
        "slash_commands": [
            {"command": "/lunch", "description": "Where do we eat?", "usage_hint": "[help]"}
        ],
        "app_home": {"home_tab_enabled": True, "messages_tab_enabled": True},
    },
    "oauth_config": {"scopes": {"bot": ["commands", "chat:write", "im:write", "users:read"]}},
    "settings": {
        "event_subscriptions": {"bot_events": ["app_home_opened", "team_join"]},
        "socket_mode_enabled": True,
    },
}


@pytest.fixture
def place() -> Iterator[Sandbox]:
    """A workspace in which Lunch is installed, and nothing else."""
    with running_sandbox(manifest=MANIFEST, rate_limits=False) as running:
        running.admin.add_to_channel("#general")
        yield running


@contextmanager
def program(place: Sandbox) -> Iterator[subprocess.Popen[bytes]]:
    """Lunch, connected; killed at the end."""
    before = place.inspector.connections()
    with subprocess.Popen(
        [sys.executable, str(LUNCH)], env={**os.environ, **place.environment}
    ) as running:
        try:
            place.wait_connected(before + 1)
            yield running
        finally:
            running.kill()


def ask(person: Person, places: str, room: str = "#general") -> Any:
    assert person.command("/lunch").ok
    assert "Channel:" in person.plain(person.wait_view())
    return person.fill_and_submit({"Places": places, "Channel": room})


def test_somebody_elses_app_works_from_its_command_to_the_last_vote(place: Sandbox) -> None:
    ana, dev = place.person("ana"), place.person("dev")
    with program(place):
        assert ana.command("/lunch", "help").text == "Write /lunch and name some places."
        assert ask(ana, "Canteen").errors == {"places": "Name two places at least."}
        assert "2 places" in ana.plain(ana.fill_and_submit({"Places": "Canteen\nNoodles"}).view)
        for voter, where, now in (
            (ana, "Noodles", "Noodles: 1"),
            (dev, "Noodles", "Noodles: 2"),
            (dev, "Canteen", "Canteen: 1"),
        ):
            message = dev.wait_message("#general", "Noodles")
            assert voter.click(message, f"Eat at {where}").ok
            voted = dev.wait_message("#general", now)
        assert "Noodles: 1" in dev.plain(voted)
        assert dev.open_home()
        assert "Lunch for" in dev.plain(dev.wait_home("Lunch"))
        zoe = place.person(place.admin.create_user("zoe", "Zoe Novak"))
        assert "Hungry?" in zoe.plain(zoe.wait_dm("Hungry"))
    assert [call for call in place.inspector.calls() if call["error"]] == []


def test_a_call_that_slack_would_refuse_is_refused_to_any_app_and_shown(place: Sandbox) -> None:
    ana = place.person("ana")
    with program(place):
        ask(ana, "Canteen\nNoodles", "#shop")
        place.wait_for(
            lambda: [call for call in place.inspector.calls("chat.postMessage") if call["error"]]
        )
    assert place.inspector.calls("chat.postMessage")[-1]["error"] == "not_in_channel"


def test_an_app_that_is_killed_and_started_again_continues(place: Sandbox) -> None:
    ana = place.person("ana")
    with program(place):
        ask(ana, "Canteen\nNoodles")
        message = ana.wait_message("#general", "Noodles: 0")
    place.wait_for(lambda: place.inspector.connections() == 0)
    assert ana.click(message, "Eat at Noodles").error == "dispatch_failed"
    ana.close_view()
    with program(place):
        assert ana.click(message, "Eat at Noodles").ok
        ana.wait_message("#general", "Noodles: 1")


def test_slacks_socket_client_alone_answers_envelopes_and_reconnects(
    sandbox: Sandbox, ana: Person
) -> None:
    env, seen, back = sandbox.environment, list[str](), threading.Event()
    web = WebClient(env["SLACK_BOT_TOKEN"], base_url=env["SLACK_API_URL"])

    def answer(client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        seen.append(request.type)
        client.send_socket_mode_response(
            SocketModeResponse(request.envelope_id, {"text": "by hand"})
        )

    client = SocketModeClient(env["SLACK_APP_TOKEN"], web_client=web, ping_interval=1)
    client.socket_mode_request_listeners.append(answer)
    client.connect()
    try:
        assert ana.command("/access", "x").text == "by hand"
        client.message_listeners.append(
            lambda _, message, __: back.set() if message.get("type") == "hello" else None
        )
        sandbox.faults.drop_sockets()
        assert back.wait(20), "it opens a new session by itself"
        sandbox.wait_for(lambda: ana.command("/access", "x").ok, 20)
        assert set(seen) == {"slash_commands"}
    finally:
        client.auto_reconnect_enabled = client.default_auto_reconnect_enabled = False
        sandbox.faults.drop_sockets()
        client.close()


def test_slacks_web_client_pages_through_lists_and_raises_slacks_errors(
    sandbox: Sandbox, client: WebClient
) -> None:
    by_page = [member["id"] for page in client.users_list(limit=2) for member in page["members"]]
    assert by_page == [member["id"] for member in client.users_list()["members"]]
    cursor = client.conversations_list(limit=1)["response_metadata"]["next_cursor"]
    assert cursor and client.conversations_list(limit=1, cursor=cursor)["channels"]
    with pytest.raises(SlackApiError) as refused:
        client.chat_postMessage(channel="C0GENERAL", text="x")
    assert (refused.value.response.status_code, refused.value.response["error"]) == (
        200,
        "not_in_channel",
    )
    with pytest.raises(SlackApiError) as unknown:
        client.api_call("chat.noSuchMethod")
    assert unknown.value.response["error"] == "unknown_method"
