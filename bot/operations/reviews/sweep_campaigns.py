"""Advances review campaigns by the clock: finds access that is over or back, answers open items at
the due date, and finishes a campaign when everything that was to end has ended."""

from collections.abc import Sequence

from bot.core import effects
from bot.core.audit import Event
from bot.core.lifecycle import Move, next_reminder
from bot.core.model import CampaignState, GrantState, ItemState
from bot.core.onboarding import OPEN
from bot.core.review import (
    KEEP,
    REMINDERS,
    STANDING,
    UNDONE_AGAIN,
    Campaign,
    Decision,
    Item,
    ItemKind,
    is_written,
    may_be_written,
)
from bot.operations._unit_of_work import SYSTEM, Context, Snapshot, UnitOfWork, reading, unit
from bot.operations.reviews.decide_items import carry_out, is_ending
from bot.operations.reviews.shared import deciders_of, note_to_leads, refresh_review_homes
from storage import grants, ramps, reviews

BATCH = 200
"""Items that one transaction answers at the due date."""

UNANSWERED = "nobody answered by the due date"
ENDING_BEFORE = "nobody answered by the due date, and its end was asked for before"


def sweep_campaigns(world: Context) -> int:
    """Advances every campaign of which something is due; returns their number. Each step is one
    transaction, and done once however many processes sweep. Raises StorageUnavailable."""
    with reading(world) as u:
        # Another process has the roles.toml in force, and sweeps, too.
        if u.outdated or not u.policy.digest:
            return 0
        found = [(campaign, _over(u, campaign)) for campaign in reviews.unfinished(u.db)]
        due = [
            (campaign, over)
            for campaign, over in found
            if over or _back(u, campaign) or _is_due(u, campaign)
        ]
    for campaign, over in due:
        with unit(world) as work:
            _set_back(work, campaign.id)
            reviews.set_over(work.db, campaign.id, over, work.now)
        if campaign.due_at <= world.now():
            _answer(world, campaign.id)
        with unit(world) as work:
            _advance(work, campaign.id)
    return len(due)


def _is_due(u: Snapshot, campaign: Campaign) -> bool:
    """Whether this campaign has something to do now, even if nothing of it is over."""
    if campaign.remind_at is not None and campaign.remind_at <= u.now:
        return True
    counts = reviews.counts(u.db, campaign.id)
    if campaign.state is CampaignState.CLOSING:
        return not counts[ItemState.ENDING]
    return campaign.due_at <= u.now or not counts[ItemState.PENDING]


def _over(u: Snapshot, campaign: Campaign) -> list[int]:
    """The items whose thing is over, and which do not say so yet."""
    rest = reviews.there(u.db, campaign.id, [*STANDING, ItemKind.ONBOARDING])
    return reviews.over_grants(u.db, campaign.id) + [
        item.number for item in rest if _is_over(u, item)
    ]


def _back(u: Snapshot, campaign: Campaign) -> list[int]:
    """The entries of roles.toml that were over and are written again: a file that lacks an entry
    for a minute must not spare it the review. An item that was gone when the campaign closed stays
    so."""
    over = reviews.there(u.db, campaign.id, STANDING, over=True)
    return [
        item.number
        for item in over
        if (campaign.state is CampaignState.OPEN or item.state is not ItemState.GONE)
        and is_written(item, u.policy.roles.get(item.role), u.directory)
    ]


def _set_back(u: UnitOfWork, campaign_id: str) -> None:
    campaign = reviews.locked(u.db, campaign_id)
    if campaign is not None and campaign.state is not CampaignState.FINISHED:
        reviews.set_back(u.db, campaign.id, _back(u, campaign))


def _is_over(u: Snapshot, item: Item) -> bool:
    if item.kind in STANDING:
        return not may_be_written(item, u.policy.roles.get(item.role), u.directory)
    ramp = ramps.get(u.db, item.about)
    if ramp is None or ramp.state in OPEN:
        return ramp is None
    # Access that it gave has to be gone, too, where a review ended it.
    given = [grant for _, grant in ramps.grants_of(u.db, ramp.id)]
    left = [grant for grant in grants.several(u.db, given) if grant.state is GrantState.ENDING]
    return item.state is not ItemState.ENDING or not left


