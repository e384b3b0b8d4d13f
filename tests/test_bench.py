"""Every figure of the benchmark can be measured. The amounts are tiny here, so the tests check only
that it prints numbers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import log, trace
from bench.__main__ import FIGURES
from bench.measure import TINY
from bench.place import postgres, remove_postgres
from bench.why import WHY
from tests.postgres import FAST


@pytest.fixture(scope="module", autouse=True)
def _tidy() -> Iterator[None]:
    """Uses a PostgreSQL that need not survive a crash, because nothing is compared here."""
    if (server := postgres()) is not None:
        for setting in FAST:
            server.execute(f"ALTER SYSTEM SET {setting}")
        server.execute("SELECT pg_reload_conf()")
    yield
    log.forget()
    remove_postgres()


def test_there_is_a_figure_for_every_goal() -> None:
    assert list(FIGURES) == [
        *(f"P{number}" for number in range(1, 23)),
        "S1",
        "P23",
        "P24",
        "C6",
        "C8",
        "C10",
        "C11",
    ]


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_measured(name: str) -> None:
    for line in FIGURES[name](TINY):
        assert line.value >= 0 and line.goal >= 0
        assert line.what and line.value_text and line.wanted


# One of each way to profile: a bot of its own, this process, what is imported. The rest repeat P7
# under another load.
@pytest.mark.parametrize("name", ("P7", "P13", "P17"))
def test_the_time_of_a_figure_can_be_explained(name: str) -> None:
    for line in WHY[name](TINY):
        assert "%" in line, line


def test_files_functions_and_calls_of_one_click_are_counted() -> None:
    """Each row has the calls of its own threads and rooms, and no others."""
    rows = trace.measure(1)
    assert [row.what.split(",")[0] for row in rows] == [
        "a request",
        "Approve",
        "Approve",
        "an end by the clock",
        "GET /auth",
    ]
    for row in rows:
        assert 0 < row.files <= row.functions <= len(row.ours)
        assert all(call.file.startswith(("bot/", "storage/")) for call in row.ours)
        assert not any(call.file.startswith("bot/sandbox/") for call in row.ours)
    request, updated, approved, end, check = rows
    assert updated.files <= approved.files
    assert all(
        row.transactions > 1 and len({call.thread for call in row.ours}) > 1
        for row in (request, approved, end)
    )
    assert check.transactions == 0 and check.statements == 1
    assert any(call.file.startswith("bot/core/") for call in approved.ours)
