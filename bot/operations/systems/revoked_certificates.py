"""Lists the SSH certificates that hosts must refuse although they have not expired."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bot.operations._unit_of_work import Context
from bot.operations.systems.certificates import CLOCKS_DIFFER
from storage import ssh


class Revoked(NamedTuple):
    """The serial numbers by the public key of their CA (base 64), and the current time."""

    at: int
    serials: Mapping[str, Sequence[int]]


def list_revoked(world: Context) -> Revoked:
    """Returns the list; certificates are left out once they have expired by any host's clock.
    Raises StorageUnavailable."""
    now = world.now()
    with world.db.reading():
        return Revoked(now, ssh.revoked(world.db, now - CLOCKS_DIFFER))
