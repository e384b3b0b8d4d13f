"""Runs the operation of a pressed button or a chosen option, by the table at the end."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from bot.core.approval import Refused
from bot.core.durations import format_duration
from bot.core.feedback import Feedback
from bot.core.model import Person
from bot.core.names import slash
from bot.core.parameters import FIELD
from bot.operations._unit_of_work import Context
from bot.operations.absence.come_back import come_back
from bot.operations.emergencies.sign_review import check_signer, end_emergency
from bot.operations.flags.answer_flag import check_answer, investigate_flag, revoke_flagged
from bot.operations.grants.give_feedback import FeedbackKept, give_feedback
from bot.operations.grants.release_grant import release_grant
from bot.operations.grants.renew_grant import renew_grant
from bot.operations.grants.revoke_given import check_revoke
from bot.operations.grants.revoke_grant import revoke_grant
from bot.operations.grants.show_credentials import Credentials, show_credentials
from bot.operations.idempotency import do_once
from bot.operations.messages.direct_notes import adopt_message
from bot.operations.messages.private_answers import LIST, update_old_answer
from bot.operations.people.describe_person import describe_person, emergency_roles
from bot.operations.people.queue_home import queue_home
from bot.operations.preapprovals.take_preapprovals import take_preapproval
from bot.operations.reply import queue_reply
from bot.operations.requests.accept_vote import AlreadyDecided, Press, Taken, submit_vote
from bot.operations.requests.check_decision import check_decision
from bot.operations.requests.describe_request import RequestCard, describe_request
from bot.operations.requests.past_request import past_request
from bot.operations.requests.request_access import AlreadyPending, Submitted, Waiting
from bot.operations.requests.withdraw_request import Withdrawn, withdraw_request
from bot.operations.systems.acknowledge_alert import MOST as AT_ONE_PRESS
from bot.operations.systems.acknowledge_alert import acknowledge_all as acknowledge_all_ends
from bot.operations.systems.acknowledge_alert import acknowledge_end
from bot.operations.systems.remove_orphan import ask_removal
from bot.slack import onboarding, reviews
from bot.slack.audit_query import from_older
from bot.slack.blocks import View
from bot.slack.context import (
    TOO_LATE,
    ListenerContext,
    admit,
    admit_unconfirmed,
    confirmed,
    needs_lookup,
    open_view,
    refresh_person,
    show_choice,
)
from bot.slack.credentials_window import show_window
from bot.slack.ids import Action, Field
from bot.slack.pages import from_more
from bot.slack.payloads import Click
from bot.slack.response_urls import is_slacks
from bot.slack.views import (
    answers,
    deny_modal,
    edit_modal,
    emergency_modal,
    flag_message,
    home,
    request_details,
    request_modal,
    revoke_modal,
)
from bot.slack.views.feedback import feedback_text

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Route:
    """`run` is the button's operation, for a person whom `admit` has admitted."""

    run: Callable[[ListenerContext, Click, Person], None]
    admit: Callable[[ListenerContext, Click, str], Person | Refused] = admit


def on_press(ctx: ListenerContext, click: Click) -> None:
    """Runs the operation of a button, or refuses the person who pressed it. Raises
    StorageUnavailable, and BadPayload for a forged value."""
    route = ACTIONS.get(click.action, UNKNOWN)
    person = route.admit(ctx, click, click.action)
    if isinstance(person, Refused):
        return reply_outcome(ctx.world, click, person)
    route.run(ctx, click, person)
    if (
        click.action in OF_GRANT
        and click.ts
        and click.channel.startswith("D")
        and not click.ephemeral
    ):
        adopt_message(ctx.world, click.value, click.person, click.channel, click.ts)
    if (
        click.action in OF_LIST
        and click.ephemeral
        and is_slacks(click.response_url, ctx.client.base_url)
    ):
        update_old_answer(ctx.world, click.person, click.response_url, LIST, click.person)
    return None


def once(
    act: Callable[[Context, Click, Person], object],
) -> Callable[[ListenerContext, Click, Person], None]:
    """Runs `act` in one transaction, and only once even if Slack delivers the press again."""

    def run(ctx: ListenerContext, click: Click, person: Person) -> None:
        do_once(ctx.world, click.key, lambda world: act(world, click, person))

    return run


def reply_outcome(world: Context, click: Click, outcome: object) -> None:
    """Queues a private reply about an outcome that is not in any message."""
    if isinstance(outcome, Refused):
        queue_reply(world, click.person, click.channel, "refused", why=outcome.reason)
    elif isinstance(outcome, AlreadyDecided):
        queue_reply(
            world, click.person, click.channel, "already_decided", request=outcome.request.id
        )


