"""A webhook connector for a test's own receiver, and a grant to send to it."""

from __future__ import annotations

from typing import Any

from bot.connectors import make
from bot.connectors.webhook import Webhook
from bot.core.model import ProvisionOrder
from bot.core.roles import System
from tests.connectors.receiver import SECRET
from tests.factories import a_person

NOW = 1_790_000_000
A_GRANT = ProvisionOrder(
    "g1", "warehouse", "webhook", a_person(), "count", ("stock:count",), NOW, NOW + 3600
)
GOOD = b'{"state": "active"}'
TOOLS: Any = None


def hook(url: str, **settings: object) -> Webhook:
    system = System(
        "warehouse",
        "webhook",
        {"url": url, "secret": SECRET, "timeout": 5, "private": True} | settings,
    )
    found = make(system, TOOLS)
    assert isinstance(found, Webhook)
    return found
