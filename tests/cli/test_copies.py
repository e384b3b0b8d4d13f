"""The command line on a copy of the database, and after a restore of one that was changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.audit import Break
from bot.operations.audit.verify_audit import Verdict
from bot.operations.backups.restore_backup import Restored
from storage import copies, key_values
from tests.cli.conftest import Shop, run


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


def test_a_restore_of_a_changed_log_does_not_exit_with_0(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL the copy is in place before its log can be verified."""
    (file := tmp_path / "copy.db").touch()
    done = Restored(0, 1, 0, Verdict(6, "a" * 64, Break(7, "it was changed")))
    monkeypatch.setattr("bot.cli.backup.restore_sqlite", lambda *_given: done)
    shown = run("restore", str(file), "--yes")
    assert (shown.exit_code, "BROKEN at record 7" in shown.stderr) == (1, True), shown.stderr
