"""The services that handlers of outbox work use."""

from dataclasses import dataclass

from bot.connectors import Systems
from bot.connectors.health import Health
from bot.operations._unit_of_work import Context
from bot.operations.usage.count_usage import UsageMeter
from bot.slack.messenger import Messenger
from bot.slack.people import SlackPeople
from bot.worker.end_recorder import EndRecorder
from bot.worker.inventory import InventoryScan
from bot.worker.ticket_lookups import TicketLookups


@dataclass(frozen=True, slots=True)
class HandlerDeps:
    """The services of one process."""

    world: Context
    systems: Systems
    people: SlackPeople
    messenger: Messenger
    meter: UsageMeter
    health: Health
    inventory: InventoryScan
    ends: EndRecorder
    tickets: TicketLookups
