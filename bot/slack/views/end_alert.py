"""The security channel's message about unconfirmed ends, with a button for a lead to acknowledge
them. Errors of systems are shown unchanged.
"""

from collections.abc import Sequence
from itertools import groupby

from bot.core.audit import Event
from bot.core.durations import format_duration
from bot.core.model import Grant, Urgency
from bot.core.names import slash
from bot.operations.systems.describe_alerts import AlertView
from bot.slack.blocks import (
    Block,
    Element,
    Message,
    Part,
    actions,
    bold,
    button,
    clean,
    code,
    confirm,
    date,
    escape,
    listing,
    message,
    paragraph,
    preformatted,
    rich,
    section,
    who,
)
from bot.slack.ids import Action
from bot.slack.views._fit import join

ERROR_ROOM = 500

EACH = 8
"""Up to this many ends in a message are shown in full."""

SYSTEMS = 8
"""The most systems that a message about more ends names."""


def _log() -> str:
    """The command that lists every unconfirmed end."""
    return f"{slash()} audit event:{Event.END_FAILED}"


def render(views: Sequence[AlertView]) -> Message:
    """One message about the current state of these ends (at least one)."""
    if len(views) > EACH:
        return _summary(views)
    shown = join([_single(view) for view in views])
    several = {system: ids for system, ids in _unacknowledged(views).items() if len(ids) > 1}
    if several:
        buttons = [_acknowledge_all(system, ids[0]) for system, ids in several.items()]
        shown["blocks"].append(actions(*buttons))
    return shown


def _unacknowledged(views: Sequence[AlertView]) -> dict[str, list[str]]:
    """The ids of the alerts of each system that are neither confirmed nor acknowledged."""
    found: dict[str, list[str]] = {}
    for alert in (view.alert for view in views):
        if alert.confirmed_at is None and alert.acknowledged_at is None:
            found.setdefault(alert.system, []).append(alert.id)
    return found


def _summary(views: Sequence[AlertView]) -> Message:
    """A summary per system: the number of ends, the time of the first, the holders, and the error.
    An outage may leave hundreds."""
    unconfirmed = [view for view in views if view.alert.confirmed_at is None]
    if not unconfirmed:
        return _all_confirmed(len(views))
    groups = _by_system(unconfirmed)
    confirmed = len(views) - len(unconfirmed)
    lines: list[list[Part]] = [
        [
            bold("Access may still exist"),
            f" although it has to end: {len(unconfirmed)} ends are not confirmed.",
        ],
        [
            "The bot keeps retrying until their systems confirm. If a system is gone or"
            " broken, end the access there by hand."
        ],
    ]
    if confirmed:
        lines.append([f"Confirmed among the ends of this message: {confirmed}."])
    if len(groups) > SYSTEMS:
        lines.append(_others([group[0].alert.system for group in groups[SYSTEMS:]]))
    blocks = [block for group in groups[:SYSTEMS] for block in _of_system(group)]
    return message(f"{len(unconfirmed)} ends are not confirmed.", paragraph(*lines), *blocks)


def _all_confirmed(ends: int) -> Message:
    words = f"all {ends} ends of this message are confirmed."
    return message(f"All {ends} ends are confirmed.", paragraph([bold("Gone"), f": {words}"]))


def _by_system(views: Sequence[AlertView]) -> list[list[AlertView]]:
    """The alerts of each system, oldest first; systems that are wholly acknowledged come last."""
    ordered = sorted(views, key=lambda view: (view.alert.system, view.alert.since, view.grant.id))
    groups = [[*each] for _, each in groupby(ordered, key=lambda view: view.alert.system)]
    groups.sort(key=lambda group: all(view.alert.acknowledged_at is not None for view in group))
    return groups


def _access(grant: Grant) -> list[Part]:
    """The role and the holder of a grant, marked if it is a drill."""
    mark: list[Part] = ["Drill: "] if grant.urgency is Urgency.DRILL else []
    return [*mark, code(grant.role), " of ", who(grant.person)]


