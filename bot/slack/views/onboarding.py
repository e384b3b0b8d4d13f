"""Onboarding in Slack: the messages to newcomers, mentors and leads, the sections of App Home, and
the forms of leads."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from bot.core.durations import format_duration
from bot.core.model import Grant, RampState
from bot.core.onboarding import PlannedStage, Ramp, StageState, next_stage
from bot.core.rules import Bundle
from bot.operations.onboarding.describe_ramp import Graduation, RampView
from bot.slack.blocks import (
    Block,
    Element,
    Message,
    Part,
    View,
    actions,
    bold,
    bullets,
    button,
    clean,
    code,
    confirm,
    date,
    day,
    escape,
    header,
    input_block,
    is_slack_id,
    message,
    modal,
    paragraph,
    plain,
    preformatted,
    rich,
    section,
    spoken,
    text_input,
    who,
    who_text,
)
from bot.slack.ids import Action, Field, Modal
from bot.slack.views._fit import MESSAGE_BLOCKS, fit
from bot.slack.views._parts import used_text

MOST_LINES = 25
"""Lines of a plan in one message or view."""

MOST_BUNDLES = 100
"""Options of one select."""

NOBODY = "-"
"""The value of a button that opens an empty form."""

Lines = list[list[Part]]


# --- words


def _title(view: RampView, role: str) -> Element:
    return bold(view.titles.get(role, role), 75)


def _listed(parts: Iterable[Sequence[Part]]) -> list[Part]:
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
    return _listed(named) or ["nobody yet"]


def plan_lines(view: RampView) -> Lines:
    """One line for each stage: when, and what."""
    lines = [_stage_line(view, stage) for stage in view.ramp.stages]
    more = len(lines) - MOST_LINES
    rest: Lines = [[f"and {more} more stages"]] if more > 0 else []
    return [*lines[:MOST_LINES], *rest]


def _stage_line(view: RampView, stage: PlannedStage) -> list[Part]:
    what, refused = _what(view, stage, with_mentor=True), _refused(view, stage)
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


def _what(view: RampView, stage: PlannedStage, with_mentor: bool = False) -> list[Part]:
    """What a stage gives, gave, or lets ask for."""
    out = {role for number, role in view.refused if number == stage.number} | set(stage.left_out)
    given = [role for role in stage.roles if role not in out]
    waits = with_mentor and stage.by_mentor and stage.state is not StageState.OPENED
    parts: list[Part] = []
    if given:
        lasts = format_duration(stage.duration)
        parts += [*_listed([[_title(view, role)] for role in given]), f" for {lasts}"]
    if stage.may_ask:
        asked = _listed([[_title(view, role)] for role in stage.may_ask])
        parts += [", and " if parts else "", "may ask for ", *asked]
    return [*parts, ", when the mentor opens it"] if parts and waits else parts


def _refused(view: RampView, stage: PlannedStage) -> list[Part]:
    """What is left out, or would be, and why."""
    reasons = {
        **{role: why for (number, role), why in view.refused.items() if number == stage.number},
        **stage.left_out,
    }
    return _listed([[_title(view, role), f" ({clean(why, 200)})"] for role, why in reasons.items()])


def _until(ramp: Ramp) -> list[Part]:
    if ramp.ends_at is None:
        return [f"{format_duration(ramp.longest)} from the day they join"]
    return ["until ", day(ramp.ends_at)]


def _bundle_line(view: RampView) -> list[Part]:
    return [bold(view.ramp.title, 75), ", ", *_until(view.ramp), "."]


def _mentor_line(view: RampView) -> list[Part]:
    """Who the mentor is, or who acts as the mentor."""
    ramp = view.ramp
    if ramp.mentor and ramp.mentor in view.mentors:
        return ["Mentor: ", who(ramp.mentor), "."]
    return ["Mentor for now: ", *_people(view.mentors), "."]


def _next_line(view: RampView) -> list[Part]:
    stage = next_stage(view.ramp)
    if view.ramp.state is RampState.PAUSED:
        return ["Paused: nothing opens until a lead resumes it."]
    return ["Next: ", *_stage_line(view, stage), "."] if stage else []


def _given_lines(view: RampView) -> Lines:
    """What was given, and whether it was used."""
    lines: Lines = [
        [_title(view, grant.role), f" ({grant.state}, {_used(view, grant)})"]
        for some in view.given.values()
        for grant in some
    ]
    return lines[:MOST_LINES]


def _used(view: RampView, grant: Grant) -> str:
    used = view.used.get(grant.id)
    return used_text(used) if used and grant.started_at is not None else "not started"


def _bulleted(title: str, items: Lines) -> list[Block]:
    return [rich(section(title), bullets(items))] if items else []


# --- buttons


def open_button(ramp: Ramp, stage: PlannedStage, about: str) -> Element:
    return button("Open stage", Action.OPEN_STAGE, f"{ramp.id}:{stage.number}", about, "primary")


def _open_first(view: RampView) -> list[Element]:
    """Opens the first stage that is ready. Then the button is for the next one."""
    return [open_button(view.ramp, each, f"stage {each.number}") for each in view.ready[:1]]


def lead_buttons(view: RampView) -> list[Element]:
    """What a lead can do with a ramp in its state; nothing once it is over."""
    ramp, about = view.ramp, f"onboarding of {view.names.get(view.ramp.newcomer, 'the newcomer')}"
    asked = confirm(
        "End this onboarding?",
        "Nothing more of it is given, and access that it gave ends now.",
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


# --- messages


def note(name: str, view: RampView, number: int, reader: str) -> Message:
    """A direct message about a ramp or one of its stages, as it is now."""
    return NOTES[name](view, number, reader)


def _stage(view: RampView, number: int) -> PlannedStage:
    return next(each for each in view.ramp.stages if each.number == number)


def _welcome(view: RampView, number: int, reader: str) -> Message:
    """To the newcomer on the first day."""
    ramp = view.ramp
    later = [_stage_line(view, each) for each in ramp.stages if each.opened_at is None]
    now = [_stage_line(view, each) for each in ramp.stages if each.opened_at is not None]
    return message(
        "Welcome! Your access for the first weeks is planned.",
        paragraph(
            ["Welcome! Your access for the first weeks is planned: ", bold(ramp.title, 75), "."],
            _mentor_line(view),
        ),
        *_bulleted("You get now:", now[:MOST_LINES]),
        *_bulleted("What comes next:", later[:MOST_LINES]),
        paragraph(
            ["Each access ends on its own, and a message tells you before. ", *_needs_more()],
            ["Your Home in this app shows all of it, ", *_until(ramp), "."],
        ),
    )


def _needs_more() -> list[Part]:
    return ["Need more? Type ", bold("/access"), ", say why, and a person decides."]


def _mentor(view: RampView, number: int, reader: str) -> Message:
    """To the mentor, when the ramp starts or they become its mentor."""
    asks = sorted({role for stage in view.ramp.stages for role in stage.may_ask})
    decides: list[Part] = ["You may also decide on their requests for "]
    decides += [*_listed([[_title(view, role)] for role in asks]), "."]
    return message(
        f"You are the mentor of {person_text(view)}.",
        paragraph(
            ["You are the mentor of ", *person(view), ": ", *_bundle_line(view)],
        ),
        *_bulleted("The plan:", plan_lines(view)),
        paragraph(
            ["When a stage waits for you, you get a message with ", bold("Open stage"), "."],
            decides if asks else [],
        ),
    )


def _ready(view: RampView, number: int, reader: str) -> Message:
    """To the mentor: a stage waits for their press, or what became of it."""
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
            _what(view, stage),
            ["Left out: ", *_refused(view, stage)] if _refused(view, stage) else [],
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
    gets: list[Part] = ["You get ", *_listed([[_title(view, role)] for role in given])]
    gets += [f" for {format_duration(stage.duration)}. A message says when it works."]
    asks: Lines = [
        ["You may now ask for ", _title(view, role), ": ", code(f"/access request {role} REASON")]
        for role in stage.may_ask
    ]
    out = _refused(view, stage)
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
        [_title(view, role), f": {clean(why, 200)}."] for role, why in stage.left_out.items()
    ]
    return message(
        f"Stage {number} of {person_text(view)} left out a part of its plan.",
        paragraph([f"Stage {number} of ", *person(view), " left out a part of its plan."]),
        *_bulleted("Left out:", lines[:MOST_LINES]),
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
            ["The onboarding of ", *person(view), f" {what}: ", *_bundle_line(view)],
            _mentor_line(view),
        ),
        *_bulleted("The plan:", plan_lines(view)),
        *([actions(*buttons)] if buttons else []),
    )


def _mentor_left(view: RampView, number: int, reader: str) -> Message:
    """To the lead, who acts as the mentor now."""
    ramp = view.ramp
    if ramp.mentor:
        words: list[Part] = ["The onboarding of ", *person(view), " has a mentor again: "]
        return _settled(view, [*words, who(ramp.mentor), "."])
    buttons = [*_open_first(view), *lead_buttons(view)]
    return message(
        f"The mentor of {person_text(view)} left.",
        paragraph(
            ["The mentor of ", *person(view), " left. Until you name another, it is you."],
        ),
        *([actions(*buttons)] if buttons else []),
    )


def _new_mentor(view: RampView, number: int, reader: str) -> Message:
    return message(
        "Your mentor has changed.", paragraph(["Your mentor has changed. ", *_mentor_line(view)])
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
        paragraph(["Your onboarding continues. "], _next_line(view)),
    )


def _over(view: RampView, number: int, reader: str) -> Message:
    """To the newcomer."""
    finished = view.ramp.state is RampState.FINISHED
    words = "You have finished your onboarding." if finished else "A lead ended your onboarding."
    ended = [] if finished else ["Access that it gave ends now."]
    more: list[Part] = ["From now on, ask for what you need with ", bold("/access"), "."]
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
    """To the lead at the end of a ramp: what it gave, what of that was needed, what was missing."""
    view, ramp = found.view, found.view.ramp
    what = "has finished" if ramp.state is RampState.FINISHED else "has left"
    beyond: Lines = [[code(each.role), f", {each.state}"] for each in found.beyond]
    denied: Lines = [[code(each.role)] for each in found.denied]
    return message(
        f"{person_text(view)} {what} the onboarding {escape(clean(ramp.title, 75))}.",
        paragraph([*person(view), f" {what} the onboarding ", bold(ramp.title, 75), "."]),
        *_bulleted("Granted:", _given_lines(view)),
        *_bulleted("Asked for beyond the bundle:", beyond[:MOST_LINES]),
        *_bulleted("Denied:", denied[:MOST_LINES]),
        *_suggested(found.suggested),
    )


def _suggested(toml: str) -> list[Block]:
    if not toml:
        return [paragraph(["The bundle fitted: there is nothing to change in roles.toml."])]
    return [
        rich(section("A change of roles.toml for the next newcomer, to copy:"), preformatted(toml))
    ]


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


# --- lists and App Home


def begun(view: RampView) -> str:
    """What a start came to, for the lead."""
    return "is planned" if view.ramp.state is RampState.PLANNED else "has started"


def ramp_list(views: Sequence[RampView], reader: str) -> Message:
    """All open ramps, for a lead."""
    if not views:
        return message(
            "No onboarding is running.",
            paragraph(["No onboarding is running. ", bold("/access onboard"), " plans one."]),
        )
    shown, missing = fit([row(view, True, reader) for view in views], MESSAGE_BLOCKS - 3, 11_000)
    more = [paragraph([f"{missing} more are in your Home of this app."])] if missing else []
    return message(f"Onboardings: {len(views)}.", header("Onboardings"), *shown, *more)


def row(view: RampView, is_lead: bool, reader: str) -> list[Block]:
    """One ramp for a mentor or a lead, with their buttons."""
    ramp = view.ramp
    state: list[Part] = [" is planned, "] if ramp.state is RampState.PLANNED else [", "]
    given = _listed(_given_lines(view))
    is_mentor = reader in view.mentors and ramp.state is RampState.RUNNING
    buttons = _open_first(view) if is_mentor else []
    buttons += lead_buttons(view) if is_lead and reader != ramp.newcomer else []
    words = paragraph(
        [*person(view), *state, bold(ramp.title, 75), ", ", *_until(ramp), "."],
        _mentor_line(view),
        ["Given: ", *given, "."] if given else [],
        _next_line(view),
    )
    return [words, *([actions(*buttons)] if buttons else [])]


def own(view: RampView) -> list[Block]:
    """The ramp of the reader."""
    ramp = view.ramp
    given = _listed(_given_lines(view))
    paused: list[Part] = ["It is paused: nothing opens until a lead resumes it."]
    return [
        paragraph(
            [bold(ramp.title, 75), ", ", *_until(ramp), ". ", *_mentor_line(view)],
            ["You were given: ", *given, "."] if given else [],
            paused if ramp.state is RampState.PAUSED else [],
        ),
        rich(bullets(plan_lines(view))),
    ]


# --- forms


def form(
    bundles: Mapping[str, Bundle],
    values: Mapping[str, str],
    preview: RampView | str | None,
) -> View:
    """The form of a lead. `preview` is the plan that the values would make, or why there is none
    yet."""
    if not bundles:
        words = "roles.toml has no bundles yet: write a [bundles.NAME] table, then plan with it."
        return modal(Modal.NOTICE, "Onboarding", [paragraph(spoken(words))], close="Close")
    blocks = [
        _select(Field.NEWCOMER, "Newcomer", "users_select", values, dispatch=True),
        text_input(
            Field.EMAIL,
            "E-mail, if they have not joined yet",
            optional=True,
            initial=values.get(Field.EMAIL, ""),
            max_length=200,
        ),
        _bundle_select(bundles, values),
        _select(Field.MENTOR, "Mentor", "users_select", values),
        _start_picker(values),
        *_preview(preview),
    ]
    return modal(Modal.ONBOARDING, "Plan an onboarding", blocks, "Start")


def _select(
    name: Field, label: str, kind: str, values: Mapping[str, str], dispatch: bool = False
) -> Block:
    action = Action.ONBOARDING_FORM if dispatch else name
    element: Element = {"type": kind, "action_id": str(action)}
    if is_slack_id(values.get(name, "")):
        element["initial_user"] = values[name]
    hint = {Field.MENTOR: "Opens stages. Without one, you are the mentor."}.get(name, "")
    block = input_block(name, label, element, hint, optional=True)
    return {**block, "dispatch_action": True} if dispatch else block


def _bundle_select(bundles: Mapping[str, Bundle], values: Mapping[str, str]) -> Block:
    options = {name: _option(bundle) for name, bundle in [*bundles.items()][:MOST_BUNDLES]}
    element: Element = {
        "type": "static_select",
        "action_id": str(Action.ONBOARDING_FORM),
        "placeholder": plain("What do they start as?", 150),
        "options": [*options.values()],
    }
    if (chosen := values.get(Field.BUNDLE, "")) in options:
        element["initial_option"] = options[chosen]
    return {**input_block(Field.BUNDLE, "Bundle", element), "dispatch_action": True}


def _option(bundle: Bundle) -> Element:
    return {
        "text": plain(bundle.title, 75),
        "value": bundle.name,
        "description": plain(bundle.name, 75),
    }


def _start_picker(values: Mapping[str, str]) -> Block:
    element: Element = {"type": "datetimepicker", "action_id": str(Action.ONBOARDING_FORM)}
    if values.get(Field.START, "").isdecimal():
        element["initial_date_time"] = int(values[Field.START])
    hint = "Empty means now, or when they join."
    block = input_block(Field.START, "Start", element, hint, optional=True)
    return {**block, "dispatch_action": True}


def _preview(preview: RampView | str | None) -> list[Block]:
    if preview is None:
        return [paragraph(["Choose newcomer and bundle to see the plan here."])]
    if isinstance(preview, str):
        return [paragraph(spoken(preview))]
    return [rich(section("The plan, as things are now:"), bullets(plan_lines(preview)))]


def started(view: RampView) -> View:
    """What the form becomes when the onboarding is stored."""
    return modal(
        Modal.NOTICE,
        "Onboarding",
        [
            paragraph(
                ["The onboarding of ", *person(view), f" {begun(view)}: ", *_bundle_line(view)],
                _mentor_line(view),
            ),
            *_bulleted("The plan:", plan_lines(view)),
        ],
        close="Close",
    )


def opened_text(given: Sequence[Grant], left_out: Mapping[str, str]) -> str:
    """What the press of a mentor came to."""
    roles = ", ".join(f"`{grant.role}`" for grant in given)
    parts = [f"Opened. They get {roles}." if given else "Opened."]
    parts += [f"Left out: `{role}`, {why}." for role, why in left_out.items()]
    return " ".join(parts)


def mentor_form(view: RampView) -> View:
    """Asks a lead for another mentor."""
    element: Element = {"type": "users_select", "action_id": str(Field.MENTOR)}
    if is_slack_id(view.ramp.mentor):
        element["initial_user"] = view.ramp.mentor
    blocks = [
        paragraph(["Who helps ", *person(view), " from now on?"]),
        input_block(Field.MENTOR, "Mentor", element),
    ]
    shown = modal(Modal.MENTOR, "Change mentor", blocks, "Change")
    return {**shown, "private_metadata": view.ramp.id}
