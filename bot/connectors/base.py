"""The protocols that connectors implement. A connector knows its system and nothing of Slack,
requests or rows.

Each call may be repeated at any time: `grant` again extends or confirms, `revoke` of missing access
succeeds. Success is always verified by `read_back`. Every method raises SystemUnavailable for a
failure that a retry may fix, and SystemRefused for any other.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from bot.connectors.actions import broad_name
from bot.core.model import Certificate, Membership, ProvisionOrder
from bot.core.observed import AccessInstructions, ObservedAccess, Prompt, Session
from bot.core.roles import Abilities, System, SystemKind

__all__ = [
    "Abilities",
    "AccessInstructions",
    "AccountLinks",
    "Certificates",
    "Certifies",
    "Checks",
    "Connector",
    "ConnectorDeps",
    "ConnectorKind",
    "EndsTogether",
    "Extends",
    "Gates",
    "Lists",
    "Located",
    "Make",
    "Memberships",
    "ObservedAccess",
    "Prompt",
    "Session",
    "Shares",
    "Shows",
    "Watches",
    "fingerprint",
]


class Connector(Protocol):
    """One system. The protocols below are optional: a connector implements those that its system
    supports."""

    def grant(self, order: ProvisionOrder) -> None:
        """Makes the access exist, until `order.ends_at` if the system can store an end."""

    def revoke(self, order: ProvisionOrder) -> None:
        """Makes the access not exist."""

    def read_back(self, order: ProvisionOrder) -> bool:
        """Whether the access exists now, as the system reports it."""


@runtime_checkable
class Extends(Protocol):
    """For systems that store an end. Without this protocol a renewal calls `grant` again."""

    def extend(self, order: ProvisionOrder) -> None:
        """Moves the end of existing access to `order.ends_at`."""


@runtime_checkable
class EndsTogether(Protocol):
    """For access that exists only in our database."""

    def revoke_all(self, orders: Sequence[ProvisionOrder]) -> None:
        """Revokes many in one transaction, and raises unless all of them are gone."""


@runtime_checkable
class Shares(Protocol):
    """For shared access, such as a group membership. A revocation leaves the actions in the order's
    `kept`. Afterwards the access of the person's other grants is applied again, in case one began
    at the same moment."""

    shares: bool


@runtime_checkable
class Located(Protocol):
    """For settings that identify the system: a revocation at a different address does not count.
    `target` is a `fingerprint` of these settings, without passwords and tokens."""

    target: str


@runtime_checkable
class Checks(Protocol):
    def check(self, roles: Mapping[str, Sequence[str]]) -> Iterable[str]:
        """The problems of the system now: it can't be reached, our account lacks a right, or the
        actions of one of these roles (by name) can't be given. Changes nothing."""


@runtime_checkable
class Lists(Protocol):
    """For the nightly check and `access-bot systems drift`."""

    def list_active(self) -> Iterable[ObservedAccess]:
        """All access on the system that this product made, or must have made."""

    def remove(self, found: ObservedAccess) -> None:
        """Removes one of them that has no grant. Called only after a lead has confirmed it."""


@runtime_checkable
class Shows(Protocol):
    def credentials(self, order: ProvisionOrder, given: str) -> AccessInstructions | Prompt:
        """Makes the holder's credentials, valid until `order.ends_at`. Earlier credentials may stop
        working. `given` is the holder's answer to our question, "" if they were not asked yet."""


@runtime_checkable
class Certifies(Protocol):
    """For systems whose hosts trust a key of ours."""

    def public_key(self) -> str:
        """The public key that hosts must trust, as a line of a .pub file."""


@runtime_checkable
class Watches(Protocol):
    def sessions(self) -> Iterable[Session]:
        """The open sessions of access that this product made."""


class Gates(Protocol):
    """The gates in our database that the token check reads; `until` is None for a gate that does
    not exist."""

    def open(self, grant: str, system: str, until: int) -> None: ...

    def close(self, grant: str, system: str) -> None: ...

    def close_all(self, leases: Sequence[tuple[str, str]]) -> None: ...

    def still_open(self, leases: Sequence[tuple[str, str]]) -> set[tuple[str, str]]: ...

    def until(self, grant: str, system: str) -> int | None: ...

    def open_at(self, system: str) -> Mapping[str, int]: ...


class AccountLinks(Protocol):
    """Links people to accounts on a system. A link stays when the person's e-mail changes. `place`
    is where account ids are valid: if it differs, the same id may be another person, so the link is
    ignored."""

    def get(self, system: str, person: str, place: str = "") -> str | None:
        """The account of this person (a Slack id), or None."""

    def keep(self, system: str, person: str, account: str, place: str = "") -> str:
        """Links the person to the account unless they have a link, and returns the linked account.
        Raises SystemRefused if the account is linked to another person."""

    def name(self, system: str, person: str, account: str, place: str = "") -> str:
        """Like `bind`, for an account that roles.toml names: it replaces the person's earlier
        link."""


class Memberships(Protocol):
    """Shared access that grants gave to accounts. It is noted before it is given and forgotten when
    it is verified to be gone, so that a revocation removes nothing that was there before. For a
    database it notes the server."""

    def note(self, membership: Membership) -> None: ...

    def forget(self, membership: Membership) -> None: ...

    def of_grant(self, system: str, grant: str) -> Sequence[Membership]: ...

    def of_thing(self, system: str, account: str, thing: str) -> Sequence[Membership]: ...

    def of_system(self, system: str) -> Sequence[Membership]: ...


class Certificates(Protocol):
    """SSH certificates and the holders' public keys in our database. Times are UTC seconds."""

    def allow(self, grant: str, system: str, until: int) -> None:
        """Allows certificates from now on, which end at `until` at the latest."""

    def issue(
        self, grant: str, system: str, authority: str, fingerprint: str, until: int
    ) -> Certificate | None:
        """Records a new certificate before it is signed by the CA with this public key (base 64),
        for the holder's key with this fingerprint. Returns None if none may be issued."""

    def end(self, leases: Sequence[tuple[str, str]]) -> None:
        """Stops certificates for these pairs of grant and system, and revokes those that were
        issued."""

    def is_open(self, grant: str, system: str) -> bool:
        """Whether certificates may be issued, or an issued one is still valid."""

    def open_at(self, system: str) -> Mapping[str, tuple[bool, int]]:
        """The grants with access: whether more certificates may be issued, and the number of valid
        ones."""

    def key_of(self, person: str) -> str:
        """The public key that this person gave last, or ""."""

    def keep_key(self, person: str, line: str) -> None: ...


@dataclass(frozen=True, slots=True)
class ConnectorDeps:
    """The services that a connector may use."""

    gates: Gates
    pins: AccountLinks
    certificates: Certificates
    memberships: Memberships


def fingerprint(*settings: object) -> str:
    """Returns a digest of these settings. It reveals none of them, because a URL may hold a
    secret."""
    return hashlib.sha256(json.dumps([str(each) for each in settings]).encode()).hexdigest()[:16]


Make = Callable[[System, ConnectorDeps], Connector]
"""A connector's factory. It does not call the system. Raises ValueError, with a sentence, for wrong
settings."""


@dataclass(frozen=True, kw_only=True)
class ConnectorKind(SystemKind):
    """The export of a connector's module: one kind of system, with the function that makes its
    connector."""

    make: Make
    """Imports an optional library only when it is called."""
    broad_action: Callable[[str], str] = broad_name
