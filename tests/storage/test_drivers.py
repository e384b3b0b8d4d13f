"""A process on SQLite doesn't load PostgreSQL's driver; one on PostgreSQL does, and none is left half loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

START = """
import sys
{before}
from storage.drivers import load_for
load_for({url!r})
import bot.app
from contextlib import closing
from storage.database import Database
if {opened}:
    with closing(Database({url!r})) as db:
        db.migrate()
        with db.reading():
            print(db.row("SELECT 'works'")[0], end=" ")
print("psycopg" in sys.modules, end=" ")
import psycopg
print(psycopg.connect.__name__)
"""


def _said(url: str, before: str = "", opened: bool = True) -> list[str]:
    code = START.format(url=url, before=before, opened=opened)
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def test_on_sqlite_postgresql_s_driver_is_not_loaded_and_can_be_later(tmp_path: Path) -> None:
    assert _said(f"sqlite:///{tmp_path / 'access.db'}") == ["works", "False", "connect"]


def test_on_postgresql_it_is(postgres_url: str) -> None:
    assert _said(postgres_url) == ["works", "True", "connect"]


def test_what_is_loaded_already_is_left_alone(tmp_path: Path) -> None:
    assert _said("sqlite:///:memory:", before="import psycopg", opened=False) == ["True", "connect"]
    assert _said("sqlite:///:memory:", before="import peewee", opened=False) == ["True", "connect"]
