"""Suggests changes of roles.toml that fit roles to their use: each with its numbers and the lines
to copy. docs/digest.md has the thresholds for operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from zoneinfo import ZoneInfo

from bot.core.digest import Outcome, is_unused, nearest_rank, outcome_of, use_is_known
from bot.core.durations import format_duration
from bot.core.feedback import Feedback
from bot.core.model import Directory, EndReason, Grant, GrantState, Request, RequestState
from bot.core.roles import Role
from bot.core.toml_text import toml_span, toml_text
from bot.core.usage import GrantUsage
from bot.core.weekly import week_of

DAYS = 90
"""Days that are looked at: a quarter has the work that comes once a month, and few roles change
more often."""

FEWEST_GRANTS = 10
"""Grants below which nothing is concluded from use: of ten, one unusual grant is the tenth that the
ninth of ten leaves out."""

FEWEST_ANSWERS = 5
"""Answers below which nothing is concluded from them: three of five are more than chance."""

FEWEST_APPROVALS = 50
"""Decisions without a denial below which no rule is suggested: fifty of fifty mean that, with 95 %
confidence, fewer than 6 % of such requests would be denied (the rule of three)."""

RULE_NAME = "approved every time"

MINUTE, HOUR, DAY = 60, 3600, 86400

STEPS = (
    *(minutes * MINUTE for minutes in (15, 30, 45)),
    *(hours * HOUR for hours in (1, 1.5, 2, 3, 4, 6, 8, 12)),
    *(days * DAY for days in (1, 2, 3, 7, 14, 30)),
)
"""The durations that are suggested, in seconds: those that people type."""


class Change(StrEnum):
    UNUSED_ROLE = "unused role"
    UNUSED_ACTIONS = "unused actions"
    REQUESTERS = "requesters who never asked"
    SHORTER = "shorter default"
    LONGER = "longer default"
    RULE = "a rule can decide"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`why` gives the numbers as sentences; `toml` the lines for roles.toml."""

    change: Change
    role: str
    why: str
    toml: str


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """The facts on record about one role in DAYS.

    `asked` are the requests that were made for it, without emergencies, `given` the grants that
    somebody had, and `used` and `feedback` their use and answers, by id. `used_on` are the pairs of
    grant and system with use, `reporting` the systems that report every use. `requesters_before`
    are those of the role when the time began; None if roles.toml did not have the role then, or
    that is unknown.
    """

    role: Role
    asked: Sequence[Request] = ()
    in_advance: Collection[str] = ()
    given: Sequence[Grant] = ()
    used: Mapping[str, GrantUsage] = field(default_factory=dict)
    feedback: Mapping[str, Feedback] = field(default_factory=dict)
    used_on: Collection[tuple[str, str]] = ()
    reporting: Collection[str] = ()
    requesters_before: Collection[str] | None = None
    bundles: Sequence[str] = ()
    """The bundles that name the role."""

    @property
    def ended(self) -> list[Grant]:
        return [grant for grant in self.given if grant.state is GrantState.ENDED]


def suggestions(
    facts: Iterable[RoleFacts], directory: Directory, zone: ZoneInfo
) -> list[Suggestion]:
    """All suggestions, in the order of Change and then of the roles. A role that nobody uses has no
    other."""
    found: list[Suggestion] = []
    for each in facts:
        if (unused := unused_role(each)) is not None:
            found.append(unused)
            continue
        made = (
            unused_actions(each),
            requesters_who_never_asked(each, directory),
            shorter_default(each),
            longer_default(each),
            rule_instead_of_people(each, zone),
        )
        found += [suggestion for suggestion in made if suggestion is not None]
    order = list(Change)
    return sorted(found, key=lambda suggestion: order.index(suggestion.change))


def unused_role(facts: RoleFacts) -> Suggestion | None:
    """A role that nobody requested and nobody had, or of which no grant was used.

    Only a role that roles.toml had for the whole time, because a new one was not known before. A
    role with emergencies is left out: it is there to be unused. Without any request one quarter is
    enough; where there were grants, FEWEST_GRANTS of them must be known to be unused.
    """
    role, ended = facts.role, facts.ended
    if facts.requesters_before is None or role.emergency is not None:
        return None
    if not facts.asked and not facts.given:
        return _remove(facts, f"Nobody requested it or had it in {DAYS} days.")
    known = [grant for grant in ended if use_is_known(grant, facts.used, facts.feedback)]
    unused = [grant for grant in known if is_unused(grant, facts.used, facts.feedback)]
    if len(known) == len(facts.given) == len(unused) >= FEWEST_GRANTS:
        return _remove(facts, f"It had {len(unused)} grants in {DAYS} days, and none was used.")
    return None


