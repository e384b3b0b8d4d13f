"""Pre-approval: an approver decides in advance on one person's requests for one role, up to a
duration and until a date."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.approval import Refused
from bot.core.durations import BadDuration, format_duration
from bot.core.eligibility import check_duration, check_reason, may_request
from bot.core.model import Directory, Person
from bot.core.roles import Role
from bot.core.rules import Tier
from bot.core.spans import parse_span, take_span

LONGEST = 90 * 86400
"""Seconds for which a pre-approval may hold."""

EVENING = "18:00"
_UNTIL = re.compile(r"(?:^|\s)(?:until|till)\s", re.IGNORECASE)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class PreApproval:
    """`giver` approves requests of `person` for `role` of at most `duration` seconds, until the
    time `until`. `fingerprint` is that of the role when it was given."""

    id: str
    giver: str
    person: str
    role: str
    duration: int
    until: int
    reason: str
    fingerprint: str
    given_at: int


@dataclass(frozen=True, slots=True)
class Terms:
    """The text as typed: `duration` is None if none was given, `until` is UTC seconds."""

    duration: int | None
    until: int
    reason: str


def read_terms(text: str, now: int, tz: str) -> Terms | None:
    """`[DURATION] until DATE [REASON…]`; None without an `until`. A date without a time ends at
    18:00 of that day. Raises BadDuration."""
    found = _UNTIL.search(text)
    if found is None:
        return None
    first = text[: found.start()].strip()
    duration = parse_span(first, now, tz) if first else None
    rest = text[found.end() :].strip()
    try:
        length, reason = take_span(f"until {rest}", now, tz)
    except BadDuration as bad:
        day = _DAY.match(rest)
        if day is None or bad.text != f"until {day[0]}":
            raise
        length, reason = take_span(f"until {day[0]} {EVENING}{rest[day.end() :]}", now, tz)
    return None if length is None else Terms(duration, now + length, reason)


def may_give(
    role: Role, given: PreApproval, giver: Person, receiver: Person, directory: Directory
) -> Refused | None:
    """Whether this pre-approval is a good one; that its giver may decide is checked elsewhere."""
    if given.giver == given.person:
        return Refused("You can't approve your own requests, also not in advance.")
    if (unfit := giver.ineligible_reason()) is not None:
        return Refused(f"You can't approve in advance: {unfit}.")
    if may_request(role, receiver, directory) is not None:
        return Refused(f"This person may not ask for {role.name}, so nothing can be approved.")
    if (long := check_duration(role, given.duration)) is not None:
        return long
    if not 0 < given.until - given.given_at <= LONGEST:
        return Refused(
            f"A pre-approval holds for at most {format_duration(LONGEST)}. Give an earlier date."
        )
    return check_reason(given.reason) if given.reason else None


def lost(
    role: Role | None, given: PreApproval, entitled: frozenset[str], giver: Person
) -> str | None:
    """The reason why a pre-approval no longer holds before its date, None while it holds.
    `entitled` are the people who may decide on this person's requests for the role now."""
    if role is None:
        return "the role is no longer in roles.toml"
    if giver.ineligible_reason() is not None:
        return "the account of the person who gave it no longer counts"
    if given.giver not in entitled:
        return "the person who gave it may no longer decide"
    if given.fingerprint != role.general_fingerprint:
        return "the role was changed in roles.toml"
    return None


def enough(
    role: Role,
    given: Sequence[PreApproval],
    duration: int,
    leads: frozenset[str],
    directory: Directory,
) -> tuple[PreApproval, ...]:
    """Those of the pre-approvals that decide a request of this duration together, none where
    people are still needed. A role with several approvals needs as many people who approved in
    advance; with tiers, in each tier."""
    fitting = {each.giver: each for each in given if duration <= each.duration}
    used: list[str] = []
    for tier in role.tiers or (Tier("", role.approvers, role.approvals),):
        able = directory.resolve(tier.approvers)
        able = able if role.tiers else able | leads
        takers = sorted(giver for giver in fitting if giver in able and giver not in used)
        if len(takers) < tier.approvals:
            return ()
        used += takers[: tier.approvals]
    return tuple(fitting[giver] for giver in used)
