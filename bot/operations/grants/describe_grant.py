"""Describes a grant with its request, role and leases, for messages and lists."""

from dataclasses import dataclass

from bot.core.feedback import Feedback
from bot.core.model import Grant, GrantState, Lease, Person, Request
from bot.core.roles import Role
from bot.core.usage import GrantUsage
from bot.operations._unit_of_work import Context, Snapshot, reading
from bot.operations._usage import used_of
from bot.operations.messages.record_posted import NOTED_TO_LEADS, leads_notified
from storage import feedback, grants, key_values, requests


@dataclass(frozen=True, slots=True)
class GrantView:
    """A grant as messages and lists show it.

    `role` is None if roles.toml no longer has it. `used` is None until the end is requested. `why`
    is a sentence for the holder about an action that they must take first, and `until` the end of
    the time for it. `leads_notified` has the notes about this grant that the leads received.
    `feedback` is the holder's answer after the end.
    """

    grant: Grant
    request: Request
    role: Role | None
    person: Person
    leases: tuple[Lease, ...]
    used: GrantUsage | None
    why: str = ""
    until: int = 0
    leads_notified: frozenset[str] = frozenset()
    feedback: Feedback | None = None


def describe_grant(world: Context, grant_id: str) -> GrantView | None:
    """Returns None if there is no such grant. Raises StorageUnavailable."""
    with reading(world) as u:
        grant = grants.get(u.db, grant_id)
        request = requests.get(u.db, grant.request) if grant else None
        if grant is None or request is None:
            return None
        return GrantView(
            grant=grant,
            request=request,
            role=u.role_of(grant),
            person=u.person(grant.person),
            leases=tuple(grants.leases(u.db, grant.id)),
            used=used_of(u, [grant])[grant.id]
            if grant.state in (GrantState.ENDING, GrantState.ENDED)
            else None,
            leads_notified=_leads_notified(u, grant.id),
            feedback=feedback.of_grants(u.db, [grant.id]).get(grant.id)
            if grant.state is GrantState.ENDED
            else None,
        )


def _leads_notified(u: Snapshot, grant: str) -> frozenset[str]:
    keys = {leads_notified(note, grant): note for note in NOTED_TO_LEADS}
    return frozenset(keys[key] for key in key_values.claimed(u.db, list(keys)))
