"""Turns a person's actions on the page into the acts that tests and the demo use.

The browser only names the element; it is looked up among those shown to that person, so the page
can't send more than Slack's client could.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from bot.sandbox import user_actions
from bot.sandbox.checks import Json
from bot.sandbox.element_state import find, options_of, press_action, state_of, where
from bot.sandbox.forms import SLOTS, elements
from bot.sandbox.page.queries import conversation, top_level
from bot.sandbox.payloads import escaped_command
from bot.sandbox.workspace import SlackError, User
from bot.sandbox.world import World

Doing = Callable[[World, User, Json], Awaitable[Any]]
PLACE = ("channel", "ts", "view_id")


def shown(world: World, user: User, asked: Json) -> Json:
    """The message or view that the person looks at, as Block Kit."""
    if asked.get("view_id"):
        return user_actions.own_view(world, user, asked["view_id"]).body
    return user_actions.visible_message(world, user, asked["channel"], asked["ts"])


def element_at(world: World, user: User, asked: Json) -> tuple[Json, Json]:
    """The block and element with these ids. Raises SlackError if they don't exist."""
    try:
        found: tuple[Json, Json] = find(
            shown(world, user, asked), action_id=asked["action_id"], block_id=asked["block_id"]
        )
    except LookupError:
        raise SlackError("action_not_found") from None
    return found


def state(user: User, element: Json, value: Any) -> Json:
    """The state of an element; options of an external select come as Slack's client keeps them, as
    objects."""
    if "external" in element["type"]:
        given = value if isinstance(value, list) else [] if value is None else [value]
        wanted = [str(option["value"]) for option in given]
        bare = wanted if element["type"].startswith("multi") else next(iter(wanted), None)
        return state_of(element, bare, lambda _: given, user.tz, str)
    return state_of(element, value, lambda _: options_of(element), user.tz, str)


async def keep(world: World, user: User, asked: Json) -> None:
    """Stores the content of the fields of a view: `values` by block and action."""
    for block_id, actions in (asked.get("values") or {}).items():
        for action_id, value in actions.items():
            ids = {"block_id": block_id, "action_id": action_id}
            block, element = element_at(world, user, {**asked, **ids})
            if element["type"] in SLOTS:
                kept = {"user": user.id, "view_id": asked["view_id"], **where(block, element)}
                await user_actions.draft(world, {**kept, "state": state(user, element, value)})


async def press(world: World, user: User, asked: Json) -> Json:
    """A button, an option of an overflow menu, or a choice in a select, picker or group outside a
    form."""
    if asked.get("view_id"):
        await keep(world, user, asked)
    block, element = element_at(world, user, asked)
    spot = {name: asked[name] for name in PLACE if asked.get(name)}
    if element["type"] not in SLOTS:
        action = press_action(block, element, asked.get("option"))
        return await user_actions.click(world, {"user": user.id, **spot, "action": action})
    chosen = state(user, element, asked.get("value"))
    if asked.get("view_id"):
        await user_actions.draft(
            world, {"user": user.id, **spot, **where(block, element), "state": chosen}
        )
    return await user_actions.click(
        world, {"user": user.id, **spot, "action": {**where(block, element), **chosen}}
    )


async def suggest(world: World, user: User, asked: Json) -> Json:
    """The options of an external select."""
    block, element = element_at(world, user, asked)
    spot = {name: asked[name] for name in PLACE if asked.get(name)}
    query = {"value": str(asked.get("value", ""))}
    return await user_actions.suggest(
        world, {"user": user.id, **spot, **where(block, element), **query}
    )


async def submit(world: World, user: User, asked: Json) -> Json:
    """Submits the top modal with the content of its fields."""
    top = world.workspace.top_view(user.id)
    if top is None or top.id != asked["view_id"]:
        raise SlackError("view_not_found")
    known = {
        (block["block_id"], element["action_id"]) for block, element in elements(top.body["blocks"])
    }
    values = {
        block_id: {
            action_id: value
            for action_id, value in actions.items()
            if (block_id, action_id) in known
        }
        for block_id, actions in (asked.get("values") or {}).items()
    }
    await keep(world, user, {**asked, "values": values})
    return await user_actions.submit(world, {"user": user.id})


async def close(world: World, user: User, asked: Json) -> Json:
    """Closes the top modal, if there is one."""
    top = world.workspace.top_view(user.id)
    if top is None or top.id != asked["view_id"]:
        return {"outcome": "closed"}
    return await user_actions.close(world, {"user": user.id})


async def say(world: World, user: User, asked: Json) -> Json:
    """Writes a message. The typed text is escaped, and names become mentions, as Slack's client
    does it."""
    text = str(asked["text"]).strip()
    if not text:
        raise SlackError("no_text")
    if len(text) > 12_000:
        raise SlackError("msg_too_long")
    fields = {"user": user.id, "channel": asked["channel"], "thread_ts": asked.get("thread_ts")}
    return await user_actions.say(world, {**fields, "text": escaped_command(world.workspace, text)})


async def command(world: World, user: User, asked: Json) -> Json:
    """A slash command in a conversation; `text` is the whole line."""
    conversation(world, user, asked["channel"])
    name, _, text = str(asked["text"]).strip().partition(" ")
    return await user_actions.command(
        world, {"user": user.id, "command": name, "text": text.strip(), "channel": asked["channel"]}
    )


async def shortcut(world: World, user: User, asked: Json) -> Json:
    """A global shortcut, or with `ts` one from the menu of a message."""
    fields = {"user": user.id, "callback_id": asked["callback_id"]}
    if asked.get("ts"):
        return await user_actions.message_shortcut(
            world, {**fields, "channel": asked["channel"], "ts": asked["ts"]}
        )
    return await user_actions.shortcut(world, fields)


async def open_home(world: World, user: User, asked: Json) -> Json:
    """Opens the app's home, or its messages."""
    return await user_actions.home(world, {"user": user.id, "tab": asked.get("tab", "home")})


async def read(world: World, user: User, asked: Json) -> None:
    """Marks everything in a conversation as read."""
    channel = conversation(world, user, asked["channel"])
    stored = world.workspace.messages.get(channel.id, {}).values()
    newest = next((message["ts"] for message in reversed(stored) if top_level(message)), "")
    world.workspace.read(user.id, channel.id, newest)


async def dismiss(world: World, user: User, asked: Json) -> None:
    """Removes an ephemeral message of this person."""
    world.workspace.dismiss(user.id, asked["ts"])


DOINGS: dict[str, Doing] = {
    "press": press,
    "suggest": suggest,
    "submit": submit,
    "close": close,
    "say": say,
    "command": command,
    "shortcut": shortcut,
    "open_home": open_home,
    "read": read,
    "dismiss": dismiss,
}
