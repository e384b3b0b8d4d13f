"""Provides what the operations on reviews share: who decides on an item, and its record."""

from typing import Any

from bot.core.audit import Event
from bot.core.model import Grant
from bot.core.review import Campaign, Decision, Item, ItemKind, reviewers
from bot.core.roles import references
from bot.operations._unit_of_work import Snapshot, UnitOfWork


def reviewers_of(u: Snapshot, item: Item) -> frozenset[str]:
    """Everybody who may decide on this item now."""
    return reviewers(item, u.policy.roles.get(item.role), u.authority(), u.leads)


def unknown_references(u: Snapshot) -> tuple[str, ...]:
    """The references of roles.toml of which Slack has not said whom they stand for."""
    return u.directory.called(u.directory.unresolved(sorted(references(u.policy))))


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
