"""Handles everything that people do with onboardings in Slack: the command, the forms, the
buttons."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bot.core.approval import Refused
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import Person
from bot.core.names import slash
from bot.core.onboarding import Ramp
from bot.operations._unit_of_work import Context
from bot.operations.idempotency import Repeated, do_once
from bot.operations.onboarding import change_ramp
from bot.operations.onboarding.describe_ramp import (
    RampView,
    describe_ramp,
    list_ramps,
    preview_ramp,
)
from bot.operations.onboarding.give_stage import Opened
from bot.operations.onboarding.open_stage import open_stage
from bot.operations.onboarding.start_ramp import Start, start_ramp
from bot.operations.people.queue_home import queue_home
from bot.operations.people.record_people import find_person, record_people
from bot.operations.people.require_lead import require_lead
from bot.operations.reply import queue_reply
from bot.slack.audit_query import person_named
from bot.slack.context import TOO_LATE, ListenerContext, needs_lookup, open_view, show_choice
from bot.slack.ids import Field
from bot.slack.payloads import BadPayload, Click, Command, Submission, unescape
from bot.slack.views import (
    answers,
    onboarding_forms,
    onboarding_lists,
    onboarding_notes,
    request_modal,
)
from bot.slack.views._onboarding_parts import begun

Message = dict[str, Any]
Reply = dict[str, Any]

MOST = 200
"""Ramps that a list reads at most."""


def _usage() -> str:
    command = f"{slash()} onboard"
    return f"Write {command} @user BUNDLE [@mentor], or {command} alone for a form."


# --- the command


def onboard(ctx: ListenerContext, command: Command, person: Person) -> Message | None:
    """`[list | @user BUNDLE [@mentor]]`"""
    if (refused := require_lead(ctx.world, person.id, "onboard")) is not None:
        return answers.refused(refused.reason)
    words = command.text.split()
    if not words:
        return _open_form(ctx, command, person)
    if [word.lower() for word in words] == ["list"]:
        found = list_ramps(ctx.world, person.id, MOST)
        if isinstance(found, Refused):
            return answers.refused(found.reason)
        return onboarding_lists.ramp_list(found, person.id)
    start = _start_from(ctx, words)
    if isinstance(start, Refused):
        return answers.refused(start.reason)
    outcome = do_once(ctx.world, command.key, lambda world: start_ramp(world, person.id, start))
    return _started(ctx, outcome)


def _open_form(ctx: ListenerContext, command: Command, person: Person) -> Message | None:
    view = onboarding_forms.form(ctx.world.policy().bundles, {}, None)
    return None if open_view(ctx, command.trigger, view) else answers.refused(TOO_LATE)


def _start_from(ctx: ListenerContext, words: list[str]) -> Start | Refused:
    """The start that the words of the command describe, with everybody in it looked up."""
    if len(words) not in (2, 3):
        return Refused(_usage())
    newcomer, bundle = person_named(ctx.world, words[0]), unescape(words[1])
    email = unescape(words[0]) if newcomer is None else ""
    if newcomer is None and "@" not in email[1:]:
        return Refused(f"Whose onboarding? {_usage()}")
    mentor = person_named(ctx.world, words[2]) if len(words) == 3 else ""
    if mentor is None:
        return Refused(f"Who is the mentor? Choose the person from Slack's list. {_usage()}")
    return look_up(ctx, Start(bundle, newcomer or "", email, mentor))


def look_up(ctx: ListenerContext, start: Start) -> Start | Refused:
    """Looks up the newcomer and the mentor where that is needed, and returns the start."""
    for person in filter(None, (start.newcomer, start.mentor)):
        if (refused := _confirm(ctx, person)) is not None:
            return refused
    return start


def _confirm(ctx: ListenerContext, person: str) -> Refused | None:
    """Looks up a person whom Slack has not described within the last minute."""
    found = find_person(ctx.world, person)
    if found is not None and not needs_lookup(ctx.world, found):
        return None
    try:
        record_people(ctx.world, [ctx.people.look_up(person)])
    except (SystemUnavailable, SystemRefused):
        return Refused("Slack did not say who these people are. Try again in a few seconds.")
    return None


def _started(ctx: ListenerContext, outcome: Ramp | Refused | Repeated) -> Message:
    if isinstance(outcome, Refused):
        return answers.refused(outcome.reason)
    view = describe_ramp(ctx.world, outcome.id) if isinstance(outcome, Ramp) else None
    if view is None:
        return answers.done(f"This was sent before. {slash()} onboard list shows all onboardings.")
    return onboarding_notes.lead_message(view, begun(view))


# --- the form


def plan(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Opens the form for the newcomer and bundle of the button, with a preview of their plan."""
    newcomer, _, bundle = click.value.partition(":")
    values = {str(Field.NEWCOMER): newcomer, str(Field.BUNDLE): bundle}
    view = onboarding_forms.form(
        ctx.world.policy().bundles, values, _preview(ctx, person.id, values)
    )
    if not open_view(ctx, click.trigger, view):
        queue_reply(ctx.world, click.person, click.channel, "text", text=TOO_LATE)


