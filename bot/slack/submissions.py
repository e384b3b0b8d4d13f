"""Handles submitted modals: runs one operation, and answers with errors at the inputs or with the
next view. Shortcuts are here, too, because they only open a form.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bot.core.approval import Refused
from bot.core.durations import BadDuration
from bot.core.eligibility import Ask
from bot.core.model import Person
from bot.core.names import slash
from bot.core.parameters import FIELD, is_parameter
from bot.core.spans import parse_span
from bot.operations._unit_of_work import Context
from bot.operations.emergencies.sign_review import sign_review as sign
from bot.operations.emergencies.start_emergency import Call, NeedsPress, Started, start_emergency
from bot.operations.emergencies.start_emergency import Outcome as Called
from bot.operations.flags.answer_flag import expect_flag
from bot.operations.grants.revoke_given import revoke_given
from bot.operations.idempotency import Repeated, do_once
from bot.operations.people.describe_person import describe_person
from bot.operations.requests.accept_vote import AlreadyDecided, Press, submit_vote
from bot.operations.requests.check_decision import check_narrowing
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.record_refusal import refuse_action
from bot.operations.requests.request_access import (
    AlreadyHeld,
    AlreadyPending,
    GrantedAtOnce,
    Outcome,
    Submitted,
    Waiting,
    request_access,
)
from bot.slack.context import ListenerContext, confirmed, needs_lookup, open_view, refresh_person
from bot.slack.credentials_window import answer_window
from bot.slack.ids import Field, Modal
from bot.slack.onboarding import submit_mentor, submit_start
from bot.slack.payloads import Shortcut, Submission
from bot.slack.reviews import submit_review
from bot.slack.views import answers, edit_modal, emergency_modal, request_modal, understood

Reply = dict[str, Any]
"""The body of an answer to Slack; an empty one closes the modal."""

CLOSE: Reply = {}


def run_form(ctx: ListenerContext, form: Submission, person: Person) -> Reply:
    """Runs the handler of a submitted modal. Raises StorageUnavailable."""
    return FORMS[form.modal](ctx, form, person) if form.modal in FORMS else CLOSE


def field_error(form: Submission, field: str, why: str) -> Reply:
    """Shows `why` at that input, or at the first input of the modal if there is no such one. The
    typed text stays."""
    at = field if field in form.fields else next(iter(form.fields), "")
    return (
        {"response_action": "errors", "errors": {at: why[:2000]}}
        if at
        else replace_with_notice("Not possible", why)
    )


def replace_with_notice(title: str, text: str) -> Reply:
    """Replaces the modal with a notice."""
    return {"response_action": "update", "view": request_modal.notice(title, text)}


def request(ctx: ListenerContext, form: Submission, person: Person) -> Reply:
    """Asks for a role. A duration like `until 18:00` counts from the chosen start."""
    start = form.texts.get(Field.START, "")
    start_at = int(start) if start.isdecimal() else None
    reason = form.texts.get(Field.REASON, "")
    role = form.texts.get(Field.ROLE, "")
    try:
        length = form.texts.get(Field.DURATION, "").strip()
        duration = parse_span(length, max(ctx.now, start_at or 0), person.tz) if length else None
    except BadDuration as bad:
        refused = Refused(str(bad), Field.DURATION)
        return _refused(
            form, refuse_action(ctx.world, person.id, "request", refused, role=role, reason=reason)
        )
    ticket = form.texts.get(Field.TICKET, "").strip()
    ask = Ask(person.id, role, reason, duration, ticket, start_at, parameters=_parameters(form))
    note = understood.default_note(reason) if duration is None else ""
    first = needs_lookup(ctx.world, person)
    outcome = do_once(ctx.world, form.key, lambda world: request_access(world, ask, first))
    return _asked(ctx, form, outcome, note)


def _parameters(form: Submission) -> dict[str, str]:
    """The values of the inputs for parameters."""
    return {
        name.removeprefix(FIELD): value.strip()
        for name, value in form.texts.items()
        if is_parameter(name)
    }


def _asked(ctx: ListenerContext, form: Submission, outcome: Outcome | Repeated, note: str) -> Reply:
    if isinstance(outcome, Refused):
        return _refused(form, outcome)
    if isinstance(outcome, AlreadyHeld):
        why = (
            f"You have {outcome.grant.role} already. {slash()} list shows it, with a button to"
            " renew it."
        )
        return field_error(form, Field.ROLE, why)
    if isinstance(outcome, Waiting):
        return replace_with_notice("Request access", answers.waits_for_slack(outcome))
    if isinstance(outcome, AlreadyPending):
        return replace_with_notice(
            "Waiting already", answers.already_pending(outcome.request, ctx.now)["text"]
        )
    if isinstance(outcome, GrantedAtOnce):
        return {"response_action": "update", "view": request_modal.granted(outcome, note)}
    sent = outcome if isinstance(outcome, Submitted) else _sent_before(form, ctx.world)
    if sent is None:
        return replace_with_notice(
            "Request access",
            f"This was sent before and has been decided. {slash()} list shows more.",
        )
    return {"response_action": "update", "view": request_modal.sent(sent, note)}


def _sent_before(form: Submission, world: Context) -> Submitted | None:
    """The pending request that an earlier delivery of this form made."""
    pending = describe_person(world, form.person).pending
    asked = next(
        (request for request in pending if request.role == form.texts.get(Field.ROLE)), None
    )
    card = describe_request(world, asked.id) if asked else None
    return Submitted(card.request, card.role, len(card.deciders)) if card else None


def emergency(ctx: ListenerContext, form: Submission, person: Person) -> Reply:
    """Starts access in an emergency, or a drill of it."""
    role, reason = form.texts.get(Field.ROLE, ""), form.texts.get(Field.REASON, "")
    length = form.texts.get(Field.DURATION, "").strip()
    try:
        duration = parse_span(length, ctx.now, person.tz) if length else None
    except BadDuration as bad:
        refused = Refused(str(bad), Field.DURATION)
        return _refused(
            form,
            refuse_action(ctx.world, person.id, "emergency", refused, role=role, reason=reason),
        )
    is_drill = emergency_modal.IS_DRILL in form.choices.get(Field.DRILL, ())
    call = Call(person.id, role, reason, duration, is_drill, parameters=_parameters(form))
    first = needs_lookup(ctx.world, person)
    outcome = do_once(ctx.world, form.key, lambda world: start_emergency(world, call, first))
    return _called(ctx, form, outcome)


def _called(ctx: ListenerContext, form: Submission, outcome: Called | Repeated) -> Reply:
    match outcome:
        case Refused():
            return _refused(form, outcome)
        case AlreadyHeld():
            why = f"You have {outcome.grant.role} already, for at least as long."
            return field_error(form, Field.ROLE, why)
        case AlreadyPending():
            why = (
                f"You asked for this already, and it waits for one press. {slash()} list shows it."
            )
            return field_error(form, Field.ROLE, why)
        case Waiting():
            return replace_with_notice(emergency_modal.TITLE, answers.waits_for_slack(outcome))
        case Started() | NeedsPress():
            card = describe_request(ctx.world, outcome.request.id)
            if card is not None:
                return {"response_action": "update", "view": emergency_modal.called(card)}
    return replace_with_notice(emergency_modal.TITLE, f"This was sent before: see {slash()} list.")


def sign_review(ctx: ListenerContext, form: Submission, person: Person) -> Reply:
    """Closes the review of an emergency with a lead's conclusion."""
    words = form.texts.get(Field.CONCLUSION, "")
    outcome = do_once(
        ctx.world, form.key, lambda world: sign(world, person.id, form.metadata, words)
    )
    return _refused(form, outcome) if isinstance(outcome, Refused) else CLOSE


