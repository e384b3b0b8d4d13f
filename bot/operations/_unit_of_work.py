"""The context that operations read, and the one transaction in which state, audit records and
outbox rows are committed."""

import logging
import secrets
from base64 import b32encode
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property

from bot.core import effects
from bot.core.approval import Refused
from bot.core.audit import Break, Entry, Event
from bot.core.authority import Authority
from bot.core.effects import Effect, Queue
from bot.core.emergency import as_emergency
from bot.core.model import Directory, Grant, Person, Request, Source, is_recent
from bot.core.onboarding import RampRights, as_for, asked_for, rights_of
from bot.core.panic_switch import resume_command
from bot.core.parameters import bound
from bot.core.roles import Policy, Role
from bot.operations._repeats import MOST_APART, counted
from bot.operations._unwritten import UnwrittenEnds
from storage import (
    audit,
    direct_notes,
    key_values,
    outbox,
    people,
    pings,
    private_answers,
    ramps,
)
from storage.database import Database

log = logging.getLogger(__name__)

SYSTEM = "system"
"""The actor of events without a person: the clock, and automatic consequences."""

LATE_EVENTS = frozenset({Event.GRANT_RENEWED, Event.END_ASKED, Event.GRANT_ENDED, Event.END_FAILED})
"""Events after which the approval messages of a grant are out of date."""

REFRESH_EVENTS = LATE_EVENTS | {
    Event.REQUEST_ASKED,
    Event.APPROVAL_GIVEN,
    Event.DENIAL_GIVEN,
    Event.REQUEST_WITHDRAWN,
    Event.REQUEST_LAPSED,
    Event.GRANT_SCHEDULED,
    Event.GRANT_STARTED,
    Event.GRANT_FAILED,
    Event.EMERGENCY_STARTED,
    Event.REVIEW_SIGNED,
}
"""Events after which a message, a private answer or App Home may be out of date."""

ANSWERS_LAST = 30 * 60
"""Seconds for which Slack accepts changes of a private answer
(https://docs.slack.dev/interactivity/handling-user-interaction)."""

GROUPS_LAST = 600
"""Seconds after which groups that could not be read again count as unknown."""

HOME_LASTS = 3600
"""Seconds for which App Home is kept up to date after it was opened."""

MANY = f"more than {MOST_APART} different refusals in a minute"
"""The reason of the one record that stands for many different refusals."""

POLICY_IN_FORCE = "policy in force"
"""The key of the version of the roles.toml that a process loaded last."""

OUTDATED = Refused(
    "roles.toml has changed, and this process of the bot has not loaded it yet, so it decides "
    "nothing. Try again in a minute; if that does not help, tell a lead."
)

_CROCKFORD = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdefghjkmnpqrstvwxyz"
)
"""From RFC 4648's base 32 to Crockford's, in which no two characters look alike."""


def new_id(prefix: str) -> str:
    """An id for a request (`r…`) or a grant (`g…`) that can't be guessed and can be read aloud."""
    return prefix + b32encode(secrets.token_bytes(10)).translate(_CROCKFORD)[:11].decode()


def unknown_person(person: str) -> Person:
    """A person without a record: a stranger, so that nobody is trusted by default."""
    return Person(person, person, "", "UTC", "", 0, stranger=True)


@dataclass(slots=True)
class _DirectoryCache:
    """Version and value in one tuple, so that no thread reads a version with another value."""

    held: tuple[str, Directory] = ("", Directory())


