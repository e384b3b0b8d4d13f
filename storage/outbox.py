"""Stores outbox rows: added with their transaction, claimed by any process, deleted when done.

Rows with the same ordering key are handled in order, except ends, and renewals of one grant on
different systems: these wait neither for each other nor for rows that nobody has claimed. People
are served in turn: a person's second row in a queue follows everybody's first. A claim that is not
extended expires.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from bot.core.correlation import current
from bot.core.effects import Effect, Kind, Queue
from storage.database import Database, Reads


@dataclass(frozen=True, slots=True)
class Row:
    """A claimed row. `attempts` includes this attempt; `outcome_unknown` counts attempts
    without a known outcome, including claims lost when a process died. `correlation` is the id of
    the click or job that queued the row."""

    id: int
    kind: Kind
    queue: Queue
    ordering_key: str
    data: dict[str, Any]
    created_at: int
    attempts: int
    outcome_unknown: int
    systems: tuple[str, ...] = ()
    correlation: str = ""


_IN_TURN = frozenset({Queue.DECIDE, Queue.SLACK, Queue.UPDATE})
"""Queues in which people are served in turn. In the others the row that is due first comes first,
and every turn is _FIRST."""

_HELD, _FIRST = 0, 1
"""The turn of a row that is or was claimed, so that no row with its ordering key passes it; and
of a row that nobody caused, or that is the person's only one."""

_TURNS = "o.queue IN ('decide', 'slack', 'update')"
"""The condition of the index of turns, verbatim: SQLite finds the index by it."""

_KINDS, _QUEUES = {str(kind): kind for kind in Kind}, {str(queue): queue for queue in Queue}
_ROW = (
    "id, kind, queue, ordering_key, data, created_at, attempts, systems, correlation,"
    " outcome_unknown"
)
_AS_TAKEN = _ROW + " + CASE WHEN claimed_by IS NULL THEN 0 ELSE 1 END"
"""`outcome_unknown` as it will be after the claim: a row that still has an owner belonged to a
process that died."""


def add(db: Database, effects: Iterable[Effect], now: int) -> None:
    """Adds rows. A person's turn is the number of their waiting rows in that queue, so their rows
    keep their order."""
    found = list(effects)
    rows: list[tuple[object, ...]] = [
        (
            e.kind,
            e.queue,
            e.ordering_key,
            json.dumps(e.data),
            now + e.delay,
            now,
            " ".join(("", *e.systems, "")),
            e.person,
            current(),
        )
        for e in found
    ]
    sql = (
        "INSERT INTO outbox (kind, queue, ordering_key, data, due_at, created_at, systems, person,"
        " correlation, turn, attempts, outcome_unknown, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " {}, 0, 0, '')"
    )
    if any(e.person for e in found):
        turn = (
            f"CASE WHEN ? = '' THEN {_FIRST} ELSE {_FIRST} + COALESCE((SELECT MAX(turn) FROM outbox"
            " WHERE queue = ? AND person = ? AND person <> ''), 0) END"
        )
        rows = [(*row, e.person, e.queue, e.person) for row, e in zip(rows, found, strict=True)]
        _insert(db, sql.format(turn), rows)
    else:
        _insert(db, sql.format(_FIRST), rows)


