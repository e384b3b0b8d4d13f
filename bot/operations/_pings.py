"""Plans when the deciders of a request are mentioned, and mentions them."""

from bot.core import effects
from bot.core.authority import count, people_of, with_delegates
from bot.core.model import Directory, Request
from bot.core.pings import next_escalation, quiet_until
from bot.core.roles import Role
from bot.operations._unit_of_work import Snapshot, UnitOfWork
from storage import people, pings, requests
from storage.pings import Ping

QUIET, TIER, ESCALATED = "quiet", "tier", "escalated"
"""The reasons for a mention: quiet hours are over, another tier is asked now, nobody has
decided."""

ASKED_DIRECTLY = 20
"""The number of people who get a copy of one request by direct message."""


def plan_pings(u: UnitOfWork, role: Role, request: Request) -> None:
    """Plans the mentions of a request that is about to be posted. The message itself mentions its
    deciders, except in quiet hours."""
    quiet = quiet_until(u.policy.workspace, role, u.now)
    escalate_at = next_escalation(role.escalation.after, 0, u.now) if role.escalation else None
    if quiet or escalate_at:
        _plan(u, Ping(request.id, quiet, QUIET if quiet else "", escalate_at))


def ask_next_tier(u: UnitOfWork, role: Role, request: Request) -> None:
    """Mentions the tier that is asked now, once quiet hours are over, and gives it as long to
    answer as the one before had."""
    known = pings.get(u.db, request.id) or Ping(request.id)
    quiet = quiet_until(u.policy.workspace, role, u.now)
    escalate_at = (
        next_escalation(role.escalation.after, known.escalations, u.now)
        if role.escalation
        else None
    )
    if not quiet:
        mention(u, role, request, TIER)
    if quiet or escalate_at:
        why = TIER if quiet else ""
        _plan(u, Ping(request.id, quiet, why, escalate_at, known.escalations))


def _plan(u: UnitOfWork, ping: Ping) -> None:
    pings.put(u.db, ping)
    u.expect(ping.ping_at, ping.escalate_at)


def mention(u: UnitOfWork, role: Role, request: Request, why: str) -> None:
    """Mentions those who may decide now in the threads of the request. Where no channel shows it,
    the people of the tier that is asked get it by direct message."""
    copies = requests.messages(u.db, request.id)
    shown = [copy for copy in copies if why == ESCALATED or not copy[0].startswith("D")]
    u.do(*(effects.ping(request, channel, ts, why) for channel, ts in shown))
    if why == TIER and copies and not requests.is_posted(u.db, request.id):
        u.do(*(effects.post_approval(request, each) for each in asked_directly(u, role, request)))


def asked_directly(u: Snapshot, role: Role, request: Request) -> list[str]:
    """The people to ask by direct message: those of the tier that is asked who may decide once
    groups are read again, those who are notified of requests first."""
    directory = u.world.directory(however_old=True)
    authority = u.authority(request, directory)
    tier = count(role, request, requests.votes(u.db, request.id), authority).tier
    able = people_of(role, tier, request.requester, authority) if tier else frozenset()
    return _reachable(u, able, role, directory)


def backups_asked_directly(u: Snapshot, role: Role, request: Request) -> list[str]:
    """The backups to ask by direct message, because they may not be in the role's channel."""
    directory = u.world.directory(however_old=True)
    authority = u.authority(request, directory)
    named = role.escalation.approvers if role.escalation else ()
    own = with_delegates(directory.resolve(role.approvers), request.requester, authority)
    able = with_delegates(directory.resolve(named), request.requester, authority)
    return _reachable(u, able - own, role, directory)


def _reachable(u: Snapshot, able: frozenset[str], role: Role, directory: Directory) -> list[str]:
    """Up to ASKED_DIRECTLY of these people."""
    notified = directory.resolve(role.notify)
    order = sorted(able, key=lambda who: (who not in notified, who))
    known = people.several(u.db, order)
    fit = [who for who in order if who not in known or known[who].ineligible_reason() is None]
    return fit[:ASKED_DIRECTLY]
