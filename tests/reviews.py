"""Review campaigns for tests."""

from __future__ import annotations

from bot.core.review import Decision, Item, Scope
from bot.operations.reviews.decide_items import Decided, decide_items
from bot.operations.reviews.start_campaign import Started, start_campaign
from storage import reviews
from tests.factories import ANA, BEN, LEA, Made
from tests.ramps import see_all

DAY = 86400
KEEP, END = Decision(True, "still needed"), Decision(False, "left the team")


def a_campaign(made: Made, due: int = 7 * DAY, **scope: str) -> str:
    """The id of a campaign that Lea has started."""
    see_all(made)
    started = start_campaign(made.world, LEA, Scope(**scope), due)
    assert isinstance(started, Started), started
    return started.campaign.id


def items_of(made: Made, campaign: str) -> dict[str, Item]:
    """The items by what they are about, those of roles.toml as `role reference kind`."""
    with made.world.db.reading():
        found = reviews.items(made.world.db, campaign)
    return {f"{i.role} {i.about} {i.kind}" if "id" in i.facts else i.about: i for i in found}


def answer(made: Made, campaign: str, by: str, decision: Decision, *about: str) -> Decided:
    """Decides on the items about these."""
    see_all(made, ANA, BEN, LEA, by)
    items = items_of(made, campaign)
    decided = decide_items(
        made.world, by, campaign, [items[each].number for each in about], decision
    )
    assert isinstance(decided, Decided), decided
    return decided


def answer_rest(made: Made, campaign: str, decision: Decision = KEEP) -> None:
    """Decides on everything that waits, as an operator."""
    waiting = [i.number for i in items_of(made, campaign).values() if i.state == "pending"]
    decided = decide_items(made.world, "os:op", campaign, waiting, decision)
    assert isinstance(decided, Decided), decided
