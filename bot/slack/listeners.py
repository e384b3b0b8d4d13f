"""Handles every payload of Slack: parses it, admits or refuses its sender, calls one operation, and
turns failures into an answer. The tables at the end list the routes.
"""

import logging
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slack_bolt import Ack, App, BoltContext, BoltResponse

from bot.core.approval import Refused
from bot.core.correlation import current
from bot.core.errors import StorageUnavailable
from bot.core.names import slash
from bot.core.role_search import search_roles
from bot.core.roles import Role
from bot.operations._unit_of_work import Context
from bot.operations.idempotency import do_once
from bot.operations.onboarding.suggest import note_joined
from bot.operations.people.describe_person import emergency_roles, roles_open_to
from bot.operations.people.queue_home import queue_home
from bot.operations.people.queue_lookup import queue_lookup
from bot.operations.people.record_people import save_refresh
from bot.operations.reply import queue_reply
from bot.operations.requests.record_refusal import refuse_action
from bot.slack.actions import on_press
from bot.slack.blocks import Element
from bot.slack.commands import run_command
from bot.slack.context import (
    TOO_LATE,
    ListenerContext,
    admit,
    find_or_look_up,
    learn_leads,
    open_view,
    refuse_other_workspace,
)
from bot.slack.ids import Action, Shortcut
from bot.slack.payloads import (
    BadPayload,
    NotUnderstood,
    SlackEvent,
    Suggestion,
    click_from,
    command_from,
    event_from,
    input_in,
    sender_in,
    shortcut_from,
    submission_from,
    suggestion_from,
    trigger_in,
)
from bot.slack.submissions import Reply, field_error, open_shortcut, replace_with_notice, run_form
from bot.slack.views import answers, request_modal
from bot.slack.views._fit import within_reply

log = logging.getLogger(__name__)

Body = dict[str, Any]
Handler = Callable[[ListenerContext, Body], Reply]
Teller = Callable[[ListenerContext, Body, Reply], Reply]
"""Makes the reply to a payload from a message that explains the failure."""

TROUBLE = "access_trouble"
"""The key under which Bolt's context carries a listener's exception, so that `Receiver` can count
it."""

__all__ = ["EVENTS", "SHORTCUTS", "ListenerContext", "register"]


def register(app: App, ctx: ListenerContext) -> None:
    """Gives the app one listener for each kind of payload. Our own tables choose the route, because
    Bolt tries its listeners one after the other.
    """
    everything = re.compile("")
    app.command(everything)(_listener(ctx, on_command, _by_message))
    app.block_action({"action_id": everything})(_listener(ctx, on_click, _by_modal))
    app.view_submission(everything)(_listener(ctx, on_form, _in_form))
    app.options({"action_id": everything})(_suggestion_listener(ctx))
    app.shortcut(everything)(_listener(ctx, on_shortcut, _by_modal))
    app.event(re.compile(f"^(?:{'|'.join(EVENTS)})$"))(_event_listener(ctx))
    app.error(_outside)


def _listener(ctx: ListenerContext, handle: Handler, tell_them: Teller) -> Callable[..., None]:
    """Acknowledges exactly once, also when `handle` raises: otherwise the person would get no
    answer."""

    def listen(ack: Ack, body: Body, context: BoltContext) -> None:
        try:
            reply = handle(ctx, body)
        except Exception as error:
            context[TROUBLE] = error
            reply = _apology(ctx, body, error, tell_them)
        ack(reply) if reply else ack()

    return listen


def _suggestion_listener(ctx: ListenerContext) -> Callable[..., None]:
    """Acknowledges with the matching options, or with none when anything fails: Slack shows no text
    in a menu."""

    def listen(ack: Ack, body: Body, context: BoltContext) -> None:
        try:
            options = on_suggestion(ctx, body)
        except (BadPayload, StorageUnavailable) as error:
            context[TROUBLE] = error
            log.warning("a menu stayed empty: %s", error)
            options = []
        except Exception as error:
            context[TROUBLE] = error
            log.exception("a menu stayed empty")
            options = []
        ack(options=options)

    return listen


