"""Handles the verbs of `/access`: each calls one operation and returns a message, or None after it
opened a form. The table at the end lists them.
"""

import difflib
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from bot.core.absence import read_until
from bot.core.approval import Refused
from bot.core.durations import BadDuration, format_duration
from bot.core.eligibility import Ask, find_role
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import Grant, Person, Request
from bot.core.names import slash
from bot.core.preapproval import read_terms
from bot.core.roles import Role, ticket_matches
from bot.core.spans import take_span
from bot.operations._unit_of_work import Context
from bot.operations.absence.come_back import Back, come_back
from bot.operations.absence.describe_absence import describe_absences
from bot.operations.absence.go_away import Away, go_away
from bot.operations.audit.ask_verify import ask_verify
from bot.operations.audit.read_audit import ask_export, is_lead
from bot.operations.audit.read_story import read_story
from bot.operations.emergencies.start_emergency import Call, NeedsPress, Started, start_emergency
from bot.operations.emergencies.start_emergency import Outcome as Called
from bot.operations.grants.release_grant import Ending, release_grant
from bot.operations.grants.renew_grant import Renewed, renew_grant
from bot.operations.idempotency import Repeated, do_once
from bot.operations.messages.private_answers import GRANT, LIST, REQUEST, REVOKE
from bot.operations.people.describe_person import describe_person, emergency_roles
from bot.operations.people.record_people import record_people
from bot.operations.people.require_lead import require_lead
from bot.operations.policy.explain_role import explain_role
from bot.operations.preapprovals.describe_preapprovals import list_preapprovals
from bot.operations.preapprovals.give_preapproval import Given, give_preapproval
from bot.operations.preapprovals.take_preapprovals import take_preapprovals
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.record_refusal import refuse_action
from bot.operations.requests.request_access import (
    AlreadyHeld,
    AlreadyPending,
    GrantedAtOnce,
    Submitted,
    Waiting,
    request_access,
)
from bot.operations.requests.withdraw_request import Withdrawn, withdraw_request
from bot.operations.systems.reconcile import ask_reconcile
from bot.slack import pages
from bot.slack.audit_query import page, parse_filters, person_named
from bot.slack.context import (
    TOO_LATE,
    ListenerContext,
    confirmed,
    find_or_look_up,
    keep,
    needs_lookup,
    open_view,
    refresh_person,
)
from bot.slack.ids import Field
from bot.slack.onboarding import onboard
from bot.slack.payloads import Command, unescape
from bot.slack.response_urls import is_slacks
from bot.slack.reviews import review
from bot.slack.views import (
    answers,
    emergency_modal,
    explanation,
    help,
    preapproval_parts,
    request_modal,
    request_story,
    understood,
)
from bot.slack.views._fit import join

log = logging.getLogger(__name__)

Message = dict[str, Any]
Asked = Submitted | GrantedAtOnce | AlreadyPending | AlreadyHeld | Renewed | Refused | Waiting
Row = TypeVar("Row", Grant, Request)

MOST_NAMED = 12
"""Roles that one sentence names at most."""


@dataclass(frozen=True, slots=True)
class Verb:
    """With `leads` only leads may use it. `run` gets the command with the text after the verb, as
    Slack sends it."""

    name: str
    run: Callable[[ListenerContext, Command, Person], Message | None]
    leads: bool = False


def run_command(ctx: ListenerContext, command: Command, person: Person) -> Message | None:
    """Answers `/access …` of an admitted person. Raises StorageUnavailable."""
    word, rest = split(command.text)
    verb = VERBS.get(word.lower())
    if verb is None:
        return _unknown(ctx, person, unescape(word))
    return verb.run(ctx, replace(command, text=rest), person)


def split(text: str) -> tuple[str, str]:
    """The first word and the rest; "" for a missing one."""
    word, rest = (*text.split(maxsplit=1), "", "")[:2]
    return word, rest.strip()


def _unknown(ctx: ListenerContext, person: Person, word: str) -> Message:
    near = difflib.get_close_matches(word.lower(), [name for name in VERBS if name], n=1)
    meant = (
        f"request {word} REASON" if word in ctx.world.policy().roles else near[0] if near else ""
    )
    unknown = (
        answers.refused(f"Unknown command “{word[:60]}”. Did you mean {slash()} {meant}?")
        if meant
        else None
    )
    return join([unknown or answers.unknown_verb(word), help.render(is_lead(ctx.world, person.id))])


