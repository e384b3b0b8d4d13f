"""Describes a person's grants, requests and open decisions for App Home and lists; leads see every
active grant."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bot.core.authority import Right, count, decider_references, right_of
from bot.core.eligibility import may_request
from bot.core.emergency import EmergencyReview, as_emergency, marked
from bot.core.flags.flag import Flag
from bot.core.model import Delegation, Grant, Person, Request, Urgency
from bot.core.roles import Role
from bot.core.tickets import ticket_link
from bot.core.usage import GrantUsage
from bot.operations._leads_only import seen_as_lead
from bot.operations._unit_of_work import Context, Snapshot, reading
from bot.operations._usage import used_of
from bot.operations.absence.describe_absence import absences_of
from bot.operations.onboarding.describe_ramp import RampView, ramps_seen_by
from bot.operations.preapprovals.describe_preapprovals import PreApprovalView, describe_preapprovals
from bot.operations.reviews.waiting import SeenCampaign, campaigns_seen_by
from bot.operations.systems.describe_alerts import AlertView, describe_alerts
from storage import alerts, emergencies, flags, grants, people, requests

RECENT = 5
MOST_EMERGENCIES = 20
PAGE = 50
"""Active grants on one page of a lead's Home."""

MOST_ALERTS = 200
MOST_FLAGS = 200


@dataclass(frozen=True, slots=True)
class EmergencyView:
    """An emergency with its review, as a lead sees it in App Home."""

    review: EmergencyReview
    request: Request
    grant: Grant


@dataclass(frozen=True, slots=True)
class PersonView:
    """`everything` is None for a person who is not a lead; for a lead it is a page of the `active`
    grants, and `used` has the use of each so far. `approvers` has the names of each role's
    approvers, `alerts` the unconfirmed revocations and `open_alerts` their number, `flags` and
    `open_flags` the same of flags that wait for an answer. `rights` says
    why the person may decide on each request of `waiting_for_me`, `away` who decides in their
    place, `decides_for` in whose place they do. `names` are those of other people who are shown."""

    person: Person
    roles: tuple[Role, ...]
    held: tuple[Grant, ...]
    pending: tuple[Request, ...]
    waiting_for_me: tuple[Request, ...]
    everything: tuple[Grant, ...] | None
    titles: dict[str, str]
    used: dict[str, GrantUsage] = field(default_factory=dict)
    active: int = 0
    recent: tuple[Request, ...] = ()
    approvers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    alerts: tuple[AlertView, ...] = ()
    open_alerts: int = 0
    flags: tuple[Flag, ...] = ()
    open_flags: int = 0
    names: dict[str, str] = field(default_factory=dict)
    rights: dict[str, Right] = field(default_factory=dict)
    ticket_links: dict[str, str] = field(default_factory=dict)
    """The addresses of the tickets of `waiting_for_me`, by request; "" for those without an
    address."""
    away: Delegation | None = None
    decides_for: tuple[Delegation, ...] = ()
    ramps: tuple[RampView, ...] = ()
    """The open onboardings that this person sees: their own first, then those that they mentor."""
    reviews: tuple[SeenCampaign, ...] = ()
    """The open reviews in which something waits for this person; for a lead, all of them."""
    emergencies: tuple[EmergencyView, ...] = ()
    """For a lead: those whose review is not signed, oldest first."""
    open_emergencies: int = 0

    def title_of(self, about: Request | Grant) -> str:
        """The title of its role, marked as an emergency or a drill where it is one."""
        return marked(about.urgency, self.titles.get(about.role, about.role))

    preapprovals: tuple[PreApprovalView, ...] = ()
    """The pre-approvals that this person gave and has."""


def describe_person(world: Context, person_id: str) -> PersonView:
    """Describes a person's grants and requests. An unknown person counts as a stranger, who may
    request nothing. Raises StorageUnavailable."""
    with world.db.reading():
        return _own(Snapshot(world), person_id)


def describe_home(world: Context, person_id: str, skip: int = 0) -> PersonView:
    """Describes a person for App Home; for a lead, the first `skip` active grants are left out.
    Raises StorageUnavailable."""
    with reading(world) as u:
        view = _own(u, person_id)
        if view.person.ineligible_reason():
            return view
        waiting, absences = list(_waiting(u, person_id)), absences_of(u, person_id)
        view = replace(
            view,
            away=absences.away,
            decides_for=absences.decides_for,
            names=absences.names,
            waiting_for_me=tuple(request for request, _ in waiting),
            rights={request.id: right for request, right in waiting},
            ticket_links={
                request.id: ticket_link(
                    u.policy.workspace.ticket_url, u.policy.tickets, request.ticket
                )
                for request, _ in waiting
            },
            recent=tuple(requests.decided_of(u.db, person_id, RECENT)),
            preapprovals=describe_preapprovals(u, person_id),
            approvers={role.name: _approvers(u, role) for role in view.roles},
            ramps=tuple(ramps_seen_by(u, person_id)),
            reviews=tuple(campaigns_seen_by(u, person_id)),
        )
        return _for_lead(u, view, skip) if seen_as_lead(u, person_id) is None else view


