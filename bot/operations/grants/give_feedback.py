"""Keeps the answer of a holder, at the end of a grant, whether they needed it."""

from dataclasses import dataclass

from bot.core import effects
from bot.core.approval import Refused
from bot.core.audit import Event
from bot.core.feedback import Feedback, may_answer
from bot.operations._unit_of_work import Context, unit
from storage import direct_notes, feedback, grants

ACTION = "give feedback"


@dataclass(frozen=True, slots=True)
class FeedbackKept:
    """The answer that counts, which is the first. `is_shown` says whether a message shows it."""

    answer: Feedback
    is_shown: bool


def give_feedback(
    world: Context, grant_id: str, person: str, answer: Feedback
) -> FeedbackKept | Refused:
    """Keeps this answer, unless the holder answered before. Raises StorageUnavailable."""
    with unit(world) as u:
        grant = grants.get(u.db, grant_id)
        refused = may_answer(grant, person)
        if refused is not None or grant is None:
            return u.refuse(refused or _UNKNOWN, person, ACTION, grant)
        if not feedback.give(u.db, grant.id, answer, u.now):
            return FeedbackKept(feedback.of_grants(u.db, [grant.id])[grant.id], False)
        u.record(Event.FEEDBACK_GIVEN, person, grant, answer=answer)
        places = direct_notes.places_of(u.db, grant.id, direct_notes.ENDED)
        u.do(*(effects.update_direct(*place) for place in places))
        return FeedbackKept(answer, bool(places))


_UNKNOWN = Refused("This access does not exist.")
