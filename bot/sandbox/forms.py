"""The content of a form as Slack sends it: `state.values` of inputs, initial values, and rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bot.sandbox.checks import Json

# element type -> (key in state, key of the initial value)
SLOTS: dict[str, tuple[str, str]] = {
    "plain_text_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "rich_text_input": ("rich_text_value", "initial_value"),
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "users_select": ("selected_user", "initial_user"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "channels_select": ("selected_channel", "initial_channel"),
    "multi_static_select": ("selected_options", "initial_options"),
    "multi_external_select": ("selected_options", "initial_options"),
    "checkboxes": ("selected_options", "initial_options"),
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "file_input": ("files", "initial_files"),
}
MANY = {
    "selected_options",
    "selected_users",
    "selected_conversations",
    "selected_channels",
    "files",
}
OPTION_SLOTS = {"selected_option", "selected_options"}


def elements(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Each interactive element with its block, nested containers and cards included."""
    for block in blocks:
        inside = [block.get("element"), block.get("accessory"), *(block.get("elements") or [])]
        for element in [*inside, *(block.get("actions") or [])]:
            if isinstance(element, dict) and "action_id" in element:
                yield block, element
        cards = [item for item in inside if isinstance(item, dict) and item.get("type") == "card"]
        yield from elements([*cards, *(block.get("child_blocks") or [])])


def first_value(element: Json) -> Json:
    """The state of an element before anybody touched it."""
    slot, initial = SLOTS[element["type"]]
    return {"type": element["type"], slot: element.get(initial, [] if slot in MANY else None)}


def state_values(blocks: list[Json], drafts: dict[str, dict[str, Json]]) -> Json:
    """`state.values`: for each input the typed text, else its initial value."""
    values: Json = {}
    for block, element in elements(blocks):
        if element["type"] in SLOTS:
            drafted = drafts.get(block["block_id"], {}).get(element["action_id"])
            kept = drafted if drafted and drafted["type"] == element["type"] else None
            values.setdefault(block["block_id"], {})[element["action_id"]] = kept or first_value(
                element
            )
    return values


def chosen(element: Json, state: Json) -> Any:
    """The bare value inside an element's state."""
    return state.get(SLOTS[element["type"]][0])


def form_problems(blocks: list[Json], values: Json) -> dict[str, str]:
    """The errors that Slack's own client shows before it sends anything: {block_id: words}."""
    problems = {}
    for block, element in elements(blocks):
        if block.get("type") == "input":
            value = chosen(element, values[block["block_id"]][element["action_id"]])
            problem = _problem(block, element, value)
            if problem:
                problems[block["block_id"]] = problem
    return problems


def _problem(block: Json, element: Json, value: Any) -> str | None:
    if value in (None, "", []):
        return None if block.get("optional") else "Please complete this required field."
    if element["type"] == "number_input":
        return _number_problem(element, str(value))
    if element["type"] == "plain_text_input":
        return _length_problem(element, len(str(value)))
    if (
        len(value) > element.get("max_selected_items", len(value))
        if isinstance(value, list)
        else False
    ):
        return f"Please select no more than {element['max_selected_items']} items."
    return None


def _length_problem(element: Json, length: int) -> str | None:
    if length < element.get("min_length", 0):
        return f"Must be at least {element['min_length']} characters."
    if length > element.get("max_length", 3000):
        return f"Must be at most {element.get('max_length', 3000)} characters."
    return None


def _number_problem(element: Json, value: str) -> str | None:
    try:
        amount = float(value)
    except ValueError:
        return "Please enter a number."
    if not element.get("is_decimal_allowed") and not amount.is_integer():
        return "Please enter a whole number."
    low, high = float(element.get("min_value", "-inf")), float(element.get("max_value", "inf"))
    return None if low <= amount <= high else f"Please enter a number from {low:g} to {high:g}."
