"""The acts of people in the workspace: each builds a payload, delivers it and applies the app's
answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from bot.sandbox.blocks import validate_suggestions
from bot.sandbox.checks import Json
from bot.sandbox.event_delivery import ACKED, Delivery
from bot.sandbox.forms import elements, form_problems, state_values
from bot.sandbox.methods_chat import answer_in_place, answered, content, public
from bot.sandbox.methods_views import checked_view, push_view, replace_view, view_json
from bot.sandbox.payloads import (
    interaction,
    on_message,
    on_view,
    response_link,
    slash_command,
)
from bot.sandbox.workspace import AppInstall, SlackError, User, View
from bot.sandbox.world import Call, World

Act = Callable[[World, Json], Awaitable[Json]]

LEAST_TYPED = 3
"""Characters that Slack's client waits for where the element does not say (`min_query_length`)."""

NOT_SUGGESTED = ("state", "response_url")
"""Fields of other interactions that `block_suggestion` lacks."""


def actor(world: World, asked: Json) -> User:
    """The person who acts; raises SlackError for an unknown or deactivated one."""
    user = world.workspace.user(str(asked["user"]))
    if user.deleted:
        raise SlackError("account_inactive")
    return user


def visible_message(world: World, user: User, channel: str, ts: str) -> Json:
    """A message or ephemeral that the person may see."""
    mine = world.workspace.ephemerals.get(user.id, [])
    ephemeral = next((item for item in reversed(mine) if item["ts"] == ts), None)
    if ephemeral is not None:
        return ephemeral
    if user.id not in world.workspace.channel(channel).members:
        raise SlackError("not_in_channel")
    return world.workspace.message(channel, ts)


def outcome(world: World, user: User, delivery: Delivery, **more: Any) -> Json:
    """The outcome for the person: the delivery, and the modal now on top."""
    view = world.workspace.top_view(user.id)
    return {
        "delivery": delivery.number,
        "outcome": delivery.outcome,
        "error": "" if delivery.outcome == ACKED else delivery.outcome,
        "ack": delivery.ack,
        "seconds": delivery.seconds,
        "view": view_json(world.workspace, view) if view else None,
        "messages": [],
        "errors": {},
        "options": [],
        **more,
    }


async def command(world: World, asked: Json) -> Json:
    """A slash command. The ack's text or blocks are shown; without an ack Slack shows an error."""
    user = actor(world, asked)
    words = asked.get("text", "")
    payload = slash_command(world, user, asked["command"], words, asked.get("channel") or "")
    delivery = await world.events.deliver("slash_commands", payload)
    if delivery.outcome != ACKED:
        words = f'{asked["command"]} failed with the error "{delivery.outcome}"'
        whisper = world.workspace.whisper(
            user.id, payload["channel_id"], {"user": "USLACKBOT", "text": words}
        )
        return outcome(world, user, delivery, messages=[whisper])
    shown = _shown_ack(world, user, payload, delivery.ack)
    for message in shown.get("messages", []):
        answered(world, payload["response_url"], message)
    return outcome(world, user, delivery, **shown)


def _shown_ack(world: World, user: User, payload: Json, ack: Json | None) -> Json:
    """The message inside a command's ack, shown where the person is."""
    if not ack or not (ack.get("text") or ack.get("blocks")):
        return {}
    call = Call(world, world.workspace.app_of(payload), ack)
    try:
        fields = content(call)
    except SlackError as refused:
        return {"error": refused.error, "problems": refused.more.get("errors", [])}
    return {"messages": [answer_in_place(call, user.id, payload["channel_id"], fields)]}


def _spot(world: World, user: User, asked: Json) -> tuple[AppInstall, Json]:
    """The app and the fields of the place of a click: a view or a message."""
    if asked.get("view_id"):
        view = own_view(world, user, asked["view_id"])
        return world.workspace.apps[view.app], on_view(world, view)
    message = visible_message(world, user, asked["channel"], asked["ts"])
    return world.workspace.app_of(message), on_message(world, user, message)


def own_view(world: World, user: User, view_id: str) -> View:
    homes = [app.homes.get(user.id) for app in world.workspace.apps.values()]
    home = next((home for home in homes if home is not None and home.id == view_id), None)
    view = home or world.workspace.views.get(view_id)
    if view is None or view.user != user.id:
        raise SlackError("view_not_found")
    return view


async def click(world: World, asked: Json) -> Json:
    """A press or a choice: `action` has block_id, action_id, type and the value as Slack sends
    it."""
    user, workspace = actor(world, asked), world.workspace
    app, spot = _spot(world, user, asked)
    payload = interaction(
        world,
        app,
        "block_actions",
        user,
        **spot,
        trigger_id=asked.get("trigger_id") or workspace.new_trigger(user.id, app),
        actions=[{**asked["action"], "action_ts": workspace.new_ts()}],
    )
    return outcome(world, user, await world.events.deliver("interactive", payload))


