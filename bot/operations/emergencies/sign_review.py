"""Signs the review of an emergency with a conclusion, and ends its access if it is active."""

from dataclasses import dataclass

from bot.core import effects
from bot.core.approval import Refused
from bot.core.audit import Event
from bot.core.emergency import EmergencyReview, check_conclusion, may_sign
from bot.core.model import HELD, EndReason, Grant
from bot.operations._end_grant import channel_of, request_end
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import Context, UnitOfWork, unit
from storage import emergencies, grants

SIGN = "sign a review"
END = "end an emergency"


@dataclass(frozen=True, slots=True)
class Signed:
    """The review is closed; `was_held` says whether this ended the access."""

    review: EmergencyReview
    was_held: bool


@dataclass(frozen=True, slots=True)
class EmergencyEnding:
    """The end of the access is requested; the review stays open."""

    grant: Grant


def check_signer(world: Context, by: str, request: str) -> Refused | None:
    """Returns None if the form may open; the check is repeated on submission. Raises
    StorageUnavailable."""
    with unit(world) as u:
        found = _to_sign(u, by, request)
        return u.refuse(found, by, SIGN) if isinstance(found, Refused) else None


def sign_review(world: Context, by: str, request: str, conclusion: str) -> Signed | Refused:
    """Signs the review for `by`, a lead who is not the user. Raises StorageUnavailable."""
    with unit(world) as u:
        found = _to_sign(u, by, request)
        if isinstance(found, Refused):
            return u.refuse(found, by, SIGN, reason=conclusion)
        grant = grants.locked(u.db, found.grant)
        if (refused := check_conclusion(conclusion)) is not None or grant is None:
            return u.refuse(refused or _UNKNOWN, by, SIGN, grant, reason=conclusion)
        if not emergencies.sign(u.db, request, by, u.now, conclusion):
            return u.refuse(_SIGNED, by, SIGN, grant)
        was_held = grant.state in HELD
        if was_held:
            request_end(u, [grant], EndReason.EMERGENCY_CLOSED, by)
        u.record(
            Event.REVIEW_SIGNED,
            by,
            grant,
            reason=conclusion,
            started_at=found.started_at,
            ended_access=was_held,
        )
        u.do(effects.update_approval(request, channel_of(u, grant.role)))
        u.do(effects.notify_person(grant.person, "review_signed", request=request))
        return Signed(found, was_held)


def end_emergency(world: Context, by: str, request: str) -> EmergencyEnding | Refused:
    """Ends the access of an emergency now, for a lead. Its review stays open. Raises
    StorageUnavailable."""
    with unit(world) as u:
        if (refused := leads_only(u, by)) is not None:
            return u.refuse(refused, by, END)
        known = emergencies.get(u.db, request)
        grant = grants.locked(u.db, known.grant) if known else None
        if grant is None:
            return u.refuse(_UNKNOWN, by, END)
        if grant.state not in HELD:
            over = Refused(f"There is nothing to end: this access is {grant.state} already.")
            return u.refuse(over, by, END, grant)
        request_end(u, [grant], EndReason.EMERGENCY_CLOSED, by)
        return EmergencyEnding(grant)


_UNKNOWN = Refused("This emergency does not exist.")
_SIGNED = Refused(
    "This review is signed already. Its message says who signed it, and the conclusion."
)


def _to_sign(u: UnitOfWork, by: str, request: str) -> EmergencyReview | Refused:
    """The open review, if this person may sign it."""
    if (refused := leads_only(u, by)) is not None:
        return refused
    review = emergencies.get(u.db, request)
    if review is None:
        return _UNKNOWN
    if review.signed_at is not None:
        return _SIGNED
    return may_sign(review, u.person(by), u.person(review.person)) or review
