"""Withdraws a pending request of the requester."""

from dataclasses import dataclass

from bot.core.approval import Refused
from bot.core.model import Request, RequestState
from bot.operations._end_grant import withdraw
from bot.operations._unit_of_work import Context, unit
from storage import requests


@dataclass(frozen=True, slots=True)
class Withdrawn:
    request: Request


def withdraw_request(world: Context, request_id: str, person: str) -> Withdrawn | Refused:
    """Withdraws this person's own pending request. Raises StorageUnavailable."""
    with unit(world) as u:
        request = requests.locked(u.db, request_id)
        if request is None or request.requester != person:
            return u.refuse(
                Refused("Only the person who asked can cancel a request."),
                person,
                "cancel",
                request,
            )
        if request.state is not RequestState.PENDING or not withdraw(u, request, person):
            refused = Refused(
                f"There is nothing to cancel: the request is {request.state} already."
            )
            return u.refuse(refused, person, "cancel", request)
        return Withdrawn(request)
