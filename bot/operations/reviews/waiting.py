"""Finds the items that wait for one person in review campaigns, page by page."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from bot.core.authority import with_delegates
from bot.core.model import CampaignState
from bot.core.onboarding import Ramp
from bot.core.review import STANDING, Campaign, Item, ItemKind
from bot.core.roles import Role
from bot.core.usage import GrantUsage
from bot.operations._leads_only import seen_as_lead
from bot.operations._unit_of_work import Context, Snapshot, reading
from bot.operations._usage import used_of
from bot.operations.reviews.describe_campaign import CampaignView, view_of
from bot.operations.reviews.shared import reviewers_of
from storage import grants, people, ramps, reviews

PAGE = 20
"""Items of one page."""

_BATCH = 500
_MOST_NAMED = 5
"""People of a group who are named."""


@dataclass(frozen=True, slots=True)
class WaitingPage:
    """Items of a campaign that wait for one person. `names` are those of people and groups in them,
    `used` the use of their grants so far by id, `ramps` their onboardings by id. `more` says that
    others wait after the last of these, `skipped` that the page does not begin with the first
    item."""

    view: CampaignView
    items: tuple[Item, ...]
    more: bool
    skipped: bool
    roles: dict[str, Role]
    names: dict[str, str] = field(default_factory=dict)
    used: dict[str, GrantUsage] = field(default_factory=dict)
    ramps: dict[str, Ramp] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeenCampaign:
    """A campaign in App Home, and whether something of it waits for the reader."""

    view: CampaignView
    waits: bool


def waiting_page(
    world: Context, person: str, campaign_id: str = "", after: int = 0
) -> WaitingPage | None:
    """The items that wait for this person in this campaign, or in the one that is due first, from
    the item after number `after` on; None without any. Raises StorageUnavailable."""
    with reading(world) as u:
        for campaign in reviews.unfinished(u.db):
            if campaign_id in ("", campaign.id):
                found = list(islice(_waiting(u, person, campaign, after), PAGE + 1))
                if not found and after:
                    after, found = 0, list(islice(_waiting(u, person, campaign), PAGE + 1))
                if found:
                    return _page(u, campaign, found, skipped=after > 0)
        return None


def waits_for(world: Context, person: str, campaign_id: str) -> tuple[Campaign, bool] | None:
    """The campaign, and whether something of it waits for this person; None if there is no such
    campaign. Raises StorageUnavailable."""
    with reading(world) as u:
        campaign = reviews.get(u.db, campaign_id)
        return (campaign, _waits(u, person, campaign)) if campaign else None


def find_campaign(world: Context, campaign_id: str) -> Campaign | None:
    """Returns None if there is no such campaign. Raises StorageUnavailable."""
    with reading(world) as u:
        return reviews.get(u.db, campaign_id)


def campaigns_seen_by(u: Snapshot, person: str) -> list[SeenCampaign]:
    """The campaigns that are not finished: all of them for a lead, else those of which something
    waits for this person."""
    is_lead = seen_as_lead(u, person) is None
    seen = [(each, _waits(u, person, each)) for each in reviews.unfinished(u.db)]
    return [SeenCampaign(view_of(u, each), waits) for each, waits in seen if waits or is_lead]


def _waits(u: Snapshot, person: str, campaign: Campaign) -> bool:
    return next(_waiting(u, person, campaign), None) is not None


def _waiting(u: Snapshot, person: str, campaign: Campaign, after: int = 0) -> Iterator[Item]:
    """The pending items on which this person may decide now, in their order."""
    if campaign.state is not CampaignState.OPEN or u.person(person).ineligible_reason():
        return
    mine, is_lead = _roles_of(u, person), person in u.leads
    roles, without = (None, _never_of_leads(u, mine)) if is_lead else (mine, [])
    while some := reviews.pending(u.db, campaign.id, after, _BATCH, roles, without):
        yield from (item for item in some if person in reviewers_of(u, item))
        after = some[-1].number


def _roles_of(u: Snapshot, person: str) -> list[str]:
    """The roles on whose items this person may decide as an approver or delegate."""
    authority = u.authority()
    return [
        role.name
        for role in u.policy.roles.values()
        if person in with_delegates(u.directory.resolve(role.approvers), "", authority)
    ]


def _never_of_leads(u: Snapshot, mine: list[str]) -> list[str]:
    """The roles whose grants never wait for a lead who may decide only on `mine`. Where two
    approvers are left, one of them is not the holder; so the grants need not be read, however many
    there are."""
    left = {
        role.name: u.directory.resolve(role.approvers) - u.directory.unfit
        for role in u.policy.roles.values()
        if role.name not in mine
    }
    return [name for name, approvers in left.items() if len(approvers) > 1]


def _page(u: Snapshot, campaign: Campaign, found: list[Item], skipped: bool) -> WaitingPage:
    items = found[:PAGE]
    given = grants.several(u.db, [i.about for i in items if i.kind is ItemKind.GRANT])
    onboardings = [ramps.get(u.db, i.about) for i in items if i.kind is ItemKind.ONBOARDING]
    named = {person for item in items for person in item.holders[:_MOST_NAMED]}
    named |= {str(item.facts.get("decided_by", "")) for item in items} - {""}
    refs = [item.about for item in items if item.kind in STANDING]
    handles = dict(zip(refs, u.directory.called(refs), strict=True))
    return WaitingPage(
        view_of(u, campaign),
        tuple(items),
        len(found) > PAGE,
        skipped,
        {i.role: u.policy.roles[i.role] for i in items if i.role in u.policy.roles},
        handles | {each.id: each.name for each in people.several(u.db, named).values()},
        used_of(u, given),
        {ramp.id: ramp for ramp in onboardings if ramp},
    )


def record_review_note(world: Context, channel: str, ts: str, campaign_id: str) -> None:
    """Records a posted message that asks somebody to decide. Raises StorageUnavailable."""
    with world.db.transaction():
        reviews.add_message(world.db, channel, ts, campaign_id)
