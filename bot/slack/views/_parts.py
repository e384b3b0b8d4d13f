"""Words and buttons that several views share: names of roles, states and ends of grants, and their
buttons.
"""

from collections.abc import Callable, Mapping, Sequence

from bot.core.authority import tiers_of
from bot.core.durations import format_duration
from bot.core.model import EndReason, Grant, GrantState, Request
from bot.core.roles import Role
from bot.core.usage import POLL_EVERY, GrantUsage
from bot.operations.requests.describe_request import RequestCard
from bot.slack.blocks import (
    Block,
    Element,
    Part,
    bold,
    button,
    clean,
    code,
    confirm,
    date,
    escape,
    left,
    listing,
    named,
    paragraph,
    quote,
    rich,
    section,
    typed,
    who,
)
from bot.slack.ids import Action

Given = Role | Request | Grant

SYSTEMS_ROOM = 900
ACTIONS_ROOM = 2200
SILENT_ROOM = 70
UNBOUNDED = 100_000
"""More characters than the lists of any role have: at most 20 systems and 50 actions of 200
characters."""


def title_of(role: Role | None, name: str) -> str:
    """The title of a role; its name if roles.toml no longer has it."""
    return role.title if role else name


def title_text(role: Role | None, name: str) -> str:
    """`title_of`, escaped for a message's `text`."""
    return escape(clean(title_of(role, name), 75))


def role_parts(role: Role | None, name: str) -> list[Part]:
    """The title in bold and, if it differs, the name for commands."""
    title = title_of(role, name)
    return [bold(title, 75)] if title == name else [bold(title, 75), " (", code(name, 63), ")"]


def by_program(request: Request) -> list[Part]:
    """The program through which somebody asks, if it is one."""
    return [" through the program ", bold(request.program, 60)] if request.program else []


def with_values(about: Request | Grant) -> list[Part]:
    """The values of the role's parameters, if it has any."""
    parts: list[Part] = []
    for name, value in about.parameters.items():
        parts += [" and " if parts else " with ", f"{name} ", bold(value, 100)]
    return parts


def asked_for(card: RequestCard) -> list[Block]:
    """The requester, the role and the reason, in a modal for an approver."""
    request = card.request
    requester: list[Part] = [bold(card.requester.name, 80), " (", who(request.requester), ")"]
    duration = bold(format_duration(request.duration))
    wants = [*role_parts(card.role, request.role), *with_values(request), " for ", duration]
    return [
        paragraph([*requester, " asks for ", *wants, *by_program(request), "."]),
        rich(section("Their reason"), quote(request.reason)),
    ]


def gives(what: Given, rest: str) -> list[Part]:
    """The systems and actions of a role, request or grant, as many as fit into a message; `rest`
    says where the others are."""
    return gives_within(what, SYSTEMS_ROOM, ACTIONS_ROOM, rest)


def gives_in_full(what: Given) -> list[Part]:
    """All systems and actions of a role, request or grant, for a modal, which has room for them."""
    return gives_within(what, UNBOUNDED, UNBOUNDED)


def gives_within(what: Given, systems_room: int, actions_room: int, rest: str = "") -> list[Part]:
    """Systems and their actions: all systems before the actions that they share, or each system
    before its own."""
    if not what.system_actions:
        shown = listing(what.actions, actions_room, rest=rest) or ["no actions"]
        return [*listing(what.systems, systems_room, "bold", rest), ": ", *shown]
    room = actions_room // len(what.systems)
    each = (
        [bold(name, 63), ": ", *(listing(what.actions_of(name), room, rest=rest) or ["no actions"])]
        for name in what.systems
    )
    return [part for parts in each for part in ("; ", *parts)][1:]


