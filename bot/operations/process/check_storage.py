"""Checks that the database accepts a write, and that the head of the audit log is intact."""

import secrets
from contextlib import closing

from bot.core.errors import DatabaseIsCopy, StorageUnavailable
from bot.operations._unit_of_work import Context
from storage import audit, copies, key_values
from storage.database import Database

_TRIAL = "trial of writing"


def migrate_schema(url: str) -> list[str]:
    """Applies missing migrations to the database at `url`, and returns their names. Raises
    StorageUnavailable and SchemaMismatch."""
    with closing(Database(url)) as db:
        return db.migrate()


def check_writing(world: Context) -> None:
    """Writes a value and removes it. Both are committed, because a rolled-back write never reaches
    a full disk. Raises StorageUnavailable."""
    with world.db.transaction():
        key_values.put(world.db, _TRIAL, secrets.token_hex(8))
    with world.db.transaction():
        key_values.drop(world.db, _TRIAL)


def writing_problem(world: Context) -> str:
    """Returns why the last write of this process failed, or "". After a failure it tries again."""
    if not world.db.writes.problem:
        return ""
    try:
        check_writing(world)
    except StorageUnavailable as error:
        return str(error)
    return world.db.writes.problem


def refuse_copy(world: Context) -> None:
    """Raises DatabaseIsCopy for a copy that was put in place by hand, because the bot would give
    access again that has ended since. Raises StorageUnavailable."""
    with world.db.reading():
        copied_at = key_values.get(world.db, copies.COPIED)
    if copied_at is not None:
        raise DatabaseIsCopy(copied_at)


def begin_log(world: Context) -> None:
    """Seals the head of a new database's audit log. Raises StorageUnavailable."""
    with world.db.reading():
        is_new = audit.is_new(world.db)
    if is_new:
        with world.db.transaction():
            audit.begin(world.db, world.chain.seals)


def check_head(world: Context) -> tuple[int, str]:
    """Returns the number of the newest audit record, and the fault that its head and own records
    show, or "". Two look-ups, so it can run often; `verify_audit` reads everything."""
    newest = world.chain.newest()
    with world.db.reading():
        if newest[0] < 0 and audit.is_new(world.db):
            return 0, ""
        head, broken = audit.head(world.db), audit.breaks(world.db, world.chain.seals)
    if head is None:
        return 0, "the head of the log is missing"
    if broken is not None:
        return head.seq, f"record {broken.seq}: {broken.why}"
    return head.seq, world.chain.problem(head, newest)[0]
