"""Stores grants, their leases (one for each system), and the gate rows that the token check
reads."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from bot.core.lifecycle import GRANT, Move, after, sources
from bot.core.model import Clock, EndReason, Grant, GrantState, Lease, SystemActions, Urgency
from storage.database import Database, Reads
from storage.states import HELD, UNFINISHED

_COLUMNS = (
    "id, request_id, person, role, systems, actions, state, duration, starts_at, ends_at,"
    " latest_end, started_at, renewals, remind_at, end_reason, end_by, ended_at, end_words,"
    " urgency, system_actions, parameters"
)
_LEASE = "grant_id, system, connector, state, error, target, reach, actions"
_MARKS = ", ".join("?" * 21)
_STATES = {str(state): state for state in GrantState}
_URGENCIES = {str(urgency): urgency for urgency in Urgency}
"""Calling the enumerations takes ten times as long, and thousands of rows are read at once."""


def insert(db: Database, g: Grant, leases: Iterable[Lease]) -> None:
    db.run(
        f"INSERT INTO grants ({_COLUMNS}) VALUES ({_MARKS})",
        g.id,
        g.request,
        g.person,
        g.role,
        json.dumps(g.systems),
        json.dumps(g.actions),
        g.state,
        g.duration,
        g.starts_at,
        g.ends_at,
        g.latest_end,
        g.started_at,
        g.renewals,
        g.remind_at,
        g.end_reason,
        g.end_by,
        g.ended_at,
        g.end_words,
        g.urgency,
        json.dumps(dict(g.system_actions)),
        json.dumps(dict(g.parameters)),
    )
    _insert_leases(db, leases)


def _insert_leases(db: Database, leases: Iterable[Lease]) -> None:
    rows = [
        (
            each.grant,
            each.system,
            each.connector,
            each.state,
            each.error,
            each.reach,
            json.dumps(each.actions),
        )
        for each in leases
    ]
    db.run_many(
        "INSERT INTO leases (grant_id, system, connector, state, error, reach, actions) VALUES"
        " (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def get(db: Database, grant: str) -> Grant | None:
    return _one(db.row(f"SELECT {_COLUMNS} FROM grants WHERE id = ?", grant))


def locked(db: Database, grant: str) -> Grant | None:
    return _one(db.row(f"SELECT {_COLUMNS} FROM grants WHERE id = ?{db.lock_row}", grant))


def several(db: Reads, ids: Sequence[str]) -> list[Grant]:
    marks = ", ".join("?" * len(ids))
    return (
        _many(db.rows(f"SELECT {_COLUMNS} FROM grants WHERE id IN ({marks}) ORDER BY id", *ids))
        if ids
        else []
    )


def locked_all(db: Database, ids: Sequence[str]) -> dict[str, Grant]:
    """Returns these grants by id, locked in id order until the transaction ends."""
    marks = ", ".join("?" * len(ids))
    rows = db.rows(
        f"SELECT {_COLUMNS} FROM grants WHERE id IN ({marks}) ORDER BY id{db.lock_row}", *ids
    )
    return {grant.id: grant for grant in _many(rows)}


def lock_held(db: Database, ids: Sequence[str]) -> list[Grant]:
    """Returns those of these grants that are still held. Locks in id order to avoid deadlocks."""
    marks = ", ".join("?" * len(ids))
    sql = f"SELECT {_COLUMNS} FROM grants WHERE id IN ({marks}) AND {HELD} ORDER BY id{db.lock_row}"
    return _many(db.rows(sql, *ids)) if ids else []


def of_request(db: Database, request: str) -> Grant | None:
    return _one(db.row(f"SELECT {_COLUMNS} FROM grants WHERE request_id = ?", request))


def held_by(db: Database, person: str, role: str | None = None) -> list[Grant]:
    """Returns this person's current and upcoming grants, soonest end first."""
    sql = f"SELECT {_COLUMNS} FROM grants WHERE person = ? AND {HELD}"
    if role is None:
        return _many(db.rows(sql + " ORDER BY ends_at, id", person))
    return _many(db.rows(sql + " AND role = ? ORDER BY ends_at, id", person, role))


