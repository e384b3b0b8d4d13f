"""Reads a roles.toml without the environment of the bot, to compare its roles with those of another
one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from bot.config.roles.parse import decode_policy, given_in, read_content, variables_in
from bot.config.roles.rules import Checked
from bot.config.roles.schema import STREAM_TABLES, OnCallTable, TicketsTable
from bot.core.roles import Key, Policy, SystemKind
from bot.core.values import Expanded

_STAND_IN = "https://not-set.invalid/"
"""Stands for every variable that is not set."""

_NOWHERE = ("not-set.invalid", 1)
"""Stands for the host and port of a syslog stream."""


class _NoSettings(BaseModel):
    """The settings of a system whose variables are not set."""


def policy_without_secrets(
    path: str, environ: Mapping[str, str], kinds: Mapping[str, SystemKind]
) -> Policy:
    """The policy in the file at `path`. A table below [systems], [oncall], [tickets] and [[stream]]
    that reads a variable which is not set is not checked. Nothing can be given with it. Raises
    ConfigError."""
    content = read_content(path)
    read = variables_in(content.decode(errors="replace"))
    unset = {name for name in read if not {name, f"{name}_FILE"} & environ.keys()}
    known = {**environ, **dict.fromkeys(unset, _STAND_IN)}
    return decode_policy(content, path, known, kinds, _stand_in)


def _stand_in(checked: Checked, data: dict[str, Any]) -> None:
    """Puts a stand-in where a table could not be checked, and takes out its problems."""
    open_ = set(_open_tables(data))
    checked.found = [
        problem for problem in checked.found if not open_ & {problem[0][:1], problem[0][:2]}
    ]
    for path in open_:
        table = _at(data, path)
        if path == ("tickets",):
            checked.tickets = TicketsTable.model_construct(None, **_as_written(table))
        elif path[0] == "oncall":
            duty = OnCallTable.model_construct(None, **_as_written(table))
            checked.on_call[str(path[1])] = duty
        elif path[0] == "systems" and table.get("connector") in checked.kinds:
            system = str(table["connector"]), _NoSettings()
            checked.systems.setdefault(str(path[1]), system)
        elif path[0] == "stream" and (model := STREAM_TABLES.get(str(table.get("kind")))):
            stream = model.model_construct(None, **_as_written(table) | {"address": _NOWHERE})
            if stream.name not in [each.name for each in checked.streams]:
                checked.streams.append(stream)


def _open_tables(data: dict[str, Any]) -> Iterator[Key]:
    """The places of the tables that read a variable which is not set."""
    tables: list[Key] = [("tickets",)] if isinstance(data.get("tickets"), dict) else []
    for section in ("systems", "oncall"):
        named = data.get(section)
        tables += [
            (section, name)
            for name, table in (named.items() if isinstance(named, dict) else ())
            if isinstance(table, dict)
        ]
    streams = data.get("stream")
    tables += [
        ("stream", place)
        for place, table in enumerate(streams if isinstance(streams, list) else ())
        if isinstance(table, dict)
    ]
    yield from (path for path in tables if _STAND_IN in given_in(_at(data, path)).values())


def _at(data: dict[str, Any], path: Key) -> dict[str, Any]:
    found: Any = data
    for part in path:
        found = found[part]
    assert isinstance(found, dict)
    return found


def _as_written(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.raw if isinstance(value, Expanded) else value for key, value in table.items()
    }
