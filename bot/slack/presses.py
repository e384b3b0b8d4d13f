"""What pressing a button or choosing from a list does: one operation, and a private answer where the messages don't
show the outcome by themselves. Which button calls what is the table at the end.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from bot.core.approval import Refused
from bot.core.durations import format_duration
from bot.operations._unit import World
from bot.operations.acknowledge_end import MOST as AT_ONE_PRESS
from bot.operations.acknowledge_end import acknowledge_all as acknowledge_all_ends
from bot.operations.acknowledge_end import acknowledge_end
from bot.operations.begin_decision import begin_decision
from bot.operations.describe_person import describe_person
from bot.operations.describe_request import RequestCard, describe_request
from bot.operations.direct_notes import adopt_message
from bot.operations.do_once import do_once, do_together
from bot.operations.leave_answer import leave_answer
from bot.operations.past_request import past_request
from bot.operations.private_answers import LIST, update_old_answer
from bot.operations.record_people import find_person
from bot.operations.release_grant import release_grant
from bot.operations.remove_found import ask_removal
from bot.operations.renew_grant import renew_grant
from bot.operations.request_access import AlreadyPending, Submitted, Waiting
from bot.operations.revoke_grant import revoke_grant
from bot.operations.show_credentials import Credentials, show_credentials
from bot.operations.show_home import show_home
from bot.operations.take_press import AlreadyDecided, Press, Taken, take_press
from bot.operations.withdraw_request import Withdrawn, withdraw_request
from bot.slack.audit_query import from_older
from bot.slack.blocks import View
from bot.slack.desk import TOO_LATE, Desk, ask_who, open_view, unsure, update_view
from bot.slack.ids import Action, Field
from bot.slack.pages import from_more
from bot.slack.payloads import Click
from bot.slack.response_urls import is_slacks
from bot.slack.showing import show_window
from bot.slack.views import answers, deny_modal, edit_modal, home, request_modal

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Route:
    """`known` False is for presses that Slack is asked about anyway before they count (`decide_press`)."""

    run: Callable[[Desk, Click], None]
    known: bool = True


def run_press(desk: Desk, click: Click) -> None:
    """Does what a button says. Raises StorageUnavailable, and BadPayload for a forged value."""
    PRESSES.get(click.action, UNKNOWN).run(desk, click)
    if click.action in OF_GRANT and click.ts and click.channel.startswith("D") and not click.ephemeral:
        adopt_message(desk.world, click.value, click.person, click.channel, click.ts)
    if click.action in OF_LIST and click.ephemeral and is_slacks(click.response_url, desk.client.base_url):
        update_old_answer(desk.world, click.person, click.response_url, LIST, click.person)


def tell(world: World, click: Click, outcome: object) -> None:
    """Leaves word of an outcome that nothing else shows to who pressed."""
    if isinstance(outcome, Refused):
        leave_answer(world, click.person, click.channel, "refused", why=outcome.reason)
    elif isinstance(outcome, AlreadyDecided):
        leave_answer(world, click.person, click.channel, "already_decided", request=outcome.request.id)


def say(world: World, click: Click, text: str) -> None:
    """Leaves a sentence of ours for who pressed."""
    leave_answer(world, click.person, click.channel, "text", text=text)


def _afterwards(world: World, click: Click) -> None:
    """A press in App Home changes what App Home shows."""
    if click.view_type == "home":
        show_home(world, click.person)


# --- deciding


def approve(desk: Desk, click: Click) -> None:
    press = Press(click.value, click.person, True, click.key, channel=click.channel, ts=click.ts)

    def act(world: World) -> None:
        outcome = take_press(world, press)
        tell(world, click, outcome)
        if not isinstance(outcome, Taken):
            _afterwards(world, click)

    do_together(desk.world, act)


def _decision_form(action: str, form: Callable[[RequestCard], View]) -> Callable[[Desk, Click], None]:
    """Opens a form about a request for somebody who may decide on it."""

    def run(desk: Desk, click: Click) -> None:
        stopped = begin_decision(desk.world, click.value, click.person, action)
        card = None if stopped else describe_request(desk.world, click.value)
        if card is None:
            tell(desk.world, click, stopped)
            _afterwards(desk.world, click)
        else:
            _open(desk, click, form(card))

    return run


# --- holding


def credentials(desk: Desk, click: Click) -> None:
    """Shows the way in to its holder; a token that could not be shown never works, and the earlier one stays."""
    shown = do_once(desk.world, click.key, lambda w: show_credentials(w, click.value, click.person))
    if not isinstance(shown, Credentials):
        return tell(desk.world, click, shown)
    if not show_window(desk, click.trigger, shown):
        say(desk.world, click, TOO_LATE)
    return None


def renew(desk: Desk, click: Click) -> None:
    waits = unsure(desk, find_person(desk.world, click.person))

    def act(world: World) -> None:
        outcome = renew_grant(world, click.value, click.person, key=click.key, channel=click.channel, unsure=waits)
        tell(world, click, outcome)
        if isinstance(outcome, Submitted):
            say(world, click, "Sent to the approvers: this role is renewed only with a new approval.")
        if isinstance(outcome, Waiting):
            say(world, click, answers.waits_for_slack(outcome.role))
        if isinstance(outcome, AlreadyPending):
            say(world, click, "You had asked for more time before, so nothing new was sent. /access list shows it.")
        _afterwards(world, click)

    do_together(desk.world, act)


def done(desk: Desk, click: Click) -> None:
    def act(world: World) -> None:
        tell(world, click, release_grant(world, click.value, click.person))
        _afterwards(world, click)

    do_once(desk.world, click.key, act)


def cancel(desk: Desk, click: Click) -> None:
    def act(world: World) -> None:
        outcome = withdraw_request(world, click.value, click.person)
        tell(world, click, outcome)
        if isinstance(outcome, Withdrawn) and click.view_type != "home":
            say(world, click, f"Withdrawn: your request for {outcome.request.role}.")
        _afterwards(world, click)

    do_once(desk.world, click.key, act)


# --- asking


def ask(desk: Desk, click: Click) -> None:
    """The request form, for the role in the button's value if it names one that they may ask for."""
    roles = describe_person(desk.world, click.person).roles
    chosen = next((role for role in roles if role.name == click.value), None)
    if chosen is None and click.value != home.NO_ROLE:
        why = f"You may not ask for {click.value[:75]} any more. /access roles lists what you may ask for."
        _open(desk, click, request_modal.notice("Request access", why))
        return _afterwards(desk.world, click)
    ask_who(desk, click.person)
    return _open(desk, click, request_modal.render(roles, chosen, None))


