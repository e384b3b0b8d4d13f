"""Stores an emergency that starts now, and notifies the leads and the skipped approvers."""

from collections.abc import Sequence
from dataclasses import replace

from bot.core import effects
from bot.core.audit import Event
from bot.core.effects import Effect
from bot.core.emergency import EmergencyReview, next_ping
from bot.core.errors import StorageUnavailable
from bot.core.model import Grant, Request
from bot.core.roles import Role
from bot.operations._begin_grant import system_actions_on_record
from bot.operations._unit_of_work import UnitOfWork
from storage import emergencies

LEADS_WITH_BUTTONS = 20
"""Leads who get the message with its buttons as a direct message, which is updated with all other
copies. Further leads get a note, so that an update stays a few calls."""


def open_emergency(
    u: UnitOfWork,
    role: Role,
    request: Request,
    grant: Grant,
    declared_by: str,
    approvers: Sequence[str] = (),
) -> None:
    """Stores the emergency of a grant that was just stored, for its review, and notifies everybody.
    `approvers` is empty for one that started without any press. Raises StorageUnavailable when
    another one of this person did so at this moment."""
    review = _review(u, request, grant, declared_by, alone=not approvers)
    if not emergencies.insert(u.db, review):
        raise StorageUnavailable("two emergencies of the same person at the same moment")
    u.expect(review.ping_at)
    u.record(
        Event.EMERGENCY_STARTED,
        declared_by,
        grant,
        reason=request.reason,
        duration=grant.duration,
        actions=list(grant.actions),
        **system_actions_on_record(grant.system_actions),
        approvers=list(approvers),
        decided_by=request.decided_by,
    )
    if not approvers:
        _announce(u, role, request)


def _review(
    u: UnitOfWork, request: Request, grant: Grant, declared_by: str, alone: bool
) -> EmergencyReview:
    return EmergencyReview(
        request=request.id,
        grant=grant.id,
        person=request.requester,
        role=request.role,
        urgency=request.urgency,
        declared_by=declared_by,
        alone=alone,
        started_at=u.now,
        ping_at=next_ping(u.now, u.now),
    )


def ask_for_press(u: UnitOfWork, role: Role, request: Request) -> None:
    """Asks the approvers and the leads for the one press that this emergency waits for."""
    u.do(*_posts(u, role, request, _leads(u, request)))


def _announce(u: UnitOfWork, role: Role, request: Request) -> None:
    """Posts it to the channels and to the leads; everybody else who could have decided gets a
    note."""
    leads = _leads(u, request)
    u.do(*_posts(u, role, request, leads))
    able = u.world.directory(however_old=True).resolve(role.approvers)
    for each in sorted(able - {request.requester, *leads}):
        u.do(effects.notify_person(each, "emergency_skipped", request=request.id))


def _posts(u: UnitOfWork, role: Role, request: Request, leads: Sequence[str]) -> list[Effect]:
    """Posts of one emergency: each is in the first turn, so that none waits for other people's
    messages."""
    channels = (u.policy.workspace.security_channel, role.channel)
    places = dict.fromkeys((*filter(None, channels), *leads))
    return [replace(effects.post_approval(request, place), person="") for place in places]


def _leads(u: UnitOfWork, request: Request) -> list[str]:
    """The leads with buttons, but for the user. Groups that are too old to give authority are good
    enough to notify."""
    found = u.world.directory(however_old=True).resolve(u.policy.workspace.leads)
    return sorted(found - {request.requester})[:LEADS_WITH_BUTTONS]
