"""Starts a review campaign: freezes the list of all access, and notifies the people who decide."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bot.core import effects
from bot.core.approval import Refused
from bot.core.audit import Event, rfc3339
from bot.core.lifecycle import next_reminder
from bot.core.model import CampaignState
from bot.core.review import (
    DUE,
    REMINDERS,
    Campaign,
    Item,
    ItemKind,
    Scope,
    check_start,
    frozen,
    manifest_of,
)
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import OUTDATED, Context, Snapshot, UnitOfWork, new_id, unit
from bot.operations.reviews.shared import (
    deciders_of,
    note_to_leads,
    refresh_review_homes,
    unknown_references,
)
from storage import ramps, reviews

ACTION = "start a review"


@dataclass(frozen=True, slots=True)
class Started:
    """A campaign that began now, and the number of its items of each kind."""

    campaign: Campaign
    counts: dict[ItemKind, int]


def start_campaign(world: Context, by: str, scope: Scope, due: int = DUE) -> Started | Refused:
    """Starts a campaign that is due in `due` seconds. Raises StorageUnavailable."""
    with unit(world) as u:
        if (refused := _refusal(u, by, scope, due)) is not None:
            return u.refuse(refused, by, ACTION, role=scope.role[:80])
        items = frozen(scope, u.policy, u.directory, reviews.held(u.db), ramps.open_ramps(u.db))
        if not items:
            nothing = Refused(f"There is nothing to review: no access in {scope}.")
            return u.refuse(nothing, by, ACTION, role=scope.role)
        campaign = _campaign(u, by, scope, due, items)
        if not reviews.insert(u.db, campaign, items):
            known = Refused(f"A review of {scope} is open already: finish it first.")
            return u.refuse(known, by, ACTION, role=scope.role)
        return _started(u, campaign, items)


def _refusal(u: Snapshot, by: str, scope: Scope, due: int) -> Refused | None:
    """The reason why no campaign can start now. A list is frozen only when all people in it are
    known."""
    if u.outdated:
        return OUTDATED
    refused = leads_only(u, by) or check_start(u.policy, scope, due)
    if refused is None and (unknown := unknown_references(u)):
        names = ", ".join(unknown[:5])
        return Refused(
            f"Slack has not said yet who is in {names}, so the list would not be complete. Try"
            " again in a minute."
        )
    return refused


def _campaign(u: Snapshot, by: str, scope: Scope, due: int, items: Sequence[Item]) -> Campaign:
    due_at = u.now + due
    return Campaign(
        id=new_id("c"),
        lead=by,
        scope=scope,
        state=CampaignState.OPEN,
        started_at=u.now,
        due_at=due_at,
        manifest=manifest_of(items),
        remind_at=next_reminder(u.now, due_at, REMINDERS),
    )


def _started(u: UnitOfWork, campaign: Campaign, items: Sequence[Item]) -> Started:
    counts = dict(Counter(item.kind for item in items))
    u.note(
        Event.CAMPAIGN_STARTED,
        campaign.lead,
        role=campaign.scope.role,
        system=campaign.scope.system,
        campaign=campaign.id,
        due_at=rfc3339(campaign.due_at),
        items=len(items),
        kinds={str(kind): count for kind, count in sorted(counts.items())},
        manifest=campaign.manifest,
    )
    people = deciders_of(u, items)
    u.do(*(effects.review_note(person, campaign.id, "started") for person in people))
    note_to_leads(u, "campaign_started", campaign, items=len(items), people=len(people))
    refresh_review_homes(u, people)
    return Started(campaign, counts)
