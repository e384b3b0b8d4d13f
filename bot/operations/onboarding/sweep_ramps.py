"""Begins and finishes ramps that are due, opens their stages, asks mentors to open theirs, and
suggests bundles for people who joined."""

from bot.core import effects
from bot.core.authority import OPERATOR
from bot.core.lifecycle import Move
from bot.core.model import RampState, folded
from bot.core.onboarding import (
    PlannedStage,
    Ramp,
    StageState,
    bundle_for,
    is_over,
    rule_of,
)
from bot.operations._unit_of_work import SYSTEM, Context, Snapshot, UnitOfWork, reading, unit
from bot.operations.messages.notify_each_lead import leads_of
from bot.operations.onboarding.end_ramp import end_ramp
from bot.operations.onboarding.give_stage import not_yet
from bot.operations.onboarding.open_stage import open_and_notify
from bot.operations.onboarding.shared import acting_mentors, notify, refresh_ramp
from bot.operations.onboarding.start_ramp import begin
from storage import ramps

JOINED_FOR = 14 * 86400
"""Seconds after which bundles are no longer suggested for a person who joined."""


def sweep_ramps(world: Context) -> int:
    """Advances every ramp of which something is due; returns their number. Each is one transaction,
    and done once however many processes sweep. Raises StorageUnavailable."""
    with reading(world) as reader:
        # Another process has the roles.toml in force, and sweeps, too.
        if reader.outdated:
            return 0
        due = [ramp.id for ramp in ramps.open_ramps(reader.db) if _is_due(reader, ramp)]
        joined = ramps.newcomers(reader.db)
    for name in due:
        with unit(world) as u:
            ramp = ramps.locked(u.db, name)
            if ramp is not None and not u.outdated:
                _advance(u, ramp)
    for person, joined_at in joined:
        with unit(world) as u:
            _suggest(u, person, joined_at)
    return len(due)


def _is_due(u: Snapshot, ramp: Ramp) -> bool:
    """Whether this ramp has something to do now."""
    if ramp.state is RampState.PLANNED:
        return _joined(u, ramp) != "" and (ramp.starts_at or 0) <= u.now
    return is_over(ramp, u.now) or (
        ramp.state is RampState.RUNNING and bool(_due_stages(ramp, u.now))
    )


def _joined(u: Snapshot, ramp: Ramp) -> str:
    """The newcomer of a planned ramp; "" while no full member has the address."""
    person = ramp.newcomer or u.directory.emails.get(folded(ramp.email), "")
    return person if person and u.person(person).ineligible_reason() is None else ""


def _due_stages(ramp: Ramp, now: int) -> list[PlannedStage]:
    return [
        stage
        for stage in ramp.stages
        if stage.state is StageState.WAITING
        and ramp.reached(stage)
        and (ramp.opens_at(stage) or now) <= now
    ]


def _advance(u: UnitOfWork, ramp: Ramp) -> None:
    if ramp.state is RampState.PLANNED:
        _begin(u, ramp)
    elif is_over(ramp, u.now):
        end_ramp(u, ramp, Move.FINISH, SYSTEM, "its longest duration is over")
    elif ramp.state is RampState.RUNNING:
        for stage in _due_stages(ramp, u.now):
            _reach(u, ramp, stage)


def _begin(u: UnitOfWork, ramp: Ramp) -> None:
    newcomer = _joined(u, ramp)
    if not newcomer or (ramp.starts_at or 0) > u.now:
        return None
    if u.directory.unresolved(u.policy.workspace.leads):
        return None  # whether its lead still is one, is not known
    if not ramp.newcomer:
        if ramps.open_of(u.db, newcomer) is not None:
            return end_ramp(u, ramp, Move.END, SYSTEM, "the newcomer has another onboarding")
        ramps.set_newcomer(u.db, ramp.id, newcomer)
    current = ramps.get(u.db, ramp.id)
    if not ramp.lead.startswith(OPERATOR) and ramp.lead not in u.leads:
        return end_ramp(u, ramp, Move.END, SYSTEM, "the lead who planned it is no longer a lead")
    if current is not None and newcomer in (ramp.lead, ramp.mentor):
        return end_ramp(u, current, Move.END, SYSTEM, "the newcomer is its lead or its mentor")
    if current is not None:
        begin(u, current, rule_of(current))
    return None


def _reach(u: UnitOfWork, ramp: Ramp, stage: PlannedStage) -> None:
    """The time of a stage has come."""
    if stage.by_mentor:
        if ramps.set_ready(u.db, ramp.id, stage.number):
            notify(u, acting_mentors(u, ramp), ramp, "ready", stage.number)
            refresh_ramp(u, ramp)
    elif not_yet(u, ramp, stage) is None:
        open_and_notify(u, ramp, stage.number, rule_of(ramp))


def _suggest(u: UnitOfWork, person: str, joined_at: int) -> None:
    """Offers a bundle to the leads, once, when the person who joined is in a group of one."""
    bundle = bundle_for(u.policy, u.person(person), u.directory)
    has_one = ramps.open_of(u.db, person) is not None
    if bundle is None and not has_one and u.now - joined_at < JOINED_FOR:
        return
    if ramps.drop_newcomer(u.db, person) and bundle is not None and not has_one:
        others = [lead for lead in leads_of(u) if lead != person]
        u.do(*(effects.suggest_bundle(lead, person, bundle.name) for lead in others))