def change_form(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Shows the plan of the chosen bundle; the other inputs keep their text."""
    preview = _preview(ctx, person.id, click.texts)
    view = onboarding_forms.form(ctx.world.policy().bundles, click.texts, preview)
    show_choice(ctx, click, view)


def _preview(ctx: ListenerContext, lead: str, values: Mapping[str, str]) -> RampView | str | None:
    """The plan of these values, why there is none, or None while something is missing."""
    start = _start_of(values)
    if not start.bundle or not (start.newcomer or start.email):
        return None
    looked_up = look_up(ctx, replace(start, mentor=""))
    found = looked_up if isinstance(looked_up, Refused) else preview_ramp(ctx.world, lead, start)
    return found.reason if isinstance(found, Refused) else found


def _start_of(values: Mapping[str, str]) -> Start:
    start = values.get(Field.START, "")
    return Start(
        bundle=values.get(Field.BUNDLE, ""),
        newcomer=values.get(Field.NEWCOMER, ""),
        email=values.get(Field.EMAIL, "").strip(),
        mentor=values.get(Field.MENTOR, ""),
        starts_at=int(start) if start.isdecimal() else None,
    )


def submit_start(ctx: ListenerContext, form: Submission, person: Person) -> Reply:
    """Starts or plans the onboarding of the form."""
    start = look_up(ctx, _start_of(form.texts))
    if isinstance(start, Refused):
        return _error(form, start)
    ask = start
    outcome = do_once(ctx.world, form.key, lambda world: start_ramp(world, person.id, ask))
    if isinstance(outcome, Refused):
        return _error(form, outcome)
    view = describe_ramp(ctx.world, outcome.id) if isinstance(outcome, Ramp) else None
    if view is None:
        return _notice(f"This was sent before. {slash()} onboard list shows all onboardings.")
    return {"response_action": "update", "view": onboarding_forms.started(view)}


def submit_mentor(ctx: ListenerContext, form: Submission, person: Person) -> Reply:
    """Names another mentor."""
    mentor = form.texts.get(Field.MENTOR, "")
    if (refused := _confirm(ctx, mentor)) is not None:
        return _error(form, refused)
    outcome = do_once(
        ctx.world,
        form.key,
        lambda world: change_ramp.change_mentor(world, person.id, form.metadata, mentor),
    )
    return _error(form, outcome) if isinstance(outcome, Refused) else {}


def _error(form: Submission, refused: Refused) -> Reply:
    """Shows the reason at its input, or at the first one."""
    at = refused.field if refused.field in form.fields else next(iter(form.fields), "")
    if not at:
        return _notice(refused.reason)
    return {"response_action": "errors", "errors": {at: refused.reason[:2000]}}


def _notice(text: str) -> Reply:
    return {"response_action": "update", "view": request_modal.notice("Onboarding", text)}


# --- buttons


def press_open(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Opens a stage for its mentor, after Slack has confirmed who pressed."""
    ramp, _, number = click.value.partition(":")
    if not number.isdecimal() or not number.isascii() or len(number) > 3:
        raise BadPayload("This button is broken. Open Home again.")
    refused = _confirm(ctx, person.id)
    outcome: Opened | Refused | Repeated | None = refused or do_once(
        ctx.world, click.key, lambda world: open_stage(world, person.id, ramp, int(number))
    )
    if isinstance(outcome, Refused):
        _reply(ctx.world, click, outcome.reason)
    elif isinstance(outcome, Opened):
        _reply(ctx.world, click, onboarding_notes.opened_text(outcome.given, outcome.left_out))
    elif outcome is None:
        _reply(ctx.world, click, "This stage is open already.")


def press_mentor(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Opens the form for another mentor."""
    refused = require_lead(ctx.world, person.id, "change_mentor")
    view = None if refused else describe_ramp(ctx.world, click.value)
    if view is None:
        why = refused.reason if refused else "There is no such onboarding."
        return _reply(ctx.world, click, why)
    if not open_view(ctx, click.trigger, onboarding_forms.mentor_form(view)):
        _reply(ctx.world, click, TOO_LATE)
    return None


def change(
    act: Callable[[Context, str, str], Ramp | Refused], words: str
) -> Callable[[Context, Click, Person], None]:
    """Changes a ramp for a lead, and confirms the change."""

    def run(world: Context, click: Click, person: Person) -> None:
        outcome = act(world, person.id, click.value)
        _reply(world, click, outcome.reason if isinstance(outcome, Refused) else words)

    return run


pause = change(
    change_ramp.pause, "Paused. Access that was given ends as planned; nothing new opens."
)
resume = change(
    change_ramp.resume, "Resumed. Stages that are not open come later, by the length of the pause."
)
end = change(change_ramp.end, "Ended. Access that the onboarding gave ends now.")


def _reply(world: Context, click: Click, text: str) -> None:
    queue_reply(world, click.person, click.channel, "text", text=text)
    if click.view_type == "home":
        queue_home(world, click.person)
