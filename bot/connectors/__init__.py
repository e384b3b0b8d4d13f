"""The real systems: one file for each kind, one line in this table, and the same contract tests for all.

A connector is made for each system of roles.toml when it is first needed, and its library is imported only then.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from bot.connectors.base import Connector, Judges, Located, Make, Tools
from bot.connectors.redaction import Redaction, redacting
from bot.core.errors import NotCalled
from bot.core.model import Order
from bot.core.policy import System

log = logging.getLogger(__name__)

GROUP = "access_bot.connectors"
"""The entry points of installed packages that bring a connector: its name, and its factory."""


class Systems:
    """Every system's connector. `find` gives a system as roles.toml has it now, None where it has not."""

    def __init__(self, find: Callable[[str], System | None], tools: Tools) -> None:
        self._find, self._tools = find, tools
        self._made: dict[str, tuple[System, Connector]] = {}
        self._lock = threading.Lock()

    def ends_together(self, kind: str) -> bool:
        """Whether many ends on systems of this kind may be one transaction, as their access is rows of ours."""
        return kind == "gateway"

    def in_our_rows(self, kind: str) -> bool:
        """Whether access on systems of this kind is rows of ours, which nobody is let in by after its end."""
        return kind in ("gateway", "ssh")

    def is_changed(self, order: Order) -> bool:
        """Whether roles.toml gives something else on the system now than what was approved."""
        if not order.reach:
            return False
        system = self._find(order.system)
        return system is None or system.reach != order.reach

    def of(self, name: str, kind: str) -> Connector:
        """The connector of the system called `name`, for access that was made by a connector of this kind. Raises
        SystemUnavailable when there is none: a system that is missing in roles.toml may be there again later."""
        system = self._find(name)
        if kind == "gateway" or (kind == "ssh" and (system is None or system.connector != kind)):
            system = System(name, kind, {})  # access there is nothing but rows of ours, whatever roles.toml says
        elif system is None:
            raise NotCalled(f"{name} is not in roles.toml any more, but has still access to end: put it back")
        elif system.connector != kind:
            raise NotCalled(f"{name} was of kind {kind} when this access was made, and is {system.connector}")
        with self._lock:
            known = self._made.get(name)
            if known is None or known[0] != system:
                known = self._made[name] = (system, make(system, self._tools))
            return known[1]


def for_more(systems: Systems, order: Order) -> Connector:
    """`for_order` where something is given. Raises SystemUnavailable also where the settings give something else than
    what was approved."""
    connector = for_order(systems, order)
    if systems.is_changed(order):
        raise NotCalled(f"the settings of {order.system} in roles.toml are not those that were approved")
    return connector


def for_order(systems: Systems, order: Order) -> Connector:
    """The connector for what an order is about. Raises SystemUnavailable also where the settings lead elsewhere than
    when this access was made: it would be looked for in the wrong place, and not finding it there is no end."""
    connector = systems.of(order.system, order.connector)
    if order.target and (target := target_of(connector)) and target != order.target:
        raise NotCalled(
            f"{order.system} leads elsewhere in roles.toml than when this access was made: put it back until "
            f"that has ended, or say that it is the same system: access-bot systems confirm-target {order.system}"
        )
    return connector


def target_of(connector: Connector) -> str:
    """Where its settings lead, "" where that is not told."""
    return connector.target if isinstance(connector, Located) else ""


def make(system: System, tools: Tools) -> Connector:
    """A connector for this system, which repeats no secret of it. Raises SystemUnavailable with what is missing or
    wrong."""
    with Redaction(system).calling():
        return redacting(_made(system, tools), system)


def _made(system: System, tools: Tools) -> Connector:
    try:
        return _factory(system.connector)(system, tools)
    except ImportError as error:
        extra = f"pip install 'access-bot[{system.connector}]'" if system.connector in KINDS else "see its package"
        raise NotCalled(f"{system.name} needs {error.name}, which is not installed: {extra}") from error
    except ValueError as error:
        raise NotCalled(f"{system.name} can't be used: {error}") from error


def _factory(kind: str) -> Make:
    if kind in KINDS:
        module, _, name = KINDS[kind].partition(":")
        return getattr(import_module(module), name)  # type: ignore[no-any-return]
    if kind in installed():
        return installed()[kind].load()  # type: ignore[no-any-return]
    raise NotCalled(f"there is no connector {kind}: is its package installed?")


@cache
def installed() -> Mapping[str, EntryPoint]:
    """The connectors of installed packages by name; none of them takes the place of one of ours."""
    found = {point.name: point for point in entry_points(group=GROUP)}
    for name in KINDS.keys() & found.keys():
        log.warning("the package %s brings a connector %s, which is ours: it is not used", found[name].value, name)
    return {name: point for name, point in found.items() if name not in KINDS}


def judge(kind: str, settings: Mapping[str, object]) -> Sequence[tuple[str, str]]:
    """What the connector of a package says is wrong with its settings, as pairs of a key and a sentence. One that has
    nothing to say, or can't, is heard by the doctor and when it is first needed."""
    if kind not in installed():
        return ()
    try:
        factory = installed()[kind].load()
        return [*factory.wrong_settings(settings)] if isinstance(factory, Judges) else ()
    except Exception as error:
        log.warning("the connector %s can't say whether its settings are right: %s", kind, type(error).__name__)
        return ()


KINDS: Mapping[str, str] = {
    "gateway": "bot.connectors.gateway:Gateway",
    "postgres": "bot.connectors.postgres:Postgres",
    "webhook": "bot.connectors.webhook:Webhook",
    "command": "bot.connectors.command:Command",
    "aws": "bot.connectors.aws:make",
    "github": "bot.connectors.github:make",
    "okta": "bot.connectors.okta:make",
    "kubernetes": "bot.connectors.kubernetes:Kubernetes",
    "ssh": "bot.connectors.ssh:Ssh",
}
