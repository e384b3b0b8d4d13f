"""Reads and exports the audit log for leads and operators; each access is recorded in the log."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from bot.core import effects
from bot.core.approval import Refused
from bot.core.audit import Event, Record
from bot.core.audit_export import csv_lines
from bot.operations._leads_only import leads_only, seen_as_lead
from bot.operations._unit_of_work import Context, Snapshot, unit
from storage import audit
from storage.audit import Filters

__all__ = [
    "Filters",
    "ask_export",
    "export_audit",
    "export_csv",
    "filters_from",
    "is_lead",
    "may_audit",
    "read_audit",
]

PAGE = 20

Watch = Callable[[Iterator[Any], int], Iterator[Any]]


def read_audit(
    world: Context, by: str, filters: Filters, before: int | None = None, size: int = PAGE
) -> list[Record] | Refused:
    """Returns one page of records older than record `before`, newest first. Raises
    StorageUnavailable."""
    with world.db.reading():  # a search may take a second, and must delay no write
        refused = leads_only(Snapshot(world), by)
        found = audit.page(world.db, filters, before, size) if refused is None else []
    with unit(world) as u:
        if (refused := refused or leads_only(u, by)) is not None:
            return u.refuse(refused, by, "read the audit log")
        u.note(Event.AUDIT_READ, by, filters=_given(filters), before=before)
    return found


def ask_export(world: Context, by: str, filters: Filters) -> Refused | None:
    """Queues an export as a file to a lead; returns None if it is queued."""
    with unit(world) as u:
        if (refused := leads_only(u, by)) is not None:
            return u.refuse(refused, by, "export the audit log")
        u.do(effects.send_export(by, _given(filters)))
    return None


def export_audit(
    world: Context, by: str, filters: Filters
) -> tuple[int, Iterator[tuple[Any, ...]]]:
    """Returns the number of records, and streams them in the order of COLUMNS, oldest first.

    The caller has verified `by`. Raises StorageUnavailable, also while the rows are read.
    """
    with world.db.reading():
        last = (audit.head(world.db) or (0,))[0]
        count = audit.count(world.db, filters, last)
    with unit(world) as u:
        u.note(Event.AUDIT_EXPORTED, by, filters=_given(filters), records=count)
    return count, audit.export(world.db, filters, last)


def export_csv(
    world: Context, by: str, filters: Filters, watch: Watch = lambda records, count: records
) -> Iterator[bytes]:
    """Like `export_audit`, but returns the pieces of a CSV file. `watch` gets the records and their
    number, and returns the records."""
    count, records = export_audit(world, by, filters)
    return map(str.encode, csv_lines(watch(records, count)))


def may_audit(world: Context, by: str) -> Refused | None:
    """Refuses a person who is not a lead; the refusal is recorded."""
    with unit(world) as u:
        refused = leads_only(u, by)
        return u.refuse(refused, by, "audit") if refused else None


def is_lead(world: Context, person: str) -> bool:
    """Returns whether this person sees as much as leads. Records nothing, because it refuses
    nothing."""
    with world.db.reading():
        return seen_as_lead(Snapshot(world), person) is None


def filters_from(given: Mapping[str, Any]) -> Filters:
    """Returns the filters in an effect's data."""
    return Filters(**given)


def _given(filters: Filters) -> dict[str, object]:
    return {name: value for name, value in asdict(filters).items() if value is not None}