def held_with_decider(db: Database) -> list[tuple[Grant, str]]:
    """Returns every grant that is held now or soon, with the decider of its request."""
    columns = ", ".join(f"grants.{name}" for name in _COLUMNS.split(", "))
    sql = (
        f"SELECT {columns}, requests.decided_by FROM grants JOIN requests ON requests.id ="
        f" grants.request_id WHERE grants.{HELD} ORDER BY grants.id"
    )
    rows = db.rows(sql)
    given = _many(row[:-1] for row in rows)
    return [(grant, str(row[-1] or "")) for grant, row in zip(given, rows, strict=True)]


def live(
    db: Database,
    role: str | None = None,
    person: str | None = None,
    limit: int = 1000,
    skip: int = 0,
) -> list[Grant]:
    """Returns the grants that are not over, including unconfirmed revocations, soonest end
    first."""
    sql, values = f"SELECT {_COLUMNS} FROM grants WHERE {UNFINISHED}", []
    for column, value in (("role", role), ("person", person)):
        if value is not None:
            sql += f" AND {column} = ?"
            values.append(value)
    return _many(db.rows(sql + " ORDER BY ends_at, id LIMIT ? OFFSET ?", *values, limit, skip))


def needs_of_others(db: Database, grant: str, system: str) -> list[tuple[str, tuple[str, ...]]]:
    """Returns the other grants that give this grant's holder access to this system, now or soon,
    with their actions there."""
    sql = (
        "SELECT other.id, leases.actions FROM grants this JOIN grants other ON other.person ="
        " this.person JOIN leases ON leases.grant_id = other.id AND leases.system = ? WHERE this.id"
        f" = ? AND other.id <> this.id AND other.{UNFINISHED} AND"
        " other.state IN ('starting', 'active') ORDER BY other.id"
    )
    return [(str(id), _list(actions)) for id, actions in db.rows(sql, system, grant)]


def needs_beside(db: Reads, ids: Sequence[str]) -> dict[tuple[str, str], set[str]]:
    """Returns the actions that the other grants of these grants' holders give on each system now
    or soon, by grant and system."""
    marks = ", ".join("?" * len(ids))
    sql = (
        "SELECT this.id, leases.system, leases.actions FROM grants this JOIN grants other ON"
        " other.person = this.person JOIN leases ON leases.grant_id = other.id WHERE this.id IN"
        f" ({marks}) AND other.id <> this.id AND other.{UNFINISHED} AND"
        " other.state IN ('starting', 'active')"
    )
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for grant, system, actions in db.rows(sql, *ids):
        found[grant, system].update(_list(actions))
    return found


def had_between(db: Reads, since: int, until: int) -> list[Grant]:
    """Returns the grants that somebody had at a time from `since` up to `until`. Reads the whole
    table, which is for a report."""
    sql = (
        f"SELECT {_COLUMNS} FROM grants WHERE started_at < ? AND (ended_at IS NULL OR ended_at >="
        " ?) ORDER BY started_at, id"
    )
    return _many(db.rows(sql, until, since))


def latest_of(db: Database, person: str, limit: int) -> list[Grant]:
    """Returns this person's latest grants, newest first."""
    sql = f"SELECT {_COLUMNS} FROM grants WHERE person = ? ORDER BY starts_at DESC, id LIMIT ?"
    return _many(db.rows(sql, person, limit))


def past(db: Database, person: str, role: str, limit: int) -> list[Grant]:
    """Returns this person's latest grants of the role, newest first."""
    sql = (
        f"SELECT {_COLUMNS} FROM grants WHERE person = ? AND role = ? ORDER BY starts_at DESC, id"
        " LIMIT ?"
    )
    return _many(db.rows(sql, person, role, limit))


def due_to_begin(db: Database, now: int, limit: int) -> list[Grant]:
    sql = (
        f"SELECT {_COLUMNS} FROM grants WHERE state = 'scheduled' AND starts_at <= ? ORDER BY"
        f" starts_at LIMIT ?{db.skip_locked}"
    )
    return _many(db.rows(sql, now, limit))