def approval_steps(role: Role) -> list[Part]:
    """The approvers, as the rest of "Needs …": the tiers in the order in which they are asked."""
    parts: list[Part] = []
    for tier in tiers_of(role):
        approvals = "1 approval" if tier.approvals == 1 else f"{tier.approvals} approvals"
        by: list[Part] = [bold(f"“{tier.name}”", 60), " ("] if tier.name else []
        names = references(tier.approvers)
        parts += [", then " if parts else "", approvals, " from ", *by, *names, ")" if by else ""]
    return [part for part in parts if part]


def references(refs: Sequence[str]) -> list[Part]:
    """People and groups of roles.toml, one after the other."""
    return [part for ref in refs for part in (", ", named(ref))][1:]


def ended_because(grant: Grant, to_holder: bool = False) -> list[Part]:
    """The reason why a grant ended, as the end of a sentence."""
    if grant.end_reason is EndReason.REVOKED and grant.end_by == "system" and grant.end_words:
        return [typed(grant.end_words, 300)]
    if grant.end_reason is EndReason.REVOKED and grant.end_by:
        words: list[Part] = [" (“", typed(grant.end_words, 300), "”)"] if grant.end_words else []
        return ["revoked by ", who(grant.end_by), *words]
    if grant.end_reason is EndReason.EMERGENCY_CLOSED and grant.end_by:
        return ["the emergency was closed by ", who(grant.end_by)]
    if grant.end_reason is EndReason.RELEASED:
        return ["you gave it back (released)" if to_holder else _WHY[EndReason.RELEASED]]
    return [_WHY[grant.end_reason or EndReason.EXPIRED]]


_WHY: Mapping[EndReason, str] = {
    EndReason.EXPIRED: "expired",
    EndReason.RELEASED: "given back (released)",
    EndReason.REVOKED: "revoked",
    EndReason.EMERGENCY_CLOSED: "the emergency was closed",
    EndReason.OFFBOARDED: "the account was offboarded",
    EndReason.SUPERSEDED: "superseded by newer access",
}


def why_words(reason: str) -> str:
    """An end reason as it is stored, in words."""
    return next((words for known, words in _WHY.items() if known == reason), "ended")


def state_parts(grant: Grant) -> list[Part]:
    """A grant's state as a sentence that stays true until the state changes."""
    return _STATES[grant.state](grant)


def state_now(grant: Grant, now: int) -> list[Part]:
    """Like `state_parts`, with the time left, for a message that is read at once."""
    in_time: list[Part] = (
        [f" {left(grant.ends_at - now)} left."] if grant.state is GrantState.ACTIVE else []
    )
    return [*state_parts(grant), *in_time]


_STATES: Mapping[GrantState, Callable[[Grant], list[Part]]] = {
    GrantState.SCHEDULED: lambda g: [
        *("Scheduled: starts ", date(g.starts_at), f" for {format_duration(g.duration)}."),
    ],
    GrantState.STARTING: lambda g: [
        "Starting: it is being set up, and its time begins with the first system that has it."
    ],
    GrantState.ACTIVE: lambda g: ["Active until ", date(g.ends_at), "."],
    GrantState.ENDING: lambda g: [
        "Ending (",
        *ended_because(g),
        "); every system has to confirm it.",
    ],
    GrantState.ENDED: lambda g: [
        "Ended ",
        date(g.ended_at or g.ends_at),
        ": ",
        *ended_because(g),
        ".",
    ],
    GrantState.FAILED: lambda g: [
        "Failed: it could not be set up, so it was not given; the parts that were set up are"
        " removed."
    ],
}


def lasted(grant: Grant) -> list[Part]:
    """From when to when the holder had the access."""
    if grant.started_at is None:
        return ["It had not started yet."]
    return [
        "It ran from ",
        date(grant.started_at),
        " to ",
        date(grant.ended_at or grant.ends_at),
        ".",
    ]


def used_text(used: GrantUsage) -> str:
    """The use of access, as the rest of "it was …", for a message's `text`."""
    if used.times:
        return "used once" if used.times == 1 else f"used {used.times:,} times"
    return "not seen in use" if used.silent or used.glimpsed else "never used"


