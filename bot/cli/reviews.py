"""Implements `access-bot reviews`: starts and shows campaigns, and decides on their items."""

from collections.abc import Iterable, Sequence

import click

from bot.cli.common import actor, confirm, json_option, limit_option, opened, yes_option
from bot.cli.errors import Refusal, Wrong
from bot.cli.inline_worker import end_work
from bot.cli.output import clean, json_line, moment, table, utc
from bot.core.approval import Refused
from bot.core.durations import format_duration
from bot.core.model import ItemState
from bot.core.plurals import counted
from bot.core.review import DUE, Decision, Item, ItemKind, Scope, read_due
from bot.operations._unit_of_work import Context
from bot.operations.reviews.decide_items import MOST, Decided, decide_items
from bot.operations.reviews.describe_campaign import (
    CampaignList,
    CampaignView,
    describe_campaign,
    list_campaigns,
    review_report,
)
from bot.operations.reviews.start_campaign import start_campaign
from bot.operations.reviews.sweep_campaigns import sweep_campaigns


@click.group(epilog="Example: access-bot reviews list")
def reviews() -> None:
    """Start review campaigns, and decide on their items."""


@reviews.command("list", epilog="Example: access-bot reviews list --all --json")
@click.option("--all", "every", is_flag=True, help="Also finished reviews, newest first.")
@json_option
@limit_option(1000)
def list_(every: bool, as_json: bool, limit: int) -> None:
    """List review campaigns."""
    with opened("reviews") as base:
        found = list_campaigns(base.world, actor(), limit, every)
        views = [] if isinstance(found, Refused) else found
        if as_json:
            for view in views:
                json_line(_campaign_json(view))
        elif not views:
            click.echo("No reviews." if every else "No review is open.")
        else:
            _campaigns(views)


@reviews.command(epilog="Example: access-bot reviews start --due 14d --role orders-read")
@click.option("--due", default=format_duration(DUE), show_default=True, help="Time to decide.")
@click.option("--role", default="", help="Only this role.")
@click.option("--system", default="", help="Only this system.")
@yes_option
def start(due: str, role: str, system: str, yes: bool) -> None:
    """Start a review of active access, requesters and approvers."""
    with opened("reviews") as base:
        seconds, scope = read_due(due), Scope(role, system)
        if isinstance(seconds, Refused):
            raise Wrong(seconds.reason)
        confirm(f"Start a review of {clean(str(scope))}, due in {due}?", yes)
        started = start_campaign(base.world, actor(), scope, seconds)
        if isinstance(started, Refused):
            raise Refusal(started.reason)
        campaign = started.campaign
        kinds = ", ".join(counted(n, str(kind)) for kind, n in sorted(started.counts.items()))
        items = counted(sum(started.counts.values()), "item")
        click.echo(f"Review {campaign.id} has started: {items} ({kinds}).")
        click.echo(f"Due {utc(campaign.due_at)}. SHA-256 of the list: {campaign.manifest}")


@reviews.command(epilog="Example: access-bot reviews show c4k2m9p0q1rs --csv > review.csv")
@click.argument("review")
@click.option("--open", "pending", is_flag=True, help="Only items without a decision.")
@click.option("--undone", is_flag=True, help="Only items that are to end and are still there.")
@click.option("--csv", "as_csv", is_flag=True, help="The report: the list before and after.")
@json_option
def show(review: str, pending: bool, undone: bool, as_csv: bool, as_json: bool) -> None:
    """Show the items of REVIEW, and the lines of roles.toml to change.

    Exit code 1: the list was changed after the start of the review.
    """
    with opened("reviews") as base:
        found = describe_campaign(base.world, review)
        if found is None:
            raise Wrong(f"There is no review {review}: `access-bot reviews list --all` shows all.")
        state = ItemState.PENDING if pending else ItemState.ENDING if undone else None
        items = [item for item in found.items if state in (None, item.state)]
        if as_csv:
            with base.world.db.snapshot() as view:
                for line in review_report(view, [review]):
                    click.echo(line, nl=False)
        elif as_json:
            for item in items:
                json_line(_item_json(found, item))
        else:
            _show(found, items)
        if not found.is_intact:
            raise Refusal(
                "The list was changed after the start of the review: its SHA-256 differs."
            )