async def suggest(world: World, asked: Json) -> Json:
    """The options of an external select for the typed text; Slack's client asks for none while that
    is too short. An answer that Slack would refuse gives no options, but `problems`."""
    user = actor(world, asked)
    app, spot = _spot(world, user, asked)
    names = {name: asked[name] for name in ("block_id", "action_id")}
    typed = str(asked.get("value", ""))
    if len(typed) < _searched(spot, names).get("min_query_length", LEAST_TYPED):
        return {"outcome": "too_short", "options": []}
    _refuse_without_options_url(app)
    place = {name: value for name, value in spot.items() if name not in NOT_SUGGESTED}
    payload = interaction(world, app, "block_suggestion", user, **place, **names, value=typed)
    delivery = await world.events.deliver("interactive", payload)
    ack = delivery.ack or {}
    if delivery.outcome != ACKED:
        return outcome(world, user, delivery, error=delivery.outcome)
    if problems := validate_suggestions(ack):
        return outcome(world, user, delivery, error="invalid_options", problems=problems)
    groups = [option for group in ack.get("option_groups", []) for option in group["options"]]
    return outcome(world, user, delivery, options=[*ack.get("options", []), *groups])


def _searched(spot: Json, names: Json) -> Json:
    """The external select that a person types into. Raises SlackError if there is none."""
    blocks = (spot.get("view") or spot.get("message") or {}).get("blocks", [])
    for block, element in elements(blocks):
        here = {"block_id": block["block_id"], "action_id": element["action_id"]} == names
        if here and "external" in element["type"]:
            return element
    raise SlackError("action_not_found")


def _refuse_without_options_url(app: AppInstall) -> None:
    """Over HTTP Slack asks for options only at the manifest's address for them."""
    settings = app.manifest.get("settings")
    if app.request_url is None or settings is None:
        return
    if not settings.get("interactivity", {}).get("message_menu_options_url"):
        raise SlackError("no_options_url")


async def draft(world: World, asked: Json) -> Json:
    """Something typed or chosen in a view, not sent yet."""
    user = actor(world, asked)
    view = own_view(world, user, asked["view_id"])
    view.drafts.setdefault(asked["block_id"], {})[asked["action_id"]] = asked["state"]
    world.workspace.changed("view_drafted", user=user.id, view=view.id)
    return {"view": view_json(world.workspace, view)}


def _top(world: World, user: User) -> View:
    view = world.workspace.top_view(user.id)
    if view is None:
        raise SlackError("no_view_open")
    return view


async def submit(world: World, asked: Json) -> Json:
    """Submits the modal on top. The refusals of Slack's client come back as `errors` with
    `blocked`."""
    user = actor(world, asked)
    view = _top(world, user)
    blocks = view.body["blocks"]
    problems = form_problems(blocks, state_values(blocks, view.drafts))
    if problems:
        shown = view_json(world.workspace, view)
        return {
            "blocked": True,
            "outcome": "blocked",
            "errors": problems,
            "view": shown,
            "ack": None,
        }
    app = world.workspace.apps[view.app]
    payload = interaction(
        world,
        app,
        "view_submission",
        user,
        view=view_json(world.workspace, view),
        trigger_id=world.workspace.new_trigger(user.id, app),
        response_urls=[],
    )
    delivery = await world.events.deliver("interactive", payload)
    more = _after_submit(world, view, delivery.ack or {}) if delivery.outcome == ACKED else {}
    return outcome(world, user, delivery, **more)


def _after_submit(world: World, view: View, ack: Json) -> Json:
    """Follows the app's response_action; a bad one leaves the modal open with an error, as in
    Slack."""
    try:
        return RESPONSES[str(ack.get("response_action", "close"))](world, view, ack)
    except SlackError as refused:
        return {"error": refused.error, **refused.more}
    except KeyError as missing:
        return {"error": f"invalid_response_action: {missing}"}


def _errors(world: World, view: View, ack: Json) -> Json:
    known = {block["block_id"] for block in view.body["blocks"] if block["type"] == "input"}
    unknown = sorted(set(ack["errors"]) - known)
    return {
        "errors": ack["errors"],
        **({"error": f"unknown_block_id: {unknown}"} if unknown else {}),
    }


def _update(world: World, view: View, ack: Json) -> Json:
    replace_view(world.workspace, view, checked_view(ack["view"], "modal"))
    return {}


def _push(world: World, view: View, ack: Json) -> Json:
    push_view(world.workspace, view.app, view.user, checked_view(ack["view"], "modal"))
    return {}


