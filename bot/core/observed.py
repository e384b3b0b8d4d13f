"""What systems say: what exists there, which sessions are open, and how somebody gets in. It knows
no system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ObservedAccess:
    """Something that exists on a system and looks as if this product made it. `name` is what the
    system calls it, `grant` whose it is, "" where that can't be told; `detail` is a few words for a
    lead, `lacks` what was made for the grant too and is no longer there."""

    name: str
    grant: str = ""
    detail: str = ""
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessInstructions:
    """How to get in, to be shown once and kept nowhere: secrets to copy by their label, and a line
    or two on how to use them."""

    secrets: Mapping[str, str] = field(repr=False)
    how: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """Something the holder has to give first, like a public key; `wrong` says what was wrong with
    what they gave."""

    label: str
    hint: str = ""
    wrong: str = ""
    given: str = ""


CredentialAnswer = AccessInstructions | Prompt | str
"""What a system says to who wants to get in; a sentence where there is nothing to show."""


@dataclass(frozen=True, slots=True)
class Session:
    """One use of a grant's access: `name` is the system's own for it, the times are UTC seconds."""

    grant: str
    name: str
    source: str
    opened_at: int
