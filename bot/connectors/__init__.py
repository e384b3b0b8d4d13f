"""The connectors by kind: one file or folder and one line for each. A kind is imported when it is
first needed.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from pydantic import BaseModel, ConfigDict

from bot.connectors.base import Connector, ConnectorDeps, ConnectorKind, Located
from bot.connectors.redaction import Redaction, redacting
from bot.core.errors import NotCalled
from bot.core.model import ProvisionOrder
from bot.core.roles import NO_ABILITIES, Abilities, System

log = logging.getLogger(__name__)

GROUP = "access_bot.connectors"
"""The entry points of installed packages: the name of a connector, and its ConnectorKind."""

OURS: Mapping[str, str] = {
    "gateway": "bot.connectors.gateway",
    "postgres": "bot.connectors.postgres.kind",
    "ssh": "bot.connectors.ssh.kind",
    "aws": "bot.connectors.aws.kind",
    "webhook": "bot.connectors.webhook",
    "command": "bot.connectors.command",
    "github": "bot.connectors.github",
    "okta": "bot.connectors.okta",
    "kubernetes": "bot.connectors.kubernetes",
}
"""The module that exports the KIND of each built-in connector."""


class Kinds(Mapping[str, ConnectorKind]):
    """Every kind of connector by its name, including those of installed packages. A kind is
    imported only when it is used."""

    def __getitem__(self, name: str) -> ConnectorKind:
        return _of_ours(name) if name in OURS else _from_package(installed()[name])

    def __contains__(self, name: object) -> bool:
        return name in OURS or name in installed()

    def __iter__(self) -> Iterator[str]:
        return iter([*OURS, *installed()])

    def __len__(self) -> int:
        return len(OURS) + len(installed())


KINDS = Kinds()


class Systems:
    """The connectors of all systems. `find` returns a system as roles.toml has it now, or None."""

    def __init__(
        self,
        find: Callable[[str], System | None],
        tools: ConnectorDeps,
        kinds: Mapping[str, ConnectorKind] = KINDS,
    ) -> None:
        self._find, self._tools, self._kinds = find, tools, kinds
        self._made: dict[str, tuple[System, Connector]] = {}
        self._lock = threading.Lock()

    def abilities(self, kind: str) -> Abilities:
        """The abilities of systems of this kind; none for an unknown kind."""
        return self._kinds[kind].abilities if kind in self._kinds else NO_ABILITIES

    def ends_together(self, kind: str) -> bool:
        return self.abilities(kind).ends_together

    def in_our_rows(self, kind: str) -> bool:
        return self.abilities(kind).in_our_rows

    def is_changed(self, order: ProvisionOrder) -> bool:
        """Whether the system in roles.toml is no longer the one that was approved."""
        if not order.reach:
            return False
        system = self._find(order.system)
        return system is None or system.reach != order.reach

    def of(self, name: str, kind: str) -> Connector:
        """The connector of the system called `name`, for access that a connector of this kind made.
        Raises SystemUnavailable if there is none, because the system may be added to roles.toml
        again."""
        system = self._find(name)
        if (system is None or system.connector != kind) and self.abilities(kind).in_our_rows:
            # Its access is in our database and does not need roles.toml.
            system = System(name, kind, {})
        elif system is None:
            raise NotCalled(
                f"{name} was removed from roles.toml while access to it is still active: "
                "add it back until that access has ended"
            )
        elif system.connector != kind:
            raise NotCalled(
                f"{name} was of kind {kind} when this access was made; it is {system.connector} now"
            )
        with self._lock:
            known = self._made.get(name)
            if known is None or known[0] != system:
                known = self._made[name] = (system, make(system, self._tools, self._kinds))
            return known[1]


def for_more(systems: Systems, order: ProvisionOrder) -> Connector:
    """Like `for_order`, to give access. Also raises SystemUnavailable if the settings are not those
    that were approved."""
    connector = for_order(systems, order)
    if systems.is_changed(order):
        raise NotCalled(
            f"the settings of {order.system} in roles.toml are not those that were approved"
        )
    return connector


def for_order(systems: Systems, order: ProvisionOrder) -> Connector:
    """The connector for an order. Also raises SystemUnavailable if the settings lead to a different
    address than when this access was made: a revocation there would not count."""
    connector = systems.of(order.system, order.connector)
    if order.target and (target := target_of(connector)) and target != order.target:
        raise NotCalled(
            f"{order.system} leads elsewhere in roles.toml than when this access was made: put it"
            " back until that has ended, or say that it is the same system: access-bot systems"
            f" confirm-target {order.system}"
        )
    return connector


def target_of(connector: Connector) -> str:
    """The address of its settings, or "" if the connector does not report it."""
    return connector.target if isinstance(connector, Located) else ""


def make(
    system: System, tools: ConnectorDeps, kinds: Mapping[str, ConnectorKind] = KINDS
) -> Connector:
    """A connector for this system that redacts its secrets. Raises SystemUnavailable with the
    problem of its settings."""
    with Redaction(system).calling():
        return redacting(_made(system, tools, kinds), system)


def _made(system: System, tools: ConnectorDeps, kinds: Mapping[str, ConnectorKind]) -> Connector:
    if system.connector not in kinds:
        raise NotCalled(f"there is no connector {system.connector}: is its package installed?")
    try:
        return kinds[system.connector].make(system, tools)
    except ImportError as error:
        extra = (
            f"pip install 'access-bot[{system.connector}]'"
            if system.connector in OURS
            else "see its package"
        )
        raise NotCalled(
            f"{system.name} needs {error.name}, which is not installed: {extra}"
        ) from error
    except ValueError as error:
        raise NotCalled(f"{system.name} can't be used: {error}") from error


@cache
def _of_ours(name: str) -> ConnectorKind:
    return import_module(OURS[name]).KIND  # type: ignore[no-any-return]


@cache
def installed() -> Mapping[str, EntryPoint]:
    """The connectors of installed packages by name. They can't replace a built-in one."""
    found = {point.name: point for point in entry_points(group=GROUP)}
    for name in OURS.keys() & found.keys():
        log.warning(
            "the package %s has a connector %s, the name of a built-in one: it is not used",
            found[name].value,
            name,
        )
    return {name: point for name, point in found.items() if name not in OURS}


class AnyTable(BaseModel):
    """Accepts every setting."""

    model_config = ConfigDict(extra="allow", defer_build=True)


@cache
def _from_package(point: EntryPoint) -> ConnectorKind:
    """The kind from a package. If it can't be imported, the rest of roles.toml must still load: its
    settings are accepted unchecked, and it fails when a system of this kind is used."""
    try:
        return _loaded(point)
    except Exception as error:
        log.warning("the connector %s can't be used: %s", point.name, type(error).__name__)
        return ConnectorKind(make=partial(_make_late, point), table=AnyTable, reads_names=True)


def _make_late(point: EntryPoint, system: System, tools: ConnectorDeps) -> Connector:
    return _loaded(point).make(system, tools)


def _loaded(point: EntryPoint) -> ConnectorKind:
    found = point.load()
    if not isinstance(found, ConnectorKind):
        raise ValueError(f"{point.value} of its package is not a ConnectorKind")
    return found
