"""Provides the parts that listeners share: the context, the admission of people, and the calls that
open and change views."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any

from slack_sdk import WebClient

from bot.core.approval import Refused
from bot.core.errors import OutcomeUnknown, SystemRefused, SystemUnavailable
from bot.core.model import Person, ProvisionOrder, is_recent
from bot.core.observed import CredentialAnswer
from bot.operations._leads_only import PERSON_LASTS
from bot.operations._unit_of_work import Context, unknown_person
from bot.operations.audit.read_audit import is_lead
from bot.operations.messages.private_answers import keep_answer
from bot.operations.messages.shown_choices import record_choice, shown_choice
from bot.operations.people.queue_lookup import queue_lookup
from bot.operations.people.record_people import find_person, record_people
from bot.operations.policy.find_unresolved import unresolved_leads
from bot.operations.requests.record_refusal import refuse_action
from bot.slack.api import call
from bot.slack.payloads import Click, Payload
from bot.slack.people import SlackPeople
from bot.slack.response_urls import is_slacks

log = logging.getLogger(__name__)

LEAD_AGAIN = 40
"""Seconds after which a lead is looked up again before they act, so that the look-up is at most a
minute old."""

CHECK_AGAIN = 60
"""Seconds after which an ineligible person is looked up again before they are refused."""

USUAL = frozenset(
    {"expired_trigger_id", "exchanged_trigger_id", "trigger_expired", "hash_conflict", "not_found"}
)
"""Slack's refusals for a window that was closed, changed or requested too late."""

CHOICE_PAUSES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Seconds between looks for an earlier choice that changed a modal."""

TOO_LATE = "Slack did not open the window in time. Nothing was changed; please press again."


@dataclass(frozen=True, slots=True)
class ListenerContext:
    """`client` calls Slack while a person waits: it gives up within 2 seconds and never retries.
    `team` gives the id of our workspace, or "" until Slack has given it; `ask_systems` is
    `CredentialService.ask`."""

    world: Context
    people: SlackPeople
    client: WebClient
    team: Callable[[], str]
    ask_systems: Callable[
        [Sequence[ProvisionOrder], Mapping[str, str]], dict[str, Future[CredentialAnswer]]
    ]

    @property
    def now(self) -> int:
        return self.world.now()


def keep(ctx: ListenerContext, person: str, url: str, kind: str, about: str) -> None:
    """Keeps a private answer up to date, if its address is Slack's."""
    if is_slacks(url, ctx.client.base_url):
        keep_answer(ctx.world, person, url, kind, about)


def refuse_other_workspace(ctx: ListenerContext, payload: Payload) -> Refused | None:
    """Refuses people of other workspaces. Within one organisation Slack's own data about the person
    decides (`Person.stranger`)."""
    ours = ctx.team()
    if not ours:
        return Refused(
            "The bot has just started and does not know its workspace yet. Try again in a few"
            " seconds."
        )
    if payload.team == ours or (payload.enterprise and payload.place == ours):
        return None
    return Refused(
        "People from other workspaces can't use access here. Ask a member of the workspace to"
        " do it."
    )


def admit(ctx: ListenerContext, payload: Payload, action: str) -> Person | Refused:
    """The person who sent a payload, looked up if unknown; a refusal is recorded."""
    person = refuse_other_workspace(ctx, payload) or find_or_look_up(ctx, payload.person)
    if isinstance(person, Person):
        if person.ineligible_reason() is None:
            # Before the next line: the leads may be a group that was not read for a while.
            learn_leads(ctx)
            person = _confirmed_lead(ctx, person)
        if (unfit := person.ineligible_reason()) is None:
            return person
        person = Refused(
            f"You can't use access here: {unfit}. Ask a full member of the workspace to do it."
        )
    return refuse_action(ctx.world, payload.person, action, person)


def admit_unconfirmed(ctx: ListenerContext, payload: Payload, action: str) -> Person | Refused:
    """Admits presses that count only after Slack has confirmed the person (`count_vote`): only a
    person who was found unfit is looked up here."""
    if (refused := refuse_other_workspace(ctx, payload)) is not None:
        return refuse_action(ctx.world, payload.person, action, refused)
    found = find_person(ctx.world, payload.person)
    if found is None:
        return unknown_person(payload.person)
    return found if found.ineligible_reason() is None else admit(ctx, payload, action)


def _confirmed_lead(ctx: ListenerContext, person: Person) -> Person:
    """Looks a lead up again after LEAD_AGAIN. If Slack does not answer, `leads_only` refuses the
    acts of leads."""
    return confirmed(ctx, person) if is_lead(ctx.world, person.id) else person


def confirmed(ctx: ListenerContext, person: Person) -> Person:
    """Looks a person up again after LEAD_AGAIN. If Slack does not answer, they stay as they were
    known, and an operation that needs a confirmed person refuses."""
    if is_recent(person.checked_at, ctx.now, LEAD_AGAIN - 1):
        return person
    try:
        found = ctx.people.look_up(person.id)
    except (SystemUnavailable, SystemRefused) as error:
        log.warning("Slack did not say who %s is: %s", person.id, error)
        return person
    record_people(ctx.world, [found])
    return found


def needs_lookup(world: Context, person: Person) -> bool:
    """Whether Slack must confirm this person before they may ask for access or renew it."""
    return not is_recent(person.checked_at, world.now(), PERSON_LASTS)


