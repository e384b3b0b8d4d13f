"""Runs the checks of `access-bot doctor` once a night, however many workers there are."""

from collections.abc import Callable

from slack_sdk import WebClient

from bot.app import Services
from bot.config.logging import redact
from bot.core.model import Source
from bot.doctor import check_deployment
from bot.doctor.findings import Deployment, State
from bot.operations.process.nightly_checkup import claim_checkup, record_checkup


class NightlyCheckup:
    """`client` waits when Slack asks for a pause; `wall` is this machine's clock."""

    def __init__(self, base: Services, client: WebClient, wall: Callable[[], float]) -> None:
        self._deployment = Deployment(base, client, wall)
        self._world = base.world.via(Source.CLOCK)

    def check(self) -> None:
        """Makes the checks if they are due and no other process makes them. Raises
        StorageUnavailable."""
        if not claim_checkup(self._world):
            return
        found = [*check_deployment(self._deployment)]
        problems = [redact(str(each)) for each in found if each.state is not State.OK]
        record_checkup(self._world, problems, all(each.is_checked for each in found))
