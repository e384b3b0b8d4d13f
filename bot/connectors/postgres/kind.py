"""The settings and actions of PostgreSQL systems in roles.toml. Needs no driver."""

import re
from typing import Literal

from bot.connectors.actions import ADMIN, LIKE_ADMIN, Broad
from bot.connectors.base import Connector, ConnectorDeps, ConnectorKind
from bot.connectors.postgres.actions import fill, problem
from bot.connectors.settings import SystemTable, Text, checking
from bot.core.roles import Settings, System
from bot.core.values import quoted


class PostgresTable(SystemTable):
    url: Text
    address: Text | None = None
    record: Literal["statements"] | None = None


def _url(url: object, _: Settings) -> None:
    if not str(url).startswith(("postgresql://", "postgres://")):
        raise ValueError("url has to begin with postgresql://")


def _wrong_action(action: str) -> str:
    wrong = problem(action)
    return wrong and f"{quoted(action)} is not the body of a GRANT: {wrong}"


def _broad_action(action: str) -> str:
    return next((words for pattern, words in _BROAD if pattern.search(action)), "")


def _make(system: System, tools: ConnectorDeps) -> Connector:
    from bot.connectors.postgres.connector import Postgres  # psycopg is an extra

    return Postgres(system, tools)


_MIGHTY = (
    "pg_(?:read|write)_all_data|pg_(?:read|write)_server_files|pg_execute_server_program|pg_database_owner"
    "|pg_maintain|pg_signal_backend|pg_create_subscription|postgres|rds_superuser|cloudsqlsuperuser"
    "|alloydbsuperuser|azure_pg_admin"
)
_BROAD: Broad = (
    (re.compile(r"(?:^|,)\s*all\b", re.IGNORECASE), "gives ALL PRIVILEGES; name those it needs"),
    (
        re.compile(rf'^\s*role\b.*\b"?(?:{_MIGHTY})\b', re.IGNORECASE),
        "is a role for the whole server; grant what is needed on tables or schemas",
    ),
    (re.compile(rf"^\s*role\b.*{ADMIN}", re.IGNORECASE), LIKE_ADMIN),
    (
        re.compile(r"\bwith\s+(?:grant|admin)\s+option\b", re.IGNORECASE),
        "lets its holder grant it to others, beyond the end of the access",
    ),
    (
        re.compile(
            r"\b(?:insert|update|delete|truncate|trigger)\b.*\bon\s+all\s+tables\b", re.IGNORECASE
        ),
        "changes every table of the schema; name the tables",
    ),
)
"""Patterns of actions on a database, and their warnings. The first match counts. Only a role is
judged by its name: a table may have any name."""


wrong_settings = checking({"url": _url})

KIND = ConnectorKind(
    make=_make,
    table=PostgresTable,
    wrong_settings=wrong_settings,
    shown=frozenset({"url", "address", "record"}),
    wrong_action=_wrong_action,
    fill=fill,
    broad_action=_broad_action,
)
