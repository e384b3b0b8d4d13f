"""Binds the handles and e-mails of roles.toml to the ids that they first resolved to, and reports
those that later resolve to others."""

from collections.abc import Collection, Mapping, Sequence

from bot.core.audit import Event
from bot.core.roles import references
from bot.core.values import classify
from bot.operations._unit_of_work import SYSTEM, UnitOfWork
from storage import people

MOST_GROUPS = 10
MOST_PEOPLE = 5
"""The maximum of groups, and of people in each, that a message to the security channel names."""

RECORDED_PEOPLE = 200
"""The maximum of people that an audit record names."""


def bind_references(u: UnitOfWork) -> bool:
    """Binds references; call it before the directory of `u` is read. Returns whether a reference
    started or stopped resolving to another id."""
    refs = sorted(ref for ref in references(u.policy) if classify(ref) in ("handle", "email"))
    moves = people.bind(u.db, refs)
    for move in moves:
        ids = move.now[:MOST_PEOPLE]
        u.note(Event.REFERENCE_MOVED, SYSTEM, subject=move.ref, bound=move.bound, now=ids)
        u.notify_leads("reference_moved", reference=move.ref, bound=move.bound, now=ids)
    return bool(moves)


def report_group_changes(
    u: UnitOfWork, before: people.Groups, after: people.Groups, asked: Collection[str]
) -> None:
    """Records who joined or left the groups that roles.toml names, and notifies the security
    channel. `asked` are the references that Slack was asked about before: a new group is a change
    if its reference resolved to nobody until now."""
    moved = []
    for group, names in sorted(_named(u, before, after).items()):
        was, now = (
            groups[group][1] if group in groups else frozenset() for groups in (before, after)
        )
        if was != now and (group in before or any(name in asked for name in names)):
            moved.append(
                _record_change(
                    u, group, names, sorted(now - was), sorted(was - now), group in after
                )
            )
    if moved:
        u.notify_leads("groups_changed", groups=moved[:MOST_GROUPS], count=len(moved))


def _named(u: UnitOfWork, *readings: people.Groups) -> Mapping[str, list[str]]:
    """Returns the ids of the groups that roles.toml names, with the references that resolve to
    each."""
    found: dict[str, list[str]] = {}
    bound = people.bindings(u.db)
    for ref in sorted(references(u.policy)):
        if classify(ref) == "group":
            found.setdefault(ref, []).append(ref)
        elif classify(ref) == "handle":
            owners = {
                group
                for groups in readings
                for group, (handle, _) in groups.items()
                if "@" + handle == ref
            }
            for group in {bound[ref]} if ref in bound else owners:
                found.setdefault(group, []).append(ref)
    return found


def _record_change(
    u: UnitOfWork, group: str, names: Sequence[str], came: list[str], left: list[str], there: bool
) -> dict[str, object]:
    """Returns the values for the message to the security channel."""
    u.note(
        Event.GROUP_CHANGED,
        SYSTEM,
        subject=group,
        references=list(names),
        came=came[:RECORDED_PEOPLE],
        left=left[:RECORDED_PEOPLE],
        came_count=len(came),
        left_count=len(left),
        there=there,
    )
    return {
        "name": names[0],
        "group": group,
        "came": _with_names(u, came[:MOST_PEOPLE]),
        "left": _with_names(u, left[:MOST_PEOPLE]),
        "came_count": len(came),
        "left_count": len(left),
        "there": there,
    }


def _with_names(u: UnitOfWork, ids: Sequence[str]) -> list[str]:
    """Formats people as `Ana Silva (U0ANA)`, without a mention, so that nobody is pinged."""
    known = people.several(u.db, ids)
    return [f"{known[each].name[:60]} ({each})" if each in known else each for each in ids]
