"""The nouns of the product as plain values: requests, votes, grants, leases, people and the groups
they are in.

Every time is UTC in whole seconds since the epoch, every duration is in seconds. They are plain
values, without storage, display or clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum


class RequestState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"


class GrantState(StrEnum):
    SCHEDULED = "scheduled"
    STARTING = "starting"
    ACTIVE = "active"
    ENDING = "ending"
    ENDED = "ended"
    FAILED = "failed"


class RampState(StrEnum):
    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    ENDED = "ended"


class CampaignState(StrEnum):
    OPEN = "open"
    CLOSING = "closing"
    """Every item is decided, and not everything that was to end has ended."""
    FINISHED = "finished"


class ItemState(StrEnum):
    PENDING = "pending"
    KEPT = "kept"
    ENDING = "ending"
    """It is to end, and is still there."""
    ENDED = "ended"
    GONE = "gone"
    """It ended before anybody decided on it."""


class EndReason(StrEnum):
    EXPIRED = "expired"
    RELEASED = "released"
    REVOKED = "revoked"
    EMERGENCY_CLOSED = "emergency_closed"
    OFFBOARDED = "offboarded"
    SUPERSEDED = "superseded"


class Urgency(StrEnum):
    """Whether access comes before its approval. A drill is an emergency in every way, and is called
    a drill in every message and record."""

    ORDINARY = ""
    EMERGENCY = "emergency"
    DRILL = "drill"

    def as_detail(self) -> dict[str, object]:
        """The entry that marks it in the detail of an audit record, or in the facts of a
        message."""
        return {str(self): True} if self else {}


class Clock(IntEnum):
    """Whether the end of a starting grant moves with the next attempt."""

    FREE = 0
    """No system can have it: the next attempt gets the whole duration."""

    TRYING = 1
    """Systems are being called. If the next attempt finds this, the last one was interrupted."""

    STANDS = 2
    """A system has it, or may have it: the end is the same for all systems."""


class Source(StrEnum):
    """The interface of a command; stored in every audit record's detail."""

    SLACK = "slack"
    CLI = "cli"
    HTTP = "http"
    API = "api"
    """A program asked in the name of its owner."""
    CLOCK = "clock"


_CAPITALS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def folded(email: str) -> str:
    """An address for comparison: only A to Z are folded to a to z. Unicode's folding would make
    different addresses equal (the Kelvin sign and k), so that a person could take another's
    address."""
    return email.translate(_CAPITALS)


RULE = "rule:"
"""The prefix of a rule's name in the place of a decider, as in `rule:NAME`."""

HELD = frozenset({GrantState.SCHEDULED, GrantState.STARTING, GrantState.ACTIVE})
"""The states in which a person has, or will soon have, the access."""


SystemActions = Mapping[str, tuple[str, ...]]
"""The actions for each system, where they differ; empty where the same ones are for all."""


def actions_on(system: str, actions: tuple[str, ...], each: SystemActions) -> tuple[str, ...]:
    """The actions for this system alone: those of `each`, or `actions` where they do not differ."""
    return each.get(system, ()) if each else actions


def all_actions(each: SystemActions) -> tuple[str, ...]:
    """Every action of these systems, once."""
    return tuple(dict.fromkeys(action for actions in each.values() for action in actions))


@dataclass(frozen=True, slots=True)
class Request:
    """A request for a role. `renews` is the grant that an approval extends, `systems`, `actions`
    and `system_actions` are those of the role at that time, and `fingerprint` identifies the role
    as it was shown."""

    id: str
    requester: str
    role: str
    systems: tuple[str, ...]
    actions: tuple[str, ...]
    fingerprint: str
    duration: int
    reason: str
    ticket: str
    start_at: int | None
    state: RequestState
    created_at: int
    lapses_at: int
    renews: str | None = None
    decided_at: int | None = None
    decided_by: str | None = None
    decision_reason: str = ""
    urgency: Urgency = Urgency.ORDINARY
    system_actions: SystemActions = field(default_factory=dict)
    program: str = ""
    """The name of the program that made it for the requester, "" where they made it themselves."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The values of the role's parameters, which the actions contain already."""

    def actions_of(self, system: str) -> tuple[str, ...]:
        """The actions that are requested on this system."""
        return actions_on(system, self.actions, self.system_actions)

    @property
    def decided_by_each(self) -> tuple[str, ...]:
        """The people who decided, or the one rule, whose name may have commas."""
        by = self.decided_by or ""
        return (by,) if by.startswith(RULE) else tuple(filter(None, by.split(",")))