# --- asking


def open_form(
    ctx: ListenerContext,
    command: Command,
    person: Person,
    role: str = "",
    typed: Mapping[str, str] | None = None,
) -> Message | None:
    """Opens the request form with the roles that this person may ask for. `role` is chosen already,
    and `typed` fills its inputs."""
    roles = describe_person(ctx.world, person.id).roles
    chosen = next((each for each in roles if each.name == role), None)
    shown = open_view(ctx, command.trigger, request_modal.render(roles, chosen, typed))
    refresh_person(ctx, person)
    return (
        None
        if shown
        else answers.refused(TOO_LATE + f" Or write: {slash()} request ROLE [DURATION] REASON")
    )


def _typed(duration: int | None, reason: str) -> dict[str, str]:
    """The typed words of a command, for the form that asks for parameters, too."""
    length = format_duration(duration) if duration is not None else ""
    return {str(Field.DURATION): length, str(Field.REASON): reason}


def _words(
    ctx: ListenerContext, command: Command, person: Person, verb: str, usual: Callable[[Role], int]
) -> tuple[str, int | None, str] | Message:
    """The role, the duration and the reason of `ROLE [DURATION] REASON…`; or a refusal, which
    suggests the `usual` duration of the role."""
    word, rest = split(unescape(command.text))
    try:
        duration, reason = take_span(rest, ctx.now, person.tz)
    except BadDuration as bad:
        role = ctx.world.policy().roles.get(word)
        if role is None:
            return word, None, rest  # the operation refuses an unknown role in any case
        why = understood.advice(bad, f"{slash()} {verb} {word}", rest, usual(role))
        return _refuse(ctx, person, verb, why, role=word, reason=rest)
    return word, duration, reason


def _longest_emergency(role: Role) -> int:
    return role.emergency.max_duration if role.emergency else role.default_duration


def request(ctx: ListenerContext, command: Command, person: Person) -> Message | None:
    """`[ROLE [DURATION] REASON…]`"""
    if not command.text:
        return open_form(ctx, command, person)
    words = _words(ctx, command, person, "request", lambda role: role.default_duration)
    if isinstance(words, dict):
        return words
    word, duration, reason = words
    role = ctx.world.policy().roles.get(word)
    if role is not None and role.parameters:
        return open_form(ctx, command, person, role.name, _typed(duration, reason))
    url = command.response_url if is_slacks(command.response_url, ctx.client.base_url) else ""
    ticket = _ticket_in(role, reason)
    ask = Ask(person.id, word, reason, duration, ticket, channel=command.channel, answer_url=url)
    note = understood.default_note(reason) if duration is None else ""
    first = needs_lookup(ctx.world, person)
    return _asked(ctx, command, person, lambda w: request_access(w, ask, first), note)


def emergency(ctx: ListenerContext, command: Command, person: Person) -> Message | None:
    """`[ROLE [DURATION] REASON…]`"""
    if not command.text:
        return _emergency_form(ctx, command, person)
    words = _words(ctx, command, person, "emergency", _longest_emergency)
    if isinstance(words, dict):
        return words
    word, duration, reason = words
    role = ctx.world.policy().roles.get(word)
    if role is not None and role.parameters:
        return _emergency_form(ctx, command, person, role.name, _typed(duration, reason))
    call = Call(person.id, word, reason, duration, channel=command.channel)
    first = needs_lookup(ctx.world, person)
    outcome = do_once(ctx.world, command.key, lambda w: start_emergency(w, call, first))
    return emergency_answer(ctx, outcome) or show_list(ctx, command, person)


def _emergency_form(
    ctx: ListenerContext,
    command: Command,
    person: Person,
    role: str = "",
    typed: Mapping[str, str] | None = None,
) -> Message | None:
    roles = emergency_roles(ctx.world, person.id)
    chosen = next((each for each in roles if each.name == role), None)
    shown = open_view(ctx, command.trigger, emergency_modal.render(roles, chosen, typed))
    refresh_person(ctx, person)
    hint = f" Or write: {slash()} emergency ROLE [DURATION] REASON"
    return None if shown else answers.refused(TOO_LATE + hint)


