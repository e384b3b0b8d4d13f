"""Compares open onboardings with their audit records: an onboarding gives access, lets its newcomer
request roles, and its mentor decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.core.audit import Event, rfc3339
from bot.core.model import RampState
from bot.core.onboarding import PlannedStage, Ramp, StageState, plan_on_record

_STATES = {
    Event.RAMP_PLANNED: RampState.PLANNED,
    Event.RAMP_STARTED: RampState.RUNNING,
    Event.RAMP_PAUSED: RampState.PAUSED,
    Event.RAMP_RESUMED: RampState.RUNNING,
    Event.RAMP_ENDED: RampState.ENDED,
    Event.RAMP_FINISHED: RampState.FINISHED,
}
RAMP_EVENTS = (*_STATES, Event.STAGE_OPENED, Event.MENTOR_CHANGED)
"""Every event about an onboarding."""


@dataclass(frozen=True, slots=True)
class RampRecord:
    event: str
    subject: str
    detail: Mapping[str, Any]


def ramp_difference(ramp: Ramp, records: Sequence[RampRecord]) -> str:
    """The first difference between an open onboarding and its records, as a sentence; "" where they
    agree. `records` are in order, oldest first."""
    what = f"onboarding of {ramp.newcomer or ramp.email} by {ramp.bundle}"
    if not records:
        return f"{what}: no record says that it was planned"
    for name, (row, recorded) in _pairs(ramp, records).items():
        if row != recorded and name == "plan":
            return f"{what}: its plan is not the one of the log"
        if row != recorded:
            return f"{what}: {name} is {row!s:.60}, the log says {recorded!s:.60}"
    return ""


def _pairs(ramp: Ramp, records: Sequence[RampRecord]) -> dict[str, tuple[object, object]]:
    """Each value of the row, with its value in the records."""
    last = records[-1]
    planned = [each for each in records if "plan" in each.detail][-1:]
    found: dict[str, tuple[object, object]] = {
        name: (getattr(ramp, name), last.detail.get(name))
        for name in ("bundle", "email", "mentor", "lead")
    }
    moved = [_STATES[Event(each.event)] for each in records if each.event in _STATES]
    found["state"] = (str(ramp.state), str(moved[-1]) if moved else "none")
    if ramp.state is not RampState.PLANNED:
        found["newcomer"] = (ramp.newcomer, last.subject)
        found["end"] = (rfc3339(ramp.ends_at or 0), _first(planned, "ends_at"))
    found["plan"] = (_terms(plan_on_record(ramp)), _terms(_first(planned, "plan")))
    opened = {each.detail.get("stage") for each in records if each.event == Event.STAGE_OPENED}
    found["stages that are open"] = ({each.number for each in _open(ramp)}, opened)
    return found


def _open(ramp: Ramp) -> list[PlannedStage]:
    return [stage for stage in ramp.stages if stage.state is StageState.OPENED]


def _first(records: Sequence[RampRecord], name: str) -> object:
    return records[0].detail.get(name) if records else None


def _terms(plan: object) -> object:
    """The stages without their dates, which a pause moves."""
    if not isinstance(plan, list):
        return plan
    return [
        {name: value for name, value in stage.items() if name != "opens_at"}
        if isinstance(stage, dict)
        else stage
        for stage in plan
    ]
