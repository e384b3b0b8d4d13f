"""Reads the text of a roles.toml from the audit log, without a check of its settings: the
references that Slack was asked about, and the sources of on-call duty and tickets."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

REDACTED = "[redacted]"
"""The log has this in place of a secret, so that two different ones look equal."""


@dataclass(frozen=True, slots=True)
class Written:
    """`references` are those of `bot.core.roles.references`, `on_call` and `tickets` the tables as
    they are written."""

    references: frozenset[str] = frozenset()
    on_call: Mapping[str, Any] = field(default_factory=dict)
    tickets: Any = None


def read_written(text: str) -> Written | None:
    """None for a text that is not a roles.toml."""
    try:
        data = tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None
    people = frozenset(ref for ref in _references(data) if isinstance(ref, str))
    return Written(people - {"everyone"}, _table(data, "oncall"), data.get("tickets"))


def requesters_in(text: str) -> dict[str, frozenset[str]]:
    """The requesters of each role, by its name; empty for a text that is not a roles.toml."""
    try:
        data = tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return {}
    return {
        name: frozenset(ref for ref in _list(role, "requesters") if isinstance(ref, str))
        for name, role in _table(data, "roles").items()
    }


def is_same(then: object, now: object) -> bool:
    """Whether two tables certainly say the same."""
    return then == now and REDACTED not in str(then)


def _references(data: Mapping[str, Any]) -> Iterator[object]:
    yield from _list(_table(data, "workspace"), "leads")
    for role in _tables(data, "roles"):
        for key in ("requesters", "approvers", "notify"):
            yield from _list(role, key)
        for kind, key in (("auto_approve", "members"), ("deny", "members"), ("tiers", "approvers")):
            for rule in _list(role, kind):
                yield from _list(rule, key)
        yield from _list(_table(role, "emergency"), "members")
        yield from _list(_table(role, "escalation"), "approvers")
    yield from (duty.get("group") for duty in _tables(data, "oncall"))
    for bundle in _tables(data, "bundles"):
        yield from _list(bundle, "suggest_for")


def _tables(data: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    yield from (table for table in _table(data, key).values() if isinstance(table, dict))


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _list(table: object, key: str) -> list[Any]:
    found = table.get(key) if isinstance(table, dict) else None
    return found if isinstance(found, list) else []
