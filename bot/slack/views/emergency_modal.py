"""The modals of emergencies: the one that starts access at once, and the one in which a lead signs
the review."""

from collections.abc import Mapping, Sequence

from bot.core.durations import format_duration
from bot.core.eligibility import REASON_LIMIT
from bot.core.model import HELD
from bot.core.names import slash
from bot.core.roles import Role
from bot.operations.requests.describe_request import RequestCard
from bot.slack.blocks import (
    Block,
    Element,
    Part,
    View,
    bold,
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
from bot.slack.ids import Action, Field, Modal
from bot.slack.views._parts import gives_in_full, role_parts, state_parts
from bot.slack.views.answers import emergency_lines
from bot.slack.views.request_modal import notice, parameter_inputs, role_select

IS_DRILL = "drill"
"""The value of the ticked box."""

TITLE = "Emergency access"


def render(
    roles: Sequence[Role], chosen: Role | None = None, values: Mapping[str, str] | None = None
) -> View:
    """The form. `roles` are those that the person may take, on the terms of an emergency."""
    if not roles:
        why = (
            f"There is no role that you can take in an emergency. `{slash()} request` asks for one,"
            " and the approvers are notified at once."
        )
        return notice(TITLE, why)
    given = values or {}
    role = chosen or (roles[0] if len(roles) == 1 else None)
    blocks = [
        paragraph(
            [
                bold("Access starts at once, without approval."),
                " All leads and the approvers of the role are notified, and a lead reviews it.",
            ]
        ),
        role_select(Action.CHOOSE_EMERGENCY_ROLE, role),
        *_about(role),
        *parameter_inputs(role, given),
        _duration(role, given),
        text_input(
            Field.REASON,
            "Reason",
            "What is broken? Everybody who is notified reads it, and the audit log keeps it.",
            initial=given.get(Field.REASON, ""),
            multiline=True,
            max_length=REASON_LIMIT,
        ),
        _drill(),
    ]
    return modal(Modal.EMERGENCY, TITLE, blocks, "Start access now")


def _about(role: Role | None) -> list[Block]:
    if role is None:
        return []
    return [paragraph(["Gives ", *gives_in_full(role), "."])]


def _duration(role: Role | None, given: Mapping[str, str]) -> Block:
    hint = "For example 30m. Empty means as long as the role gives in an emergency."
    if role is not None:
        most = format_duration(role.max_duration)
        hint = f"For example 30m: at most {most}. Empty means {most}."
    initial = given.get(Field.DURATION, "")
    return text_input(
        Field.DURATION, "Duration", hint, optional=True, initial=initial, max_length=60
    )


def _drill() -> Block:
    box: Element = {
        "type": "checkboxes",
        "action_id": str(Field.DRILL),
        "options": [{"text": plain("This is a drill", 75), "value": IS_DRILL}],
    }
    hint = "The access is real, everybody is notified, and every message says that it is a drill."
    return input_block(Field.DRILL, "Drill", box, hint, optional=True)


def called(card: RequestCard) -> View:
    """The view that replaces the form when the emergency was called."""
    return modal(Modal.NOTICE, TITLE, [paragraph(*emergency_lines(card))], close="Close")


def sign(card: RequestCard) -> View:
    """Asks a lead for the conclusion of the review; sending it ends the remaining access."""
    request, grant = card.request, card.grant
    state: list[list[Part]] = [state_parts(grant)] if grant else []
    held = grant is not None and grant.state in HELD
    blocks = [
        paragraph(
            [
                bold(card.requester.name, 80),
                " (",
                who(request.requester),
                ") took ",
                *role_parts(card.role, request.role),
                ".",
            ],
            *state,
            *([[bold("Signing ends the access at once.")]] if held else []),
        ),
        rich(section("Their reason"), quote(request.reason)),
        text_input(
            Field.CONCLUSION,
            "Conclusion",
            "What happened, and was it right? The user reads it, and the audit log keeps it.",
            multiline=True,
            max_length=REASON_LIMIT,
        ),
    ]
    view = modal(Modal.SIGN_REVIEW, "Sign review", blocks, "Sign")
    return {**view, "private_metadata": request.id}
