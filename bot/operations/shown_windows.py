"""Stores the newest modal with the credentials of each grant, so that it can be cleared at the
end."""

from collections.abc import Mapping, Sequence

from bot.core import effects
from bot.operations._unit import Snapshot, Unit
from storage import facts

_KEY = "window "


def keep_window(u: Unit, grant: str, window: str) -> None:
    """Stores the modal; `window` is Slack's id of it."""
    facts.put(u.db, _KEY + grant, window)


def windows_of(u: Snapshot, grants: Sequence[str]) -> dict[str, str]:
    """Returns the modals of these grants, by the key under which each is stored."""
    return facts.get_all(u.db, [_KEY + grant for grant in grants]) if grants else {}


def clear_windows(u: Unit, windows: Mapping[str, str]) -> None:
    """Queues clearing each modal once, whether it is still open or not."""
    for key, window in windows.items():
        facts.drop(u.db, key)
        u.do(effects.clear_window(window))
