"""The Web API methods about the app itself, people, groups and conversations.

`api.py` has checked tokens and limits before.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from bot.sandbox.checks import Json
from bot.sandbox.rules import MAX_CONNECTIONS, READ_CHANNELS
from bot.sandbox.workspace import Channel, Group, SlackError, User
from bot.sandbox.world import Call, Handler


def user_json(user: User, with_email: bool, app_id: str = "") -> Json:
    """A user as users.info shows it; the address only with users:read.email, and `app_id` for the
    user of an app."""
    profile = {"real_name": user.real_name, "display_name": user.name, "title": user.title}
    profile |= {"api_app_id": app_id} if app_id else {}
    return {
        "id": user.id,
        "team_id": user.team_id,
        "name": user.name,
        "real_name": user.real_name,
        "tz": user.tz,
        "deleted": user.deleted,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "is_admin": user.is_admin,
        "is_owner": False,
        "is_restricted": user.is_restricted,
        "is_ultra_restricted": user.is_ultra_restricted,
        "is_email_confirmed": user.is_email_confirmed,
        **({"is_invited_user": True} if user.is_invited_user else {}),
        **({"is_stranger": True} if user.is_stranger else {}),
        "profile": {**profile, **({"email": user.email} if with_email and user.email else {})},
    }


def group_json(group: Group, with_users: bool = False) -> Json:
    """A user group as usergroups.list shows it."""
    return {
        "id": group.id,
        "handle": group.handle,
        "name": group.name,
        "is_usergroup": True,
        "date_delete": group.date_delete,
        "user_count": len(group.users),
        **({"users": list(group.users)} if with_users else {}),
    }


def channel_type(channel: Channel) -> str:
    """The type of this conversation in conversations.list."""
    return (
        "im" if channel.im_user else "private_channel" if channel.is_private else "public_channel"
    )


def channel_json(channel: Channel, bot: str) -> Json:
    """A conversation as conversations.info shows it."""
    if channel.im_user:
        return {
            "id": channel.id,
            "is_im": True,
            "user": channel.im_user,
            "is_archived": channel.is_archived,
        }
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_im": False,
        "is_private": channel.is_private,
        "is_archived": channel.is_archived,
        "is_ext_shared": channel.is_ext_shared,
        "is_member": bot in channel.members,
        "num_members": len(channel.members),
    }


def visible_channel(call: Call) -> Channel:
    """The conversation, unless it is private and without the bot, which can't see it then."""
    channel = call.workspace.channel(call.text("channel"))
    if channel.is_private and call.app.bot_user not in channel.members:
        raise SlackError("channel_not_found")
    return channel


def page(call: Call, key: str, items: list[Any]) -> Json:
    """One page of `items` with the cursor to the next."""
    try:
        start = int(base64.b64decode(call.text("cursor") or b"MA==", validate=True))
        limit = min(int(call.text("limit") or 0) or 1000, 1000)
    except (ValueError, binascii.Error):
        raise SlackError("invalid_cursor") from None
    more = start + limit < len(items)
    cursor = base64.b64encode(str(start + limit).encode()).decode() if more else ""
    return {key: items[start : start + limit], "response_metadata": {"next_cursor": cursor}}


def api_test(call: Call) -> Json:
    """api.test: gives the arguments back."""
    if "error" in call.args:
        raise SlackError(call.text("error"), args=call.args)
    return {"args": call.args}


def auth_test(call: Call) -> Json:
    """auth.test: the identity of the token."""
    workspace, app = call.workspace, call.app
    return {
        "url": f"https://{workspace.domain}.slack.com/",
        "team": workspace.team_name,
        "user": workspace.users[app.bot_user].name,
        "team_id": workspace.team_id,
        "user_id": app.bot_user,
        "bot_id": app.bot_id,
        "is_enterprise_install": False,
    }