@dataclass(frozen=True, slots=True)
class Context:
    """All that operations need, handed over by `bot/app.py`. `now` gives UTC seconds, `policy` the
    roles as they are at this moment, `sign` a token from its id and its end, `chain` the head of
    the audit log; `wake` is called after a commit, with the queues it left work for and the
    earliest deadline it set; `unwritten` has the ends that could not be recorded yet. With
    `in_transaction` operations join the transaction of `do_together`."""

    db: Database
    now: Callable[[], int]
    policy: Callable[[], Policy]
    chain: audit.Chain
    sign: Callable[[str, int], str]
    wake: Callable[[frozenset[Queue], int | None], None] = lambda queues, due: None
    source: Source = Source.SLACK
    token: str = ""
    in_transaction: bool = False
    unwritten: UnwrittenEnds = field(default_factory=UnwrittenEnds)
    _directory: _DirectoryCache = field(default_factory=_DirectoryCache)

    def via(self, source: Source, token: str = "") -> "Context":
        """A copy of the context with another source, which every audit record carries; `token` is
        the id of a program's API token."""
        return replace(self, source=source, token=token)

    @property
    def origin(self) -> dict[str, object]:
        """The source, and the token of a program, for the detail of a record."""
        return {"source": self.source, **({"token": self.token} if self.token else {})}

    def directory(self, however_old: bool = False) -> Directory:
        """The members of groups; read again only when another process or Slack changed them. Groups
        that Slack has not given for GROUPS_LAST are unknown, unless `however_old`."""
        known, value = self._directory.held
        # Before the rows: a change between the two is seen next time.
        version, read_at = people.version(self.db)
        if known != version:
            value = people.directory(self.db)
            self._directory.held = (version, value)
        too_old = read_at is not None and not is_recent(read_at, self.now(), GROUPS_LAST)
        return value.without_groups() if too_old and not however_old else value


class Snapshot:
    """The view of an operation inside a reading scope or a transaction; `now` and `policy` stay the
    same in it."""

    def __init__(self, world: Context) -> None:
        self.world, self.db = world, world.db
        self.now, self.policy = world.now(), world.policy()

    @cached_property
    def directory(self) -> Directory:
        """Read at its first use; an operation that changes people or groups does that before."""
        return self.world.directory()

    @cached_property
    def outdated(self) -> bool:
        """Whether another process has loaded another roles.toml since. Then this process decides
        nothing and starts nothing. Without a readable roles.toml nothing is decided anyway."""
        in_force = key_values.get(self.db, POLICY_IN_FORCE)
        return in_force is not None and bool(self.policy.digest) and in_force != self.policy.version

    def role_of(self, about: Request | Grant) -> Role | None:
        """The role that it is for, on the terms of an emergency where it is one. None where
        roles.toml no longer has it."""
        role = self.policy.roles.get(about.role)
        if role is None or not about.urgency:
            requester = about.requester if isinstance(about, Request) else about.person
            role = self.role_for(about.role, requester)
        else:
            leads = self.policy.workspace.leads
            role = as_emergency(role, about.urgency, about.duration, leads)
        if role is None or not (role.parameters or about.parameters):
            return role
        with_values = bound(role, about.parameters)
        # Values that the role no longer takes leave it as it is: its fingerprint differs then.
        return role if isinstance(with_values, Refused) else with_values

    def authority(
        self, request: Request | None = None, directory: Directory | None = None
    ) -> Authority:
        """The facts that give the right to decide on this request now, or on one that is not made
        yet. Nobody has delegates in an emergency."""
        role = self.role_of(request) if request else None
        is_escalated = (
            request is not None
            and role is not None
            and role.escalation is not None
            and pings.escalated(self.db, request.id)
        )
        known = directory or self.directory
        if request is not None and request.urgency:
            known = known.without_delegates()
        return Authority(known, self.now, is_escalated)

    def person(self, person: str) -> Person:
        """The stored facts about this person."""
        return people.get(self.db, person) or unknown_person(person)

    def people(self, wanted: Collection[str]) -> dict[str, Person]:
        """The stored facts about these people, by id, read at once."""
        known = people.several(self.db, wanted)
        return {person: known.get(person) or unknown_person(person) for person in wanted}

    @cached_property
    def leads(self) -> frozenset[str]:
        """The leads of roles.toml now; nobody while they are not known from Slack."""
        return self.directory.resolve(self.policy.workspace.leads)

    @cached_property
    def absent(self) -> frozenset[str]:
        """People who can't act now, or are away, so that others act in their place."""
        given = self.directory.delegations
        return self.directory.unfit | {each.giver for each in given if each.ends_at > self.now}

    @cached_property
    def _ramp_rights(self) -> tuple[RampRights, ...]:
        running = ramps.open_ramps(self.db)
        return tuple(rights_of(running, self.policy, self.absent, self.leads, self.now))

    def role_for(self, name: str, requester: str) -> Role | None:
        """The role as it is for this requester: a running onboarding may add them to its requesters
        and their mentor to its approvers. None if roles.toml has no such role."""
        role = self.policy.roles.get(name)
        if role is None or all(name not in asked_for(b) for b in self.policy.bundles.values()):
            return role
        return as_for(role, requester, self._ramp_rights)

    def paused(self, role: str, person: str) -> Refused | None:
        """Refuses access that a panic switch has stopped."""
        stopped = {("all", ""), ("role", role), ("user", person)} & set(
            key_values.switches_on(self.db)
        )
        if not stopped:
            return None
        kind, name = sorted(stopped)[0]
        what = "All access is" if kind == "all" else f"Access for {name} is"
        command = resume_command((kind, name))
        return Refused(
            f"{what} stopped by the panic switch. A lead can lift it with `{command}`.",
            "role",
        )