def _event_listener(ctx: ListenerContext) -> Callable[..., BoltResponse]:
    """Answers 503 only when the database could not store the event, so that Slack sends it again.
    An event that can't be parsed would fail the next time, too."""

    def listen(body: Body, context: BoltContext) -> BoltResponse:
        try:
            on_event(ctx, body)
        except StorageUnavailable as error:
            context[TROUBLE] = error
            return BoltResponse(status=503, body="")
        except Exception as error:
            context[TROUBLE] = error
            if not isinstance(error, BadPayload):
                log.exception("an event could not be handled")
        return BoltResponse(status=200, body="")

    return listen


def _outside(error: Exception, context: BoltContext) -> BoltResponse:
    """Answers a payload on which Bolt itself failed."""
    context[TROUBLE] = NotUnderstood(error)
    log.debug("Bolt failed on a payload", exc_info=error)
    return BoltResponse(status=200, body="")


# --- one for each kind of payload


def on_command(ctx: ListenerContext, body: Body) -> Reply:
    command = command_from(body)
    if command.name not in ("", slash()):
        return answers.refused(
            f"This bot answers to {slash()}, and its app in Slack has another command. Ask a lead"
            " to update the app from `access-bot manifest`."
        )
    person = admit(ctx, command, f"{slash()} {command.text.split(' ')[0][:20]}".strip())
    if isinstance(person, Refused):
        return answers.refused(person.reason)
    return run_command(ctx, command, person) or {}


def on_click(ctx: ListenerContext, body: Body) -> Reply:
    on_press(ctx, click_from(body))
    return {}


def on_form(ctx: ListenerContext, body: Body) -> Reply:
    form = submission_from(body)
    person = admit(ctx, form, form.modal)
    if isinstance(person, Refused):
        return field_error(form, "", person.reason)
    return run_form(ctx, form, person)


def on_shortcut(ctx: ListenerContext, body: Body) -> Reply:
    shortcut = shortcut_from(body)
    person = admit(ctx, shortcut, shortcut.shortcut)
    if isinstance(person, Refused):
        open_view(ctx, shortcut.trigger, request_modal.notice("Not possible", person.reason))
        return {}
    if not open_shortcut(ctx, shortcut, person):
        queue_reply(ctx.world, shortcut.person, "", "text", text=TOO_LATE)
    return {}


def on_suggestion(ctx: ListenerContext, body: Body) -> list[Element]:
    """The options for the typed text. It looks nobody up and records nothing, because Slack asks at
    every letter."""
    suggestion = suggestion_from(body)
    search = SEARCHES.get(suggestion.action)
    return (
        []
        if search is None or refuse_other_workspace(ctx, suggestion)
        else search(ctx.world, suggestion)
    )


def _search_roles(world: Context, suggestion: Suggestion) -> list[Element]:
    return _matching(roles_open_to(world, suggestion.person), suggestion)


def _search_emergency_roles(world: Context, suggestion: Suggestion) -> list[Element]:
    return _matching(emergency_roles(world, suggestion.person), suggestion)


def _matching(roles: Sequence[Role], suggestion: Suggestion) -> list[Element]:
    found = search_roles(roles, suggestion.typed)
    options = [request_modal.option(role) for role in found]
    return options[: within_reply(options)]


def on_event(ctx: ListenerContext, body: Body) -> None:
    event = event_from(body)
    if ctx.team() and refuse_other_workspace(ctx, event):
        return log.info("%s from another workspace was ignored", event.event)
    subscription = EVENTS[event.event]
    if subscription.known:
        find_or_look_up(ctx, event.person)
        learn_leads(ctx)
    do_once(ctx.world, event.key, lambda w: subscription.run(w, event))
    return None