def ask_again(desk: Desk, click: Click) -> None:
    """The request form with role, duration and reason of an earlier request."""
    found = past_request(desk.world, click.person, click.value)
    if isinstance(found, Refused):
        _open(desk, click, request_modal.notice("Ask again", found.reason))
        return _afterwards(desk.world, click)
    request, role = found
    values = {
        Field.DURATION: format_duration(request.duration),
        Field.REASON: request.reason,
        Field.TICKET: request.ticket,
    }
    roles = describe_person(desk.world, click.person).roles
    ask_who(desk, click.person)
    return _open(desk, click, request_modal.render(roles, role, {str(name): text for name, text in values.items()}))


def home_page(desk: Desk, click: Click) -> None:
    """Shows other rows of one section of App Home."""
    section, skip = home.page_from(click.value)
    do_once(desk.world, click.key, lambda w: show_home(w, click.person, section, skip))


def choose_role(desk: Desk, click: Click) -> None:
    """Shows what the chosen role needs; what was typed into the form stays."""
    roles = describe_person(desk.world, click.person).roles
    chosen = next((role for role in roles if role.name == click.value), None)
    if chosen is not None and click.view:
        update_view(desk, click.view, click.hash, request_modal.render(roles, chosen, click.texts))


# --- leading


def revoke(desk: Desk, click: Click) -> None:
    def act(world: World) -> None:
        outcome = revoke_grant(world, click.person, grant=click.value)
        tell(world, click, outcome)
        if not isinstance(outcome, Refused):
            roles = ", ".join(grant.role for grant in outcome.grants)
            say(world, click, f"Revoked: {roles}. The thread of its request says when every system has confirmed it.")
        _afterwards(world, click)

    do_once(desk.world, click.key, act)


