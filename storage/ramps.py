"""Stores onboarding ramps, their stages, the grants that they gave, and the messages that show
them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.core.audit_ramps import RAMP_EVENTS
from bot.core.lifecycle import RAMP, Move, after, sources
from bot.core.model import RampState
from bot.core.onboarding import OPEN, PlannedStage, Ramp, StageState
from storage.database import Database, Reads

_COLUMNS = (
    "id, bundle, title, newcomer, email, mentor, lead, state, planned_at, starts_at, longest, pins,"
    " shift, paused_at, ended_at"
)
_STAGE = (
    "ramp_id, number, after_start, by_mentor, roles, duration, may_ask, state, opened_at,"
    " opened_by, left_out"
)
IS_OPEN = f"state IN ({', '.join(repr(str(state)) for state in RampState if state in OPEN)})"


def insert(db: Database, r: Ramp) -> bool:
    """Stores a ramp with its stages; returns False and stores nothing if this person has an open
    one."""
    marks = ", ".join("?" * 15)
    stored = db.run(
        f"INSERT INTO ramps ({_COLUMNS}) VALUES ({marks}) ON CONFLICT DO NOTHING",
        *(r.id, r.bundle, r.title, r.newcomer, r.email, r.mentor, r.lead, r.state),
        *(r.planned_at, r.starts_at, r.longest, json.dumps(dict(r.pins))),
        *(r.shift, r.paused_at, r.ended_at),
    )
    if stored:
        marks = ", ".join("?" * 11)
        sql = f"INSERT INTO ramp_stages ({_STAGE}) VALUES ({marks})"
        db.run_many(sql, [_stage_row(r.id, stage) for stage in r.stages])
    return stored == 1


def _stage_row(ramp: str, s: PlannedStage) -> tuple[Any, ...]:
    roles, may_ask, left_out = json.dumps(s.roles), json.dumps(s.may_ask), json.dumps({})
    given = (ramp, s.number, s.after, int(s.by_mentor), roles, s.duration, may_ask)
    return (*given, s.state, s.opened_at, s.opened_by, left_out)


def get(db: Database, ramp: str) -> Ramp | None:
    return _one(db, db.row(f"SELECT {_COLUMNS} FROM ramps WHERE id = ?", ramp))


def locked(db: Database, ramp: str) -> Ramp | None:
    """Returns a ramp, locked against other changes until this transaction ends."""
    return _one(db, db.row(f"SELECT {_COLUMNS} FROM ramps WHERE id = ?{db.lock_row}", ramp))


def open_ramps(db: Reads) -> list[Ramp]:
    """Returns every ramp that is not over, oldest first."""
    return _many(
        db, db.rows(f"SELECT {_COLUMNS} FROM ramps WHERE {IS_OPEN} ORDER BY planned_at, id")
    )


def recorded(db: Reads) -> Iterator[tuple[str, str, str]]:
    """Streams event, subject and detail of every record about an onboarding, oldest first."""
    marks = ", ".join("?" * len(RAMP_EVENTS))
    sql = f"SELECT event, subject, detail FROM audit WHERE event IN ({marks}) ORDER BY seq"
    return db.stream(sql, *RAMP_EVENTS)


def latest(db: Database, limit: int) -> list[Ramp]:
    """Returns the newest ramps first, also those that are over."""
    sql = f"SELECT {_COLUMNS} FROM ramps ORDER BY planned_at DESC, id LIMIT ?"
    return _many(db, db.rows(sql, limit))


def open_of(db: Database, newcomer: str) -> Ramp | None:
    """Returns the open ramp of a newcomer."""
    sql = f"SELECT {_COLUMNS} FROM ramps WHERE newcomer = ? AND newcomer <> '' AND {IS_OPEN}"
    return _one(db, db.row(sql, newcomer))


def open_with(db: Database, person: str) -> list[str]:
    """Returns the ids of open ramps of which this person is the newcomer or the mentor."""
    sql = f"SELECT id FROM ramps WHERE {IS_OPEN} AND (newcomer = ? OR mentor = ?) ORDER BY id"
    return [str(ramp) for (ramp,) in db.rows(sql, person, person)]


def mentored_by(db: Database, mentor: str) -> list[Ramp]:
    """Returns the open ramps of which this person is the mentor."""
    sql = f"SELECT {_COLUMNS} FROM ramps WHERE {IS_OPEN} AND mentor = ? ORDER BY id"
    return _many(db, db.rows(sql, mentor))


def people_in(db: Database) -> set[str]:
    """Returns the newcomers and mentors of all open ramps."""
    rows = db.rows(f"SELECT newcomer, mentor FROM ramps WHERE {IS_OPEN}")
    return {str(person) for pair in rows for person in pair if person}


def move(db: Database, ramp: str, move: Move, **columns: object) -> bool:
    """Moves a ramp along the lifecycle table by compare-and-set, and sets these columns; returns
    False if it was in another state. The caller has locked it."""
    extra = "".join(f", {column} = ?" for column in columns)
    sql = f"UPDATE ramps SET state = ?{extra} WHERE id = ? AND state = ?"
    values = tuple(columns.values())
    return any(
        db.run(sql, after(RAMP, source, move), *values, ramp, source)
        for source in sources(RAMP, move)
    )


def set_newcomer(db: Database, ramp: str, newcomer: str) -> None:
    db.run("UPDATE ramps SET newcomer = ? WHERE id = ? AND newcomer = ''", newcomer, ramp)


def forget_email(db: Database, newcomer: str) -> None:
    """Deletes the address with which a person was invited."""
    db.run("UPDATE ramps SET email = '' WHERE newcomer = ?", newcomer)


def set_mentor(db: Database, ramp: str, mentor: str, before: str) -> bool:
    """Names another mentor; returns False if somebody did meanwhile."""
    sql = f"UPDATE ramps SET mentor = ? WHERE id = ? AND mentor = ? AND mentor <> ? AND {IS_OPEN}"
    return db.run(sql, mentor, ramp, before, mentor) == 1


def set_ready(db: Database, ramp: str, number: int) -> bool:
    """Lets the mentor open a stage; returns False if that was done before."""
    sql = "UPDATE ramp_stages SET state = ? WHERE ramp_id = ? AND number = ? AND state = ?"
    return db.run(sql, StageState.READY, ramp, number, StageState.WAITING) == 1


def open_stage(db: Database, ramp: str, number: int, at: int, by: str) -> bool:
    """Opens a stage; returns False if it is open."""
    sql = (
        "UPDATE ramp_stages SET state = ?, opened_at = ?, opened_by = ? WHERE ramp_id = ? AND"
        " number = ? AND state <> ?"
    )
    return db.run(sql, StageState.OPENED, at, by, ramp, number, StageState.OPENED) == 1


def set_left_out(db: Database, ramp: str, number: int, left_out: Mapping[str, str]) -> None:
    """Stores why roles of a stage were not given."""
    sql = "UPDATE ramp_stages SET left_out = ? WHERE ramp_id = ? AND number = ?"
    db.run(sql, json.dumps(dict(left_out)), ramp, number)


def add_grant(db: Database, ramp: str, number: int, grant: str) -> None:
    db.run(
        "INSERT INTO ramp_grants (grant_id, ramp_id, number) VALUES (?, ?, ?)", grant, ramp, number
    )


def gave(db: Database, grant: str) -> bool:
    """Returns whether a stage gave this grant."""
    return db.row("SELECT 1 FROM ramp_grants WHERE grant_id = ?", grant) is not None


def grants_of(db: Database, ramp: str) -> list[tuple[int, str]]:
    """Returns stage and id of every grant that a ramp gave, in their order."""
    sql = "SELECT number, grant_id FROM ramp_grants WHERE ramp_id = ? ORDER BY number, grant_id"
    return [(int(number), str(grant)) for number, grant in db.rows(sql, ramp)]


@dataclass(frozen=True, slots=True)
class RampMessage:
    """A direct message to `person` with buttons, and the note and stage that it shows."""

    channel: str
    ts: str
    ramp: str
    person: str
    note: str
    number: int


_MESSAGE = "channel, ts, ramp_id, person, note, number"


def add_message(db: Database, m: RampMessage) -> None:
    sql = f"INSERT INTO ramp_messages ({_MESSAGE}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    db.run(sql, m.channel, m.ts, m.ramp, m.person, m.note, m.number)


def messages(db: Database, ramp: str) -> list[RampMessage]:
    """Returns every message with buttons about a ramp."""
    sql = f"SELECT {_MESSAGE} FROM ramp_messages WHERE ramp_id = ? ORDER BY ts, channel"
    return [RampMessage(*row) for row in db.rows(sql, ramp)]


def message(db: Database, channel: str, ts: str) -> RampMessage | None:
    sql = f"SELECT {_MESSAGE} FROM ramp_messages WHERE channel = ? AND ts = ?"
    found = db.row(sql, channel, ts)
    return RampMessage(*found) if found else None


def forget_messages(db: Database, before: int) -> None:
    """Deletes the messages of ramps that were over at `before`."""
    sql = "DELETE FROM ramp_messages WHERE ramp_id IN (SELECT id FROM ramps WHERE ended_at < ?)"
    db.run(sql, before)


def add_newcomer(db: Database, person: str, at: int) -> None:
    """Records that this person joined, until a bundle was suggested for them."""
    sql = "INSERT INTO newcomers (person, joined_at) VALUES (?, ?) ON CONFLICT DO NOTHING"
    db.run(sql, person, at)


def newcomers(db: Database) -> list[tuple[str, int]]:
    """Returns the people who joined lately, and when."""
    rows = db.rows("SELECT person, joined_at FROM newcomers ORDER BY joined_at, person")
    return [(str(person), int(at)) for person, at in rows]


def drop_newcomer(db: Database, person: str) -> bool:
    """Forgets a person who joined; returns False if that was done before."""
    return db.run("DELETE FROM newcomers WHERE person = ?", person) == 1


def _many(db: Reads, rows: Iterable[tuple[Any, ...]]) -> list[Ramp]:
    found = list(rows)
    stages = _stages(db, [str(row[0]) for row in found])
    return [_ramp(row, stages.get(str(row[0]), ())) for row in found]


def _one(db: Database, row: tuple[Any, ...] | None) -> Ramp | None:
    return None if row is None else _many(db, [row])[0]


def _ramp(row: tuple[Any, ...], stages: Sequence[PlannedStage]) -> Ramp:
    values = list(row)
    values[7], values[11] = RampState(row[7]), json.loads(row[11])
    values.insert(11, tuple(stages))
    return Ramp(*values)


def _stages(db: Reads, ids: Sequence[str]) -> dict[str, list[PlannedStage]]:
    """Returns the stages of these ramps with one query."""
    marks = ", ".join("?" * len(ids))
    sql = f"SELECT {_STAGE} FROM ramp_stages WHERE ramp_id IN ({marks}) ORDER BY ramp_id, number"
    found: dict[str, list[PlannedStage]] = {}
    for ramp, *row in db.rows(sql, *ids) if ids else ():
        found.setdefault(str(ramp), []).append(_stage(row))
    return found


def _stage(row: Sequence[Any]) -> PlannedStage:
    number, after_start, by_mentor, roles, duration, may_ask, state, at, by, left_out = row
    given, asked = tuple(json.loads(roles)), tuple(json.loads(may_ask))
    planned = (number, after_start, bool(by_mentor), given, duration, asked)
    return PlannedStage(*planned, StageState(state), at, by, json.loads(left_out))
