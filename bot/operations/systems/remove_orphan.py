"""Removes access that no grant explains from a system, for a lead: the request is recorded before
the system is called, and the result afterwards."""

from dataclasses import dataclass

from bot.core import effects
from bot.core.approval import Refused
from bot.core.audit import Event
from bot.core.drift import EXCESS, Finding
from bot.core.model import GrantState
from bot.core.names import slash
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import Context, Snapshot, UnitOfWork, unit
from storage import findings, grants

ACTION = "remove access"


def _gone() -> str:
    return (
        f"It was not found in the last check, so nothing was removed. {slash()} drift checks again."
    )


@dataclass(frozen=True, slots=True)
class Removal:
    """The result; `error` is "" if the access is gone."""

    finding: Finding
    error: str = ""


def ask_removal(
    world: Context, by: str, finding_id: str, channel: str | None = None
) -> Finding | Refused:
    """Checks that `by` may have it removed. With a `channel`, queues the removal and its answer
    there; without, the caller removes it. Refuses callers who are not leads, and findings that no
    longer exist. Raises StorageUnavailable."""
    with unit(world) as u:
        if (refused := leads_only(u, by)) is not None:
            return u.refuse(refused, by, ACTION)
        finding = findings.get(u.db, finding_id)
        if finding is None or (refused := _wanted(u, finding)) is not None:
            return u.refuse(refused or Refused(_gone()), by, ACTION)
        _record(u, Event.REMOVAL_ASKED, finding, by)
        if channel is not None:
            u.do(effects.remove_orphan(finding.id, by, channel))
    return finding


def to_remove(world: Context, finding_id: str) -> Finding | None:
    """Returns the access to remove, if it may still be removed. Raises StorageUnavailable."""
    with world.db.reading():
        finding = findings.get(world.db, finding_id)
        return None if finding is None or _wanted(Snapshot(world), finding) else finding


def record_removed(world: Context, removal: Removal, by: str, channel: str | None = None) -> None:
    """Records whether the access is gone, or the system's error, and notifies the lead in
    `channel`."""
    finding = removal.finding
    with unit(world) as u:
        if not removal.error:
            findings.drop(u.db, [finding.id])
            _record(u, Event.ACCESS_REMOVED, finding, by)
        if channel is not None:
            u.do(effects.answer(by, channel, "text", text=sentence_of(removal)))


def refuse_removal(world: Context, by: str, channel: str) -> None:
    """Notifies the lead that the access disappeared, or that a grant explains it now."""
    with unit(world) as u:
        u.do(effects.answer(by, channel, "refused", why=_gone()))


def sentence_of(removal: Removal) -> str:
    """Formats the result as a sentence."""
    finding = removal.finding
    what = f"{finding.name or finding.grant} on {finding.system}"
    return f"{what} could not be removed: {removal.error}" if removal.error else f"Removed: {what}."


def _wanted(u: Snapshot, finding: Finding) -> Refused | None:
    """Refuses access that a grant explains, or that is being revoked anyway."""
    leases = grants.leases(u.db, finding.grant) if finding.grant else []
    states = {lease.system: lease.state for lease in leases}
    if finding.what in EXCESS and states.get(finding.system) in (None, GrantState.ENDED):
        return None
    return Refused(
        "It is not removed here: a grant says that it should be there, or it is being ended"
        " already."
    )


def _record(u: UnitOfWork, event: Event, finding: Finding, by: str) -> None:
    facts = {"name": finding.name, "what": finding.what, "finding": finding.id}
    grant = grants.get(u.db, finding.grant) if finding.grant else None
    if grant is not None:
        u.record(event, by, grant, system=finding.system, **facts)
    else:
        u.note(event, by, system=finding.system, **facts)
