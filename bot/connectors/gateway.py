"""Systems behind a gateway that checks our tokens: access is an open gate in our database."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from bot.connectors.base import Abilities, ConnectorDeps, ConnectorKind, ObservedAccess
from bot.connectors.settings import Secret, SystemTable
from bot.core.audit import rfc3339
from bot.core.errors import SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.core.plurals import counted
from bot.core.roles import System
from bot.core.values import quoted


class Gateway:
    """A grant's gate at one system. The system itself is not called: it checks the token at every
    request."""

    def __init__(self, system: System, tools: ConnectorDeps) -> None:
        self._name, self._gates = system.name, tools.gates

    def grant(self, order: ProvisionOrder) -> None:
        self._gates.open(order.grant, order.system, order.ends_at)

    def revoke(self, order: ProvisionOrder) -> None:
        self._gates.close(order.grant, order.system)

    def revoke_all(self, orders: Sequence[ProvisionOrder]) -> None:
        """Revokes many in one transaction, because gates are rows in our database."""
        leases = [(order.grant, order.system) for order in orders]
        self._gates.close_all(leases)
        if left := self._gates.still_open(leases):
            raise SystemUnavailable(f"still open: {counted(len(left), 'gate')}")

    def read_back(self, order: ProvisionOrder) -> bool:
        return self._gates.until(order.grant, order.system) is not None

    def list_active(self) -> Iterable[ObservedAccess]:
        for grant, until in self._gates.open_at(self._name).items():
            yield ObservedAccess(grant, grant, f"a gate that is open until {rfc3339(until)}")

    def remove(self, found: ObservedAccess) -> None:
        self._gates.close(found.grant, self._name)


class GatewayTable(SystemTable):
    secret: Secret
    record: Literal["paths"] | None = None


def _wrong_scope(action: str) -> str:
    return (
        ""
        if _SCOPE.fullmatch(action)
        else f"{quoted(action)} is not a scope: no spaces, quotes or backslashes"
    )


_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 section 3.3: scope-token

KIND = ConnectorKind(
    make=Gateway,
    table=GatewayTable,
    shown=frozenset({"record"}),
    settings_identify=False,
    wrong_action=_wrong_scope,
    abilities=Abilities(in_our_rows=True, ends_together=True, checks_tokens=True, reports_use=True),
)
