"""Changes by the owner of the workspace or by a test: people, groups, channels, tokens, faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

from bot.sandbox.checks import Json
from bot.sandbox.faults import SOCKET_KINDS, Fault
from bot.sandbox.methods_people import group_json, user_json
from bot.sandbox.rules import Rate
from bot.sandbox.workspace import Channel, Group, SlackError, User
from bot.sandbox.world import World

Verb = Callable[[World, Json], Any]
GATE_BREAK_SECONDS = 5.0


def _changed(world: World, kind: str, user: User) -> Json:
    shown = user_json(user, True)
    world.workspace.changed(kind, user=user.id)
    world.events.emit({"type": kind, "user": shown})
    return shown


def create_user(world: World, asked: Json) -> Json:
    """Creates a person; with `join` (default) the app gets the event team_join."""
    join = asked.pop("join", True)
    asked.setdefault("id", world.workspace.new_id("U"))
    asked.setdefault("email", f"{asked['name']}@example.com")
    user = User(**asked)
    world.workspace.users[user.id] = user
    return _changed(world, "team_join", user) if join else user_json(user, True)


def change_user(world: World, asked: Json) -> Json:
    """Changes fields of a person: deleted, is_restricted, tz, …"""
    user = world.workspace.user(asked.pop("user"))
    for name, value in asked.items():
        if not hasattr(user, name):
            raise SlackError("unknown_field", field=name)
        setattr(user, name, value)
    return _changed(world, "user_change", user)


def group_of(world: World, ref: str) -> Group:
    """A group by id or handle."""
    handle = ref.removeprefix("@")
    for group in world.workspace.groups.values():
        if ref == group.id or handle == group.handle:
            return group
    raise SlackError("no_such_subteam")


def create_group(world: World, asked: Json) -> Json:
    """A new user group."""
    asked.setdefault("id", world.workspace.new_id("S"))
    asked.setdefault("name", asked["handle"])
    group = Group(**asked)
    world.workspace.groups[group.id] = group
    world.workspace.changed("group_changed", group=group.id)
    return group_json(group, True)


def set_group(world: World, asked: Json) -> Json:
    """Changes the members of a group (`users`) or switches it off (`date_delete`); the app gets an
    event."""
    group, before = group_of(world, asked["group"]), set[str]()
    before.update(group.users)
    group.users = list(asked.get("users", group.users))
    group.date_delete = int(asked.get("date_delete", group.date_delete))
    added, removed = sorted(set(group.users) - before), sorted(before - set(group.users))
    now = int(world.workspace.now())
    world.workspace.changed("group_changed", group=group.id)
    if added or removed:
        world.events.emit(
            {
                "type": "subteam_members_changed",
                "subteam_id": group.id,
                "team_id": world.workspace.team_id,
                "date_previous_update": now,
                "date_update": now,
                "added_users": added,
                "added_users_count": len(added),
                "removed_users": removed,
                "removed_users_count": len(removed),
            }
        )
    world.events.emit({"type": "subteam_updated", "subteam": group_json(group, True)})
    return group_json(group, True)


def create_channel(world: World, asked: Json) -> Json:
    """A new channel with these members. A name that any other channel has is refused."""
    _refuse_taken(world, asked["name"])
    asked.setdefault("id", world.workspace.new_id("C"))
    channel = Channel(**asked)
    world.workspace.channels[channel.id] = channel
    world.workspace.changed("channel_changed", channel=channel.id)
    return asdict(channel)


def _refuse_taken(world: World, name: str) -> None:
    if any(channel.name == name for channel in world.workspace.channels.values()):
        raise SlackError("name_taken")


def set_channel(world: World, asked: Json) -> Json:
    """Changes a channel: is_archived, is_private, is_ext_shared, name, members."""
    channel = world.workspace.channel(asked.pop("channel"))
    if "name" in asked:
        _refuse_taken(world, asked["name"])
    for name, value in asked.items():
        if not hasattr(channel, name):
            raise SlackError("unknown_field", field=name)
        setattr(channel, name, value)
    world.workspace.changed("channel_changed", channel=channel.id)
    return asdict(channel)


def set_member(world: World, asked: Json) -> Json:
    """Adds a person (default: the app's bot) to a channel, or removes them."""
    channel = world.workspace.channel(asked["channel"])
    user = asked.get("user") or world.workspace.app_of(asked).bot_user
    members = [member for member in channel.members if member != user]
    channel.members = [*members, user] if asked.get("member", False) else members
    world.workspace.changed("channel_changed", channel=channel.id)
    return asdict(channel)


def set_app(world: World, asked: Json) -> Json:
    """Changes an installed app: scopes, bot_token, signing_secret, manifest, revoked."""
    app = world.workspace.app_of(asked)
    asked.pop("app_id", None)
    for name, value in asked.items():
        if not hasattr(app, name):
            raise SlackError("unknown_field", field=name)
        setattr(app, name, set(value) if name == "revoked" else value)
    world.workspace.changed("app_changed")
    return {"scopes": app.scopes}


def install_app(world: World, asked: Json) -> Json:
    """Installs one more app by its manifest."""
    manifest = asked["manifest"]
    app = world.workspace.install(manifest, manifest["oauth_config"]["scopes"]["bot"])
    return {"id": app.id}


def advance_clock(world: World, asked: Json) -> float:
    """Moves the workspace's clock ahead, for triggers and response_urls to grow old."""
    world.workspace.clock_offset += float(asked["seconds"])
    world.workspace.changed("tools_changed")
    return world.workspace.now()


def set_limits(world: World, asked: Json) -> None:
    """Switches rate limits on or off, and sets those of single methods: {method: [per_minute,
    burst]}."""
    world.limits.on = bool(asked.get("on", world.limits.on))
    for method, (per_minute, burst) in asked.get("methods", {}).items():
        world.limits.overrides[method] = Rate(float(per_minute), int(burst))
    world.limits.buckets.clear()


def set_delivery(world: World, asked: Json) -> None:
    """The way to an app, request_url (None: sockets); to all apps, retry_delays, ack_seconds."""
    events, app = world.events, world.workspace.app_of(asked)
    app.request_url = asked.get("request_url", app.request_url)
    events.retry_delays = tuple(asked.get("retry_delays", events.retry_delays))
    events.ack_seconds = float(asked.get("ack_seconds", events.ack_seconds))


def set_fault(world: World, asked: Json) -> None:
    """Adds a fault to a method or `*`."""
    world.faults.set(
        asked["method"], Fault(asked["kind"], asked.get("value", 0), asked.get("count"))
    )


def clear_faults(world: World, asked: Json) -> None:
    """Removes the faults of a method, or all of them with those of the sockets."""
    world.faults.clear(asked.get("method"))


def set_socket_fault(world: World, asked: Json) -> None:
    """Switches a fault of the sockets on or off."""
    if asked["kind"] not in SOCKET_KINDS:
        raise ValueError(f"unknown fault {asked['kind']}, known: {', '.join(SOCKET_KINDS)}")
    (world.faults.sockets.add if asked.get("on", True) else world.faults.sockets.discard)(
        asked["kind"]
    )


def drop_sockets(world: World, asked: Json) -> int:
    """Cuts every socket."""
    return world.events.sockets.cut_all()


def set_link(world: World, asked: Json) -> None:
    """Offers a further address on the page, under a title."""
    world.links[asked["title"]] = asked["url"]
    world.workspace.changed("links_changed")


def gate_answered(world: World, asked: Json) -> None:
    """Records that a gate beside the workspace admitted or refused a browser: {open, who}, `who`
    being an e-mail.

    An open page polls its gate, so only the first answer, a different one, and one after a break
    are news.
    """
    who = unquote(str(asked["who"]))
    found = next(
        (user.id for user in world.workspace.users.values() if who and user.email == who), ""
    )
    now, last = world.workspace.now(), world.gate
    answer = {"open": bool(asked["open"]), "who": found}
    if (
        all(last.get(name) == value for name, value in answer.items())
        and now - last["seen"] < GATE_BREAK_SECONDS
    ):
        last["seen"] = now
        return
    world.gate = {**answer, "at": now, "seen": now}
    world.workspace.changed("gate_answered")


def close_tools(world: World, asked: Json) -> None:
    """Blocks the clock and the faults of the page, and says why; without `why` it allows them
    again."""
    world.scenes.closed = str(asked.get("why", ""))
    world.workspace.changed("tools_changed")


def emit_event(world: World, asked: Json) -> bool:
    """Any event, with retries; False when the manifest doesn't subscribe to it."""
    return world.events.emit(asked["event"])


VERBS: dict[str, Verb] = {
    "create_user": create_user,
    "change_user": change_user,
    "create_group": create_group,
    "set_group": set_group,
    "create_channel": create_channel,
    "set_channel": set_channel,
    "set_member": set_member,
    "set_app": set_app,
    "install_app": install_app,
    "advance_clock": advance_clock,
    "set_limits": set_limits,
    "set_delivery": set_delivery,
    "set_fault": set_fault,
    "clear_faults": clear_faults,
    "set_socket_fault": set_socket_fault,
    "drop_sockets": drop_sockets,
    "set_link": set_link,
    "gate_answered": gate_answered,
    "close_tools": close_tools,
    "emit_event": emit_event,
}
