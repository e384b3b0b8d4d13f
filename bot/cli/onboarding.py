"""Implements `access-bot onboarding`: plans, changes and ends onboardings without Slack."""

from collections.abc import Callable

import click

from bot.cli.common import (
    actor,
    confirm,
    json_option,
    limit_option,
    opened,
    person_named,
    yes_option,
)
from bot.cli.errors import Refusal, Wrong
from bot.cli.inline_worker import start_work
from bot.cli.output import clean, json_line, moment, table, utc
from bot.core.approval import Refused
from bot.core.durations import format_duration
from bot.core.onboarding import PlannedStage, Ramp, next_stage
from bot.operations._unit_of_work import Context
from bot.operations.onboarding import change_ramp
from bot.operations.onboarding.describe_ramp import (
    RampView,
    describe_ramp,
    list_ramps,
    preview_ramp,
)
from bot.operations.onboarding.start_ramp import Start, start_ramp
from bot.operations.people.find_by_email import find_by_email

Change = Callable[[Context, str, str], Ramp | Refused]


@click.group(epilog="Example: access-bot onboarding list")
def onboarding() -> None:
    """List, start, pause, resume and end onboardings."""


@onboarding.command("list", epilog="Example: access-bot onboarding list --all --json")
@click.option("--all", "every", is_flag=True, help="Also those that are over, newest first.")
@json_option
@limit_option(1000)
def list_(every: bool, as_json: bool, limit: int) -> None:
    """List onboardings."""
    with opened("onboarding") as base:
        found = list_ramps(base.world, actor(), limit, every)
        views = [] if isinstance(found, Refused) else found
        if as_json:
            for view in views:
                json_line(_as_json(view))
        elif not views:
            click.echo("No onboardings." if every else "No onboarding is running.")
        else:
            _table(views)


@onboarding.command(
    epilog="Example: access-bot onboarding start ana@example.com engineer --mentor ben@example.com"
)
@click.argument("person")
@click.argument("bundle")
@click.option("--mentor", default="", help="Slack id or e-mail of the mentor.")
@yes_option
def start(person: str, bundle: str, mentor: str, yes: bool) -> None:
    """Start the onboarding of PERSON with BUNDLE.

    PERSON is a Slack id or an e-mail. For an e-mail that nobody in the workspace has, it starts
    when they join.
    """
    with opened("onboarding", gives=True) as base:
        asked = _start(base.world, person, bundle, mentor)
        plan = preview_ramp(base.world, actor(), asked)
        if isinstance(plan, Refused):
            raise Refusal(plan.reason)
        confirm("\n".join([*_plan(plan), "Start it?"]), yes)
        ramp = start_ramp(base.world, actor(), asked)
        if isinstance(ramp, Refused):
            raise Refusal(ramp.reason)
        view = describe_ramp(base.world, ramp.id)
        for grant in [grant for some in (view.given if view else {}).values() for grant in some]:
            start_work(base, grant.id)
        click.echo(f"Onboarding {ramp.id} {_state(ramp)}.")


def _state(ramp: Ramp) -> str:
    if not ramp.newcomer:
        return "is planned: it starts when they join"
    waits = any(each.after == 0 and each.opened_at is None for each in ramp.stages)
    more = ". Its first stage opens when Slack has confirmed the newcomer" if waits else ""
    return f"has started{more}"


def _start(world: Context, person: str, bundle: str, mentor: str) -> Start:
    """The people by their ids; an address that nobody has belongs to a person who joins later."""
    named = person_named(world, mentor) if mentor else ""
    if "@" in person and find_by_email(world, person) is None:
        return Start(bundle, email=person, mentor=named)
    return Start(bundle, person_named(world, person), mentor=named)


def _plan(view: RampView) -> list[str]:
    """One line for each stage, and for each role that would be left out."""
    lines = [f"{clean(view.ramp.title)} for {format_duration(view.ramp.longest)}:"]
    for stage in view.ramp.stages:
        lines.append(f"  {_when(stage)}: {_what(stage)}")
        for (number, role), why in view.refused.items():
            if number == stage.number:
                lines.append(f"    not {role}: {clean(why, 200)}")
    return lines