def connections_open(call: Call) -> Json:
    """apps.connections.open: the address of a socket, good for one connection."""
    sockets = call.world.events.sockets
    if len(sockets.of(call.app.id)) >= MAX_CONNECTIONS:
        raise SlackError("too_many_websockets")
    base, ticket = call.world.base_url.removeprefix("http"), sockets.new_ticket(call.app.id)
    return {"url": f"ws{base}/socket?ticket={ticket}"}


def conversations_open(call: Call) -> Json:
    """conversations.open: the direct conversation with one person."""
    if call.args.get("channel"):
        return {"channel": channel_json(call.workspace.channel(call.text("channel")), "")}
    ids = [item for item in call.text("users").split(",") if item]
    if len(ids) != 1:
        raise SlackError("too_many_users" if ids else "users_list_not_supplied")
    user = call.workspace.user(ids[0])
    if user.deleted:
        raise SlackError("user_disabled")
    if user.is_bot:
        raise SlackError("cannot_dm_bot")
    channel = call.workspace.direct(user.id, call.app)
    return {"channel": channel_json(channel, "") if call.flag("return_im") else {"id": channel.id}}


def conversations_info(call: Call) -> Json:
    """conversations.info."""
    channel = visible_channel(call)
    call.granted(READ_CHANNELS[channel_type(channel)])
    return {"channel": channel_json(channel, call.app.bot_user)}


def conversations_list(call: Call) -> Json:
    """conversations.list, in pages."""
    kinds = [kind.strip() for kind in (call.text("types") or "public_channel").split(",")]
    for kind in kinds:
        if kind not in READ_CHANNELS:
            raise SlackError("invalid_types")
        call.granted(READ_CHANNELS[kind])
    bot = call.app.bot_user
    found = [
        channel_json(channel, bot)
        for channel in call.workspace.channels.values()
        if channel_type(channel) in kinds
        and not (channel.is_private and bot not in channel.members)
        and not (channel.is_archived and call.flag("exclude_archived"))
    ]
    return page(call, "channels", found)


def conversations_members(call: Call) -> Json:
    """conversations.members, in pages."""
    channel = visible_channel(call)
    call.granted(READ_CHANNELS[channel_type(channel)])
    return page(call, "members", channel.members)


def _with_email(call: Call) -> bool:
    return "users:read.email" in call.app.scopes


def users_info(call: Call) -> Json:
    """users.info."""
    user = call.workspace.user(call.text("user"))
    app = call.workspace.app_of_user(user.id)
    return {"user": user_json(user, _with_email(call), app.id if app else "")}


def users_list(call: Call) -> Json:
    """users.list, in pages; strangers of shared channels are not members."""
    members = [user for user in call.workspace.users.values() if not user.is_stranger]
    return page(call, "members", [user_json(user, _with_email(call)) for user in members])


def users_lookup_by_email(call: Call) -> Json:
    """users.lookupByEmail: active members only."""
    email = call.text("email").lower()
    for user in call.workspace.users.values():
        if user.email.lower() == email and not user.deleted and not user.is_stranger:
            return {"user": user_json(user, True)}
    raise SlackError("users_not_found")


def usergroups_list(call: Call) -> Json:
    """usergroups.list."""
    groups = [
        group_json(group, call.flag("include_users"))
        for group in call.workspace.groups.values()
        if not group.date_delete or call.flag("include_disabled")
    ]
    return {"usergroups": groups}


def usergroups_users_list(call: Call) -> Json:
    """usergroups.users.list."""
    group = call.workspace.groups.get(call.text("usergroup"))
    if group is None or (group.date_delete and not call.flag("include_disabled")):
        raise SlackError("no_such_subteam")
    return {"users": list(group.users)}


HANDLERS: dict[str, Handler] = {
    "api.test": api_test,
    "auth.test": auth_test,
    "apps.connections.open": connections_open,
    "conversations.open": conversations_open,
    "conversations.info": conversations_info,
    "conversations.list": conversations_list,
    "conversations.members": conversations_members,
    "users.info": users_info,
    "users.list": users_list,
    "users.lookupByEmail": users_lookup_by_email,
    "usergroups.list": usergroups_list,
    "usergroups.users.list": usergroups_users_list,
}
