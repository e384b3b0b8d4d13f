"""Schema, transactions and failures of the two databases."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from psycopg import Error

from bot.core.audit import Entry, Event
from bot.core.errors import SchemaMismatch, StorageUnavailable
from bot.operations.requests.withdraw_request import withdraw_request
from bot.tokens import Signer
from storage import audit, key_values
from storage.database import MIGRATIONS, Database
from tests.concurrency import processes, together
from tests.factories import ANA, make_world
from tests.postgres import Postgres

NAMES = sorted(file.stem for file in MIGRATIONS.glob("0*.py"))
COLUMNS_SQLITE = (
    "SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type ="
    " 'table'"
)
COLUMNS_POSTGRES = (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
)
MIGRATE = """
import sys
from storage.database import Database
database = Database(sys.argv[1])
print(len(database.migrate()))
database.check_schema()
database.close()
"""
ADDED = """
def up(migrator, db):
    db.execute_sql("ALTER TABLE key_values ADD COLUMN added TEXT NOT NULL DEFAULT 'by the upgrade'")
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.a_database("template0") as url:
        yield url


def _add_migration(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str = ADDED) -> str:
    """Makes the next version's schema: the files of this one and another. Returns its name."""
    migrations = folder / "migrations"
    migrations.mkdir()
    for name in NAMES:
        shutil.copyfile(MIGRATIONS / f"{name}.py", migrations / f"{name}.py")
    (migrations / "0999_added.py").write_text(text)
    monkeypatch.setattr("storage.database.MIGRATIONS", migrations)
    return "0999_added"


def _columns(database: Database) -> set[tuple[str, str]]:
    with database.reading():
        found = database.rows(COLUMNS_SQLITE if database.is_sqlite else COLUMNS_POSTGRES)
    return {
        (table, column)
        for table, column in found
        if not table.startswith(("sqlite_", "schema_migration"))
    }


def _put(database: Database, key: str, value: str = "x") -> None:
    with database.transaction():
        key_values.put(database, key, value)


def _get(database: Database, key: str) -> str | None:
    with database.reading():
        return key_values.get(database, key)


def _counted(database: Database, table: str, condition: str = "1 = 1") -> int:
    with database.reading():
        found = database.row(f"SELECT COUNT(*) FROM {table} WHERE {condition}")
    assert found is not None
    return int(found[0])