def used_parts(used: GrantUsage) -> list[Part]:
    """Like `used_text`, with the time of the last use, or why use is unknown."""
    if used.times:
        last: list[Part] = [", last ", date(used.last)] if used.last else []
        return [used_text(used), *last]
    if used.silent:
        verb = " does not report usage" if len(used.silent) == 1 else " do not report usage"
        return [used_text(used), "; ", *listing(used.silent, SILENT_ROOM), verb]
    return [
        used_text(used),
        *([f", checked every {POLL_EVERY} seconds"] if used.glimpsed else []),
    ]


def used_so_far(used: GrantUsage) -> list[Part]:
    """Like `used_parts`, as sentences about access that is active."""
    if not used.times:
        return ["Its use is not reported." if used.silent else "Not used yet."]
    words, *when = used_parts(used)
    return [str(words).capitalize(), *when, ".", *([" In use now."] if used.open else [])]


def grant_buttons(
    grant: Grant, title: str, primary: bool = False, give_back: str = "I'm done"
) -> list[Element]:
    """The holder's buttons for a grant in its state; none after its end. `give_back` is the label
    of the last one."""
    renewable = [] if grant.urgency else [lambda: renew(grant, title)]
    makers: Mapping[GrantState, list[Callable[[], Element]]] = {
        GrantState.ACTIVE: [
            lambda: show_credentials(grant, title, primary),
            *renewable,
            lambda: done(grant, title, give_back),
        ],
        GrantState.SCHEDULED: [lambda: done(grant, title, give_back)],
        GrantState.STARTING: [lambda: done(grant, title, give_back)],
    }
    return [make() for make in makers.get(grant.state, [])]


def show_credentials(grant: Grant, title: str, primary: bool = False) -> Element:
    return button(
        "Show credentials", Action.SHOW_CREDENTIALS, grant.id, title, "primary" if primary else ""
    )


def renew(grant: Grant, title: str, primary: bool = False) -> Element:
    return button("Renew", Action.RENEW, grant.id, title, "primary" if primary else "")


def done(grant: Grant, title: str, label: str = "I'm done") -> Element:
    asked = confirm(
        "Give it back now?",
        f"{clean(title, 75)} ends at once on every system. To have it again you would have to ask"
        " again.",
        label,
        "Keep it",
    )
    return button(label, Action.DONE, grant.id, title, confirm=asked)


def cancel(request: Request, title: str) -> Element:
    asked = confirm(
        "Cancel this request?",
        f"The approvers can no longer decide on {clean(title, 75)}.",
        "Cancel request",
        "Keep waiting",
    )
    return button("Cancel", Action.CANCEL, request.id, title, confirm=asked)


def revoke(grant: Grant, title: str, holder: str, label: str = "Revoke") -> Element:
    asked = confirm(
        f"{label}?" if label != "Revoke" else "Revoke it now?",
        f"{clean(title, 75)} of {clean(holder, 60)} ends at once on every system. The message to"
        " them says who did it.",
        label,
        "Keep it",
        "danger",
    )
    return button(label, Action.REVOKE, grant.id, f"{title} of {holder}", "danger", asked)


def revoke_given(request: Request, about: str) -> Element:
    """Revokes access that nobody decided on; a form asks for the reason."""
    return button("Revoke", Action.REVOKE_GIVEN, request.id, about, "danger")


def details(request: Request, about: str) -> Element:
    """Opens everything that is known about a request."""
    return button("Details", Action.DETAILS, request.id, about)


def decision_buttons(request: Request, about: str) -> list[Element]:
    """Approve, Deny, Edit; only the id of the request is in them."""
    return [
        button("Approve", Action.APPROVE, request.id, about, "primary"),
        button("Deny", Action.DENY, request.id, about),
        button("Edit", Action.EDIT, request.id, about),
    ]
