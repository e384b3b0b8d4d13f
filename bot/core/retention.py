"""Decides how long the bot keeps its records, and how a log continues after its archived part."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.core.audit import GENESIS, Break, parsed_detail

YEAR = 366 * 86400
"""Seconds of a year of `[retention]`: never shorter than any calendar year."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Seconds; None keeps everything. `log` is for audit records, `usage` for the details of use:
    addresses, sessions and paths."""

    log: int | None = None
    usage: int | None = None


@dataclass(frozen=True, slots=True)
class Archived:
    """The content of record `seq`, which says that a part of the log was archived: the last
    archived record, its hash, and the requests that have later records, too. `policy` is the
    roles.toml that was in force then: number, time, `text`, `sha256` and `revision` of its
    record."""

    seq: int
    last: int
    hash: str
    begun: frozenset[str] = frozenset()
    policy: Mapping[str, Any] = field(default_factory=dict)


def archived_in(seq: int, detail: str) -> Archived | None:
    """Reads the detail of a record `audit:log:archived`; None for one that only a forger writes."""
    found = parsed_detail(detail)
    last, digest, begun = found.get("last"), found.get("hash"), found.get("begun")
    if type(last) is not int or not 0 < last < seq or not isinstance(digest, str):
        return None
    named = begun if isinstance(begun, list) else []
    policy = found.get("policy")
    known = policy if isinstance(policy, dict) else {}
    return Archived(seq, last, digest, frozenset(map(str, named)), known)


def beginning(first: int, prev: str, archived: Archived | None) -> Break | None:
    """The break at the beginning of a log whose first record is `first`, after the hash `prev`;
    None where it is intact."""
    before = first - 1
    if before == 0:
        return None if prev == GENESIS else Break(1, "it does not follow the record before it")
    last = archived.last if archived else 0
    if archived is None or before > last:
        return Break(last + 1, f"record {last + 1} is missing: {first} follows {last}")
    if before == archived.last and prev != archived.hash:
        return Break(first, "it does not follow the records that were archived")
    return None
