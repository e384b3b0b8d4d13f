"""Stores requests, their votes, and the messages that show them."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from bot.core.lifecycle import REQUEST, Move, after, sources
from bot.core.model import Request, RequestState, Urgency, Vote
from storage.database import Database, Reads

_COLUMNS = (
    "id, requester, role, systems, actions, fingerprint, duration, reason, ticket, start_at, state,"
    " created_at, lapses_at, renews, decided_at, decided_by, decision_reason, urgency,"
    " system_actions, program, parameters"
)
_MARKS = ", ".join("?" * 21)


def insert(db: Database, r: Request) -> bool:
    """Stores a request; returns False and stores nothing if this person has a pending request for
    the role."""
    return (
        db.run(
            f"INSERT INTO requests ({_COLUMNS}) VALUES ({_MARKS}) ON CONFLICT DO NOTHING",
            r.id,
            r.requester,
            r.role,
            json.dumps(r.systems),
            json.dumps(r.actions),
            r.fingerprint,
            r.duration,
            r.reason,
            r.ticket,
            r.start_at,
            r.state,
            r.created_at,
            r.lapses_at,
            r.renews,
            r.decided_at,
            r.decided_by,
            r.decision_reason,
            r.urgency,
            json.dumps(dict(r.system_actions)),
            r.program,
            json.dumps(dict(r.parameters)),
        )
        == 1
    )


def get(db: Database, request: str) -> Request | None:
    return _one(db.row(f"SELECT {_COLUMNS} FROM requests WHERE id = ?", request))


def locked(db: Database, request: str) -> Request | None:
    """Returns a request, locked against other decisions until this transaction ends."""
    return _one(db.row(f"SELECT {_COLUMNS} FROM requests WHERE id = ?{db.lock_row}", request))


def pending_of(db: Database, person: str, role: str | None = None) -> list[Request]:
    sql = f"SELECT {_COLUMNS} FROM requests WHERE requester = ? AND state = 'pending'"
    if role is None:
        return _many(db.rows(sql + " ORDER BY created_at, id", person))
    return _many(db.rows(sql + " AND role = ?", person, role))


def asked_after(db: Database, at: int) -> list[Request]:
    """Returns pending requests that were made after `at`."""
    sql = (
        f"SELECT {_COLUMNS} FROM requests WHERE state = 'pending' AND created_at > ? ORDER BY"
        " created_at, id"
    )
    return _many(db.rows(sql, at))


def pending(db: Database, limit: int = 1000) -> list[Request]:
    sql = f"SELECT {_COLUMNS} FROM requests WHERE state = 'pending' ORDER BY created_at, id LIMIT ?"
    return _many(db.rows(sql, limit))


def latest(db: Database, state: str | None, limit: int) -> list[Request]:
    """Returns the newest requests first, for lists that people read."""
    condition, values = ("WHERE state = ?", [state]) if state else ("", [])
    sql = f"SELECT {_COLUMNS} FROM requests {condition} ORDER BY created_at DESC, id LIMIT ?"
    return _many(db.rows(sql, *values, limit))


def decided_by_rules(db: Database, person: str, role: str, since: int) -> list[tuple[str, int]]:
    """Returns which rule (`rule:NAME`) decided each request of this person for the role that was
    made at `since` or later, and when it was made."""
    sql = (
        "SELECT decided_by, created_at FROM requests WHERE requester = ? AND role = ? AND"
        " created_at >= ? AND substr(decided_by, 1, 5) = 'rule:'"
    )
    return [(str(by), int(at)) for by, at in db.rows(sql, person, role, since)]


def settled_between(db: Reads, since: int, until: int) -> list[Request]:
    """Returns the requests that were decided, withdrawn or lapsed from `since` up to `until`,
    oldest first. Reads the whole table, which is for a report."""
    sql = (
        f"SELECT {_COLUMNS} FROM requests WHERE state <> 'pending' AND decided_at >= ? AND"
        " decided_at < ? ORDER BY decided_at, id"
    )
    return _many(db.rows(sql, since, until))


def asked_between(db: Reads, since: int, until: int) -> list[Request]:
    """Returns the requests that were made from `since` up to `until`, oldest first. Reads the whole
    table, which is for a report."""
    sql = (
        f"SELECT {_COLUMNS} FROM requests WHERE created_at >= ? AND created_at < ? ORDER BY"
        " created_at, id"
    )
    return _many(db.rows(sql, since, until))


def several(db: Reads, ids: Sequence[str]) -> dict[str, Request]:
    """Returns these requests, by id."""
    marks = ", ".join("?" * len(ids))
    sql = f"SELECT {_COLUMNS} FROM requests WHERE id IN ({marks})"
    return {request.id: request for request in _many(db.rows(sql, *ids))} if ids else {}


LOST = "lost channel "
"""Prefix of the key that stores since when a channel has been archived or deleted."""

_POSTED = (
    "EXISTS (SELECT 1 FROM messages m WHERE m.request_id = requests.id AND m.channel NOT LIKE 'D%' "
    f"AND NOT EXISTS (SELECT 1 FROM key_values v WHERE v.key = '{LOST}' || m.channel))"
)


def unposted(db: Database, limit: int) -> list[Request]:
    """Returns pending requests that no channel shows, oldest first. A copy in a direct message, or
    in a channel that is archived or deleted, does not count."""
    sql = (
        f"SELECT {_COLUMNS} FROM requests WHERE state = 'pending' AND NOT {_POSTED} ORDER BY"
        " created_at, id LIMIT ?"
    )
    return _many(db.rows(sql, limit))


def is_posted(db: Database, request: str) -> bool:
    """Returns whether a channel that is neither archived nor deleted shows the request."""
    return db.row(f"SELECT 1 FROM requests WHERE id = ? AND {_POSTED}", request) is not None


def lost_channels(db: Database) -> list[str]:
    """Returns the ids of channels known as archived or deleted."""
    keys = db.rows(
        "SELECT key FROM key_values WHERE substr(key, 1, ?) = ? ORDER BY key", len(LOST), LOST
    )
    return [str(key).removeprefix(LOST) for (key,) in keys]


def waiting_channels(db: Database) -> list[str]:
    """Returns the ids of channels that show pending requests."""
    sql = (
        "SELECT DISTINCT m.channel FROM messages m JOIN requests r ON r.id = m.request_id "
        "WHERE r.state = 'pending' AND m.channel NOT LIKE 'D%' ORDER BY m.channel"
    )
    return [str(channel) for (channel,) in db.rows(sql)]


def shown_in(db: Database, channel: str, limit: int) -> list[tuple[str, str]]:
    """Returns id and role of the latest requests with a message in this channel."""
    sql = (
        "SELECT r.id, r.role FROM messages m JOIN requests r ON r.id = m.request_id WHERE m.channel"
        " = ? ORDER BY m.ts DESC LIMIT ?"
    )
    return [(str(request), str(role)) for request, role in db.rows(sql, channel, limit)]


def made_between(db: Database, person: str, since: int, until: int, limit: int) -> list[int]:
    """Returns when this person made their latest requests after `since`, up to `until`, newest
    first."""
    sql = (
        "SELECT created_at FROM requests WHERE requester = ? AND created_at > ? AND created_at <= ?"
        " ORDER BY created_at DESC LIMIT ?"
    )
    return [int(at) for (at,) in db.rows(sql, person, since, until, limit)]


def of_person_between(db: Database, person: str, since: int, until: int) -> list[Request]:
    """Returns the requests that this person made from `since` to `until`, oldest first, without
    renewals."""
    sql = (
        f"SELECT {_COLUMNS} FROM requests WHERE requester = ? AND created_at >= ? AND created_at <="
        " ? AND renews IS NULL ORDER BY created_at, id LIMIT 1000"
    )
    return _many(db.rows(sql, person, since, until))


def decided_of(db: Database, person: str, limit: int) -> list[Request]:
    """Returns this person's latest requests that are not pending, newest first, without
    renewals."""
    sql = (
        f"SELECT {_COLUMNS} FROM requests WHERE requester = ? AND state <> 'pending' AND renews IS"
        " NULL ORDER BY created_at DESC, id LIMIT ?"
    )
    return _many(db.rows(sql, person, limit))


def unanswered(db: Database, now: int, limit: int) -> list[Request]:
    """Returns pending requests whose time is up, locked by this transaction."""
    sql = (
        f"SELECT {_COLUMNS} FROM requests WHERE state = 'pending' AND lapses_at <= ? "
        f"ORDER BY lapses_at LIMIT ?{db.skip_locked}"
    )
    return _many(db.rows(sql, now, limit))


def move(db: Database, request: str, move: Move, at: int, by: str, reason: str = "") -> bool:
    """Moves a request along the lifecycle table by compare-and-set; returns False if it was in
    another state."""
    (source,) = sources(REQUEST, move)
    sql = (
        "UPDATE requests SET state = ?, decided_at = ?, decided_by = ?, decision_reason = ? WHERE"
        " id = ? AND state = ?"
    )
    return db.run(sql, after(REQUEST, source, move), at, by, reason, request, source) == 1


def add_vote(db: Database, vote: Vote) -> bool:
    """Stores a vote. Each person has one, and the latest terms replace earlier ones. Returns False
    if they are the same."""
    terms = ("duration", "actions", "tier", "systems", "start_at")
    columns = ", ".join(terms)
    renewed = ", ".join(f"{column} = excluded.{column}" for column in terms)
    differ = " OR ".join(f"votes.{column} IS DISTINCT FROM excluded.{column}" for column in terms)
    sql = (
        f"INSERT INTO votes (request_id, voter, at, {columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON"
        f" CONFLICT (request_id, voter) DO UPDATE SET at = excluded.at, {renewed} WHERE {differ}"
    )
    given = (vote.duration, json.dumps(vote.actions), vote.tier)
    narrower = (json.dumps(vote.systems), vote.start_at)
    return db.run(sql, vote.request, vote.voter, vote.at, *given, *narrower) == 1


def votes(db: Database, request: str) -> list[Vote]:
    sql = (
        "SELECT request_id, voter, at, duration, actions, tier, systems, start_at FROM votes WHERE"
        " request_id = ? ORDER BY at, voter"
    )
    return [
        Vote(req, voter, at, duration, tuple(json.loads(actions)), tier, _some(systems), start_at)
        for req, voter, at, duration, actions, tier, systems, start_at in db.rows(sql, request)
    ]


def _some(text: str) -> tuple[str, ...] | None:
    found = json.loads(text)
    return None if found is None else tuple(found)


def history(db: Database, person: str, role: str) -> dict[str, int]:
    """Returns how this person's requests for the role ended: `{state: count}`."""
    sql = (
        "SELECT state, COUNT(*) FROM requests WHERE requester = ? AND role = ? AND renews IS NULL"
        " GROUP BY state"
    )
    return {str(state): int(count) for state, count in db.rows(sql, person, role)}


