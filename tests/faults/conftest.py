"""Companies with the real bot as a process: one for a whole module, or one for a single test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.running_bot import Company, running_company


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """One for a whole module, with the bot running and without rate limits, for which most tests
    would only wait."""
    with running_company(tmp_path_factory.mktemp("company")) as found:
        found.start()
        yield found
        assert found.complaints() == []
        assert found.reactions() == []


@pytest.fixture
def make_company(tmp_path: Path) -> Iterator[Callable[..., Company]]:
    """Makes companies for a single test, in which nothing runs yet; takes the arguments of
    `running_company`."""
    with ExitStack() as stack:
        made = 0

        def make(**options: Any) -> Company:
            nonlocal made
            made += 1
            folder = tmp_path / f"company{made}"
            folder.mkdir()
            return stack.enter_context(running_company(folder, **options))

        yield make


@pytest.fixture
def own_company(make_company: Callable[..., Company]) -> Company:
    """A company for a single test, with the bot running."""
    found = make_company()
    found.start()
    return found
