"""Streams every request with its rows and its audit records, one request after another."""

from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from bot.core.audit_story import (
    BrowserRow,
    CertificateRow,
    EmergencyRow,
    GrantRow,
    LeaseRow,
    RecordRow,
    RequestRow,
    Story,
    TokenRow,
    VoteRow,
)
from storage.database import Reads

_REQUESTS = (
    "SELECT id, requester, role, systems, actions, duration, state, created_at, renews, decided_at,"
    " decided_by, program, parameters, reason, ticket, decision_reason, urgency FROM requests"
    " ORDER BY id{collate}"
)
_VOTES = (
    "SELECT request_id, voter, at, duration, actions, tier, systems, start_at FROM votes ORDER BY"
    " request_id{collate}"
)
_GRANTS = (
    "SELECT request_id, id, person, role, systems, actions, state, duration, starts_at, ends_at,"
    " started_at, renewals, end_reason, end_by, ended_at, system_actions, urgency, parameters"
    " FROM grants ORDER BY request_id{collate}, id"
)
_OF_GRANTS = (
    "SELECT g.request_id, {columns} FROM grants g JOIN {table} x ON x.grant_id = g.id ORDER BY"
    " g.request_id"
)
_LEASES = (
    _OF_GRANTS.format(columns="x.grant_id, x.system, x.state, x.actions", table="leases")
    + "{collate}"
)
_TOKENS = (
    _OF_GRANTS.format(
        columns="x.jti, x.grant_id, x.issued_at, x.expires_at, x.revoked_at", table="tokens"
    )
    + "{collate}"
)
_BROWSERS = (
    _OF_GRANTS.format(
        columns="x.hash, x.grant_id, x.system, x.opened_at, x.ended_at", table="browser_sessions"
    )
    + "{collate}"
)
_CERTIFICATES = (
    _OF_GRANTS.format(
        columns="x.serial, x.grant_id, x.system, x.expires_at", table="ssh_certificates"
    )
    + "{collate}"
)
_EMERGENCIES = (
    "SELECT request_id, grant_id, person, started_at, signed_at, signed_by, urgency, declared_by,"
    " alone, conclusion FROM emergencies ORDER BY request_id{collate}"
)
_RECORDS = (
    'SELECT request, seq, at, event, actor, subject, role, system, "grant", detail, reason'
    " FROM audit WHERE request > '' ORDER BY request{collate}, at, seq"
)

Row = TypeVar("Row", bound=NamedTuple)


class _Rows(Generic[Row]):
    """A stream of rows that start with the id of their request, in the order of these ids."""

    def __init__(self, make: type[Row], rows: Iterator[tuple[Any, ...]]) -> None:
        self._make, self._rows = make, rows
        self._next = next(rows, None)

    @property
    def request(self) -> str | None:
        """The request of the next row; None at the end."""
        return str(self._next[0]) if self._next is not None else None

    def take(self, request: str) -> list[Row]:
        """Returns the next rows that belong to this request."""
        taken: list[Row] = []
        while (row := self._next) is not None and str(row[0]) == request:
            taken.append(self._make(*row))
            self._next = next(self._rows, None)
        return taken


def stories(db: Reads) -> Iterator[Story]:
    """Yields the stories of all requests, including those that only an audit record names."""

    def rows(make: type[Row], sql: str) -> _Rows[Row]:
        return _Rows(make, db.stream(sql.format(collate=db.collate_bytes)))

    requests, votes, grants = (
        rows(RequestRow, _REQUESTS),
        rows(VoteRow, _VOTES),
        rows(GrantRow, _GRANTS),
    )
    leases, tokens = rows(LeaseRow, _LEASES), rows(TokenRow, _TOKENS)
    browsers = rows(BrowserRow, _BROWSERS)
    certificates, records = rows(CertificateRow, _CERTIFICATES), rows(RecordRow, _RECORDS)
    emergencies = rows(EmergencyRow, _EMERGENCIES)
    every = (
        *(requests, votes, grants, leases),
        *(tokens, browsers, certificates, emergencies, records),
    )
    while waiting := [name for each in every if (name := each.request) is not None]:
        request = min(waiting)
        yield Story(
            request,
            requests.take(request),
            votes.take(request),
            grants.take(request),
            leases.take(request),
            tokens.take(request),
            browsers.take(request),
            certificates.take(request),
            emergencies.take(request),
            sorted(records.take(request), key=lambda record: record.seq),
        )
