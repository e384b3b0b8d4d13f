"""Stores review campaigns, and the items of their frozen lists."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from bot.core.lifecycle import CAMPAIGN, ITEM, Move, after, sources
from bot.core.model import CampaignState, ItemState
from bot.core.review import Campaign, Held, Item, ItemKind, Scope
from storage import grants
from storage.database import Database, Reads

_CAMPAIGN = (
    "id, lead, role, system, state, started_at, due_at, manifest, remind_at, closed_at, finished_at"
)
_FROZEN = "campaign_id, number, kind, role, about, holders, facts, by_default"
_ITEM = (
    "number, kind, role, about, holders, facts, by_default, state, decided_at, decided_by, reason,"
    " over_at"
)


def insert(db: Database, c: Campaign, items: Iterable[Item]) -> bool:
    """Stores a campaign with its list; returns False and stores nothing if one with this scope is
    not finished."""
    stored = db.run(
        f"INSERT INTO campaigns ({_CAMPAIGN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT"
        " DO NOTHING",
        *(c.id, c.lead, c.scope.role, c.scope.system, c.state, c.started_at, c.due_at),
        *(c.manifest, c.remind_at, c.closed_at, c.finished_at),
    )
    if stored:
        sql = f"INSERT INTO review_items ({_FROZEN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        db.run_many(sql, (_frozen_row(c.id, item) for item in items))
    return stored == 1


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _frozen_row(campaign: str, i: Item) -> tuple[Any, ...]:
    holders, facts = _encode(i.holders), _encode(dict(i.facts))
    return (campaign, i.number, i.kind, i.role, i.about, holders, facts, i.by_default)


def held(db: Database) -> list[Held]:
    """Returns every grant that is held now or soon, with its decider."""
    return [Held(grant, by) for grant, by in grants.held_with_decider(db)]


def get(db: Reads, campaign: str) -> Campaign | None:
    found = db.row(f"SELECT {_CAMPAIGN} FROM campaigns WHERE id = ?", campaign)
    return _campaign(found) if found else None


def locked(db: Database, campaign: str) -> Campaign | None:
    """Returns a campaign, locked against other changes until this transaction ends."""
    found = db.row(f"SELECT {_CAMPAIGN} FROM campaigns WHERE id = ?{db.lock_row}", campaign)
    return _campaign(found) if found else None


def unfinished(db: Database) -> list[Campaign]:
    """Returns the campaigns that are not finished, the one that is due first before the others."""
    sql = f"SELECT {_CAMPAIGN} FROM campaigns WHERE state <> 'finished' ORDER BY due_at, id"
    return [_campaign(row) for row in db.rows(sql)]


def every(db: Reads) -> list[Campaign]:
    """Returns all campaigns, oldest first."""
    return [*map(_campaign, db.rows(f"SELECT {_CAMPAIGN} FROM campaigns ORDER BY started_at, id"))]


def latest(db: Database, limit: int) -> list[Campaign]:
    """Returns the newest campaigns first, also those that are finished."""
    sql = f"SELECT {_CAMPAIGN} FROM campaigns ORDER BY started_at DESC, id LIMIT ?"
    return [_campaign(row) for row in db.rows(sql, limit)]


def move(db: Database, campaign: str, move: Move, **columns: object) -> bool:
    """Moves a campaign along the lifecycle table by compare-and-set, and sets these columns;
    returns False if it was in another state."""
    (source,) = sources(CAMPAIGN, move)
    extra = "".join(f", {column} = ?" for column in columns)
    sql = f"UPDATE campaigns SET state = ?{extra} WHERE id = ? AND state = ?"
    state = after(CAMPAIGN, source, move)
    return db.run(sql, state, *columns.values(), campaign, source) == 1


def set_reminder(db: Database, campaign: str, remind_at: int | None) -> None:
    db.run("UPDATE campaigns SET remind_at = ? WHERE id = ?", remind_at, campaign)


def counts(db: Database, campaign: str) -> dict[ItemState, int]:
    """Returns the number of items in each state."""
    sql = "SELECT state, COUNT(*) FROM review_items WHERE campaign_id = ? GROUP BY state"
    found = {ItemState(state): int(count) for state, count in db.rows(sql, campaign)}
    return {state: found.get(state, 0) for state in ItemState}


def unanswered(db: Database, campaign: str, by: str) -> dict[bool, int]:
    """Returns the number of items that `by`, the clock, has kept (True) and ended (False)."""
    sql = (
        "SELECT state = 'kept', COUNT(*) FROM review_items WHERE campaign_id = ? AND decided_by = ?"
        " GROUP BY 1"
    )
    found = {bool(kept): int(count) for kept, count in db.rows(sql, campaign, by)}
    return {kept: found.get(kept, 0) for kept in (True, False)}


def items(db: Reads, campaign: str) -> list[Item]:
    """Returns the whole list in its order."""
    sql = f"SELECT {_ITEM} FROM review_items WHERE campaign_id = ? ORDER BY number"
    return _items(db.rows(sql, campaign))


def pending(
    db: Database,
    campaign: str,
    after: int,
    limit: int,
    roles: Sequence[str] | None = None,
    without: Sequence[str] = (),
) -> list[Item]:
    """Returns items that nobody has decided on, from the one after number `after` on: of these
    roles or of all, without the grants of the roles `without`."""
    marks, left = ", ".join("?" * len(roles or ())), ", ".join("?" * len(without))
    some = "" if roles is None else f" AND role IN ({marks or 'NULL'})"
    some += f" AND NOT (role IN ({left}) AND kind = 'grant')" if left else ""
    sql = (
        f"SELECT {_ITEM} FROM review_items WHERE campaign_id = ? AND state = 'pending' AND number >"
        f" ?{some} ORDER BY number LIMIT ?"
    )
    return _items(db.rows(sql, campaign, after, *(roles or ()), *without, limit))


def locked_items(db: Database, campaign: str, numbers: Sequence[int]) -> list[Item]:
    """Returns these items, locked in their order until this transaction ends."""
    marks = ", ".join("?" * len(numbers))
    sql = (
        f"SELECT {_ITEM} FROM review_items WHERE campaign_id = ? AND number IN ({marks}) ORDER BY"
        f" number{db.lock_row}"
    )
    return _items(db.rows(sql, campaign, *numbers)) if numbers else []


def decide(
    db: Database,
    campaign: str,
    numbers: Sequence[int],
    move: Move,
    at: int,
    by: str,
    reason: str,
) -> None:
    """Decides on pending items, which the caller has locked."""
    (source,) = sources(ITEM, move)
    sql = (
        "UPDATE review_items SET state = ?, decided_at = ?, decided_by = ?, reason = ? WHERE"
        " campaign_id = ? AND number = ? AND state = ?"
    )
    state = after(ITEM, source, move)
    rows = ((state, at, by, reason, campaign, number, source) for number in numbers)
    db.run_many(sql, rows)


def there(db: Database, campaign: str, kinds: Iterable[ItemKind], over: bool = False) -> list[Item]:
    """Returns the items of these kinds that were not found to be over, or with `over` the
    others."""
    named = [str(kind) for kind in kinds]
    marks = ", ".join("?" * len(named))
    sql = (
        f"SELECT {_ITEM} FROM review_items WHERE campaign_id = ? AND over_at IS"
        f" {'NOT NULL' if over else 'NULL'} AND kind IN ({marks}) ORDER BY number"
    )
    return _items(db.rows(sql, campaign, *named))


def over_grants(db: Database, campaign: str) -> list[int]:
    """Returns the numbers of items whose grant is over, and which do not say so yet."""
    sql = (
        "SELECT number FROM review_items JOIN grants ON grants.id = about WHERE campaign_id = ? AND"
        " over_at IS NULL AND kind = 'grant' AND grants.state IN ('ended', 'failed') ORDER BY"
        " number"
    )
    return [int(number) for (number,) in db.rows(sql, campaign)]


def set_over(db: Database, campaign: str, numbers: Sequence[int], at: int) -> None:
    """Records that the things of these items are over: an undecided item is then gone, and one that
    was to end has ended."""
    sql = (
        "UPDATE review_items SET over_at = ? WHERE campaign_id = ? AND number = ? AND over_at IS"
        " NULL"
    )
    db.run_many(sql, ((at, campaign, number) for number in numbers))
    for move in (Move.LAPSE, Move.CONFIRM_END):
        (source,) = sources(ITEM, move)
        sql = "UPDATE review_items SET state = ? WHERE campaign_id = ? AND number = ? AND state = ?"
        state = after(ITEM, source, move)
        db.run_many(sql, ((state, campaign, number, source) for number in numbers))


def set_back(db: Database, campaign: str, numbers: Sequence[int]) -> None:
    """Records that the things of these items are there again."""
    sql = "UPDATE review_items SET over_at = NULL WHERE campaign_id = ? AND number = ?"
    db.run_many(sql, ((campaign, number) for number in numbers))
    sql = "UPDATE review_items SET state = ? WHERE campaign_id = ? AND number = ? AND state = ?"
    for source in sources(ITEM, Move.RETURN):
        state = after(ITEM, source, Move.RETURN)
        db.run_many(sql, ((state, campaign, number, source) for number in numbers))


def add_message(db: Database, channel: str, ts: str, campaign: str) -> None:
    """Stores that this message asks its reader to decide in a campaign."""
    sql = (
        "INSERT INTO review_messages (channel, ts, campaign_id) VALUES (?, ?, ?) ON CONFLICT DO"
        " NOTHING"
    )
    db.run(sql, channel, ts, campaign)


def messages(db: Database, campaign: str) -> list[tuple[str, str]]:
    """Returns channel and time of every message that asks somebody to decide in a campaign."""
    sql = "SELECT channel, ts FROM review_messages WHERE campaign_id = ? ORDER BY ts, channel"
    return [(str(channel), str(ts)) for channel, ts in db.rows(sql, campaign)]


def forget_messages(db: Database, before: int) -> None:
    """Deletes the messages of campaigns that were finished at `before`."""
    sql = (
        "DELETE FROM review_messages WHERE campaign_id IN (SELECT id FROM campaigns WHERE"
        " finished_at < ?)"
    )
    db.run(sql, before)


def _campaign(row: Sequence[Any]) -> Campaign:
    id, lead, role, system, state, *rest = row
    return Campaign(id, lead, Scope(role, system), CampaignState(state), *rest)


def _items(rows: Iterable[Sequence[Any]]) -> list[Item]:
    return [_item(row) for row in rows]


def _item(row: Sequence[Any]) -> Item:
    number, kind, role, about, holders, facts, by_default, state, *rest = row
    given = (tuple(json.loads(holders)), json.loads(facts), by_default)
    return Item(number, ItemKind(kind), role, about, *given, ItemState(state), *rest)
