"""Counts a stored press on Approve or Deny after Slack has confirmed the voter, and replies to the
voter where the message does not show the outcome."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bot.core import effects
from bot.core.approval import NeedsApproval, Refused
from bot.core.authority import OPERATOR
from bot.core.effects import Effect
from bot.core.model import Person
from bot.operations._unit_of_work import Context, Snapshot, reading, unit
from bot.operations.people.record_people import record_people
from bot.operations.requests.accept_vote import AlreadyDecided
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.deny_request import Denied, deny_request
from storage import requests

Outcome = Granted | Denied | NeedsApproval | AlreadyDecided | Refused


def left_to_look_up(
    world: Context, refs: Iterable[str], press: Mapping[str, Any]
) -> tuple[tuple[str, ...], list[str]]:
    """The unresolved ones of `refs`, and `others_to_confirm`, for a press whose voter was looked
    up. Raises StorageUnavailable."""
    with reading(world) as u:
        return u.directory.unresolved(refs), others_to_confirm(u, press)


def others_to_confirm(u: Snapshot, press: Mapping[str, Any]) -> list[str]:
    """The people in Slack whose earlier approvals count together with this press, and the absent
    approvers in whose place they or the voter decide."""
    votes = requests.votes(u.db, str(press["request"])) if press["approve"] else []
    authority = u.authority()
    voters = [str(press["voter"]), *(each.voter for each in votes)]
    absent = [giver for voter in voters for giver in authority.givers_of(voter)]
    found = dict.fromkeys([*voters, *absent])
    return [each for each in found if each != press["voter"] and not each.startswith(OPERATOR)]


def count_vote(
    world: Context, press: Mapping[str, Any], voter: Person, others: Sequence[Person] = ()
) -> Outcome:
    """`press` is the data of a `decide` effect; `voter` and the `others_to_confirm` are as Slack
    describes them now."""
    record_people(world, [voter, *others])
    outcome = _decide(world, press, voter)
    if left := [*_reported(outcome, voter.id, str(press["channel"]))]:
        with unit(world) as u:
            u.do(*left)
    return outcome


def abandon_vote(world: Context, press: Mapping[str, Any], why: str = "") -> None:
    """Drops a press that was not confirmed in time, or that could not be counted for the reason
    `why`; records the refusal and notifies the voter."""
    why = why or "Slack did not confirm who you are"
    refused = Refused(f"{why[0].upper()}{why[1:]}, so nothing was decided. Please press again.")
    with unit(world) as u:
        request = requests.get(u.db, str(press["request"]))
        action = "approve" if press["approve"] else "deny"
        u.refuse(refused, str(press["voter"]), action, request, reason=str(press["reason"]))
        u.do(
            effects.answer(
                str(press["voter"]), str(press["channel"]), "refused", why=refused.reason
            )
        )


def _decide(world: Context, press: Mapping[str, Any], voter: Person) -> Outcome:
    request = str(press["request"])
    if not press["approve"]:
        return deny_request(world, request, voter, str(press["reason"]))
    return approve_request(
        world,
        request,
        voter,
        duration=press["duration"],
        actions=_some(press["actions"]),
        systems=_some(press["systems"]),
        start_at=press["start_at"],
    )


def _some(named: list[str] | None) -> tuple[str, ...] | None:
    return None if named is None else tuple(named)


def _reported(outcome: Outcome, voter: str, channel: str) -> Iterator[Effect]:
    if (answer := _answer(outcome)) is not None:
        note, facts = answer
        yield effects.answer(voter, channel, note, **facts)
    if not channel:
        # Pressed in Home, or in a form opened there: nothing else redraws it.
        yield effects.publish_home(voter)


def _answer(outcome: Outcome) -> tuple[str, dict[str, object]] | None:
    if isinstance(outcome, Refused):
        return "refused", {"why": outcome.reason}
    if isinstance(outcome, AlreadyDecided):
        return "already_decided", {"request": outcome.request.id}
    if isinstance(outcome, NeedsApproval):
        facts = {"have": len(outcome.have), "need": outcome.need, "tier": outcome.tier}
        return "vote_counted", facts
    return None
