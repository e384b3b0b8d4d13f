"""The traffic between the app and the workspace, for developers: calls with answers, and payloads
with their acks.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import Any

from bot.sandbox.checks import Json
from bot.sandbox.event_delivery import Delivery
from bot.sandbox.world import World

NEWEST = 200


def target(world: World, args: Json) -> str:
    """The name of a call's destination."""
    ref = str(args.get("channel") or args.get("user") or args.get("user_id") or "")
    channel, user = world.workspace.channels.get(ref), world.workspace.users.get(ref)
    if channel is not None and channel.name:
        return f"#{channel.name}"
    user = user or world.workspace.users.get(channel.im_user if channel is not None else "")
    return f"@{user.name}" if user is not None else ref


def record(world: World, asked: Json) -> Json:
    """Calls and payloads in one list by time, oldest first; `call` and `delivery` are the last
    numbers known."""
    calls = _newest(world.calls, int(asked.get("call") or 0), lambda call: int(call["number"]))
    deliveries = _newest(
        world.events.deliveries.values(), int(asked.get("delivery") or 0), lambda item: item.number
    )
    answers = dict(world.answers)
    entries = [_call(world, call, answers) for call in calls] + [
        _delivery(item) for item in deliveries
    ]
    return {"entries": sorted(entries, key=lambda entry: float(entry["at"]))}


def _newest(items: Any, after: int, number: Any) -> list[Any]:
    """Those with a higher number than `after`, the newest only."""
    found = []
    for item in islice(reversed(items), NEWEST):
        if number(item) <= after:
            break
        found.append(item)
    return found[::-1]


def _call(world: World, call: Json, answers: dict[int, Json]) -> Json:
    answer = answers.get(call["number"])
    return {
        "kind": "call",
        "number": call["number"],
        "at": call["at"],
        "title": call["method"],
        "about": target(world, call["args"]),
        "ok": call["ok"] and not call["lost"],
        "error": "connection cut"
        if call["lost"]
        else call["error"] or (None if call["ok"] else str(call["status"])),
        "problems": ((answer or {}).get("response_metadata") or {}).get("messages", []),
        "warnings": call["warnings"],
        "seconds": call["seconds"],
        "sent": call["args"],
        "answer": answer,
    }


def _delivery(item: Delivery) -> Json:
    known = asdict(item)
    payload = known["payload"]
    what = payload.get("command") or payload.get("event", payload).get("type", item.kind)
    return {
        "kind": "delivery",
        "number": item.number,
        "at": item.sent_at,
        "title": what,
        "about": _about(payload),
        "ok": item.outcome in {"acked", "waiting"},
        "outcome": item.outcome,
        "error": None if item.outcome in {"acked", "waiting"} else item.outcome,
        "attempt": item.attempt,
        "via": item.via,
        "seconds": item.seconds,
        "sent": payload,
        "answer": item.ack,
    }


def _about(payload: Json) -> str:
    """The subject of a payload in a word or two: the action, the view, the words after a
    command."""
    actions = ", ".join(str(action.get("action_id")) for action in payload.get("actions", []))
    view = payload.get("view") or {}
    return str(
        actions
        or payload.get("callback_id")
        or view.get("callback_id")
        or payload.get("text")
        or ""
    )
