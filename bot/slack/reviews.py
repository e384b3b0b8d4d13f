"""Handles everything that people do with reviews in Slack: the command, the modal, the buttons."""

from typing import Any

from bot.core.approval import Refused
from bot.core.model import Person
from bot.core.names import slash
from bot.core.review import DUE, KEEP, STANDING, Decision, Scope, read_due
from bot.operations.idempotency import Repeated, do_once
from bot.operations.people.require_lead import require_lead
from bot.operations.reply import queue_reply
from bot.operations.reviews.decide_items import Decided, decide_items
from bot.operations.reviews.describe_campaign import list_campaigns
from bot.operations.reviews.start_campaign import Started, start_campaign
from bot.operations.reviews.waiting import waiting_page
from bot.slack.context import TOO_LATE, ListenerContext, confirmed, open_view, show_choice
from bot.slack.ids import Field
from bot.slack.payloads import Click, Command, Submission, unescape
from bot.slack.views import answers, request_modal, review_modal, review_notes

Message = dict[str, Any]
Reply = dict[str, Any]

MOST = 100
"""Campaigns that a list reads at most."""


def _usage() -> str:
    command = f"{slash()} review"
    return f"Write {command} start [due 7d] [role:R] [system:S], or {command} list."


# --- the command


def review(ctx: ListenerContext, command: Command, person: Person) -> Message | None:
    """`[start [due 7d] [role:R] [system:S] | list]`"""
    words = unescape(command.text).split()
    if not words:
        return _open(ctx, command.trigger, person)
    if words[0].lower() not in ("start", "list"):
        return answers.refused(_usage())
    if (refused := require_lead(ctx.world, person.id, "review")) is not None:
        return answers.refused(refused.reason)
    if words[0].lower() == "start":
        return _start(ctx, command, person, words[1:])
    found = list_campaigns(ctx.world, person.id, MOST)
    if isinstance(found, Refused):
        return answers.refused(found.reason)
    return review_notes.listed(found)


def _open(ctx: ListenerContext, trigger: str, person: Person) -> Message | None:
    page = waiting_page(ctx.world, person.id)
    if page is None:
        return answers.done(review_notes.NOTHING)
    shown = open_view(ctx, trigger, review_modal.render(page, ctx.now))
    return None if shown else answers.refused(TOO_LATE)


def _start(ctx: ListenerContext, command: Command, person: Person, words: list[str]) -> Message:
    asked = read_start(words)
    if isinstance(asked, Refused):
        return answers.refused(asked.reason)
    scope, due = asked
    outcome = do_once(ctx.world, command.key, lambda w: start_campaign(w, person.id, scope, due))
    if isinstance(outcome, Refused):
        return answers.refused(outcome.reason)
    if isinstance(outcome, Started):
        return review_notes.started(outcome)
    return answers.done(f"This was sent before. {slash()} review list shows open reviews.")


def read_start(words: list[str]) -> tuple[Scope, int] | Refused:
    """The scope, and the seconds until the due date, of `[due 7d] [role:R] [system:S]`."""
    scope, due = {"role": "", "system": ""}, DUE
    rest = iter(words)
    for word in rest:
        name, colon, value = word.partition(":")
        if name.lower() == "due":
            seconds = read_due(value if colon else next(rest, ""))
            if isinstance(seconds, Refused):
                return seconds
            due = seconds
        elif name.lower() in scope and value:
            scope[name.lower()] = value
        else:
            return Refused(f"Unknown word “{word[:60]}”. {_usage()}")
    return Scope(scope["role"], scope["system"]), due


# --- the modal


def press_review(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Opens the items that wait for the reader in the campaign of the button."""
    campaign, _ = review_modal.from_button(click.value)
    page = waiting_page(ctx.world, person.id, campaign)
    if page is None:
        text = review_notes.NOTHING
    elif open_view(ctx, click.trigger, review_modal.render(page, ctx.now)):
        return
    else:
        text = TOO_LATE
    queue_reply(ctx.world, click.person, click.channel, "text", text=text)


def turn_page(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Shows another page in the open modal; the reason that was typed stays."""
    campaign, after = review_modal.from_button(click.value)
    page = waiting_page(ctx.world, person.id, campaign, after)
    show_choice(ctx, click, review_modal.render(page, ctx.now) if page else _over())


def submit_review(ctx: ListenerContext, form: Submission, person: Person) -> Reply:
    """Decides on the chosen items, and shows the others."""
    campaign, shown = review_modal.from_metadata(form.metadata)
    numbers = review_modal.chosen(form.choices, shown)
    if not numbers:
        return _error(form, Refused("Choose at least one item.", Field.EVERY))
    decision = Decision(form.texts.get(Field.DECISION) == KEEP, form.texts.get(Field.REASON, ""))
    by = confirmed(ctx, person).id
    outcome = do_once(
        ctx.world, form.key, lambda world: decide_items(world, by, campaign, numbers, decision)
    )
    if isinstance(outcome, Refused):
        return _error(form, outcome)
    page = waiting_page(ctx.world, by, campaign, shown[0] - 1)
    text = _outcome(outcome, decision)
    view = review_modal.render(page, ctx.now, text) if page else _over(text)
    return {"response_action": "update", "view": view}


def _outcome(outcome: Decided | Repeated, decision: Decision) -> str:
    if isinstance(outcome, Repeated):
        return "This was sent before."
    count = len(outcome.items)
    words = "kept" if decision.keep else "to end"
    parts = [f"{'1 item' if count == 1 else f'{count} items'} {words}."]
    if not decision.keep and any(item.kind in STANDING for item in outcome.items):
        parts.append("An entry of roles.toml stays until a lead changes the file.")
    return " ".join([*parts, *dict.fromkeys(outcome.skipped.values())])


def _over(text: str = "") -> dict[str, Any]:
    return request_modal.notice(review_modal.TITLE, f"{text} {review_notes.NOTHING}".strip())


def _error(form: Submission, refused: Refused) -> Reply:
    """Shows the reason at its input, or at the first one."""
    at = refused.field if refused.field in form.fields else next(iter(form.fields), "")
    if not at:
        notice = request_modal.notice(review_modal.TITLE, refused.reason)
        return {"response_action": "update", "view": notice}
    return {"response_action": "errors", "errors": {at: refused.reason[:2000]}}
