"""Reads everything that the approval message shows of a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bot.core.authority import (
    Authority,
    Count,
    count,
    deciders,
    people_of,
    pinged,
    seats,
    tiers_of,
)
from bot.core.criteria import Criterion, Verdict, changes
from bot.core.emergency import EmergencyReview
from bot.core.flags.flag import Flag
from bot.core.model import Delegation, Grant, GrantState, Lease, Person, Request, RequestState
from bot.core.pings import quiet_until
from bot.core.preapproval import PreApproval
from bot.core.roles import Role
from bot.core.rules import Tier
from bot.core.tickets import ticket_link
from bot.core.usage import GrantUsage
from bot.operations._criteria import criteria_at, judge_request
from bot.operations._preapprovals import holding
from bot.operations._unit_of_work import Context, Snapshot, reading
from bot.operations._usage import used_of
from storage import emergencies, flags, grants, people, preapprovals, requests

MOST_FLAGS = 20


@dataclass(frozen=True, slots=True)
class RequestCard:
    """A request with the facts that an approver needs beside the buttons. `role` is None if
    roles.toml no longer has it; `copies` are the `(channel, ts)` of its messages, `used` the use of
    an ended grant. `is_posted` means that a copy is in a channel that is neither archived nor
    deleted. `criteria` are the present ones while it is pending, and those of the decision after
    it. The other fields from `have` to `quiet_until` are only set while the request is pending;
    `notify` are ids of people and groups to mention, also while the review of an emergency is open;
    `groups` are the handles among the approvers who are asked, `stand_ins` the delegations of those
    approvers, with all names in `names`."""

    request: Request
    role: Role | None
    requester: Person
    grant: Grant | None
    leases: tuple[Lease, ...]
    deciders: frozenset[str]
    copies: tuple[tuple[str, str], ...]
    used: GrantUsage | None = None
    is_posted: bool = True
    have: tuple[str, ...] = ()
    need: int = 1
    criteria: tuple[Criterion, ...] = ()
    past: tuple[Grant, ...] = ()
    holds: tuple[Grant, ...] = ()
    denied: int = 0
    approved: int = 0
    usual_duration: int | None = None
    notify: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """The criteria that were different when it was asked, each as a sentence."""
    in_advance: tuple[PreApproval, ...] = ()
    """The pre-approvals that hold while it is pending, or that decided it."""
    counted: Count | None = None
    authority: Authority | None = None
    stand_ins: tuple[Delegation, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    quiet_until: int | None = None
    """The end of the quiet hours, in which nobody is mentioned."""
    ticket_link: str = ""
    """The address of the ticket's page, "" if that is not known."""
    certified: tuple[str, ...] = ()
    """The systems of the grant whose hosts fetch a list of revoked certificates."""
    emergency: EmergencyReview | None = None
    """Set when the request is an emergency that has started."""
    flags: tuple[Flag, ...] = ()
    """The open flags about the requester."""
    open_emergencies: tuple[EmergencyReview, ...] = ()
    """Of the requester, while this one waits for a press."""
    has_signer: bool = True
    """Whether there is a lead who is not the user."""


_NO_ROLE = (Criterion("role", Verdict.NOT_MET, "the role is not in roles.toml"),)


def describe_request(world: Context, request_id: str) -> RequestCard | None:
    """Returns None if there is no such request. Raises StorageUnavailable."""
    with reading(world) as u:
        request = requests.get(u.db, request_id)
        return _card(u, request) if request else None


def _card(u: Snapshot, request: Request) -> RequestCard:
    role = u.role_of(request)
    grant = (
        grants.get(u.db, request.renews) if request.renews else grants.of_request(u.db, request.id)
    )
    leases = tuple(grants.leases(u.db, grant.id)) if grant else ()
    card = RequestCard(
        request=request,
        role=role,
        requester=u.person(request.requester),
        ticket_link=ticket_link(u.policy.workspace.ticket_url, u.policy.tickets, request.ticket),
        grant=grant,
        leases=leases,
        certified=tuple(
            each.system for each in leases if u.policy.abilities(each.connector).certifies
        ),
        deciders=deciders(role, request.requester, u.authority(request)) if role else frozenset(),
        copies=tuple(requests.messages(u.db, request.id)),
        used=used_of(u, [grant])[grant.id] if grant and grant.state is GrantState.ENDED else None,
        is_posted=requests.is_posted(u.db, request.id),
    )
    card = _as_emergency(u, card) if request.urgency else card
    return _to_decide(u, card) if request.state is RequestState.PENDING else _as_decided(u, card)


