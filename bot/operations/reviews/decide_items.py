"""Decides on items of a review, one or several at once: they are kept, or ended now."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.approval import Refused
from bot.core.authority import OPERATOR
from bot.core.lifecycle import Move
from bot.core.model import HELD, EndReason, Grant, GrantState, ItemState, is_recent
from bot.core.review import (
    Campaign,
    Decision,
    Item,
    ItemKind,
    check_decision,
    may_judge,
    may_review,
)
from bot.operations._end_grant import request_end
from bot.operations._leads_only import PERSON_LASTS
from bot.operations._unit_of_work import OUTDATED, Context, Snapshot, UnitOfWork, unit
from bot.operations.onboarding.end_ramp import end_ramp
from bot.operations.reviews.shared import record_decision, refresh_review_homes, reviewers_of
from storage import grants, ramps, reviews

ACTION = "review"
OVER = frozenset({GrantState.ENDED, GrantState.FAILED})
MOST = 500
"""Items that one decision may be about."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The items that were decided on now, and why the others were not, by number."""

    campaign: Campaign
    items: tuple[Item, ...]
    skipped: dict[int, str]


def decide_items(
    world: Context, by: str, campaign_id: str, numbers: Sequence[int], decision: Decision
) -> Decided | Refused:
    """Decides on these items for `by`, a person looked up in Slack within the last minute, or for
    `os:USER`. Items that this person may not decide on are left out. Raises StorageUnavailable."""
    with unit(world) as u:
        campaign = reviews.get(u.db, campaign_id)
        stop = _refusal(u, by, numbers) or check_decision(decision)
        if stop is not None or campaign is None:
            return u.refuse(stop or _UNKNOWN, by, ACTION, reason=decision.reason)
        items = reviews.locked_items(u.db, campaign_id, sorted(set(numbers)))
        found = _locked_grants(u, items)
        stopped = {
            item.number: _stopped(u, by, item, found.get(item.about), decision) for item in items
        }
        able = [item for item in items if stopped[item.number] is None]
        skipped = {number: why for number, why in stopped.items() if why is not None}
        if skipped or not able:
            why = next(iter(skipped.values()), Refused("This review has no such item."))
            u.refuse(why, by, ACTION, reason=decision.reason)
        if not able:
            return why
        carry_out(u, by, campaign, able, decision, found)
        refresh_review_homes(u, [by])
        return Decided(campaign, tuple(able), {n: why.reason for n, why in skipped.items()})


_UNKNOWN = Refused("There is no such review.")


def _refusal(u: Snapshot, by: str, numbers: Sequence[int]) -> Refused | None:
    if u.outdated:
        return OUTDATED
    if not 0 < len(set(numbers)) <= MOST:
        return Refused(f"Choose at least one item, and at most {MOST}.")
    if by.startswith(OPERATOR):
        return None
    person = u.person(by)
    if (refused := may_review(person)) is not None or is_recent(
        person.checked_at, u.now, PERSON_LASTS
    ):
        return refused
    return Refused(
        "Slack did not confirm in the last minute who you are. Try again in a few seconds."
    )


def _locked_grants(u: UnitOfWork, items: Sequence[Item]) -> dict[str, Grant]:
    ids = [item.about for item in items if item.kind is ItemKind.GRANT]
    return grants.locked_all(u.db, ids) if ids else {}


def _stopped(
    u: Snapshot, by: str, item: Item, grant: Grant | None, decision: Decision
) -> Refused | None:
    """The reason why this person can't decide so on this item now."""
    if item.state is ItemState.GONE or (grant is not None and grant.state in OVER):
        return Refused(f"Item {item.number} is over: the access has ended.")
    if item.state is not ItemState.PENDING:
        return Refused(f"Item {item.number} is {item.state} already.")
    if decision.keep and is_ending(grant):
        return Refused(f"Item {item.number} can't be kept: its end was asked for already.")
    return None if by.startswith(OPERATOR) else may_judge(item, by, reviewers_of(u, item))


def is_ending(grant: Grant | None) -> bool:
    """Whether the end of a grant was asked for, and is not confirmed."""
    return grant is not None and grant.state is GrantState.ENDING


def carry_out(
    u: UnitOfWork,
    by: str,
    campaign: Campaign,
    items: Sequence[Item],
    decision: Decision,
    found: dict[str, Grant],
    answered: bool = True,
) -> None:
    """Decides on pending items that the caller has locked, with their grants in `found`. Ends
    grants and onboardings; standing requesters and approvers stay until roles.toml no longer has
    them."""
    move = Move.KEEP if decision.keep else Move.END
    numbers = [item.number for item in items]
    reviews.decide(u.db, campaign.id, numbers, move, u.now, by, decision.reason)
    for item in items:
        record_decision(u, by, campaign, item, decision, found.get(item.about), answered)
    if not decision.keep:
        _end_grants(u, by, [found[item.about] for item in items if item.about in found], decision)
        for item in items:
            if item.kind is ItemKind.ONBOARDING:
                _end_onboarding(u, by, item)


def _end_grants(u: UnitOfWork, by: str, ending: Sequence[Grant], decision: Decision) -> None:
    held = [grant for grant in ending if grant.state in HELD]
    request_end(u, held, EndReason.REVOKED, by, decision.reason, words=decision.reason)


def _end_onboarding(u: UnitOfWork, by: str, item: Item) -> None:
    if (ramp := ramps.locked(u.db, item.about)) is not None:
        end_ramp(u, ramp, Move.END, by, "a reviewer ended it")
