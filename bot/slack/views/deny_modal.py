"""The modal that asks an approver why they say no. It carries the request's id and nothing else."""

from bot.core.durations import format_duration
from bot.core.eligibility import REASON_LIMIT
from bot.operations.requests.describe_request import RequestCard
from bot.slack.blocks import View, bold, modal, paragraph, quote, rich, section, text_input, who
from bot.slack.ids import Field, Modal
from bot.slack.views._parts import role_parts


def render(card: RequestCard) -> View:
    """Asks for a Reason; the requester reads it word for word."""
    request = card.request
    wants = [*role_parts(card.role, request.role), " for ", bold(format_duration(request.duration))]
    blocks = [
        paragraph(
            [
                bold(card.requester.name, 80),
                " (",
                who(request.requester),
                ") asks for ",
                *wants,
                ".",
            ]
        ),
        rich(section("Their reason"), quote(request.reason)),
        text_input(
            Field.REASON,
            "Reason",
            "The requester reads this, and the audit log keeps it.",
            multiline=True,
            max_length=REASON_LIMIT,
        ),
    ]
    return {**modal(Modal.DENY, "Deny request", blocks, "Deny"), "private_metadata": request.id}