def refresh_person(ctx: ListenerContext, person: Person) -> None:
    """Queues a look-up of this person, so that Slack has confirmed them when they send the request
    form."""
    if not is_recent(person.checked_at, ctx.now, PERSON_LASTS // 2):
        queue_lookup(ctx.world, person.id)


def learn_leads(ctx: ListenerContext) -> None:
    """Looks up the leads that roles.toml names, if that was not done yet: after the first start,
    and after a reload with other leads."""
    if refs := unresolved_leads(ctx.world):
        try:
            ctx.people.resolve(refs)
        except (SystemUnavailable, SystemRefused) as error:
            log.warning("Slack did not say who the leads are: %s", error)


def find_or_look_up(ctx: ListenerContext, person: str) -> Person | Refused:
    """The person as recorded; looks up an unknown one, and again one who was found ineligible a
    while ago."""
    found = find_person(ctx.world, person)
    if found is not None and (
        found.ineligible_reason() is None or is_recent(found.checked_at, ctx.now, CHECK_AGAIN - 1)
    ):
        return found
    try:
        found = ctx.people.look_up(person)
    except (SystemUnavailable, SystemRefused) as error:
        log.warning("Slack did not say who %s is: %s", person, error)
        return Refused(
            "Slack did not confirm who you are, so nothing was done. Please try again in a moment."
        )
    record_people(ctx.world, [found])
    return found


def open_view(ctx: ListenerContext, trigger: str, view: dict[str, Any]) -> bool:
    """Opens a modal for the person who made the trigger; False when Slack refused, or it was too
    late."""
    return open_window(ctx, trigger, view) is not None


@dataclass(frozen=True, slots=True)
class Opened:
    """An open modal: its id, and the hash of the version that we know, or "" for any version."""

    id: str
    hash: str


def open_window(ctx: ListenerContext, trigger: str, view: dict[str, Any]) -> Opened | None:
    """Opens a modal; gives its id and hash, or None when Slack refused."""
    opened = _view_call(ctx, "views.open", trigger_id=trigger, view=view)
    return None if opened is None else _opened(opened)


def open_named_window(ctx: ListenerContext, trigger: str, view: dict[str, Any]) -> Opened | None:
    """Opens a modal under an `external_id`, by which it is found if Slack's answer was lost. Raises
    OutcomeUnknown if it is not found then, because it may open a moment later."""
    named = {**view, "external_id": token_urlsafe(16)}
    try:
        return _opened(call(ctx.client, "views.open", trigger_id=trigger, view=named))
    except SystemUnavailable as error:
        log.warning("the outcome of views.open is unknown: %s", error)
        if error.retry_after is not None:
            return None
    except SystemRefused as refused:
        _log_refusal("views.open", refused)
        return None
    try:
        return _opened(
            call(ctx.client, "views.update", external_id=named["external_id"], view=named)
        )
    except (SystemUnavailable, SystemRefused) as error:
        raise OutcomeUnknown(f"the window may or may not be open ({error})") from error


def change_window(ctx: ListenerContext, known: Opened, view: dict[str, Any]) -> Opened:
    """Replaces an open modal, unless its hash has changed. Raises SystemUnavailable and
    SystemRefused."""
    version = {"hash": known.hash} if known.hash else {}
    return _opened(call(ctx.client, "views.update", view_id=known.id, view=view, **version))


def _opened(answer: dict[str, Any]) -> Opened:
    view = answer.get("view", {})
    return Opened(str(view.get("id", "")), str(view.get("hash", "")))


def update_view(ctx: ListenerContext, view_id: str, view: dict[str, Any]) -> None:
    """Replaces an open modal, whatever it shows."""
    _view_call(ctx, "views.update", view_id=view_id, view=view)


def show_choice(ctx: ListenerContext, click: Click, view: dict[str, Any]) -> None:
    """Shows the view that follows from a choice in a modal. If another choice has changed the modal
    since Slack sent this one, the later of the two stays; anything else that changed it stays, too,
    such as the answer to its submission."""
    hash = click.hash
    while click.view:
        try:
            known = change_window(ctx, Opened(click.view, hash), view)
            return record_choice(ctx.world, click.view, click.at, known.hash)
        except (SystemUnavailable, SystemRefused) as error:
            _log_refusal("views.update", error)
            if not isinstance(error, SystemRefused) or error.code != "hash_conflict":
                return None
        if not (hash := _hash_of_earlier_choice(ctx, click, hash)):
            return None
    return None


def _hash_of_earlier_choice(ctx: ListenerContext, click: Click, tried: str) -> str:
    """The hash of the modal that shows an earlier choice, or "". Waits for it, because another
    thread or process may be about to store it."""
    for pause in CHOICE_PAUSES:
        time.sleep(pause)
        at, hash = shown_choice(ctx.world, click.view)
        if at >= click.at:
            return ""
        if hash not in ("", tried):
            return hash
    return ""


def _view_call(ctx: ListenerContext, method: str, **arguments: Any) -> dict[str, Any] | None:
    """Slack's answer, or None when it refused."""
    try:
        return call(ctx.client, method, **arguments)
    except (SystemUnavailable, SystemRefused) as error:
        _log_refusal(method, error)
        return None


def _log_refusal(method: str, error: SystemUnavailable | SystemRefused) -> None:
    usual = isinstance(error, SystemRefused) and error.code in USUAL
    log.log(logging.INFO if usual else logging.WARNING, "%s was not done: %s", method, error)