def _clear(world: World, view: View, ack: Json) -> Json:
    world.workspace.close_views(view.user)
    return {}


def _close(world: World, view: View, ack: Json) -> Json:
    stack = world.workspace.stacks.get(view.user, [])
    if view.id in stack:
        world.workspace.close_views(view.user, stack.index(view.id))
    return {}


RESPONSES: dict[str, Callable[[World, View, Json], Json]] = {
    "errors": _errors,
    "update": _update,
    "push": _push,
    "clear": _clear,
    "close": _close,
}


async def close(world: World, asked: Json) -> Json:
    """Closes the top modal; the app gets an event if the view asked for it."""
    user = actor(world, asked)
    view = _top(world, user)
    shown = view_json(world.workspace, view)
    stack = world.workspace.stacks[user.id]
    world.workspace.close_views(user.id, 0 if view.body["clear_on_close"] else len(stack) - 1)
    if not view.body["notify_on_close"]:
        return {"outcome": "closed"}
    app, cleared = world.workspace.apps[view.app], view.body["clear_on_close"]
    payload = interaction(world, app, "view_closed", user, view=shown, is_cleared=cleared)
    return outcome(world, user, await world.events.deliver("interactive", payload))


async def home(world: World, asked: Json) -> Json:
    """Opens the app's home tab (or its messages tab)."""
    user = actor(world, asked)
    app = world.workspace.app_of(asked)
    view = app.homes.get(user.id)
    event = {
        "type": "app_home_opened",
        "user": user.id,
        "channel": world.workspace.direct(user.id, app).id,
        "tab": asked.get("tab", "home"),
        **({"view": view_json(world.workspace, view)} if view else {}),
    }
    return {"delivered": world.events.emit(event, only=app)}


def _refuse_unknown_shortcut(app: AppInstall, kind: str, callback_id: str) -> None:
    manifest = app.manifest
    known = {
        (item["type"], item["callback_id"])
        for item in manifest.get("features", {}).get("shortcuts", [])
    }
    if manifest and (kind, callback_id) not in known:
        raise SlackError("unknown_shortcut")


async def shortcut(world: World, asked: Json) -> Json:
    """A global shortcut."""
    user, app = actor(world, asked), world.workspace.app_of(asked)
    _refuse_unknown_shortcut(app, "global", asked["callback_id"])
    fields = {
        "callback_id": asked["callback_id"],
        "trigger_id": world.workspace.new_trigger(user.id, app),
    }
    payload = interaction(
        world, app, "shortcut", user, action_ts=world.workspace.new_ts(), **fields
    )
    return outcome(world, user, await world.events.deliver("interactive", payload))


async def message_shortcut(world: World, asked: Json) -> Json:
    """A shortcut from the menu of a message."""
    user, workspace = actor(world, asked), world.workspace
    app = workspace.app_of(asked)
    _refuse_unknown_shortcut(app, "message", asked["callback_id"])
    message = visible_message(world, user, asked["channel"], asked["ts"])
    payload = interaction(
        world,
        app,
        "message_action",
        user,
        callback_id=asked["callback_id"],
        trigger_id=workspace.new_trigger(user.id, app),
        action_ts=workspace.new_ts(),
        message_ts=message["ts"],
        message=public(message),
        channel={
            "id": message["channel"],
            "name": workspace.channel(message["channel"]).name or "directmessage",
        },
        response_url=response_link(world, app, user.id, message["channel"], message),
    )
    return outcome(world, user, await world.events.deliver("interactive", payload))


async def say(world: World, asked: Json) -> Json:
    """A person writes into a channel; apps get an event only if they subscribed to messages."""
    user = actor(world, asked)
    channel = world.workspace.channel(asked["channel"])
    if user.id not in channel.members:
        raise SlackError("not_in_channel")
    fields = {"user": user.id, "text": asked["text"], "team": user.team_id}
    thread = {"thread_ts": asked["thread_ts"]} if asked.get("thread_ts") else {}
    message = world.workspace.post(channel, {**fields, **thread})
    kind = "im" if channel.im_user else "group" if channel.is_private else "channel"
    subscription = "message.im" if kind == "im" else f"message.{kind}s"
    apps = world.workspace.apps.values()
    only = next((app for app in apps if channel.im_user and app.bot_user in channel.members), None)
    world.events.emit({**message, "channel_type": kind}, subscription, only)
    return message


ACTS: dict[str, Act] = {
    "command": command,
    "click": click,
    "suggest": suggest,
    "draft": draft,
    "submit": submit,
    "close": close,
    "home": home,
    "shortcut": shortcut,
    "message_shortcut": message_shortcut,
    "say": say,
}
