"""The Web API methods of modals and home views, and the stack of a person's open modals.

`api.py` has checked tokens and limits before.
"""

from __future__ import annotations

import secrets
from typing import Any

from bot.sandbox.blocks import validate_message, validate_view
from bot.sandbox.checks import Json
from bot.sandbox.forms import state_values
from bot.sandbox.methods_chat import with_ids
from bot.sandbox.rules import MAX_STACK, TRIGGER_SECONDS
from bot.sandbox.workspace import SlackError, View, Workspace
from bot.sandbox.world import Call, Handler

DEFAULTS: Json = {
    "private_metadata": "",
    "callback_id": "",
    "external_id": "",
    "title": None,
    "submit": None,
    "close": None,
    "clear_on_close": False,
    "notify_on_close": False,
}


def checked_view(view: Any, kind: str) -> Json:
    """The view with ids. Raises Slack's error for a bad one."""
    problems = validate_view(view)
    if not problems and view["type"] != kind:
        problems = [f"[ERROR] must be of type {kind} [json-pointer:/view/type]"]
    if problems:
        raise SlackError("invalid_arguments", response_metadata={"messages": problems})
    return {**DEFAULTS, **view, "blocks": with_ids(view["blocks"])}


def view_json(workspace: Workspace, view: View) -> Json:
    """A view as Slack returns it, with the typed values."""
    return {
        "id": view.id,
        "team_id": workspace.team_id,
        **view.body,
        "state": {"values": state_values(view.body["blocks"], view.drafts)},
        "hash": view.hash,
        "previous_view_id": view.previous,
        "root_view_id": view.root,
        "app_id": view.app,
        "app_installed_team_id": workspace.team_id,
        "bot_id": workspace.apps[view.app].bot_id,
    }


def new_hash(workspace: Workspace) -> str:
    """The hash of one version of a view."""
    return f"{int(workspace.now())}.{secrets.token_hex(4)}"


def spend_trigger(call: Call) -> str:
    """Uses a trigger and returns the person's id. Raises SlackError if it is used, late, unknown
    or another app's."""
    workspace = call.workspace
    trigger = workspace.triggers.get(call.text("trigger_id") or call.text("interactivity_pointer"))
    if trigger is None or trigger["app"] != call.app.id:
        raise SlackError("invalid_trigger_id")
    if trigger["used"]:
        raise SlackError("exchanged_trigger_id")
    if workspace.now() - trigger["at"] > TRIGGER_SECONDS:
        raise SlackError("expired_trigger_id")
    trigger["used"] = True
    return str(trigger["user"])


def push_view(workspace: Workspace, app: str, user: str, body: Json) -> View:
    """Puts a modal of an app on top of those that the person has open."""
    stack = workspace.stacks.setdefault(user, [])
    if len(stack) >= MAX_STACK:
        raise SlackError("push_limit_reached")
    view_id = workspace.new_id("V")
    root = stack[0] if stack else view_id
    view = View(view_id, app, user, body, new_hash(workspace), root, stack[-1] if stack else None)
    workspace.views[view_id] = view
    stack.append(view_id)
    workspace.changed("view_opened", user=user, view=view_id)
    return view


def replace_view(workspace: Workspace, view: View, body: Json) -> None:
    """Changes an open view; values typed into inputs that stay are kept."""
    view.body, view.hash = body, new_hash(workspace)
    workspace.changed("view_changed", user=view.user, view=view.id)


def views_open(call: Call) -> Json:
    """views.open: a new modal, in place of any that is open."""
    body = checked_view(call.structure("view"), "modal")
    user = spend_trigger(call)
    call.workspace.close_views(user)
    return {"view": view_json(call.workspace, push_view(call.workspace, call.app.id, user, body))}


def views_push(call: Call) -> Json:
    """views.push: a modal on top of the one that is open."""
    body = checked_view(call.structure("view"), "modal")
    user = spend_trigger(call)
    if call.workspace.top_view(user) is None:
        raise SlackError("not_found")
    return {"view": view_json(call.workspace, push_view(call.workspace, call.app.id, user, body))}


def _found(call: Call) -> View:
    """The app's open modal by id or external id."""
    if call.text("view_id"):
        view = call.workspace.views.get(call.text("view_id"))
    else:
        wanted = call.text("external_id")
        open_views = call.workspace.views.values()
        view = next((item for item in open_views if item.body["external_id"] == wanted), None)
    if view is None or view.app != call.app.id:
        raise SlackError("not_found")
    return view


def refuse_stale(view: View | None, given: str) -> None:
    """Raises hash_conflict when the caller saw another version of the view."""
    if given and view is not None and given != view.hash:
        raise SlackError("hash_conflict")


def views_update(call: Call) -> Json:
    """views.update."""
    body = checked_view(call.structure("view"), "modal")
    view = _found(call)
    refuse_stale(view, call.text("hash"))
    replace_view(call.workspace, view, body)
    return {"view": view_json(call.workspace, view)}


def views_publish(call: Call) -> Json:
    """views.publish: a person's home."""
    workspace = call.workspace
    body, user = checked_view(call.structure("view"), "home"), workspace.user(call.text("user_id"))
    if user.deleted or user.is_bot:
        raise SlackError("invalid_user_id" if user.is_bot else "user_disabled")
    home = call.app.homes.get(user.id)
    refuse_stale(home, call.text("hash"))
    if home is None:
        view_id = workspace.new_id("V")
        home = View(view_id, call.app.id, user.id, body, new_hash(workspace), view_id)
        call.app.homes[user.id] = home
    home.body, home.hash = body, new_hash(workspace)
    workspace.changed("home_published", user=user.id, view=home.id)
    return {"view": view_json(workspace, home)}


def blocks_validate(call: Call) -> Json:
    """blocks.validate: checks blocks without showing them, and ignores a missing text."""
    view, blocks = call.structure("view"), call.structure("blocks")
    problems = (
        validate_view(view)
        if view is not None
        else validate_message({"text": "x", "blocks": blocks})
    )
    if problems:
        raise SlackError(
            "invalid_blocks", errors=problems, response_metadata={"messages": problems}
        )
    return {}


HANDLERS: dict[str, Handler] = {
    "views.open": views_open,
    "views.push": views_push,
    "views.update": views_update,
    "views.publish": views_publish,
    "blocks.validate": blocks_validate,
}
