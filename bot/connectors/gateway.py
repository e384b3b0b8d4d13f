"""Systems behind a gateway that checks our tokens: access is an open gate in our database."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal
from urllib.parse import urlsplit

from bot.connectors.actions import fill_encoded
from bot.connectors.base import Abilities, ConnectorDeps, ConnectorKind, ObservedAccess
from bot.connectors.settings import Secret, SystemTable, Text
from bot.connectors.transport.urls import checked_base
from bot.core.audit import rfc3339
from bot.core.errors import SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.core.plurals import counted
from bot.core.roles import Settings, System, Warned, Written
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
    browser: bool | None = None
    url: Text | None = None


def _wrong_settings(settings: Settings) -> Iterator[tuple[str, str]]:
    browser, url = settings.get("browser") is True, settings.get("url")
    if browser and url is None:
        yield (
            "url",
            "is required with browser = true: the address at which a browser finds the page",
        )
    if url is not None and not browser:
        yield "url", "is for browsers only: write browser = true, or remove it"
    if url is not None and (why := _wrong_url(str(url))):
        yield "url", why


def _wrong_url(url: str) -> str:
    try:
        checked_base(url)
    except ValueError as error:
        return str(error)
    parts = urlsplit(url)
    if parts.path not in ("", "/"):
        return "must be a scheme and a host only, without a path: the cookie is for the whole host"
    if url != url.lower():
        return "must be in lower case"
    host = parts.hostname or ""
    return "" if ":" in host or _HOST.fullmatch(host) else f"{quoted(host)} is not a host"


def _lint(systems: Sequence[Written]) -> Iterator[Warned]:
    """Cookies do not distinguish ports, so two systems on one host sign each other out."""
    first: dict[str, str] = {}
    for system in (each.system for each in systems):
        host = urlsplit(system.browser_url).hostname if system.browser_url else None
        if host and (other := first.setdefault(host, system.name)) != system.name:
            words = f"is on the host of {other}: a browser keeps one cookie for both"
            yield "same-host", (system.name, "url"), f"{words}, so that each signs the other out"


def _wrong_scope(action: str) -> str:
    return (
        ""
        if _SCOPE.fullmatch(action)
        else f"{quoted(action)} is not a scope: no spaces, quotes or backslashes"
    )


_HOST = re.compile(r"[a-z0-9._-]+")

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 section 3.3: scope-token

KIND = ConnectorKind(
    make=Gateway,
    table=GatewayTable,
    shown=frozenset({"record", "browser", "url"}),
    wrong_settings=_wrong_settings,
    warnings=("same-host",),
    lint=_lint,
    settings_identify=False,
    wrong_action=_wrong_scope,
    fill=fill_encoded,
    abilities=Abilities(in_our_rows=True, ends_together=True, checks_tokens=True, reports_use=True),
)
