"""Reads everything that one person may see: people, conversations with unread counts, messages,
modals, the app's home.

It changes nothing, except that it opens the viewer's direct conversation with the app.
"""

from __future__ import annotations

from typing import Any

from bot.sandbox.checks import Json
from bot.sandbox.methods_views import view_json
from bot.sandbox.mrkdwn_effects import notifications
from bot.sandbox.workspace import Channel, Group, SlackError, User
from bot.sandbox.world import World

PAGE = 50
MOST_UNREAD = 100


def person(world: World, name: str) -> User:
    """A person by handle or id. Raises SlackError for an unknown person, a bot, or one who can no
    longer sign in."""
    user = world.workspace.users.get(name) or world.workspace.by_name(name)
    if user is None or user.is_bot:
        raise SlackError("user_not_found")
    if user.deleted:
        raise SlackError("account_inactive")
    return user


def conversation(world: World, user: User, channel_id: str) -> Channel:
    """A conversation that the person is in. Raises SlackError."""
    channel = world.workspace.channel(channel_id)
    if user.id not in channel.members:
        raise SlackError("channel_not_found" if channel.is_private else "not_in_channel")
    return channel


def conversations(world: World, user: User) -> list[Channel]:
    """The person's conversations, including the first app's direct conversation once it is
    open."""
    bot = world.workspace.app.bot_user
    return [
        channel
        for channel in world.workspace.channels.values()
        if user.id in channel.members and (not channel.im_user or bot in channel.members)
    ]


def called(world: World, user: User) -> frozenset[str]:
    """The mentions of this person: by name, by group, or of everybody."""
    groups = (group for group in world.workspace.groups.values() if user.id in group.users)
    everybody = ("<!channel", "<!here", "<!everyone")
    return frozenset((f"<@{user.id}", *everybody, *(f"<!subteam^{group.id}" for group in groups)))


def marks(world: World, message: Json) -> frozenset[str]:
    """The mentions in a message, without their labels. They are cached, because every read needs
    them."""
    place, state = (message["channel"], message["ts"]), (message.get("edited") or {}).get("ts", "")
    known = world.marks.get(place)
    if known is None or known[0] != state:
        found = frozenset(mark.rstrip(">").partition("|")[0] for mark in notifications(message))
        known = world.marks[place] = (state, found)
    return known[1]


def top_level(message: Json) -> bool:
    """Whether a message is in the conversation itself and not only in a thread."""
    in_thread = message.get("thread_ts", message["ts"]) != message["ts"]
    return not in_thread or message.get("subtype") == "thread_broadcast"


def unread(world: World, user: User, channel: Channel) -> Json:
    """The number of messages of others that the person has not read, up to a hundred, and of those
    that notify."""
    mark = world.workspace.reads.get(user.id, {}).get(channel.id, "")
    count = notify = 0
    mine, direct = called(world, user), channel.im_user == user.id
    for message in reversed(world.workspace.messages.get(channel.id, {}).values()):
        if message["ts"] <= mark or count >= MOST_UNREAD:
            break
        if message.get("user") != user.id and top_level(message):
            count += 1
            notify += direct or not mine.isdisjoint(marks(world, message))
    return {"count": count, "pings": notify}


def unread_all(world: World, user: User) -> Json:
    """`unread` of every conversation that has any, by id."""
    found = {channel.id: unread(world, user, channel) for channel in conversations(world, user)}
    return {key: value for key, value in found.items() if value["count"]}


def waiting(world: World) -> dict[str, int]:
    """The number of unread messages that notify, by person. Counted once for each change."""
    version, found = world.waiting
    if version != world.workspace.version:
        people = [
            user for user in world.workspace.users.values() if not user.is_bot and not user.deleted
        ]
        found = {
            user.id: sum(one["pings"] for one in unread_all(world, user).values())
            for user in people
        }
        world.waiting = (world.workspace.version, found)
    return found


