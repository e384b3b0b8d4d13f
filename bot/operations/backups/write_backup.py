"""Writes a consistent copy of the database into a file while the bot runs."""

import hashlib
import secrets
from pathlib import Path

from bot.core.approval import Refused
from bot.core.audit import Event, rfc3339
from bot.operations._unit_of_work import Context, unit
from storage import copies

CHUNK = 1024 * 1024


def write_backup(world: Context, by: str, file: Path) -> str | Refused:
    """Returns the SHA-256 of the copy, which is also on record. Raises StorageUnavailable,
    SystemUnavailable and SystemRefused."""
    known = Refused(f"{file} exists already: give another name.")
    if file.exists():
        return known
    # Another one may write to the same name at this moment, such as a job that was started twice.
    part = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")
    try:
        part.touch(0o600)
    except OSError as error:
        return Refused(f"{file} can't be written: {error.strerror}.")
    try:
        if world.db.is_sqlite:
            copies.copy_sqlite(copies.sqlite_path(world.db.url), part)
            copies.mark(part, rfc3339(world.now()))
        else:
            copies.dump_postgres(world.db.url, part)
        part.chmod(0o600)
        if file.exists():
            return known
        digest = sha256_of(part)
        with unit(world) as u:  # before the file has its name: no copy is without a record
            u.note(Event.COPY_WRITTEN, by, file=file.name, sha256=digest)
        part.replace(file)
        return digest
    finally:
        part.unlink(missing_ok=True)


def sha256_of(file: Path) -> str:
    found = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()
