"""The executable of docs/connectors/command.md with its folder, and a wrapper that breaks. It takes
the executable from the page itself, so that an error on the page is found."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.connectors.receiver import source

PAGE = Path(__file__).parents[2] / "docs/connectors/command.md"

BREAKING = """
import os, runpy, sys
from pathlib import Path
folder = Path(os.environ["DOORS"])
fault, _, since = (folder / "fault").read_text().partition(" ")
with (folder / "calls").open("ab", buffering=0) as count:  # two runs may count at the same moment
    count.write(b".")
    calls = count.tell()
broken = fault and calls >= int(since)
if broken and fault == "away":
    sys.exit(75)
runpy.run_path(str(folder / "lab-door"))
sys.stdout.flush()
if broken and fault == "dies":
    os.kill(os.getpid(), 9)
if broken:
    sys.exit(75)
"""
"""Runs the executable of the page, or breaks before or after it."""


class Gates:
    """The folder that the lock reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "lab-door").write_text(source(PAGE, "<!-- command -->"))
        (folder / "run").write_text(BREAKING)
        self._set("")

    def _set(self, fault: str) -> None:
        (self.folder / "fault").write_text(fault)
        (self.folder / "calls").write_text("")

    @contextmanager
    def breaking(self, fault: str, since: int = 1) -> Iterator[None]:
        self._set(f"{fault} {since}")
        try:
            yield
        finally:
            self._set("")

    def open_by(self, code: str) -> bool:
        """Whether the lock opens for a code."""
        gates = [json.loads(place.read_text()) for place in self.folder.glob("*.json")]
        return any(door["code"] == code and door["ends_at"] > time.time() for door in gates)