def flag_expected(ctx: ListenerContext, form: Submission, person: Person) -> Reply:
    """Answers a flag with the reason why its pattern was expected."""
    words = form.texts.get(Field.REASON, "")
    outcome = do_once(
        ctx.world, form.key, lambda world: expect_flag(world, person.id, form.metadata, words)
    )
    return _refused(form, outcome) if isinstance(outcome, Refused) else CLOSE


def deny(ctx: ListenerContext, form: Submission, person: Person) -> Reply:
    return _pressed(
        ctx, form, Press(form.metadata, person, False, form.texts.get(Field.REASON, ""))
    )


def edit(ctx: ListenerContext, form: Submission, person: Person) -> Reply:
    """Approves a shorter duration, fewer systems or actions, or a later start than requested. A
    duration like `until 18:00` counts from the start."""
    card = describe_request(ctx.world, form.metadata)
    start = form.texts.get(Field.START, "")
    start_at = int(start) if start.isdecimal() else None
    begins = start_at or (card.request.start_at if card else None) or 0
    try:
        length = form.texts.get(Field.DURATION, "")
        duration = parse_span(length, max(ctx.now, begins), person.tz)
    except BadDuration as bad:
        return _refused(
            form, refuse_action(ctx.world, person.id, "approve", Refused(str(bad), Field.DURATION))
        )
    asked = card.request if card else None
    press = Press(
        form.metadata,
        person,
        True,
        duration=duration,
        actions=edit_modal.ticked(asked.actions if asked else (), form.choices),
        systems=edit_modal.ticked(asked.systems if asked else (), form.choices, Field.SYSTEMS),
        start_at=start_at,
    )
    if (refused := check_narrowing(ctx.world, press)) is not None:
        return _refused(form, refused)
    return _pressed(ctx, form, press)


