"""Compares review campaigns with the audit log: their lists, decisions and results."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bot.core.audit import Event, parsed_detail, without_unstorable
from bot.core.audit_story import Difference
from bot.core.review import Campaign, Item, manifest_of
from storage import audit, reviews
from storage.audit import EventRow
from storage.database import Reads

EVENTS = (Event.CAMPAIGN_STARTED, Event.ITEM_DECIDED, Event.CAMPAIGN_FINISHED)


class _Noted(NamedTuple):
    row: EventRow
    detail: Mapping[str, Any]


def changed_reviews(view: Reads, last: int, since: int) -> Iterator[Difference]:
    """Yields the reviews that differ from their records. `last` is the number of the last record of
    the log; records from before `since` may be archived."""
    found: dict[str, dict[tuple[str, object], _Noted]] = {}
    for row in audit.of_events(view, EVENTS):
        detail = parsed_detail(row.detail)
        records = found.setdefault(str(detail.get("campaign")), {})
        records[row.event, detail.get("item")] = _Noted(row, detail)
    for campaign in reviews.every(view):
        items, records = reviews.items(view, campaign.id), found.pop(campaign.id, {})
        started = records.get((Event.CAMPAIGN_STARTED, None))
        finished = records.get((Event.CAMPAIGN_FINISHED, None))
        for what, seq, at in (
            *_list(campaign, items, started, last),
            *_result(campaign, items, finished, last),
            *(each for item in items for each in _decision(item, records, last)),
        ):
            if seq != last or at >= since:
                yield Difference(seq, f"review {campaign.id}: {what}")
    for name, records in found.items():
        seq = min(each.row.seq for each in records.values())
        yield Difference(seq, f"review {name}, which record {seq} names, is not there")


Found = tuple[str, int, int]
"""A sentence, the number of the record, and the time at which a missing record was due."""


def _list(
    campaign: Campaign, items: list[Item], started: _Noted | None, last: int
) -> Iterator[Found]:
    if started is None:
        yield "no record says that it started", last, campaign.started_at
    elif started.detail.get("manifest") != manifest_of(items):
        yield "its list is not the one that was frozen", started.row.seq, started.row.at


def _result(
    campaign: Campaign, items: list[Item], finished: _Noted | None, last: int
) -> Iterator[Found]:
    if finished is None:
        if campaign.finished_at is not None:
            yield "no record says that it was finished", last, campaign.finished_at
        return
    states = {str(state): count for state, count in Counter(i.state for i in items).items()}
    recorded = (finished.row.at, finished.detail.get("states"))
    if (campaign.finished_at, states) != recorded:
        words = f"it was finished with {states}, record {finished.row.seq} says {recorded[1]}"
        yield words, finished.row.seq, finished.row.at


def _decision(
    item: Item, records: Mapping[tuple[str, object], _Noted], last: int
) -> Iterator[Found]:
    noted = records.get((Event.ITEM_DECIDED, item.number))
    if noted is None:
        if item.decided_at is not None:
            yield f"no record says that item {item.number} was decided", last, item.decided_at
        return
    row = noted.row
    recorded = (noted.detail.get("decision"), row.actor, row.at, row.reason)
    stored = (item.decision, item.decided_by, item.decided_at, without_unstorable(item.reason))
    if stored != recorded:
        yield f"another decision on item {item.number} than in record {row.seq}", row.seq, row.at
