"""Closes requests that were not answered in time."""

from bot.core import effects
from bot.core.audit import Event
from bot.core.lifecycle import Move
from bot.core.model import Request
from bot.operations._batches import in_batches
from bot.operations._end_grant import channel_of
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork
from storage import requests

BATCH = 100


def lapse_due(world: Context) -> int:
    """Lapses every pending request whose time is up; returns their number."""
    return in_batches(world, BATCH, _lapse)


def _lapse(u: UnitOfWork, limit: int) -> list[Request]:
    due = requests.unanswered(u.db, u.now, limit)
    for request in due:
        requests.move(u.db, request.id, Move.LAPSE, u.now, SYSTEM)
        u.record(Event.REQUEST_LAPSED, SYSTEM, request, reason=request.reason)
        u.do(effects.update_approval(request.id, channel_of(u, request.role)))
        u.do(effects.notify_person(request.requester, "lapsed", request=request.id))
    return due
