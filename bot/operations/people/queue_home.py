"""Queues a person's App Home, and keeps it up to date for a while."""

from bot.core import effects
from bot.operations._unit_of_work import Context, unit
from storage import private_answers


def queue_home(world: Context, person: str, section: str = "", skip: int = 0) -> None:
    """Queues App Home; `section` starts after `skip` rows, the others at their first. Raises
    StorageUnavailable."""
    with unit(world) as u:
        private_answers.open_home(u.db, person, u.now)
        u.do(effects.publish_home(person, section, skip))