def emergency_answer(ctx: ListenerContext, outcome: Called | Repeated) -> Message | None:
    """The answer to the user of an emergency; None where the call arrived before."""
    match outcome:
        case Refused():
            return _refused(outcome)
        case AlreadyHeld():
            return answers.already_held(outcome.grant, ctx.now)
        case AlreadyPending():
            return answers.already_pending(outcome.request, ctx.now)
        case Waiting():
            return answers.done(answers.waits_for_slack(outcome))
        case Started() | NeedsPress():
            card = describe_request(ctx.world, outcome.request.id)
            return answers.emergency(card) if card else None
    return None


def _ticket_in(role: Role | None, reason: str) -> str:
    """The first word of the reason that is a ticket of the form that the role requires. The reason
    keeps it."""
    if role is None or role.ticket is None:
        return ""
    words = (word.strip(",.;:()[]") for word in reason.split())
    return next((word for word in words if ticket_matches(role, word)), "")


def _asked(
    ctx: ListenerContext,
    command: Command,
    person: Person,
    act: Callable[[Context], Asked],
    note: str,
) -> Message:
    """Requests or renews, and returns the message; `note` says where the duration comes from."""

    def act_and_keep(world: Context) -> Asked:
        outcome = act(world)
        if isinstance(outcome, Submitted | AlreadyPending):
            keep(ctx, person.id, command.response_url, REQUEST, outcome.request.id)
        elif isinstance(outcome, AlreadyHeld):
            keep(ctx, person.id, command.response_url, GRANT, outcome.grant.id)
        return outcome

    outcome = do_once(ctx.world, command.key, act_and_keep)
    if isinstance(outcome, Refused):
        return _refused(outcome)
    if isinstance(outcome, AlreadyPending):
        return answers.already_pending(outcome.request, ctx.now)
    if isinstance(outcome, Waiting):
        return answers.done(answers.waits_for_slack(outcome))
    if isinstance(outcome, AlreadyHeld):
        return answers.already_held(outcome.grant, ctx.now)
    if isinstance(outcome, GrantedAtOnce):
        return answers.granted_at_once(outcome, note)
    if isinstance(outcome, Renewed):
        return answers.renewed(outcome.grant, ctx.now, note)
    return (
        answers.submitted(outcome, note)
        if isinstance(outcome, Submitted)
        else show_list(ctx, command, person)
    )


def renew(ctx: ListenerContext, command: Command, person: Person) -> Message:
    """`[ROLE] [DURATION] [REASON…]`"""
    held = describe_person(ctx.world, person.id).held
    name, rest = _role_first(ctx, unescape(command.text), held)
    try:
        duration, reason = take_span(rest, ctx.now, person.tz)
    except BadDuration as bad:
        usual = next((grant.duration for grant in held if name in (None, grant.role)), 3600)
        why = understood.advice(bad, f"{slash()} renew {name or ''}".rstrip(), rest, usual)
        return _refuse(ctx, person, "renew", why, role=name, reason=rest)
    if name is None and duration is None and reason:
        hint = f"Write {slash()} renew ROLE [DURATION] [REASON]."
        why = f"“{split(rest)[0][:60]}” is not a role that you hold. {hint}"
        return _refuse(ctx, person, "renew", why, reason=reason)
    grant = _the_one(ctx, person, "renew", held, name)
    if not isinstance(grant, Grant):
        return grant
    again = partial(
        renew_grant,
        grant_id=grant.id,
        person=person.id,
        duration=duration,
        reason=reason,
        channel=command.channel,
        look_up_first=needs_lookup(ctx.world, person),
    )
    note = (
        understood.default_note(reason, "as long as it was given for") if duration is None else ""
    )
    return _asked(ctx, command, person, again, note)


def _role_first(ctx: ListenerContext, text: str, held: Sequence[Grant]) -> tuple[str | None, str]:
    """The role that the text begins with, or None, and the rest of the text."""
    word, rest = split(text)
    known = word in ctx.world.policy().roles or any(grant.role == word for grant in held)
    return (word, rest) if known else (None, text.strip())


# --- giving back


def done(ctx: ListenerContext, command: Command, person: Person) -> Message:
    """`[ROLE]`"""
    held = describe_person(ctx.world, person.id).held
    grant = _the_one(ctx, person, "done", held, split(unescape(command.text))[0] or None)
    if not isinstance(grant, Grant):
        return grant
    outcome = do_once(ctx.world, command.key, lambda w: release_grant(w, grant.id, person.id))
    if isinstance(outcome, Ending):
        return answers.done(
            f"{grant.role} is closed from now on. A message follows when every system has"
            " confirmed it."
        )
    return _refused(outcome) if isinstance(outcome, Refused) else show_list(ctx, command, person)