def _pressed(ctx: ListenerContext, form: Submission, press: Press) -> Reply:
    outcome = do_once(ctx.world, form.key, lambda world: submit_vote(world, press))
    if isinstance(outcome, Refused):
        return _refused(form, outcome)
    if isinstance(outcome, AlreadyDecided):
        how = outcome.request.state
        return field_error(
            form,
            "",
            f"This request is already {how}, so nothing was changed. Your text is still here.",
        )
    return CLOSE


def revoke(ctx: ListenerContext, form: Submission, person: Person) -> Reply:
    """Ends access that a rule gave; the approval message says so."""
    sure, reason = confirmed(ctx, person), form.texts.get(Field.REASON, "")
    outcome = do_once(ctx.world, form.key, lambda w: revoke_given(w, form.metadata, sure, reason))
    return _refused(form, outcome) if isinstance(outcome, Refused) else CLOSE


def credentials(ctx: ListenerContext, form: Submission, person: Person) -> Reply:
    """Answers a system's question to the holder."""
    return answer_window(ctx, form)


def _refused(form: Submission, refused: Refused) -> Reply:
    return field_error(form, refused.field, refused.reason)


def open_shortcut(ctx: ListenerContext, shortcut: Shortcut, person: Person) -> bool:
    """Opens the request form. The message that the shortcut was called on begins the reason."""
    roles = describe_person(ctx.world, person.id).roles
    values = {str(Field.REASON): shortcut.quote}
    shown = open_view(ctx, shortcut.trigger, request_modal.render(roles, None, values))
    refresh_person(ctx, person)
    return shown


FORMS: Mapping[str, Callable[[ListenerContext, Submission, Person], Reply]] = {
    Modal.REQUEST: request,
    Modal.DENY: deny,
    Modal.EDIT: edit,
    Modal.REVOKE: revoke,
    Modal.CREDENTIALS: credentials,
    Modal.EMERGENCY: emergency,
    Modal.SIGN_REVIEW: sign_review,
    Modal.ONBOARDING: submit_start,
    Modal.MENTOR: submit_mentor,
    Modal.REVIEW: submit_review,
    Modal.FLAG_EXPECTED: flag_expected,
}
"""The handler of each modal with inputs; the other modals only inform."""