@dataclass(frozen=True, slots=True)
class Vote:
    """One approver's approval of one request, for at most this duration and these actions. `tier`
    is the name of the tier that was asked then, "" for a role without tiers. `systems` None means
    all that were asked for, `start_at` None the start that was asked for."""

    request: str
    voter: str
    at: int
    duration: int
    actions: tuple[str, ...]
    tier: str = ""
    systems: tuple[str, ...] | None = None
    start_at: int | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of an approval: the duration, the start (None: at once), and the actions on each
    system."""

    duration: int
    start_at: int | None
    systems: tuple[str, ...]
    actions: tuple[str, ...]
    system_actions: SystemActions = field(default_factory=dict)

    def actions_of(self, system: str) -> tuple[str, ...]:
        return actions_on(system, self.actions, self.system_actions)


def as_asked(request: Request) -> Terms:
    """The terms of a request of which nothing was left out."""
    return Terms(
        request.duration,
        request.start_at,
        request.systems,
        request.actions,
        request.system_actions,
    )


@dataclass(frozen=True, slots=True)
class Grant:
    """Access in the past, present or future. `ends_at` is written before anything is made on a
    system; `latest_end` is the hard limit that no renewal passes, `duration` is that of one start
    or renewal. `end_words` is the text for its holder by the person who revoked it."""

    id: str
    request: str
    person: str
    role: str
    systems: tuple[str, ...]
    actions: tuple[str, ...]
    state: GrantState
    duration: int
    starts_at: int
    ends_at: int
    latest_end: int
    started_at: int | None = None
    renewals: int = 0
    remind_at: int | None = None
    end_reason: EndReason | None = None
    end_by: str | None = None
    ended_at: int | None = None
    end_words: str = ""
    urgency: Urgency = Urgency.ORDINARY
    system_actions: SystemActions = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    def actions_of(self, system: str) -> tuple[str, ...]:
        """The actions that it gives on this system."""
        return actions_on(system, self.actions, self.system_actions)


@dataclass(frozen=True, slots=True)
class Lease:
    """One grant on one system, with its actions there. `target` is the address where the access was
    created, "" if unknown. `reach` is `System.reach` as approved, "" if unknown."""

    grant: str
    system: str
    connector: str
    state: GrantState
    error: str = ""
    target: str = ""
    reach: str = ""
    actions: tuple[str, ...] = ()


CLOCKS_APART = 60
"""Seconds by which the clocks of processes may differ. A stored time further ahead counts as
old."""


def is_recent(at: int, now: int, within: int) -> bool:
    """Whether `at` is a time of the last `within` seconds."""
    return now - within <= at <= now + CLOCKS_APART


@dataclass(frozen=True, slots=True)
class Person:
    """A member of the workspace as Slack described them at `checked_at`."""

    id: str
    name: str
    email: str
    tz: str
    team: str
    checked_at: int
    deleted: bool = False
    bot: bool = False
    guest: bool = False
    stranger: bool = False
    unconfirmed: bool = False

    def ineligible_reason(self) -> str | None:
        """The reason why this account may not request, decide or hold access; None for a full
        member."""
        for is_so, why in (
            (self.deleted, "this Slack account is deactivated"),
            (self.bot, "apps and bots can't use access"),
            (self.stranger, "people from other workspaces can't use access here"),
            (self.guest, "guest accounts can't use access"),
            (
                self.unconfirmed,
                "this account was only invited, or its e-mail address is not confirmed in Slack",
            ),
        ):
            if is_so:
                return why
        return None


@dataclass(frozen=True, slots=True)
class Delegation:
    """The approver `giver` is away until `ends_at`, and `delegate` decides in their place."""

    giver: str
    delegate: str
    given_at: int
    ends_at: int


@dataclass(frozen=True, slots=True)
class Directory:
    """The people in each group, as last read from Slack. `groups` is keyed by id and by `@handle`,
    `handles` gives the id of a handle, `emails` the person of a `folded` address; `unfit` are
    accounts that must never count (deactivated, guests, bots, strangers, unconfirmed). `answered`
    are the references that Slack was asked about, whether they stand for somebody or not.
    `delegations` name the delegates of approvers; some may be over. `bound` has the group or person
    for whom each handle and `folded` address stood first. `missing` are references to user groups
    that Slack was asked about and does not have, such as deleted ones."""

    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    emails: Mapping[str, str] = field(default_factory=dict)
    unfit: frozenset[str] = frozenset()
    handles: Mapping[str, str] = field(default_factory=dict)
    answered: frozenset[str] = frozenset()
    delegations: tuple[Delegation, ...] = ()
    bound: Mapping[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()

    def unreadable(self, refs: Iterable[str]) -> tuple[str, ...]:
        """Those of `refs` whose people are unknown: not looked up yet, or a group that Slack does
        not have."""
        refs = tuple(dict.fromkeys(refs))
        unknown = self.unresolved(refs)
        return tuple(ref for ref in refs if ref in unknown or ref in self.missing)

    def unresolved(self, refs: Iterable[str]) -> tuple[str, ...]:
        """The groups, handles and e-mails of `refs` that were not looked up in Slack yet. Their
        people are unknown, which is different from none."""
        return tuple(ref for ref in dict.fromkeys(refs) if not self._is_known(ref))

    def _is_known(self, ref: str) -> bool:
        if "@" not in ref and ref[:1] != "S":
            return True  # a person by their id, or everyone
        return ref in self.groups or folded(ref) in self.emails or ref in self.answered

    def without_groups(self) -> "Directory":
        """A copy of the directory without the members of groups: references to groups are
        unresolved."""
        kept = frozenset(ref for ref in self.answered if "@" in ref[1:])
        return replace(self, groups={}, handles={}, answered=kept, missing=frozenset())

    def without_delegates(self) -> "Directory":
        """A copy of the directory in which everybody decides only in their own right."""
        return replace(self, delegations=())

    def named(self, refs: Iterable[str]) -> tuple[str, ...]:
        """The ids of the people and groups in `refs` that Slack can mention, without unknown
        ones."""
        ids = (self.handles.get(ref) or self.emails.get(folded(ref)) or ref for ref in refs)
        return tuple(dict.fromkeys(i for i in ids if i[:1] in ("U", "W", "S") and "@" not in i))

    def called(self, refs: Iterable[str]) -> tuple[str, ...]:
        """`refs` for display: a group's id becomes its @handle if known."""
        refs = tuple(refs)
        if not any(ref.startswith("S") for ref in refs):
            return refs
        handles = {group: handle for handle, group in self.handles.items()}
        return tuple(handles.get(ref, ref) for ref in refs)

    def resolve(self, refs: Iterable[str]) -> frozenset[str]:
        """The people that `refs` (ids, group ids, @handles, e-mails; not `everyone`) resolve to. An
        unknown reference resolves to nobody, so it gives no authority."""
        found: set[str] = set()
        for ref in refs:
            if ref[:1] in ("U", "W") and "@" not in ref:
                found.add(ref)
            elif ref in self.groups:
                found |= self.groups[ref]
            elif folded(ref) in self.emails:
                found.add(self.emails[folded(ref)])
        return frozenset(found) - self.unfit

    def has(self, refs: Iterable[str], person: str) -> bool:
        """Whether `resolve` would give this person; quicker, because it gathers nobody else."""
        return person not in self.unfit and any(
            ref == person
            if ref[:1] in ("U", "W") and "@" not in ref
            else person in self.groups[ref]
            if ref in self.groups
            else self.emails.get(folded(ref)) == person
            for ref in refs
        )

    def stood_for(self, refs: Iterable[str], person: str) -> bool:
        """Whether `refs` stood for this person first: a handle or an address that changed since
        then gives nothing, and must not free anybody from a denial."""
        owners = (self.bound.get(folded(ref) if "@" in ref[1:] else ref) for ref in refs)
        return any(
            owner == person or person in self.groups.get(owner, ()) for owner in owners if owner
        )

    def includes(self, refs: Iterable[str], person: Person) -> bool:
        """Whether this full member is one of `refs`; `everyone` means every full member."""
        if person.ineligible_reason():
            return False
        refs = tuple(refs)
        return "everyone" in refs or self.has(refs, person.id)


@dataclass(frozen=True, slots=True)
class ProvisionOrder:
    """An order to a connector to create, extend or revoke one grant on one system. `grant` and
    `system` together are the idempotency key. `names` has the person's accounts by connector, from
    `[people]` of roles.toml. `kept` is only in a revocation: the actions that another grant of this
    person on this system still needs. `target` and `reach` are those of its lease."""

    grant: str
    system: str
    connector: str
    person: Person
    role: str
    actions: tuple[str, ...]
    starts_at: int
    ends_at: int
    names: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    target: str = ""
    reach: str = ""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One SSH certificate: its serial number, and the time in which it is valid."""

    serial: int
    issued_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Membership:
    """One grant gave (or was about to give) `action`, which the system calls `thing`, to an
    account."""

    system: str
    grant: str
    account: str
    thing: str
    action: str


@dataclass(frozen=True, slots=True)
class Claims:
    """The content of a token whose signature is valid. `digest` is the SHA-256 of the whole
    token."""

    jti: str
    exp: int
    digest: str
