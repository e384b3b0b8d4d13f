"""Ends all access (of a role, of a person) now, and blocks new access until it is resumed."""

from bot.core.audit import Event
from bot.core.model import HELD, EndReason
from bot.operations._end_grant import request_end
from bot.operations._unit_of_work import Context, UnitOfWork, unit
from storage import grants, key_values

BATCH = 1000


def panic(world: Context, by: str, *, role: str | None = None, person: str | None = None) -> int:
    """Turns the switch on and returns the number of grants ended. Raises StorageUnavailable."""
    with unit(world) as u:
        for kind, name in _switches(role, person):
            key_values.switch_on(u.db, kind, name, by, u.now)
        ended = end_all(u, by, "panic switch", role, person)
        u.note(Event.PANIC_ON, by, subject=person or "", role=role or "", ended=ended)
        _notify(u, "panic_on", by, role, person, ended)
    with unit(world) as u:  # access given before others could see the switch
        return ended + end_all(u, by, "panic switch", role, person)


def resume(world: Context, by: str, *, role: str | None = None, person: str | None = None) -> bool:
    """Turns the switch off; returns False if it was off. Ended access stays ended."""
    with unit(world) as u:
        lifted = [key_values.switch_off(u.db, kind, name) for kind, name in _switches(role, person)]
        if not any(lifted):
            return False
        u.note(Event.PANIC_OFF, by, subject=person or "", role=role or "")
        _notify(u, "panic_off", by, role, person, 0)
    return True


def switches_on(world: Context) -> list[tuple[str, str]]:
    """The kinds and names of the switches that are on."""
    with world.db.reading():
        return key_values.switches_on(world.db)


def _switches(role: str | None, person: str | None) -> list[tuple[str, str]]:
    named = [(kind, name) for kind, name in (("role", role), ("user", person)) if name]
    return named or [("all", "")]


def end_all(
    u: UnitOfWork, by: str, reason: str, role: str | None = None, person: str | None = None
) -> int:
    """Ends grants and returns their number. A role and a person together mean either of the two, as
    their switches do."""
    chosen = [(role, None), (None, person)] if role and person else [(role, person)]
    found = {
        g.id: g
        for r, p in chosen
        for g in grants.live(u.db, r, p, limit=1_000_000)
        if g.state in HELD
    }
    ids, ended = sorted(found), 0
    for start in range(0, len(ids), BATCH):
        batch = grants.lock_held(u.db, ids[start : start + BATCH])
        request_end(u, batch, EndReason.REVOKED, by, reason, because=reason)
        ended += len(batch)
    return ended


def _notify(
    u: UnitOfWork, note: str, by: str, role: str | None, person: str | None, ended: int
) -> None:
    facts = {"by": by, "role": role or "", "person": person or "", "ended": ended}
    u.notify_leads(note, **facts)
