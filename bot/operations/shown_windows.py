"""The newest modal in which the credentials of each grant were shown, so that it can be cleared at the end."""

from collections.abc import Mapping, Sequence

from bot.core import effects
from bot.operations._unit import Snapshot, Unit
from storage import facts

_KEY = "window "


def keep_window(u: Unit, grant: str, window: str) -> None:
    """`window` is what Slack calls it."""
    facts.put(u.db, _KEY + grant, window)


def windows_of(u: Snapshot, grants: Sequence[str]) -> dict[str, str]:
    """Those of these grants, by fact."""
    return facts.get_all(u.db, [_KEY + grant for grant in grants]) if grants else {}


def clear_windows(u: Unit, windows: Mapping[str, str]) -> None:
    """Clears each once, whether it is still open or not."""
    for key, window in windows.items():
        facts.drop(u.db, key)
        u.do(effects.clear_window(window))