def _remove(facts: RoleFacts, why: str) -> Suggestion:
    role = facts.role.name
    lines = [f"# Delete [roles.{role}], and the tables whose names begin with roles.{role}."]
    lines += [f"# Take {role} out of the stages of [bundles.{name}]." for name in facts.bundles]
    return Suggestion(Change.UNUSED_ROLE, role, why, "\n".join(lines))


def unused_actions(facts: RoleFacts) -> Suggestion | None:
    """Systems of the role that no grant was used on, and actions that no grant gave because
    approvers left them out.

    Use is known for each system, not for each action on it. FEWEST_GRANTS must have had the system,
    and it must report every use; another system of the role must have been used, else the role as a
    whole is the question. FEWEST_GRANTS must have left the action out, without one that gave it.
    """
    role = facts.role
    idle = [system for system in role.systems if _is_idle(facts, system)]
    systems = [system for system in role.systems if system not in idle]
    never = _never_given(facts)
    if not systems or (not idle and not never):
        return None
    why = [
        f"No grant of {_had(facts, system)} in {DAYS} days was used on {system}." for system in idle
    ]
    if never:
        named = ", ".join(never)
        why.append(f"Approvers left {named} out of each grant in {DAYS} days.")
    lines = _smaller(role, systems if idle else [], never)
    return Suggestion(Change.UNUSED_ACTIONS, role.name, " ".join(why), "\n".join(lines))


def _had(facts: RoleFacts, system: str) -> int:
    return sum(system in grant.systems for grant in facts.given)


def _is_idle(facts: RoleFacts, system: str) -> bool:
    if system not in facts.reporting or _had(facts, system) < FEWEST_GRANTS:
        return False
    return not any(there == system for _, there in facts.used_on) and bool(facts.used_on)


def _never_given(facts: RoleFacts) -> list[str]:
    """Actions that FEWEST_GRANTS or more requests asked for, and that none of their grants has."""
    given = {grant.request: grant for grant in facts.given}
    wanted = Counter(
        action
        for request in facts.asked
        if request.id in given
        for action in {*request.actions} - {*given[request.id].actions}
    )
    had = {action for grant in facts.given for action in grant.actions}
    never = [a for a in facts.role.actions if wanted[a] >= FEWEST_GRANTS and a not in had]
    return never if len(never) < len(facts.role.actions) else []


def _smaller(role: Role, systems: Sequence[str], never: Collection[str]) -> list[str]:
    """The keys of the role with only these systems (all for none), and without these actions."""
    kept = systems or role.systems
    lines = [f"[roles.{role.name}]"]
    if systems:
        lines.append(f"systems = {toml_text(systems)}")
    if not role.system_actions:
        left = [action for action in role.actions if action not in never]
        return [*lines, f"actions = {toml_text(left)}"] if never else lines
    lines += ["", f"[roles.{role.name}.actions]"]
    for system in kept:
        left = [action for action in role.actions_of(system) if action not in never]
        lines.append(f"{system} = {toml_text(left)}")
    return lines


def requesters_who_never_asked(facts: RoleFacts, directory: Directory) -> Suggestion | None:
    """People and groups of `requesters` of whom nobody asked.

    Only references that roles.toml had for the whole time and that Slack has resolved count, and
    only where FEWEST_GRANTS requests show that the role is in use. `everyone` can't be shortened.
    Somebody must be left.
    """
    role, before = facts.role, facts.requesters_before
    if before is None or len(facts.asked) < FEWEST_GRANTS:
        return None
    asked = {request.requester for request in facts.asked}
    never = [
        ref
        for ref in role.requesters
        if ref != "everyone"
        and ref in before
        and not directory.unresolved([ref])
        and not directory.resolve([ref]) & asked
    ]
    left = [ref for ref in role.requesters if ref not in never]
    if not never or not left:
        return None
    why = (
        f"Nobody of {', '.join(directory.called(never))} asked in {DAYS} days, in which there were"
        f" {len(facts.asked)} requests of {len(asked)} people."
    )
    lines = [f"[roles.{role.name}]", f"requesters = {toml_text(left)}"]
    return Suggestion(Change.REQUESTERS, role.name, why, "\n".join(lines))