def reply_text(world: Context, click: Click, text: str) -> None:
    """Queues a private reply with a sentence of ours."""
    queue_reply(world, click.person, click.channel, "text", text=text)


def _redraw_home(world: Context, click: Click) -> None:
    """Updates App Home after a press in it."""
    if click.view_type == "home":
        queue_home(world, click.person)


# --- deciding


def approve(world: Context, click: Click, person: Person) -> None:
    outcome = submit_vote(
        world, Press(click.value, person, True, channel=click.channel, ts=click.ts)
    )
    reply_outcome(world, click, outcome)
    if not isinstance(outcome, Taken):
        _redraw_home(world, click)


def _decision_form(
    action: str, form: Callable[[RequestCard], View]
) -> Callable[[ListenerContext, Click, Person], None]:
    """Opens a form about a request, if the person may decide on it."""

    def run(ctx: ListenerContext, click: Click, person: Person) -> None:
        stopped = check_decision(ctx.world, click.value, person.id, action)
        card = None if stopped else describe_request(ctx.world, click.value)
        if card is None:
            reply_outcome(ctx.world, click, stopped)
            _redraw_home(ctx.world, click)
        else:
            _open(ctx, click, form(card))

    return run


def show_details(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Opens everything that is known about a request."""
    card = describe_request(ctx.world, click.value)
    if card is None:
        return reply_outcome(ctx.world, click, Refused("This request does not exist."))
    return _open(ctx, click, request_details.render(card, person.id))


def revoke_form(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Opens the form that revokes access given by a rule or a pre-approval, if the person may."""
    refused = check_revoke(ctx.world, click.value, confirmed(ctx, person))
    card = None if refused else describe_request(ctx.world, click.value)
    if card is None:
        return reply_outcome(ctx.world, click, refused)
    return _open(ctx, click, revoke_modal.render(card))


# --- holding


def credentials(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Shows the credentials to the holder. A token that could not be shown never works, and the
    earlier one stays."""
    shown = do_once(ctx.world, click.key, lambda w: show_credentials(w, click.value, person.id))
    if not isinstance(shown, Credentials):
        return reply_outcome(ctx.world, click, shown)
    if not show_window(ctx, click.trigger, shown):
        reply_text(ctx.world, click, TOO_LATE)
    return None


def opened_in_browser(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Does nothing, because Slack itself opened the link, and `/_access/` records who got in."""


def renew(world: Context, click: Click, person: Person) -> None:
    first = needs_lookup(world, person)
    outcome = renew_grant(world, click.value, person.id, channel=click.channel, look_up_first=first)
    reply_outcome(world, click, outcome)
    if isinstance(outcome, Submitted):
        reply_text(world, click, f"Sent to the approvers. {outcome.why}")
    if isinstance(outcome, Waiting):
        reply_text(world, click, answers.waits_for_slack(outcome))
    if isinstance(outcome, AlreadyPending):
        why = (
            "You have already requested more time, so nothing new was sent."
            f" {slash()} list shows it."
        )
        reply_text(world, click, why)
    _redraw_home(world, click)


def done(world: Context, click: Click, person: Person) -> None:
    reply_outcome(world, click, release_grant(world, click.value, person.id))
    _redraw_home(world, click)


def feedback(answer: Feedback) -> Callable[[Context, Click, Person], None]:
    """Keeps one answer of a holder after the end; the message about it shows the answer."""

    def run(world: Context, click: Click, person: Person) -> None:
        outcome = give_feedback(world, click.value, person.id, answer)
        reply_outcome(world, click, outcome)
        if isinstance(outcome, FeedbackKept) and not outcome.is_shown:
            reply_text(world, click, feedback_text(outcome.answer))

    return run


def cancel(world: Context, click: Click, person: Person) -> None:
    outcome = withdraw_request(world, click.value, person.id)
    reply_outcome(world, click, outcome)
    if isinstance(outcome, Withdrawn) and click.view_type != "home":
        reply_text(world, click, f"Withdrawn: your request for {outcome.request.role}.")
    _redraw_home(world, click)


# --- asking


def ask(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Opens the request form, with the role of the button if the person may ask for it."""
    roles = describe_person(ctx.world, person.id).roles
    chosen = next((role for role in roles if role.name == click.value), None)
    if chosen is None and click.value != home.NO_ROLE:
        why = (
            f"You can no longer request {click.value[:75]}. {slash()} roles lists what you can"
            " request."
        )
        _open(ctx, click, request_modal.notice("Request access", why))
        return _redraw_home(ctx.world, click)
    refresh_person(ctx, person)
    return _open(ctx, click, request_modal.render(roles, chosen, None))


def ask_again(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Opens the request form with role, duration, reason and ticket of an earlier request."""
    found = past_request(ctx.world, person.id, click.value)
    if isinstance(found, Refused):
        _open(ctx, click, request_modal.notice("Ask again", found.reason))
        return _redraw_home(ctx.world, click)
    request, role = found
    values = {
        Field.DURATION: format_duration(request.duration),
        Field.REASON: request.reason,
        Field.TICKET: request.ticket,
        **{FIELD + name: value for name, value in request.parameters.items()},
    }
    roles = describe_person(ctx.world, person.id).roles
    refresh_person(ctx, person)
    return _open(
        ctx,
        click,
        request_modal.render(roles, role, {str(name): text for name, text in values.items()}),
    )


def home_page(world: Context, click: Click, person: Person) -> None:
    """Shows other rows of one section of App Home."""
    section, skip = home.page_from(click.value)
    queue_home(world, person.id, section, skip)


def choose_role(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Shows the inputs of the chosen role; the typed text stays."""
    roles = describe_person(ctx.world, person.id).roles
    chosen = next((role for role in roles if role.name == click.value), None)
    if chosen is not None:
        show_choice(ctx, click, request_modal.render(roles, chosen, click.texts))


def disallow(world: Context, click: Click, person: Person) -> None:
    """Takes one pre-approval back."""
    outcome = take_preapproval(world, person, click.value)
    reply_outcome(world, click, outcome)
    if not isinstance(outcome, Refused) and click.view_type != "home":
        reply_text(world, click, "Taken back. Requests need approval again.")
    _redraw_home(world, click)


def back(world: Context, click: Click, person: Person) -> None:
    """Ends the absence of an approver; Home shows it."""
    reply_outcome(world, click, come_back(world, person.id))
    _redraw_home(world, click)


# --- leading


def revoke(world: Context, click: Click, person: Person) -> None:
    outcome = revoke_grant(world, person.id, grant=click.value)
    reply_outcome(world, click, outcome)
    if not isinstance(outcome, Refused):
        roles = ", ".join(grant.role for grant in outcome.grants)
        text = (
            f"Revoked: {roles}. The thread of its request says when every system has confirmed it."
        )
        reply_text(world, click, text)
    _redraw_home(world, click)


def end_access(world: Context, click: Click, person: Person) -> None:
    """Ends the access of an emergency; the message about it shows that."""
    reply_outcome(world, click, end_emergency(world, person.id, click.value))
    _redraw_home(world, click)


def sign_form(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Opens the form in which a lead signs the review, if they may."""
    refused = check_signer(ctx.world, person.id, click.value)
    card = None if refused else describe_request(ctx.world, click.value)
    if card is None:
        reply_outcome(ctx.world, click, refused)
        return _redraw_home(ctx.world, click)
    return _open(ctx, click, emergency_modal.sign(card))


def choose_emergency_role(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Shows how long the chosen role is given in an emergency; the typed text stays."""
    roles = emergency_roles(ctx.world, person.id)
    chosen = next((role for role in roles if role.name == click.value), None)
    if chosen is not None:
        show_choice(ctx, click, emergency_modal.render(roles, chosen, click.texts))


def acknowledge(world: Context, click: Click, person: Person) -> None:
    """The alert message shows the acknowledgement."""
    reply_outcome(world, click, acknowledge_end(world, person.id, click.value))
    _redraw_home(world, click)


def acknowledge_all(world: Context, click: Click, person: Person) -> None:
    """Acknowledges up to AT_ONE_PRESS alerts, and says so if more remain."""
    outcome = acknowledge_all_ends(world, person.id, click.value)
    reply_outcome(world, click, outcome)
    if outcome == AT_ONE_PRESS:
        text = f"{outcome} are acknowledged, and more remain on that system: press again."
        reply_text(world, click, text)


def remove_orphan(world: Context, click: Click, person: Person) -> None:
    """Another message follows when the system has answered."""
    outcome = ask_removal(world, person.id, click.value, click.channel)
    reply_outcome(world, click, outcome)
    if not isinstance(outcome, Refused):
        gone = f"{outcome.name or outcome.grant} from {outcome.system}"
        reply_text(world, click, f"You asked to remove {gone}. Another message reports the result.")


def expected_form(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Opens the form that asks why a flagged pattern was expected, if the person may answer."""
    found = check_answer(ctx.world, person.id, click.value)
    if isinstance(found, Refused):
        reply_outcome(ctx.world, click, found)
        return _redraw_home(ctx.world, click)
    return _open(ctx, click, flag_message.expected_form(found))


def investigate(world: Context, click: Click, person: Person) -> None:
    """The message and its thread show who investigates."""
    reply_outcome(world, click, investigate_flag(world, person.id, click.value))
    _redraw_home(world, click)


def revoke_by_flag(world: Context, click: Click, person: Person) -> None:
    """Revokes everything that the person of a flag holds; the message shows the answer."""
    outcome = revoke_flagged(world, person.id, click.value)
    reply_outcome(world, click, outcome)
    if not isinstance(outcome, Refused):
        roles = ", ".join(grant.role for grant in outcome.grants)
        reply_text(world, click, f"Revoked: {roles}. Their threads show when systems confirm it.")
    _redraw_home(world, click)


def audit_older(world: Context, click: Click, person: Person) -> None:
    """The next page is read, and the reader's authority checked, when the page is shown."""
    filters, before = from_older(click.value)
    given = {name: value for name, value in asdict(filters).items() if value is not None}
    queue_reply(world, person.id, click.channel, "audit_page", filters=given, before=before)


def more(world: Context, click: Click, person: Person) -> None:
    """The next page of a list is read, and the reader's authority checked, when the page is
    shown."""
    queue_reply(world, person.id, click.channel, "page", page=from_more(click.value))


def unknown_action(ctx: ListenerContext, click: Click, person: Person) -> None:
    """Answers a button that this version doesn't know: an old or a forged one."""
    log.info("unknown action %r was pressed", click.action[:80])
    reply_text(
        ctx.world, click, f"This button no longer works. {slash()} list shows what you can do now."
    )


def _open(ctx: ListenerContext, click: Click, view: View) -> None:
    if not open_view(ctx, click.trigger, view):
        reply_text(ctx.world, click, TOO_LATE)


ACTIONS: Mapping[str, Route] = {
    Action.APPROVE: Route(once(approve), admit_unconfirmed),
    Action.DENY: Route(_decision_form("deny", deny_modal.render)),
    Action.EDIT: Route(_decision_form("approve", edit_modal.render)),
    Action.DETAILS: Route(show_details),
    Action.DISALLOW: Route(once(disallow)),
    Action.REVOKE_GIVEN: Route(revoke_form),
    Action.SHOW_CREDENTIALS: Route(credentials),
    Action.OPEN_IN_BROWSER: Route(opened_in_browser),
    Action.RENEW: Route(once(renew)),
    Action.DONE: Route(once(done)),
    Action.CANCEL: Route(once(cancel)),
    Action.REQUEST: Route(ask),
    Action.CHOOSE_ROLE: Route(choose_role),
    Action.REVOKE: Route(once(revoke)),
    Action.AUDIT_OLDER: Route(once(audit_older)),
    Action.MORE: Route(once(more)),
    Action.ACKNOWLEDGE: Route(once(acknowledge)),
    Action.ACKNOWLEDGE_ALL: Route(once(acknowledge_all)),
    Action.REMOVE_ORPHAN: Route(once(remove_orphan)),
    Action.ASK_AGAIN: Route(ask_again),
    Action.HOME_PAGE: Route(once(home_page)),
    Action.HOME_FIRST: Route(once(home_page)),
    Action.CHOOSE_EMERGENCY_ROLE: Route(choose_emergency_role),
    Action.SIGN_REVIEW: Route(sign_form),
    Action.END_EMERGENCY: Route(once(end_access)),
    Action.PLAN_ONBOARDING: Route(onboarding.plan),
    Action.ONBOARDING_FORM: Route(onboarding.change_form),
    Action.REVIEW: Route(reviews.press_review),
    Action.REVIEW_PAGE: Route(reviews.turn_page),
    Action.REVIEW_FIRST: Route(reviews.turn_page),
    Action.OPEN_STAGE: Route(onboarding.press_open),
    Action.PAUSE_RAMP: Route(once(onboarding.pause)),
    Action.RESUME_RAMP: Route(once(onboarding.resume)),
    Action.CHANGE_MENTOR: Route(onboarding.press_mentor),
    Action.END_RAMP: Route(once(onboarding.end)),
    Action.BACK: Route(once(back)),
    Action.FLAG_EXPECTED: Route(expected_form),
    Action.FLAG_INVESTIGATE: Route(once(investigate)),
    Action.FLAG_REVOKE: Route(once(revoke_by_flag)),
    Action.FEEDBACK_USED: Route(once(feedback(Feedback.USED))),
    Action.FEEDBACK_UNNEEDED: Route(once(feedback(Feedback.UNNEEDED))),
    Action.FEEDBACK_MORE: Route(once(feedback(Feedback.MORE))),
}
"""The route of each button, by its `action_id`."""

OF_GRANT = frozenset({Action.SHOW_CREDENTIALS, Action.RENEW, Action.DONE})
"""Buttons of direct messages, with the id of the grant as value."""

OF_LIST = OF_GRANT | {Action.CANCEL}
"""Buttons of a private list of the reader's own access."""

UNKNOWN = Route(unknown_action, admit_unconfirmed)
