"""Records the first use of a grant, and alerts once when it is used after its end."""

from collections.abc import Sequence

from bot.core import effects
from bot.core import usage as use
from bot.core.audit import Entry, Event
from bot.core.model import Grant, GrantState
from bot.core.usage import GrantUsage, Known, SystemUsage, earliest, latest
from bot.operations._places import first_place, later_place
from bot.operations._repeats import counted
from bot.operations._unit_of_work import SYSTEM, Snapshot, UnitOfWork
from storage import grants, key_values, outbox, sessions, usage
from storage.database import Database

REPORTED, OBSERVED = "sessions are reported by {}", "sessions are observed on {}"
"""Keys of stored values: the system has reported a session, or has answered when asked for
sessions. Without either, and without token checks, use of the system is unknown."""


def note_session(
    u: UnitOfWork, grant: Grant, system: str, name: str, source: str, opened_at: int | None
) -> None:
    """Records a session as use: the first one of a grant on a system, and a new sum if the grant
    was summed up already."""
    over = grant.state in (GrantState.ENDED, GrantState.FAILED)
    if over and not outbox.run_now(u.db, [effects.usage_key(grant.id)], u.now + effects.SUM_AFTER):
        u.do(effects.sum_usage([grant.id]))
    at = opened_at if opened_at is not None else u.now
    if usage.first(u.db, grant.id, system, at):
        where = first_place(u, grant, source)
        u.record(Event.USE_FIRST, grant.person, grant, system=system, session=name, **where)
    else:
        later_place(u, grant, system, source)


def report_use_after_end(
    u: UnitOfWork,
    grant: Grant,
    system: str,
    name: str,
    source: str,
    opened_at: int | None,
    seen_at: int | None = None,
) -> None:
    """Alerts when this recorded session shows use after the end of its grant. `seen_at` is when the
    bot saw it open itself. Beyond some sessions a minute of a grant on a system,
    further ones are counted as one."""
    if not use.used_after_end(grant, opened_at, seen_at) or not sessions.mark_used_after_end(
        u.db, grant.id, system, name
    ):
        return
    when = {"opened_at": opened_at, "ended_at": use.over_at(grant)}
    detail = {"source": u.world.source, "source_address": source, **when}
    entry = _used_after_end(grant, system, {**detail, "session": name})
    beyond = _used_after_end(grant, system, {**detail, "session": "and others"})
    if new := counted(u.db, u.now, f"used after end {grant.id} {system}", entry, beyond, (name,)):
        u.entries += new
        session = str((new[-1].detail or {})["session"])
        about = {
            "grant": grant.id,
            "person": grant.person,
            "system": system,
            "session": session,
            "origin": source,
            **grant.urgency.as_detail(),
        }
        u.notify_leads("use_after_end", **about, **when)


def _used_after_end(grant: Grant, system: str, detail: dict[str, object]) -> Entry:
    return Entry(
        Event.USE_AFTER_END,
        SYSTEM,
        grant.person,
        grant.role,
        system,
        grant.request,
        grant.id,
        detail={**detail, **grant.urgency.as_detail()},
    )


def by_system(db: Database, ids: Sequence[str]) -> dict[str, dict[str, SystemUsage]]:
    """Returns the use of these grants, by grant and system, with two statements."""
    if not ids:
        return {}
    checks, opened = usage.sums(db, ids), sessions.sums(db, ids)
    nothing, none = usage.Sum(0, 0, None, None), sessions.Sum(0, 0, None, None)
    return {
        grant: {
            system: _together(checks[grant].get(system, nothing), opened[grant].get(system, none))
            for system in dict.fromkeys([*checks[grant], *opened[grant]])
        }
        for grant in ids
    }


def _together(checks: usage.Sum, opened: sessions.Sum) -> SystemUsage:
    return SystemUsage(
        allowed=checks.allowed,
        refused=checks.refused,
        sessions=opened.sessions,
        open=opened.open,
        first=earliest([checks.first, opened.first]),
        last=latest([checks.last, opened.last]),
    )


def used_of(u: Snapshot, found: Sequence[Grant]) -> dict[str, GrantUsage]:
    """Returns how each of these grants was used, over all its systems."""
    counted = by_system(u.db, [grant.id for grant in found])
    used = {grant: _summed(list(here.values())) for grant, here in counted.items()}
    unused = [grant for grant in found if not used[grant.id].times]
    return {**used, **_unused(u, unused)} if unused else used


def _summed(here: Sequence[SystemUsage]) -> GrantUsage:
    return GrantUsage(
        times=sum(each.allowed + each.sessions for each in here),
        first=earliest(each.first for each in here),
        last=latest(each.last for each in here),
        open=sum(each.open for each in here),
    )


def _unused(u: Snapshot, found: Sequence[Grant]) -> dict[str, GrantUsage]:
    """Returns the usage of grants without use: whether their systems would have reported use."""
    kinds = grants.connectors_of(u.db, [grant.id for grant in found])
    pairs = {
        (system, kinds.get((grant.id, system), "")) for grant in found for system in grant.systems
    }
    known = {system: known_on(u, system, kind) for system, kind in sorted(pairs)}
    return {
        grant.id: GrantUsage(
            silent=tuple(system for system in grant.systems if known[system] is Known.UNREPORTED),
            glimpsed=any(known[system] is Known.OBSERVED for system in grant.systems),
        )
        for grant in found
    }


def known_on(u: Snapshot, system: str, kind: str) -> Known:
    """Returns how use of a system of this kind is known."""
    if u.policy.abilities(kind).reports_use or key_values.get(u.db, REPORTED.format(system)):
        return Known.REPORTED
    return Known.OBSERVED if key_values.get(u.db, OBSERVED.format(system)) else Known.UNREPORTED