def _when(stage: PlannedStage) -> str:
    mentor = ", when the mentor opens it" if stage.by_mentor else ""
    return f"after {format_duration(stage.after) if stage.after else '0d'}{mentor}"


def _what(stage: PlannedStage) -> str:
    given = f"{', '.join(stage.roles)} for {format_duration(stage.duration)}" if stage.roles else ""
    asked = f"may ask for {', '.join(stage.may_ask)}" if stage.may_ask else ""
    return "; ".join(filter(None, (given, asked)))


def _change(ramp: str, question: str, act: Change, done: str, yes: bool) -> None:
    with opened("onboarding") as base:
        view = describe_ramp(base.world, ramp)
        if view is None:
            raise Wrong(f"There is no onboarding {ramp}: `access-bot onboarding list` shows them.")
        confirm(f"{question} {_name(view)}?", yes)
        outcome = act(base.world, actor(), ramp)
        if isinstance(outcome, Refused):
            raise Refusal(outcome.reason)
        click.echo(f"Onboarding {ramp} {done}.")


@onboarding.command(epilog="Example: access-bot onboarding pause o4k2m9p0q1rs --yes")
@click.argument("onboarding")
@yes_option
def pause(onboarding: str, yes: bool) -> None:
    """Pause ONBOARDING: nothing new of it opens until `resume`."""
    _change(onboarding, "Pause the onboarding of", change_ramp.pause, "is paused", yes)


@onboarding.command(epilog="Example: access-bot onboarding resume o4k2m9p0q1rs --yes")
@click.argument("onboarding")
@yes_option
def resume(onboarding: str, yes: bool) -> None:
    """Resume ONBOARDING: its stages come later by as long as it was paused."""
    _change(onboarding, "Resume the onboarding of", change_ramp.resume, "is running", yes)


@onboarding.command(epilog="Example: access-bot onboarding end o4k2m9p0q1rs --yes")
@click.argument("onboarding")
@yes_option
def end(onboarding: str, yes: bool) -> None:
    """End ONBOARDING, with all access that it gave."""
    _change(
        onboarding, "End the onboarding, and what it gave, of", change_ramp.end, "has ended", yes
    )


def _name(view: RampView) -> str:
    ramp = view.ramp
    return clean(view.names.get(ramp.newcomer, ramp.newcomer) or ramp.email)


def _table(views: list[RampView]) -> None:
    table(
        ("ONBOARDING", "NEWCOMER", "BUNDLE", "STATE", "MENTOR", "STARTED", "ENDS", "NEXT"),
        (
            (
                view.ramp.id,
                _name(view),
                view.ramp.bundle,
                view.ramp.state,
                view.names.get(view.ramp.mentor, view.ramp.mentor) or "–",
                utc(view.ramp.starts_at),
                utc(view.ramp.ended_at or view.ramp.ends_at),
                _next(view.ramp),
            )
            for view in views
        ),
    )


def _next(ramp: Ramp) -> str:
    stage = next_stage(ramp)
    return f"stage {stage.number}, {utc(ramp.opens_at(stage))}" if stage else "–"


def _as_json(view: RampView) -> dict[str, object]:
    ramp = view.ramp
    return {
        "onboarding": ramp.id,
        "bundle": ramp.bundle,
        "newcomer": ramp.newcomer,
        "email": ramp.email,
        "mentor": ramp.mentor,
        "lead": ramp.lead,
        "state": ramp.state,
        "planned_at": moment(ramp.planned_at),
        "starts_at": moment(ramp.starts_at),
        "ends_at": moment(ramp.ends_at),
        "ended_at": moment(ramp.ended_at),
        "stages": [
            {
                "stage": stage.number,
                "opens_at": moment(ramp.opens_at(stage)),
                "needs": "mentor" if stage.by_mentor else "date",
                "roles": stage.roles,
                "duration": stage.duration,
                "may_ask": stage.may_ask,
                "state": stage.state,
                "left_out": dict(stage.left_out),
            }
            for stage in ramp.stages
        ],
    }
