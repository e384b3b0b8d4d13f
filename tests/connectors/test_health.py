"""The health of systems, by their last calls and by checks; reading it waits for no system."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import bot.connectors
import bot.connectors.health
from bot.app import build_systems
from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.connectors.health import Health
from bot.core.errors import OutcomeUnknown, StorageUnavailable, SystemRefused, SystemUnavailable
from tests.builders import WORKSPACE
from tests.connectors import folder
from tests.factories import START, make_world

UNWELL = "unwell since 2026-09-21T14:13:20Z: see the log, or access-bot doctor"


@pytest.fixture
def health() -> Health:
    return Health(lambda: 1_790_000_000)


def what_it_did(health: Health, error: Exception | None) -> None:
    try:
        with health.watching("db"):
            if error is not None:
                raise error
    except Exception as raised:
        assert raised is error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, "well"),
        (SystemUnavailable("no route to 10.0.0.1"), UNWELL),
        (OutcomeUnknown("the answer was lost"), UNWELL),
        (KeyError("a bug"), UNWELL),
        (SystemRefused("forbidden"), "not asked yet"),
        (StorageUnavailable("ours is away"), "not asked yet"),
    ],
)
def test_the_last_call_decides_the_health_of_a_system(
    health: Health, error: Exception | None, said: str
) -> None:
    what_it_did(health, error)
    assert health.describe(["db", "other"]) == {"db": said, "other": "not asked yet"}
    assert "10.0.0.1" not in str(health.describe(["db"]))


def test_a_system_is_well_again_after_a_successful_call(health: Health) -> None:
    what_it_did(health, SystemUnavailable("down"))
    what_it_did(health, None)
    assert health.describe(["db"]) == {"db": "well"}


def test_the_health_has_the_time_of_the_first_failure(caplog: pytest.LogCaptureFixture) -> None:
    at = [START]
    health = Health(lambda: at[0])
    for _ in range(3):
        what_it_did(health, SystemUnavailable("down"))
        at[0] += 3600
    assert health.describe(["db"]) == {"db": UNWELL} if START == 1_790_000_000 else True
    assert caplog.text.count("the system db is unwell: down") == 1


def test_a_hanging_call_is_reported_without_waiting_for_it(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.connectors.health, "HANGS", 0.0)
    inside, freed = threading.Event(), threading.Event()

    def hang() -> None:
        with health.watching("db"):
            inside.set()
            freed.wait(30)

    thread = threading.Thread(target=hang)
    thread.start()
    assert inside.wait(10)
    said = health.describe(["db", "other"])
    freed.set()
    thread.join()
    assert (
        said["db"].startswith("unwell: it has not answered for ")
        and said["other"] == "not asked yet"
    )
    assert health.describe(["db"]) == {"db": "well"}


def test_every_system_with_a_check_is_checked_in_parallel(health: Health, tmp_path: Path) -> None:
    kinds = {"fine": "folder", "down": "folder", "hangs": "folder", "dark": "blind"}
    tables = "".join(folder.settings(name, tmp_path / name, kind) for name, kind in kinds.items())
    tables += '[systems.wrong]\nconnector = "folder"\nfolder = "relative"\n'
    for name in kinds:
        (tmp_path / name).mkdir()
    (tmp_path / "down" / ".down").touch()
    (tmp_path / "hangs" / ".hang").touch()
    with folder.installed(tmp_path / "packages"):
        made = make_world(
            tmp_path, policy=parse_policy(WORKSPACE + tables, "roles.toml", {}, KINDS)
        )
        health.ask(build_systems(made.world), made.world.policy().systems, patience=0.5)
    (tmp_path / "hangs" / ".hang").unlink()
    made.world.db.close()
    said = health.describe(made.world.policy().systems)
    assert (said["fine"], said["dark"]) == ("well", "not asked yet")
    assert {said[name] for name in ("down", "hangs", "wrong")} == {UNWELL}
