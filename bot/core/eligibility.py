"""Decides whether a person may ask for a role in these words: eligibility, limits, ticket and
start. The person's other access and the form of the answer are decided elsewhere."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.core.approval import LATEST_START, Refused
from bot.core.audit import without_unstorable
from bot.core.durations import format_duration
from bot.core.model import Directory, Person
from bot.core.names import slash
from bot.core.parameters import bound
from bot.core.programs import Program
from bot.core.roles import Policy, Role, ticket_matches

REASON_LIMIT = 3000
"""Characters; the limit of Slack's multi-line input (plain_text_input, `max_length`)."""

TICKET_LIMIT = 200

_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")
"""Letters that show nothing: the Hangul fillers."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A person's wish for a role. `duration` None means the role's default. `answer_url` is the
    address at which Slack lets us change the answer to them, "" where it can't be changed.
    `program` is set where a program asks in the person's name."""

    person: str
    role: str
    reason: str
    duration: int | None = None
    ticket: str = ""
    start_at: int | None = None
    channel: str = ""
    answer_url: str = field(default="", repr=False)
    program: Program | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


def find_role(policy: Policy, name: str) -> Role | Refused:
    """The role of that name, or a refusal that names the nearest one."""
    if (role := policy.roles.get(name)) is not None:
        return role
    near = difflib.get_close_matches(name, policy.roles, n=1)
    hint = f" Did you mean {near[0]}?" if near else f" {slash()} roles lists what you may ask for."
    return Refused(f"There is no role called “{_short(name)}”.{hint}", field="role")


def may_ask_at_all(person: Person) -> Refused | None:
    """Whether this account may ask for anything."""
    if (unfit := person.ineligible_reason()) is None:
        return None
    return Refused(
        f"You can't ask for access: {unfit}. Ask a full member of the workspace to do it.",
        field="role",
    )


def may_request(role: Role, person: Person, directory: Directory) -> Refused | None:
    """Whether this person is among the role's requesters now."""
    if (refused := may_ask_at_all(person)) is not None:
        return refused
    if not role.requesters:
        return no_emergencies(role)
    if directory.includes(role.requesters, person):
        return None
    allowed = ", ".join(directory.called(role.requesters))
    return Refused(
        f"{role.name} is only for {allowed}. {slash()} roles lists what you may ask for.",
        field="role",
    )


def no_emergencies(role: Role) -> Refused:
    """Nobody may take this role in an emergency."""
    return Refused(
        f"{role.name} has no emergency access. Ask for it with {slash()} request {role.name}.",
        "role",
    )


def check_words(role: Role, ask: Ask, now: int) -> Refused | None:
    """Refuses a duration, reason, ticket or start that the role does not accept."""
    return (
        check_duration(role, ask.duration if ask.duration is not None else role.default_duration)
        or check_reason(ask.reason)
        or _check_ticket(role, ask.ticket)
        or _check_start(ask.start_at, now)
        or _check_parameters(role, ask.parameters)
    )


def check_duration(role: Role, duration: int) -> Refused | None:
    if 0 < duration <= role.max_duration:
        return None
    longest = format_duration(role.max_duration)
    return Refused(
        f"{role.name} is given for at most {longest}; you asked for {format_duration(duration)}.",
        "duration",
    )


def has_words(text: str) -> bool:
    """Whether a text has a letter or digit that can be seen."""
    return any(c.isalnum() and c not in _FILLERS for c in text)


def check_reason(reason: str) -> Refused | None:
    """A reason has something to read, fits, and can be stored as it is."""
    if not has_words(reason):
        return Refused(
            "Say why you need it: approvers decide by your reason, and the audit log keeps it.",
            "reason",
        )
    if len(reason) > REASON_LIMIT:
        return Refused(
            f"The reason has {len(reason):,} characters; {REASON_LIMIT:,} are the most.", "reason"
        )
    if without_unstorable(reason) != reason:
        return Refused(
            "The reason has characters that no text may have; type it instead of pasting it.",
            "reason",
        )
    return None


def _check_ticket(role: Role, ticket: str) -> Refused | None:
    if len(ticket) > TICKET_LIMIT or without_unstorable(ticket) != ticket:
        return Refused(
            f"A ticket has at most {TICKET_LIMIT} characters that can be read.", "ticket"
        )
    if role.ticket is None or ticket_matches(role, ticket):
        return None
    text = f"“{_short(ticket)}” does not match" if ticket else "is missing"
    return Refused(f"{role.name} needs a ticket like {role.ticket}; it {text}.", "ticket")


def _check_parameters(role: Role, values: Mapping[str, str]) -> Refused | None:
    found = bound(role, values)
    return found if isinstance(found, Refused) else None


def _check_start(start_at: int | None, now: int) -> Refused | None:
    if start_at is None or now <= start_at <= now + LATEST_START:
        return None
    if start_at < now:
        return Refused("The start lies in the past. Leave it empty to start at once.", "start")
    return Refused(
        f"The start is too far away; {format_duration(LATEST_START)} ahead is the most.", "start"
    )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"
