"""Stores how far each stream of audit records is, and which process sends it."""

from bot.core.streams import Cursor, Row
from storage.audit import COLUMN_LIST
from storage.database import Database, Reads


def begin(db: Database, name: str, now: int) -> None:
    """Stores a stream that is new: it begins with the first record of the log."""
    db.run(
        "INSERT INTO streams (name, seq, backlog, moved_at, claimed_by, claimed_until, late)"
        " SELECT ?, 0, COALESCE(MAX(seq), 0), ?, '', 0, 0 FROM audit WHERE TRUE"
        " ON CONFLICT (name) DO NOTHING",
        name,
        now,
    )


def cursor(db: Reads, name: str) -> Cursor | None:
    found = db.row("SELECT seq, backlog, moved_at, late FROM streams WHERE name = ?", name)
    if found is None:
        return None
    seq, backlog, moved_at, late = found
    return Cursor(int(seq), int(backlog), int(moved_at), bool(late))


def is_claimed(db: Database, name: str, owner: str, until: int) -> bool:
    """Returns whether this process may send the stream until that time."""
    sql = "SELECT 1 FROM streams WHERE name = ? AND claimed_by = ? AND claimed_until >= ?"
    return db.row(sql, name, owner, until) is not None


def claim(db: Database, name: str, owner: str, now: int, until: int) -> bool:
    """Claims the stream; returns False while another process has it."""
    sql = (
        "UPDATE streams SET claimed_by = ?, claimed_until = ?"
        " WHERE name = ? AND (claimed_by = ? OR claimed_until <= ?)"
    )
    return db.run(sql, owner, until, name, owner, now) == 1


def release(db: Database, owner: str) -> None:
    """Lets other processes send the streams of this one."""
    db.run("UPDATE streams SET claimed_until = 0 WHERE claimed_by = ?", owner)


def release_all(db: Database) -> None:
    """Lets any process send the streams; only while none runs."""
    db.run("UPDATE streams SET claimed_until = 0")


def advance(db: Database, name: str, owner: str, moved: tuple[int, int], now: int) -> bool:
    """Moves the cursor from the first number to the second; returns False if another process has
    claimed the stream or moved it."""
    sql = "UPDATE streams SET seq = ?, moved_at = ? WHERE name = ? AND claimed_by = ? AND seq = ?"
    return db.run(sql, moved[1], now, name, owner, moved[0]) == 1


def set_late(db: Database, name: str, late: bool) -> bool:
    """Stores whether the stream is late; returns False if that was stored before."""
    sql = "UPDATE streams SET late = ? WHERE name = ? AND late <> ?"
    return db.run(sql, int(late), name, int(late)) == 1


def records_after(db: Database, seq: int, limit: int) -> list[Row]:
    """Returns the next records of the log, in the order of COLUMNS."""
    sql = f"SELECT {COLUMN_LIST} FROM audit WHERE seq > ? ORDER BY seq LIMIT ?"
    return db.rows(sql, seq, limit)


def first_after(db: Database, seq: int) -> tuple[int, int] | None:
    """Returns number and time of the next record."""
    found = db.row("SELECT seq, at FROM audit WHERE seq > ? ORDER BY seq LIMIT 1", seq)
    return (int(found[0]), int(found[1])) if found else None
