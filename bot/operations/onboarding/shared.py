"""Facts, mentors, audit records and messages of a ramp, for all operations on it."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from bot.core import effects
from bot.core.audit import Entry, Event
from bot.core.criteria import Facts
from bot.core.onboarding import OPEN, Ramp, mentors_of
from bot.operations._open_homes import refresh_homes
from bot.operations._unit_of_work import Snapshot, UnitOfWork
from bot.operations.messages.notify_each_lead import leads_of
from storage import outbox, ramps


def facts_of(u: Snapshot) -> Facts:
    """The facts by which the roles of a stage are judged."""
    return Facts(u.now, ZoneInfo(u.policy.workspace.timezone), u.directory)


def acting_mentors(u: Snapshot, ramp: Ramp) -> frozenset[str]:
    """The people who act as the mentor of this ramp now."""
    return mentors_of(ramp, u.absent, u.leads)


def ramp_record(u: UnitOfWork, event: Event, actor: str, ramp: Ramp, **detail: object) -> None:
    """Adds an audit record about a ramp."""
    about = {
        "source": u.world.source,
        "ramp": ramp.id,
        "bundle": ramp.bundle,
        "mentor": ramp.mentor,
        "lead": ramp.lead,
        "email": ramp.email,
    }
    u.entries.append(Entry(event, actor, ramp.newcomer, detail={**about, **detail}))


def notify(u: UnitOfWork, people: Iterable[str], ramp: Ramp, note: str, number: int = 0) -> None:
    """Queues a direct message about a ramp to each of these people."""
    u.do(*(effects.ramp_note(person, note, ramp.id, number) for person in sorted(set(people))))


def lead_of(u: Snapshot, ramp: Ramp) -> frozenset[str]:
    """The lead who is responsible for a ramp: its starter; if that person is no longer a lead, all
    leads."""
    mine = {ramp.lead} & u.leads
    return frozenset((mine or set(leads_of(u))) - {ramp.newcomer})


def refresh_ramp(u: UnitOfWork, ramp: Ramp) -> None:
    """Queues an update of the messages with buttons about a ramp, and of each open App Home that
    shows it."""
    keys = {
        effects.ramp_message_key(each.channel, each.ts): each
        for each in ramps.messages(u.db, ramp.id)
    }
    waiting = outbox.waiting(u.db, list(keys))
    shown = (each for key, each in keys.items() if key not in waiting)
    u.do(*(effects.update_ramp_note(each.channel, each.ts) for each in shown))
    refresh_homes(u, {ramp.newcomer, ramp.mentor, *acting_mentors(u, ramp), *u.leads})


def is_open(ramp: Ramp | None) -> bool:
    """Whether there is such a ramp, and it is not over."""
    return ramp is not None and ramp.state in OPEN
