"""Onboardings in `/access onboard list` and in App Home."""

from collections.abc import Sequence

from bot.core.model import RampState
from bot.core.names import slash
from bot.operations.onboarding.describe_ramp import RampView
from bot.slack.blocks import (
    Block,
    Message,
    Part,
    actions,
    bold,
    bullets,
    header,
    message,
    paragraph,
    rich,
)
from bot.slack.views._fit import MESSAGE_BLOCKS, fit
from bot.slack.views._onboarding_parts import (
    given_lines,
    lead_buttons,
    mentor_line,
    next_line,
    open_first,
    person,
    plan_lines,
    until_end,
    with_commas,
)


def ramp_list(views: Sequence[RampView], reader: str) -> Message:
    """All open ramps, for a lead."""
    if not views:
        return message(
            "No onboarding is running.",
            paragraph(["No onboarding is running. ", bold(f"{slash()} onboard"), " plans one."]),
        )
    shown, missing = fit([row(view, True, reader) for view in views], MESSAGE_BLOCKS - 3, 11_000)
    more = [paragraph([f"{missing} more are in App Home."])] if missing else []
    return message(f"Onboardings: {len(views)}.", header("Onboardings"), *shown, *more)


def row(view: RampView, is_lead: bool, reader: str) -> list[Block]:
    """One ramp for a mentor or a lead, with their buttons."""
    ramp = view.ramp
    state: list[Part] = [" is planned, "] if ramp.state is RampState.PLANNED else [", "]
    given = with_commas(given_lines(view))
    is_mentor = reader in view.mentors and ramp.state is RampState.RUNNING
    buttons = open_first(view) if is_mentor else []
    buttons += lead_buttons(view) if is_lead and reader != ramp.newcomer else []
    words = paragraph(
        [*person(view), *state, bold(ramp.title, 75), ", ", *until_end(ramp), "."],
        mentor_line(view),
        ["Given: ", *given, "."] if given else [],
        next_line(view),
    )
    return [words, *([actions(*buttons)] if buttons else [])]


def own(view: RampView) -> list[Block]:
    """The ramp of the reader."""
    ramp = view.ramp
    given = with_commas(given_lines(view))
    paused: list[Part] = ["It is paused: nothing opens until a lead resumes it."]
    return [
        paragraph(
            [bold(ramp.title, 75), ", ", *until_end(ramp), ". ", *mentor_line(view)],
            ["You were given: ", *given, "."] if given else [],
            paused if ramp.state is RampState.PAUSED else [],
        ),
        rich(bullets(plan_lines(view))),
    ]