def _insert(db: Database, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
    if len(rows) == 1:
        db.run(sql, *rows[0])
    elif rows:
        db.run_many(sql, rows)


def any_due(db: Database, queue: Queue, now: int, without: Sequence[str] = ()) -> bool:
    """Returns whether `claim` would find a row, without a lock."""
    where, values = _claimable(queue, now, without)
    return db.row(f"SELECT 1 FROM outbox o WHERE {where} LIMIT 1", *values) is not None


def _claimable(queue: Queue, now: int, without: Sequence[str]) -> tuple[str, list[object]]:
    """Returns the condition for the rows `o` that can be claimed, with its values.

    The first row with an ordering key is looked up for each row, because a join would compare all
    rows with that key with each other.
    """
    left = " AND o.systems NOT LIKE ?" * len(without)
    where = (
        "o.queue = ? AND o.due_at <= ? AND (o.claimed_until IS NULL OR o.claimed_until <= ?)"
        f"{left} AND"
        " COALESCE((SELECT CASE WHEN p.turn < o.turn THEN 0 WHEN p.turn > o.turn THEN o.id ELSE"
        " p.id END FROM outbox p WHERE p.ordering_key = o.ordering_key AND NOT (o.kind ="
        " 'end_lease' AND (p.kind = 'end_lease' OR p.claimed_by IS NULL)) AND NOT (o.kind ="
        " 'extend_lease' AND p.kind = 'extend_lease' AND o.systems <> p.systems) ORDER BY p.turn,"
        " p.id LIMIT 1), o.id) >= o.id"
    )
    return where, [queue, now, now, *map(_about, without)]


def next_due(db: Database) -> dict[Queue, int]:
    """Returns when the first row of each queue is due, claimed or not; empty queues are left
    out."""
    each = ", ".join(f"(SELECT MIN(due_at) FROM outbox WHERE queue = '{queue}')" for queue in Queue)
    found = db.row(f"SELECT {each}") or ()
    return {queue: int(due) for queue, due in zip(Queue, found, strict=True) if due is not None}


def any_with_key(db: Database, ordering_key: str) -> bool:
    """Returns whether a row has this ordering key, claimed or not."""
    return db.row("SELECT 1 FROM outbox WHERE ordering_key = ? LIMIT 1", ordering_key) is not None


def claim(
    db: Database,
    queue: Queue,
    owner: str,
    now: int,
    until: int,
    limit: int,
    without: Sequence[str] = (),
) -> list[Row]:
    """Claims due rows of one queue for `owner` until `until`, at most one of each ordering key, and
    none that calls one of the systems `without`. Only ends of one grant, and its renewals on
    different systems, run side by side: an unreachable system must not keep access open on the
    others, nor end it early there. Ends also pass a start that waits for its next attempt; the
    worker then finds the grant over and calls no system."""
    where, values = _claimable(queue, now, without)
    turn, order = (
        (f" AND {_TURNS}", "o.turn, o.due_at, o.id")
        if queue in _IN_TURN
        else ("", "o.due_at, o.id")
    )
    sql = f"SELECT o.id FROM outbox o WHERE {where}{turn} ORDER BY {order} LIMIT ?{db.skip_locked}"
    ids = [row for (row,) in db.rows(sql, *values, limit)]
    if not ids:
        return []
    return _take(db, queue, ids, owner, until)


def _take(db: Database, queue: Queue, ids: Sequence[int], owner: str, until: int) -> list[Row]:
    """Claims these rows. A row that still has an owner belonged to a process that died, so its
    outcome is unknown."""
    marks = ", ".join("?" * len(ids))
    held = f", turn = {_HELD}" if queue in _IN_TURN else ""
    db.run(
        "UPDATE outbox SET outcome_unknown = outcome_unknown + CASE WHEN claimed_by IS NULL THEN 0"
        " ELSE 1 END, claimed_by = ?,"
        f" claimed_until = ?, attempts = attempts + 1{held} WHERE id IN ({marks})",
        owner,
        until,
        *ids,
    )
    return [
        _row(row)
        for row in db.rows(f"SELECT {_ROW} FROM outbox WHERE id IN ({marks}) ORDER BY id", *ids)
    ]


def followers(
    db: Database, row: Row, kinds: Sequence[Kind], at_least: int, at_most: int
) -> list[Row]:
    """Returns the rows with the ordering key of `row` that directly follow it and can be handled
    together with it, or none if they are fewer than `at_least`. Rows that may have been handled
    before are only taken with each other."""
    sql = (
        f"SELECT {_AS_TAKEN} FROM outbox WHERE ordering_key = ? AND id <> ? ORDER BY turn, id"
        " LIMIT ?"
    )
    found = [_row(values) for values in db.rows(sql, row.ordering_key, row.id, at_most)]
    taken = list(
        takewhile(lambda r: r.kind in kinds and r.outcome_unknown == row.outcome_unknown, found)
    )
    return taken if len(taken) >= at_least else []


def claim_followers(db: Database, row: Row, found: Sequence[Row], owner: str) -> list[Row]:
    """Claims these `followers` of `row`, which were read in this transaction, if `owner` still has
    `row`."""
    held = db.row(
        f"SELECT claimed_until FROM outbox WHERE id = ? AND claimed_by = ?{db.lock_row}",
        row.id,
        owner,
    )
    return _take(db, row.queue, [r.id for r in found], owner, held[0]) if held and found else []


def run_now(db: Database, keys: Sequence[str], now: int) -> bool:
    """Makes the waiting rows with these ordering keys due now; returns False if there are none."""
    marks = ", ".join("?" * len(keys))
    sql = f"UPDATE outbox SET due_at = ? WHERE ordering_key IN ({marks}) AND claimed_by IS NULL"
    return db.run(sql, now, *keys) > 0


def waiting(db: Database, keys: Sequence[str]) -> set[str]:
    """Returns those of these ordering keys that have a row that nobody has claimed; nobody claims
    it before this transaction ends."""
    marks = ", ".join("?" * len(keys))
    sql = (
        f"SELECT ordering_key FROM outbox WHERE ordering_key IN ({marks}) AND claimed_by IS NULL"
        f" ORDER BY id{db.lock_row}"
    )
    return {str(key) for (key,) in db.rows(sql, *keys)} if keys else set()


def tried(db: Database, keys: Sequence[str]) -> set[str]:
    """Returns those of these ordering keys that have a row that is claimed or waits for another
    attempt."""
    marks = ", ".join("?" * len(keys))
    return {
        str(key)
        for (key,) in db.rows(
            f"SELECT ordering_key FROM outbox WHERE ordering_key IN ({marks}) AND attempts > 0",
            *keys,
        )
    }


def is_ending(db: Database, ordering_key: str, system: str) -> bool:
    """Returns whether an end on this system is claimed."""
    sql = (
        "SELECT 1 FROM outbox WHERE ordering_key = ? AND kind = 'end_lease' AND claimed_by IS NOT"
        " NULL AND systems LIKE ?"
    )
    return db.row(sql, ordering_key, _about(system)) is not None


def left_ends(db: Reads, before: int, limit: int) -> list[tuple[str, str]]:
    """Returns grant and system of unclaimed ends that were due before `before`."""
    sql = (
        "SELECT data FROM outbox WHERE queue = 'end' AND kind = 'end_lease' AND due_at <= ? "
        "AND (claimed_until IS NULL OR claimed_until <= ?) ORDER BY due_at, id LIMIT ?"
    )
    found = (json.loads(data) for (data,) in db.rows(sql, before, before, limit))
    return [(str(data["grant"]), str(data["system"])) for data in found]


def drop(db: Database, keys: Sequence[str]) -> None:
    """Deletes the unclaimed rows with these ordering keys."""
    marks = ", ".join("?" * len(keys))
    db.run(f"DELETE FROM outbox WHERE ordering_key IN ({marks}) AND claimed_by IS NULL", *keys)


def keep_ends(db: Database) -> None:
    """Deletes all work but ends, and releases the claims on those."""
    db.run("DELETE FROM outbox WHERE queue <> 'end'")
    db.run("UPDATE outbox SET claimed_by = NULL, claimed_until = NULL")


def extend_claims(db: Database, owner: str, ids: Sequence[int], until: int) -> None:
    """Extends claims, and skips rows that are being finished at this moment instead of waiting for
    them."""
    marks = ", ".join("?" * len(ids))
    held = f"SELECT id FROM outbox WHERE claimed_by = ? AND id IN ({marks}){db.skip_locked}"
    db.run(f"UPDATE outbox SET claimed_until = ? WHERE id IN ({held})", until, owner, *ids)


def retry_later(
    db: Database, row: int, owner: str, due_at: int, error: str, outcome_unknown: bool = False
) -> None:
    """Releases a row for a later attempt."""
    sql = (
        "UPDATE outbox SET claimed_by = NULL, claimed_until = NULL, due_at = ?, error = ?,"
        " outcome_unknown = outcome_unknown + ? WHERE id = ? AND claimed_by = ?"
    )
    db.run(sql, due_at, error, int(outcome_unknown), row, owner)


def release(db: Database, ids: Sequence[int], owner: str) -> None:
    """Releases rows that were not attempted."""
    marks = ", ".join("?" * len(ids))
    db.run(
        "UPDATE outbox SET claimed_by = NULL, claimed_until = NULL, attempts = attempts - 1 "
        f"WHERE claimed_by = ? AND id IN ({marks})",
        owner,
        *ids,
    )


def run_systems_now(db: Database, queue: Queue, systems: Sequence[str], now: int) -> None:
    """Makes rows that wait for another attempt at these systems due now. A check after an end that
    is not due yet stays: it waits for access that may still appear."""
    sql = (
        "UPDATE outbox SET due_at = ? WHERE queue = ? AND due_at > ? AND attempts > 0 AND"
        " claimed_by IS NULL AND systems LIKE ?"
    )
    for system in systems:
        db.run(sql, now, queue, now, _about(system))


def ack(db: Database, rows: Sequence[int], owner: str) -> int:
    """Deletes finished rows that no other worker has claimed meanwhile; returns their number."""
    marks = ", ".join("?" * len(rows))
    return db.run(f"DELETE FROM outbox WHERE claimed_by = ? AND id IN ({marks})", owner, *rows)


def carry_claims(db: Database, seconds: float) -> None:
    """Extends every claim when the clock jumps: a claim measures how long a worker has been
    silent."""
    db.run(
        "UPDATE outbox SET claimed_until = claimed_until + ? WHERE claimed_until IS NOT NULL",
        math.ceil(seconds),
    )


def free_claims(db: Database) -> int:
    """Releases every claim; only for a process that starts and knows that it is the only one."""
    return db.run("UPDATE outbox SET claimed_until = 0 WHERE claimed_until IS NOT NULL")


def count_beginning(db: Database, prefix: str) -> int:
    """Returns the number of rows whose ordering key begins with this prefix."""
    sql = "SELECT COUNT(*) FROM outbox WHERE substr(ordering_key, 1, ?) = ?"
    found = db.row(sql, len(prefix), prefix)
    return int(found[0]) if found else 0


def posting(db: Database) -> set[str]:
    """Returns the requests whose channel message waits to be posted."""
    sql = (
        "SELECT data FROM outbox WHERE kind = 'post_approval' AND ordering_key NOT LIKE 'to:U%' AND"
        " ordering_key NOT LIKE 'to:W%'"
    )
    return {str(json.loads(data)["request"]) for (data,) in db.rows(sql)}


def counts(db: Database) -> dict[str, int]:
    """Returns the number of rows by queue."""
    rows = db.rows("SELECT queue, COUNT(*) FROM outbox GROUP BY queue")
    return {str(queue): int(count) for queue, count in rows}


def overdue_since(db: Database, now: int) -> dict[str, int]:
    """Returns since when the oldest due row of each queue is due."""
    rows = db.rows("SELECT queue, MIN(due_at) FROM outbox WHERE due_at <= ? GROUP BY queue", now)
    return {str(queue): int(due) for queue, due in rows}


def _row(row: tuple[Any, ...]) -> Row:
    number, kind, queue, ordering_key, data, created_at, attempts, systems, id, unknown = row
    about = tuple(systems.split())
    return Row(
        number,
        _KINDS[kind],
        _QUEUES[queue],
        ordering_key,
        json.loads(data),
        created_at,
        attempts,
        unknown,
        about,
        id,
    )


def _about(system: str) -> str:
    """Returns a pattern for the column `systems`, where each name stands between spaces; names
    contain no wildcard of LIKE."""
    return f"% {system} %"