def usual_duration(db: Database, role: str, sample: int = 25) -> int | None:
    """Returns the median duration of the role's latest approved requests; None if there are
    none."""
    sql = (
        "SELECT duration FROM requests WHERE role = ? AND state = 'approved' AND renews IS NULL "
        "ORDER BY created_at DESC LIMIT ?"
    )
    durations = sorted(int(duration) for (duration,) in db.rows(sql, role, sample))
    return durations[len(durations) // 2] if durations else None


def add_message(db: Database, request: str, channel: str, ts: str) -> None:
    sql = "INSERT INTO messages (request_id, channel, ts) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    db.run(sql, request, channel, ts)


def messages(db: Database, request: str) -> list[tuple[str, str]]:
    """Returns every posted copy as `(channel, ts)`, oldest first: later notes go to the thread of
    the first."""
    return db.rows("SELECT channel, ts FROM messages WHERE request_id = ? ORDER BY ts", request)


def shown_for(db: Database, grants: Sequence[str]) -> list[tuple[str, str]]:
    """Returns id and role of the decided requests with a message that gave or renewed these
    grants."""
    marks = ", ".join("?" * len(grants))
    has = "EXISTS (SELECT 1 FROM messages m WHERE m.request_id = r.id)"
    sql = (
        "SELECT r.id, r.role FROM grants g JOIN requests r ON r.id = g.request_id WHERE g.id IN"
        f" ({marks}) AND {has} UNION SELECT r.id, r.role FROM requests r WHERE r.renews IN"
        f" ({marks}) AND r.state = 'approved' AND {has}"
    )
    return (
        [(str(request), str(role)) for request, role in db.rows(sql, *grants, *grants)]
        if grants
        else []
    )


def pending_renewals(db: Database, grants: Sequence[str]) -> list[Request]:
    """Returns pending renewals of these grants."""
    marks = ", ".join("?" * len(grants))
    sql = (
        f"SELECT {_COLUMNS} FROM requests WHERE renews IN ({marks}) AND state = 'pending' ORDER"
        " BY id"
    )
    return _many(db.rows(sql, *grants)) if grants else []


def forget_messages(db: Database, before: int) -> None:
    """Deletes the messages of requests that were decided, and whose grants ended, before
    `before`."""
    alive = "(g.state NOT IN ('ended', 'failed') OR g.ended_at >= ?)"
    db.run(
        "DELETE FROM messages WHERE request_id IN (SELECT r.id FROM requests r "
        "WHERE r.state <> 'pending' "
        f"AND r.decided_at < ? AND NOT EXISTS "
        f"(SELECT 1 FROM grants g WHERE g.request_id = r.id AND {alive}) "
        f"AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.id = r.renews AND {alive}))",
        before,
        before,
        before,
    )


def _one(row: tuple[Any, ...] | None) -> Request | None:
    if row is None:
        return None
    values = list(row)
    values[3], values[4] = tuple(json.loads(row[3])), tuple(json.loads(row[4]))
    values[10], values[17] = RequestState(row[10]), Urgency(row[17])
    values[20] = json.loads(row[20])
    values[18] = {system: tuple(actions) for system, actions in json.loads(row[18]).items()}
    return Request(*values)


def _many(rows: Iterable[tuple[Any, ...]]) -> list[Request]:
    return [found for row in rows if (found := _one(row)) is not None]