def messages(world: World, user: User, asked: Json) -> Json:
    """A page of a conversation, oldest first, and whether there are older ones; `before` is a ts.

    The person's ephemeral messages are among them.
    """
    channel = conversation(world, user, asked["channel"])
    stored = world.workspace.messages.get(channel.id, {})
    mine = [
        item
        for item in world.workspace.ephemerals.get(user.id, [])
        if item["channel"] == channel.id
    ]
    found = sorted([*filter(top_level, stored.values()), *mine], key=lambda item: str(item["ts"]))
    before = str(asked.get("before") or "9")
    older = [item for item in found if item["ts"] < before]
    size = max(1, min(int(asked.get("limit") or PAGE), 200))
    return {"messages": older[-size:], "more": len(older) > size}


def thread(world: World, user: User, asked: Json) -> Json:
    """A message and the answers below it, oldest first."""
    channel = conversation(world, user, asked["channel"])
    stored = world.workspace.messages.get(channel.id, {})
    found = [item for item in stored.values() if asked["ts"] in (item["ts"], item.get("thread_ts"))]
    if not found:
        raise SlackError("thread_not_found")
    return {"messages": found}


def modal(world: World, user: User) -> Json | None:
    """The modal on top."""
    view = world.workspace.top_view(user.id)
    return view_json(world.workspace, view) if view else None


def home(world: World, user: User) -> Json | None:
    """The home that the app has published for this person."""
    view = world.workspace.app.homes.get(user.id)
    return view_json(world.workspace, view) if view else None


def directory(world: World, user: User) -> Json:
    """All people and groups, and the conversations that the person may see."""
    workspace = world.workspace
    seen = {channel.id for channel in conversations(world, user)}
    return {
        "people": [_person_json(one) for one in workspace.users.values()],
        "groups": [
            _group_json(group) for group in workspace.groups.values() if not group.date_delete
        ],
        "channels": [
            _channel_json(channel, channel.id in seen)
            for channel in workspace.channels.values()
            if channel.id in seen or not channel.is_private
        ],
    }


def _person_json(user: User) -> Json:
    names = (
        "id",
        "name",
        "real_name",
        "tz",
        "is_bot",
        "deleted",
        "is_restricted",
        "is_stranger",
        "title",
    )
    return {name: getattr(user, name) for name in names}


def _group_json(group: Group) -> Json:
    return {name: getattr(group, name) for name in ("id", "handle", "name", "users")}


def _channel_json(channel: Channel, member: bool) -> Json:
    names = ("id", "name", "is_private", "is_archived", "is_ext_shared", "im_user")
    return {
        **{name: getattr(channel, name) for name in names},
        "member": member,
        "members": len(channel.members),
    }


def app(world: World) -> Json:
    """The first app for people: its name, commands, shortcuts, tabs, and whether it is
    connected."""
    workspace, manifest = world.workspace, world.workspace.app.manifest
    features: dict[str, Any] = manifest.get("features", {})
    return {
        "user": workspace.app.bot_user,
        "name": workspace.users[workspace.app.bot_user].real_name,
        "about": manifest.get("display_information", {}),
        "commands": features.get("slash_commands", []),
        "shortcuts": features.get("shortcuts", []),
        "tabs": features.get("app_home", {"home_tab_enabled": True, "messages_tab_enabled": True}),
        "connected": bool(world.events.sockets.of(workspace.app.id) or workspace.app.request_url),
    }


def everything(world: World, user: User) -> Json:
    """Everything that the page needs at the start."""
    world.workspace.direct(user.id, world.workspace.app)
    return {
        "version": world.workspace.version,
        "now": world.workspace.now(),
        "team": world.workspace.team_name,
        "me": user.id,
        **directory(world, user),
        "app": app(world),
        "unread": unread_all(world, user),
        "waiting": waiting(world),
        "modal": modal(world, user),
        "home": home(world, user),
        "links": world.links,
        "gate": world.gate,
    }