def _as_decided(u: Snapshot, card: RequestCard) -> RequestCard:
    if card.request.state is not RequestState.APPROVED:
        return card
    kept = criteria_at(u, card.request.id)
    return replace(
        card,
        criteria=kept.decided,
        changed=changes(kept.asked, kept.decided),
        in_advance=tuple(preapprovals.used_for(u.db, card.request.id)),
    )


def _as_emergency(u: Snapshot, card: RequestCard) -> RequestCard:
    """The card with the review; the leads are mentioned while it is open."""
    request, leads = card.request, u.policy.workspace.leads
    directory = u.world.directory(however_old=True)
    return replace(
        card,
        emergency=emergencies.get(u.db, request.id),
        open_emergencies=tuple(emergencies.open_of(u.db, request.requester)),
        has_signer=bool(directory.resolve(leads) - {request.requester}),
        notify=directory.named(leads),
    )


def _to_decide(u: Snapshot, card: RequestCard) -> RequestCard:
    request, role = card.request, card.role
    judged = judge_request(u, role, request, card.requester).criteria if role else _NO_ROLE
    history = requests.history(u.db, request.requester, request.role)
    card = replace(
        card,
        criteria=judged,
        in_advance=holding(u, role, request.requester) if role else (),
        changed=changes(criteria_at(u, request.id).asked, judged),
        past=tuple(
            g
            for g in grants.past(u.db, request.requester, request.role, 4)
            if g.request != request.id
        )[:3],
        holds=tuple(g for g in grants.held_by(u.db, request.requester) if g.request != request.id),
        denied=history.get("denied", 0),
        approved=history.get("approved", 0),
        usual_duration=requests.usual_duration(u.db, request.role),
        flags=tuple(flags.open_flags(u.db, MOST_FLAGS, request.requester)),
    )
    return _with_deciders(u, card, role) if role else card


def _with_deciders(u: Snapshot, card: RequestCard, role: Role) -> RequestCard:
    """The card with the people who are asked now and those who are mentioned."""
    request, authority = card.request, u.authority(card.request)
    counted = count(role, request, requests.votes(u.db, request.id), authority)
    tier = counted.tier or tiers_of(role)[-1]
    backups = role.escalation.approvers if role.escalation and authority.escalated else ()
    asked = seats(role, tier, request.requester, authority)
    stand_ins = tuple(each for each in _delegations(authority) if each.giver in asked)
    absent = {person for each in stand_ins for person in (each.giver, each.delegate)}
    known = people.several(u.db, absent)
    quiet = None if request.urgency else quiet_until(u.policy.workspace, role, u.now)
    named = pinged(role, tier)
    delegates = {each.delegate for each in stand_ins} - {request.requester}
    refs = (*named, *backups, *(sorted(delegates) if named else ()))
    return replace(
        card,
        counted=counted,
        authority=authority,
        have=counted.have if counted.tier else counted.earlier,
        need=tier.approvals,
        deciders=people_of(role, tier, request.requester, authority),
        stand_ins=stand_ins,
        names={person: one.name for person, one in known.items()},
        quiet_until=quiet,
        notify=() if quiet else u.world.directory(however_old=True).named(refs),
        groups=_groups(u, tier),
    )


def _delegations(authority: Authority) -> tuple[Delegation, ...]:
    known = authority.directory.delegations
    return tuple(each for each in known if each.ends_at > authority.now)


def _groups(u: Snapshot, tier: Tier) -> tuple[str, ...]:
    return tuple(ref for ref in u.directory.called(tier.approvers) if ref.startswith("@"))
