"""Onboarding ramps: the plan of a bundle, the opening times of its stages, the roles that a
newcomer gets, and the rights that a running ramp adds to a role."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bot.core.approval import Refused
from bot.core.audit import rfc3339
from bot.core.criteria import Facts, denied_by, reason_of_denial
from bot.core.durations import format_duration
from bot.core.eligibility import may_ask_at_all, may_request
from bot.core.model import RULE, Directory, Person, RampState
from bot.core.roles import Policy, Role
from bot.core.rules import Bundle, Stage
from bot.core.toml_text import toml_span, toml_text

OPEN = frozenset({RampState.PLANNED, RampState.RUNNING, RampState.PAUSED})
"""The states of a ramp that is not over. A person has at most one such ramp."""

LATEST_START = 180 * 86400
"""Seconds ahead that a ramp may be planned."""


class StageState(StrEnum):
    WAITING = "waiting"
    READY = "ready"
    """Its time has come, and the mentor may open it."""
    OPENED = "opened"


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """One stage of a ramp, as the lead approved it. `number` counts from 1; `after` and `duration`
    are seconds. `left_out` has why a role was not given, by role, once the stage is open."""

    number: int
    after: int
    by_mentor: bool
    roles: tuple[str, ...]
    duration: int
    may_ask: tuple[str, ...]
    state: StageState = StageState.WAITING
    opened_at: int | None = None
    opened_by: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ramp:
    """`newcomer` is "" until the person with the address `email` has joined, `mentor` is "" while
    nobody is named. Before the start, `starts_at` is the chosen time, or None for the moment at
    which they join. `shift` are the seconds by which pauses have moved the stages; the end does not
    move. `pins` are the fingerprints of the roles when the lead approved the plan."""

    id: str
    bundle: str
    title: str
    newcomer: str
    email: str
    mentor: str
    lead: str
    state: RampState
    planned_at: int
    starts_at: int | None
    longest: int
    stages: tuple[PlannedStage, ...]
    pins: Mapping[str, str]
    shift: int = 0
    paused_at: int | None = None
    ended_at: int | None = None

    @property
    def ends_at(self) -> int | None:
        return None if self.starts_at is None else self.starts_at + self.longest

    def opens_at(self, stage: PlannedStage) -> int | None:
        """The planned opening time of a stage, None while the start is unknown."""
        return None if self.starts_at is None else self.starts_at + self.shift + stage.after

    def reached(self, stage: PlannedStage) -> bool:
        """Whether the stage opens before the ramp ends; pauses may move it beyond."""
        return self.shift + stage.after < self.longest


def planned(bundle: Bundle) -> tuple[PlannedStage, ...]:
    """The stages of a ramp, in the order of their times."""
    ordered = sorted(bundle.stages, key=lambda stage: stage.after)
    return tuple(_planned(number, stage) for number, stage in enumerate(ordered, 1))


def _planned(number: int, stage: Stage) -> PlannedStage:
    return PlannedStage(
        number, stage.after, stage.by_mentor, stage.roles, stage.duration, stage.may_ask
    )


def pins(bundle: Bundle, roles: Mapping[str, Role]) -> dict[str, str]:
    """The fingerprints of the roles that the bundle gives."""
    named = {name for stage in bundle.stages for name in stage.roles}
    return {name: roles[name].fingerprint for name in sorted(named) if name in roles}


def plan_on_record(ramp: Ramp) -> list[dict[str, object]]:
    """The whole plan of a ramp, as the audit log keeps it."""
    return [_stage_on_record(ramp, stage) for stage in ramp.stages]


def _stage_on_record(ramp: Ramp, stage: PlannedStage) -> dict[str, object]:
    at = ramp.opens_at(stage)
    return {
        "stage": stage.number,
        "after": stage.after,
        "opens_at": rfc3339(at) if at is not None else "",
        "needs": "mentor" if stage.by_mentor else "date",
        "roles": list(stage.roles),
        "duration": stage.duration,
        "may_ask": list(stage.may_ask),
    }


def next_stage(ramp: Ramp) -> PlannedStage | None:
    """The first stage that can still open."""
    waiting = (each for each in ramp.stages if each.state is not StageState.OPENED)
    return next((each for each in waiting if ramp.reached(each)), None)


def reason_of(ramp: Ramp, stage: PlannedStage) -> str:
    """The reason of each request that a stage makes."""
    return f"onboarding: {ramp.bundle}, stage {stage.number}"


RULE_OF_RAMPS = f"{RULE}onboarding:"
"""The actor of all ramps in the audit log, before the name of the bundle."""


def rule_of(ramp: Ramp) -> str:
    """The actor of a ramp in the audit log."""
    return RULE_OF_RAMPS + ramp.bundle


# --- the rights of leads and mentors


def may_start(lead: str, newcomer: Person | None, mentor: Person | None) -> Refused | None:
    """Whether these people may begin a ramp together; the newcomer is None before they joined."""
    if newcomer is not None and lead == newcomer.id:
        return Refused("You can't start your own onboarding. Ask another lead.", "newcomer")
    if newcomer is not None and (unfit := newcomer.ineligible_reason()) is not None:
        return Refused(f"This person can't get access: {unfit}.", "newcomer")
    return may_mentor(newcomer.id if newcomer else "", mentor) if mentor else None


def may_mentor(newcomer: str, mentor: Person) -> Refused | None:
    """Whether this person may be the mentor of this newcomer."""
    if mentor.id == newcomer:
        return Refused("A newcomer can't be their own mentor. Choose somebody else.", "mentor")
    if (unfit := mentor.ineligible_reason()) is not None:
        return Refused(f"This person can't be a mentor: {unfit}.", "mentor")
    return None


def may_lead(ramp: Ramp, lead: str) -> Refused | None:
    """Whether this lead may change this ramp."""
    if lead != ramp.newcomer:
        return None
    return Refused("You can't change your own onboarding. Ask another lead.")


def mentors_of(ramp: Ramp, absent: frozenset[str], leads: frozenset[str]) -> frozenset[str]:
    """The people who act as the mentor now: the mentor; else the lead who started the ramp; else
    all leads. `absent` are people who left or are away. The newcomer never does."""
    for choice in ({ramp.mentor}, {ramp.lead} & leads, leads):
        able = choice - absent - {ramp.newcomer, ""}
        if able:
            return frozenset(able)
    return frozenset()


def may_open(
    ramp: Ramp, number: int, who: str, mentors: frozenset[str], now: int
) -> Refused | None:
    """Whether `who` may open this stage now."""
    stage = next((each for each in ramp.stages if each.number == number), None)
    if who == ramp.newcomer:
        return Refused("You can't open a stage of your own onboarding. Your mentor does.")
    if who not in mentors:
        return Refused("Only the mentor can open a stage of this onboarding.")
    if ramp.state is not RampState.RUNNING:
        return Refused(f"This onboarding is {ramp.state}, so no stage of it can be opened.")
    if stage is None or not stage.by_mentor:
        return Refused("This onboarding has no such stage for a mentor to open.")
    opens_at = ramp.opens_at(stage)
    if not ramp.reached(stage) or opens_at is None or is_over(ramp, now):
        return Refused("The onboarding ends before this stage, so it can't be opened.")
    if now < opens_at:
        left = format_duration(opens_at - now)
        return Refused(f"It is too early: this stage can be opened in {left}.")
    return None


def is_over(ramp: Ramp, now: int) -> bool:
    """Whether the longest time of a ramp is over."""
    return ramp.ends_at is not None and ramp.ends_at <= now


# --- the roles that a newcomer gets


def why_left_out(
    name: str, stage: PlannedStage, ramp: Ramp, policy: Policy, person: Person, facts: Facts
) -> str:
    """The reason why this stage can't give this role to the newcomer now; "" if it can. The file
    may have changed since the lead approved the plan, and only a stricter one counts."""
    role, bundle = policy.roles.get(name), policy.bundles.get(ramp.bundle)
    if bundle is None:
        return f"the bundle {ramp.bundle} is no longer in roles.toml"
    if role is None:
        return "the role is no longer in roles.toml"
    if all(name not in each.roles for each in bundle.stages):
        return "the bundle no longer gives it"
    if ramp.pins.get(name) != role.fingerprint:
        return "the role was changed in roles.toml after the plan was approved"
    return why_not_given(role, person, facts)


def why_not_given(role: Role, person: Person, facts: Facts) -> str:
    """The reason why no stage can give this role to this person now; "" if one can."""
    if role.risk == "high":
        return "its risk is high"
    if role.ticket is not None:
        return "it asks for a ticket, which a stage does not have"
    if may_ask_at_all(person) is not None:
        return str(person.ineligible_reason())
    if may_request(role, person, facts.directory) is not None:
        return f"it is only for {', '.join(facts.directory.called(role.requesters))}"
    return why_denied(role, person, facts)


def why_denied(role: Role, person: Person, facts: Facts) -> str:
    """The denial rule that holds for this person now, as the reason; "" for none."""
    rule = denied_by(role, person, facts)
    if rule is None:
        return ""
    return f"the rule “{rule.name}” denies it: {reason_of_denial(rule, facts.directory)}"


def given_for(ramp: Ramp, stage: PlannedStage, role: Role, now: int) -> int:
    """The seconds for which a stage gives a role now: within the role's limits, and never beyond
    the end of the ramp."""
    until_end = (ramp.ends_at or now) - now
    return max(0, min(stage.duration, role.max_duration, role.max_total, until_end))


# --- the rights that a running ramp adds to roles


@dataclass(frozen=True, slots=True)
class RampRights:
    """A newcomer may request the roles of `may_ask`, and their mentors may decide on it."""

    newcomer: str
    mentors: frozenset[str]
    may_ask: frozenset[str]


def rights_of(
    ramps: Iterable[Ramp], policy: Policy, absent: frozenset[str], leads: frozenset[str], now: int
) -> Iterator[RampRights]:
    """The rights that these ramps add now, as far as their bundles in roles.toml still have
    them."""
    for ramp in ramps:
        if ramp.state is not RampState.RUNNING or is_over(ramp, now) or not ramp.newcomer:
            continue
        opened = (each for each in ramp.stages if each.state is StageState.OPENED)
        roles = {name for stage in opened for name in stage.may_ask}
        roles &= asked_for(policy.bundles.get(ramp.bundle))
        if roles:
            mentors = mentors_of(ramp, absent, leads)
            yield RampRights(ramp.newcomer, mentors, frozenset(roles))


def asked_for(bundle: Bundle | None) -> frozenset[str]:
    """The roles that a bundle lets a newcomer request."""
    stages = bundle.stages if bundle else ()
    return frozenset(name for stage in stages for name in stage.may_ask)


def as_for(role: Role, requester: str, rights: Iterable[RampRights]) -> Role:
    """The role as it is for this requester: a running ramp adds the newcomer to its requesters and
    the mentor to its approvers; of tiers, to those of the first, so that the later ones stay with
    their own people."""
    for right in rights:
        if right.newcomer != requester or role.name not in right.may_ask:
            continue
        more = tuple(sorted(right.mentors - {requester}))
        role = replace(
            role,
            requesters=_with(role.requesters, (requester,)),
            approvers=_with(role.approvers, more),
            notify=_with(role.notify, more),
            tiers=tuple(
                replace(tier, approvers=_with(tier.approvers, more)) if place == 0 else tier
                for place, tier in enumerate(role.tiers)
            ),
        )
    return role


def _with(refs: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    return (*refs, *(ref for ref in more if ref not in refs))


def bundle_for(policy: Policy, person: Person, directory: Directory) -> Bundle | None:
    """The first bundle that roles.toml suggests for this person."""
    return next(
        (
            bundle
            for bundle in policy.bundles.values()
            if bundle.suggest_for and directory.includes(bundle.suggest_for, person)
        ),
        None,
    )


# --- a better bundle, from the facts at the end of a ramp


def suggested_bundle(bundle: Bundle, unused: frozenset[str], missed: Sequence[Missed]) -> Bundle:
    """The bundle without the roles that were never used, and with those that the newcomer had to
    request beside it: given where a stage may give them, else as a role that they may request."""
    stages = [
        replace(stage, roles=tuple(role for role in stage.roles if role not in unused))
        for stage in bundle.stages
    ]
    stages = [
        replace(stage, duration=stage.duration if stage.roles else 0)
        for stage in stages
        if stage.roles or stage.may_ask
    ]
    stages += [_stage_for(each) for each in missed]
    return replace(bundle, stages=tuple(sorted(stages, key=lambda stage: stage.after)))


@dataclass(frozen=True, slots=True)
class Missed:
    """A role that a newcomer was granted beside the bundle, `after` seconds from the start."""

    role: Role
    after: int


def _stage_for(missed: Missed) -> Stage:
    role, after = missed.role, missed.after // 86400 * 86400
    if role.risk == "high" or role.ticket is not None:
        return Stage(after, may_ask=(role.name,))
    return Stage(after, roles=(role.name,), duration=role.default_duration)


def bundle_toml(bundle: Bundle) -> str:
    """The bundle as the lines of roles.toml."""
    lines = [f"[bundles.{bundle.name}]", f"title = {toml_text(bundle.title)}"]
    if bundle.suggest_for:
        lines.append(f"suggest_for = {toml_text(list(bundle.suggest_for))}")
    lines.append(f"max = {toml_span(bundle.longest)}")
    for stage in bundle.stages:
        lines += ["", f"[[bundles.{bundle.name}.stages]]", *_stage_toml(stage)]
    return "\n".join(lines)


def _stage_toml(stage: Stage) -> Iterator[str]:
    yield f"after = {toml_span(stage.after)}"
    if stage.by_mentor:
        yield 'needs = "mentor"'
    if stage.roles:
        yield f"roles = {toml_text(list(stage.roles))}"
        yield f"duration = {toml_span(stage.duration)}"
    if stage.may_ask:
        yield f"may_ask = {toml_text(list(stage.may_ask))}"
