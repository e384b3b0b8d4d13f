"""Describes review campaigns: their progress, their items with the people who decide on them, and
the access that was to end and still exists."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bot.core.approval import Refused
from bot.core.model import ItemState, Person
from bot.core.review import STANDING, Campaign, Item, change_of, manifest_of
from bot.core.review_report import header, report_lines
from bot.operations._leads_only import seen_as_lead
from bot.operations._unit_of_work import Context, Snapshot, reading
from bot.operations.reviews.shared import reviewers_of
from storage import people, reviews
from storage.database import Reads

MOST_PEOPLE = 10_000
"""The most people whom one query reads."""


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign, and the number of its items in each state. In a list, `changes` are the lines of
    roles.toml without the references that are to end, one text for each role."""

    campaign: Campaign
    counts: dict[ItemState, int]
    changes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def answered(self) -> int:
        return self.total - self.counts[ItemState.PENDING]

    @property
    def undone(self) -> int:
        """Items that are to end and are still there."""
        return self.counts[ItemState.ENDING]


@dataclass(frozen=True, slots=True)
class CampaignList:
    """A campaign with all its items. `reviewers` has who decides on each pending item now, by
    number, `people` everybody in it. `is_intact` says that the list is as it was frozen."""

    view: CampaignView
    items: tuple[Item, ...]
    reviewers: dict[int, frozenset[str]]
    people: dict[str, Person]
    is_intact: bool


def list_campaigns(
    world: Context, by: str, limit: int, every: bool = False
) -> list[CampaignView] | Refused:
    """The campaigns that are not finished, or with `every` the newest of all, for a lead. Raises
    StorageUnavailable."""
    with reading(world) as u:
        if (refused := seen_as_lead(u, by)) is not None:
            return refused
        found = reviews.latest(u.db, limit) if every else reviews.unfinished(u.db)[:limit]
        return [_with_changes(u, view_of(u, campaign)) for campaign in found]


def _with_changes(u: Snapshot, view: CampaignView) -> CampaignView:
    if not view.undone:
        return view
    standing = reviews.there(u.db, view.campaign.id, STANDING)
    return replace(view, changes=tuple(changes_of(u, standing)))


def view_of(u: Snapshot, campaign: Campaign) -> CampaignView:
    return CampaignView(campaign, reviews.counts(u.db, campaign.id))


def describe_campaign(world: Context, campaign_id: str) -> CampaignList | None:
    """Returns None if there is no such campaign. Raises StorageUnavailable."""
    with reading(world) as u:
        campaign = reviews.get(u.db, campaign_id)
        if campaign is None:
            return None
        items = reviews.items(u.db, campaign_id)
        waiting = [item for item in items if item.state is ItemState.PENDING]
        able = {item.number: reviewers_of(u, item) for item in waiting}
        return CampaignList(
            replace(view_of(u, campaign), changes=tuple(changes_of(u, items))),
            tuple(items),
            able,
            _people(u.db, items, able.values()),
            is_intact=manifest_of(items) == campaign.manifest,
        )


def changes_of(u: Snapshot, items: Iterable[Item]) -> Iterator[str]:
    """The ready changes of roles.toml for the standing requesters and approvers that are to end."""
    undone = [i for i in items if i.kind in STANDING and i.state is ItemState.ENDING]
    for name in sorted({item.role for item in undone}):
        if (role := u.policy.roles.get(name)) is not None:
            yield change_of(role, [item for item in undone if item.role == name])


def _people(db: Reads, items: Iterable[Item], able: Iterable[frozenset[str]]) -> dict[str, Person]:
    wanted = {person for item in items for person in (*item.holders, item.decided_by)}
    found: dict[str, Person] = {}
    every = sorted(wanted.union(*able) - {""})
    for first in range(0, len(every), MOST_PEOPLE):
        found |= people.several(db, every[first : first + MOST_PEOPLE])
    return found


def review_report(view: Reads, campaigns: Sequence[str]) -> Iterator[str]:
    """The lines of a CSV file about these campaigns, with its header. Raises StorageUnavailable."""
    yield header()
    for name in campaigns:
        if (campaign := reviews.get(view, name)) is not None:
            items = reviews.items(view, name)
            yield from report_lines(campaign, items, _people(view, items, []))
