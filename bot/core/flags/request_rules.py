"""Flag rules about requests."""

from __future__ import annotations

from math import ceil

from bot.core.flags.facts import Fact, What
from bot.core.flags.index import DAY, ENOUGH, HOUR, MINUTE, Index
from bot.core.flags.rule import FlagSettings, Found, Severity, rule

BURST_REQUESTS, BURST_PERCENT = 5, 95
DENIED_WITHIN, DENIALS, DENIALS_WITHIN = 30 * MINUTE, 2, HOUR
NAGGING_TIMES, NAGGING_WITHIN = 5, 10 * MINUTE
DORMANT_FOR = 30 * DAY

RISKS = ("", "low", "medium", "high")
ACTIVE = (What.REQUEST, What.USED, What.CREDENTIALS, What.APPROVED)


@rule(What.REQUEST)
def burst_of_requests(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """More requests in 24 hours than on 95 of 100 of the person's own days, and at least 5.

    The person's own past is the measure, because a number for everybody is too high for most and
    too low for the rest. At least 5, because two requests are many for somebody with one a month.
    People on call are left out: an incident needs many roles at once.
    """
    if fact.on_call:
        return None
    earlier = index.before(fact, What.REQUEST)
    today = 1 + sum(each.at > fact.at - DAY for each in earlier)
    past = [each.at for each in earlier if each.at <= fact.at - DAY]
    if today < BURST_REQUESTS or len(past) < ENOUGH:
        return None
    usual = _percentile(past, fact.at)
    if today <= usual:
        return None
    return Found(f"{today} requests in 24 hours; on 95 of 100 days it was at most {usual}.")


def _percentile(past: list[int], now: int) -> int:
    """The 95th percentile of the requests a day, from the day of the first one on."""
    days = [0] * ((now - past[0]) // DAY)
    for at in past:
        days[(now - at) // DAY - 1] += 1
    return sorted(days)[ceil(len(days) * BURST_PERCENT / 100) - 1]


@rule(What.REQUEST, What.DENIED)
def asked_wider_after_denial(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """Within 30 minutes after a denial a request for a role with more, or two denials in an hour.

    Half an hour is one sitting: a later request has had time for a talk with the approver. One
    denial is normal, and so is a second try for less.
    """
    if fact.what is What.DENIED:
        count = 1 + len(index.before(fact, What.DENIED, within=DENIALS_WITHIN))
        return Found(f"{count} denials in an hour.") if count >= DENIALS else None
    asked = {each.request: each for each in index.before(fact, What.REQUEST)}
    for denial in index.before(fact, What.DENIED, within=DENIED_WITHIN):
        before = asked.get(denial.request)
        if before is not None and _has_more(fact, before):
            return Found(
                f"{fact.role} has more than {before.role}, which was denied shortly before."
            )
    return None


def _has_more(fact: Fact, before: Fact) -> bool:
    """A higher risk, or at the same risk more systems or more actions and not fewer of either."""
    risk, old = RISKS.index(_risk(fact)), RISKS.index(_risk(before))
    if risk != old:
        return risk > old
    pairs = (
        (len(fact.systems), len(before.systems)),
        (len(fact.actions), len(before.actions)),
    )
    return all(new >= was for new, was in pairs) and any(new > was for new, was in pairs)


def _risk(fact: Fact) -> str:
    return fact.risk if fact.risk in RISKS else ""


@rule(What.CANCELLED, What.DENIED)
def nagging(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """5 requests of one person cancelled or denied in 10 minutes.

    An approver who is asked again and again may press Approve to have peace. Nobody cancels five
    requests in ten minutes by mistake.
    """
    earlier = index.before(fact, What.CANCELLED, What.DENIED, within=NAGGING_WITHIN)
    count = 1 + len(earlier)
    if count < NAGGING_TIMES:
        return None
    return Found(f"{count} requests were cancelled or denied in 10 minutes.")


@rule(What.REQUEST, severity=Severity.INFO, quiet=True)
def first_time(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """The first request of this person for this role in 90 days.

    It is information: the decision card has it, too. It is not raised for newcomers, for whom every
    role is the first, and posts no message.
    """
    earlier = index.before(fact, What.REQUEST)
    is_known = len(index.before(fact, *ACTIVE)) >= ENOUGH
    if fact.renews or not is_known or index.is_newcomer(fact):
        return None
    if any(each.role == fact.role for each in earlier):
        return None
    return Found(f"The first request for {fact.role} in 90 days.")


@rule(What.REQUEST, What.USED)
def dormant(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """A request or use after nothing for 30 days, from somebody who was active before.

    Accounts that nobody watches are the ones that get taken over. Thirty days are longer than most
    holidays.
    """
    earlier = index.before(fact, *ACTIVE, within=fact.at)
    if len(earlier) < ENOUGH or earlier[-1].at > fact.at - DORMANT_FOR:
        return None
    days = (fact.at - earlier[-1].at) // DAY
    return Found(f"The first request or use in {days} days.")
