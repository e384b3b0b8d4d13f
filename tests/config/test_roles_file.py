"""The moment at which a saved roles.toml comes into force."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.config.roles.file import CHECKS_WHEN_SHORTER, LEAST_CHECKS, RolesFile
from bot.connectors import KINDS
from bot.core.errors import ConfigError, Problem, StorageUnavailable
from bot.core.roles import Policy
from tests.builders import ENVIRON, policy_text

STRICT = policy_text(shop_admin='approvals = 2\nticket = "^[A-Z]+-[0-9]+$"')
OTHER = policy_text(shop_admin='approvals = 3\nticket = "^[A-Z]+-[0-9]+$"')
HALF = OTHER[: OTHER.index("ticket")]
"""Valid, and without the ticket: a file that a program has only half written."""


@dataclass
class Saved:
    """A roles.toml in force, and everything that came into force or was refused since."""

    path: Path
    file: RolesFile
    loaded: list[str] = field(default_factory=list)
    rejected: list[list[Problem]] = field(default_factory=list)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.file.reload(
                lambda policy: self.loaded.append(policy.digest),
                lambda _, why: self.rejected.append(why),
            )

    @property
    def approvals(self) -> int:
        return self.file.current().roles["shop-admin"].approvals


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    path = tmp_path / "roles.toml"
    path.write_text(STRICT)
    return Saved(path, RolesFile(str(path), ENVIRON, KINDS))


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def through_a_temporary_file(path: Path, text: str) -> None:
    other = path.with_suffix(".swp")
    other.write_text(text)
    other.replace(path)


SAVES = [in_place, through_a_temporary_file]


@pytest.mark.parametrize("save", SAVES)
def test_a_saved_file_is_in_force_after_two_equal_reads(
    saved: Saved, save: Callable[[Path, str], None]
) -> None:
    save(saved.path, OTHER)
    saved.look()
    assert (saved.approvals, saved.loaded) == (2, [])
    saved.look()
    assert saved.approvals == 3
    saved.look(10)
    assert len(saved.loaded) == 1


def test_half_a_file_is_not_in_force_while_it_is_being_written(saved: Saved) -> None:
    for end in range(len(HALF) - 3, len(HALF)):
        saved.path.write_text(OTHER[:end])
        saved.look()
    saved.path.write_text(HALF)
    saved.look(CHECKS_WHEN_SHORTER - 1)
    saved.path.write_text(OTHER)
    saved.look(LEAST_CHECKS)
    assert (len(saved.loaded), saved.rejected, saved.approvals) == (1, [], 3)


def test_a_file_that_stays_shorter_is_in_force_within_five_seconds(saved: Saved) -> None:
    saved.path.write_text(HALF)
    saved.look(CHECKS_WHEN_SHORTER)
    assert saved.file.current().roles["shop-admin"].ticket is None
    assert CHECKS_WHEN_SHORTER < 5


def test_changed_content_with_the_same_time_and_size_is_noticed(saved: Saved) -> None:
    stat = saved.path.stat()
    saved.path.write_text(OTHER)
    os.utime(saved.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (
        saved.path.stat().st_mtime_ns == stat.st_mtime_ns
        and saved.path.stat().st_size == stat.st_size
    )
    saved.look(LEAST_CHECKS)
    assert saved.approvals == 3


def test_a_file_that_is_touched_before_each_read_is_still_being_saved(saved: Saved) -> None:
    for second in range(5):
        saved.path.write_text(OTHER)
        os.utime(saved.path, (second, second))
        saved.look()
    assert saved.loaded == []


BAD = {"empty": "", "cut": STRICT[: STRICT.index("approvers")], "not TOML": "[[["}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_bad_file_keeps_the_last_good_one_and_is_reported_once(saved: Saved, text: str) -> None:
    saved.path.write_text(text)
    saved.look(10)
    assert (saved.approvals, saved.loaded, len(saved.rejected)) == (2, [], 1)
    saved.path.write_text(STRICT)
    saved.look(10)
    assert (saved.approvals, len(saved.loaded), len(saved.rejected)) == (2, 1, 1), (
        "it is told that it is good again"
    )


def test_a_removed_file_keeps_the_last_good_one_and_is_reported_once(saved: Saved) -> None:
    saved.path.unlink()
    saved.look(10)
    assert (saved.approvals, len(saved.rejected)) == (2, 1)
    assert "can't be read: No such file or directory" in str(saved.rejected[0][0])


def test_a_reload_that_could_not_be_recorded_is_recorded_at_the_next_read(saved: Saved) -> None:
    def down(_: Policy) -> None:
        raise StorageUnavailable("the database is down")

    saved.path.write_text(OTHER)
    saved.look()
    with pytest.raises(StorageUnavailable):
        saved.file.reload(down, lambda *_: None)
    saved.look()
    assert len(saved.loaded) == 1


def test_a_start_without_a_good_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        RolesFile(str(tmp_path / "none.toml"), ENVIRON, KINDS)
