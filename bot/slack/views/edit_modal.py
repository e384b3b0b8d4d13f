"""The modal in which an approver approves less than requested: a shorter duration or fewer
actions."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from bot.core.durations import format_duration
from bot.operations.requests.describe_request import RequestCard
from bot.slack.blocks import (
    Block,
    Element,
    View,
    bullets,
    clean,
    code,
    input_block,
    modal,
    plain,
    rich,
    section,
    text_input,
)
from bot.slack.ids import Field, Modal
from bot.slack.views._parts import asked_for

CHECKBOXES, OPTIONS, VALUE, LINE = 10, 100, 150, 75
"""Slack's limits: options of checkboxes and of a select, and characters of an option's value and of
its texts."""


def render(card: RequestCard) -> View:
    """Asks for the duration and, if there are several, the actions; submitting it approves."""
    request = card.request
    asked = format_duration(request.duration)
    hint = f"{asked} or less, for example 30m."
    blocks = [
        *asked_for(card),
        text_input(Field.DURATION, "Duration", hint, initial=asked, max_length=60),
        *_actions(request.actions),
    ]
    return {
        **modal(Modal.EDIT, "Edit and approve", blocks, "Approve"),
        "private_metadata": request.id,
    }


def ticked(actions: Sequence[str], choices: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    """The ticked actions of a submitted form, or None if it had no actions. An unknown value is
    kept, and refused when the actions are compared."""
    named = {_value(action): action for action in actions}
    groups = [values for block, values in choices.items() if block.startswith(Field.ACTIONS)]
    return (
        tuple(named.get(value, value) for values in groups for value in values) if groups else None
    )


def _actions(actions: Sequence[str]) -> list[Block]:
    if len(actions) < 2:
        return []
    groups = [actions[begin : begin + OPTIONS] for begin in range(0, len(actions), OPTIONS)]
    long = [action for action in actions if len(clean(action, 10_000)) > 2 * LINE]
    in_full = (
        [rich(section("In full:"), bullets([code(action, 10_000)] for action in long))]
        if long
        else []
    )
    return [*_groups(groups), *in_full]


def _groups(groups: Sequence[Sequence[str]]) -> Iterator[Block]:
    """One input, or several if there are more actions than Slack allows options."""
    for number, group in enumerate(groups):
        options = [_option(action) for action in group]
        name = f"{Field.ACTIONS}{number or ''}"
        element: Element = {
            "type": "checkboxes"
            if len(group) <= CHECKBOXES and len(groups) == 1
            else "multi_static_select",
            "action_id": name,
            "options": options,
            "initial_options": options,
        }
        label = "Actions" if len(groups) == 1 else f"Actions, part {number + 1} of {len(groups)}"
        yield input_block(
            name, label, element, "Untick what is not needed for the reason.", len(groups) > 1
        )


def _option(action: str) -> Element:
    """Slack shows 75 characters of an option; the rest of a longer action is its description."""
    shown = clean(action, 2 * LINE + 100)
    option: Element = {"text": plain(shown[:LINE], LINE), "value": _value(action)}
    return (
        {**option, "description": plain("…" + shown[LINE:], LINE)} if len(shown) > LINE else option
    )


def _value(action: str) -> str:
    """The action itself, or its hash if it is too long for Slack."""
    return (
        action if len(action) <= VALUE else f"sha256:{hashlib.sha256(action.encode()).hexdigest()}"
    )
