"""Stores the newest modal with the credentials of each grant, so that it can be cleared at the
end."""

from collections.abc import Mapping, Sequence

from bot.core import effects
from bot.operations._unit_of_work import Snapshot, UnitOfWork
from storage import key_values

_KEY = "window "


def keep_window(u: UnitOfWork, grant: str, window: str) -> None:
    """Stores the modal; `window` is Slack's id of it."""
    key_values.put(u.db, _KEY + grant, window)


def windows_of(u: Snapshot, grants: Sequence[str]) -> dict[str, str]:
    """Returns the modals of these grants, by the key under which each is stored."""
    return key_values.get_all(u.db, [_KEY + grant for grant in grants]) if grants else {}


def clear_windows(u: UnitOfWork, windows: Mapping[str, str]) -> None:
    """Queues clearing each modal once, whether it is still open or not."""
    for key, window in windows.items():
        key_values.drop(u.db, key)
        u.do(effects.clear_window(window))
