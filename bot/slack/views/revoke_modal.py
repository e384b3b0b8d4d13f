"""The modal that asks an approver why they revoke access that nobody decided on. It carries the
request's id and nothing else."""

from bot.core.durations import format_duration
from bot.core.eligibility import REASON_LIMIT
from bot.operations.requests.describe_request import RequestCard
from bot.slack.blocks import View, bold, modal, paragraph, text_input, who
from bot.slack.ids import Field, Modal
from bot.slack.views._parts import role_parts, state_parts


def render(card: RequestCard) -> View:
    """Asks for a Reason; the holder reads it word for word."""
    request = card.request
    has = [*role_parts(card.role, request.role), " for ", bold(format_duration(request.duration))]
    blocks = [
        paragraph(
            [bold(card.requester.name, 80), " (", who(request.requester), ") has ", *has, "."],
            state_parts(card.grant) if card.grant else [],
            ["It ends at once on every system."],
        ),
        text_input(
            Field.REASON,
            "Reason",
            "The holder reads this, and the audit log keeps it.",
            multiline=True,
            max_length=REASON_LIMIT,
        ),
    ]
    view = modal(Modal.REVOKE, "Revoke access", blocks, "Revoke")
    return {**view, "private_metadata": request.id}
