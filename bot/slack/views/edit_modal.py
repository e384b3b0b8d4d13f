"""The modal in which an approver approves less than requested: a shorter duration, fewer systems or
actions, or a later start."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from bot.core.durations import format_duration
from bot.core.model import Request
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
    paragraph,
    plain,
    rich,
    section,
    text_input,
)
from bot.slack.ids import Field, Modal
from bot.slack.views._parts import asked_for, gives_in_full

CHECKBOXES, OPTIONS, VALUE, LINE = 10, 100, 150, 75
"""Slack's limits: options of checkboxes and of a select, and characters of an option's value and of
its texts."""


def render(card: RequestCard) -> View:
    """Asks for the duration, the start and, if there are several, the systems and the actions;
    submitting it approves. A renewal keeps its start and its systems."""
    request = card.request
    asked = format_duration(request.duration)
    hint = f"{asked} or less, for example 30m."
    blocks = [
        *asked_for(card),
        text_input(Field.DURATION, "Duration", hint, initial=asked, max_length=60),
        *([] if request.renews else [_start(request), *_systems(request.systems)]),
        *_actions(request),
    ]
    return {
        **modal(Modal.EDIT, "Edit and approve", blocks, "Approve"),
        "private_metadata": request.id,
    }


def ticked(
    names: Sequence[str], choices: Mapping[str, Sequence[str]], field: Field = Field.ACTIONS
) -> tuple[str, ...] | None:
    """The ticked actions or systems of a submitted form, or None if it had none to tick. An unknown
    value is kept, and refused when it is compared."""
    named = {_value(name): name for name in names}
    groups = [values for block, values in choices.items() if block.startswith(field)]
    return (
        tuple(named.get(value, value) for values in groups for value in values) if groups else None
    )


def _start(request: Request) -> Block:
    picker: Element = {"type": "datetimepicker", "action_id": str(Field.START)}
    if request.start_at:
        picker["initial_date_time"] = request.start_at
    hint = "Later than asked for, or as it is." if request.start_at else "Empty means at once."
    return input_block(Field.START, "Start", picker, hint, optional=True)


def _systems(systems: Sequence[str]) -> list[Block]:
    if len(systems) < 2:
        return []
    options = [{"text": plain(system, LINE), "value": system} for system in systems]
    element: Element = {
        "type": "checkboxes" if len(systems) <= CHECKBOXES else "multi_static_select",
        "action_id": str(Field.SYSTEMS),
        "options": options,
        "initial_options": options,
    }
    hint = "Untick what is not needed for the reason."
    return [input_block(Field.SYSTEMS, "Systems", element, hint)]


def _actions(request: Request) -> list[Block]:
    actions = request.actions
    if len(actions) < 2:
        return []
    groups = [actions[begin : begin + OPTIONS] for begin in range(0, len(actions), OPTIONS)]
    long = [action for action in actions if len(clean(action, 10_000)) > 2 * LINE]
    in_full = (
        [rich(section("In full:"), bullets([code(action, 10_000)] for action in long))]
        if long
        else []
    )
    return [*_groups(groups), *_by_system(request), *in_full]


def _by_system(request: Request) -> list[Block]:
    """The systems of each action, where they differ."""
    if not request.system_actions:
        return []
    return [
        paragraph(
            ["Each action is given on its own systems only: ", *gives_in_full(request), "."],
            ["A system without any action is left out."],
        )
    ]


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