def scheduled(db: Database) -> list[str]:
    return [
        str(id) for (id,) in db.rows("SELECT id FROM grants WHERE state = 'scheduled' ORDER BY id")
    ]


def due_to_end(db: Database, now: int, limit: int) -> list[Grant]:
    """Returns the grants whose time is up, including those whose start is incomplete."""
    return _due_to_end(db, now, limit, db.skip_locked)


def overdue(db: Reads, before: int, limit: int) -> list[Grant]:
    """Returns the grants whose time was up at `before`, without a lock: for an outage, when ends
    cannot be written."""
    return _due_to_end(db, before, limit)


def _due_to_end(db: Reads, now: int, limit: int, lock: str = "") -> list[Grant]:
    sql = (
        f"SELECT {_COLUMNS} FROM grants WHERE state = 'active' AND ends_at <= ? ORDER BY ends_at"
        f" LIMIT ?{lock}"
    )
    found = _many(db.rows(sql, now, limit))
    half = sql.replace("state = 'active'", "state = 'starting' AND clock > 0")
    return found + _many(db.rows(half, now, limit - len(found))) if len(found) < limit else found


def next_to_end(db: Reads, limit: int) -> list[Grant]:
    """Returns the grants that may be on a system now, soonest end first."""
    sql = (
        f"SELECT {_COLUMNS} FROM grants WHERE {UNFINISHED} AND (state IN ('active', 'ending') OR "
        "(state = 'starting' AND clock > 0)) ORDER BY ends_at LIMIT ?"
    )
    return _many(db.rows(sql, limit))


def needs_of(
    db: Reads, people: Collection[str]
) -> list[tuple[str, str, str, tuple[str, ...], int]]:
    """Returns the access that these people may have on systems now: person, grant, system, actions,
    and end."""
    marks = ", ".join("?" * len(people))
    sql = (
        "SELECT grants.person, grants.id, leases.system, leases.actions, grants.ends_at FROM"
        f" grants JOIN leases ON leases.grant_id = grants.id WHERE grants.person IN ({marks}) AND"
        f" grants.{UNFINISHED} AND (grants.state = 'active' OR (grants.state ="
        " 'starting' AND grants.clock > 0))"
    )
    return [
        (str(p), str(g), str(s), _list(actions), int(at))
        for p, g, s, actions, at in db.rows(sql, *people)
    ]


def due_to_remind(db: Database, now: int, limit: int) -> list[Grant]:
    sql = (
        f"SELECT {_COLUMNS} FROM grants WHERE state = 'active' AND remind_at <= ? ORDER BY"
        f" remind_at LIMIT ?{db.skip_locked}"
    )
    return _many(db.rows(sql, now, limit))


def begin(db: Database, grant: str) -> bool:
    return _move(db, grant, Move.BEGIN)


def set_end(db: Database, grant: str, ends_at: int, latest_end: int) -> bool:
    """Stores the end before an attempt to start; returns False if the grant is no longer
    starting."""
    sql = (
        "UPDATE grants SET ends_at = ?, latest_end = ?, clock = ? WHERE id = ? AND state ="
        " 'starting'"
    )
    return db.run(sql, ends_at, latest_end, Clock.TRYING, grant) == 1


def clock(db: Database, grant: str) -> Clock:
    found = db.row("SELECT clock FROM grants WHERE id = ?", grant)
    return Clock(int(found[0]) if found else 0)


def set_clock(db: Database, grant: str, clock: Clock) -> None:
    db.run("UPDATE grants SET clock = ? WHERE id = ? AND state = 'starting'", clock, grant)


def set_started(db: Database, grant: str, at: int) -> None:
    """Records that the first of its systems has created the access."""
    db.run("UPDATE grants SET started_at = ? WHERE id = ? AND started_at IS NULL", at, grant)


def confirm_start(db: Database, grant: str, at: int, remind_at: int | None) -> bool:
    extra = ", started_at = COALESCE(started_at, ?), remind_at = ?"
    return _move(db, grant, Move.CONFIRM_START, extra, at, remind_at)


