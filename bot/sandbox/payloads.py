"""Builds the payloads that Slack sends to an app when a person acts, field by field."""

from __future__ import annotations

import re
from typing import Any

from bot.sandbox.checks import Json
from bot.sandbox.forms import state_values
from bot.sandbox.methods_chat import public
from bot.sandbox.methods_views import view_json
from bot.sandbox.workspace import AppInstall, SlackError, User, View, Workspace
from bot.sandbox.world import World

TYPED = re.compile(
    r"(?P<url>https?://[^\s<>]+)|(?P<mail>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?<!\w)@(?P<at>[\w.-]*\w)|(?<!\w)#(?P<channel>[\w-]+)"
)
BROADCASTS = {"channel", "here", "everyone"}


def escape(text: str) -> str:
    """Slack's own escapes, and nothing more."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _mention(workspace: Workspace, name: str) -> str:
    user = workspace.by_name(name)
    group = next((item for item in workspace.groups.values() if item.handle == name), None)
    if user is not None:
        return f"<@{user.id}|{name}>"
    if group is not None:
        return f"<!subteam^{group.id}|@{name}>"
    return f"<!{name}>" if name in BROADCASTS else f"@{name}"


def _channel_link(workspace: Workspace, name: str) -> str:
    found = next((item for item in workspace.channels.values() if item.name == name), None)
    return f"<#{found.id}|{name}>" if found else f"#{name}"


def escaped_command(workspace: Workspace, text: str) -> str:
    """Command text under `should_escape`: people, groups, channels and links become ids in
    brackets."""

    def replace(match: re.Match[str]) -> str:
        if match["url"]:
            return f"<{match['url']}>"
        if match["mail"]:
            return f"<mailto:{match['mail']}|{match['mail']}>"
        return (
            _mention(workspace, match["at"])
            if match["at"]
            else _channel_link(workspace, match["channel"])
        )

    return TYPED.sub(replace, escape(text))


def who(user: User) -> Json:
    """The `user` of an interaction."""
    return {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team_id}


def place(workspace: Workspace, channel_id: str) -> Json:
    """The `channel` of an interaction."""
    channel = workspace.channel(channel_id)
    return {"id": channel.id, "name": "directmessage" if channel.im_user else channel.name}


def response_link(
    world: World, app: AppInstall, user: str, channel: str, origin: Json | None
) -> str:
    """A fresh response_url for an app."""
    path = world.workspace.new_response_path(app, user, channel, origin)
    return f"{world.base_url}/response/{path}"


def commands_of(app: AppInstall) -> dict[str, Json]:
    """The slash commands of the app's manifest by name."""
    commands = app.manifest.get("features", {}).get("slash_commands", [])
    return {item["command"]: item for item in commands}


def app_of_command(workspace: Workspace, command: str) -> AppInstall:
    """The app with this command, or else the first, if it has no manifest."""
    for app in workspace.apps.values():
        if command in commands_of(app):
            return app
    if workspace.app.manifest:
        raise SlackError("unknown_command", detail=f"{command} is not a valid command.")
    return workspace.app


def slash_command(world: World, user: User, command: str, text: str, channel_id: str) -> Json:
    """A slash command as it goes to its app; without `channel_id` it is typed in the app's direct
    conversation."""
    workspace = world.workspace
    app = app_of_command(workspace, command)
    escaping = commands_of(app).get(command, {}).get("should_escape", not app.manifest)
    channel = place(workspace, channel_id or workspace.direct(user.id, app).id)
    return {
        "token": "sandbox",
        "team_id": workspace.team_id,
        "team_domain": workspace.domain,
        "channel_id": channel["id"],
        "channel_name": channel["name"],
        "user_id": user.id,
        "user_name": user.name,
        "command": command,
        "text": escaped_command(workspace, text) if escaping else text,
        "api_app_id": app.id,
        "is_enterprise_install": "false",
        "response_url": response_link(world, app, user.id, channel["id"], None),
        "trigger_id": workspace.new_trigger(user.id, app),
    }


def interaction(world: World, app: AppInstall, kind: str, user: User, **more: Any) -> Json:
    """The fields of every interaction, and those of this one."""
    workspace = world.workspace
    return {
        "type": kind,
        "user": who(user),
        "team": {"id": workspace.team_id, "domain": workspace.domain},
        "api_app_id": app.id,
        "token": "sandbox",
        "enterprise": None,
        "is_enterprise_install": False,
        **more,
    }


def on_view(world: World, view: View) -> Json:
    """The fields of an interaction inside a modal or home."""
    shown = view_json(world.workspace, view)
    return {
        "container": {"type": "view", "view_id": view.id},
        "view": shown,
        "state": shown["state"],
    }


def on_message(world: World, user: User, message: Json) -> Json:
    """The fields of an interaction on a message."""
    private = bool(message.get("is_ephemeral"))
    container = {
        "type": "message",
        "message_ts": message["ts"],
        "channel_id": message["channel"],
        "is_ephemeral": private,
    }
    thread = {"thread_ts": message["thread_ts"]} if "thread_ts" in message else {}
    return {
        "container": {**container, **thread},
        "channel": place(world.workspace, message["channel"]),
        **({} if private else {"message": public(message)}),
        "state": {"values": state_values(message.get("blocks", []), {})},
        "response_url": response_link(
            world, world.workspace.app_of(message), user.id, message["channel"], message
        ),
    }
