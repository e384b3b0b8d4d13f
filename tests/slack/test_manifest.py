"""The manifest asks Slack for exactly what the listeners handle, within Slack's limits."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from bot.slack.commands import VERBS
from bot.slack.ids import Shortcut
from bot.slack.listeners import EVENTS, SHORTCUTS
from bot.slack.manifest import OPTIONAL, SCOPES, USAGE, manifest

URL = "https://access.example.com"
BOTH = pytest.mark.parametrize(
    "made", [manifest("socket"), manifest("http", URL)], ids=["socket", "http"]
)

# https://docs.slack.dev/reference/app-manifest: where a text is, and how long it may be
LIMITS = [
    ("display_information.name", 1, 35),
    ("display_information.description", 1, 140),
    ("display_information.long_description", 175, 4000),
    ("features.bot_user.display_name", 1, 80),
    ("features.slash_commands.0.command", 2, 32),
    ("features.slash_commands.0.description", 1, 2000),
    ("features.slash_commands.0.usage_hint", 1, 1000),
    ("features.shortcuts.0.name", 1, 24),
    ("features.shortcuts.0.description", 1, 150),
    ("features.shortcuts.1.name", 1, 24),
    ("features.shortcuts.1.description", 1, 150),
]


def test_over_http_the_manifest_has_the_address_for_the_options_of_a_menu() -> None:
    interactivity = manifest("http", URL)["settings"]["interactivity"]
    assert interactivity["message_menu_options_url"] == interactivity["request_url"]
    assert "message_menu_options_url" not in manifest("socket")["settings"]["interactivity"]


def at(made: Any, path: str) -> Any:
    for step in path.split("."):
        made = made[int(step)] if step.isdigit() else made[step]
    return made


@BOTH
def test_slack_sends_exactly_the_events_with_a_listener(made: dict[str, Any]) -> None:
    assert [command["command"] for command in made["features"]["slash_commands"]] == ["/access"]
    shortcuts = {(each["callback_id"], each["type"]) for each in made["features"]["shortcuts"]}
    assert shortcuts == {(opening.id.value, opening.kind) for opening in SHORTCUTS}
    assert {opening.id for opening in SHORTCUTS} == set(Shortcut)
    assert made["settings"]["event_subscriptions"]["bot_events"] == list(EVENTS)
    assert made["settings"]["interactivity"]["is_enabled"] is True


@BOTH
@pytest.mark.parametrize(("path", "least", "most"), LIMITS)
def test_every_text_has_a_length_that_slack_accepts(
    made: dict[str, Any], path: str, least: int, most: int
) -> None:
    assert least <= len(at(made, path)) <= most


@BOTH
def test_people_arrive_as_ids_and_not_as_names(
    made: dict[str, Any],
) -> None:
    assert made["features"]["slash_commands"][0]["should_escape"] is True


@BOTH
def test_every_scope_has_its_reason_and_dangerous_ones_are_missing(
    made: dict[str, Any],
) -> None:
    scopes = made["oauth_config"]["scopes"]
    assert scopes == {"bot": list(SCOPES), "bot_optional": ["groups:read", "files:write"]}
    assert set(OPTIONAL) < set(SCOPES)
    assert all(SCOPES.values())
    assert not [
        scope
        for scope in SCOPES
        if re.search(r"admin|history|public|customize|:write:|search", scope)
    ]


@BOTH
def test_the_manifest_is_json(made: dict[str, Any]) -> None:
    assert json.loads(json.dumps(made)) == made


def test_each_event_has_the_scope_that_slack_requires() -> None:
    wanted = {"team_join": "users:read", "subteam": "usergroups:read"}
    for event in EVENTS:
        assert all(scope in SCOPES for name, scope in wanted.items() if event.startswith(name))


def test_the_usage_hint_names_verbs_that_exist() -> None:
    verbs = [part.split()[0] for part in USAGE.split(" | ")]
    assert set(verbs) <= set(VERBS)
    assert verbs == ["request", "list", "renew", "done", "cancel", "roles", "audit", "help"]


def test_socket_mode_names_no_address() -> None:
    made = manifest("socket", URL)
    assert made["settings"]["socket_mode_enabled"] is True
    assert "http" not in json.dumps(made)


@pytest.mark.parametrize("url", [URL, URL + "/", URL + "/slack/events"])
def test_http_mode_names_the_endpoint_everywhere_slack_calls(url: str) -> None:
    made = manifest("http", url)
    endpoint = "https://access.example.com/slack/events"
    assert made["settings"]["socket_mode_enabled"] is False
    assert made["settings"]["event_subscriptions"]["request_url"] == endpoint
    assert made["settings"]["interactivity"]["request_url"] == endpoint
    assert made["features"]["slash_commands"][0]["url"] == endpoint


@pytest.mark.parametrize(
    ("mode", "url"),
    [("http", None), ("http", ""), ("http", "http://access.example.com"), ("smoke", URL)],
)
def test_a_manifest_that_could_not_work_is_refused(mode: Any, url: str | None) -> None:
    with pytest.raises(ValueError, match=r"Unknown mode|public address"):
        manifest(mode, url)
