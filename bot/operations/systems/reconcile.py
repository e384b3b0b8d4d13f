"""Records where systems and our rows differ, and notifies the leads. It changes nothing on a
system: a lead may remove unexpected access, and missing access is not created again, because it may
have been removed on purpose."""

from collections.abc import Sequence

from bot.core import effects
from bot.core.approval import Refused
from bot.core.audit import Event
from bot.core.drift import EXCESS, Finding, ScanResult, What
from bot.core.model import Grant, GrantState
from bot.operations._end_alert import AFTER_LEADS
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork, new_id, unit
from storage import findings, grants

ACTION = "check the systems for drift"


def ask_reconcile(world: Context, by: str, channel: str) -> Refused | None:
    """Queues a comparison of every system, with the answer to the lead in `channel`; returns None
    if it is queued."""
    with unit(world) as u:
        if (refused := leads_only(u, by)) is not None:
            return u.refuse(refused, by, ACTION)
        u.do(effects.reconcile(by, channel))
    return None


def reconcile(
    world: Context, seen: Sequence[ScanResult], by: str, channel: str | None = None
) -> list[Finding]:
    """Returns the differences that still hold, with ids. New ones are recorded and reported;
    earlier ones that are gone are dropped if the system could be asked. `by` is a lead, who is
    answered in `channel`, an operator, or the clock. Raises StorageUnavailable."""
    with unit(world) as u:
        found = [each for one in seen for each in _kept(u, one)]
        unasked = {one.system: one.problem for one in seen if one.problem}
        u.note(Event.SYSTEMS_VERIFIED, by, found=len(found), unasked=sorted(unasked))
        if by == SYSTEM and (unasked or any(each.what is not What.ENDING for each in found)):
            _notify_counts(u, found, unasked)
        if by != SYSTEM and channel is not None:  # the findings are read when they are shown
            u.do(effects.answer(by, channel, "findings", asked=len(seen), unasked=unasked))
    return found


def read_findings(world: Context, by: str) -> list[Finding] | Refused:
    """Returns the differences of the last comparison, for a lead. Raises StorageUnavailable."""
    with unit(world) as u:
        if (refused := leads_only(u, by)) is not None:
            return u.refuse(refused, by, ACTION)
        return findings.every(u.db)


def _kept(u: UnitOfWork, seen: ScanResult) -> list[Finding]:
    known = {_key(each): each for each in findings.of_system(u.db, seen.system)}
    now = {_key(each): each for each in seen.findings if _still_so(u, each)}
    kept = []
    for key, each in now.items():
        stored = known.get(key) or Finding(
            each.system, each.what, each.name, each.grant, each.detail, new_id("f")
        )
        if key not in known and findings.add(u.db, stored, u.now):
            _notify_new(u, stored)
        kept.append(stored)
    if not seen.problem:
        findings.drop(u.db, [each.id for key, each in known.items() if key not in now])
    return kept


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.what, finding.name, finding.grant


def _still_so(u: UnitOfWork, finding: Finding) -> bool:
    """Returns whether our rows are as they were when the difference was found: an end may have been
    requested since."""
    grant = grants.get(u.db, finding.grant) if finding.grant else None
    states = {lease.system: lease.state for lease in grants.leases(u.db, grant.id)} if grant else {}
    wanted = {
        What.MISSING: GrantState.ACTIVE,
        What.ENDING: GrantState.ENDING,
        What.LINGERING: GrantState.ENDED,
    }
    return states.get(finding.system) is wanted.get(finding.what)


def _notify_new(u: UnitOfWork, finding: Finding) -> None:
    grant = grants.get(u.db, finding.grant) if finding.grant else None
    if finding.what is What.MISSING and grant is not None:
        return _notify_missing(u, grant, finding)
    if finding.what in EXCESS:
        facts = {"name": finding.name, "what": finding.what, "detail": finding.detail}
        if grant is not None:
            u.record(Event.EXCESS_FOUND, SYSTEM, grant, system=finding.system, **facts)
        else:
            u.note(Event.EXCESS_FOUND, SYSTEM, system=finding.system, **facts)
    return None


def _notify_missing(u: UnitOfWork, grant: Grant, finding: Finding) -> None:
    system, part = finding.system, {"part": finding.detail} if finding.detail else {}
    drill = grant.urgency.as_detail()
    u.record(Event.ACCESS_MISSING, SYSTEM, grant, system=system, **part)
    note = effects.notify_person(grant.person, "missing", grant=grant.id, system=system)
    u.do(effects.later(note, AFTER_LEADS))
    u.notify_leads(
        "missing",
        grant=grant.id,
        system=system,
        person=grant.person,
        role=grant.role,
        **part,
        **drill,
    )


def _notify_counts(u: UnitOfWork, found: Sequence[Finding], unasked: dict[str, str]) -> None:
    excess, missing = (
        sum(each.what in EXCESS for each in found),
        sum(each.what is What.MISSING for each in found),
    )
    places = sorted({each.system for each in found if each.what is not What.ENDING})
    u.notify_leads(
        "reconciled", excess=excess, missing=missing, places=places, unasked=sorted(unasked)
    )
