"""Links people to their accounts on connected systems: once, recorded, and never guessed again."""

from bot.core.approval import Refused
from bot.core.audit import Event
from bot.core.errors import SystemRefused
from bot.operations._unit_of_work import SYSTEM, Context, unit
from storage import key_values, memberships

_KEY, _AT = "account ", " @ "


class StoredPins:
    """Raises StorageUnavailable, which the worker handles like an unreachable system."""

    def __init__(self, world: Context) -> None:
        self._world = world

    def get(self, system: str, person: str, place: str = "") -> str | None:
        with self._world.db.reading():
            return _account(key_values.get(self._world.db, _key(system, person)), place)

    def keep(self, system: str, person: str, account: str, place: str = "") -> str:
        """Links an account; the first link stays, even if two are tried at once. An account belongs
        to one person: a later owner of an e-mail address does not get the account of the earlier
        one. Raises SystemRefused."""
        return self._bound(system, person, account, place, named=False)

    def name(self, system: str, person: str, account: str, place: str = "") -> str:
        """Links the account that roles.toml names, in place of one that was found. Raises
        SystemRefused."""
        return self._bound(system, person, account, place, named=True)

    def _bound(self, system: str, person: str, account: str, place: str, named: bool) -> str:
        key, value = _key(system, person), f"{account}{_AT}{place}" if place else account
        with unit(self._world) as u:
            holders = {
                each
                for name in (value, account)
                for each in key_values.keys_of(u.db, _key(system, ""), name)
            }
            for other in sorted(each.split()[-1] for each in holders - {key}):
                words = (
                    f"{account} on {system} belongs to another person here, {other}; if that is"
                    " wrong: "
                )
                raise SystemRefused(
                    "account_taken",
                    f"{words}access-bot accounts unlink {system} {other}",
                    f"Your account on {system} is linked to another person here: tell a lead.",
                )
            before = key_values.get(u.db, key)
            known = _account(before, place)
            bind = key_values.bind if before is None else key_values.put
            if (known is None or (named and known != account)) and bind(u.db, key, value):
                u.note(Event.ACCOUNT_LINKED, SYSTEM, subject=person, system=system, account=account)
            return _account(key_values.get(u.db, key), place) or account


def list_accounts(world: Context) -> list[tuple[str, str, str]]:
    """Returns system, person and account of every link. Raises StorageUnavailable."""
    with world.db.reading():
        found = key_values.beginning(world.db, _KEY)
    return [
        (system, person, account) for key, account in found for _, system, person in [key.split()]
    ]


def unlink_account(world: Context, actor: str, system: str, person: str) -> str | Refused:
    """Removes a wrong link and returns its account: the person is looked up again, and the account
    may be linked to another. Refused while a grant has access there, because its revocation must
    not hit another person. Raises StorageUnavailable."""
    with unit(world) as u:
        account = _account(key_values.get(u.db, _key(system, person)), "")
        if account is None:
            return Refused(
                f"{person} is not linked to an account on {system}: nothing was changed."
            )
        if memberships.of_account(u.db, system, account):
            return Refused(
                f"{person} has access on {system} as {account}: end it first (access-bot grants"
                " revoke)."
            )
        key_values.drop(u.db, _key(system, person))
        u.note(Event.ACCOUNT_UNLINKED, actor, subject=person, system=system, account=account)
        return account


def _account(value: str | None, place: str) -> str | None:
    """Returns the stored account, or None if it belongs to another place."""
    account, _, at = (value or "").partition(_AT)
    return (account or None) if not place or at in ("", place) else None


def _key(system: str, person: str) -> str:
    return f"{_KEY}{system} {person}"