class UnitOfWork(Snapshot):
    """One transaction under way: its view of the world, and the records, work and deadlines that it
    will commit."""

    def __init__(self, world: Context) -> None:
        super().__init__(world)
        self.entries: list[Entry] = []
        self.effects: list[Effect] = []
        self.due: int | None = None
        self.moved: dict[str, Request | Grant] = {}
        self.cards: dict[str, None] = {}

    def record(
        self,
        event: Event,
        actor: str,
        about: Request | Grant | None = None,
        *,
        reason: str = "",
        system: str = "",
        **detail: object,
    ) -> None:
        """Adds an audit record; `about` gives its subject, role, request and grant. Messages that
        show it are updated."""
        ids = _ids(about)
        if about is not None and event in REFRESH_EVENTS:
            self.show(about)
            if event in LATE_EVENTS:
                self.cards[about.id] = None
        marks = about.urgency.as_detail() if about is not None else {}
        detail = {**self.world.origin, **marks, **detail}
        if not system:
            detail, system = _systems(about, detail)
        self.entries.append(Entry(event, actor, *ids[:2], system, *ids[2:], reason, detail))

    def show(self, about: Request | Grant) -> None:
        """Updates the messages that show this request or grant."""
        self.moved[about.id] = about

    def note(
        self,
        event: Event,
        actor: str,
        *,
        subject: str = "",
        role: str = "",
        system: str = "",
        reason: str = "",
        **detail: object,
    ) -> None:
        """Adds an audit record without a request or grant."""
        facts = {**self.world.origin, **detail}
        entry = Entry(event, actor, subject, role, system, reason=reason, detail=facts)
        self.entries.append(entry)

    def refuse(
        self,
        refused: Refused,
        actor: str,
        action: str,
        about: Request | Grant | None = None,
        *,
        role: str = "",
        reason: str = "",
    ) -> Refused:
        """Records a refusal, or counts it if it repeats one of the same minute; returns it."""
        ids = _ids(about)
        detail = {**self.world.origin, "action": action, "why": refused.reason}
        detail |= about.urgency.as_detail() if about is not None else {}
        detail |= {"rule": refused.rule} if refused.rule else {}
        entry = Entry(
            Event.RULE_DENIED if refused.rule else Event.ACTION_REFUSED,
            actor,
            ids[0],
            ids[1] or role,
            "",
            ids[2],
            ids[3],
            reason=reason,
            detail=detail,
        )
        if actor == SYSTEM:
            self.entries.append(entry)
        else:
            facts = {**self.world.origin, "action": "several", "why": MANY}
            beyond = Entry(Event.ACTION_REFUSED, actor, detail=facts)
            # A program's refusals must not hide those of its owner.
            caller = f"refused {actor} {self.world.token}"
            self.entries += counted(self.db, self.now, caller, entry, beyond)
        return refused

    def do(self, *effects: Effect) -> None:
        """Queues work for after the commit."""
        self.effects += effects

    def notify_leads(self, note: str, **facts: object) -> None:
        """Queues a note for the security channel, if roles.toml could be read and names one."""
        if channel := self.policy.workspace.security_channel:
            self.do(effects.notify_security(channel, note, **facts))

    def expect(self, *deadlines: int | None) -> None:
        """Notes deadlines that this transaction sets, so that the clock wakes at the first of
        them."""
        self.due = min((at for at in (self.due, *deadlines) if at is not None), default=None)


