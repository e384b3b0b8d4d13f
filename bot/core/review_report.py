"""The report of review campaigns as CSV: the list before and after, the decisions, and the access
that was to end and still exists."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping

from bot.core.audit import rfc3339
from bot.core.audit_export import cells
from bot.core.model import ItemState, Person
from bot.core.review import EVERYONE, Campaign, Item

COLUMNS = (
    "campaign",
    "scope",
    "started_at",
    "due_at",
    "finished_at",
    "manifest",
    "item",
    "kind",
    "role",
    "about",
    "holders",
    "holder_names",
    "systems",
    "from",
    "until",
    "approved_by",
    "state",
    "decision",
    "decided_at",
    "decided_by",
    "reason",
    "there_before",
    "there_after",
    "decided_and_still_there",
)


def header() -> str:
    return _line(COLUMNS)


def report_lines(
    campaign: Campaign, items: Iterable[Item], people: Mapping[str, Person]
) -> Iterator[str]:
    """One line of CSV for each item (RFC 4180), without the header."""
    first = (
        campaign.id,
        str(campaign.scope),
        rfc3339(campaign.started_at),
        rfc3339(campaign.due_at),
        _time(campaign.finished_at),
        campaign.manifest,
    )
    for item in items:
        yield _line((*first, *_about(item, people), *_decided(item)))


def _about(item: Item, people: Mapping[str, Person]) -> tuple[str, ...]:
    names = [people[each].name for each in item.holders if each in people]
    systems = item.facts.get("systems", ())
    return (
        str(item.number),
        item.kind,
        item.role or ", ".join(item.facts.get("roles", ())),
        item.about,
        " ".join(item.holders) or (EVERYONE if item.about == EVERYONE else ""),
        ", ".join(names),
        ", ".join(systems),
        _time(item.facts.get("from")),
        _time(item.facts.get("until")),
        item.facts.get("decided_by", ""),
    )


def _decided(item: Item) -> tuple[str, ...]:
    still = item.over_at is None
    return (
        item.state,
        item.decision,
        _time(item.decided_at),
        item.decided_by,
        item.reason,
        "yes",
        "yes" if still else "no",
        "yes" if still and item.state is ItemState.ENDING else "no",
    )


def _time(at: int | None) -> str:
    return "" if at is None else rfc3339(at)


def _line(values: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells(values))
    return text.getvalue()
