"""Compares the access that systems report with our rows, in both directions. A difference may come
from a start or an end in the same moment, so the caller checks each one again.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bot.core.model import GrantState
from bot.core.observed import ObservedAccess


class What(StrEnum):
    """The kinds of differences between rows and systems."""

    LINGERING = "left"
    """The access has ended but still exists."""

    UNMANAGED = "stray"
    """The access exists without a grant."""

    ENDING = "ending"
    """The access still exists while its revocation is being retried."""

    MISSING = "missing"
    """The grant is active but its access, or a part of it, is missing; `detail` has the facts."""


EXCESS = frozenset({What.LINGERING, What.UNMANAGED})
"""Unexpected access without a running revocation: a lead may have it removed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference on one system. `name` is the system's name for it, "" if the system only
    reported whether it exists; `grant` is "" if unknown; `id` is set once it is stored."""

    system: str
    what: What
    name: str = ""
    grant: str = ""
    detail: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """The scan of one system. `problem` says why it failed, entirely or in part: access that was
    not found may then still exist."""

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
"""The meaning of existing access, by the state of its lease; None for an unknown grant."""


def compare(
    system: str, listed: Iterable[ObservedAccess], leases: Mapping[str, GrantState]
) -> Iterator[Finding]:
    """The differences between `listed`, all access on the system, and `leases`, the states of its
    leases by grant."""
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