def cancel(ctx: ListenerContext, command: Command, person: Person) -> Message:
    """`[ROLE]`"""
    pending = describe_person(ctx.world, person.id).pending
    waiting = _the_one(ctx, person, "cancel", pending, split(unescape(command.text))[0] or None)
    if not isinstance(waiting, Request):
        return waiting
    outcome = do_once(ctx.world, command.key, lambda w: withdraw_request(w, waiting.id, person.id))
    if isinstance(outcome, Withdrawn):
        return answers.done(f"Withdrawn: your request for {waiting.role}.")
    return _refused(outcome) if isinstance(outcome, Refused) else show_list(ctx, command, person)


def _the_one(
    ctx: ListenerContext, person: Person, verb: str, rows: Sequence[Row], role: str | None
) -> Row | Message:
    """The only row, or the one of that role; else a refusal, recorded, with the words to type
    instead."""
    matching = [row for row in rows if role is None or row.role == role]
    if len(matching) > 1 and len({row.role for row in matching}) == 1:
        # An emergency, and access requested while it ran: the former is given back first.
        matching.sort(key=lambda row: bool(row.urgency) is (verb == "renew"))
        return matching[0]
    if len(matching) == 1:
        return matching[0]
    names = _few(sorted({row.role for row in rows}))
    if not rows:
        hint = f" {slash()} asks for some." if verb == "renew" else ""
        why = f"There is nothing to {_DOES[verb]}: {_NOTHING[verb]}.{hint}"
    elif not matching:
        why = f"You have no “{(role or '')[:60]}” to {_DOES[verb]}, only: {names}."
    else:
        why = f"Which one? Write {slash()} {verb} and one of: {names}."
    return _refuse(ctx, person, verb, why, role=role)


def _few(names: Sequence[str]) -> str:
    """Up to MOST_NAMED names, and the number of the others."""
    shown = ", ".join(names[:MOST_NAMED])
    missing = len(names) - MOST_NAMED
    return f"{shown} and {missing} more, which {slash()} list shows" if missing > 0 else shown


_DOES: Mapping[str, str] = {"renew": "renew", "done": "give back", "cancel": "cancel"}
_NOTHING: Mapping[str, str] = {
    "renew": "you hold no access right now",
    "done": "you hold no access right now",
    "cancel": "you have no pending request",
}


# --- approving in advance


def _allow_hint() -> str:
    verb = f"{slash()} allow"
    return (
        f"Write {verb} @user ROLE [DURATION] until DATE [REASON], for example {verb} @dev"
        " shop-admin 2h until 2026-12-24, and choose the person from Slack's list."
    )


def allow(ctx: ListenerContext, command: Command, person: Person) -> Message:
    """`@user ROLE [DURATION] until DATE [REASON…]` or `list`"""
    who, rest = split(command.text)
    if who.lower() in ("", "list") and not rest:
        return preapproval_parts.listed(list_preapprovals(ctx.world, person.id), person.id)
    role, rest = split(unescape(rest))
    target = person_named(ctx.world, who)
    if target is None or not role:
        return _refuse(ctx, person, "approve in advance", f"Who, and for what? {_allow_hint()}")
    try:
        terms = read_terms(rest, ctx.now, person.tz)
    except BadDuration as bad:
        why = f"{bad} {_allow_hint()}"
        return _refuse(ctx, person, "approve in advance", why, role=role, reason=rest)
    if terms is None:
        why = f"Until when? {_allow_hint()}"
        return _refuse(ctx, person, "approve in advance", why, role=role, reason=rest)
    receiver = find_or_look_up(ctx, target)
    if isinstance(receiver, Refused):
        return _refuse(ctx, person, "approve in advance", receiver.reason, role=role)
    both = confirmed(ctx, person), confirmed(ctx, receiver)
    outcome = do_once(ctx.world, command.key, lambda w: give_preapproval(w, *both, role, terms))
    if isinstance(outcome, Refused):
        return _refused(outcome)
    if isinstance(outcome, Given):
        return preapproval_parts.given(outcome)
    return preapproval_parts.listed(list_preapprovals(ctx.world, person.id), person.id)


