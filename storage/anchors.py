"""Stores the anchors of the audit log: the number and hash of its head at certain times."""

from bot.core.anchors import Anchor
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
