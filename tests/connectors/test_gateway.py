"""The gateway connector, whose system is a gate that the token check reads: rows in our
database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bot.connectors.base import Connector
from bot.core.errors import StorageUnavailable, SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.operations.systems.gates import StoredGates
from tests.connectors.contract import Contract, Rig


class TestGateway(Contract):
    @pytest.fixture
    def rig(self, monkeypatch: pytest.MonkeyPatch) -> Rig:
        @contextmanager
        def down() -> Iterator[None]:
            def away(*_: Any) -> None:
                raise SystemUnavailable("the database is away")

            with monkeypatch.context() as patch:
                for name in ("open", "close", "until"):
                    patch.setattr(StoredGates, name, away)
                yield

        return Rig(
            'connector = "gateway"\nsecret = "0123456789abcdef0123"',
            ["orders:read"],
            _lets_in,
            down,
        )


def _lets_in(it: Connector, order: ProvisionOrder) -> bool:
    try:
        return it.read_back(order)
    except StorageUnavailable:
        return False
