"""Decides whether a holder may say at the end of a grant if they needed it."""

from enum import StrEnum

from bot.core.approval import Refused
from bot.core.model import EndReason, Grant, GrantState


class Feedback(StrEnum):
    """The answer of a holder after their access has ended."""

    USED = "used"
    UNNEEDED = "unneeded"
    MORE = "more"
    """They used it, and needed it for longer, or needed more than it gave."""


def may_be_asked(grant: Grant) -> bool:
    """Whether the message about the end of this grant asks its holder for an answer."""
    return (
        grant.state is GrantState.ENDED
        and grant.started_at is not None
        and grant.end_reason is not EndReason.OFFBOARDED
    )


def may_answer(grant: Grant | None, person: str) -> Refused | None:
    """Whether this person may answer about this grant."""
    if grant is None or grant.person != person:
        return Refused("Only the person who held this access can answer.")
    if grant.state is not GrantState.ENDED:
        return Refused(f"This access is {grant.state}. You can answer after it has ended.")
    if not may_be_asked(grant):
        return Refused("You never had this access, so there is nothing to answer.")
    return None
