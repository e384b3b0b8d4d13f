"""The three answers of a lead to a flag: it was expected, somebody investigates, or the person's
access is revoked."""

from dataclasses import dataclass

from bot.core import effects
from bot.core.approval import Refused
from bot.core.audit import Entry, Event
from bot.core.eligibility import REASON_LIMIT, check_reason
from bot.core.flags.flag import EXPECTED, REVOKED, Flag
from bot.core.model import EndReason, Grant
from bot.operations._end_grant import request_end
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import Context, UnitOfWork, unit
from storage import flags, grants

ACTION = "answer a flag"
INVESTIGATE = "investigate"


@dataclass(frozen=True, slots=True)
class Revoked:
    """The flag is answered, and the end of these grants is requested."""

    grants: tuple[Grant, ...]


def check_answer(world: Context, by: str, flag: str) -> Flag | Refused:
    """The flag, if this person may answer it now. Raises StorageUnavailable."""
    with unit(world) as u:
        return _answerable(u, by, flag)


def expect_flag(world: Context, by: str, flag: str, why: str) -> Refused | None:
    """Records that the pattern was expected, and why. Raises StorageUnavailable."""
    words = why.strip()
    with unit(world) as u:
        found = _answerable(u, by, flag)
        if isinstance(found, Refused):
            return found
        if check_reason(words) is not None:
            wrong = Refused(f"Write why it was expected, in up to {REASON_LIMIT} characters.")
            return u.refuse(wrong, by, ACTION, role=found.role)
        return _answer(u, found, by, EXPECTED, words)


def investigate_flag(world: Context, by: str, flag: str) -> Refused | None:
    """Records who investigates, and mentions the leads in the thread of the message. Raises
    StorageUnavailable."""
    with unit(world) as u:
        found = _answerable(u, by, flag)
        if isinstance(found, Refused):
            return found
        if not flags.investigate(u.db, flag, by, u.now):
            wrong = Refused("Somebody investigates this already, as its message shows.")
            return u.refuse(wrong, by, ACTION, role=found.role)
        _record(u, found, by, INVESTIGATE)
        for channel, ts in flags.messages_of(u.db, flag):
            u.do(effects.flag_thread(flag, channel, ts))
    return None


def revoke_flagged(world: Context, by: str, flag: str) -> Revoked | Refused:
    """Ends everything that the person of the flag holds. Raises StorageUnavailable."""
    with unit(world) as u:
        found = _answerable(u, by, flag)
        if isinstance(found, Refused):
            return found
        held = [grant.id for grant in grants.held_by(u.db, found.person)] if found.person else []
        ending = grants.lock_held(u.db, held)
        if not ending:
            wrong = Refused("There is nothing to revoke: this person holds no access now.")
            return u.refuse(wrong, by, ACTION, role=found.role)
        if (refused := _answer(u, found, by, REVOKED)) is not None:
            return refused
        request_end(u, ending, EndReason.REVOKED, by)
        return Revoked(tuple(ending))


def _answerable(u: UnitOfWork, by: str, flag: str) -> Flag | Refused:
    found = flags.get(u.db, flag)
    role = found.role if found else ""
    if (refused := leads_only(u, by)) is not None:
        return u.refuse(refused, by, ACTION, role=role)
    if found is None:
        return u.refuse(Refused("This flag does not exist."), by, ACTION)
    if any(by in each.people for each in (found, *flags.parts_of(u.db, flag))):
        wrong = Refused("This flag is about you, so another lead has to answer it.")
        return u.refuse(wrong, by, ACTION, role=role)
    if found.joined:
        wrong = Refused("This flag is part of a later one. Answer that one.")
        return u.refuse(wrong, by, ACTION, role=role)
    if found.answer:
        wrong = Refused(f"This flag is answered already: {found.answer}.")
        return u.refuse(wrong, by, ACTION, role=role)
    return found


def _answer(u: UnitOfWork, flag: Flag, by: str, answer: str, why: str = "") -> Refused | None:
    if not flags.answer(u.db, flag.id, answer, by, u.now, why):
        wrong = Refused("This flag is answered already, or needs no answer.")
        return u.refuse(wrong, by, ACTION, role=flag.role)
    _record(u, flag, by, answer, why)
    return None


def _record(u: UnitOfWork, flag: Flag, by: str, answer: str, why: str = "") -> None:
    """Records an answer, and updates the messages about the flag."""
    about = (flag.person, flag.role, flag.system, flag.request, flag.grant)
    detail: dict[str, object] = {
        "source": u.world.source,
        "flag": flag.id,
        "rule": flag.rule,
        "answer": answer,
    }
    parts = [each.id for each in flags.parts_of(u.db, flag.id)]
    detail |= {"with": parts} if parts else {}
    u.entries.append(Entry(Event.FLAG_ANSWERED, by, *about, why, detail))
    u.do(effects.update_flag(flag.id))