def disallow(ctx: ListenerContext, command: Command, person: Person) -> Message:
    """`@user ROLE`"""
    who, rest = split(command.text)
    target, role = person_named(ctx.world, who), split(unescape(rest))[0]
    if target is None or not role:
        why = f"Whose, and for what? Write {slash()} disallow @user ROLE."
        return _refuse(ctx, person, "take a pre-approval back", why, role=role)
    outcome = do_once(ctx.world, command.key, lambda w: take_preapprovals(w, person, target, role))
    if isinstance(outcome, Refused):
        return _refused(outcome)
    if isinstance(outcome, Repeated):
        return preapproval_parts.listed(list_preapprovals(ctx.world, person.id), person.id)
    return preapproval_parts.taken(outcome)


# --- looking


def show_list(ctx: ListenerContext, command: Command, person: Person) -> Message:
    view = describe_person(ctx.world, person.id)
    if view.held or view.pending:
        keep(ctx, person.id, command.response_url, LIST, person.id)
    return pages.my_access(ctx.world, person.id)


def show_roles(ctx: ListenerContext, command: Command, person: Person) -> Message:
    """`[ROLE or WORDS…]`"""
    return pages.roles(ctx.world, person.id, unescape(command.text).strip())


def show_help(ctx: ListenerContext, command: Command, person: Person) -> Message:
    return help.render(is_lead(ctx.world, person.id))


def explain(ctx: ListenerContext, command: Command, person: Person) -> Message:
    """`ROLE [@user]`"""
    role, rest = split(command.text)
    role, who = unescape(role), split(rest)[0]
    target = person_named(ctx.world, who) if who else person.id
    if not role or target is None:
        hint = f"Write {slash()} explain ROLE, or {slash()} explain ROLE @user for somebody else."
        why = f"{'Whom do you mean' if role else 'Which role'}? {hint}"
        return _refuse(ctx, person, "explain", why, role=role)
    if target != person.id and isinstance(other := find_or_look_up(ctx, target), Refused):
        return _refuse(ctx, person, "explain", other.reason, role=role)
    found = explain_role(ctx.world, person.id, role, target)
    if isinstance(found, Refused):
        return _refuse(ctx, person, "explain", found.reason, role=role)
    return explanation.render(found)


# --- being away


def _away_hint() -> str:
    return f"Write {slash()} away until DATE @delegate, and choose the person from Slack's list."


def away(ctx: ListenerContext, command: Command, person: Person) -> Message:
    """`until DATE @delegate`; without words, shows who decides in whose place now."""
    words = command.text.split()
    if not words:
        return answers.absences(describe_absences(ctx.world, person.id))
    named = next((word for word in words if person_named(ctx.world, word)), "")
    rest = " ".join(word for word in words if word != named)
    try:
        until = read_until(unescape(rest), ctx.now, person.tz)
    except BadDuration as bad:
        return _refuse(ctx, person, "away", f"{str(bad).rstrip('.')}. {_away_hint()}")
    delegate = _delegate(ctx, person_named(ctx.world, named) if named else None)
    if isinstance(delegate, Refused):
        return _refuse(ctx, person, "away", delegate.reason)
    outcome = do_once(ctx.world, command.key, lambda w: go_away(w, person.id, delegate, until))
    if isinstance(outcome, Refused):
        return _refused(outcome)
    return (
        answers.away(outcome)
        if isinstance(outcome, Away)
        else answers.absences(describe_absences(ctx.world, person.id))
    )


def _delegate(ctx: ListenerContext, id: str | None) -> Person | Refused:
    """The person as Slack describes them now."""
    if id is None:
        return Refused(f"Who decides in your place? {_away_hint()}")
    try:
        found = ctx.people.look_up(id)
    except (SystemUnavailable, SystemRefused) as error:
        log.warning("Slack did not say who the delegate %s is: %s", id, error)
        return Refused("Slack did not say who your delegate is. Try again in a moment.")
    record_people(ctx.world, [found])
    return found


def back(ctx: ListenerContext, command: Command, person: Person) -> Message:
    outcome = do_once(ctx.world, command.key, lambda w: come_back(w, person.id))
    if isinstance(outcome, Refused):
        return _refused(outcome)
    if isinstance(outcome, Back):
        return answers.done(f"Welcome back. {outcome.name} no longer decides in your place.")
    return answers.absences(describe_absences(ctx.world, person.id))


# --- leads


