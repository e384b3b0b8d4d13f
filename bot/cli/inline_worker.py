"""Starts and ends access from the command line, and reports the confirmations of the systems."""

import time
from collections.abc import Callable, Sequence

from bot.app import Services, build_dispatcher
from bot.core.effects import Queue
from bot.core.model import GrantState
from bot.operations._unit_of_work import Context
from bot.operations.grants.describe_grant import GrantView, describe_grant

PATIENCE = 3
"""Seconds to wait for work that a running bot has already claimed."""

OVER = frozenset({GrantState.ENDED, GrantState.FAILED})


def end_work(base: Services, grants: Sequence[str]) -> None:
    """Ends the grants on their systems. Starts get a turn too: a start that was queued before the
    end holds it up."""
    dispatcher = build_dispatcher(base)
    for queue in (Queue.END, Queue.START, Queue.END):
        dispatcher.drain(queue)
    left = list(grants)

    def over() -> bool:
        left[:] = [grant for grant in left if _state(base.world, grant) not in OVER]
        return not left

    _wait(over)


def look_up_ticket(base: Services, request: str) -> None:
    """Looks up the ticket of a request, as the bot does before it counts a press in Slack."""
    build_dispatcher(base).tickets.look_up_of(request)


def start_work(base: Services, grant: str) -> None:
    """Starts or extends the grant on its systems."""
    build_dispatcher(base).drain(Queue.START)
    _wait(lambda: _state(base.world, grant) is not GrantState.STARTING)


def ending_lines(world: Context, grant: str) -> list[str]:
    """Reports for each system of the grant whether it has confirmed the revocation."""
    view = describe_grant(world, grant)
    return [_ending_line(view, place) for place in range(len(view.leases))] if view else []


def _ending_line(view: GrantView, place: int) -> str:
    lease, grant = view.leases[place], view.grant.id
    if lease.state is GrantState.ENDED:
        return f"{grant} ended on {lease.system}."
    why = f" ({lease.error})" if lease.error else ""
    unconfirmed = f"{lease.system} has not confirmed the revocation yet{why}"
    return f"{grant} is ending: {unconfirmed}. The bot retries until it does."


def _state(world: Context, grant: str) -> GrantState | None:
    view = describe_grant(world, grant)
    return view.grant.state if view else None


def _wait(done: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not done() and time.monotonic() < until:
        time.sleep(0.1)
