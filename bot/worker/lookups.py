"""Handlers that look up people and groups in Slack, and process the votes and requests that waited
for that."""

from bot.core.errors import Outdated, SystemRefused, SystemUnavailable
from bot.core.model import Person
from bot.operations._unit_of_work import Context
from bot.operations.claim_work import Work
from bot.operations.people.record_people import groups_read_since, record_people
from bot.operations.policy.find_unresolved import (
    needed_for_decision,
    unresolved_of_role,
)
from bot.operations.policy.record_policy import is_outdated
from bot.operations.requests.answer_waiting import answer_waiting, give_up_waiting
from bot.operations.requests.count_vote import abandon_vote, count_vote, left_to_look_up
from bot.worker.deps import HandlerDeps

PRESS_PATIENCE = 120
"""Seconds after which a vote is dropped if Slack does not confirm the voter."""


# --- votes


def decide(deps: HandlerDeps, work: Work) -> None:
    """Counts a vote after the ticket was looked up again and Slack has confirmed who pressed."""
    if work.data["approve"]:
        deps.tickets.look_up_of(work.data["request"])
    refs, groups = needed_for_decision(deps.world, work.data["request"])
    voter = deps.people.confirm(work.data["voter"], groups)
    unknown, others = left_to_look_up(deps.world, refs, work.data)
    if unknown:
        deps.people.resolve(unknown)
    work.finish(count_vote, work.data, voter, [deps.people.look_up(each) for each in others])


def delay_decision(deps: HandlerDeps, work: Work, error: SystemUnavailable) -> None:
    """Drops the vote if Slack has not confirmed the voter for too long."""
    if deps.world.now() - work.row.created_at >= PRESS_PATIENCE:
        work.finish(abandon_vote, work.data, str(error) if isinstance(error, Outdated) else "")


def refuse_decision(deps: HandlerDeps, work: Work, error: SystemRefused) -> None:
    """Drops the vote, because Slack does not know the voter."""
    work.finish(abandon_vote, work.data)


# --- requests that wait for the members of a role


def ask(deps: HandlerDeps, work: Work) -> None:
    """Answers a request after its ticket was looked up, and Slack has reported the people and
    groups of its role."""
    if is_outdated(deps.world):
        raise Outdated  # another process must decide
    deps.tickets.look_up_for(work.data["role"], str(work.data.get("ticket", "")))
    person = deps.people.look_up(work.data["person"])
    if unknown := unresolved_of_role(deps.world, work.data["role"]):
        deps.people.resolve(unknown)
    work.finish(_answer, work, person)


def _answer(world: Context, work: Work, person: Person) -> None:
    record_people(world, [person])
    answer_waiting(world, work.data)


def delay_ask(deps: HandlerDeps, work: Work, error: SystemUnavailable) -> None:
    """Drops the request when its time is over."""
    if deps.world.now() >= work.data["until"]:
        is_outdated = isinstance(error, Outdated)
        work.finish(give_up_waiting, work.data, str(error), outdated=is_outdated)


def refuse_ask(deps: HandlerDeps, work: Work, error: SystemRefused) -> None:
    """Drops the request, because Slack does not know a person or group of its role."""
    work.finish(give_up_waiting, work.data, str(error))


# --- people and groups


def look_up_person(deps: HandlerDeps, work: Work) -> None:
    """Reads one person from Slack."""
    work.finish(record_people, [deps.people.look_up(work.data["person"])])


def refresh_groups(deps: HandlerDeps, work: Work) -> None:
    """Reads all user groups, unless they were read after this was queued."""
    if not groups_read_since(deps.world, work.row.created_at):
        deps.people.refresh_groups()


def refresh_people(deps: HandlerDeps, work: Work) -> None:
    """Reads all people that roles.toml names by address."""
    deps.people.refresh_people()
