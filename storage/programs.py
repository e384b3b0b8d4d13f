"""Stores API tokens, with a hash instead of the token, and the requests that programs made."""

import json
from collections.abc import Iterator
from typing import Any

from bot.core.audit import Event
from bot.core.programs import ApiRequest, ApiToken
from storage.database import Database, Reads

TOKEN_EVENTS = (Event.PROGRAM_ADDED, Event.PROGRAM_REMOVED)

_COLUMNS = "id, name, owner, roles, created_at, created_by, expires_at, revoked_at, revoked_by"
_REQUEST_COLUMNS = "id, token_id, role, idempotency_key, digest, made_at, refused"


def add_token(db: Database, token: ApiToken, digest: str) -> None:
    sql = (
        "INSERT INTO api_tokens (id, name, owner, roles, created_at, created_by, expires_at, hash)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    )
    made = (token.created_at, token.created_by, token.expires_at)
    db.run(sql, token.id, token.name, token.owner, json.dumps(token.roles), *made, digest)


def active(db: Reads, now: int) -> list[tuple[ApiToken, str]]:
    """Returns the tokens that are active at `now`, each with its hash."""
    sql = (
        f"SELECT {_COLUMNS}, hash FROM api_tokens WHERE revoked_at IS NULL AND expires_at > ? ORDER"
        " BY id"
    )
    return [(_token(tuple(row)), str(digest)) for *row, digest in db.rows(sql, now)]


def recorded(db: Reads) -> Iterator[tuple[str, str, str]]:
    """Streams event, subject and detail of every record about a token, oldest first."""
    marks = ", ".join("?" * len(TOKEN_EVENTS))
    sql = f"SELECT event, subject, detail FROM audit WHERE event IN ({marks}) ORDER BY seq"
    return db.stream(sql, *TOKEN_EVENTS)


def token_by_hash(db: Database, digest: str) -> ApiToken | None:
    """Returns the token with this hash, however old it is."""
    row = db.row(f"SELECT {_COLUMNS} FROM api_tokens WHERE hash = ?", digest)
    return _token(row) if row else None


def locked_token(db: Database, token: str) -> ApiToken | None:
    """Returns a token, so that no other transaction uses or revokes it until this one ends."""
    row = db.row(f"SELECT {_COLUMNS} FROM api_tokens WHERE id = ?{db.lock_row}", token)
    return _token(row) if row else None


def tokens(db: Database, limit: int) -> list[ApiToken]:
    """Returns tokens, newest first, also those that are over."""
    sql = f"SELECT {_COLUMNS} FROM api_tokens ORDER BY created_at DESC, id LIMIT ?"
    return [_token(row) for row in db.rows(sql, limit)]


def tokens_to_revoke(db: Database, now: int, owner: str | None = None) -> list[ApiToken]:
    """Returns the tokens that are active at `now`, of everybody or of this owner."""
    sql = f"SELECT {_COLUMNS} FROM api_tokens WHERE revoked_at IS NULL AND expires_at > ?"
    if owner is None:
        return [_token(row) for row in db.rows(f"{sql} ORDER BY id", now)]
    return [_token(row) for row in db.rows(f"{sql} AND owner = ? ORDER BY id", now, owner)]


def revoke_token(db: Database, token: str, at: int, by: str) -> bool:
    """Revokes a token; returns False if it was revoked before."""
    sql = "UPDATE api_tokens SET revoked_at = ?, revoked_by = ? WHERE id = ? AND revoked_at IS NULL"
    return db.run(sql, at, by, token) == 1


def add_request(db: Database, made: ApiRequest) -> None:
    sql = f"INSERT INTO api_requests ({_REQUEST_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"
    sent = (made.key, made.digest, made.made_at, made.refused)
    db.run(sql, made.id, made.token, made.role, *sent)


def refuse_request(db: Database, request: str, why: str) -> None:
    db.run("UPDATE api_requests SET refused = ? WHERE id = ?", why, request)


def request_of(db: Database, token: str, request: str) -> ApiRequest | None:
    """Returns the request, if this token made it."""
    sql = f"SELECT {_REQUEST_COLUMNS} FROM api_requests WHERE id = ? AND token_id = ?"
    row = db.row(sql, request, token)
    return ApiRequest(*row) if row else None


def request_with_key(db: Database, token: str, key: str) -> ApiRequest | None:
    """Returns the request that this token made with this idempotency key."""
    sql = f"SELECT {_REQUEST_COLUMNS} FROM api_requests WHERE token_id = ? AND idempotency_key = ?"
    row = db.row(sql, token, key)
    return ApiRequest(*row) if row else None


def pending_of_token(db: Database, token: str) -> list[str]:
    """Returns the ids of the pending requests that this token made."""
    sql = (
        "SELECT r.id FROM api_requests a JOIN requests r ON r.id = a.id WHERE a.token_id = ? AND"
        " r.state = 'pending' ORDER BY r.created_at, r.id"
    )
    return [str(request) for (request,) in db.rows(sql, token)]


def last_requests(db: Database) -> dict[str, tuple[int, int]]:
    """Returns for each token that made requests their number and the time of the last one."""
    sql = "SELECT token_id, COUNT(*), MAX(made_at) FROM api_requests GROUP BY token_id"
    return {str(token): (int(count), int(at)) for token, count, at in db.rows(sql)}


def _token(row: tuple[Any, ...]) -> ApiToken:
    id, name, owner, roles, *rest = row
    return ApiToken(id, name, owner, tuple(json.loads(roles)), *rest)