def fail(db: Database, grant: str, at: int) -> bool:
    return _move(db, grant, Move.FAIL, ", ended_at = ?", at)


def renew(db: Database, grant: str, ends_at: int, remind_at: int | None) -> bool:
    """Moves the end of an active grant; returns False if it is no longer active."""
    extra = ", ends_at = ?, remind_at = ?, renewals = renewals + 1"
    return _move(db, grant, Move.RENEW, extra, ends_at, remind_at)


def set_reach(db: Database, grant: str, system: str, reach: str) -> None:
    """Records the `System.reach` that the latest approval covers on this system."""
    db.run("UPDATE leases SET reach = ? WHERE grant_id = ? AND system = ?", reach, grant, system)


def request_end(
    db: Database, ids: Sequence[str], reason: EndReason, by: str, words: str = ""
) -> None:
    """Sets held grants, which the caller has locked, and their leases to `ending`. `words` are for
    the holder."""
    marks = ", ".join("?" * len(ids))
    states = ", ".join(f"'{state}'" for state in sources(GRANT, Move.END))
    db.run(
        "UPDATE grants SET state = 'ending', end_reason = ?, end_by = ?, end_words = ?, remind_at ="
        f" NULL WHERE id IN ({marks}) AND state IN ({states})",
        reason,
        by,
        words,
        *ids,
    )
    db.run(
        f"UPDATE leases SET state = 'ending' WHERE grant_id IN ({marks}) AND state <> 'ended'", *ids
    )


def confirm_end(db: Database, grant: str, at: int) -> bool:
    return _move(db, grant, Move.CONFIRM_END, ", ended_at = ?", at)


def confirm_ends(db: Database, ids: Sequence[str], at: int) -> None:
    """Confirms the ends of many grants, which the caller has locked and found ending."""
    (source,) = sources(GRANT, Move.CONFIRM_END)
    marks = ", ".join("?" * len(ids))
    sql = f"UPDATE grants SET state = ?, ended_at = ? WHERE id IN ({marks}) AND state = ?"
    if ids:
        db.run(sql, after(GRANT, source, Move.CONFIRM_END), at, *ids, source)


def set_reminder(db: Database, grant: str, remind_at: int | None) -> None:
    db.run("UPDATE grants SET remind_at = ? WHERE id = ?", remind_at, grant)


def _move(db: Database, grant: str, move: Move, extra: str = "", *values: object) -> bool:
    """Moves a grant along the lifecycle table by compare-and-set."""
    (source,) = sources(GRANT, move)
    sql = f"UPDATE grants SET state = ?{extra} WHERE id = ? AND state = ?"
    return db.run(sql, after(GRANT, source, move), *values, grant, source) == 1


def leases(db: Database, grant: str) -> list[Lease]:
    sql = f"SELECT {_LEASE} FROM leases WHERE grant_id = ? ORDER BY system"
    return [_lease(row) for row in db.rows(sql, grant)]


def leases_of(db: Reads, ids: Sequence[str]) -> dict[str, list[Lease]]:
    """Returns the leases of many grants with one query."""
    found: dict[str, list[Lease]] = {grant: [] for grant in ids}
    marks = ", ".join("?" * len(ids))
    sql = f"SELECT {_LEASE} FROM leases WHERE grant_id IN ({marks}) ORDER BY system"
    for row in db.rows(sql, *ids):
        found[row[0]].append(_lease(row))
    return found


def connectors_of(db: Database, ids: Sequence[str]) -> dict[tuple[str, str], str]:
    """Returns the kind of connector behind each lease of these grants, by grant and system."""
    marks = ", ".join("?" * len(ids))
    rows = db.rows(
        f"SELECT grant_id, system, connector FROM leases WHERE grant_id IN ({marks})", *ids
    )
    return {(grant, system): connector for grant, system, connector in rows}


