"""Direct messages about an onboarding, to its newcomer, its mentor and leads."""

from collections.abc import Callable, Mapping, Sequence

from bot.core.durations import format_duration
from bot.core.model import Grant, RampState
from bot.core.names import slash
from bot.core.onboarding import PlannedStage, StageState
from bot.core.rules import Bundle
from bot.operations.onboarding.describe_ramp import Graduation, RampView
from bot.slack.blocks import (
    Block,
    Message,
    Part,
    actions,
    bold,
    button,
    clean,
    code,
    escape,
    message,
    paragraph,
    preformatted,
    rich,
    section,
    who,
    who_text,
)
from bot.slack.ids import Action
from bot.slack.views._onboarding_parts import (
    MOST_LINES,
    Lines,
    bulleted,
    bundle_line,
    given_lines,
    lead_buttons,
    mentor_line,
    next_line,
    open_button,
    open_first,
    person,
    person_text,
    plan_lines,
    role_title,
    stage_gives,
    stage_leaves_out,
    stage_line,
    until_end,
    with_commas,
)


def note(name: str, view: RampView, number: int, reader: str) -> Message:
    """A direct message about a ramp or one of its stages, as it is now."""
    return NOTES[name](view, number, reader)


def _stage(view: RampView, number: int) -> PlannedStage:
    return next(each for each in view.ramp.stages if each.number == number)


def _welcome(view: RampView, number: int, reader: str) -> Message:
    """To the newcomer on the first day."""
    ramp = view.ramp
    later = [stage_line(view, each) for each in ramp.stages if each.opened_at is None]
    now = [stage_line(view, each) for each in ramp.stages if each.opened_at is not None]
    return message(
        "Welcome! Your access for the first weeks is planned.",
        paragraph(
            ["Welcome! Your access for the first weeks is planned: ", bold(ramp.title, 75), "."],
            mentor_line(view),
        ),
        *bulleted("You get now:", now[:MOST_LINES]),
        *bulleted("What comes next:", later[:MOST_LINES]),
        paragraph(
            ["Each access ends automatically, and a message reminds you before. ", *_needs_more()],
            ["App Home shows all of it, ", *until_end(ramp), "."],
        ),
    )


def _needs_more() -> list[Part]:
    return ["Need more? Type ", bold(f"{slash()}"), ", say why, and a person decides."]


def _mentor(view: RampView, number: int, reader: str) -> Message:
    """To the mentor, when the ramp starts or they become its mentor."""
    asks = sorted({role for stage in view.ramp.stages for role in stage.may_ask})
    decides: list[Part] = ["You may also decide on their requests for "]
    decides += [*with_commas([[role_title(view, role)] for role in asks]), "."]
    return message(
        f"You are the mentor of {person_text(view)}.",
        paragraph(
            ["You are the mentor of ", *person(view), ": ", *bundle_line(view)],
        ),
        *bulleted("The plan:", plan_lines(view)),
        paragraph(
            ["When a stage waits for you, you get a message with ", bold("Open stage"), "."],
            decides if asks else [],
        ),
    )


def _ready(view: RampView, number: int, reader: str) -> Message:
    """To the mentor: a stage that waits for their press, or its outcome."""
    stage, ramp = _stage(view, number), view.ramp
    if stage.state is StageState.OPENED:
        return _settled(
            view,
            [f"Stage {number} of ", *person(view), " was opened by ", who(stage.opened_by), "."],
        )
    if ramp.state is not RampState.RUNNING or reader not in view.mentors:
        running = ramp.state is RampState.RUNNING
        why = "they have another mentor" if running else f"the onboarding is {ramp.state}"
        return _settled(
            view,
            [f"Stage {number} of ", *person(view), f" is not yours to open: {why}."],
        )
    return message(
        f"{person_text(view)} is ready for stage {number} of {escape(clean(ramp.title, 75))}.",
        paragraph(
            [*person(view), f" is ready for stage {number} of ", bold(ramp.title, 75), ":"],
            stage_gives(view, stage),
            ["Left out: ", *stage_leaves_out(view, stage)] if stage_leaves_out(view, stage) else [],
            ["Do they know what they need for it? Then open it."],
        ),
        actions(open_button(ramp, stage, f"stage {number}")),
    )


def _settled(view: RampView, words: list[Part]) -> Message:
    return message(f"News about the onboarding of {person_text(view)}.", paragraph(words))


def _opened(view: RampView, number: int, reader: str) -> Message:
    """To the newcomer: a stage is open."""
    stage = _stage(view, number)
    given = [role for role in stage.roles if role not in stage.left_out]
    gets: list[Part] = ["You get ", *with_commas([[role_title(view, role)] for role in given])]
    gets += [f" for {format_duration(stage.duration)}. A message says when it works."]
    asks: Lines = [
        [
            "You may now ask for ",
            role_title(view, role),
            ": ",
            code(f"{slash()} request {role} REASON"),
        ]
        for role in stage.may_ask
    ]
    out = stage_leaves_out(view, stage)
    return message(
        f"Stage {number} of your onboarding is open.",
        paragraph(
            [bold(f"Stage {number}"), " of your onboarding is open."],
            gets if given else [],
            *asks[:MOST_LINES],
            ["Left out: ", *out, ". Ask your mentor or a lead."] if out else [],
        ),
    )


