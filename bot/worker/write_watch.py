"""Tries a write once a second after one has failed, so that an idle process notices the
recovery."""

import logging

from bot.operations._unit_of_work import Context
from bot.operations.process.check_storage import writing_problem

log = logging.getLogger(__name__)


class WriteWatch:
    def __init__(self, world: Context) -> None:
        self._world, self._failing = world, False

    def check(self) -> None:
        """Call it once a second. It takes as long as the database takes to refuse a write."""
        problem = writing_problem(self._world)
        if bool(problem) == self._failing:
            return
        self._failing = bool(problem)
        if problem:
            log.warning("the database takes no writes: %s", problem)
        else:
            log.warning("the database takes writes again")
