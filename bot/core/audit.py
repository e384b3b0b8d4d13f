"""The audit record: its columns, event names, canonical form and hash. `storage/audit.py` stores
the chain, and `operations/audit/verify_audit.py` verifies it.

Canonical form: the JSON array `[seq, at, event, actor, subject, role, system, request, grant,
reason, detail, prev]` without white space and with characters outside ASCII as they are, in UTF-8;
`at` as RFC 3339, `detail` as the JSON text that is stored, a missing value as the empty string.
`hash` is its SHA-256 in lower-case hex, `prev` the hash of the record before, and sixty-four zeros
before the first.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring
from typing import Protocol

GENESIS = "0" * 64
COLUMNS = [
    "seq",
    "at",
    "event",
    "actor",
    "subject",
    "role",
    "system",
    "request",
    "grant",
    "reason",
    "detail",
    "prev",
    "hash",
]


class Event(StrEnum):
    """All events. A name is retired, never reused."""

    REQUEST_ASKED = "request:access:asked"
    VOTE_GIVEN = "request:vote:given"
    APPROVAL_GIVEN = "request:approval:given"
    DENIAL_GIVEN = "request:denial:given"
    REQUEST_WITHDRAWN = "request:access:withdrawn"
    REQUEST_LAPSED = "request:access:lapsed"
    ACTION_REFUSED = "request:action:refused"
    RULE_DENIED = "request:rule:denied"
    RULE_APPLIED = "request:rule:applied"
    PREAPPROVAL_GIVEN = "preapproval:access:given"
    PREAPPROVAL_TAKEN = "preapproval:access:taken"
    ESCALATION_SENT = "request:escalation:sent"
    DELEGATION_GIVEN = "delegation:access:given"
    DELEGATION_TAKEN = "delegation:access:taken"
    GRANT_SCHEDULED = "grant:access:scheduled"
    GRANT_STARTED = "grant:access:started"
    START_UNSURE = "grant:start:unsure"
    GRANT_FAILED = "grant:access:failed"
    START_UNDONE = "grant:start:undone"
    GRANT_RENEWED = "grant:access:renewed"
    RENEWAL_FAILED = "grant:renewal:failed"
    RENEWAL_CONFIRMED = "grant:renewal:confirmed"
    REMINDER_SENT = "grant:reminder:sent"
    CREDENTIALS_SHOWN = "grant:credentials:shown"
    CREDENTIALS_REVOKED = "grant:credentials:revoked"
    BROWSER_OPENED = "grant:browser:opened"
    BROWSER_REFUSED = "grant:browser:refused"
    BROWSER_CLOSED = "grant:browser:closed"
    CERTIFICATE_ISSUED = "grant:certificate:issued"
    END_ASKED = "grant:end:asked"
    END_FAILED = "grant:end:failed"
    END_ACKNOWLEDGED = "grant:end:acknowledged"
    GRANT_ENDED = "grant:access:ended"
    ACCESS_MISSING = "grant:access:missing"
    FEEDBACK_GIVEN = "grant:feedback:given"
    USE_FIRST = "grant:use:first"
    USE_MOVED = "grant:use:moved"
    USE_SUMMED = "grant:use:summed"
    USE_AFTER_END = "grant:use:after_end"
    POLICY_LOADED = "policy:file:loaded"
    POLICY_REJECTED = "policy:file:rejected"
    REFERENCE_MOVED = "policy:reference:moved"
    GROUP_CHANGED = "policy:group:changed"
    AUDIT_READ = "audit:log:read"
    AUDIT_EXPORTED = "audit:log:exported"
    AUDIT_VERIFIED = "audit:log:verified"
    HEAD_BROKEN = "audit:head:broken"
    HEAD_ANCHORED = "audit:head:anchored"
    AUDIT_ARCHIVED = "audit:log:archived"
    STREAM_LATE = "audit:stream:late"
    STREAM_RESUMED = "audit:stream:resumed"
    COPY_WRITTEN = "database:copy:written"
    COPY_RESTORED = "database:copy:restored"
    USAGE_PRUNED = "usage:detail:pruned"
    PERSON_PSEUDONYMISED = "person:name:pseudonymised"
    PANIC_ON = "panic:switch:on"
    PANIC_OFF = "panic:switch:off"
    SYSTEMS_VERIFIED = "system:access:verified"
    EXCESS_FOUND = "system:access:found"
    REMOVAL_ASKED = "system:removal:asked"
    ACCESS_REMOVED = "system:access:removed"
    TARGET_CONFIRMED = "system:target:confirmed"
    ACCOUNT_LINKED = "person:account:linked"
    ACCOUNT_UNLINKED = "person:account:unlinked"
    MESSAGE_UNDELIVERED = "message:delivery:failed"
    CHANNEL_MOVED = "channel:name:moved"
    CHANNEL_LOST = "channel:name:lost"
    EMERGENCY_STARTED = "emergency:access:started"
    REVIEW_SIGNED = "emergency:review:signed"
    DIGEST_SENT = "digest:message:sent"
    PROGRAM_ADDED = "api:token:created"
    PROGRAM_REMOVED = "api:token:revoked"
    RAMP_PLANNED = "onboarding:ramp:planned"
    RAMP_STARTED = "onboarding:ramp:started"
    RAMP_PAUSED = "onboarding:ramp:paused"
    RAMP_RESUMED = "onboarding:ramp:resumed"
    RAMP_ENDED = "onboarding:ramp:ended"
    RAMP_FINISHED = "onboarding:ramp:finished"
    STAGE_OPENED = "onboarding:stage:opened"
    MENTOR_CHANGED = "onboarding:mentor:changed"
    CAMPAIGN_STARTED = "review:campaign:started"
    CAMPAIGN_FINISHED = "review:campaign:finished"
    ITEM_DECIDED = "review:item:decided"
    EVIDENCE_WRITTEN = "evidence:folder:written"
    FLAG_RAISED = "flag:rule:raised"
    FLAG_ANSWERED = "flag:rule:answered"
    CLOCK_CORRECTED = "process:clock:corrected"
    CHECKUP_CHANGED = "process:checkup:changed"
    WRITING_BACK = "process:writing:resumed"
    CLOCK_ACCEPTED = "process:clock:accepted"


@dataclass(frozen=True, slots=True)
class Entry:
    """The part of a record that an operation writes; the chain adds `seq`, `at`, `prev` and
    `hash`."""

    event: Event
    actor: str
    subject: str = ""
    role: str = ""
    system: str = ""
    request: str = ""
    grant: str = ""
    reason: str = ""
    detail: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the chain, as stored. `at` is UTC seconds, `detail` JSON text."""

    seq: int
    at: int
    event: str
    actor: str
    subject: str
    role: str
    system: str
    request: str
    grant: str
    reason: str
    detail: str
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class Break:
    """The first broken record of the chain, and the reason."""

    seq: int
    why: str


