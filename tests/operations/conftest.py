"""After every test of an operation, the log must agree with the database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.operations.audit.verify_audit import verify_audit
from storage.database import Database
from tests.factories import Made, make_world


@pytest.fixture
def made(database: Database, tmp_path: Path) -> Iterator[Made]:
    """A `Made` with people in it, on each of the two databases. A test that changes rows by hand
    sets `forged`."""
    made = make_world(tmp_path, db=database)
    world = made.world
    yield made
    if not made.forged:
        assert verify_audit(world).broken is None