@reviews.command(
    epilog='Example: access-bot reviews decide c4k2m9p0q1rs 3 17 --end --reason "left the team"'
)
@click.argument("review")
@click.argument("items", nargs=-1, type=click.IntRange(1))
@click.option("--all", "every", is_flag=True, help="All items without a decision.")
@click.option("--keep/--end", "keep", default=None, help="The decision.")
@click.option("--reason", required=True, help="The reason, for the auditor.")
@yes_option
def decide(
    review: str, items: tuple[int, ...], every: bool, keep: bool | None, reason: str, yes: bool
) -> None:
    """Decide on ITEMS of REVIEW, by their numbers."""
    if keep is None or bool(items) is every:
        raise Wrong("Give --keep or --end, and the numbers of items or --all.")
    with opened("reviews") as base:
        numbers = _pending(base.world, review) if every else list(items)
        decision = Decision(keep, reason)
        what = f"{decision.word.capitalize()} {counted(len(numbers), 'item')}"
        confirm(f"{what} of review {review}?", yes)
        decided: list[Item] = []
        for first in range(0, max(1, len(numbers)), MOST):
            some = numbers[first : first + MOST]
            outcome = decide_items(base.world, actor(), review, some, decision)
            if isinstance(outcome, Refused):
                raise Refusal(outcome.reason)
            decided += outcome.items
            _report(outcome, decision)
        if not keep:
            end_work(base, [i.about for i in decided if i.kind is ItemKind.GRANT])
        sweep_campaigns(base.world)
        _lines_to_change(base.world, review)


def _pending(world: Context, review: str) -> list[int]:
    found = describe_campaign(world, review)
    every = found.items if found else ()
    return [item.number for item in every if item.state is ItemState.PENDING]


def _report(outcome: Decided, decision: Decision) -> None:
    state = "kept" if decision.keep else "to end"
    click.echo(f"{counted(len(outcome.items), 'item')} {state}.")
    for why in outcome.skipped.values():
        click.echo(why, err=True)


def _lines_to_change(world: Context, review: str) -> None:
    found = describe_campaign(world, review)
    for change in found.view.changes if found else ():
        click.echo(f"\nroles.toml still has to change:\n\n{change}")


def _campaigns(views: Sequence[CampaignView]) -> None:
    table(
        ("REVIEW", "SCOPE", "STATE", "STARTED", "DUE", "ANSWERED", "NOT DONE", "FINISHED"),
        (
            (
                view.campaign.id,
                view.campaign.scope,
                view.campaign.state,
                utc(view.campaign.started_at),
                utc(view.campaign.due_at),
                f"{view.answered} of {view.total}",
                view.undone,
                utc(view.campaign.finished_at),
            )
            for view in views
        ),
    )


def _campaign_json(view: CampaignView) -> dict[str, object]:
    campaign = view.campaign
    return {
        "review": campaign.id,
        "lead": campaign.lead,
        "role": campaign.scope.role,
        "system": campaign.scope.system,
        "state": campaign.state,
        "started_at": moment(campaign.started_at),
        "due_at": moment(campaign.due_at),
        "finished_at": moment(campaign.finished_at),
        "manifest": campaign.manifest,
        "items": view.total,
        "answered": view.answered,
        "undone": view.undone,
        "states": {str(state): count for state, count in view.counts.items()},
    }


def _show(found: CampaignList, items: Iterable[Item]) -> None:
    view, campaign = found.view, found.view.campaign
    click.echo(
        f"Review {campaign.id} of {clean(str(campaign.scope))} is {campaign.state}:"
        f" {view.answered} of {view.total} answered, due {utc(campaign.due_at)}."
    )
    table(
        ("ITEM", "KIND", "ROLE", "WHO", "STATE", "DECIDES", "DECIDED BY", "REASON"),
        (
            (
                item.number,
                item.kind,
                item.role or ", ".join(item.facts["roles"]),
                _who(found, item),
                item.state,
                _reviewers(found, item),
                _names(found, [item.decided_by] if item.decided_by else []),
                item.reason,
            )
            for item in items
        ),
    )
    for change in view.changes:
        click.echo(f"\nroles.toml still has to change:\n\n{change}")


def _reviewers(found: CampaignList, item: Item) -> str:
    """The people who may decide in Slack; without any, an open item waits for an operator."""
    names = _names(found, sorted(found.reviewers.get(item.number, ())))
    return names or ("command line" if item.state is ItemState.PENDING else "")


def _who(found: CampaignList, item: Item) -> str:
    """The holder by name, or the reference as roles.toml has it."""
    if item.kind in (ItemKind.GRANT, ItemKind.ONBOARDING):
        return _names(found, item.holders) or str(item.facts.get("email", ""))
    return item.about


def _names(found: CampaignList, ids: Sequence[str]) -> str:
    return ", ".join(found.people[each].name if each in found.people else each for each in ids)


def _item_json(found: CampaignList, item: Item) -> dict[str, object]:
    return {
        "review": found.view.campaign.id,
        "item": item.number,
        "kind": item.kind,
        "role": item.role,
        "about": item.about,
        "holders": item.holders,
        "facts": dict(item.facts),
        "by_default": item.by_default,
        "state": item.state,
        "reviewers": sorted(found.reviewers.get(item.number, ())),
        "decision": item.decision,
        "decided_at": moment(item.decided_at),
        "decided_by": item.decided_by,
        "reason": item.reason,
        "over_at": moment(item.over_at),
    }
