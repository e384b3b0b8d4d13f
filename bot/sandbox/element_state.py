"""The state and the actions of elements, as Slack's client sends them when a person types, picks or
presses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from bot.sandbox.checks import Json
from bot.sandbox.forms import MANY, OPTION_SLOTS, SLOTS, elements

Offered = Callable[[str], list[Json]]


def options_of(element: Json) -> list[Json]:
    """The options of an element, those in groups too."""
    grouped = [option for group in element.get("option_groups", []) for option in group["options"]]
    return [*element.get("options", []), *grouped]


def pick(options: list[Json], wanted: str) -> Json:
    """The option with this text or value. Raises LookupError with the known ones."""
    for option in options:
        if wanted in (option["text"]["text"], option["value"]):
            return option
    raise LookupError(
        f"no option {wanted!r} among {[option['text']['text'] for option in options]}"
    )


def labels(element: Json) -> Iterator[str]:
    """The words by which a person would name an element."""
    words = element.get("text") or element.get("placeholder")
    yield from [words["text"]] if isinstance(words, dict) else []
    yield from [element["accessibility_label"]] if "accessibility_label" in element else []
    yield from (
        [option["text"]["text"] for option in options_of(element)]
        if element["type"] == "overflow"
        else []
    )


def find(
    target: Json,
    label: str | None = None,
    action_id: str | None = None,
    block_id: str | None = None,
) -> Any:
    """The block and element by words or ids. Raises LookupError with the known ones."""
    seen = []
    for block, element in elements(target.get("blocks") or []):
        words = list(labels(element))
        here = block_id in (None, block["block_id"]) and action_id in (None, element["action_id"])
        if here and (label is None or label in words):
            return block, element
        seen.append(f"{element['action_id']} {words}")
    raise LookupError(f"no {label or action_id} among: {'; '.join(seen) or 'nothing to click'}")


def where(block: Json, element: Json) -> Json:
    """The ids of an element."""
    return {"block_id": block["block_id"], "action_id": element["action_id"]}


def press_action(block: Json, element: Json, option: str | None = None) -> Json:
    """The action of a pressed button; of an overflow menu with the option that was picked, by text
    or value."""
    action: Json = {**where(block, element), "type": element["type"]}
    if element["type"] == "overflow":
        return {**action, "selected_option": pick(element["options"], str(option))}
    kept: Json = {name: element[name] for name in ("value", "style") if name in element}
    return {**action, "text": element.get("text"), **kept}


def state_of(
    element: Json, value: Any, offered: Offered, tz: str, known: Callable[[str], str]
) -> Json:
    """The entry in `state.values` for a value in a person's words.

    `offered` returns the options for a text or value, `known` the id of a name; a time of day is in
    the zone `tz`. Raises LookupError for an unknown option.
    """
    kind = element["type"]
    slot = SLOTS[kind][0]
    if value is None or value == []:
        return {"type": kind, slot: [] if slot in MANY else None}
    if slot not in OPTION_SLOTS:
        return {"type": kind, slot: _plain_value(kind, value, tz, known)}
    wanted = value if slot in MANY else [value]
    found = [pick(offered(str(item)), str(item)) for item in wanted]
    return {"type": kind, slot: found if slot in MANY else found[0]}


def _plain_value(kind: str, value: Any, tz: str, known: Callable[[str], str]) -> Any:
    if kind == "datetimepicker":
        return timestamp(value, tz)
    if kind in {"datepicker", "timepicker"}:
        return (
            value.isoformat()[:5]
            if kind == "timepicker" and not isinstance(value, str)
            else _iso(value)
        )
    if "users" in kind or "channels" in kind or "conversations" in kind:
        return [known(item) for item in value] if kind.startswith("multi") else known(value)
    return value if kind in {"rich_text_input", "file_input"} else str(value)


def timestamp(value: Any, tz: str) -> int:
    """Unix seconds; a bare time of day counts in the zone `tz`."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        return int(moment)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(tz))).timestamp())


def _iso(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
