"""Decides what roles.toml means: who may ask for what, who decides, for how long, on which systems.
It does not know who is in a group, what time it is, or what anybody asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where the bot speaks and who leads."""

    approvals_channel: str
    security_channel: str
    leads: tuple[str, ...]
    timezone: str


@dataclass(frozen=True, slots=True)
class System:
    """A real system; `settings` are those of its connector and never shown, because they hold passwords."""

    name: str
    connector: str
    settings: Mapping[str, object] = field(repr=False)

    @property
    def secret(self) -> str | None:
        """What the system proves itself with at our endpoints (gateway), else None."""
        secret = self.settings.get("secret")
        return secret if isinstance(secret, str) else None


@dataclass(frozen=True, slots=True)
class Role:
    """One thing that people may ask for. All durations are seconds; reminders count back from the end."""

    name: str
    title: str
    description: str
    systems: tuple[str, ...]
    actions: tuple[str, ...]
    requesters: tuple[str, ...]
    approvers: tuple[str, ...]
    notify: tuple[str, ...]
    approvals: int
    channel: str
    max_duration: int
    default_duration: int
    reminders: tuple[int, ...]
    pending_timeout: int
    max_renewals: int
    renewal_approval: bool
    max_total: int
    ticket: str | None
    risk: str

    @property
    def fingerprint(self) -> str:
        """Changes when what an approver looked at changes: the systems, the actions, how many must agree."""
        seen = json.dumps([self.systems, self.actions, self.approvals])
        return hashlib.sha256(seen.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole valid roles.toml; `digest` is the SHA-256 of the file's bytes in hex."""

    workspace: Workspace
    systems: Mapping[str, System]
    roles: Mapping[str, Role]
    people: Mapping[str, Mapping[str, str]]
    digest: str
    file: str


def load_policy(path: str, environ: Mapping[str, str]) -> Policy:
    """Reads the file and parses it."""
    raise NotImplementedError


def parse_policy(text: str, file: str, environ: Mapping[str, str]) -> Policy:
    """Parses."""
    raise NotImplementedError


def ticket_matches(role: Role, ticket: str) -> bool:
    """Whether the ticket is one."""
    raise NotImplementedError


def classify(ref: str) -> Literal["user", "group", "handle", "email", "everyone"] | None:
    """What kind of reference to people this is; None when it is none."""
    raise NotImplementedError


def references(policy: Policy) -> frozenset[str]:
    """All people."""
    raise NotImplementedError
