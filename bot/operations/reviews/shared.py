"""Provides the parts that operations on reviews share: the reviewers of an item, its record, and
the messages that follow."""

from collections.abc import Collection, Iterable
from typing import Any

from bot.core.audit import Event
from bot.core.model import Grant
from bot.core.review import Campaign, Decision, Item, ItemKind, reviewers
from bot.core.roles import references
from bot.operations._open_homes import refresh_homes
from bot.operations._unit_of_work import Snapshot, UnitOfWork


def reviewers_of(u: Snapshot, item: Item) -> frozenset[str]:
    """Everybody who may decide on this item now."""
    return reviewers(item, u.policy.roles.get(item.role), u.authority(), u.leads)


def unknown_references(u: Snapshot) -> tuple[str, ...]:
    """The references of roles.toml whose people are not known from Slack."""
    return u.directory.called(u.directory.unresolved(sorted(references(u.policy))))


def refresh_review_homes(u: UnitOfWork, deciders: Collection[str] = ()) -> None:
    """Queues an update of each open App Home of a lead or of these deciders."""
    refresh_homes(u, u.leads.union(deciders))


def note_to_leads(u: UnitOfWork, note: str, campaign: Campaign, **facts: object) -> None:
    """Queues a note about a campaign for the security channel."""
    scope = str(campaign.scope)
    u.notify_leads(note, campaign=campaign.id, scope=scope, due_at=campaign.due_at, **facts)


def deciders_of(u: Snapshot, items: Iterable[Item]) -> list[str]:
    """Everybody who may decide on one of these items now."""
    return sorted(frozenset().union(*(reviewers_of(u, item) for item in items)))


def record_decision(
    u: UnitOfWork,
    by: str,
    campaign: Campaign,
    item: Item,
    decision: Decision,
    grant: Grant | None,
    answered: bool,
) -> None:
    """Adds the audit record of one decided item."""
    detail: dict[str, Any] = {
        "campaign": campaign.id,
        "item": item.number,
        "kind": item.kind,
        "decision": decision.word,
        "answered": answered,
    }
    if grant is not None:
        return u.record(Event.ITEM_DECIDED, by, grant, reason=decision.reason, **detail)
    detail["onboarding" if item.kind is ItemKind.ONBOARDING else "reference"] = item.about
    return u.note(
        Event.ITEM_DECIDED,
        by,
        subject=item.person,
        role=item.role,
        reason=decision.reason,
        **detail,
    )
