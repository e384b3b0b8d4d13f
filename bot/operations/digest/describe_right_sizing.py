"""Reads the facts of each role, and suggests changes of roles.toml that fit it to its use."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from bot.core.model import Grant, GrantState, Request
from bot.core.right_sizing import DAYS, RoleFacts, Suggestion, suggestions
from bot.core.usage import Known
from bot.core.weekly import Period
from bot.core.written_policy import requesters_in
from bot.operations._batches import chunks
from bot.operations._unit_of_work import Context, Snapshot, reading
from bot.operations._usage import known_on
from bot.operations.digest.describe_digest import feedback_of, in_advance, use_of
from storage import archives, audit, grants, requests, usage


@dataclass(frozen=True, slots=True)
class RightSizing:
    """The suggestions, and the numbers of roles, requests and grants behind them."""

    period: Period
    suggestions: tuple[Suggestion, ...]
    roles: int
    requests: int
    grants: int


def describe_right_sizing(world: Context, until: int) -> RightSizing:
    """Looks at the last DAYS days before `until`. Raises StorageUnavailable."""
    period = Period(until - DAYS * 86400, until)
    with reading(world) as u:
        asked = requests.asked_between(u.db, period.since, until)
        asked = [request for request in asked if not request.urgency]
        had = grants.had_between(u.db, period.since, until)
        had = [grant for grant in had if grant.state is not GrantState.FAILED]
        facts = facts_of_roles(u, period, asked, had)
        found = suggestions(facts, u.directory, ZoneInfo(u.policy.workspace.timezone))
        counts = (len(facts), len(asked), len(had))
        return RightSizing(period, tuple(found), *counts)


def facts_of_roles(
    u: Snapshot, period: Period, asked: Sequence[Request], had: Sequence[Grant]
) -> list[RoleFacts]:
    """Returns the facts of each role of roles.toml."""
    archived = archives.newest(u.db)
    text = audit.policy_text_at(u.db, period.since)
    before = requesters_in(text or str(archived.policy.get("text", "")) if archived else text)
    advance, used, feedback = in_advance(u, asked), use_of(u, had), feedback_of(u, had)
    used_on = _used_on(u, had)
    reporting = _reporting(u)
    asked_for, given = defaultdict[str, list[Request]](list), defaultdict[str, list[Grant]](list)
    for request in asked:
        asked_for[request.role].append(request)
    for grant in had:
        given[grant.role].append(grant)
    return [
        RoleFacts(
            role=role,
            asked=asked_for[name],
            in_advance=advance,
            given=given[name],
            used=used,
            feedback=feedback,
            used_on=[(g.id, s) for g in given[name] for s in g.systems if (g.id, s) in used_on],
            reporting=reporting,
            requesters_before=before.get(name),
            bundles=_bundles(u, name),
        )
        for name, role in u.policy.roles.items()
    ]


def _used_on(u: Snapshot, had: Sequence[Grant]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for some in chunks([grant.id for grant in had]):
        found |= usage.used_on(u.db, some)
    return found


def _reporting(u: Snapshot) -> frozenset[str]:
    """Returns the systems of roles.toml that report every use."""
    return frozenset(
        name
        for name, system in u.policy.systems.items()
        if known_on(u, name, system.connector) is Known.REPORTED
    )


def _bundles(u: Snapshot, role: str) -> tuple[str, ...]:
    return tuple(
        name
        for name, bundle in u.policy.bundles.items()
        if any(role in (*stage.roles, *stage.may_ask) for stage in bundle.stages)
    )
