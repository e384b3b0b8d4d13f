"""Describes flags for the security channel, lists and App Home, and records which messages show
them."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core import effects
from bot.core.approval import Refused
from bot.core.flags.flag import Flag
from bot.core.model import Grant
from bot.operations._leads_only import seen_as_lead
from bot.operations._unit_of_work import Context, Snapshot, reading, unit
from storage import flags, grants

LAST_GRANTS = 3
MOST_LISTED = 1000


@dataclass(frozen=True, slots=True)
class FlagView:
    """A flag, the flags that are part of it, the last grants of its person, and whether the person
    holds access now. `leads` can be mentioned. Where the flag became part of another one, that is
    `whole`."""

    flag: Flag
    parts: tuple[Flag, ...] = ()
    grants: tuple[Grant, ...] = ()
    holds: bool = False
    leads: tuple[str, ...] = ()
    whole: Flag | None = None


def describe_flag(world: Context, flag: str) -> FlagView | None:
    """Returns the flag as it is now; None if it does not exist. Raises StorageUnavailable."""
    with reading(world) as u:
        found = flags.get(u.db, flag)
        return _view(u, found) if found else None


def _view(u: Snapshot, flag: Flag) -> FlagView:
    person = flag.person
    return FlagView(
        flag,
        tuple(flags.parts_of(u.db, flag.id)),
        tuple(grants.latest_of(u.db, person, LAST_GRANTS)) if person else (),
        bool(grants.held_by(u.db, person)) if person else False,
        u.world.directory(however_old=True).named(u.policy.workspace.leads),
        flags.get(u.db, flag.joined) if flag.joined else None,
    )


def open_flags(world: Context, by: str) -> list[Flag] | Refused:
    """Returns the open flags, newest first, for a lead. Raises StorageUnavailable."""
    with reading(world) as u:
        refused = seen_as_lead(u, by)
        return refused or flags.open_flags(u.db, MOST_LISTED)


def list_flags(world: Context, limit: int, only_open: bool = False) -> Sequence[Flag]:
    """Returns all flags, or the open ones, newest first, for the command line. Raises
    StorageUnavailable."""
    with world.db.reading():
        return (flags.open_flags if only_open else flags.listing)(world.db, limit)


def record_flag_posted(world: Context, flag: str, channel: str, ts: str, shown: FlagView) -> None:
    """Records that a message shows the flag, and updates it if the flag has changed meanwhile."""
    with unit(world) as u:
        flags.posted(u.db, flag, channel, ts)
        if flags.get(u.db, flag) != shown.flag:
            u.do(effects.update_flag(flag))


def flag_messages(world: Context, flag: str) -> list[tuple[str, str]]:
    """Returns channel and ts of the messages that show the flag."""
    with world.db.reading():
        return flags.messages_of(world.db, flag)
