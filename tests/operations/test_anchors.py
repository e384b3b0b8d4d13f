"""The head of the log is anchored outside of the database, and every change of the log is found:
by `audit verify` and by the verifier in docs/, with anchors and without."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from bot.core.anchors import Anchor, anchor_line
from bot.core.audit import COLUMNS, GENESIS, link_hash
from bot.core.audit_export import json_lines
from bot.operations._unit_of_work import unit
from bot.operations.audit.anchor_head import anchor_daily
from bot.operations.audit.record_verified import record_verified
from bot.operations.audit.verify_audit import verify_audit
from bot.operations.process.check_storage import begin_log
from bot.sources import anchor_file
from bot.tokens import Signer
from bot.worker.anchors import outside
from storage import anchors, audit
from storage.database import Database
from tests.builders import WORKSPACE
from tests.concurrency import together
from tests.factories import KEYS, Made, make_world

VERIFIER = Path(__file__).parent.parent.parent / "docs/verify_audit.py"
NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
MARKS = ", ".join("?" * len(COLUMNS))


# --- anchoring


def _notes(made: Made) -> list[dict[str, object]]:
    found = made.rows("SELECT data FROM outbox WHERE data LIKE '%head_anchored%'")
    return [json.loads(str(data)) for (data,) in found]


def test_a_day_has_one_anchor_however_many_replicas(made: Made) -> None:
    made.a_grant()
    replicas = [replace(made.world, chain=audit.Chain(Signer(KEYS))) for _ in range(3)]
    together(made.world.db, [partial(anchor_daily, world) for world in replicas])
    (note,) = _notes(made)
    (anchor,) = made.rows("SELECT seq, hash FROM anchors")
    assert (note["seq"], note["hash"]) == anchor
    assert made.rows("SELECT hash FROM audit WHERE seq = ?", anchor[0]) == [(anchor[1],)]
    made.clock.at += 86_400
    assert anchor_daily(made.world) and len(_notes(made)) == 2


def test_a_verified_head_is_anchored_and_compared_from_then_on(made: Made) -> None:
    made.a_grant()
    verdict = verify_audit(made.world)
    record_verified(made.world, "os:ana", verdict.records, verdict.head)
    assert [note["hash"] for note in _notes(made)] == [verdict.head]
    assert verify_audit(made.world).anchors == 1


def test_an_anchor_is_appended_to_the_file_once(tmp_path: Path) -> None:
    path, anchor = str(tmp_path / "anchors"), Anchor(7, "a" * 64, 1_790_000_000)
    assert anchor_file.read(path).anchors == []
    for _ in range(2):
        anchor_file.append(path, anchor)
    assert anchor_file.read(path).anchors == [anchor]


@pytest.mark.parametrize("kept", [10, 40, 80, 100, -1])
def test_a_line_that_a_full_disk_cut_off_is_completed(tmp_path: Path, kept: int) -> None:
    path, first = tmp_path / "anchors", Anchor(7, "a" * 64, 1_790_000_000)
    anchor_file.append(str(path), first)
    stamped = Anchor(9, "b" * 64, 1_790_000_060, "Zm9v" * 1000)
    whole = path.read_text() + anchor_line(stamped) + "\n"
    path.write_text(path.read_text() + (anchor_line(stamped) + "\n")[:kept])
    cut = anchor_file.read(str(path))
    assert cut.problem or cut.anchors == [first, replace(stamped, token="")]
    anchor_file.append(str(path), stamped)
    assert path.read_text() in (whole, whole.rstrip("\n"))
    path.write_text(path.read_text().rstrip("\n"))
    anchor_file.append(str(path), replace(first, seq=11))
    assert [each.seq for each in anchor_file.read(str(path)).anchors] == [7, 9, 11]


# --- tampering


@dataclass
class Copy:
    """A copy of a real database that an attacker with its password, and some with its key, had."""

    made: Made
    db: sqlite3.Connection
    older: Path

    def rows(self) -> list[tuple[object, ...]]:
        return self.db.execute(f"SELECT {NAMES} FROM audit ORDER BY seq").fetchall()

    def put(self, rows: list[tuple[object, ...]], *, chained: bool = True) -> None:
        """Replaces the log, with hashes that match, and seals it with the stolen key."""
        prev, self.made.forged = GENESIS, True
        self.db.execute("DELETE FROM audit")
        for seq, row in enumerate(rows, 1):
            if chained:
                row = (seq, *row[1:11], prev)
                row = (*row, link_hash(row))
            prev = str(row[12])
            self.db.execute(f"INSERT INTO audit ({NAMES}) VALUES ({MARKS})", row)
        seal = self.made.signer.seal(len(rows), prev)
        head = (len(rows), prev, seal)
        self.db.execute("UPDATE audit_head SET seq = ?, hash = ?, seal = ?", head)


def _edit(copy: Copy) -> None:
    copy.db.execute("UPDATE audit SET actor = 'U0EVE' WHERE seq = 3")


def _edit_the_last(copy: Copy) -> None:
    copy.db.execute("UPDATE audit SET actor = 'U0EVE' WHERE seq = (SELECT MAX(seq) FROM audit)")


def _delete(copy: Copy) -> None:
    copy.db.execute("DELETE FROM audit WHERE seq = 3")


def _reorder(copy: Copy) -> None:
    rows = copy.rows()
    copy.put([*rows[:2], (3, *rows[3][1:]), (4, *rows[2][1:]), *rows[4:]], chained=False)


def _insert(copy: Copy) -> None:
    rows = copy.rows()
    copy.put([*rows[:2], rows[0], *rows[2:]])


def _cut(copy: Copy) -> None:
    copy.put(copy.rows()[:-3])


def _empty(copy: Copy) -> None:
    copy.put([])


def _rewrite(copy: Copy) -> None:
    rows = copy.rows()
    kept = (*rows[2][:9], "another reason", *rows[2][10:])
    copy.put([*rows[:2], kept, *rows[3:]])


def _put_back_the_log(copy: Copy) -> None:
    with closing(sqlite3.connect(copy.older)) as older:
        rows = older.execute(f"SELECT {NAMES} FROM audit ORDER BY seq").fetchall()
        head = older.execute("SELECT seq, hash, seal FROM audit_head").fetchone()
    copy.put(rows)
    copy.db.execute("UPDATE audit_head SET seq = ?, hash = ?, seal = ?", head)
    for (table,) in copy.db.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
        if table in ("leases", "votes", "grants", "requests", "tokens", "gates"):
            copy.db.execute(f"DELETE FROM {table}")  # each row that a later record was about


def _put_back_everything(copy: Copy) -> None:
    copy.made.forged = True
    with closing(sqlite3.connect(copy.older)) as older:
        copy.db.commit()
        older.backup(copy.db)


def _untouched(copy: Copy) -> None:
    pass


TAMPERING: dict[str, tuple[Callable[[Copy], None], bool, bool, bool]] = {
    # found by verify without anchors, with them, and by the verifier in docs/ with them
    "nothing": (_untouched, False, False, False),
    "a record is edited": (_edit, True, True, True),
    "the last record is edited": (_edit_the_last, True, True, True),
    "a record is deleted": (_delete, True, True, True),
    "records change places": (_reorder, True, True, True),
    "a record is inserted, with the key": (_insert, False, True, True),
    "the end is cut off, with the key": (_cut, True, True, True),
    "the log is emptied, with the key": (_empty, True, True, True),
    "a reason is rewritten, with the key": (_rewrite, False, True, True),
    "log and rows are put back": (_put_back_the_log, False, True, True),
    "the whole database is put back": (_put_back_everything, False, True, True),
}


@pytest.fixture
def copy(sqlite_url: str, tmp_path: Path) -> Iterator[Copy]:
    """A log of two parts, with an older copy of the database in between, and an anchor."""
    kept = tmp_path / "anchors"
    made = make_world(tmp_path, db=Database(sqlite_url))
    made.set_policy(workspace=WORKSPACE + f'anchor_file = "{kept}"\n')
    with unit(made.world) as u:
        u.note(audit.Event.AUDIT_READ, "U0LEA")
    made.world.db.close()
    path, older = tmp_path / "access.db", tmp_path / "older.db"
    _checkpoint(path)
    shutil.copyfile(path, older)
    made.a_grant()
    anchor_daily(made.world)
    with made.world.db.reading():
        for anchor in anchors.every(made.world.db):
            anchor_file.append(str(kept), anchor)
    with closing(sqlite3.connect(path)) as db:
        for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            db.execute(f"DROP TRIGGER {name}")
        yield Copy(made, db, older)
    made.world.db.close()


def _checkpoint(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("kind", TAMPERING)
def test_every_kind_of_tampering_is_found(copy: Copy, kind: str, tmp_path: Path) -> None:
    tamper, without, verified, alone = TAMPERING[kind]
    tamper(copy)
    copy.db.commit()
    restarted = replace(copy.made.world, chain=audit.Chain(Signer(KEYS)))
    begin_log(restarted)
    found = verify_audit(restarted, outside=outside(restarted)).broken
    assert (found is not None) is verified, found
    assert (_alone(copy, tmp_path, tmp_path / "anchors") == 1) is alone
    copy.db.execute("DELETE FROM anchors")
    copy.db.commit()
    assert (verify_audit(restarted).broken is not None) is without


def _alone(copy: Copy, folder: Path, kept: Path) -> int:
    """The exit code of the verifier in docs/ over an export."""
    export = folder / "export.jsonl"
    with export.open("w", encoding="utf-8") as file:
        file.writelines(json_lines(copy.rows()))
    ran = subprocess.run(
        [sys.executable, "-I", "-S", str(VERIFIER), str(export), "--anchors", str(kept)],
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in ran.stderr
    return ran.returncode


def test_anchors_that_cant_be_read_leave_the_log_unchecked(made: Made, tmp_path: Path) -> None:
    kept = tmp_path / "anchors"
    kept.write_text(anchor_line(Anchor(1, "a" * 64, 0)).replace("a", "x"))
    made.set_policy(workspace=WORKSPACE + f'anchor_file = "{kept}"\n')
    made.a_grant()
    verdict = verify_audit(made.world, outside=outside(made.world))
    assert not verdict.is_intact and "line 1 of" in verdict.unchecked
