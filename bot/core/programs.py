"""Programs that ask for access in the name of a person, their owner, by an API token."""

import re
from dataclasses import dataclass

from bot.core.approval import Refused
from bot.core.durations import format_duration

LONGEST_LIFE = 365 * 86400
"""The most seconds that a token is good for."""

USUAL_LIFE = 90 * 86400

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,59}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """The right of one program to ask for `roles` in the name of `owner`, without its secret."""

    id: str
    name: str
    owner: str
    roles: tuple[str, ...]
    created_at: int
    created_by: str
    expires_at: int
    revoked_at: int | None = None
    revoked_by: str = ""

    def state(self, now: int) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if now < self.expires_at else "expired"


@dataclass(frozen=True, slots=True)
class Program:
    """The program that makes one request: its token, its name, and the id of the request."""

    token: str
    name: str
    request: str


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request of a program: its id, the role, the digest of the body, its `Idempotency-Key` (None
    without one), and the reason if it was refused after it was accepted, else ""."""

    id: str
    token: str
    role: str
    key: str | None
    digest: str
    made_at: int
    refused: str = ""


def check_name(name: str) -> Refused | None:
    """Refuses a name that people could misread in a message."""
    if _NAME.fullmatch(name):
        return None
    return Refused(
        "The name of a program has 1 to 60 letters, digits, spaces or . _ / - and begins with a"
        " letter or a digit."
    )


def check_life(seconds: int) -> Refused | None:
    """Refuses a token that is good for too long."""
    if 0 < seconds <= LONGEST_LIFE:
        return None
    return Refused(f"A token is good for at most {format_duration(LONGEST_LIFE)}.")
