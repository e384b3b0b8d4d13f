"""A connector of its own package: a folder in which a VPN server looks whom to let in, one file for
each grant."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bot.connectors.base import ConnectorDeps, ConnectorKind, ObservedAccess, fingerprint
from bot.connectors.settings import SystemTable, Text, checking, refuse_wrong
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.core.roles import Settings, System


class Allowlist:
    """One for each `[systems.NAME]` with `connector = "allowlist"`."""

    def __init__(self, system: System, tools: ConnectorDeps) -> None:
        """Raises ValueError, with a sentence, for settings that can't be right. It must not call
        the system yet."""
        refuse_wrong(_wrong_settings(system.settings))
        self._name = system.name
        self._folder = Path(str(system.settings["folder"]))
        self.target = fingerprint(
            self._folder
        )  # which system it is: an end in another folder proves nothing

    # --- what every connector has: each call may come twice, at any time, in any order

    def grant(self, order: ProvisionOrder) -> None:
        if not order.person.email:
            why = "the VPN knows people by their e-mail, and Slack has none of this person"
            raise SystemRefused(
                "no_email", why, "Slack does not show your e-mail address: tell a lead."
            )
        entry = {"email": order.person.email, "networks": order.actions, "until": order.ends_at}
        with self._translated():
            new = self._place(order).with_suffix(".new")
            with new.open("w") as file:
                json.dump(entry, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self._place(order))  # noqa: PTH105, whole or not at all

    def revoke(self, order: ProvisionOrder) -> None:
        with self._translated():
            for place in (self._place(order), self._place(order).with_suffix(".new")):
                place.unlink(missing_ok=True)

    def read_back(self, order: ProvisionOrder) -> bool:
        """Whether it is there now, asked of the system itself. What can't be looked at is neither
        there nor gone."""
        with self._translated():
            return self._place(order).exists()

    # --- extras: have only those that the system can do

    def check(self, roles: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """For `access-bot doctor`; changes nothing."""
        if not os.access(self._folder, os.R_OK | os.W_OK | os.X_OK):
            yield f"{self._name}: {self._folder} is not there, or may not be written to"

    def list_active(self) -> Iterator[ObservedAccess]:
        """For `access-bot systems drift`: all that is there, whoever made it."""
        with self._translated():
            for place in sorted(self._folder.glob("*.json")):
                yield ObservedAccess(place.name, grant=place.stem, detail=_email(place))

    def remove(self, found: ObservedAccess) -> None:
        with self._translated():
            (self._folder / Path(found.name).name).unlink(missing_ok=True)

    # --- the edge: the system's own errors become ours in one place

    def _place(self, order: ProvisionOrder) -> Path:
        return self._folder / f"{order.grant}.json"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            self._folder.stat()  # one that is away is not an empty one
            yield
        except OSError as error:
            raise SystemUnavailable(
                f"{self._name} can't be read or written: {error.strerror}"
            ) from error


def _email(place: Path) -> str:
    try:
        entry: Any = json.loads(place.read_text())
        return str(entry["email"])
    except (ValueError, KeyError, TypeError):
        return "not written by the bot"


# --- what roles.toml may say of it: `access-bot check`, every start and every reload go by this


class AllowlistTable(SystemTable):
    """The settings of `[systems.NAME]`. Other keys are refused, with file and line."""

    folder: Text


def _folder(folder: object, _: Settings) -> None:
    if not Path(str(folder)).is_absolute():
        raise ValueError("folder must be an absolute path")


def _wrong_action(action: str) -> str:
    return "" if action.islower() else f"{action} is not a network: small letters"


_wrong_settings = checking({"folder": _folder})

KIND = ConnectorKind(
    make=Allowlist,
    table=AllowlistTable,
    wrong_settings=_wrong_settings,
    shown=frozenset({"folder"}),  # the audit log keeps its value; all others are redacted
    wrong_action=_wrong_action,
)
