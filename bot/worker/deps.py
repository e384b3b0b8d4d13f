"""What handlers of outbox work need."""

from dataclasses import dataclass

from bot.connectors import Systems
from bot.health import Health
from bot.operations._unit import World
from bot.operations.count_usage import UsageMeter
from bot.slack.messenger import Messenger
from bot.slack.people import SlackPeople
from bot.survey import Survey


@dataclass(frozen=True, slots=True)
class HandlerDeps:
    """One for each process."""

    world: World
    systems: Systems
    people: SlackPeople
    messenger: Messenger
    meter: UsageMeter
    health: Health
    survey: Survey
