"""Review campaigns in messages, in `/access review list` and in App Home."""

from collections.abc import Sequence

from bot.core.model import CampaignState
from bot.core.names import slash
from bot.core.plurals import counted
from bot.core.review import Campaign
from bot.operations.reviews.describe_campaign import CampaignView
from bot.operations.reviews.start_campaign import Started
from bot.operations.reviews.waiting import SeenCampaign
from bot.slack.blocks import (
    Block,
    Element,
    Message,
    Part,
    actions,
    bold,
    button,
    code,
    date,
    header,
    message,
    paragraph,
    preformatted,
    rich,
    section,
)
from bot.slack.ids import Action
from bot.slack.views._fit import MESSAGE_BLOCKS, fit

NOTHING = "No review waits for your decision."


def started(found: Started) -> Message:
    """To the lead who started a campaign."""
    campaign = found.campaign
    kinds = ", ".join(counted(count, str(kind)) for kind, count in sorted(found.counts.items()))
    items = counted(sum(found.counts.values()), "item")
    return message(
        f"The review has started: {items}.",
        paragraph(
            ["The review of ", bold(str(campaign.scope), 100), f" has started: {items} ({kinds})."],
            ["Due ", date(campaign.due_at), ". Everybody who decides gets a message."],
            ["SHA-256 of the list: ", code(campaign.manifest)],
        ),
    )


def note(campaign: Campaign, is_reminder: bool) -> Message:
    """Asks a person to decide on their items; once the campaign is closed, reports that."""
    scope: list[Part] = [bold(str(campaign.scope), 100)]
    if campaign.state is not CampaignState.OPEN:
        return message(
            "This review is closed.",
            paragraph(["The review of ", *scope, " is closed: every item is decided."]),
        )
    what = "is due soon" if is_reminder else "has started"
    return message(
        f"A review of access {what}, and it needs your decisions.",
        paragraph(
            ["The review of ", *scope, f" {what}. It closes ", date(campaign.due_at), "."],
            [
                "Decide on each item: keep or end. Items without an answer stay, except for roles"
                " whose ",
                code("review_default"),
                " is “end”.",
            ],
        ),
        actions(_button(campaign, "primary")),
    )


def listed(views: Sequence[CampaignView]) -> Message:
    """The campaigns that are not finished, for a lead."""
    if not views:
        return message(
            "No review is open.",
            paragraph(["No review is open. ", code(f"{slash()} review start"), " starts one."]),
        )
    rows = [[paragraph(*_lines(view)), *_changes(view)] for view in views]
    shown, missing = fit(rows, MESSAGE_BLOCKS - 3, 11_000)
    more = [paragraph([f"{missing} more: ", code("access-bot reviews list"), "."])]
    return message(
        f"Open reviews: {len(views)}.",
        header("Open reviews"),
        *shown,
        *(more if missing else []),
    )


def row(seen: SeenCampaign) -> list[Block]:
    """One campaign in App Home."""
    buttons = [actions(_button(seen.view.campaign))] if seen.waits else []
    return [paragraph(*_lines(seen.view)), *buttons]


def _lines(view: CampaignView) -> list[list[Part]]:
    campaign = view.campaign
    answered = f": {view.answered:,} of {counted(view.total, 'item')} answered, "
    first: list[Part] = ["Review of ", bold(str(campaign.scope), 100), answered]
    if campaign.state is CampaignState.CLOSING:
        undone: list[Part] = [f"{view.undone:,} to end and still there. "]
        return [[*first, *undone, code(campaign.id), "."]]
    return [[*first, "due ", date(campaign.due_at), "."]]


def _changes(view: CampaignView) -> list[Block]:
    """The lines of roles.toml to change."""
    if not view.changes:
        return []
    text = "\n\n".join(view.changes)
    return [rich(section("roles.toml still has to change:"), preformatted(text))]


def _button(campaign: Campaign, style: str = "") -> Element:
    return button("Review", Action.REVIEW, campaign.id, str(campaign.scope), style)