def shorter_default(facts: RoleFacts) -> Suggestion | None:
    """A default duration that nine of ten grants would have fitted into.

    The need of a grant is the time to its last use, or to its early return. FEWEST_GRANTS must be
    known, and the new default is at most half of the present one: a smaller gain is not worth more
    renewals. It is not suggested where more than one answer in ten was **Needed more**.
    """
    role = facts.role
    needs = sorted(need for grant in facts.ended if (need := _need(facts, grant)) is not None)
    answers = _answers(facts)
    if len(needs) < FEWEST_GRANTS or 10 * answers[Feedback.MORE] > sum(answers.values()):
        return None
    most = nearest_rank(needs, 0.9)
    better = next((step for step in STEPS if step >= most), None)
    if better is None or 2 * better > role.default_duration:
        return None
    why = (
        f"Nine of ten grants needed at most {_rounded(most)} ({len(needs)} in {DAYS} days); the"
        f" default is {format_duration(role.default_duration)}."
    )
    return _default(Change.SHORTER, role, int(better), why)


def longer_default(facts: RoleFacts) -> Suggestion | None:
    """The next longer default, up to the maximum, where at least half of FEWEST_ANSWERS or more
    holders answered **Needed more**: fewer would lengthen access for people who do not need it."""
    role, answers = facts.role, _answers(facts)
    count = sum(answers.values())
    longer = (int(step) for step in STEPS if step > role.default_duration)
    better = min(next(longer, role.max_duration), role.max_duration)
    if count < FEWEST_ANSWERS or 2 * answers[Feedback.MORE] < count:
        return None
    if better <= role.default_duration:
        return None
    why = (
        f"{answers[Feedback.MORE]} of {count} holders answered that they needed more; the default"
        f" is {format_duration(role.default_duration)}."
    )
    return _default(Change.LONGER, role, better, why)


def _default(change: Change, role: Role, duration: int, why: str) -> Suggestion:
    lines = [f"[roles.{role.name}]", f"default_duration = {toml_span(duration)}"]
    return Suggestion(change, role.name, why, "\n".join(lines))


def _answers(facts: RoleFacts) -> Counter[Feedback]:
    return Counter(facts.feedback[grant.id] for grant in facts.ended if grant.id in facts.feedback)


def _need(facts: RoleFacts, grant: Grant) -> int | None:
    """The seconds for which the holder needed the access; None where that is unknown, or it was not
    used."""
    used, started = facts.used.get(grant.id, GrantUsage()), grant.started_at
    if started is None or grant.urgency or facts.feedback.get(grant.id) is Feedback.UNNEEDED:
        return None
    if used.last is not None:
        return max(0, used.last - started)
    if grant.end_reason is EndReason.RELEASED and not use_is_known(grant, facts.used, {}):
        return (grant.ended_at or grant.ends_at) - started
    return None


def _rounded(seconds: int) -> str:
    """At least a minute, without seconds."""
    return format_duration(max(MINUTE, -(-seconds // MINUTE) * MINUTE))


def rule_instead_of_people(facts: RoleFacts, zone: ZoneInfo) -> Suggestion | None:
    """An auto-approval rule for a role whose requests people approved every time, unchanged.

    Only for `risk = "low"` and one approval: roles.toml asks for more where a person should look.
    FEWEST_APPROVALS in DAYS, with no denial and nothing that an approver shortened or left out. The
    rule gives no more than people did: at most the longest duration, and as often in a week as the
    person who asked most often.
    """
    role = facts.role
    if role.risk != "low" or role.approvals > 1 or role.tiers:
        return None
    if any(rule.name == RULE_NAME for rule in role.auto_approve):
        return None
    decided = [request for request in facts.asked if _by_people(facts, request)]
    given = {grant.request: grant for grant in facts.given}
    if len(decided) < FEWEST_APPROVALS or not all(_as_asked(each, given) for each in decided):
        return None
    longest = max(request.duration for request in decided)
    often = Counter((each.requester, week_of(each.created_at, zone)) for each in decided)
    lines = [
        f"[[roles.{role.name}.auto_approve]]",
        f"name = {toml_text(RULE_NAME)}",
        f"max_duration = {toml_span(longest)}",
        f'quota = "{max(often.values())}/week"',
    ]
    why = (
        f"People approved {len(decided)} of {len(decided)} requests in {DAYS} days, all as they"
        " were asked for."
    )
    return Suggestion(Change.RULE, role.name, why, "\n".join(lines))


def _by_people(facts: RoleFacts, request: Request) -> bool:
    if request.state is RequestState.PENDING:
        return False
    outcome = outcome_of(request, facts.in_advance)
    return request.renews is None and outcome in (Outcome.BY_PEOPLE, Outcome.DENIED)


def _as_asked(request: Request, given: Mapping[str, Grant]) -> bool:
    """Whether it was approved, and its grant, if it has started, gives all that was asked for."""
    if outcome_of(request, ()) is Outcome.DENIED:
        return False
    grant = given.get(request.id)
    return grant is None or (
        grant.duration >= request.duration
        and grant.actions == request.actions
        and grant.systems == request.systems
    )