def _own(u: Snapshot, person_id: str) -> PersonView:
    person = u.person(person_id)
    return PersonView(
        person=person,
        roles=requestable(u, person),
        held=tuple(grants.held_by(u.db, person_id)),
        pending=tuple(requests.pending_of(u.db, person_id)),
        waiting_for_me=(),
        everything=None,
        titles={role.name: role.title for role in u.policy.roles.values()},
    )


def _for_lead(u: Snapshot, view: PersonView, skip: int) -> PersonView:
    everything = tuple(grants.live(u.db, limit=PAGE, skip=skip))
    alerted = describe_alerts(u.world, alerts.reported_open(u.db, MOST_ALERTS))
    return replace(
        view,
        everything=everything,
        active=sum(grants.counts(u.db).values()),
        used=used_of(u, everything),
        alerts=tuple(alerted),
        open_alerts=alerts.count_reported_open(u.db),
        flags=tuple(flags.open_flags(u.db, MOST_FLAGS)),
        open_flags=flags.count_open(u.db),
        emergencies=tuple(_emergencies(u)),
        open_emergencies=emergencies.count_open(u.db),
        names={**view.names, **_names(u, {g.person for g in everything})},
    )


def _names(u: Snapshot, ids: Iterable[str]) -> dict[str, str]:
    return {one.id: one.name for one in people.several(u.db, ids).values()}


def _emergencies(u: Snapshot) -> Iterable[EmergencyView]:
    for review in emergencies.open_now(u.db, MOST_EMERGENCIES):
        request, grant = requests.get(u.db, review.request), grants.get(u.db, review.grant)
        if request is not None and grant is not None:
            yield EmergencyView(review, request, grant)


def _approvers(u: Snapshot, role: Role) -> tuple[str, ...]:
    """Returns the approvers: people by name, groups by handle."""
    known = people.several(u.db, [ref for ref in role.approvers if ref[:1] in "UW"])
    called = zip(role.approvers, u.directory.called(role.approvers), strict=True)
    return tuple(known[ref].name if ref in known else handle for ref, handle in called)


def roles_open_to(world: Context, person_id: str) -> tuple[Role, ...]:
    """Returns the roles that a person may request now; none for an unknown person. Raises
    StorageUnavailable."""
    with reading(world) as u:
        return requestable(u, u.person(person_id))


def emergency_roles(world: Context, person_id: str) -> tuple[Role, ...]:
    """Returns the roles that a person may take in an emergency now, on its terms. Raises
    StorageUnavailable."""
    with reading(world) as u:
        person, leads = u.person(person_id), u.policy.workspace.leads
        terms = (
            as_emergency(role, Urgency.ORDINARY, role.emergency.max_duration, leads)
            for role in u.policy.roles.values()
            if role.emergency
        )
        return tuple(role for role in terms if _offered(u, role, person))


def readable_role(world: Context, person_id: str, name: str) -> Role | None:
    """Returns the role for people who may request it or decide on it, and for leads. Raises
    StorageUnavailable."""
    with reading(world) as u:
        person, role = u.person(person_id), u.role_for(name, person_id)
        if role is None or person.ineligible_reason() is not None:
            return None
        lists = (role.requesters, decider_references(role), u.policy.workspace.leads)
        return role if any(u.directory.includes(refs, person) for refs in lists) else None


def requestable(u: Snapshot, person: Person) -> tuple[Role, ...]:
    """Returns the roles that this person may request now, in the order of roles.toml, including
    those that depend on references which Slack has not been asked about yet."""

    every = (u.role_for(name, person.id) for name in u.policy.roles)
    return tuple(role for role in every if role is not None and _offered(u, role, person))


def _offered(u: Snapshot, role: Role, person: Person) -> bool:
    if may_request(role, person, u.directory) is None:
        return True
    return person.ineligible_reason() is None and bool(u.directory.unresolved(role.requesters))


def _waiting(u: Snapshot, person: str) -> Iterable[tuple[Request, Right]]:
    """The pending requests that this person may approve in the tier that is asked, and why."""
    for request in requests.pending(u.db):
        role = u.role_of(request)
        if role is None:
            continue
        authority = u.authority(request)
        votes = requests.votes(u.db, request.id) if role.tiers else []
        tier = count(role, request, votes, authority).tier
        right = right_of(role, request.requester, person, authority, tier)
        if right is not None:
            yield request, right
