"""Parts that the messages, lists and forms of onboardings share: lines of a plan, and buttons."""

from collections.abc import Iterable, Sequence

from bot.core.durations import format_duration
from bot.core.model import Grant, RampState
from bot.core.onboarding import PlannedStage, Ramp, StageState, next_stage
from bot.operations.onboarding.describe_ramp import RampView
from bot.slack.blocks import (
    Block,
    Element,
    Part,
    bold,
    bullets,
    button,
    clean,
    confirm,
    date,
    day,
    escape,
    rich,
    section,
    who,
    who_text,
)
from bot.slack.ids import Action
from bot.slack.views._parts import used_text

MOST_LINES = 25
"""Lines of a plan in one message or view."""

Lines = list[list[Part]]


def role_title(view: RampView, role: str) -> Element:
    return bold(view.titles.get(role, role), 75)


def with_commas(parts: Iterable[Sequence[Part]]) -> list[Part]:
    """These parts with commas between them."""
    return [part for each in parts for part in (", ", *each)][1:]


def person(view: RampView) -> list[Part]:
    """The newcomer: by name, or by the address with which they were invited."""
    ramp = view.ramp
    return [who(ramp.newcomer)] if ramp.newcomer else [bold(ramp.email, 100)]


def person_text(view: RampView) -> str:
    ramp = view.ramp
    return who_text(ramp.newcomer) if ramp.newcomer else escape(clean(ramp.email, 100))


def _people(ids: Sequence[str]) -> list[Part]:
    named: Lines = [[who(each)] for each in ids[:3]]
    return with_commas(named) or ["nobody yet"]


def plan_lines(view: RampView) -> Lines:
    """One line for each stage: its time, and its roles."""
    lines = [stage_line(view, stage) for stage in view.ramp.stages]
    more = len(lines) - MOST_LINES
    rest: Lines = [[f"and {more} more stages"]] if more > 0 else []
    return [*lines[:MOST_LINES], *rest]


def stage_line(view: RampView, stage: PlannedStage) -> list[Part]:
    what, refused = stage_gives(view, stage, with_mentor=True), stage_leaves_out(view, stage)
    parts: list[Part] = [*_when(view.ramp, stage), ": ", *what]
    if refused:
        parts += [", but not " if what else "not ", *refused]
    return parts if what or refused else [*parts, "nothing"]


def _when(ramp: Ramp, stage: PlannedStage) -> list[Part]:
    if stage.opened_at is not None:
        return [day(stage.opened_at)]
    if not ramp.reached(stage):
        return ["Not reached, because the onboarding ends before"]
    at = ramp.opens_at(stage)
    if at is None:
        return [f"Day {stage.after // 86400 + 1}"]
    return [day(at) if stage.after % 86400 == 0 else date(at)]


def stage_gives(view: RampView, stage: PlannedStage, with_mentor: bool = False) -> list[Part]:
    """The roles that a stage gives, gave, or lets the newcomer request."""
    out = {role for number, role in view.refused if number == stage.number} | set(stage.left_out)
    given = [role for role in stage.roles if role not in out]
    waits = with_mentor and stage.by_mentor and stage.state is not StageState.OPENED
    parts: list[Part] = []
    if given:
        lasts = format_duration(stage.duration)
        parts += [*with_commas([[role_title(view, role)] for role in given]), f" for {lasts}"]
    if stage.may_ask:
        asked = with_commas([[role_title(view, role)] for role in stage.may_ask])
        parts += [", and " if parts else "", "may ask for ", *asked]
    return [*parts, ", when the mentor opens it"] if parts and waits else parts


def stage_leaves_out(view: RampView, stage: PlannedStage) -> list[Part]:
    """The roles that are left out, or would be, with the reasons."""
    reasons = {
        **{role: why for (number, role), why in view.refused.items() if number == stage.number},
        **stage.left_out,
    }
    return with_commas(
        [[role_title(view, role), f" ({clean(why, 200)})"] for role, why in reasons.items()]
    )


def until_end(ramp: Ramp) -> list[Part]:
    if ramp.ends_at is None:
        return [f"{format_duration(ramp.longest)} from the day they join"]
    return ["until ", day(ramp.ends_at)]


def bundle_line(view: RampView) -> list[Part]:
    return [bold(view.ramp.title, 75), ", ", *until_end(view.ramp), "."]


def mentor_line(view: RampView) -> list[Part]:
    """The mentor, or the people who act as the mentor."""
    ramp = view.ramp
    if ramp.mentor and ramp.mentor in view.mentors:
        return ["Mentor: ", who(ramp.mentor), "."]
    return ["Mentor for now: ", *_people(view.mentors), "."]


def next_line(view: RampView) -> list[Part]:
    stage = next_stage(view.ramp)
    if view.ramp.state is RampState.PAUSED:
        return ["Paused: nothing opens until a lead resumes it."]
    return ["Next: ", *stage_line(view, stage), "."] if stage else []


def given_lines(view: RampView) -> Lines:
    """The grants, and whether they were used."""
    lines: Lines = [
        [role_title(view, grant.role), f" ({grant.state}, {_used(view, grant)})"]
        for some in view.given.values()
        for grant in some
    ]
    return lines[:MOST_LINES]


def _used(view: RampView, grant: Grant) -> str:
    used = view.used.get(grant.id)
    return used_text(used) if used and grant.started_at is not None else "not started"


def bulleted(title: str, items: Lines) -> list[Block]:
    return [rich(section(title), bullets(items))] if items else []


def open_button(ramp: Ramp, stage: PlannedStage, about: str) -> Element:
    return button("Open stage", Action.OPEN_STAGE, f"{ramp.id}:{stage.number}", about, "primary")


def open_first(view: RampView) -> list[Element]:
    """Opens the first stage that is ready. Then the button is for the next one."""
    return [open_button(view.ramp, each, f"stage {each.number}") for each in view.ready[:1]]


def lead_buttons(view: RampView) -> list[Element]:
    """The lead's buttons for a ramp in its state; none once it is over."""
    ramp, about = view.ramp, f"onboarding of {view.names.get(view.ramp.newcomer, 'the newcomer')}"
    asked = confirm(
        "End this onboarding?",
        "It gives nothing more, and access that it gave ends now.",
        "End",
        "Keep it",
        "danger",
    )
    made = {
        RampState.RUNNING: [button("Pause", Action.PAUSE_RAMP, ramp.id, about)],
        RampState.PAUSED: [button("Resume", Action.RESUME_RAMP, ramp.id, about, "primary")],
        RampState.PLANNED: [],
    }
    if ramp.state not in made:
        return []
    return [
        *made[ramp.state],
        button("Change mentor", Action.CHANGE_MENTOR, ramp.id, about),
        button("End", Action.END_RAMP, ramp.id, about, "danger", asked),
    ]


def begun(view: RampView) -> str:
    """The result of a start, for the lead."""
    return "is planned" if view.ramp.state is RampState.PLANNED else "has started"
