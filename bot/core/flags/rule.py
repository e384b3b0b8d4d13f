"""A flag rule: a name, a severity, the facts it looks at, and a pure function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network

from bot.core.flags.facts import Fact, What
from bot.core.flags.index import Index


class Severity(StrEnum):
    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class FlagSettings:
    """`[flags]` of roles.toml, and the zone in which hours count. `off` has the reason for each
    rule that is switched off."""

    trusted_networks: tuple[str, ...] = ()
    off: Mapping[str, str] = field(default_factory=dict)
    zone: tzinfo = UTC

    def trusts(self, network: str) -> bool:
        found = ip_network(network)
        return any(_inside(found, ip_network(each)) for each in self.trusted_networks)


NO_SETTINGS = FlagSettings()


def _inside(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


@dataclass(frozen=True, slots=True)
class Found:
    """A finding of a rule. Repetitions are folded by `about`, or by the person if it is ""."""

    sentence: str
    about: str = ""
    severity: Severity | None = None


Check = Callable[[Fact, Index, FlagSettings], Found | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """`check` is called for facts of these kinds. A `quiet` rule posts no message: its flags are in
    lists and the digest. A rule of `once` is raised once for each subject."""

    name: str
    severity: Severity
    on: frozenset[What]
    check: Check
    quiet: bool = False
    once: bool = False


def rule(
    *on: What, severity: Severity = Severity.LOW, quiet: bool = False, once: bool = False
) -> Callable[[Check], Rule]:
    """Makes a rule of a function, with the function's name."""

    def made(check: Check) -> Rule:
        return Rule(check.__name__, severity, frozenset(on), check, quiet, once)

    return made