@contextmanager
def reading(world: Context) -> Iterator[Snapshot]:
    """Opens a scope for reading. Raises StorageUnavailable."""
    with world.db.reading():
        yield Snapshot(world)


@contextmanager
def unit(world: Context) -> Iterator[UnitOfWork]:
    """Opens the transaction, or joins that of `do_together`; at its end the records are chained,
    the work is stored, and all is committed.

    Raises StorageUnavailable when the database can't; nothing has changed then.
    """
    with nullcontext() if world.in_transaction else world.db.transaction():
        current = UnitOfWork(world)
        yield current
        current.effects += _refresh(current)
        if current.entries or current.effects or current.due:
            queues = _write(current)
    if current.effects or current.due:
        world.wake(queues, current.due)


def _write(u: UnitOfWork) -> frozenset[Queue]:
    """Stores records and work; gives the queues that have new work."""
    with u.db.together():
        outbox.add(u.db, u.effects, u.now)
        broken = audit.append(u.db, u.entries, u.now, u.world.chain)
        if broken is not None:
            _alert_broken(u, broken)
        queues = frozenset(effect.queue for effect in u.effects)
        if queues or u.due:
            u.db.notify(queues, u.due)
    return queues


def _refresh(u: UnitOfWork) -> list[Effect]:
    """Work that updates the messages about the requests and grants of this transaction, if any."""
    if not u.moved:
        return []
    moved = [each.id for each in u.moved.values() if isinstance(each, Grant)]
    asked = [each.id for each in u.moved.values() if isinstance(each, Request)]
    if u.cards or _shown(u, moved, asked):
        return [effects.refresh_messages(moved, asked, list(u.cards))]
    return []


def _shown(u: UnitOfWork, moved: list[str], asked: list[str]) -> bool:
    return bool(
        private_answers.any_since(u.db, u.now - ANSWERS_LAST)
        or private_answers.open_homes(u.db, u.now - HOME_LASTS)
        or direct_notes.of_grants(u.db, moved)
        or direct_notes.of_requests(u.db, asked)
    )


def _alert_broken(u: UnitOfWork, broken: Break) -> None:
    """Reports a broken audit log, also in the log of the process: the database may be under an
    attacker's control."""
    log.critical(
        "the audit log was changed behind the bot, see its record %s: %s", broken.seq, broken.why
    )
    known = len(u.effects)
    u.notify_leads("log_broken", seq=broken.seq, why=broken.why)
    outbox.add(u.db, u.effects[known:], u.now)


def _ids(about: Request | Grant | None) -> tuple[str, str, str, str]:
    """Subject, role, request and grant of a record about this request or grant."""
    if about is None:
        return "", "", "", ""
    if isinstance(about, Request):
        return about.requester, about.role, about.id, about.renews or ""
    return about.person, about.role, about.request, about.id


def _systems(
    about: Request | Grant | None, detail: dict[str, object]
) -> tuple[dict[str, object], str]:
    """One system goes into the record's column; several go into its detail."""
    if about is None or not about.systems:
        return detail, ""
    if len(about.systems) > 1:
        detail = {**detail, "systems": list(about.systems)}
    return detail, about.systems[0] if len(about.systems) == 1 else ""
