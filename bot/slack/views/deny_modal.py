"""The modal that asks an approver for the reason of a denial."""

from bot.core.eligibility import REASON_LIMIT
from bot.operations.requests.describe_request import RequestCard
from bot.slack.blocks import View, modal, text_input
from bot.slack.ids import Field, Modal
from bot.slack.views._parts import asked_for


def render(card: RequestCard) -> View:
    """Asks for a Reason, which the requester reads unchanged."""
    blocks = [
        *asked_for(card),
        text_input(
            Field.REASON,
            "Reason",
            "The requester reads this, and the audit log keeps it.",
            multiline=True,
            max_length=REASON_LIMIT,
        ),
    ]
    return {
        **modal(Modal.DENY, "Deny request", blocks, "Deny"),
        "private_metadata": card.request.id,
    }