class SealCheck(StrEnum):
    """The result of checking the seal of a head."""

    OURS = "ours"
    OTHER_KEY = "other key"
    """It names a signing key that this process does not have."""
    FALSE = "false"


class Seals(Protocol):
    """Seals the head of the chain, and checks a seal."""

    def seal(self, seq: int, digest: str) -> str:
        """The seal of a head with this number and hash."""

    def check_seal(self, seal: str, seq: int, digest: str) -> SealCheck:
        """Whether this is our seal of a head with this number and hash."""


def marked_break(seq: int, prev: str, detail: str, seals: Seals) -> Break | None:
    """The break in a record `audit:head:broken`, from its number, `prev` and detail.

    None if only a key was missing and the seal of the head before can be checked now.
    """
    found = parsed_detail(detail)
    why, head, seal = str(found.get("why", "")), found.get("head"), str(found.get("seal", ""))
    if head == seq - 1 and found.get("hash") == prev and found.get("key_missing") is True:
        if seals.check_seal(seal, seq - 1, prev) is SealCheck.OURS:
            return None
        why += "; if that key is yours, add it to ACCESS_SECRET_KEYS"
    return Break(seq, f"it records that the log was changed behind the bot: {why}")


def parsed_detail(detail: str) -> Mapping[str, object]:
    """The detail of a record; empty for a text that is not a JSON object, which only a forger
    writes."""
    try:
        found = json.loads(detail)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def rfc3339(at: int) -> str:
    """UTC seconds as `2026-11-22T14:05:09Z` (RFC 3339 section 5.6)."""
    return _hour(at // 3600) + _in_hour(at % 3600)


@lru_cache(maxsize=1024)
def _hour(number: int) -> str:
    """The part that all times of one hour share; cached, because logs have millions of records."""
    return datetime.fromtimestamp(number * 3600, UTC).isoformat()[:14]


@lru_cache(maxsize=3600, typed=True)  # typed, because a forged 5.0 is not 5
def _in_hour(second: int) -> str:
    return f"{second // 60:02d}:{second % 60:02d}Z"


def canonical_detail(detail: Mapping[str, object] | None) -> str:
    """`detail` as the JSON text that is stored and hashed: sorted keys, no white space."""
    return _canonical(detail or {})


_canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def without_unstorable(text: str) -> str:
    """The text unchanged, except that NUL and lone surrogates, which no database or file accepts,
    become `�`."""
    if text.isascii() and "\x00" not in text:
        return text
    return (
        text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


def link_hash(values: tuple[object, ...]) -> str:
    """The hash of one record from its columns `seq` (int), `at` (UTC seconds) … `prev`, without
    `hash`.

    It builds the JSON itself, because that is faster for a million records. Raises TypeError for a
    value of another type.
    """
    seq, at, *texts = values
    rest = ",".join(map(encode_basestring, texts))  # type: ignore[arg-type]
    return sha256(f'[{seq},"{rfc3339(at)}",{rest}]'.encode()).hexdigest()  # type: ignore[arg-type]


def chained(entries: Iterable[Entry], at: int, seq: int, prev: str) -> list[tuple[object, ...]]:
    """The rows after record `seq` with hash `prev`, one for each entry, in the order of COLUMNS."""
    rows = []
    for entry in entries:
        seq += 1
        row: tuple[object, ...] = (
            seq,
            at,
            str(entry.event),
            entry.actor,
            entry.subject,
            without_unstorable(entry.role),
            entry.system,
            entry.request,
            entry.grant,
            without_unstorable(entry.reason),
            without_unstorable(canonical_detail(entry.detail)),
            prev,
        )
        prev = link_hash(row)
        rows.append((*row, prev))
    return rows


def _matches(row: tuple[object, ...]) -> bool:
    try:
        return link_hash(row[:12]) == row[12]
    except (ValueError, TypeError, OverflowError, OSError):
        # A forger may store a value of any type.
        return False


def check_links(
    rows: Iterable[tuple[object, ...]], seq: int = 0, prev: str = GENESIS
) -> tuple[Break | None, int, str]:
    """Verifies rows in the order of COLUMNS that should follow record `seq` with hash `prev`.

    Returns the first break, or None, and the number and hash of the last valid record.
    """
    for row in rows:
        if row[0] != seq + 1:
            return Break(seq + 1, f"record {seq + 1} is missing: {row[0]} follows {seq}"), seq, prev
        if row[11] != prev:
            return Break(seq + 1, "it does not follow the record before it"), seq, prev
        if not _matches(row):
            return Break(seq + 1, "its content does not match its hash"), seq, prev
        seq, prev = seq + 1, str(row[12])
    return None, seq, prev
