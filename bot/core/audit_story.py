"""Compares the audit records of a request with its rows. They must agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from json import loads
from typing import NamedTuple

from bot.core.audit import Event, parsed_detail
from bot.core.browser_access import short_hash
from bot.core.model import Urgency


class RequestRow(NamedTuple):
    id: str
    requester: str
    role: str
    systems: str
    actions: str
    duration: int
    state: str
    created_at: int
    renews: str | None
    decided_at: int | None
    decided_by: str | None
    program: str
    parameters: str
    reason: str
    ticket: str
    decision_reason: str
    urgency: str


class VoteRow(NamedTuple):
    request: str
    voter: str
    at: int
    duration: int
    actions: str
    tier: str
    systems: str
    start_at: int | None


class GrantRow(NamedTuple):
    request: str
    id: str
    person: str
    role: str
    systems: str
    actions: str
    state: str
    duration: int
    starts_at: int
    ends_at: int
    started_at: int | None
    renewals: int
    end_reason: str | None
    end_by: str | None
    ended_at: int | None
    system_actions: str
    urgency: str
    parameters: str


class LeaseRow(NamedTuple):
    request: str
    grant: str
    system: str
    state: str
    actions: str


class TokenRow(NamedTuple):
    request: str
    jti: str
    grant: str
    issued_at: int
    expires_at: int
    revoked_at: int | None


class BrowserRow(NamedTuple):
    """A browser session; `hash` is that of its secret."""

    request: str
    hash: str
    grant: str
    system: str
    opened_at: int
    ended_at: int | None


class CertificateRow(NamedTuple):
    request: str
    serial: int
    grant: str
    system: str
    expires_at: int


class EmergencyRow(NamedTuple):
    request: str
    grant: str
    person: str
    started_at: int
    signed_at: int | None
    signed_by: str | None
    urgency: str
    declared_by: str
    alone: int
    conclusion: str


class RecordRow(NamedTuple):
    request: str
    seq: int
    at: int
    event: str
    actor: str
    subject: str
    role: str
    system: str
    grant: str
    detail: str
    reason: str


@dataclass(frozen=True, slots=True)
class Story:
    """The rows and the records of one request, the records in the order of the log. Rows hold
    lists as JSON texts; times are UTC seconds."""

    id: str
    requests: Sequence[RequestRow]
    votes: Sequence[VoteRow]
    grants: Sequence[GrantRow]
    leases: Sequence[LeaseRow]
    tokens: Sequence[TokenRow]
    browsers: Sequence[BrowserRow]
    certificates: Sequence[CertificateRow]
    emergencies: Sequence[EmergencyRow]
    records: Sequence[RecordRow]


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """A difference between rows and records. `seq` is the record that differs, or the last one of
    the log if there is no record."""

    seq: int
    what: str


DECISIONS = {
    Event.APPROVAL_GIVEN: "approved",
    Event.DENIAL_GIVEN: "denied",
    Event.REQUEST_WITHDRAWN: "withdrawn",
    Event.REQUEST_LAPSED: "lapsed",
    Event.EMERGENCY_STARTED: "approved",
}
GIVING = (Event.APPROVAL_GIVEN, Event.EMERGENCY_STARTED)
"""The events that give access. An emergency that waited for a press has both."""
_COMPARED = frozenset(
    {
        *DECISIONS,
        Event.REQUEST_ASKED,
        Event.VOTE_GIVEN,
        Event.GRANT_SCHEDULED,
        Event.GRANT_STARTED,
        Event.GRANT_RENEWED,
        Event.GRANT_FAILED,
        Event.START_UNDONE,
        Event.END_ASKED,
        Event.GRANT_ENDED,
        Event.CREDENTIALS_SHOWN,
        Event.CREDENTIALS_REVOKED,
        Event.BROWSER_OPENED,
        Event.BROWSER_CLOSED,
        Event.CERTIFICATE_ISSUED,
        Event.REVIEW_SIGNED,
    }
)


@dataclass(slots=True)
class _Comparison:
    """One story under comparison. `last` is the number of the newest record of the whole log;
    tokens and certificates that ended before `kept_since` may have been deleted."""

    story: Story
    last: int
    kept_since: int
    recorded: dict[str, list[RecordRow]] = field(default_factory=dict)
    found: list[Difference] = field(default_factory=list)

    def of(self, event: Event, grant: str | None = None) -> list[RecordRow]:
        records = self.recorded.get(event, [])
        return records if grant is None else [record for record in records if record.grant == grant]

    def say(self, what: str, record: RecordRow | None = None) -> None:
        self.found.append(Difference(record.seq if record else self.last, what))

    def same(self, what: str, record: RecordRow, **pairs: tuple[object, object]) -> None:
        """Reports each value in the rows that differs from the record."""
        for name, (row, recorded) in pairs.items():
            if row != recorded:
                name = name.replace("_", " ")
                self.say(
                    f"{what}: {name} is {row!s:.60}, record {record.seq} says {recorded!s:.60}",
                    record,
                )


def differences(story: Story, last: int, kept_since: int) -> list[Difference]:
    """All differences between the rows of a request and its records, in no order."""
    c = _Comparison(story, last, kept_since)
    for record in story.records:
        if record.event in _COMPARED:
            c.recorded.setdefault(record.event, []).append(record)
    if not story.requests:
        for record in story.records[:1]:
            c.say(f"request {story.id}, which record {record.seq} names, is not there", record)
        for grant in story.grants:
            c.say(f"grant {grant.id} belongs to no request")
        return c.found
    (request,) = story.requests
    _request(c, request)
    _votes(c, request)
    for grant in story.grants:
        _grant(c, request, grant)
    _tokens(c)
    _browsers(c)
    _certificates(c)
    _emergency(c, request)
    known = {"", request.renews, *(grant.id for grant in story.grants)}
    for record in story.records:
        if record.grant not in known:
            c.say(f"grant {record.grant}, which record {record.seq} names, is not there", record)
    return c.found


def _request(c: _Comparison, request: RequestRow) -> None:
    what = f"request {request.id} of {request.requester}"
    asked = c.of(Event.REQUEST_ASKED)
    if not asked:
        c.say(f"{what}: no record says that it was asked for")
    for record in asked:
        detail = _detail(record)
        c.same(
            what,
            record,
            requester=(request.requester, record.subject),
            role=(request.role, record.role),
            systems=(_list(request.systems), _systems(record)),
            time=(request.created_at, record.at),
            duration=(request.duration, detail.get("duration")),
            renewed_grant=(request.renews or "", record.grant),
            program=(request.program, detail.get("program", "")),
            parameters=(_parsed(request.parameters), detail.get("parameters", {})),
            reason=(request.reason, record.reason),
            ticket=(request.ticket, detail.get("ticket", request.ticket)),
            urgency=(request.urgency, _urgency(detail)),
        )
    _decisions(c, request, what)
    given = _given(c)
    wanted = 1 if given and request.renews is None else 0
    if len(c.story.grants) < wanted:
        c.say(f"{what} was approved, and its grant is not there", given[0])
    elif len(c.story.grants) > wanted:
        c.say(
            f"grant {c.story.grants[-1].id} of {c.story.grants[-1].person}: no record says that it"
            " was approved"
        )


def _urgency(detail: Mapping[str, object]) -> str:
    return next((each for each in Urgency if each and detail.get(each) is True), "")


def _given(c: _Comparison) -> list[RecordRow]:
    return [record for event in GIVING for record in c.of(event)]


def _decider(record: RecordRow, detail: Mapping[str, object]) -> object:
    if record.event == Event.APPROVAL_GIVEN:
        return ",".join(_items(detail, "approvers"))
    return detail.get("decided_by") if record.event == Event.EMERGENCY_STARTED else record.actor


def _decisions(c: _Comparison, request: RequestRow, what: str) -> None:
    decided = [record for event in DECISIONS for record in c.of(event)]
    if not decided and request.state != "pending":
        c.say(f"{what} is {request.state}, and no record says so")
    for record in decided:
        by = _decider(record, _detail(record))
        c.same(
            what,
            record,
            state=(request.state, DECISIONS[Event(record.event)]),
            decider=(request.decided_by, by),
            decision_time=(request.decided_at, record.at),
        )
    for record in c.of(Event.DENIAL_GIVEN):
        c.same(what, record, decision_reason=(request.decision_reason, record.reason))


def _votes(c: _Comparison, request: RequestRow) -> None:
    latest = {record.actor: record for record in c.of(Event.VOTE_GIVEN)}
    for vote in c.story.votes:
        what = f"vote of {vote.voter} on request {request.id}"
        if (record := latest.pop(vote.voter, None)) is None:
            c.say(f"{what}: no record says that it was given")
            continue
        detail = _detail(record)
        c.same(
            what,
            record,
            time=(vote.at, record.at),
            duration=(vote.duration, detail.get("duration")),
            actions=(_list(vote.actions), _items(detail, "actions")),
            tier=(vote.tier, detail.get("tier", "")),
            systems=(_value(vote.systems), detail.get("given_systems")),
            start=(vote.start_at, detail.get("start_at")),
        )
    for voter, record in latest.items():
        c.say(
            f"vote of {voter} on request {request.id}, which record {record.seq} names, is not"
            " there",
            record,
        )


def _grant(c: _Comparison, request: RequestRow, grant: GrantRow) -> None:
    what, systems = f"grant {grant.id} of {grant.person}", _list(grant.systems)
    approvals = c.of(Event.APPROVAL_GIVEN)
    for name, row, asked in (
        ("person", grant.person, request.requester),
        ("role", grant.role, request.role),
        ("urgency", grant.urgency, request.urgency),
        ("parameters", grant.parameters, request.parameters),
        *([] if approvals else [("systems", systems, _list(request.systems))]),
    ):
        if row != asked:
            c.say(f"{what}: {name} is {row!s:.60}, its request is for {asked!s:.60}")
    for record in _given(c):
        detail = _detail(record)
        c.same(
            what,
            record,
            duration=(grant.duration, detail.get("duration")),
            actions=(_list(grant.actions), _items(detail, "actions")),
            systems=(systems, _items(detail, "given_systems") or _list(request.systems)),
            actions_by_system=(_value(grant.system_actions), detail.get("system_actions", {})),
        )
    _grant_state(c, grant, what, systems)
    _leases(c, grant, what, systems)


def _grant_state(c: _Comparison, grant: GrantRow, what: str, systems: Sequence[str]) -> None:
    """The state according to the records, with its times."""
    scheduled, failed, started = (
        c.of(event, grant.id)
        for event in (Event.GRANT_SCHEDULED, Event.GRANT_FAILED, Event.GRANT_STARTED)
    )
    if failed:
        c.same(what, failed[-1], state=(grant.state, "failed"), end=(grant.ended_at, failed[-1].at))
    elif asked := c.of(Event.END_ASKED, grant.id):
        _asked_end(c, grant, what, systems, asked[-1])
    elif {each.system for each in started}.issuperset(systems):
        _active(c, grant, what, started)
    elif grant.state == "scheduled" and scheduled:
        detail = _detail(scheduled[-1])
        c.same(
            what,
            scheduled[-1],
            start=(grant.starts_at, detail.get("starts_at")),
            end=(grant.ends_at, detail.get("ends_at")),
        )
    elif grant.state != "starting":
        c.say(f"{what} is {grant.state}, and no record says so")


def _asked_end(
    c: _Comparison, grant: GrantRow, what: str, systems: Sequence[str], record: RecordRow
) -> None:
    ended, detail = c.of(Event.GRANT_ENDED, grant.id), _detail(record)
    is_over = {each.system for each in ended}.issuperset(systems)
    c.same(
        what,
        record,
        state=(grant.state, "ended" if is_over else "ending"),
        end_reason=(grant.end_reason, detail.get("why")),
        end_asked_by=(grant.end_by, record.actor),
        planned_end=(grant.ends_at, detail.get("ends_at")),
    )
    ends = [time for each in ended for time in (each.at, _detail(each).get("ended_at"))]
    started = [each.at for each in c.of(Event.GRANT_STARTED, grant.id)]
    start = grant.started_at
    if started and start is not None and not started[0] <= start <= started[-1]:
        c.say(f"{what}: its start is {start}, and no record says that it started then", record)
    if is_over and grant.ended_at not in ends:
        words = f"{what}: its end is {grant.ended_at}, and no record says that it ended then"
        c.say(words, ended[-1])


def _active(c: _Comparison, grant: GrantRow, what: str, started: Sequence[RecordRow]) -> None:
    renewed = c.of(Event.GRANT_RENEWED, grant.id)
    record = max([*started, *renewed], key=lambda each: each.seq)
    end = (grant.ends_at, _detail(record).get("ends_at"))
    # Its last system has it, and the start will be finished soon.
    if grant.state == "starting":
        c.same(what, record, end=end)
        return
    state, renewals = (grant.state, "active"), (grant.renewals, len(renewed))
    c.same(what, record, state=state, end=end, renewals=renewals)
    start = grant.started_at
    if not isinstance(start, int) or not started[0].at <= start <= started[-1].at:
        c.say(f"{what}: its start is {start}, and no record says that it started then", record)


def _leases(c: _Comparison, grant: GrantRow, what: str, systems: Sequence[str]) -> None:
    leases = [lease for lease in c.story.leases if lease.grant == grant.id]
    if sorted(lease.system for lease in leases) != sorted(systems):
        c.say(
            f"{what}: it is for {systems!s:.60}, and has leases on"
            f" {[lease.system for lease in leases]!s:.60}"
        )
    gone = {
        record.system
        for event in (Event.GRANT_ENDED, Event.START_UNDONE)
        for record in c.of(event, grant.id)
    }
    each = _value(grant.system_actions)
    for lease in leases:
        given = each.get(lease.system, []) if isinstance(each, dict) and each else None
        given = _list(grant.actions) if given is None else given
        if _list(lease.actions) != given:
            c.say(
                f"{what}: it gives {given!s:.60} on {lease.system}, and its lease has"
                f" {_list(lease.actions)!s:.60}"
            )
        if lease.state == "ended" and lease.system not in gone:
            c.say(f"{what} has ended on {lease.system}, and no record says so")


def _tokens(c: _Comparison) -> None:
    shown = {
        str(jti): each
        for each in c.of(Event.CREDENTIALS_SHOWN)
        if (jti := _detail(each).get("jti"))
    }
    revoked = {str(_detail(each).get("jti")): each for each in c.of(Event.CREDENTIALS_REVOKED)}
    for token in c.story.tokens:
        what = f"token {token.jti:.40} of grant {token.grant}"
        if (record := shown.pop(token.jti, None)) is None:
            c.say(f"{what}: no record says that it was shown")
            continue
        c.same(
            what,
            record,
            grant=(token.grant, record.grant),
            time=(token.issued_at, record.at),
            end=(token.expires_at, _detail(record).get("ends_at")),
        )
        if token.jti in revoked and token.revoked_at is None:
            c.say(
                f"{what} works, and record {revoked[token.jti].seq} says that it was revoked",
                revoked[token.jti],
            )
    for jti, record in shown.items():
        if _is_kept(c, record):
            c.say(f"token {jti:.40}, which record {record.seq} names, is not there", record)


def _browsers(c: _Comparison) -> None:
    """Each session has a record, and so has the code that opened it."""
    opened = {str(_detail(each).get("session")): each for each in c.of(Event.BROWSER_OPENED)}
    closed = {str(_detail(each).get("session")): each for each in c.of(Event.BROWSER_CLOSED)}
    for row in c.story.browsers:
        name = short_hash(row.hash)
        what = f"browser session {name:.40} of grant {row.grant}"
        if (record := opened.get(name)) is None:
            c.say(f"{what}: no record says that it was opened")
            continue
        c.same(
            what,
            record,
            grant=(row.grant, record.grant),
            system=(row.system, record.system),
            time=(row.opened_at, record.at),
        )
        if name in closed and row.ended_at is None:
            seq = closed[name].seq
            c.say(f"{what} works, and record {seq} says that it was closed", closed[name])
    shown = {str(code) for each in c.of(Event.CREDENTIALS_SHOWN) for code in _codes(each)}
    for record in opened.values():
        if str(_detail(record).get("code")) not in shown:
            c.say(f"record {record.seq} opened a browser session with a link never shown", record)


def _codes(record: RecordRow) -> Sequence[object]:
    found = _detail(record).get("browser")
    return list(found.values()) if isinstance(found, dict) else []


def _certificates(c: _Comparison) -> None:
    issued = {
        str(_detail(record).get("serial")): record for record in c.of(Event.CERTIFICATE_ISSUED)
    }
    for row in c.story.certificates:
        what = f"certificate {row.serial} of grant {row.grant}"
        if (record := issued.pop(str(row.serial), None)) is None:
            c.say(f"{what}: no record says that it was issued")
            continue
        c.same(
            what,
            record,
            grant=(row.grant, record.grant),
            system=(row.system, record.system),
            end=(row.expires_at, _detail(record).get("ends_at")),
        )
    for serial, record in issued.items():
        if _is_kept(c, record):
            c.say(
                f"certificate {serial:.40}, which record {record.seq} names, is not there", record
            )


def _emergency(c: _Comparison, request: RequestRow) -> None:
    """An emergency that nobody recorded, and a review that was signed or opened again by hand."""
    started, signed = c.of(Event.EMERGENCY_STARTED), c.of(Event.REVIEW_SIGNED)
    what = f"emergency of {request.requester} by request {request.id}"
    if started and not c.story.emergencies:
        c.say(f"{what}, which record {started[0].seq} names, is not there", started[0])
    for row in c.story.emergencies:
        if not started:
            c.say(f"{what}: no record says that it started")
        for record in started:
            pairs = {"grant": (row.grant, record.grant), "person": (row.person, record.subject)}
            c.same(
                what,
                record,
                **pairs,
                start=(row.started_at, record.at),
                urgency=(row.urgency, _urgency(_detail(record))),
                declared_by=(row.declared_by, record.actor),
                approved=(not row.alone, bool(_items(_detail(record), "approvers"))),
            )
        for record in signed:
            c.same(
                f"review of the {what}",
                record,
                signer=(row.signed_by, record.actor),
                time=(row.signed_at, record.at),
                conclusion=(row.conclusion, record.reason),
            )
        if row.signed_at is not None and not signed:
            c.say(f"review of the {what} is signed, and no record says so")


def _is_kept(c: _Comparison, record: RecordRow) -> bool:
    """Whether the row of the record is too young to have been deleted."""
    ends_at = _detail(record).get("ends_at")
    return isinstance(ends_at, int) and ends_at >= c.kept_since


def _detail(record: RecordRow) -> Mapping[str, object]:
    return _parsed(record.detail)


_parsed = lru_cache(maxsize=128)(parsed_detail)
"""Cached, because a comparison reads each detail several times; nobody changes the value."""


def _items(detail: Mapping[str, object], name: str) -> list[str]:
    found = detail.get(name)
    return list(map(str, found)) if isinstance(found, list) else []


def _systems(record: RecordRow) -> list[str]:
    """The systems of a record: one is in its column, several are in its detail."""
    return [record.system] if record.system else _items(_detail(record), "systems")


@lru_cache(maxsize=128)
def _value(text: str) -> object:
    """The value of a JSON text; the text itself where it is none. Cached like `_parsed`."""
    try:
        return loads(text)
    except (ValueError, TypeError):
        return str(text)


@lru_cache(maxsize=1024)
def _list(text: str) -> list[str]:
    """The texts of a JSON list; a forger may have stored anything. Cached, because millions of
    rows name the same few systems and actions; nobody changes the list."""
    try:
        found = loads(text)
    except (ValueError, TypeError):
        return [str(text)]
    return list(map(str, found)) if isinstance(found, list) else [str(text)]
