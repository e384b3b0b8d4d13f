"""The contract tests of the example package of docs/connectors/example; test_third_party.py runs
them where the package is installed."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.connectors.base import Checks, Connector, Lists
from bot.core.model import ProvisionOrder
from tests.connectors.contract import Contract, Rig, without_email


def lets_in(folder: Path, email: str) -> bool:
    """The check of the VPN server when a person connects."""
    said = [json.loads(place.read_text()) for place in folder.glob("*.json")]
    return any(each["email"] == email and each["until"] > time.time() for each in said)


@contextmanager
def full_disk(step: int) -> Iterator[None]:
    """The n-th call of the disk and all later ones fail: before they had an effect, or after it
    with the next n."""
    calls, first, before = 0, (step + 1) // 2, step % 2 == 1

    def breaking(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls >= first and before:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(*args, **more)
            if calls >= first:
                raise OSError(errno.ENOSPC, "No space left on device")

        return call

    with pytest.MonkeyPatch.context() as patch:
        for place, name in ((os, "fsync"), (os, "replace"), (Path, "unlink")):
            patch.setattr(place, name, breaking(getattr(place, name)))
        yield


class TestAllowlist(Contract):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        folder = tmp_path / "allowed"
        folder.mkdir()

        @contextmanager
        def down() -> Iterator[None]:
            away = folder.rename(tmp_path / "away")
            yield
            away.rename(folder)

        def works(it: Connector, order: ProvisionOrder) -> bool:
            return lets_in(folder, order.person.email)

        lines = f'connector = "allowlist"\nfolder = "{folder}"'
        return Rig(lines, ["office"], works, down, full_disk, unfit=(without_email,))

    def test_it_lists_and_checks(self, it: Connector) -> None:
        assert isinstance(it, Lists) and isinstance(it, Checks)
        assert list(it.check({})) == []
