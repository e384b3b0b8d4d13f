"""Whether an approver may hand their decisions to a delegate while they are away, and until
when."""

import re

from bot.core.approval import Refused
from bot.core.authority import decider_references
from bot.core.durations import format_duration
from bot.core.model import Delegation, Directory, Person
from bot.core.roles import Policy
from bot.core.spans import parse_span

LONGEST = 90 * 86400
"""Seconds that one absence may last."""

_DAY = re.compile(r"(?:until |till )?([0-9]{4}-[0-9]{2}-[0-9]{2})")
_EVENING = "18:00"


def read_until(text: str, now: int, tz: str) -> int:
    """UTC seconds of `until DATE` as people type it. A date without a time ends at 18:00, as a
    weekday does. Raises BadDuration."""
    day = _DAY.fullmatch(text.strip())
    return now + parse_span(f"until {day[1]} {_EVENING}" if day else text, now, tz)


def roles_decided_by(policy: Policy, person: str, directory: Directory) -> list[str]:
    """The roles on whose requests this person decides in their own right."""
    return [
        role.name
        for role in policy.roles.values()
        if person in directory.resolve(decider_references(role))
    ]


def may_go_away(given: Delegation, giver: Person, delegate: Person) -> Refused | None:
    """Whether this delegation is a good one in itself; None means yes."""
    if (unfit := giver.ineligible_reason()) is not None:
        return Refused(f"You can't hand over decisions: {unfit}.")
    if delegate.id == giver.id:
        return Refused("Name somebody else: you can't decide in your own place.")
    if (unfit := delegate.ineligible_reason()) is not None:
        return Refused(f"{delegate.name} can't decide in your place: {unfit}. Name somebody else.")
    if not 0 < given.ends_at - given.given_at <= LONGEST:
        return Refused(
            f"An absence lasts for at most {format_duration(LONGEST)}. Give an earlier date."
        )
    return None


def delegate_is_here(given: Delegation, directory: Directory) -> Refused | None:
    """Refuses a delegate who is away: a delegate can't pass on the decisions that they were
    given."""
    for each in directory.delegations:
        if each.giver == given.delegate and each.ends_at > given.given_at:
            return Refused("Your delegate is away, too. Name somebody else.")
    return None
