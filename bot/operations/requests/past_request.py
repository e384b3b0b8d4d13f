"""Finds an earlier request of a person, so that they can repeat it."""

from bot.core.approval import Refused
from bot.core.model import Request
from bot.core.names import slash
from bot.core.roles import Role
from bot.operations._unit_of_work import Context, reading
from bot.operations.people.describe_person import requestable
from storage import requests


def past_request(world: Context, person_id: str, request_id: str) -> tuple[Request, Role] | Refused:
    """Returns the request with its current role; refuses other people's requests, and roles that
    the person may no longer request. Raises StorageUnavailable."""
    with reading(world) as u:
        request = requests.get(u.db, request_id)
        if request is None or request.requester != person_id:
            return Refused(f"You have no such request. {slash()} opens an empty form.")
        roles = requestable(u, u.person(person_id))
        role = next((role for role in roles if role.name == request.role), None)
        if role is None:
            return Refused(
                f"You can no longer request {request.role}. {slash()} roles lists what you can"
                " request."
            )
        return request, role
