"""Does the work on real systems that a verb has left, here and now, and says what really came of it. A bot that runs
may be quicker: then it is waited for.
"""

import time
from collections.abc import Callable, Sequence

from bot.app import Base, build_hands
from bot.core.effects import Queue
from bot.core.model import GrantState
from bot.operations._unit import World
from bot.operations.describe_grant import GrantView, describe_grant

PATIENCE = 3
"""Seconds to wait for what a running bot has in hand."""

OVER = frozenset({GrantState.ENDED, GrantState.FAILED})


def end_work(base: Base, grants: Sequence[str]) -> None:
    """Makes ends real. A start that an end overtook stands before it in its lane, so starts get a turn too."""
    hands = build_hands(base)
    for queue in (Queue.END, Queue.START, Queue.END):
        hands.drain(queue)
    left = list(grants)

    def over() -> bool:
        left[:] = [grant for grant in left if _state(base.world, grant) not in OVER]
        return not left

    _wait(over)


def start_work(base: Base, grant: str) -> None:
    """Makes a start, or an extension, real."""
    build_hands(base).drain(Queue.START)
    _wait(lambda: _state(base.world, grant) is not GrantState.STARTING)


def ending_lines(world: World, grant: str) -> list[str]:
    """What each system of the grant has confirmed."""
    view = describe_grant(world, grant)
    return [_ending_line(view, place) for place in range(len(view.leases))] if view else []


def _ending_line(view: GrantView, place: int) -> str:
    lease = view.leases[place]
    if lease.state is GrantState.ENDED:
        return f"{view.grant.id} ended on {lease.system}."
    why = f" ({lease.error})" if lease.error else ""
    return f"{view.grant.id} asked; {lease.system} has not confirmed yet{why}. The bot tries until it does."


def _state(world: World, grant: str) -> GrantState | None:
    view = describe_grant(world, grant)
    return view.grant.state if view else None


def _wait(done: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not done() and time.monotonic() < until:
        time.sleep(0.1)