def systems_in_use(db: Database) -> dict[str, str]:
    """Returns every system, with its kind of connector, that has a grant which is not over or a
    session that was seen open."""
    sql = (
        "SELECT leases.system, leases.connector FROM grants JOIN leases ON leases.grant_id ="
        f" grants.id WHERE grants.{UNFINISHED} UNION SELECT leases.system,"
        " leases.connector FROM sessions JOIN leases ON leases.grant_id = sessions.grant_id AND"
        " leases.system = sessions.system WHERE sessions.closed_at IS NULL AND sessions.watched ="
        " 1 ORDER BY 1, 2"
    )
    return {str(system): str(connector) for system, connector in db.rows(sql)}


def set_lease(db: Database, grant: str, system: str, state: GrantState, error: str = "") -> bool:
    """Sets a lease's state; returns False if it had ended."""
    sql = (
        "UPDATE leases SET state = ?, error = ? WHERE grant_id = ? AND system = ? AND state <>"
        " 'ended'"
    )
    return db.run(sql, state, error, grant, system) == 1


def set_target(db: Database, grant: str, system: str, target: str) -> None:
    """Stores where the access is created. The first target stays, because access may exist
    there."""
    sql = "UPDATE leases SET target = ? WHERE grant_id = ? AND system = ? AND target = ''"
    db.run(sql, target, grant, system)


def move_targets(db: Database, system: str, target: str) -> int:
    """Records this target for access created elsewhere; returns the number of leases that are not
    over."""
    sql = (
        "UPDATE leases SET target = ? WHERE system = ? AND target NOT IN ('', ?) AND state <>"
        " 'ended'"
    )
    return db.run(sql, target, system, target)


def reopen_lease(db: Database, grant: str, system: str, error: str) -> None:
    """Sets an ended lease to be revoked once more."""
    sql = "UPDATE leases SET state = 'ending', error = ? WHERE grant_id = ? AND system = ?"
    db.run(sql, error, grant, system)


def end_leases(db: Database, ended: Iterable[Lease]) -> None:
    sql = "UPDATE leases SET state = 'ended', error = '' WHERE grant_id = ? AND system = ?"
    db.run_many(sql, ((lease.grant, lease.system) for lease in ended))


def set_leases(db: Database, grant: str, state: GrantState) -> None:
    db.run("UPDATE leases SET state = ?, error = '' WHERE grant_id = ?", state, grant)


def open_gate(db: Database, grant: str, system: str, until: int) -> None:
    """Lets the grant's tokens through at the system until `until`, unless an end was requested
    meanwhile. A late repetition of an earlier call changes nothing."""
    sql = (
        "INSERT INTO gates (grant_id, system, until) SELECT id, ?, ? FROM grants WHERE id = ? AND"
        " state IN ('starting', 'active') ON CONFLICT (grant_id, system) DO UPDATE SET until ="
        " excluded.until WHERE gates.until < excluded.until"
    )
    db.run(sql, system, until, grant)


def close_gate(db: Database, grant: str, system: str) -> None:
    db.run("DELETE FROM gates WHERE grant_id = ? AND system = ?", grant, system)


def close_gates(db: Database, pairs: Sequence[tuple[str, str]]) -> None:
    """Closes the gates of these pairs of grant and system."""
    db.run_many("DELETE FROM gates WHERE grant_id = ? AND system = ?", pairs)


def gates_open(db: Database, ids: Sequence[str]) -> set[tuple[str, str]]:
    """Returns the pairs of grant and system that still have a gate, for these grants."""
    marks = ", ".join("?" * len(ids))
    rows = db.rows(f"SELECT grant_id, system FROM gates WHERE grant_id IN ({marks})", *ids)
    return {(str(grant), str(system)) for grant, system in rows}


def gates_at(db: Database, system: str) -> dict[str, int]:
    """Returns the end of each grant's gate at this system."""
    rows = db.rows("SELECT grant_id, until FROM gates WHERE system = ? ORDER BY grant_id", system)
    return {str(grant): int(until) for grant, until in rows}


def gate_until(db: Database, grant: str, system: str) -> int | None:
    found = db.row("SELECT until FROM gates WHERE grant_id = ? AND system = ?", grant, system)
    return int(found[0]) if found else None


def counts(db: Database) -> dict[str, int]:
    """Returns the number of grants in each state, without those that are over."""
    rows = db.rows(f"SELECT state, COUNT(*) FROM grants WHERE {UNFINISHED} GROUP BY state")
    return {str(state): int(count) for state, count in rows}


