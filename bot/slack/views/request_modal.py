"""The modal to request access, the confirmation after it was sent, and modals with only a text."""

from collections.abc import Mapping, Sequence

from bot.core.durations import format_duration
from bot.core.eligibility import REASON_LIMIT
from bot.core.parameters import FIELD, LONGEST
from bot.core.roles import Role
from bot.core.rules import Parameter
from bot.operations.requests.request_access import GrantedAtOnce, Submitted
from bot.slack.blocks import (
    Block,
    Element,
    Part,
    View,
    input_block,
    modal,
    paragraph,
    plain,
    spoken,
    text_input,
    typed,
)
from bot.slack.ids import Action, Field, Modal
from bot.slack.views._parts import approval_steps, gives_in_full
from bot.slack.views.answers import granted_lines, sent_lines

FEW = 10
"""Up to this many roles need no hint how to search."""


def render(
    roles: Sequence[Role], chosen: Role | None = None, values: Mapping[str, str] | None = None
) -> View:
    """The form. `values` prefills inputs, by the names of `Field`. Text typed into an open form
    stays, because every input keeps its name. A single role is chosen already."""
    if not roles:
        return nothing_to_ask(
            "No role in roles.toml is open to you. Ask a lead which one you need."
        )
    given = values or {}
    role = chosen or (roles[0] if len(roles) == 1 else None)
    blocks = [
        role_select(Action.CHOOSE_ROLE, role, _search_hint(roles)),
        *_about(role),
        *parameter_inputs(role, given),
        _duration(role, given),
        _reason(given),
        *_ticket(role, given),
        _start(given),
    ]
    return modal(Modal.REQUEST, "Request access", blocks, "Send request")


def sent(stored: Submitted, note: str = "") -> View:
    """Replaces the form when the request is stored."""
    return modal(
        Modal.NOTICE, "Request sent", [paragraph(*sent_lines(stored, note))], close="Close"
    )


def granted(stored: GrantedAtOnce, note: str = "") -> View:
    """The view that replaces the form when a rule approved the request."""
    lines = granted_lines(stored, note)
    return modal(Modal.NOTICE, "Request approved", [paragraph(*lines)], close="Close")


def nothing_to_ask(why: str) -> View:
    """Shown in place of a form without roles."""
    return notice("Request access", why)


def notice(title: str, text: str) -> View:
    """A modal with one text, which may quote typed text."""
    return modal(Modal.NOTICE, title, [paragraph(spoken(text, 2500))], close="Close")


def role_select(action: Action, chosen: Role | None, hint: str = "") -> Block:
    """A menu whose options `listeners.SEARCHES` finds as people type."""
    select: Element = {
        "type": "external_select",
        "action_id": str(action),
        "placeholder": plain("What do you need?", 150),
        "min_query_length": 0,
    }
    if chosen is not None:
        select["initial_option"] = option(chosen)
    return {**input_block(Field.ROLE, "Role", select, hint), "dispatch_action": True}


def _search_hint(roles: Sequence[Role]) -> str:
    if len(roles) <= FEW:
        return ""
    return (
        f"You may ask for {len(roles)} roles. Type a part of a name, title or description to find"
        " one."
    )


def option(role: Role) -> Element:
    """A role in the menu: its title, with its name for commands below."""
    return {"text": plain(role.title, 75), "value": role.name, "description": plain(role.name, 75)}


def _about(role: Role | None) -> list[Block]:
    if role is None:
        return []
    words: list[list[Part]] = [[typed(role.description, 2000)]] if role.description else []
    approvers: list[Part] = ["Needs ", *approval_steps(role), "."]
    return [paragraph(*words, ["Gives ", *gives_in_full(role), "."], approvers)]


def _duration(role: Role | None, given: Mapping[str, str]) -> Block:
    hint = "For example 30m, 2 hours or until 18:00. Leave it empty for the role's usual duration."
    if role is not None:
        usual, most = format_duration(role.default_duration), format_duration(role.max_duration)
        hint = f"For example 30m, 2 hours or until 18:00: at most {most}. Empty means {usual}."
    initial = given.get(Field.DURATION) or (format_duration(role.default_duration) if role else "")
    return text_input(
        Field.DURATION, "Duration", hint, optional=True, initial=initial, max_length=60
    )


def _reason(given: Mapping[str, str]) -> Block:
    return text_input(
        Field.REASON,
        "Reason",
        "Approvers decide by it, and the audit log keeps it.",
        initial=given.get(Field.REASON, ""),
        multiline=True,
        max_length=REASON_LIMIT,
    )


def _ticket(role: Role | None, given: Mapping[str, str]) -> list[Block]:
    if role is None or role.ticket is None:
        return []
    hint = f"Has to match {role.ticket}"
    return [
        text_input(
            Field.TICKET, "Ticket", hint, initial=given.get(Field.TICKET, ""), max_length=100
        )
    ]


def parameter_inputs(role: Role | None, given: Mapping[str, str]) -> list[Block]:
    """An input for each parameter of the role: a menu of its choices, or a text."""
    return [_parameter(each, given.get(FIELD + each.name, "")) for each in _parameters(role)]


def _parameters(role: Role | None) -> Sequence[Parameter]:
    return role.parameters if role else ()


def _parameter(each: Parameter, value: str) -> Block:
    name = FIELD + each.name
    if not each.choices:
        hint = f"Has to match {each.pattern}"
        return text_input(name, each.name, hint, initial=value, max_length=LONGEST)
    options: list[Element] = [
        {"text": plain(choice, 75), "value": choice} for choice in each.choices
    ]
    menu: Element = {"type": "static_select", "action_id": name, "options": options}
    if value in each.choices:
        menu["initial_option"] = options[each.choices.index(value)]
    return input_block(name, each.name, menu)


def _start(given: Mapping[str, str]) -> Block:
    picker: Element = {"type": "datetimepicker", "action_id": str(Field.START)}
    if given.get(Field.START, "").isdecimal():
        picker["initial_date_time"] = int(given[Field.START])
    return input_block(
        Field.START, "Start", picker, "Empty means as soon as it is approved.", optional=True
    )
