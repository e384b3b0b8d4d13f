"""Compares what systems say is there with what the rows say should be, both ways. It asks nobody:
whether a difference is real, or only somebody's start or end in the same moment, the caller finds
out by asking once more.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bot.core.model import GrantState
from bot.core.observed import ObservedAccess


class What(StrEnum):
    """How rows and reality differ."""

    LINGERING = "left"
    """It has ended, and is still there."""

    UNMANAGED = "stray"
    """It is there, and no grant says so."""

    ENDING = "ending"
    """It is being ended, tried again and told of; and is still there."""

    MISSING = "missing"
    """It is active, and not there, or not all of it: `detail` says what."""


EXCESS = frozenset({What.LINGERING, What.UNMANAGED})
"""What should not be there and nobody is at work on: a lead may have it removed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference on one system. `name` is what the system calls it, "" where it was only asked
    whether it is there; `grant` is "" where that can't be told; `id` once it is stored."""

    system: str
    what: What
    name: str = ""
    grant: str = ""
    detail: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What came of asking one system. `problem` says why it could not be asked, or not all of it:
    nothing is known then of what was not found."""

    system: str
    findings: tuple[Finding, ...] = ()
    problem: str = ""


_STATES: Mapping[GrantState | None, What | None] = {
    GrantState.SCHEDULED: None,
    GrantState.STARTING: None,
    GrantState.ACTIVE: None,
    GrantState.ENDING: What.ENDING,
    GrantState.ENDED: What.LINGERING,
    None: What.UNMANAGED,
}
"""What something that is there means, by the state of its lease; None for a grant that nobody
knows."""


def compare(
    system: str, listed: Iterable[ObservedAccess], leases: Mapping[str, GrantState]
) -> Iterator[Finding]:
    """Where `listed`, all that is on the system, and `leases`, the states of its leases by grant,
    don't agree."""
    there = set()
    for found in listed:
        there.add(found.grant)
        what = _STATES[leases.get(found.grant)]
        if what is not None:
            yield Finding(system, what, found.name, found.grant, found.detail)
        elif found.lacks and leases.get(found.grant) is GrantState.ACTIVE:
            yield Finding(
                system, What.MISSING, grant=found.grant, detail=f"missing: {', '.join(found.lacks)}"
            )
    for grant, state in leases.items():
        if state is GrantState.ACTIVE and grant not in there:
            yield Finding(system, What.MISSING, grant=grant)
