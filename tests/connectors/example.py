"""Installs the example package of docs/connectors/example into a folder, and runs Python with it or
without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def python(*words: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs Python with these arguments, and with the packages installed in `path`."""
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env["PYTHONPATH"] = os.pathsep.join(str(each) for each in (ROOT, path) if each)
    return subprocess.run(
        [sys.executable, *words], env=env, cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def install(place: Path) -> None:
    """Installs it as an operator does, but without a network."""
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = python(
        *pip,
        "--disable-pip-version-check",
        "--target",
        str(place),
        str(ROOT / "docs/connectors/example"),
    )
    assert done.returncode == 0, done.stderr
