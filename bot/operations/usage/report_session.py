"""Records a system's report that a session was opened or closed under a grant; a repeated report
changes nothing."""

from dataclasses import dataclass
from typing import Literal

from bot.core import usage
from bot.core.audit import Entry, Event
from bot.core.model import Grant, GrantState
from bot.operations._repeats import counted
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork, unit
from bot.operations._usage import REPORTED, note_session, report_use_after_end
from storage import grants, key_values, sessions


@dataclass(frozen=True, slots=True)
class Report:
    """A system's report: `session` is its own name for the session, `source` where it came from,
    `at` UTC seconds or None for now."""

    grant: str
    event: Literal["opened", "closed"]
    session: str
    source: str = ""
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """The report is recorded; `is_new` is False for a repetition. If the grant is not `active`, the
    system should end the session."""

    is_new: bool
    active: bool


@dataclass(frozen=True, slots=True)
class Unfit:
    """The report is refused, and why."""

    kind: Literal["no grant", "other system", "time"]
    why: str


def report_use(world: Context, system: str, report: Report) -> Kept | Unfit:
    """Records the report of `system`, which has authenticated itself. Raises StorageUnavailable."""
    with unit(world) as u:
        grant = grants.get(u.db, report.grant)
        if grant is None:
            return _refuse(u, system, report, None, Unfit("no grant", "there is no such grant"))
        if system not in grant.systems:
            return _refuse(
                u, system, report, grant, Unfit("other system", "the grant is not for this system")
            )
        at = u.now if report.at is None else report.at
        if not usage.fits(grant, at, u.now):
            return Unfit(
                "time", "`at` is in the future, or before the grant began: is the clock right?"
            )
        return _keep(u, grant, system, report, min(at, u.now))


def _keep(u: UnitOfWork, grant: Grant, system: str, report: Report, at: int) -> Kept:
    is_opened = report.event == "opened"
    write = sessions.open_ if is_opened else sessions.close
    is_new = write(u.db, grant.id, system, report.session, report.source, at)
    if is_new:
        key_values.bind(u.db, REPORTED.format(system), report.session)
        opened_at = at if is_opened else None
        note_session(u, grant, system, report.session, report.source, opened_at)
        report_use_after_end(u, grant, system, report.session, report.source, opened_at)
    return Kept(is_new, grant.state is GrantState.ACTIVE and u.now < grant.ends_at)


def _refuse(u: UnitOfWork, system: str, report: Report, grant: Grant | None, unfit: Unfit) -> Unfit:
    """Records one refusal a minute for each system and kind, with the first grant named."""
    facts = {
        "source": u.world.source,
        "action": "report use",
        "why": unfit.why,
        "session": report.session,
    }
    entry = Entry(
        Event.ACTION_REFUSED, SYSTEM, system=system, detail={**facts, "named": report.grant}
    )
    if grant is not None:
        about = (grant.person, grant.role, system, grant.request, grant.id)
        entry = Entry(Event.ACTION_REFUSED, SYSTEM, *about, detail=facts)
    u.entries += counted(u.db, u.now, f"usage of {system}", entry, entry, (unfit.kind,))
    return unfit
