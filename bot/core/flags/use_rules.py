"""Flag rules about use and credentials."""

from __future__ import annotations

from datetime import datetime, tzinfo

from bot.core.flags.facts import Fact, Sighting, What
from bot.core.flags.index import ENOUGH, HOUR, MINUTE, Index
from bot.core.flags.rule import FlagSettings, Found, Severity, rule

USUAL_DAYS = 3
APART = 32 * MINUTE
MANY_CREDENTIALS, CREDENTIALS_WITHIN = 10, 10 * MINUTE
UNUSED, OF_LAST = 3, 5


@rule(What.EXCESS, severity=Severity.HIGH)
def unexplained_access(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """Drift found access on a system that no active grant explains.

    Somebody gave it beside the bot, or a revocation did not last. There is no threshold: one is too
    many. The findings of one system are folded into one flag.
    """
    name = f" ({fact.texts[0]})" if fact.texts and fact.texts[0] else ""
    return Found(f"{fact.system} has access that no grant explains{name}.", fact.system)


@rule(What.USED_AFTER_END, severity=Severity.HIGH)
def used_after_end(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """A grant was used after its end.

    The system let somebody in who had no right any longer. There is no threshold: one is too many.
    """
    drill = " of a drill" if fact.is_drill else ""
    return Found(f"{fact.role}{drill} was used on {fact.system} after its end.")


@rule(What.REQUEST, What.USED)
def unusual_hour(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """A request or use at an hour of the week at which the person was active on fewer than 3
    different days of the last 90, from 10 events on.

    The hours next to it and the other days of the same kind (Monday to Friday, or the weekend)
    count as well, because 90 days have each hour of the week only thirteen times. Three different
    days, because one long night is no habit; somebody with fewer days has no usual hours yet.
    People on call are left out: their hours are not theirs to choose.
    """
    if fact.on_call:
        return None
    earlier = index.before(fact, What.REQUEST, What.USED)
    if len(earlier) < ENOUGH:
        return None
    hours = _hours_around(fact.at, settings.zone)
    moments = [_moment(each.at, settings.zone) for each in earlier]
    days = {day for day, hour in moments if hour in hours}
    if len(days) >= USUAL_DAYS or len({day for day, _ in moments}) < USUAL_DAYS:
        return None
    when = datetime.fromtimestamp(fact.at, settings.zone)
    return Found(f"Active on {when:%A} at {when:%H}:00, which is unusual for this person.")


def _moment(at: int, zone: tzinfo) -> tuple[str, tuple[bool, int]]:
    """The day, and the hour of the week: whether it is a weekend, and the hour of the day."""
    when = datetime.fromtimestamp(at, zone)
    return when.date().isoformat(), (when.weekday() >= 5, when.hour)


def _hours_around(at: int, zone: tzinfo) -> set[tuple[bool, int]]:
    return {_moment(at + shift * HOUR, zone)[1] for shift in (-1, 0, 1)}


@rule(What.USED)
def new_network(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """Use from a /24 (IPv6: /48) in which the person was not seen for 90 days, outside
    `trusted_networks`.

    A network of that size is one office, home or provider's pool, so that a new lease of the same
    line is not new. Ten earlier uses with an address are needed to know the usual ones.
    """
    earlier = [each for each in index.before(fact, What.USED) if each.place]
    if fact.place is None or settings.trusts(fact.place.network) or len(earlier) < ENOUGH:
        return None
    if any(each.place and each.place.network == fact.place.network for each in earlier):
        return None
    return Found(f"{fact.system} was used from {fact.place.network}, a network unseen in 90 days.")


@rule(What.USED)
def two_places_at_once(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """Use from two networks with two different user agents within 32 minutes.

    A person who moves keeps their browser, and a person with two programs has one network; both
    changed at once are two people. 32 minutes are half an hour and the time of two sightings: a
    shorter one misses credentials that were passed on, a longer one finds people on their way home.
    """
    if fact.place is None:
        return None
    earlier = index.before(fact, What.USED, within=APART)
    seen = [*(each.place for each in earlier if each.place), *fact.elsewhere]
    others = {each.network for each in seen if _is_other(each, fact.place)}
    if not others:
        return None
    places = f"{fact.place.network} and {min(others)}"
    return Found(f"Used from {places} with different programs within 32 minutes.")


def _is_other(seen: Sighting, place: Sighting) -> bool:
    if not seen.agent or not place.agent or abs(place.at - seen.at) > APART:
        return False
    return seen.network != place.network and seen.agent != place.agent


@rule(What.CREDENTIALS)
def many_credentials(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """10 credentials shown or certificates issued to one person in 10 minutes.

    One is enough to work with; each further one is a copy. A person who opens the window again
    because something failed does it a few times, a program that collects them does it more often.
    """
    count = 1 + len(index.before(fact, What.CREDENTIALS, within=CREDENTIALS_WITHIN))
    if count < MANY_CREDENTIALS:
        return None
    return Found(f"{count} credentials shown or issued in 10 minutes.")


@rule(What.SUMMED)
def granted_never_used(fact: Fact, index: Index, settings: FlagSettings) -> Found | None:
    """3 of the last 5 grants of this person were never used.

    Access in stock is access that others may find. One unused grant is a problem solved otherwise;
    three of five are a habit. Only systems that report every use count, and newcomers are left out,
    because they did not ask.
    """
    if index.is_newcomer(fact):
        return None
    used = {each.grant for each in index.before(fact, What.USED)}
    summed = [*index.before(fact, What.SUMMED), fact]
    unknown = {each.grant for each in summed if not each.is_known}
    ended = [each for each in dict.fromkeys(each.grant for each in summed) if each not in unknown]
    unused = [grant for grant in ended[-OF_LAST:] if grant not in used]
    if len(ended) < OF_LAST or len(unused) < UNUSED or unused[-1] != fact.grant:
        return None
    return Found(f"{len(unused)} of the last {OF_LAST} grants were never used.")
