"""Both databases for every test that needs one: SQLite in a file, and a real PostgreSQL."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from bot.core.names import use_names
from storage.database import Database
from tests.browser import NO_BROWSER
from tests.connectors.hosts import NO_SSHD
from tests.delivery_harness import DeliveryHarness, a_harness
from tests.factories import GROUPS, Made, make_world
from tests.first_look import Slack, Start
from tests.full_disk import NO_DISK, SmallDisk, mount, unmount
from tests.postgres import Postgres
from tests.readme import FIRST_HOUR, NO_INDEX, PORT_TAKEN

NO_POSTGRES = "PostgreSQL could not be started"
MISSED = {
    NO_POSTGRES: "Nothing was tested on PostgreSQL.",
    NO_BROWSER: "The page was not tried in a browser.",
    NO_SSHD: "No SSH certificate met a real sshd.",
    PORT_TAKEN: "Nobody followed the README.",
    NO_DISK: "No disk was really full.",
    NO_INDEX: "Nobody ran the wheel with uvx.",
}


MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30
"""Bytes that a file system in memory must have free to be used."""


def pytest_configure() -> None:
    """Puts temporary files into memory where there is room: the tests make and remove thousands of
    databases, which takes several times as long on some disks. An example of hypothesis may take as
    long as a busy machine needs."""
    settings.register_profile("untimed", settings.default, deadline=None)
    settings.load_profile("untimed")
    if "TMPDIR" not in os.environ and _has_room(MEMORY):
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None


def _has_room(place: Path) -> bool:
    try:
        found = os.statvfs(place)
    except OSError:
        return False
    mounted = not found.f_flag & (os.ST_NOEXEC | os.ST_RDONLY)  # some tests run programs from there
    return mounted and os.access(place, os.W_OK) and found.f_bavail * found.f_frsize > ROOM


@pytest.fixture(autouse=True)
def default_names() -> Iterator[None]:
    """A command that runs in this process sets the names of the bot, which the next test must not
    have."""
    yield
    use_names()


@pytest.fixture(autouse=True)
def log_levels() -> Iterator[None]:
    """A command that runs in this process sets log levels, which the next test must not have."""
    before = {logger: logger.level for logger in _loggers()}
    yield
    for logger in _loggers():
        if logger.level != before.get(logger, logging.NOTSET):
            logger.setLevel(before.get(logger, logging.NOTSET))


def _loggers() -> list[logging.Logger]:
    made = logging.root.manager.loggerDict.values()
    return [logging.root, *(each for each in made if isinstance(each, logging.Logger))]


LONGEST = (
    "tests/browser/",
    "tests/faults/",
    "tests/test_readme.py",
    "tests/test_bench.py",
    "tests/connectors/",
)
"""The tests that take longest and mostly wait, in this order; the others use the processor all the
time."""
ONE_WORKER = ("tests/browser/test_tour", "tests/browser/", "tests/connectors/test_postgres")
"""Files that share something that takes long to start: a browser with the demo, and a PostgreSQL
with passwords. The guided tour, which takes as long as half of the others, has its own."""


def _place(item: pytest.Item) -> int:
    found = [number for number, start in enumerate(LONGEST) if item.nodeid.startswith(start)]
    return found[0] if found else len(LONGEST)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests that take longest first, so that no worker is left waiting for another at the
    end."""
    items.sort(key=_place)


class Files(LoadFileScheduling):
    """A worker takes whole files, so that a shared fixture starts once, and some files together."""

    def _split_scope(self, nodeid: str) -> str:
        return next(
            (start for start in ONE_WORKER if nodeid.startswith(start)),
            super()._split_scope(nodeid),
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Files | None:
    return Files(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server of this test process. If it can't start, its tests are skipped, and the summary
    says so."""
    try:
        server = Postgres()
    except Exception as error:
        pytest.skip(f"{NO_POSTGRES}: {type(error).__name__}: {error}")
    yield server
    server.remove()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file to copy, because a copy is faster than a migration."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    with closing(Database(f"sqlite:///{path}")) as template:
        template.migrate()
    return path


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    shutil.copyfile(migrated_file, tmp_path / "access.db")
    return f"sqlite:///{tmp_path / 'access.db'}"


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    with postgres.a_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, migrated database: every test that uses it runs once on each."""
    return str(
        request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    )


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as database:
        yield database


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk that can be full. If none can be mounted, its tests are skipped, and the summary says
    so."""
    folder = tmp_path / "disk"
    folder.mkdir()
    disk = mount(folder)
    if isinstance(disk, str):
        pytest.skip(disk)
    yield disk
    unmount(disk)


@pytest.fixture
def made(database: Database, tmp_path: Path) -> Made:
    """A `Made` with people in it, on each of the two databases."""
    return make_world(tmp_path, db=database)


@pytest.fixture
def start(tmp_path: Path, database_url: str) -> Iterator[Start]:
    """A process to which everything is known, on each database; Slack has the same groups."""
    made = make_world(tmp_path, database_url)
    made.forget_work()
    yield Start(made, Slack(dict(GROUPS)))
    made.world.db.close()


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[DeliveryHarness]:
    with a_harness(tmp_path) as harness:
        yield harness


@pytest.fixture
def running(harness: DeliveryHarness) -> Iterator[DeliveryHarness]:
    """A delivery harness with its threads running."""
    harness.start()
    yield harness
    harness.system.free()
    harness.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Reports when a whole part of the suite did not run, and how long the steps of the first hour
    took."""
    reasons = {str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", [])}
    for reason in sorted(reasons):
        for why, missed in MISSED.items():
            if why in reason:
                terminalreporter.write_line(f"WARNING: {reason}. {missed}", red=True, bold=True)
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == FIRST_HOUR:
                terminalreporter.write_line(f"{name}: {value}")