def count_overdue(db: Database, now: int) -> int:
    """Returns the number of active grants whose end has passed."""
    found = db.row("SELECT COUNT(*) FROM grants WHERE state = 'active' AND ends_at < ?", now)
    return int(found[0]) if found else 0


def counts_by_system(db: Database) -> dict[str, dict[str, int]]:
    """Returns the number of leases of grants that are not over, by system and state."""
    sql = (
        "SELECT leases.system, leases.state, COUNT(*) FROM grants JOIN leases ON leases.grant_id ="
        f" grants.id WHERE grants.{UNFINISHED} GROUP BY leases.system, leases.state"
    )
    found: dict[str, dict[str, int]] = {}
    for system, state, count in db.rows(sql):
        found.setdefault(system, {})[state] = int(count)
    return found


class Deadlines(NamedTuple):
    """The next deadline of each kind, in UTC seconds; None if there is none."""

    end_of_active: int | None
    end_of_starting: int | None
    start: int | None
    lapse: int | None
    reminder: int | None
    alert: int | None
    review: int | None
    mention: int | None
    escalation: int | None
    absence: int | None

    @property
    def end(self) -> int | None:
        return _first(self.end_of_active, self.end_of_starting)

    @property
    def ping(self) -> int | None:
        return _first(self.mention, self.escalation)

    @property
    def first(self) -> int | None:
        return _first(*self)


def _first(*times: int | None) -> int | None:
    return min((at for at in times if at is not None), default=None)


_DEADLINES = (
    "SELECT (SELECT MIN(ends_at) FROM grants WHERE state = 'active'),"
    " (SELECT MIN(ends_at) FROM grants WHERE state = 'starting' AND clock > 0),"
    " (SELECT MIN(starts_at) FROM grants WHERE state = 'scheduled'),"
    " (SELECT MIN(lapses_at) FROM requests WHERE state = 'pending'),"
    " (SELECT MIN(remind_at) FROM grants WHERE state = 'active' AND remind_at IS NOT NULL),"
    " (SELECT MIN(next_at) FROM alerts WHERE next_at IS NOT NULL),"
    " (SELECT MIN(ping_at) FROM emergencies WHERE ping_at IS NOT NULL),"
    " (SELECT MIN(ping_at) FROM pings WHERE ping_at IS NOT NULL),"
    " (SELECT MIN(escalate_at) FROM pings WHERE escalate_at IS NOT NULL),"
    " (SELECT MIN(ends_at) FROM delegations)"
)


def deadlines(db: Database) -> Deadlines:
    """Returns when the clock has to act next."""
    found = db.row(_DEADLINES)
    assert found is not None
    return Deadlines(*(None if at is None else int(at) for at in found))


def _one(row: tuple[Any, ...] | None) -> Grant | None:
    if row is None:
        return None
    values = list(row)
    values[4], values[5] = _list(row[4]), _list(row[5])
    values[6] = _STATES[row[6]]
    values[14] = EndReason(row[14]) if row[14] else None
    values[18], values[19] = _URGENCIES[row[18]], _by_system(row[19])
    values[20] = json.loads(row[20]) if row[20] != "{}" else {}
    return Grant(*values)


@lru_cache(maxsize=1024)
def _list(text: str) -> tuple[str, ...]:
    """Parses a stored list. It is cached, because thousands of grants have the same few."""
    return tuple(json.loads(text))


@lru_cache(maxsize=1024)
def _by_system(text: str) -> SystemActions:
    """Parses stored lists of actions by system."""
    each = json.loads(text)
    return MappingProxyType({system: tuple(actions) for system, actions in each.items()})


def _many(rows: Iterable[tuple[Any, ...]]) -> list[Grant]:
    return [found for row in rows if (found := _one(row)) is not None]


def _lease(row: tuple[Any, ...]) -> Lease:
    grant, system, connector, state, error, target, reach, actions = row
    return Lease(grant, system, connector, _STATES[state], error, target, reach, _list(actions))
