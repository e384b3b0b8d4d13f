"""Queues updates of App Home for the people who have it open."""

from collections.abc import Collection, Sequence

from bot.core import effects
from bot.operations._unit_of_work import HOME_LASTS, UnitOfWork
from storage import outbox, private_answers


def refresh_homes(u: UnitOfWork, people: Collection[str]) -> None:
    """Queues an update of each open App Home of these people."""
    looking = private_answers.open_homes(u.db, u.now - HOME_LASTS)
    publish_homes(u, [person for person in looking if person in people])


def publish_homes(u: UnitOfWork, homes: Sequence[str]) -> None:
    """Queues an update of each of these App Homes, unless one waits already."""
    waiting = outbox.waiting(u.db, [effects.home_key(person) for person in homes])
    u.do(
        *(
            effects.publish_home(person, last=True)
            for person in homes
            if effects.home_key(person) not in waiting
        )
    )
