"""Flag rules about decisions, ends, and the rules themselves."""

from __future__ import annotations

from hashlib import sha256

from bot.core.flags.facts import Fact, What
from bot.core.flags.index import DAY, HOUR, Index
from bot.core.flags.rule import FlagSettings, Found, Severity, rule
from bot.core.policy_changes import WEAKENING

PAIR_SHARE, PAIR_REQUESTS, PAIR_WITHIN = 0.8, 10, 30 * DAY
QUICK_SECONDS, QUICK_TIMES, QUICK_WITHIN = 10, 3, 7 * DAY
MANY_ENDED, MANY_ENDED_WITHIN = 10, HOUR
OPEN_FOR = DAY
"""Seconds after its start from which on an emergency without a signed review counts as open."""


@rule(What.APPROVED, once=True)
def approving_each_other(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """Two people who approved 80 % of each other's requests in 30 days, of at least 10 each.

    Two people who decide for each other are one person with two accounts. Ten requests, because in
    a small team the same colleague is often the only one there; 80 %, because someone else then
    decides now and then. It is raised once for the pair.
    """
    theirs = _share(index, fact, requester=fact.other, approver=fact.person)
    ours = _share(index, fact, requester=fact.person, approver=fact.other)
    if not fact.other or min(theirs, ours) < PAIR_SHARE:
        return None
    shares = f"{theirs:.0%} and {ours:.0%}"
    pair = " ".join(sorted((fact.person, fact.other)))
    return Found(f"Two people approve each other's requests: {shares} of them in 30 days.", pair)


def _share(index: Index, fact: Fact, *, requester: str, approver: str) -> float:
    """The share of the requester's decided requests that the approver approved."""
    votes = index.votes_for(fact, requester, PAIR_WITHIN)
    if fact.other == requester:
        votes.setdefault(fact.request, set()).add(fact.person)
    if len(votes) < PAIR_REQUESTS:
        return 0.0
    return sum(approver in voters for voters in votes.values()) / len(votes)


@rule(What.APPROVED, quiet=True)
def approved_in_seconds(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """Three approvals in a week, each within 10 seconds of the request, at medium or high risk.

    Nobody reads a request in ten seconds. Once may be a talk before the request; three times in a
    week is a habit. It posts no message, because it is a matter for a talk and not for an alert.
    """
    if not _is_quick(fact):
        return None
    earlier = index.before(fact, What.APPROVED, within=QUICK_WITHIN)
    count = 1 + sum(map(_is_quick, earlier))
    if count < QUICK_TIMES:
        return None
    return Found(f"{count} approvals in a week within {QUICK_SECONDS} seconds of the request.")


def _is_quick(fact: Fact) -> bool:
    if fact.waited is None or fact.risk not in ("medium", "high"):
        return False
    return fact.waited < QUICK_SECONDS


@rule(What.ENDED)
def many_ended(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """10 grants ended by one person in an hour, other than with the panic switch.

    Ending access stops other people's work. A lead who ends one person's access ends a few grants;
    for an incident there is the panic switch, which has its own message.
    """
    count = 1 + len(index.before(fact, What.ENDED, within=MANY_ENDED_WITHIN))
    return Found(f"{count} grants ended in an hour.") if count >= MANY_ENDED else None


@rule(What.LOADED, severity=Severity.MEDIUM)
def policy_weakened(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """A loaded roles.toml asks for fewer approvals, adds or widens an auto-approval, lengthens a
    maximum, or widens the requesters; `high` where the role has a high risk, or had one before.

    Access can be made easy by a change of the rules instead of by a request. Each such change is
    flagged, because it is rare and its author can confirm it. Only the same changes are folded: a
    small one must not hide a second one.
    """
    weaker = [each for text in fact.texts if (each := _weakened(text))]
    if not weaker:
        return None
    roles = sorted({role for role, _ in weaker})
    is_high = any(role in fact.risky or _was_risky(role, fact) for role in roles)
    keys = ", ".join(f"{role}: {key}" for role, key in sorted(set(weaker))[:10])
    severity = Severity.HIGH if is_high else Severity.MEDIUM
    changes = sha256("\n".join(sorted(fact.texts)).encode()).hexdigest()[:12]
    about = f"roles.toml {changes}"
    return Found(f"A new roles.toml is weaker in {keys}.", about, severity)


def _weakened(text: str) -> tuple[str, str] | None:
    """Role and key of a change such as `roles.shop.approvals: was 2, is 1`."""
    where = text.partition(": ")[0]
    path, _, key = where.rpartition(".")
    table, _, role = path.partition(".")
    return (role, key) if table == "roles" and key in WEAKENING else None


def _was_risky(role: str, fact: Fact) -> bool:
    return any(text.startswith(f"roles.{role}.risk: was high,") for text in fact.texts)


@rule(What.EMERGENCY, severity=Severity.HIGH)
def emergency_used(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """Access in an emergency, before anybody approved it.

    Every one of them is looked at by a second person; that is the price of having no approval.
    """
    kind = "drill" if fact.is_drill else "emergency"
    return Found(f"{fact.role} was taken in {'a' if fact.is_drill else 'an'} {kind}.")


@rule(What.STILL_OPEN, severity=Severity.MEDIUM)
def emergency_open(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """An emergency whose review was not signed in 24 hours.

    A day is enough for a lead in any time zone. After that an emergency without a conclusion is
    access that nobody approved.
    """
    return Found(
        f"The review of the emergency for {fact.role} has been open for 24 hours.", fact.request
    )
