"""The systemd units give each process its own secrets, and are hardened alike."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.processes import ROOT, UNITS, unit

FOLDER = ROOT / "deploy/systemd"


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_loads_each_secret_and_names_its_copy(name: str) -> None:
    loaded = [text.split(":") for key, text in unit(name) if key == "LoadCredential"]
    assert [path for _, path in loaded] == [
        f"/etc/access-bot/credentials/{secret}" for secret, _ in loaded
    ]
    given = [text for key, text in unit(name) if key == "Environment" and "_FILE=" in text]
    assert given == [f"{secret.upper()}_FILE=%d/{secret}" for secret, _ in loaded]


def hardening(name: str) -> list[tuple[str, str]]:
    """The settings from ProtectSystem on, without those of the installation."""
    settings = unit(name)
    keys = [key for key, _ in settings]
    return [pair for pair in settings[keys.index("ProtectSystem") :] if pair[0] != "WantedBy"]


def test_all_units_are_hardened_alike_and_run_as_their_own_account() -> None:
    one, *others = [hardening(name) for name in UNITS]
    assert all(other == one for other in others)
    assert ("CapabilityBoundingSet", "") in one and ("NoNewPrivileges", "yes") in one
    assert {dict(unit(name))["User"] for name in UNITS} == {"access-bot"}
    assert {path.stem for path in FOLDER.iterdir()} == set(UNITS)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for name in UNITS:
        text = (FOLDER / f"{name}.service").read_text()
        text = re.sub("^ExecStart=.*", "ExecStart=/bin/true", text, flags=re.M)  # nothing in /opt
        (tmp_path / f"{name}.service").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(tmp_path.iterdir())], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