def acknowledge(desk: Desk, click: Click) -> None:
    """The message shows that it counts."""

    def act(world: World) -> None:
        tell(world, click, acknowledge_end(world, click.person, click.value))
        _afterwards(world, click)

    do_once(desk.world, click.key, act)


def acknowledge_all(desk: Desk, click: Click) -> None:
    """So many at a time, which is said, because it promises all."""

    def act(world: World) -> None:
        outcome = acknowledge_all_ends(world, click.person, click.value)
        tell(world, click, outcome)
        if outcome == AT_ONE_PRESS:
            say(world, click, f"{outcome} are acknowledged, and there are more on that system: press it again.")

    do_once(desk.world, click.key, act)


def remove_found(desk: Desk, click: Click) -> None:
    """What came of it follows when the system has answered."""

    def act(world: World) -> None:
        outcome = ask_removal(world, click.person, click.value, click.channel)
        tell(world, click, outcome)
        if not isinstance(outcome, Refused):
            gone = f"{outcome.name or outcome.grant} from {outcome.system}"
            say(world, click, f"You asked to remove {gone}. Another message says what came of it.")

    do_once(desk.world, click.key, act)


def audit_older(desk: Desk, click: Click) -> None:
    """The next page is read, and whether they may, when it is shown."""
    filters, before = from_older(click.value)
    given = {name: value for name, value in asdict(filters).items() if value is not None}

    def act(world: World) -> None:
        leave_answer(world, click.person, click.channel, "audit_page", filters=given, before=before)

    do_once(desk.world, click.key, act)


def more(desk: Desk, click: Click) -> None:
    """The next page of a list; it is read, and whether they may, when it is shown."""
    given = from_more(click.value)
    do_once(desk.world, click.key, lambda w: leave_answer(w, click.person, click.channel, "page", page=given))


def outdated(desk: Desk, click: Click) -> None:
    """A button that this version doesn't know: old, or forged."""
    log.info("unknown action %r was pressed", click.action[:80])
    say(desk.world, click, "This button does nothing any more. /access list shows what you can do now.")


def _open(desk: Desk, click: Click, view: View) -> None:
    if not open_view(desk, click.trigger, view):
        say(desk.world, click, TOO_LATE)


PRESSES: Mapping[str, Route] = {
    Action.APPROVE: Route(approve, known=False),
    Action.DENY: Route(_decision_form("deny", deny_modal.render)),
    Action.EDIT: Route(_decision_form("approve", edit_modal.render)),
    Action.SHOW_CREDENTIALS: Route(credentials),
    Action.RENEW: Route(renew),
    Action.DONE: Route(done),
    Action.CANCEL: Route(cancel),
    Action.REQUEST: Route(ask),
    Action.CHOOSE_ROLE: Route(choose_role),
    Action.REVOKE: Route(revoke),
    Action.AUDIT_OLDER: Route(audit_older),
    Action.MORE: Route(more),
    Action.ACKNOWLEDGE: Route(acknowledge),
    Action.ACKNOWLEDGE_ALL: Route(acknowledge_all),
    Action.REMOVE_FOUND: Route(remove_found),
    Action.ASK_AGAIN: Route(ask_again),
    Action.HOME_PAGE: Route(home_page),
    Action.HOME_FIRST: Route(home_page),
}
OF_GRANT = frozenset({Action.SHOW_CREDENTIALS, Action.RENEW, Action.DONE})
"""Buttons of direct messages, with the grant as their value."""

OF_LIST = OF_GRANT | {Action.CANCEL}
"""Buttons of an answer that lists what its reader has."""

UNKNOWN = Route(outdated, known=False)
