"""The SSH certificates that hosts must refuse although they have not expired."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bot.operations._unit import World
from bot.operations.keep_certificates import CLOCKS_DIFFER
from storage import ssh


class Revoked(NamedTuple):
    """As it is at this moment: the serial numbers by the public key of their CA (base 64), and what time it is."""

    at: int
    serials: Mapping[str, Sequence[int]]


def list_revoked(world: World) -> Revoked:
    """Raises StorageUnavailable. Those that expired are left out, once no host's clock can be that wrong."""
    now = world.now()
    with world.db.reading():
        return Revoked(now, ssh.revoked(world.db, now - CLOCKS_DIFFER))
