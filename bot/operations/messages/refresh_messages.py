"""Finds everything in Slack that shows a grant or request which has changed, and queues one update
for each message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.core import effects
from bot.core.authority import deciders
from bot.core.model import Grant, GrantState, Request
from bot.operations._end_grant import channel_of, withdraw
from bot.operations._leads_only import seen_as_lead
from bot.operations._open_homes import publish_homes
from bot.operations._unit_of_work import (
    ANSWERS_LAST,
    HOME_LASTS,
    SYSTEM,
    Context,
    Snapshot,
    UnitOfWork,
    reading,
    unit,
)
from bot.operations.messages.direct_notes import stale_messages, update_messages
from bot.operations.messages.shown_windows import clear_windows, windows_of
from storage import grants, outbox, private_answers, requests
from storage.direct_notes import Place

OVER = (GrantState.ENDED, GrantState.FAILED)


@dataclass(frozen=True, slots=True)
class Stale:
    """The outdated parts of Slack: messages, App Homes, answers and windows; also renewals of
    access that is over."""

    renewals: Sequence[Request]
    messages: Sequence[Place]
    approvals: Sequence[tuple[str, str]]
    homes: Sequence[str]
    answers: Sequence[str]
    windows: Mapping[str, str]


def find_stale(
    world: Context, about: Sequence[str], asked: Sequence[str], cards: Sequence[str]
) -> Stale:
    """Returns the outdated parts: `about` are grants, `asked` requests, `cards` grants whose
    approval messages are outdated. This reads much, so it runs outside of the transaction that
    writes: ends must not wait for it. Raises StorageUnavailable."""
    with reading(world) as reader:
        moved = grants.several(reader.db, about)
        seen = [request for name in asked if (request := requests.get(reader.db, name)) is not None]
        over = [grant.id for grant in moved if grant.state in OVER]
        people = sorted({grant.person for grant in moved} | {request.requester for request in seen})
        return Stale(
            renewals=requests.pending_renewals(reader.db, over),
            messages=stale_messages(reader, about, asked),
            approvals=requests.shown_for(reader.db, cards),
            homes=_homes(reader, moved, seen),
            answers=private_answers.of(reader.db, people, reader.now - ANSWERS_LAST),
            windows=windows_of(
                reader, [grant.id for grant in moved if grant.state in (GrantState.ENDING, *OVER)]
            ),
        )


def queue_updates(world: Context, stale: Stale) -> None:
    """Queues an update of all that is stale. Raises StorageUnavailable."""
    with unit(world) as u:
        for renewal in stale.renewals:
            withdraw(u, renewal, SYSTEM, "the access that it would renew has ended")
        update_messages(u, stale.messages)
        _update_approvals(u, stale.approvals)
        publish_homes(u, stale.homes)
        _update_answers(u, stale.answers)
        clear_windows(u, stale.windows)


def _update_approvals(u: UnitOfWork, shown: Sequence[tuple[str, str]]) -> None:
    waiting = outbox.waiting(u.db, [effects.update_key(request) for request, _ in shown])
    u.do(
        *(
            effects.update_approval(request, channel_of(u, role), last=True)
            for request, role in shown
            if effects.update_key(request) not in waiting
        )
    )


def _update_answers(u: UnitOfWork, answers: Sequence[str]) -> None:
    waiting = outbox.waiting(u.db, [effects.answer_key(answer) for answer in answers])
    u.do(
        *(
            effects.update_answer(answer)
            for answer in answers
            if effects.answer_key(answer) not in waiting
        )
    )


def _homes(u: Snapshot, moved: Sequence[Grant], asked: Sequence[Request]) -> list[str]:
    """Returns the people who have App Home open and see one of these there."""
    looking = private_answers.open_homes(u.db, u.now - HOME_LASTS)
    if not looking:
        return []
    own = {grant.person for grant in moved} | {request.requester for request in asked}
    able = {
        person
        for request in asked
        if (role := u.role_of(request)) is not None
        for person in deciders(role, request.requester, u.authority(request))
    }
    return [
        person
        for person in looking
        if person in own or person in able or seen_as_lead(u, person) is None
    ]
