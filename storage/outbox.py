"""The work that a commit left to do: added in its transaction, claimed by any process, removed when it is done.

Within a lane, work is done in the order it was added, but for the renewals of a grant on different systems, and its
ends: they wait neither for each other nor for what is in nobody's hands. And people are served in turn: the second row
that one person leaves in a queue comes after the first rows of all. A claim that isn't extended falls back.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from bot.core.effects import Effect, Kind, Queue
from storage.database import Database, Reads


@dataclass(frozen=True, slots=True)
class Row:
    """One piece of work in hand. `attempts` counts this one; `unsure` counts tries whose outcome nobody knows,
    a claim lost by a process that died included."""

    id: int
    kind: Kind
    queue: Queue
    lane: str
    data: dict[str, Any]
    created_at: int
    attempts: int
    unsure: int
    systems: tuple[str, ...] = ()


_IN_TURN = frozenset({Queue.DECIDE, Queue.SLACK, Queue.UPDATE})
"""Queues in which people have turns; in the others what is due first comes first, and every turn is _FIRST."""

_HELD, _FIRST = 0, 1
"""The turn of a row that is or was in somebody's hands, so that nothing passes it in its lane; and of one that nobody
caused, or that is the person's only one."""

_TURNS = "o.queue IN ('decide', 'slack', 'update')"
"""The condition of the index of turns, word by word: SQLite finds the index by it."""

_KINDS, _QUEUES = {str(kind): kind for kind in Kind}, {str(queue): queue for queue in Queue}
_ROW = "id, kind, queue, lane, data, created_at, attempts, systems, unsure"
_AS_TAKEN = _ROW + " + CASE WHEN claimed_by IS NULL THEN 0 ELSE 1 END"
"""With `unsure` as it will be when the row is taken: one that still has an owner was in the hands of one that died."""


