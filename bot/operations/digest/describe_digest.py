"""Reads the facts of a digest's period."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from bot.core.audit import Event
from bot.core.digest import Digest, Facts, digest
from bot.core.feedback import Feedback
from bot.core.model import Grant, Request
from bot.core.usage import GrantUsage
from bot.core.weekly import Period
from bot.operations._batches import chunks
from bot.operations._unit_of_work import Context, Snapshot, reading
from bot.operations._usage import used_of
from bot.operations.flags.count_answers import RuleCount, count_answers
from storage import audit, emergencies, feedback, grants, preapprovals, requests, usage


@dataclass(frozen=True, slots=True)
class DigestView:
    """`names` are the real names of the people in it, by id, `flags` the flags that were raised in
    its period, by rule."""

    digest: Digest
    names: Mapping[str, str]
    flags: Sequence[RuleCount] = ()


def describe_digest(world: Context, period: Period) -> DigestView:
    """Raises StorageUnavailable."""
    flags = count_answers(world, period.since, period.until)
    with reading(world) as u:
        found = digest(period, facts_of(u, period), ZoneInfo(u.policy.workspace.timezone))
        people = {grant.person for grant in (*found.held, *found.unused)}
        people |= {each.grant.person for each in found.longest}
        people |= {review.person for review in found.emergencies}
        named = u.people(sorted(people))
        return DigestView(found, {id: person.name or id for id, person in named.items()}, flags)


def facts_of(u: Snapshot, period: Period) -> Facts:
    """Returns the facts on record about this period."""
    since, until = period.since, period.until
    settled = requests.settled_between(u.db, since, until)
    had = grants.had_between(u.db, since, until)
    started = [grant for grant in had if period.has(grant.started_at)]
    ended = [grant for grant in had if period.has(grant.ended_at)]
    return Facts(
        settled=settled,
        in_advance=in_advance(u, settled),
        had=had,
        asked=_asked(u, started),
        used=use_of(u, ended),
        feedback=feedback_of(u, ended),
        emergencies=emergencies.touched_between(u.db, since, until),
        refused=audit.count_events(u.db, Event.RULE_DENIED, since, until),
    )


def in_advance(u: Snapshot, settled: Sequence[Request]) -> frozenset[str]:
    """Returns the ids of those of these requests that pre-approvals decided."""
    found: set[str] = set()
    for some in chunks([request.id for request in settled]):
        found |= preapprovals.which_used(u.db, some)
    return frozenset(found)


def use_of(u: Snapshot, found: Sequence[Grant]) -> dict[str, GrantUsage]:
    """Returns how each of these grants was used, by id. The first use of a grant counts even when
    retention has deleted its counts."""
    used: dict[str, GrantUsage] = {}
    for some in chunks(found):
        used |= used_of(u, some)
        for grant, _ in usage.used_on(u.db, [each.id for each in some]):
            used[grant] = used[grant] if used[grant].times else GrantUsage(times=1)
    return used


def feedback_of(u: Snapshot, found: Sequence[Grant]) -> dict[str, Feedback]:
    """Returns the holders' answers about these grants, by id of the grant."""
    answers: dict[str, Feedback] = {}
    for some in chunks([grant.id for grant in found]):
        answers |= feedback.of_grants(u.db, some)
    return answers


def _asked(u: Snapshot, started: Sequence[Grant]) -> dict[str, Request]:
    """Returns the requests of these grants, by id of the request."""
    asked: dict[str, Request] = {}
    for some in chunks([grant.request for grant in started]):
        asked |= requests.several(u.db, some)
    return asked