def _answer(world: Context, campaign_id: str) -> None:
    """Answers every item that waits as its role says, a batch in each transaction."""
    answered = BATCH
    while answered == BATCH:
        with unit(world) as u:
            campaign = reviews.locked(u.db, campaign_id)
            if campaign is None or campaign.state is not CampaignState.OPEN:
                return
            waiting = reviews.pending(u.db, campaign_id, 0, BATCH)
            items = reviews.locked_items(u.db, campaign_id, [item.number for item in waiting])
            _answer_all(u, campaign, [i for i in items if i.state is ItemState.PENDING])
            answered = len(waiting)


def _answer_all(u: UnitOfWork, campaign: Campaign, items: Sequence[Item]) -> None:
    ids = [item.about for item in items if item.kind is ItemKind.GRANT]
    found = grants.locked_all(u.db, ids) if ids else {}
    ending = [item for item in items if is_ending(found.get(item.about))]
    rest = [item for item in items if not is_ending(found.get(item.about))]
    for some, decision in (
        (ending, Decision(False, ENDING_BEFORE)),
        ([i for i in rest if i.by_default == KEEP], Decision(True, UNANSWERED)),
        ([i for i in rest if i.by_default != KEEP], Decision(False, UNANSWERED)),
    ):
        if some:
            carry_out(u, SYSTEM, campaign, some, decision, found, answered=False)


def _advance(u: UnitOfWork, campaign_id: str) -> None:
    """Closes a campaign when everything is decided, and finishes it when everything is done."""
    campaign = reviews.locked(u.db, campaign_id)
    if campaign is None or campaign.state is CampaignState.FINISHED:
        return
    counts = reviews.counts(u.db, campaign_id)
    if campaign.state is CampaignState.OPEN and not counts[ItemState.PENDING]:
        _close(u, campaign, counts)
        campaign = reviews.get(u.db, campaign_id) or campaign
    if campaign.state is CampaignState.CLOSING and not counts[ItemState.ENDING]:
        _finish(u, campaign, counts)
    elif campaign.remind_at is not None and campaign.remind_at <= u.now:
        _remind(u, campaign, counts)


def _close(u: UnitOfWork, campaign: Campaign, counts: dict[ItemState, int]) -> None:
    remind_at = u.now + UNDONE_AGAIN
    reviews.move(u.db, campaign.id, Move.CLOSE, closed_at=u.now, remind_at=remind_at)
    for channel, ts in reviews.messages(u.db, campaign.id):
        u.do(effects.update_review_note(channel, ts, campaign.id))
    if counts[ItemState.ENDING]:
        note_to_leads(u, "campaign_closed", campaign, **_outcome(u, campaign, counts))
        refresh_review_homes(u)


def _outcome(u: Snapshot, campaign: Campaign, counts: dict[ItemState, int]) -> dict[str, object]:
    """The numbers of items by result, for a note. Items without an answer are counted apart."""
    unanswered = reviews.unanswered(u.db, campaign.id, SYSTEM)
    return {
        **{str(state): count for state, count in counts.items()},
        "unanswered_kept": unanswered[True],
        "unanswered_ended": unanswered[False],
    }


def _remind(u: UnitOfWork, campaign: Campaign, counts: dict[ItemState, int]) -> None:
    """Reminds the people of their open items, and the leads of a closing campaign. Reminders that
    were missed while no process ran are sent once."""
    if campaign.state is CampaignState.CLOSING:
        note_to_leads(u, "campaign_undone", campaign, undone=counts[ItemState.ENDING])
        next_at: int | None = u.now + UNDONE_AGAIN
    else:
        waiting = [i for i in reviews.items(u.db, campaign.id) if i.state is ItemState.PENDING]
        people = deciders_of(u, waiting)
        u.do(*(effects.review_note(person, campaign.id, "reminder") for person in people))
        next_at = next_reminder(u.now, campaign.due_at, REMINDERS)
    reviews.set_reminder(u.db, campaign.id, next_at)


def _finish(u: UnitOfWork, campaign: Campaign, counts: dict[ItemState, int]) -> None:
    reviews.move(u.db, campaign.id, Move.FINISH, finished_at=u.now, remind_at=None)
    u.note(
        Event.CAMPAIGN_FINISHED,
        SYSTEM,
        role=campaign.scope.role,
        system=campaign.scope.system,
        campaign=campaign.id,
        manifest=campaign.manifest,
        items=sum(counts.values()),
        states={str(state): count for state, count in counts.items() if count},
    )
    note_to_leads(u, "campaign_finished", campaign, **_outcome(u, campaign, counts))
    refresh_review_homes(u)
