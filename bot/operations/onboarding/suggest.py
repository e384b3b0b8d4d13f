"""Remembers a person who joined, so that a bundle can be suggested for them to the leads."""

from bot.core.rules import Bundle
from bot.operations._unit_of_work import Context, reading, unit
from storage import ramps


def note_joined(world: Context, person: str) -> None:
    """Records that this person joined the workspace. Raises StorageUnavailable."""
    with unit(world) as u:
        if u.policy.bundles:
            ramps.add_newcomer(u.db, person, u.now)


def suggested_now(world: Context, person: str, bundle: str) -> Bundle | None:
    """The suggested bundle, unless it is gone or the person has an onboarding. Raises
    StorageUnavailable."""
    with reading(world) as u:
        return None if ramps.open_of(u.db, person) else u.policy.bundles.get(bundle)
