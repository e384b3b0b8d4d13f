"""The result of the last write is known without a new write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from bot.core.errors import StorageUnavailable
from bot.operations.process.check_storage import check_writing, writing_problem
from storage import key_values
from storage.database import Database
from tests.factories import make_world
from tests.full_disk import SmallDisk
from tests.locks import held


@pytest.fixture
def impatient(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url, wait=0.2)) as database:
        yield database


def put(database: Database, value: str) -> None:
    with database.transaction():
        key_values.put(database, "key", value)


def test_a_write_that_fails_is_known_until_one_works(impatient: Database) -> None:
    put(impatient, "one")
    assert impatient.writes.problem == "" and impatient.writes.failing_for == 0
    with held(impatient, "key_values"):
        with pytest.raises(StorageUnavailable) as caught:
            put(impatient, "two")
        assert impatient.writes.problem == caught.value.cause
        assert impatient.writes.failing_for > 0
        with impatient.reading():
            assert key_values.get(impatient, "key") == "one"
        assert impatient.writes.problem
    put(impatient, "three")
    assert impatient.writes.problem == "" and impatient.writes.failing_for == 0
    assert impatient.writes.failed_within(60)


def test_a_transaction_that_changes_nothing_proves_nothing(impatient: Database) -> None:
    put(impatient, "one")
    with held(impatient, "key_values"), pytest.raises(StorageUnavailable):
        put(impatient, "two")
    with impatient.transaction():
        assert impatient.run("UPDATE key_values SET value = 'x' WHERE key = 'none'") == 0
    assert impatient.writes.problem
    with impatient.transaction():
        impatient.run_many("DELETE FROM key_values WHERE key = ?", [("key",)])
    assert impatient.writes.problem == ""


def test_an_idle_process_notices_that_writing_works_again(
    impatient: Database, tmp_path: Path
) -> None:
    world = make_world(tmp_path, db=impatient).world
    with held(impatient, "key_values"):
        with pytest.raises(StorageUnavailable):
            put(impatient, "two")
        assert writing_problem(world)
    assert writing_problem(world) == ""


def test_a_postgresql_that_became_read_only_is_known(postgres_url: str) -> None:
    with closing(Database(postgres_url)) as database:
        put(database, "one")
        with psycopg.connect(postgres_url, autocommit=True) as other:
            name = other.info.dbname
            other.execute(
                f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'.encode()
            )
        database.close()
        with pytest.raises(StorageUnavailable, match="read-only"):
            put(database, "two")
        assert "read-only" in database.writes.problem


def test_a_statement_that_times_out_is_a_write_that_failed(postgres_url: str) -> None:
    with closing(Database(postgres_url)) as database:
        with pytest.raises(StorageUnavailable, match="timeout"), database.transaction():
            database.run("SET LOCAL statement_timeout = '20ms'")
            database.rows("SELECT pg_sleep(9)")
        assert "timeout" in database.writes.problem


def test_a_file_system_that_became_read_only_is_known(
    small_disk: SmallDisk, tmp_path: Path
) -> None:
    with closing(Database(f"sqlite:///{small_disk.folder}/access.db")) as database:
        database.migrate()
        world = make_world(tmp_path, db=database).world
        database.close()  # a file that is open for writing keeps it from being mounted read-only
        with small_disk.read_only():
            with pytest.raises(StorageUnavailable):
                check_writing(world)
            assert database.writes.problem
            database.close()
        check_writing(world)
        assert database.writes.problem == ""


def test_the_doctor_s_test_write_fails_on_a_full_disk(
    small_disk: SmallDisk, tmp_path: Path
) -> None:
    """Data that are rolled back never reach the disk, so such a trial would succeed."""
    with closing(Database(f"sqlite:///{small_disk.folder}/access.db")) as database:
        database.migrate()
        world = make_world(tmp_path, db=database).world
        check_writing(world)
        with small_disk.full():
            with pytest.raises(StorageUnavailable, match="full"):
                for _ in range(10):  # the rest of a block may be free
                    check_writing(world)
            assert "full" in database.writes.problem
        check_writing(world)
        assert database.writes.problem == ""
