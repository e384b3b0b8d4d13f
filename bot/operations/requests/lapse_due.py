"""Closes requests that were not answered in time."""

from bot.core import effects
from bot.core.audit import Event
from bot.core.lifecycle import Move
from bot.core.model import Request, RequestState
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
        _close(u, request)
    return due


def lapsed_by_now(u: UnitOfWork, request: Request) -> Request:
    """The caller's locked request. One whose time is up lapses first, so that nobody decides on it
    before a worker has closed it."""
    if request.state is not RequestState.PENDING or u.now < request.lapses_at:
        return request
    _close(u, request)
    return requests.get(u.db, request.id) or request


def _close(u: UnitOfWork, request: Request) -> None:
    requests.move(u.db, request.id, Move.LAPSE, u.now, SYSTEM)
    u.record(Event.REQUEST_LAPSED, SYSTEM, request, reason=request.reason)
    u.do(effects.update_approval(request.id, channel_of(u, request.role)))
    u.do(effects.notify_person(request.requester, "lapsed", request=request.id))
