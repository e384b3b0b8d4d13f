"""Records SSH certificates by serial number before they exist, so that an end finds and revokes
them. The certificates themselves are never stored."""

import secrets
from collections.abc import Mapping, Sequence

from bot.core.audit import Event
from bot.core.model import Certificate, GrantState
from bot.operations._unit_of_work import Context, unit
from storage import grants, ssh

CLOCKS_DIFFER = 3600
"""Seconds by which a host's clock may be wrong: a revoked certificate stays on the list that long
after its end."""


class StoredCertificates:
    """Raises StorageUnavailable, which the worker handles like an unreachable system."""

    def __init__(self, world: Context) -> None:
        self._world, self._db = world, world.db

    def allow(self, grant: str, system: str, until: int) -> None:
        with self._db.transaction():
            ssh.allow(self._db, grant, system, until)

    def issue(
        self, grant: str, system: str, authority: str, fingerprint: str, until: int
    ) -> Certificate | None:
        """Issues a random serial number, so that a database restored from an older copy repeats
        none."""
        with unit(self._world) as u:
            allowed = ssh.allowed_until(u.db, grant, system)
            held = grants.get(u.db, grant)
            if (
                allowed is None
                or held is None
                or held.state not in (GrantState.STARTING, GrantState.ACTIVE)
            ):
                return None
            made = Certificate(1 + secrets.randbelow(2**63 - 1), u.now, min(allowed, until))
            if made.expires_at <= u.now:
                return None
            ssh.add(
                u.db, made.serial, grant, system, authority, fingerprint, u.now, made.expires_at
            )
            u.record(
                Event.CERTIFICATE_ISSUED,
                held.person,
                held,
                system=system,
                serial=str(made.serial),
                key=fingerprint,
                ends_at=made.expires_at,
            )
        return made

    def end(self, leases: Sequence[tuple[str, str]]) -> None:
        with self._db.transaction():
            ssh.end(self._db, leases, self._world.now())

    def is_open(self, grant: str, system: str) -> bool:
        with self._db.reading():
            return ssh.is_open(self._db, grant, system, self._world.now() - CLOCKS_DIFFER)

    def open_at(self, system: str) -> Mapping[str, tuple[bool, int]]:
        with self._db.reading():
            return ssh.open_at(self._db, system, self._world.now() - CLOCKS_DIFFER)

    def key_of(self, person: str) -> str:
        with self._db.reading():
            return ssh.key_of(self._db, person)

    def keep_key(self, person: str, line: str) -> None:
        with self._db.transaction():
            ssh.keep_key(self._db, person, line, self._world.now())