def add(db: Database, effects: Iterable[Effect], now: int) -> None:
    """A person's turn is the number of their waiting rows of that queue, so what they caused keeps its order."""
    found = list(effects)
    rows: list[tuple[object, ...]] = [
        (e.kind, e.queue, e.lane, json.dumps(e.data), now + e.delay, now, " ".join(("", *e.systems, "")), e.person)
        for e in found
    ]
    sql = (
        "INSERT INTO outbox (kind, queue, lane, data, due_at, created_at, systems, person, turn, attempts, unsure, "
        "error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, {}, 0, 0, '')"
    )
    if any(e.person for e in found):
        turn = (
            f"CASE WHEN ? = '' THEN {_FIRST} ELSE {_FIRST} + COALESCE((SELECT MAX(turn) FROM outbox "
            "WHERE queue = ? AND person = ? AND person <> ''), 0) END"
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


def any_due(db: Database, queue: Queue, now: int) -> bool:
    """Whether there is something to claim: a look that takes no lock."""
    sql = "SELECT 1 FROM outbox WHERE queue = ? AND due_at <= ? LIMIT 1"
    return db.row(sql, queue, now) is not None


def next_due(db: Database) -> dict[Queue, int]:
    """When the first of each queue is due, claimed or not; a queue that is empty is left out."""
    each = ", ".join(f"(SELECT MIN(due_at) FROM outbox WHERE queue = '{queue}')" for queue in Queue)
    found = db.row(f"SELECT {each}") or ()
    return {queue: int(due) for queue, due in zip(Queue, found, strict=True) if due is not None}


def any_behind(db: Database, row: Row) -> bool:
    """Whether something else is in the lane of this row, which is in somebody's hands."""
    return db.row("SELECT 1 FROM outbox WHERE lane = ? AND id <> ? LIMIT 1", row.lane, row.id) is not None


def any_in_lane(db: Database, lane: str) -> bool:
    """Whether something waits in this lane, or is being done."""
    return db.row("SELECT 1 FROM outbox WHERE lane = ? LIMIT 1", lane) is not None


def claim(
    db: Database, queue: Queue, owner: str, now: int, until: int, limit: int, without: Sequence[str] = ()
) -> list[Row]:
    """Takes what is due of one queue, at most one row of each lane, for `owner` until then; what calls one of the
    systems `without` is left. Only ends of one grant, and its renewals on different systems, go side by side: a system
    that can't be reached must not keep access open on the others, nor let it end too early there. And ends pass a start
    that waits for its next try: whoever takes it then finds the grant over, and calls nobody.

    The first of a lane is looked up for each row, because a join would compare all of a long lane with all of it.
    """
    free = "(claimed_until IS NULL OR claimed_until <= ?)"
    left = " AND o.systems NOT LIKE ?" * len(without)
    turn, order = (f" AND {_TURNS}", "o.turn, o.due_at, o.id") if queue in _IN_TURN else ("", "o.due_at, o.id")
    sql = (
        f"SELECT o.id FROM outbox o WHERE o.queue = ?{turn} AND o.due_at <= ? AND {free}{left} AND COALESCE("
        "(SELECT CASE WHEN p.turn < o.turn THEN 0 WHEN p.turn > o.turn THEN o.id ELSE p.id END "
        "FROM outbox p WHERE p.lane = o.lane "
        "AND NOT (o.kind = 'end_lease' AND (p.kind = 'end_lease' OR p.claimed_by IS NULL)) "
        "AND NOT (o.kind = 'extend_lease' AND p.kind = 'extend_lease' AND o.systems <> p.systems) "
        "ORDER BY p.turn, p.id LIMIT 1), o.id) >= o.id "
        f"ORDER BY {order} LIMIT ?{db.skip_locked}"
    )
    ids = [row for (row,) in db.rows(sql, queue, now, now, *map(_about, without), limit)]
    if not ids:
        return []
    return _take(db, queue, ids, owner, until)


def _take(db: Database, queue: Queue, ids: Sequence[int], owner: str, until: int) -> list[Row]:
    """A row that still has an owner was in the hands of one that died: nobody knows how far it came."""
    marks = ", ".join("?" * len(ids))
    held = f", turn = {_HELD}" if queue in _IN_TURN else ""
    db.run(
        "UPDATE outbox SET unsure = unsure + CASE WHEN claimed_by IS NULL THEN 0 ELSE 1 END, claimed_by = ?, "
        f"claimed_until = ?, attempts = attempts + 1{held} WHERE id IN ({marks})",
        owner, until, *ids,
    )  # fmt: skip
    return [_row(row) for row in db.rows(f"SELECT {_ROW} FROM outbox WHERE id IN ({marks}) ORDER BY id", *ids)]


def next_in_lane(db: Database, row: Row, kinds: Sequence[Kind], owner: str, at_least: int, at_most: int) -> list[Row]:
    """Takes what directly follows `row` in its lane and may be done together with it, if that is enough rows and
    `row` is still in the hands of `owner`. What may have been done already goes only with its like."""
    sql = f"SELECT {_AS_TAKEN} FROM outbox WHERE lane = ? AND id <> ? ORDER BY turn, id LIMIT ?"
    found = [_row(values) for values in db.rows(sql, row.lane, row.id, at_most)]
    taken = list(takewhile(lambda r: r.kind in kinds and r.unsure == row.unsure, found))
    if len(taken) < at_least:
        return []
    held = db.row(f"SELECT claimed_until FROM outbox WHERE id = ? AND claimed_by = ?{db.lock_row}", row.id, owner)
    return _take(db, row.queue, [r.id for r in taken], owner, held[0]) if held else []


def hurry(db: Database, lanes: Sequence[str], now: int) -> bool:
    """Makes what waits in these lanes due at once; False when nothing waits there."""
    marks = ", ".join("?" * len(lanes))
    sql = f"UPDATE outbox SET due_at = ? WHERE lane IN ({marks}) AND claimed_by IS NULL"
    return db.run(sql, now, *lanes) > 0


def waiting(db: Database, lanes: Sequence[str]) -> set[str]:
    """Those of these lanes in which something waits that nobody has begun; nobody begins it before this transaction
    ends."""
    marks = ", ".join("?" * len(lanes))
    sql = f"SELECT lane FROM outbox WHERE lane IN ({marks}) AND claimed_by IS NULL ORDER BY id{db.lock_row}"
    return {str(lane) for (lane,) in db.rows(sql, *lanes)} if lanes else set()


def tried(db: Database, lanes: Sequence[str]) -> set[str]:
    """Those of these lanes in which something is being done, or was tried and has to be tried again."""
    marks = ", ".join("?" * len(lanes))
    return {
        str(lane) for (lane,) in db.rows(f"SELECT lane FROM outbox WHERE lane IN ({marks}) AND attempts > 0", *lanes)
    }


def is_ending(db: Database, lane: str, system: str) -> bool:
    """Whether an order to end on this system is in somebody's hands."""
    sql = "SELECT 1 FROM outbox WHERE lane = ? AND kind = 'end_lease' AND claimed_by IS NOT NULL AND systems LIKE ?"
    return db.row(sql, lane, _about(system)) is not None


def left_ends(db: Reads, before: int, limit: int) -> list[tuple[str, str]]:
    """Grant and system of orders to end that were due before then and are in nobody's hands."""
    sql = (
        "SELECT data FROM outbox WHERE queue = 'end' AND kind = 'end_lease' AND due_at <= ? "
        "AND (claimed_until IS NULL OR claimed_until <= ?) ORDER BY due_at, id LIMIT ?"
    )
    found = (json.loads(data) for (data,) in db.rows(sql, before, before, limit))
    return [(str(data["grant"]), str(data["system"])) for data in found]


def drop(db: Database, lanes: Sequence[str]) -> None:
    """Forgets what waits in these lanes and is in nobody's hands."""
    marks = ", ".join("?" * len(lanes))
    db.run(f"DELETE FROM outbox WHERE lane IN ({marks}) AND claimed_by IS NULL", *lanes)


def extend_claims(db: Database, owner: str, ids: Sequence[int], until: int) -> None:
    """Passes over rows that are being finished at this moment, instead of waiting for them."""
    marks = ", ".join("?" * len(ids))
    held = f"SELECT id FROM outbox WHERE claimed_by = ? AND id IN ({marks}){db.skip_locked}"
    db.run(f"UPDATE outbox SET claimed_until = ? WHERE id IN ({held})", until, owner, *ids)


def done(db: Database, row: int, owner: str) -> bool:
    """Removes finished work; False when the claim was lost to another worker meanwhile."""
    return db.run("DELETE FROM outbox WHERE id = ? AND claimed_by = ?", row, owner) == 1


def again(db: Database, row: int, owner: str, due_at: int, error: str, unsure: bool = False) -> None:
    """Gives work back for a later try."""
    sql = (
        "UPDATE outbox SET claimed_by = NULL, claimed_until = NULL, due_at = ?, error = ?, unsure = unsure + ? "
        "WHERE id = ? AND claimed_by = ?"
    )
    db.run(sql, due_at, error, int(unsure), row, owner)


def put_back(db: Database, ids: Sequence[int], owner: str) -> None:
    """Gives back rows that nobody has tried."""
    marks = ", ".join("?" * len(ids))
    db.run(
        "UPDATE outbox SET claimed_by = NULL, claimed_until = NULL, attempts = attempts - 1 "
        f"WHERE claimed_by = ? AND id IN ({marks})",
        owner,
        *ids,
    )


def hurry_systems(db: Database, queue: Queue, systems: Sequence[str], now: int) -> None:
    """Makes due at once what waits for its next try at these systems. A look after an end that is not due yet was not
    tried: it waits for what may still arrive."""
    sql = (
        "UPDATE outbox SET due_at = ? WHERE queue = ? AND due_at > ? AND attempts > 0 AND claimed_by IS NULL "
        "AND systems LIKE ?"
    )
    for system in systems:
        db.run(sql, now, queue, now, _about(system))


def done_all(db: Database, rows: Sequence[int], owner: str) -> None:
    """The same for many."""
    marks = ", ".join("?" * len(rows))
    db.run(f"DELETE FROM outbox WHERE claimed_by = ? AND id IN ({marks})", owner, *rows)


def carry_claims(db: Database, seconds: float) -> None:
    """Lengthens every claim, for a clock that leaps: a claim measures how long a worker has been silent."""
    db.run("UPDATE outbox SET claimed_until = claimed_until + ? WHERE claimed_until IS NOT NULL", math.ceil(seconds))


def free_claims(db: Database) -> int:
    """Gives back every claim; only for a process that knows it is the only one, at its start."""
    return db.run("UPDATE outbox SET claimed_until = 0 WHERE claimed_until IS NOT NULL")


def in_lanes(db: Database, prefix: str) -> int:
    """How many rows are in the lanes with this prefix."""
    sql = "SELECT COUNT(*) FROM outbox WHERE substr(lane, 1, ?) = ?"
    found = db.row(sql, len(prefix), prefix)
    return int(found[0]) if found else 0


def posting(db: Database) -> set[str]:
    """The requests whose message in a channel waits to be posted."""
    sql = "SELECT data FROM outbox WHERE kind = 'post_approval' AND lane NOT LIKE 'to:U%' AND lane NOT LIKE 'to:W%'"
    return {str(json.loads(data)["request"]) for (data,) in db.rows(sql)}


def counts(db: Database) -> dict[str, int]:
    """Rows waiting, by queue."""
    rows = db.rows("SELECT queue, COUNT(*) FROM outbox GROUP BY queue")
    return {str(queue): int(count) for queue, count in rows}


def _row(row: tuple[Any, ...]) -> Row:
    number, kind, queue, lane, data, created_at, attempts, systems, unsure = row
    about = tuple(systems.split())
    return Row(number, _KINDS[kind], _QUEUES[queue], lane, json.loads(data), created_at, attempts, unsure, about)


def _about(system: str) -> str:
    """A pattern for the column `systems`, in which each name stands between spaces; names have nothing of LIKE's."""
    return f"% {system} %"
