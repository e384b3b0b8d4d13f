"""The modal in which an approver gives less than was asked for: a shorter duration, fewer actions. It carries the
request's id; the values of its options are the actions themselves.
"""

from collections.abc import Sequence

from bot.core.durations import format_duration
from bot.operations.describe_request import RequestCard
from bot.slack.blocks import (
    Block,
    Element,
    View,
    bold,
    clean,
    context,
    input_block,
    modal,
    paragraph,
    plain,
    quote,
    rich,
    section,
    text_input,
    who,
)
from bot.slack.ids import Field, Modal
from bot.slack.views._parts import role_parts

CHECKBOXES, OPTIONS, VALUE = 10, 100, 150
"""Slack's limits: options of a group of checkboxes, of a select, and characters of an option's value."""


def render(card: RequestCard) -> View:
    """Asks for Duration and, where there is more than one, Actions; sending it approves."""
    request = card.request
    asked = format_duration(request.duration)
    wants = [*role_parts(card.role, request.role), " for ", bold(asked)]
    hint = f"{asked} or less, for example 30m."
    blocks = [
        paragraph([bold(card.requester.name, 80), " (", who(request.requester), ") asks for ", *wants, "."]),
        rich(section("Their reason"), quote(request.reason)),
        text_input(Field.DURATION, "Duration", hint, initial=asked, max_length=60),
        *_actions(request.actions),
    ]
    return {**modal(Modal.EDIT, "Edit and approve", blocks, "Approve"), "private_metadata": request.id}


def _actions(actions: Sequence[str]) -> list[Block]:
    if len(actions) < 2:
        return []
    if len(actions) > OPTIONS or any(len(action) > VALUE for action in actions):
        return [context("Slack can't list these actions to choose from. You can shorten the duration, or deny.")]
    options = [_option(action) for action in actions]
    kind = "checkboxes" if len(actions) <= CHECKBOXES else "multi_static_select"
    element: Element = {
        "type": kind,
        "action_id": str(Field.ACTIONS),
        "options": options,
        "initial_options": options,
    }
    return [input_block(Field.ACTIONS, "Actions", element, "Untick what is not needed for the reason.")]


def _option(action: str) -> Element:
    """Slack shows 75 characters of an option; the rest of a longer action goes into the line below."""
    shown = clean(action, 2 * VALUE)
    option: Element = {"text": plain(shown[:75], 75), "value": action}
    return {**option, "description": plain("…" + shown[75:], 75)} if len(shown) > 75 else option
