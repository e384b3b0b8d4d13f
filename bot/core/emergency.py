"""Decides on emergencies: the people who may take a role at once, the terms, and the times of their
review."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.core.approval import Refused
from bot.core.authority import OPERATOR
from bot.core.durations import format_duration
from bot.core.eligibility import check_reason, has_words, may_request
from bot.core.lifecycle import next_repeat
from bot.core.model import Directory, Grant, GrantState, Person, Urgency, folded
from bot.core.names import slash
from bot.core.roles import Role

BY = "emergency"
"""The decider of a request that started before anybody approved it."""

WAITS_AT_MOST = 3600
"""Seconds for which a person's next emergency waits for its one press."""

PINGS = (3600, 4 * 3600)
"""Seconds after the start at which the leads are pinged for the review."""

PINGS_THEN = 86_400
"""Seconds between later pings."""

_MARKS = {Urgency.EMERGENCY: "Emergency", Urgency.DRILL: "Drill"}


def as_emergency(role: Role, urgency: Urgency, duration: int, leads: Sequence[str]) -> Role:
    """The role on the terms of its emergencies: for their members, at most for `duration`, never
    renewed, and with one press of an approver or a lead where one is needed at all. A role without
    emergencies is for nobody."""
    rule = role.emergency
    able = tuple(dict.fromkeys((*role.approvers, *leads)))
    return replace(
        role,
        title=marked(urgency, role.title),
        requesters=rule.members if rule else (),
        approvers=able,
        notify=able,
        approvals=1,
        tiers=(),
        escalation=None,
        auto_approve=(),
        max_duration=rule.max_duration if rule else role.max_duration,
        default_duration=rule.max_duration if rule else role.default_duration,
        max_total=duration,
        max_renewals=0,
        renewal_approval=True,
        pending_timeout=min(role.pending_timeout, WAITS_AT_MOST),
        ticket=None,
    )


def marked(urgency: Urgency, title: str) -> str:
    """The title of a role, after the word that marks an emergency or a drill."""
    return f"{_MARKS[urgency]}: {title}" if urgency else title


def may_declare(role: Role, person: Person, directory: Directory) -> Refused | None:
    """Whether this person may take this role (`as_emergency`) in an emergency now. Groups that are
    unknown give no right."""
    refused = may_request(role, person, directory)
    if refused is None or not role.requesters or person.ineligible_reason():
        return refused
    if unknown := directory.unresolved(role.requesters):
        names = ", ".join(directory.called(unknown))
        return Refused(
            f"Slack has not said in the last ten minutes who is in {names}, so nobody can take"
            " it here. The operators of the bot can give it, with `access-bot emergency`.",
            "role",
        )
    members = ", ".join(directory.called(role.requesters))
    return Refused(
        f"Only {members} can take {role.name} in an emergency. Ask one of them, or ask for it with"
        f" {slash()} request.",
        "role",
    )


def check_call(role: Role, duration: int, reason: str) -> Refused | None:
    """Refuses a duration or reason that an emergency of this role (`as_emergency`) does not
    accept."""
    if not 0 < duration <= role.max_duration:
        return Refused(
            f"{role.name} is given for at most {format_duration(role.max_duration)} in an"
            f" emergency; you asked for {format_duration(duration)}.",
            "duration",
        )
    return check_reason(reason)


def in_the_way(held: Sequence[Grant], duration: int, now: int) -> Grant | None:
    """The grant that makes an emergency of `duration` needless: another emergency of the role, or
    access that lasts as long; else None."""
    for grant in held:
        works = grant.state in (GrantState.STARTING, GrantState.ACTIVE)
        if works and (grant.urgency or grant.ends_at >= now + duration):
            return grant
    return None


def next_ping(started_at: int, now: int) -> int:
    """UTC seconds of the next ping about the review of an emergency. Pings that were missed while
    no worker ran are sent once."""
    return next_repeat(started_at, now, PINGS, PINGS_THEN)


def is_same_person(one: Person, other: Person) -> bool:
    """Whether these are one account, or two with the same address."""
    same = bool(one.email) and folded(one.email) == folded(other.email)
    return one.id == other.id or same


def may_press(user: Person, voter: Person) -> Refused | None:
    """Refuses the vote of the user, also with another account, on their own next emergency. `voter`
    is an approver or lead."""
    if not is_same_person(user, voter):
        return None
    return Refused(
        "You can't approve your own emergency. An approver or a lead who is not you can."
    )


@dataclass(frozen=True, slots=True)
class EmergencyReview:
    """The review of one emergency: open until `signed_at`. `declared_by` is its user, or the
    operator who declared it for them. `alone` means that it started without any press; then it is
    the only such one of its person that is open."""

    request: str
    grant: str
    person: str
    role: str
    urgency: Urgency
    declared_by: str
    alone: bool
    started_at: int
    ping_at: int | None
    signed_at: int | None = None
    signed_by: str | None = None
    conclusion: str = ""


def check_conclusion(text: str) -> Refused | None:
    """A conclusion has something to read, fits, and can be stored as it is."""
    if has_words(text):
        refused = check_reason(text)
        return replace(refused, field="conclusion") if refused else None
    return Refused(
        "Write what happened and whether it was right: the audit log keeps your conclusion.",
        "conclusion",
    )


def may_sign(review: EmergencyReview, lead: Person, user: Person) -> Refused | None:
    """Refuses the signature of the user, also with another account, or of the command line. `lead`
    must be a lead now."""
    if lead.id.startswith(OPERATOR):
        return Refused("A review is signed in Slack, by a lead who is not the user.")
    if lead.id == review.declared_by or is_same_person(lead, user):
        return Refused(
            "You can't sign the review of your own emergency. Another lead has to: ask one of them."
        )
    return None