class TestMigrations:
    def test_four_processes_that_start_at_once_migrate_once(self, empty_url: str) -> None:
        assert sorted(processes(4, MIGRATE, empty_url)) == ["0", "0", "0", str(len(NAMES))]

    def test_a_database_of_any_version_is_upgraded_with_everything_in_it(
        self, empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [*NAMES, _add_migration(tmp_path, monkeypatch)]
        chain = audit.Chain(Signer(["k" * 32]))
        with closing(Database(empty_url)) as database:
            for before in range(1, len(names)):
                with database.transaction():
                    # Nothing else stops between versions.
                    database._runner().up(names[before - 1])  # noqa: SLF001
                with pytest.raises(SchemaMismatch, match=names[before]):
                    database.check_schema()
                with database.transaction():
                    key_values.put(database, f"written at {before}", "kept")
                    audit.append(database, [Entry(Event.POLICY_LOADED, "system")], before, chain)
            assert database.migrate() == names[-1:]
            database.check_schema()
            for before in range(1, len(names)):
                assert _get(database, f"written at {before}") == "kept"
            records = [row[:3] for row in audit.walk(database)]
            assert records[0][2] == Event.HEAD_BROKEN, "no process had sealed its head"
            assert [row[:2] for row in records[1:]] == [(n + 1, n) for n in range(1, len(names))]
            assert _counted(database, "key_values", "added = 'by the upgrade'") == len(names) - 1
            with pytest.raises(Exception, match="append-only"), database.transaction():
                database.run("DELETE FROM audit")

    def test_an_upgrade_that_fails_changes_nothing(
        self, empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with closing(Database(empty_url)) as database:
            database.migrate()
            name = _add_migration(tmp_path, monkeypatch, f"{ADDED}    raise KeyError\n")
            with pytest.raises(KeyError):
                database.migrate()
            with pytest.raises(SchemaMismatch, match=name):
                database.check_schema()
            assert ("key_values", "added") not in _columns(database)

    def test_a_second_migration_finds_nothing_to_do(self, database: Database) -> None:
        assert database.migrate() == []

    def test_an_empty_database_is_behind_and_the_error_says_the_fix(self, empty_url: str) -> None:
        with (
            closing(Database(empty_url)) as database,
            pytest.raises(SchemaMismatch, match="access-bot migrate"),
        ):
            database.check_schema()

    @pytest.mark.parametrize("check", [Database.migrate, Database.check_schema])
    def test_a_newer_schema_refuses_to_start(self, database: Database, check: object) -> None:
        with database.transaction():
            database.run(
                "INSERT INTO schema_migration (name, applied) VALUES (?, ?)",
                "0999_later",
                "2030-01-01 00:00:00",
            )
        with pytest.raises(SchemaMismatch, match=r"newer than this version .*0999_later"):
            check(database)  # type: ignore[operator]

    def test_both_databases_get_the_same_tables_and_columns(
        self, sqlite_url: str, postgres_url: str
    ) -> None:
        with closing(Database(sqlite_url)) as one, closing(Database(postgres_url)) as other:
            assert _columns(one) == _columns(other)
            assert ("grants", "ends_at") in _columns(one)


class TestScopes:
    def test_a_failed_transaction_leaves_nothing(self, database: Database) -> None:
        with pytest.raises(KeyError), database.transaction():
            key_values.put(database, "half", "written")
            raise KeyError
        assert _get(database, "half") is None

    def test_a_failing_savepoint_undoes_only_its_own_part(self, database: Database) -> None:
        with database.transaction():
            key_values.put(database, "outer", "kept")
            with pytest.raises(KeyError), database.transaction():
                key_values.put(database, "inner", "lost")
                raise KeyError
        assert (_get(database, "outer"), _get(database, "inner")) == ("kept", None)

    def test_a_commit_after_a_swallowed_error_is_not_reported_as_successful(
        self, postgres_url: str
    ) -> None:
        """PostgreSQL answers such a commit without an error, and rolls back."""
        with closing(Database(postgres_url)) as database:
            with pytest.raises(StorageUnavailable, match="given up"), database.transaction():
                key_values.put(database, "half", "written")
                with suppress(Error):
                    database.run("INSERT INTO nowhere VALUES (1)")
            assert _get(database, "half") is None
            _put(database, "half")

    def test_more_threads_than_connections_are_all_served(self, database: Database) -> None:
        together(database, [lambda n=n: _put(database, f"key {n}") for n in range(30)])
        assert [_get(database, f"key {n}") for n in range(30)] == ["x"] * 30

    def test_a_stream_holds_no_lock_and_no_transaction_of_its_reader(
        self, database: Database
    ) -> None:
        for n in range(5):
            _put(database, f"key {n}")
        rows = database.stream("SELECT key FROM key_values ORDER BY key")
        first = next(rows)
        _put(database, "key 9")
        together(database, [lambda: _put(database, "written by another thread")])
        assert [first, *rows] == [(f"key {n}",) for n in range(5)]
        assert _get(database, "key 9") == "x"

    def test_a_stream_that_is_not_read_to_its_end_leaves_nothing_open(
        self, database: Database
    ) -> None:
        _put(database, "key")
        rows = database.stream("SELECT key FROM key_values")
        next(rows)
        rows.close()  # type: ignore[attr-defined]
        _put(database, "another")

    def test_a_percent_sign_and_a_question_mark_in_a_value_are_kept(
        self, database: Database
    ) -> None:
        _put(database, "100 % sure?", "100 %s or ?")
        assert _get(database, "100 % sure?") == "100 %s or ?"

    def test_a_notice_reaches_listeners_when_its_transaction_commits(
        self, postgres_url: str
    ) -> None:
        heard: list[tuple[list[str], int | None]] = []

        def hear(queues: list[str], due: int | None) -> None:
            heard.append((queues, due))
            if len(heard) == 1:
                with speaker.transaction():
                    speaker.notify(["start", "end"], 17)

        with (
            closing(Database(postgres_url)) as speaker,
            closing(Database(postgres_url)) as listener,
        ):
            listener.listen(hear, stopped=lambda: len(heard) == 2)
        assert heard == [([], None), (["end", "start"], 17)]

    def test_a_write_of_another_connection_changes_the_data_version(self, sqlite_url: str) -> None:
        with closing(Database(sqlite_url)) as one, closing(Database(sqlite_url)) as other:
            before = one.data_version()
            _put(other, "key")
            assert one.data_version() != before


class TestFailures:
    def test_a_locked_file_is_unavailable_after_the_wait_and_well_again_later(
        self, sqlite_url: str
    ) -> None:
        path = sqlite_url.removeprefix("sqlite:///")
        with (
            closing(Database(sqlite_url, wait=1)) as database,
            closing(sqlite3.connect(path)) as other,
        ):
            other.execute("BEGIN IMMEDIATE")
            assert _get(database, "key") is None, "reading needs no lock"
            with pytest.raises(StorageUnavailable, match="locked"):
                _put(database, "key")
            other.rollback()
            _put(database, "key")

    def test_a_full_disk_is_unavailable_and_leaves_nothing_half_written(
        self, sqlite_url: str, tmp_path: Path
    ) -> None:
        with closing(Database(sqlite_url)) as database:
            with database.transaction():
                pages = database.row("PRAGMA page_count")
                assert pages is not None
                database.rows(f"PRAGMA max_page_count = {pages[0] + 3}")
            with pytest.raises(StorageUnavailable, match="full"), database.transaction():
                key_values.put(database, "first", "small")
                key_values.put(database, "second", "x" * 100_000)
            assert (_get(database, "first"), _get(database, "second")) == (None, None)
            _put(database, "small", "still fits")

    def test_an_operation_on_a_full_disk_changes_nothing_and_wakes_nobody(
        self, sqlite_url: str, tmp_path: Path
    ) -> None:
        with closing(Database(sqlite_url)) as database:
            made = make_world(tmp_path, db=database)
            with database.transaction():
                pages = database.row("PRAGMA page_count")
                assert pages is not None
                database.rows(f"PRAGMA max_page_count = {pages[0]}")
            made.wakes.clear()
            with pytest.raises(StorageUnavailable):
                while True:
                    withdraw_request(made.world, made.a_request().id, ANA)
            assert _counted(database, "requests") == _counted(
                database, "audit", "event = 'request:access:asked'"
            )
            assert _counted(database, "requests") == _counted(
                database, "outbox", "kind = 'post_approval'"
            )
            assert len(made.wakes) == _counted(database, "outbox")

    @pytest.mark.parametrize(
        "content", [b"this is no database" * 100, b"\x00" * 4096], ids=["text", "zeros"]
    )
    def test_a_file_that_is_no_database_is_unavailable(
        self, tmp_path: Path, content: bytes
    ) -> None:
        path = tmp_path / "notes.txt"
        path.write_bytes(content)
        with (
            closing(Database(f"sqlite:///{path}")) as database,
            pytest.raises(StorageUnavailable, match="database"),
        ):
            database.migrate()

    def test_a_file_in_no_folder_is_unavailable(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'missing' / 'access.db'}"
        with closing(Database(url)) as database, pytest.raises(StorageUnavailable):
            database.check_schema()

    @pytest.mark.parametrize(
        "url",
        ["postgresql://nobody:x@127.0.0.1:1/none", "postgresql:///none?host=/nowhere"],
        ids=["nothing listens", "no socket"],
    )
    def test_a_server_that_does_not_answer_is_unavailable(self, url: str) -> None:
        with closing(Database(url, wait=1)) as database, pytest.raises(StorageUnavailable):
            database.check_schema()

    def test_a_server_that_was_stopped_and_started_is_used_again(
        self, postgres: Postgres, postgres_url: str
    ) -> None:
        with closing(Database(postgres_url, wait=1)) as database:
            together(database, [lambda n=n: _put(database, f"before {n}") for n in range(5)])
            postgres.stop()
            try:
                for _ in range(3):
                    with pytest.raises(StorageUnavailable):
                        _put(database, "meanwhile")
            finally:
                postgres.start()
            together(database, [lambda n=n: _put(database, f"after {n}") for n in range(5)])
            assert (
                _get(database, "before 4"),
                _get(database, "meanwhile"),
                _get(database, "after 4"),
            ) == (
                "x",
                None,
                "x",
            )

    def test_a_connection_lost_inside_savepoints_is_not_used_again(
        self, postgres: Postgres, postgres_url: str
    ) -> None:
        with closing(Database(postgres_url)) as database:
            with pytest.raises(StorageUnavailable), database.transaction():
                (found,) = database.rows("SELECT pg_backend_pid()")
                postgres.execute(f"SELECT pg_terminate_backend({found[0]}, 5000)")
                with database.transaction():
                    key_values.put(database, "lost", "x")
            _put(database, "kept")
            assert (_get(database, "lost"), _get(database, "kept")) == (None, "x")

    def test_a_lock_that_is_never_released_is_unavailable_after_the_wait(
        self, postgres_url: str
    ) -> None:
        with (
            closing(Database(postgres_url)) as holder,
            closing(Database(postgres_url, wait=1)) as database,
        ):
            _put(holder, "key")
            with holder.transaction():
                key_values.put(holder, "key", "held")
                with pytest.raises(StorageUnavailable, match="lock"):
                    _put(database, "key", "other")
            assert _get(database, "key") == "held"