def _home_opened(world: Context, event: SlackEvent) -> None:
    if event.tab == "home":
        queue_home(world, event.person)


def _joined(world: Context, event: SlackEvent) -> None:
    queue_lookup(world, event.person)
    note_joined(world, event.person)


def _groups_changed(world: Context, event: SlackEvent) -> None:
    save_refresh(world, ["groups"])


# --- errors


def _apology(ctx: ListenerContext, body: Body, error: Exception, tell_them: Teller) -> Reply:
    """Never raises, so that the payload is acknowledged in any case."""
    try:
        return tell_them(ctx, body, _explained(ctx, body, error))
    except StorageUnavailable as down:
        return {} if isinstance(error, StorageUnavailable) else _apology(ctx, body, down, tell_them)
    except Exception:
        log.exception("the person could not be notified")
        return {}


def _explained(ctx: ListenerContext, body: Body, error: Exception) -> Reply:
    """The message for a person about an exception. An unexpected one gets a reference, which is in
    the log, too."""
    if isinstance(error, BadPayload):
        refuse_action(ctx.world, sender_in(body), "send", Refused(str(error)))
        return answers.refused(str(error))
    if isinstance(error, StorageUnavailable):
        log.error("nothing was changed: %s", error)
        return answers.storage_down()
    reference = current() or secrets.token_hex(4)
    log.error("a listener failed, reference %s", reference, exc_info=error)
    return answers.broken(reference)


def _by_message(ctx: ListenerContext, body: Body, answer: Reply) -> Reply:
    return answer


def _in_form(ctx: ListenerContext, body: Body, answer: Reply) -> Reply:
    return in_form(body, answer)


def in_form(body: Body, answer: Reply) -> Reply:
    """Shows the message at the first input of the modal, so that the typed text stays."""
    if first := input_in(body):
        return {"response_action": "errors", "errors": {first: answer["text"]}}
    return replace_with_notice("Not possible", answer["text"])


def _by_modal(ctx: ListenerContext, body: Body, answer: Reply) -> Reply:
    """Opens a modal with the message, because the reply to a press can't carry text. If the trigger
    was used already, queues a private reply."""
    try:
        is_shown = open_view(
            ctx, trigger_in(body), request_modal.notice("Not possible", answer["text"])
        )
    except Exception:
        log.exception("no window could be opened")
        is_shown = False
    if not is_shown:
        queue_reply(ctx.world, sender_in(body), "", "text", text=answer["text"])
    return {}


# --- the routes


@dataclass(frozen=True, slots=True)
class Subscription:
    """An event that we subscribe to; with `known` its person is looked up before `run`."""

    run: Callable[[Context, SlackEvent], None]
    known: bool = False


@dataclass(frozen=True, slots=True)
class ShortcutDef:
    """A shortcut as the manifest declares it; `kind` is Slack's word: global or message."""

    id: Shortcut
    kind: str
    name: str
    description: str


SEARCHES: Mapping[str, Callable[[Context, Suggestion], list[Element]]] = {
    Action.CHOOSE_ROLE: _search_roles,
    Action.CHOOSE_EMERGENCY_ROLE: _search_emergency_roles,
}
"""Menus with options that depend on the typed text, by `action_id`."""

SHORTCUTS = (
    ShortcutDef(
        Shortcut.REQUEST, "global", "Request access", "Ask for temporary production access"
    ),
    ShortcutDef(
        Shortcut.REQUEST_FOR_MESSAGE,
        "message",
        "Request access for this",
        "Ask for access and quote this message as the reason",
    ),
)

EVENTS: Mapping[str, Subscription] = {
    "app_home_opened": Subscription(_home_opened, known=True),
    "team_join": Subscription(_joined),
    "subteam_created": Subscription(_groups_changed),
    "subteam_updated": Subscription(_groups_changed),
    "subteam_members_changed": Subscription(_groups_changed),
}
