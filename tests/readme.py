"""Runs the commands of the README and of the pages in docs/, exactly as their marked blocks have
them. A block is marked by a comment in the line above it: `<!-- tested: NAME -->`. Only three
things differ from an operator's work: the tokens and the address of the database are written into
`.env`; pip finds the dependencies in the environment of the tests instead of a registry
(`an_empty_folder`); SLACK_API_URL leads to the sandbox instead of Slack."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
PORT_TAKEN = "a port that the README names is taken"
NO_INDEX = "uv reached no package index"
FIRST_HOUR = "First hour"
"""The property of a test with the duration of each step, which the summary prints."""
PAGES = ("README.md", "docs/running.md", "docs/deploy.md")
MARKED = re.compile(r"^<!-- tested: ([\w ]+) -->\n```sh\n(.*?)^```$", re.M | re.S)
NOT_COPIED = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "dist", "build", "tests", "bench", "images"
)


def blocks() -> dict[str, str]:
    """Every marked block by its name."""
    found = [pair for page in PAGES for pair in MARKED.findall((ROOT / page).read_text())]
    names = [name for name, _ in found]
    assert len(names) == len(set(names)), names
    return dict(found)


BLOCKS = blocks()


class Folder:
    """The folder of a person who follows the README; `environ` is PATH, HOME, and the variables for
    the sandbox."""

    def __init__(self, at: Path, environ: dict[str, str]) -> None:
        self.at, self.environ = at, environ
        self.path = environ["PATH"]
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Adds the duration of this step to `seconds`."""
        began = time.monotonic()
        yield
        self.seconds[step] = self.seconds.get(step, 0) + time.monotonic() - began

    def run(self, name: str, typed: str = "") -> str:
        """Runs a block as written, and returns its output; `typed` are the answers to its
        questions."""
        with self.timed(name):
            return self._shell(BLOCKS[name], typed)

    def _shell(self, commands: str, typed: str = "") -> str:
        done = subprocess.run(
            ["sh", "-euc", commands],
            cwd=self.at,
            env=self.environ,
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def install(self, packages: Path, name: str = "install") -> None:
        """Runs a block that installs; after its first line, which makes the environment, it adds
        the path of the dependencies there."""
        first, activate, *rest = BLOCKS[name].splitlines()
        assert (first, activate) == ("python3 -m venv venv", ". venv/bin/activate")
        with self.timed(name):
            self._shell(first)
            (site,) = self.at.glob("venv/lib/python3*/site-packages")
            (site / "dependencies.pth").write_text(f"{packages}\n")
            self._shell("\n".join([activate, *rest]))
        self.activate()

    def activate(self) -> None:
        """Puts the environment that `install` made first in PATH."""
        self.environ["PATH"] = f"{self.at / 'venv' / 'bin'}:{self.path}"

    def fill_in(self, **values: str) -> None:
        """Fills in the values in `.env`, as an operator does in an editor."""
        file = self.at / ".env"
        lines = file.read_text().splitlines()
        for name, value in values.items():
            (place,) = [n for n, line in enumerate(lines) if line.startswith(f"{name}=")]
            lines[place] = f"{name}={value}"
        file.write_text("\n".join(lines) + "\n")

    @contextmanager
    def start(self, name: str) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Starts each line of a block as a process; its log is NUMBER.log."""
        running = []
        try:
            for number, line in enumerate(BLOCKS[name].splitlines()):
                with (self.at / f"{number}.log").open("wb") as log:
                    command = ["sh", "-c", f"exec env {line}"]
                    running.append(
                        subprocess.Popen(
                            command, cwd=self.at, env=self.environ, stdout=log, stderr=log
                        )
                    )
            yield running
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(20)

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted(self.at.glob("*.log")))


def an_empty_folder(tmp: Path, wheel: bool = False) -> tuple[Folder, Path]:
    """A folder with the repository in it as `access-bot`, or only its wheel, and the folder with
    the dependencies; both are made if missing. The dependencies are links to everything that is
    installed for the tests, except access-bot itself, which comes only from that folder. pip's own
    configuration forbids a registry."""
    at, home, tools, packages = (tmp / name for name in ("folder", "home", "tools", "packages"))
    empty = Folder(at, {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(home)})
    if at.exists():
        return empty, packages
    for folder in (at, home / ".config" / "pip", tools, packages):
        folder.mkdir(parents=True)
    if wheel:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(at)]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    else:
        shutil.copytree(ROOT, at / "access-bot", ignore=NOT_COPIED)
    for place in {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}:
        for entry in place.iterdir():
            if not re.search(r"access_bot|^__|\.pth$|^pip", entry.name):
                (packages / entry.name).symlink_to(entry)
    # For options that begin with no-, pip's configuration takes the value that they set: false
    # turns
    # them on.
    (home / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nno-index = true\nno-build-isolation = false\n"
    )
    python = tools / "python3"
    python.write_text(
        f'#!/bin/sh\nexec "{getattr(sys, "_base_executable", sys.executable)}" "$@"\n'
    )
    python.chmod(0o700)
    return empty, packages


def is_free(port: int) -> bool:
    """Whether nothing listens on this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
