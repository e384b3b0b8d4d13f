"""Plans and starts the onboarding of one person: the one approval of all that its plan gives."""

from dataclasses import dataclass, replace

from bot.core.approval import Refused
from bot.core.audit import Event, rfc3339
from bot.core.lifecycle import Move
from bot.core.model import Person, RampState, folded
from bot.core.names import slash
from bot.core.onboarding import (
    LATEST_START,
    Ramp,
    may_start,
    pins,
    plan_on_record,
    planned,
    rule_of,
)
from bot.core.roles import Policy
from bot.core.rules import Bundle
from bot.core.values import classify, did_you_mean
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import OUTDATED, Context, Snapshot, UnitOfWork, new_id, unit
from bot.operations.onboarding.give_stage import give_stage, not_yet
from bot.operations.onboarding.shared import (
    acting_mentors,
    lead_of,
    notify,
    ramp_record,
    refresh_ramp,
)
from storage import ramps


@dataclass(frozen=True, slots=True)
class Start:
    """A lead's wish for a ramp: `newcomer` is a Slack id, or "" with the `email` of a person who
    has not joined yet. Without `starts_at` it starts at once, or when they join."""

    bundle: str
    newcomer: str = ""
    email: str = ""
    mentor: str = ""
    starts_at: int | None = None


def start_ramp(world: Context, by: str, start: Start) -> Ramp | Refused:
    """Starts a ramp, or plans it for later. Everybody in it must have been looked up before. Raises
    StorageUnavailable."""
    with unit(world) as u:
        ramp = ramp_of(u, by, start)
        if isinstance(ramp, Refused):
            return u.refuse(ramp, by, "onboard", role="", reason=f"{start.bundle}"[:80])
        if not ramps.insert(u.db, ramp):
            who = "This person" if ramp.newcomer else ramp.email
            words = f"{who} has an onboarding already. {slash()} onboard list shows it."
            return u.refuse(Refused(words, "newcomer"), by, "onboard")
        if ramp.newcomer and (ramp.starts_at is None or ramp.starts_at <= u.now):
            return begin(u, ramp, by)
        at = rfc3339(ramp.starts_at) if ramp.starts_at is not None else ""
        ramp_record(u, Event.RAMP_PLANNED, by, ramp, starts_at=at, plan=plan_on_record(ramp))
        refresh_ramp(u, ramp)
        return ramp


def ramp_of(u: Snapshot, by: str, start: Start) -> Ramp | Refused:
    """The ramp that this start would make, as planned; or why it can't be started."""
    if u.outdated:
        return OUTDATED
    if (refused := leads_only(u, by)) is not None:
        return refused
    bundle = find_bundle(u.policy, start.bundle)
    if isinstance(bundle, Refused):
        return bundle
    newcomer = _newcomer(u, start)
    if isinstance(newcomer, Refused):
        return newcomer
    mentor = u.person(start.mentor) if start.mentor else None
    refused = may_start(by, newcomer, mentor) or _start_date(start, u.now)
    return refused or _planned(u, by, start, bundle, newcomer.id if newcomer else "")


def find_bundle(policy: Policy, name: str) -> Bundle | Refused:
    """The bundle of that name, or a refusal that names the others."""
    if (bundle := policy.bundles.get(name)) is not None:
        return bundle
    if not policy.bundles:
        return Refused("roles.toml has no bundles: write a [bundles.NAME] table.", "bundle")
    near = did_you_mean(name, policy.bundles) or f": it has {', '.join(policy.bundles)}"
    return Refused(f"roles.toml has no bundle “{name[:60]}”{near}.", "bundle")


def _newcomer(u: Snapshot, start: Start) -> Person | Refused | None:
    """The newcomer; None for a person who has not joined yet."""
    if start.newcomer:
        return u.person(start.newcomer)
    if classify(start.email) != "email":
        return Refused("Choose the newcomer, or give the e-mail that they will join with.", "email")
    known = u.directory.emails.get(folded(start.email))
    person = u.person(known) if known is not None else None
    return None if person is not None and person.unconfirmed else person


def _start_date(start: Start, now: int) -> Refused | None:
    if start.starts_at is None or start.starts_at <= now + LATEST_START:
        return None
    return Refused(f"A start can be at most {LATEST_START // 86400} days ahead.", "start")


def _planned(u: Snapshot, by: str, start: Start, bundle: Bundle, newcomer: str) -> Ramp:
    return Ramp(
        id=new_id("o"),
        bundle=bundle.name,
        title=bundle.title,
        newcomer=newcomer,
        email="" if newcomer else folded(start.email),
        mentor=start.mentor,
        lead=by,
        state=RampState.PLANNED,
        planned_at=u.now,
        starts_at=start.starts_at,
        longest=bundle.longest,
        stages=planned(bundle),
        pins=pins(bundle, u.policy.roles),
    )


def begin(u: UnitOfWork, ramp: Ramp, by: str) -> Ramp:
    """Starts the caller's planned ramp now, opens the stages of the first day, and welcomes the
    newcomer."""
    ramps.move(u.db, ramp.id, Move.BEGIN, starts_at=u.now)
    ramp = replace(ramp, state=RampState.RUNNING, starts_at=u.now)
    ramp_record(
        u,
        Event.RAMP_STARTED,
        by,
        ramp,
        starts_at=rfc3339(u.now),
        ends_at=rfc3339(u.now + ramp.longest),
        plan=plan_on_record(ramp),
    )
    for stage in ramp.stages:
        if stage.after == 0 and not stage.by_mentor and not_yet(u, ramp, stage) is None:
            give_stage(u, ramp, stage, rule_of(ramp))
    notify(u, [ramp.newcomer], ramp, "welcome")
    notify(u, acting_mentors(u, ramp), ramp, "mentor")
    if by != ramp.lead:
        notify(u, lead_of(u, ramp), ramp, "began")
    refresh_ramp(u, ramp)
    return ramps.get(u.db, ramp.id) or ramp
