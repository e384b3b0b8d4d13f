"""The answers of systems: existing access, open sessions, and instructions for holders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ObservedAccess:
    """Access on a system that this product seems to have made. `name` is the system's name for it,
    `grant` is its grant, "" if unknown; `detail` is a few words for a lead, `lacks` are the parts
    of the grant that are missing."""

    name: str
    grant: str = ""
    detail: str = ""
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessInstructions:
    """Credentials to show once and never store: secrets by label, and a line or two on their
    use."""

    secrets: Mapping[str, str] = field(repr=False)
    how: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question to the holder, such as for a public key; `wrong` is the problem of their last
    answer."""

    label: str
    hint: str = ""
    wrong: str = ""
    given: str = ""


CredentialAnswer = AccessInstructions | Prompt | str
"""A system's answer to a holder; a sentence if there is nothing to show."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session of a grant: `name` is the system's name for it, the times are UTC seconds."""

    grant: str
    name: str
    source: str
    opened_at: int
