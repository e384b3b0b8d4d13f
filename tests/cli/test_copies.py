"""The command line on a copy of the database, and after a restore of one that was changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.audit import Break
from bot.operations.audit.verify_audit import Verdict
from bot.operations.backups.restore_backup import Restored
from bot.operations.grants.release_grant import release_grant
from storage import copies, key_values
from tests.cli.conftest import Shop, run
from tests.factories import CARA


@pytest.mark.parametrize(
    "verb", ["requests approve ID", "emergency shop-admin U0ANA down", "resume", "audit list"]
)
def test_no_command_gives_access_from_a_copy(shop: Shop, verb: str) -> None:
    waiting = shop.ask()
    with shop.made.world.db.transaction():
        key_values.put(shop.made.world.db, copies.COPIED, "2026-11-29T09:00:04Z")
    yes = [] if verb == "audit list" else ["--yes"]
    shown = run(*verb.replace("ID", waiting.id).split(), *yes)
    if verb == "audit list":
        assert shown.exit_code == 0, "reading a copy is allowed"
    else:
        assert "access-bot restore" in shown.stderr and shown.exit_code != 0
    assert shop.made.state("requests", waiting.id) == "pending"


def test_a_copy_is_written_and_put_back(shop: Shop, tmp_path: Path) -> None:
    made, file = shop.made, tmp_path / "copy.db"
    grant, waiting = made.a_grant(person=CARA), shop.ask()
    shown = run("backup", str(file))
    assert shown.exit_code == 0 and f"The copy is in {file}, SHA-256 " in shown.stdout
    assert shop.recorded("database:copy:written")
    assert run("backup", str(file)).exit_code == 1, "it does not replace a file"
    nowhere = run("backup", str(tmp_path / "none" / "copy.db"))
    assert (nowhere.exit_code, "can't be written: No such file" in nowhere.stderr) == (1, True)
    release_grant(made.world, grant.id, CARA)
    made.close_gates(grant)
    made.world.db.close()
    assert run("restore", str(file)).exit_code == 2, "nobody has confirmed it"
    shown = run("restore", str(file), "--yes")
    assert shown.exit_code == 0, shown.output
    assert "To end: 1 grant. Withdrawn: 1 request." in shown.stdout
    assert "The audit log is intact: " in shown.stdout and "access-bot resume" in shown.stdout
    assert made.state("grants", grant.id) == "ending"
    assert made.state("requests", waiting.id) == "withdrawn"
    assert shop.recorded("database:copy:restored")


def test_a_restore_of_a_changed_log_does_not_exit_with_0(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL the copy is in place before its log can be verified."""
    (file := tmp_path / "copy.db").touch()
    done = Restored(0, 1, 0, Verdict(6, "a" * 64, Break(7, "it was changed")))
    monkeypatch.setattr("bot.cli.backup.restore_sqlite", lambda *_given: done)
    shown = run("restore", str(file), "--yes")
    assert (shown.exit_code, "BROKEN at record 7" in shown.stderr) == (1, True), shown.stderr
