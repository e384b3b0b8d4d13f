"""The nouns of the product as plain values: requests, votes, grants, leases, people and the groups
they are in.

Every time is UTC in whole seconds since the epoch, every duration is in seconds. Nothing here knows
where the values are kept, who shows them or what the clock says.
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


class EndReason(StrEnum):
    EXPIRED = "expired"
    RELEASED = "released"
    REVOKED = "revoked"
    EMERGENCY_CLOSED = "emergency_closed"
    OFFBOARDED = "offboarded"
    SUPERSEDED = "superseded"


class Clock(IntEnum):
    """Whether the end of a grant that is starting moves with the next try."""

    FREE = 0
    """No system can have it: the next try is good for the whole duration."""

    TRYING = 1
    """Systems are being asked to make it; found by the next try, this one was cut off."""

    STANDS = 2
    """A system has it, or may have it: its end holds for all of them."""


class Source(StrEnum):
    """Through which door something came; kept in every audit record's detail."""

    SLACK = "slack"
    CLI = "cli"
    HTTP = "http"
    CLOCK = "clock"


_CAPITALS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def folded(email: str) -> str:
    """An address as it is compared: A to Z alone count as a to z. Every other letter is itself,
    because Unicode's own folding makes one address of two (the Kelvin sign of a k), and whoever
    chooses theirs could take another's."""
    return email.translate(_CAPITALS)


RULE = "rule:"
"""How a rule that decided is called, `rule:NAME`."""

HELD = frozenset({GrantState.SCHEDULED, GrantState.STARTING, GrantState.ACTIVE})
"""The states in which a person has, or is about to have, what the grant gives."""


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody asks for a role. `renews` names the grant that an approval would extend, `systems`
    and `actions` are what the requester asked for when asking, and `fingerprint` pins the role as
    it was shown then."""

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

    @property
    def decided_by_each(self) -> tuple[str, ...]:
        """The people who decided, or the one rule, whose name may have commas."""
        by = self.decided_by or ""
        return (by,) if by.startswith(RULE) else tuple(filter(None, by.split(",")))


@dataclass(frozen=True, slots=True)
class Vote:
    """One approver's press on one request, for at most this duration and these actions."""

    request: str
    voter: str
    at: int
    duration: int
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """Access that exists, will exist or did exist. `ends_at` is written before anything is made on
    a system; `latest_end` is the hard limit that no renewal passes, `duration` what one start or
    renewal is good for. `end_words` is what the person who revoked it wrote for its holder."""

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


@dataclass(frozen=True, slots=True)
class Lease:
    """One grant on one system: what must be made there, and later be gone from there. `target` is
    the place that it was made in, "" where none was noted. `reach` is `System.reach` as it was
    approved, "" where none was noted."""

    grant: str
    system: str
    connector: str
    state: GrantState
    error: str = ""
    target: str = ""
    reach: str = ""


CLOCKS_APART = 60
"""Seconds by which the clocks of two processes may differ. What is stored with a time further ahead
counts as old."""


def is_recent(at: int, now: int, within: int) -> bool:
    """Whether `at` is a time of the last `within` seconds."""
    return now - within <= at <= now + CLOCKS_APART


@dataclass(frozen=True, slots=True)
class Person:
    """A member of the workspace as Slack last described them; `checked_at` is when that was."""

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
        """Why this account may neither ask, decide nor hold anything, or None for a full member."""
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
class Directory:
    """Who is in which group, as last read from Slack. `groups` is keyed by id and by `@handle`,
    `handles` gives the id of a handle, `emails` the person of a `folded` address; `unfit` are
    accounts that must never count (deactivated, guests, bots, strangers, unconfirmed). `answered`
    are the references that Slack was asked about, whether they stand for somebody or not."""

    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    emails: Mapping[str, str] = field(default_factory=dict)
    unfit: frozenset[str] = frozenset()
    handles: Mapping[str, str] = field(default_factory=dict)
    answered: frozenset[str] = frozenset()

    def unresolved(self, refs: Iterable[str]) -> tuple[str, ...]:
        """The groups, handles and e-mails of `refs` that nobody has asked Slack about yet: for whom
        they stand is not known, which is not the same as nobody."""
        return tuple(ref for ref in dict.fromkeys(refs) if not self._is_known(ref))

    def _is_known(self, ref: str) -> bool:
        if "@" not in ref and ref[:1] != "S":
            return True  # a person by their id, or everyone
        return ref in self.groups or folded(ref) in self.emails or ref in self.answered

    def without_groups(self) -> "Directory":
        """The same while nobody knows who is in the groups: their references are unresolved."""
        kept = frozenset(ref for ref in self.answered if "@" in ref[1:])
        return replace(self, groups={}, handles={}, answered=kept)

    def named(self, refs: Iterable[str]) -> tuple[str, ...]:
        """The ids of people and groups that Slack can mention for `refs`; unknown ones are left
        out."""
        ids = (self.handles.get(ref) or self.emails.get(folded(ref)) or ref for ref in refs)
        return tuple(dict.fromkeys(i for i in ids if i[:1] in ("U", "W", "S") and "@" not in i))

    def called(self, refs: Iterable[str]) -> tuple[str, ...]:
        """`refs` as people know them: a group's id becomes its @handle where that is known."""
        handles = {group: handle for handle, group in self.handles.items()}
        return tuple(handles.get(ref, ref) for ref in refs)

    def resolve(self, refs: Iterable[str]) -> frozenset[str]:
        """The people that `refs` (ids, group ids, @handles, e-mails; not `everyone`) stand for.
        What is unknown stands for nobody, so a set that can't be read gives no authority."""
        found: set[str] = set()
        for ref in refs:
            if ref[:1] in ("U", "W") and "@" not in ref:
                found.add(ref)
            elif ref in self.groups:
                found |= self.groups[ref]
            elif folded(ref) in self.emails:
                found.add(self.emails[folded(ref)])
        return frozenset(found) - self.unfit

    def includes(self, refs: Iterable[str], person: Person) -> bool:
        """Whether this fit person is one of `refs`, with `everyone` meaning every full member."""
        if person.ineligible_reason():
            return False
        refs = tuple(refs)
        return "everyone" in refs or person.id in self.resolve(refs)


@dataclass(frozen=True, slots=True)
class ProvisionOrder:
    """What a connector is asked to make, extend or end: one grant on one system. `grant` and
    `system` together are the idempotency key of everything that is done for it. `names` is what the
    person is called elsewhere, by connector, as `[people]` of roles.toml has it. `kept` is only in
    an order to end: the actions that another grant of this person on this system still needs.
    `target` and `reach` are those of its lease."""

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
    """One SSH certificate: the number by which it can be revoked, and from when to when it is
    good."""

    serial: int
    issued_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Membership:
    """One grant gave (or was about to give) `action` to an account of its system, which calls it
    `thing`."""

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
