"""The Slack app manifest (https://docs.slack.dev/reference/app-manifest), made from the tables that
register the listeners, so that Slack sends exactly the events that have listeners. It knows no
token and no workspace."""

from collections.abc import Mapping
from typing import Any, Literal

from bot.core.names import app_name, slash
from bot.slack.listeners import EVENTS, SHORTCUTS, ShortcutDef

ENDPOINT = "/slack/events"

SCOPES: Mapping[str, str] = {
    "commands": "offer the slash command and the shortcuts",
    "chat:write": "post requests for approval, and answer people",
    "im:write": "send people direct messages about their access",
    "users:read": "know who is a full member, and who was deactivated",
    "users:read.email": "read the e-mail by which other systems know a person",
    "usergroups:read": "know who is in the groups that roles.toml names",
    "channels:read": "find public channels that roles.toml names by name",
    "groups:read": "find private channels that roles.toml names by name",
    "files:write": "send a lead the audit log as a CSV file",
}
"""Every scope of the app, with its purpose."""

OPTIONAL: Mapping[str, str] = {
    "groups:read": "name private channels in roles.toml by their id",
    "files:write": "export the audit log with `access-bot audit export`",
}
"""The scopes that an installation may leave out
(https://docs.slack.dev/changelog/2026/03/16/optional-scopes), each with the alternative."""

USAGE = "request [role] [2h] [reason] | list | renew | done | cancel | roles | audit | help"

ABOUT = (
    "Ask for time-limited access to production systems without leaving Slack. Pick a role, say why"
    " and for how long; an approver of that role decides in the approvals channel, access is"
    " granted, you are reminded before it ends, and it is revoked on time. Leads can list who holds"
    " what and read the audit trail with {command} audit. Run by your own team, on your own"
    " servers."
)


def manifest(mode: Literal["socket", "http"], url: str | None = None) -> dict[str, Any]:
    """The manifest for Slack. `url` is the public address of the bot, needed only for `http`.

    Raises ValueError for an unknown mode, and for `http` without an https address.
    """
    if mode not in ("socket", "http"):
        raise ValueError(f"Unknown mode “{mode}”. Use socket or http.")
    if mode == "http" and not (url or "").startswith("https://"):
        raise ValueError(
            "HTTP mode needs the public address of the bot, for example https://access.example.com"
        )
    address = _endpoint(url or "") if mode == "http" else None
    return {
        "_metadata": {"major_version": 2, "minor_version": 0},
        "display_information": {
            "name": app_name(),
            "description": "Temporary production access: ask, approve, and it ends automatically.",
            "background_color": "#1d3557",
            "long_description": ABOUT.format(command=slash()),
        },
        "features": _features(address),
        "oauth_config": {"scopes": {"bot": list(SCOPES), "bot_optional": list(OPTIONAL)}},
        "settings": _settings(address),
    }


def _endpoint(url: str) -> str:
    return url if url.endswith(ENDPOINT) else url.rstrip("/") + ENDPOINT


def _features(address: str | None) -> dict[str, Any]:
    command = {
        "command": slash(),
        "description": "Request, renew, give back or review production access",
        "usage_hint": USAGE,
        "should_escape": True,
    }
    return {
        "app_home": {
            "home_tab_enabled": True,
            "messages_tab_enabled": True,
            "messages_tab_read_only_enabled": True,
        },
        "bot_user": {"display_name": app_name(), "always_online": True},
        "slash_commands": [{**command, "url": address} if address else command],
        "shortcuts": [_shortcut(opening) for opening in SHORTCUTS],
    }


def _shortcut(opening: ShortcutDef) -> dict[str, str]:
    return {
        "name": opening.name,
        "type": opening.kind,
        "callback_id": str(opening.id),
        "description": opening.description,
    }


def _settings(address: str | None) -> dict[str, Any]:
    there = {"request_url": address} if address else {}
    options = {"message_menu_options_url": address} if address else {}
    return {
        "event_subscriptions": {**there, "bot_events": list(EVENTS)},
        "interactivity": {"is_enabled": True, **there, **options},
        "org_deploy_enabled": False,
        "socket_mode_enabled": address is None,
        "token_rotation_enabled": False,
    }