def revoke(ctx: ListenerContext, command: Command, person: Person) -> Message:
    """`@user [ROLE|all]`: lists the grants; the buttons there revoke them."""
    if (refused := require_lead(ctx.world, person.id, "revoke")) is not None:
        return _refused(refused)
    who, rest = split(command.text)
    target = person_named(ctx.world, who)
    if target is None:
        return answers.refused(
            f"Whose access? Write {slash()} revoke @user, and choose the person from Slack's list."
        )
    role = split(unescape(rest))[0]
    if role not in ("", "all") and isinstance(
        unknown := find_role(ctx.world.policy(), role), Refused
    ):
        return _refused(unknown)
    if any(role in ("", "all", grant.role) for grant in describe_person(ctx.world, target).held):
        keep(ctx, person.id, command.response_url, REVOKE, target)
    return pages.to_revoke(ctx.world, person.id, target, role)


def audit(ctx: ListenerContext, command: Command, person: Person) -> Message:
    """`[export|verify] [filters…]`, or the id of a request or grant."""
    word, rest = split(command.text)
    if _ID.fullmatch(word) and not rest:
        found = read_story(ctx.world, person.id, word)
        return _refused(found) if isinstance(found, Refused) else request_story.render(found)
    run = _AUDIT.get(word.lower(), _audit_page)
    return run(ctx, replace(command, text=rest if word.lower() in _AUDIT else command.text), person)


def _audit_page(ctx: ListenerContext, command: Command, person: Person) -> Message:
    filters = parse_filters(ctx.world, command.text, person.tz)
    if isinstance(filters, Refused):
        return _refused(require_lead(ctx.world, person.id, "read the audit log") or filters)
    return page(ctx.world, person.id, filters, None)


def _audit_export(ctx: ListenerContext, command: Command, person: Person) -> Message:
    filters = parse_filters(ctx.world, command.text, person.tz)
    if isinstance(filters, Refused):
        return _refused(require_lead(ctx.world, person.id, "export the audit log") or filters)
    refused = do_once(ctx.world, command.key, lambda w: ask_export(w, person.id, filters))
    if isinstance(refused, Refused):
        return _refused(refused)
    return answers.done("The records are on their way to you as a CSV file, in a direct message.")


def _audit_verify(ctx: ListenerContext, command: Command, person: Person) -> Message:
    refused = do_once(ctx.world, command.key, lambda w: ask_verify(w, person.id, command.channel))
    if isinstance(refused, Refused):
        return _refused(refused)
    return answers.done(
        "Checking the whole audit log… The result follows in a message that only you can see."
    )


def drift(ctx: ListenerContext, command: Command, person: Person) -> Message:
    """Compares every system with our records; the findings follow in a message with buttons."""
    refused = do_once(
        ctx.world, command.key, lambda w: ask_reconcile(w, person.id, command.channel)
    )
    if isinstance(refused, Refused):
        return _refused(refused)
    return answers.done(
        "Checking every system… The result follows in a message that only you can see."
    )


def show_flags(ctx: ListenerContext, command: Command, person: Person) -> Message:
    """The flags that wait for an answer, with buttons."""
    return pages.open_flags(ctx.world, person.id)


_ID = re.compile(r"[rg][0-9a-hj-km-np-tv-z]{11}")
"""The id of a request or grant (`new_id`)."""

_AUDIT: Mapping[str, Callable[[ListenerContext, Command, Person], Message]] = {
    "export": _audit_export,
    "verify": _audit_verify,
}


# --- refusing


def _refuse(
    ctx: ListenerContext,
    person: Person,
    action: str,
    why: str,
    *,
    role: str | None = None,
    reason: str = "",
) -> Message:
    refused = refuse_action(
        ctx.world, person.id, action, Refused(why), role=role or "", reason=reason
    )
    return _refused(refused)


def _refused(refused: Refused) -> Message:
    return answers.refused(refused.reason)


VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb("", open_form),
        Verb("request", request),
        Verb("list", show_list),
        Verb("renew", renew),
        Verb("done", done),
        Verb("cancel", cancel),
        Verb("roles", show_roles),
        Verb("emergency", emergency),
        Verb("away", away),
        Verb("back", back),
        Verb("help", show_help),
        Verb("allow", allow),
        Verb("disallow", disallow),
        Verb("revoke", revoke, leads=True),
        Verb("audit", audit, leads=True),
        Verb("drift", drift, leads=True),
        Verb("flags", show_flags, leads=True),
        Verb("explain", explain),
        Verb("onboard", onboard, leads=True),
        Verb("review", review),
    )
}
"""The verbs of `/access`; `views/help.py` describes them for people."""
