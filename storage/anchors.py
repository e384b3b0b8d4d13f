"""Stores the anchors of the audit log: the number and hash of its head at certain times."""

import json

from bot.core.anchors import Anchor
from bot.core.audit import Event
from bot.core.effects import ANCHOR_FILE
from storage.database import Database, Reads


def add(db: Database, anchor: Anchor) -> bool:
    """Stores an anchor; returns False if this head was anchored before."""
    sql = (
        "INSERT INTO anchors (seq, hash, at, token) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (seq, hash) DO NOTHING"
    )
    return db.run(sql, anchor.seq, anchor.hash, anchor.at, anchor.token) == 1


def set_token(db: Database, anchor: Anchor) -> None:
    """Adds the time stamp of a stored anchor."""
    sql = "UPDATE anchors SET token = ? WHERE seq = ? AND hash = ?"
    db.run(sql, anchor.token, anchor.seq, anchor.hash)


def newest_at(db: Database) -> int | None:
    """Returns when the newest anchor was made."""
    found = db.row("SELECT MAX(at) FROM anchors")
    return int(found[0]) if found and found[0] is not None else None


def every(db: Reads) -> list[Anchor]:
    """Returns all anchors, oldest first."""
    return [Anchor(*row) for row in db.rows("SELECT seq, hash, at, token FROM anchors ORDER BY at")]


def recorded(db: Reads) -> list[tuple[int, str]]:
    """Returns time and detail of each record about an anchor, oldest first."""
    sql = "SELECT at, detail FROM audit WHERE event = ? ORDER BY at, seq"
    return [(int(at), str(detail)) for at, detail in db.rows(sql, Event.HEAD_ANCHORED)]


def waiting(db: Reads) -> set[tuple[int, str]]:
    """Returns number and hash of each anchor that waits to be appended to the anchor file."""
    found = db.rows("SELECT data FROM outbox WHERE ordering_key = ?", ANCHOR_FILE)
    return {(data["seq"], data["hash"]) for data in (json.loads(str(text)) for (text,) in found)}
