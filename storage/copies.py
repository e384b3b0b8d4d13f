"""Copies a whole database into a file, and back: SQLite by its backup API, PostgreSQL by `pg_dump`
and `pg_restore`."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from bot.core.errors import NotCalled, StorageUnavailable, SystemRefused

COPIED = "copied at"
"""The key of the time of a copy, which only a copy has."""

DUMP, RESTORE = "pg_dump", "pg_restore"

_VARIABLES: Mapping[str, str] = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "service": "PGSERVICE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "channel_binding": "PGCHANNELBINDING",
}
"""libpq's variables: on the command line, everybody on the machine could read the password."""


def sqlite_path(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def copy_sqlite(source: Path, target: Path) -> None:
    """Copies a SQLite file as it is at one moment; writers do not wait. Raises SystemRefused if it
    is damaged, or no SQLite file."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as read,
            closing(sqlite3.connect(target)) as written,
        ):
            read.backup(written)
            written.execute("PRAGMA journal_mode = DELETE")
            found = [str(row[0]) for row in written.execute("PRAGMA integrity_check(1)")]
    except sqlite3.OperationalError as error:
        raise StorageUnavailable(str(error)) from None
    except sqlite3.DatabaseError as error:
        raise SystemRefused(str(error), f"{source} can't be copied") from None
    if found != ["ok"]:
        raise SystemRefused(found[0], f"{source} is damaged")
    _sync(target)


def mark(path: Path, copied_at: str) -> None:
    """Stores in a SQLite copy that it is one."""
    with closing(sqlite3.connect(path)) as connection, connection:
        sql = "INSERT OR REPLACE INTO key_values (key, value) VALUES (?, ?)"
        connection.execute(sql, (COPIED, copied_at))
    _sync(path)


def is_ours(path: Path) -> bool:
    """Returns whether this SQLite file has an audit log."""
    with closing(sqlite3.connect(path)) as connection:
        sql = "SELECT 1 FROM sqlite_master WHERE name = 'audit_head'"
        return connection.execute(sql).fetchone() is not None


def claim_sqlite(path: Path) -> bool:
    """Puts all of a SQLite database into its one file; returns False while a process has it open.
    SQLite leaves WAL only for the last connection."""
    with closing(sqlite3.connect(path, timeout=1)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError:
            return False
    return True


def put_back(copy: Path, target: Path, aside: Path) -> Path | None:
    """Replaces the database with the copy. The file that was there is renamed to `aside`, which is
    returned."""
    found = target.exists()
    if found:
        target.replace(aside)
    for ending in ("-wal", "-shm"):  # of a database that is no longer there
        target.with_name(target.name + ending).unlink(missing_ok=True)
    copy.replace(target)
    _sync(target.parent)
    return aside if found else None


def _sync(path: Path) -> None:
    place = os.open(path, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def dump_postgres(url: str, target: Path) -> None:
    """Raises NotCalled without `pg_dump`, and SystemRefused if it fails."""
    _run([DUMP, "--format=custom", "--no-owner", f"--file={target}"], url, DUMP)
    _sync(target)


def restore_postgres(url: str, source: Path) -> None:
    """Replaces every table, or nothing. Raises NotCalled without `pg_restore`, and SystemRefused if
    it fails."""
    name = _parts(url).get("dbname", "")
    command = [RESTORE, "--clean", "--if-exists", "--no-owner", "--single-transaction"]
    _run([*command, f"--dbname={name}", str(source)], url, RESTORE)


def in_use(url: str) -> bool:
    """Returns whether another process of this account is connected to the database."""
    import psycopg

    sql = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND usename ="
        " current_user AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            return connection.execute(sql).fetchone() is not None
    except psycopg.OperationalError as error:
        raise StorageUnavailable(str(error)) from None


def _parts(url: str) -> dict[str, str]:
    from psycopg.conninfo import conninfo_to_dict

    return {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}


def _run(command: Sequence[str], url: str, tool: str) -> None:
    if shutil.which(tool) is None:
        shown = " ".join(command)
        raise NotCalled(
            f"{tool} is not installed here: install PostgreSQL's client programs, or run this where"
            f" they are: {shown}"
        )
    named = {_VARIABLES[key]: text for key, text in _parts(url).items() if key in _VARIABLES}
    done = subprocess.run(  # noqa: S603, no shell, and `command` is ours but for the file
        command, env={**os.environ, **named}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["it gave no reason"]
        raise SystemRefused(f"exit code {done.returncode}", f"{tool} failed: {lines[0][:300]}")