def _left_out(view: RampView, number: int, reader: str) -> Message:
    """To the lead: a stage did not give all of the plan."""
    stage = _stage(view, number)
    lines: Lines = [
        [role_title(view, role), f": {clean(why, 200)}."] for role, why in stage.left_out.items()
    ]
    return message(
        f"Stage {number} of {person_text(view)} left out a part of its plan.",
        paragraph([f"Stage {number} of ", *person(view), " left out a part of its plan."]),
        *bulleted("Left out:", lines[:MOST_LINES]),
        paragraph(["If they need it, they can ask for it, and its approvers decide."]),
    )


def _began(view: RampView, number: int, reader: str) -> Message:
    return lead_message(view, "has started")


def lead_message(view: RampView, what: str) -> Message:
    """A ramp with its plan and the buttons of a lead."""
    buttons = lead_buttons(view)
    return message(
        f"The onboarding of {person_text(view)} {what}.",
        paragraph(
            ["The onboarding of ", *person(view), f" {what}: ", *bundle_line(view)],
            mentor_line(view),
        ),
        *bulleted("The plan:", plan_lines(view)),
        *([actions(*buttons)] if buttons else []),
    )


def _mentor_left(view: RampView, number: int, reader: str) -> Message:
    """To the lead, who acts as the mentor now."""
    ramp = view.ramp
    if ramp.mentor:
        words: list[Part] = ["The onboarding of ", *person(view), " has a mentor again: "]
        return _settled(view, [*words, who(ramp.mentor), "."])
    buttons = [*open_first(view), *lead_buttons(view)]
    return message(
        f"The mentor of {person_text(view)} left.",
        paragraph(
            ["The mentor of ", *person(view), " left. Until you name another, it is you."],
        ),
        *([actions(*buttons)] if buttons else []),
    )


def _new_mentor(view: RampView, number: int, reader: str) -> Message:
    return message(
        "Your mentor has changed.", paragraph(["Your mentor has changed. ", *mentor_line(view)])
    )


def _paused(view: RampView, number: int, reader: str) -> Message:
    return message(
        "Your onboarding is paused.",
        paragraph(
            ["Your onboarding is paused. What you have ends as planned."],
            ["Nothing new opens until a lead resumes it."],
        ),
    )


def _resumed(view: RampView, number: int, reader: str) -> Message:
    return message(
        "Your onboarding continues.",
        paragraph(["Your onboarding continues. "], next_line(view)),
    )


def _over(view: RampView, number: int, reader: str) -> Message:
    """To the newcomer."""
    finished = view.ramp.state is RampState.FINISHED
    words = "You have finished your onboarding." if finished else "A lead ended your onboarding."
    ended = [] if finished else ["Access that it gave ends now."]
    more: list[Part] = ["From now on, ask for what you need with ", bold(f"{slash()}"), "."]
    return message(words, paragraph([words, " ", *ended], more))


NOTES: Mapping[str, Callable[[RampView, int, str], Message]] = {
    "welcome": _welcome,
    "mentor": _mentor,
    "ready": _ready,
    "stage": _opened,
    "left_out": _left_out,
    "began": _began,
    "mentor_left": _mentor_left,
    "new_mentor": _new_mentor,
    "paused": _paused,
    "resumed": _resumed,
    "over": _over,
}

KEPT = frozenset({"ready", "began", "mentor_left"})
"""Notes with buttons, which are updated when the ramp changes."""


def graduation(found: Graduation) -> Message:
    """To the lead at the end of a ramp: the access that it gave, its use, and the access that was
    missing."""
    view, ramp = found.view, found.view.ramp
    what = "has finished" if ramp.state is RampState.FINISHED else "has left"
    beyond: Lines = [[code(each.role), f", {each.state}"] for each in found.beyond]
    denied: Lines = [[code(each.role)] for each in found.denied]
    return message(
        f"{person_text(view)} {what} the onboarding {escape(clean(ramp.title, 75))}.",
        paragraph([*person(view), f" {what} the onboarding ", bold(ramp.title, 75), "."]),
        *bulleted("Granted:", given_lines(view)),
        *bulleted("Asked for beyond the bundle:", beyond[:MOST_LINES]),
        *bulleted("Denied:", denied[:MOST_LINES]),
        *_suggested(found.suggested),
    )


def _suggested(toml: str) -> list[Block]:
    if not toml:
        return [paragraph(["The bundle fitted: there is nothing to change in roles.toml."])]
    return [
        rich(section("A change of roles.toml for the next newcomer, to copy:"), preformatted(toml))
    ]


def opened_text(given: Sequence[Grant], left_out: Mapping[str, str]) -> str:
    """The result of a mentor's press."""
    roles = ", ".join(f"`{grant.role}`" for grant in given)
    parts = [f"Opened. They get {roles}." if given else "Opened."]
    parts += [f"Left out: `{role}`, {why}." for role, why in left_out.items()]
    return " ".join(parts)


def suggestion(newcomer: str, bundle: Bundle) -> Message:
    """To each lead: a person joined for whom there is a bundle."""
    return message(
        f"{who_text(newcomer)} joined. Plan their onboarding?",
        paragraph(
            [who(newcomer), " joined. This bundle may fit: ", bold(bundle.title, 75), "."],
            ["The form shows what they would get and when, before anything is given."],
        ),
        actions(
            button(
                "Plan onboarding",
                Action.PLAN_ONBOARDING,
                f"{newcomer}:{bundle.name}",
                style="primary",
            )
        ),
    )
