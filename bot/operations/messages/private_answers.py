"""Keeps ephemeral answers up to date as long as Slack lets the bot change them."""

from dataclasses import dataclass
from hashlib import sha256

from bot.core import effects
from bot.core.model import GrantState, RequestState
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import ANSWERS_LAST, Context, Snapshot, UnitOfWork, new_id, unit
from bot.operations.grants.describe_grant import GrantView, describe_grant
from bot.operations.people.describe_person import PersonView, describe_person
from bot.operations.requests.describe_request import RequestCard, describe_request
from storage import private_answers
from storage.private_answers import PrivateAnswer

REQUEST, GRANT, LIST, REVOKE = "request", "grant", "list", "revoke"
"""The subject of an answer: one request, one grant, the reader's own access, or another
person's."""

USES = 5
"""The number of changes that Slack accepts for one answer
(https://docs.slack.dev/interactivity/handling-user-interaction)."""

OVER = (GrantState.ENDED, GrantState.FAILED)


@dataclass(frozen=True, slots=True)
class AnswerView:
    """An answer with its subject; one of the three is set. `is_last` marks the last change that
    Slack accepts, `is_over` an answer that will not change again. `shown` is a digest of its
    content."""

    answer: PrivateAnswer
    request: RequestCard | None
    grant: GrantView | None
    person: PersonView | None
    shown: str
    is_last: bool
    is_over: bool


def keep_answer(world: Context, person: str, url: str, kind: str, about: str) -> None:
    """Keeps a new answer to this person up to date. Its address is deleted after half an hour."""
    answer = PrivateAnswer(new_id("p"), person, url, kind, about, world.now())
    if (view := _describe(world, answer)) is None or view.is_over:
        return
    with world.db.transaction():
        kept = PrivateAnswer(answer.id, person, url, kind, about, answer.at, 0, view.shown)
        private_answers.add(world.db, kept)


def answer_by_change(
    u: UnitOfWork, person: str, url: str, kind: str, about: str, given_at: int
) -> bool:
    """Queues a change of the answer given at `given_at` to the current state of a request or grant,
    and keeps it up to date; returns False if Slack may no longer accept a change."""
    if not url or given_at <= u.now - ANSWERS_LAST // 2:
        return False
    answer = PrivateAnswer(new_id("p"), person, url, kind, about, given_at)
    private_answers.add(u.db, answer)
    u.do(effects.update_answer(answer.id))
    return True


def update_old_answer(world: Context, person: str, url: str, kind: str, about: str) -> None:
    """Shows an answer in its current state after a click on a button of it, even if it may be too
    old to keep up to date."""
    with world.db.reading():
        if private_answers.of(world.db, [person], world.now() - ANSWERS_LAST):
            return
    with unit(world) as u:
        answer = PrivateAnswer(new_id("p"), person, url, kind, about, u.now)
        private_answers.add(u.db, answer)
        u.do(effects.update_answer(answer.id))


def describe_answer(world: Context, answer: str) -> AnswerView | None:
    """Returns None for an answer that Slack no longer lets the bot change."""
    with world.db.reading():
        found = private_answers.get(world.db, answer)
    if found is None or found.at <= world.now() - ANSWERS_LAST or found.uses >= USES:
        return None
    return _describe(world, found)


def _describe(world: Context, answer: PrivateAnswer) -> AnswerView | None:
    last = answer.uses == USES - 1
    if answer.kind == REQUEST:
        if (card := describe_request(world, answer.about)) is None:
            return None
        over = card.request.state is not RequestState.PENDING
        return AnswerView(answer, card, None, None, _digest(card.request.state), last, over)
    if answer.kind == GRANT:
        if (view := describe_grant(world, answer.about)) is None:
            return None
        shown = _digest(view.grant.state, view.grant.ends_at)
        return AnswerView(answer, None, view, None, shown, last, view.grant.state in OVER)
    if answer.kind == REVOKE:
        with world.db.reading():
            if leads_only(Snapshot(world), answer.person) is not None:
                return None
    person = describe_person(world, answer.about)
    held = [(grant.id, grant.state, grant.ends_at) for grant in person.held]
    pending = [request.id for request in person.pending]
    return AnswerView(answer, None, None, person, _digest(held, pending), last, False)


def _digest(*shown: object) -> str:
    return sha256(repr(shown).encode()).hexdigest()[:16]


def record_changed(world: Context, view: AnswerView) -> None:
    """Records that Slack accepted the change."""
    with world.db.transaction():
        if view.is_last or view.is_over:
            private_answers.drop(world.db, view.answer.id)
        else:
            private_answers.used(world.db, view.answer.id, view.shown)


def drop_answer(world: Context, answer: str) -> None:
    """Drops an answer that Slack no longer lets the bot change."""
    with world.db.transaction():
        private_answers.drop(world.db, answer)


def forget_answers(world: Context) -> None:
    """Deletes the addresses of answers that Slack no longer lets the bot change. Raises
    StorageUnavailable."""
    with world.db.reading():
        old = private_answers.any_before(world.db, world.now() - ANSWERS_LAST)
    if old:
        with world.db.transaction():
            private_answers.forget(world.db, world.now() - ANSWERS_LAST)