def _others(systems: Sequence[str]) -> list[Part]:
    """The systems that don't fit until others are acknowledged."""
    names = listing(systems, 1500, "bold", f"`{_log()}` lists them")
    return ["Also on ", *names, ". They are listed here when the systems below are acknowledged."]


def _of_system(group: Sequence[AlertView]) -> list[Block]:
    first, system = group[0], group[0].alert.system
    unacknowledged = [view.alert.id for view in group if view.alert.acknowledged_at is None]
    known = (
        f", {len(group) - len(unacknowledged)} of them acknowledged"
        if len(unacknowledged) < len(group)
        else ""
    )
    rest = f"`{_log()} system:{system}` lists them"
    whose = listing([f"{view.grant.id} ({view.grant.role})" for view in group], 400, rest=rest)
    return [
        paragraph(
            [
                bold(system),
                f": {len(group)} since ",
                date(first.alert.since),
                f"{known}. ",
                *whose,
                ".",
            ]
        ),
        rich(section("Error of the first:"), preformatted(first.error, ERROR_ROOM)),
        *([actions(_acknowledge_all(system, unacknowledged[0]))] if unacknowledged else []),
    ]


def _single(view: AlertView) -> Message:
    alert, grant = view.alert, view.grant
    tried = "1 time" if alert.attempts == 1 else f"{alert.attempts} times"
    if alert.confirmed_at is not None:
        return _confirmed(view)
    return message(
        f"Access {_name(grant.id)} could not be ended on {_name(alert.system)} yet.",
        paragraph(
            [
                bold("Access may still exist"),
                " on ",
                bold(alert.system),
                ", although it has to end.",
            ],
            [*_access(grant), ", grant ", code(grant.id), "."],
            [
                f"Tried {tried} since ",
                date(alert.since),
                ". The bot keeps retrying until the system confirms.",
            ],
            ["If the system is gone or broken, end it there by hand."],
        ),
        rich(section("Error:"), preformatted(view.error, ERROR_ROOM)),
        acknowledgement(view),
    )


def _confirmed(view: AlertView) -> Message:
    alert, grant = view.alert, view.grant
    lasted = format_duration(max(1, (alert.confirmed_at or alert.since) - alert.since))
    return message(
        f"Access {_name(grant.id)} is gone from {_name(alert.system)}.",
        paragraph(
            [bold("Gone"), " from ", bold(alert.system), ": ", *_access(grant), "."],
            [
                "Grant ",
                code(grant.id),
                ": the system confirmed it ",
                date(alert.confirmed_at or 0),
                f", after {lasted}.",
            ],
        ),
    )


def acknowledgement(view: AlertView) -> Block:
    """The button to acknowledge an end, or the lead who acknowledged it."""
    alert = view.alert
    if alert.acknowledged_by and alert.acknowledged_at is not None:
        words: list[Part] = [
            "Acknowledged by ",
            who(alert.acknowledged_by),
            " ",
            date(alert.acknowledged_at),
        ]
        return paragraph([*words, ". Alerts are off until it is gone; the bot keeps retrying."])
    asked = confirm(
        "Acknowledge it?",
        "Alerts are off until it is gone. The bot keeps retrying, and you take care of it.",
        "Acknowledge",
    )
    about = f"{view.grant.id} on {alert.system}"
    return actions(button("Acknowledge", Action.ACKNOWLEDGE, alert.id, about, confirm=asked))


def _acknowledge_all(system: str, alert: str) -> Element:
    asked = confirm(
        "Acknowledge all of them?",
        f"Alerts are off for every end that {clean(system, 63)} has not confirmed so far."
        " The bot keeps retrying.",
        "Acknowledge all",
    )
    label = f"Acknowledge all on {clean(system, 40)}"
    return button(label, Action.ACKNOWLEDGE_ALL, alert, "every end", confirm=asked)


def _name(value: str) -> str:
    return escape(clean(value, 75))
