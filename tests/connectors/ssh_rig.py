"""The holder of a certificate, and a contract's world with its web application on a port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bot.app import build_systems, ca_keys
from bot.connectors.base import AccessInstructions, Connector
from bot.connectors.ssh.connector import Ssh
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.operations.systems.certificates import StoredCertificates
from bot.operations.usage.count_usage import UsageMeter
from bot.web import build_web
from tests.connectors.hosts import Host
from tests.factories import Made
from tests.web.conftest import serving


def settings(ca_file: Path, *more: str) -> str:
    return "\n".join(
        ["connector = 'ssh'", f"ca_key = '{ca_file}'", "principals = ['deploy']", *more]
    )


class Holder:
    """The holder, who keeps every certificate that was ever shown, and tries them all."""

    def __init__(self, host: Host) -> None:
        self.host, self.url = host, ""
        self.shown: dict[str, list[str]] = {}

    def gets_in(self, it: Connector, order: ProvisionOrder) -> bool:
        with suppress(SystemRefused):
            self.shown.setdefault(order.grant, []).append(certificate(it, order, self.host))
        self.host.fetch(self.url)
        return any(self.host.lets_in(each) for each in self.shown.get(order.grant, []))


def certificate(it: Connector, order: ProvisionOrder, host: Host) -> str:
    assert isinstance(it, Ssh)
    way = it.credentials(order, host.public)
    assert isinstance(way, AccessInstructions), way
    return way.secrets["Certificate"]


@contextmanager
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def gone(*_: Any) -> None:
        raise SystemUnavailable("the database is away")

    with monkeypatch.context() as patch:
        for name in ("allow", "end", "is_open"):
            patch.setattr(StoredCertificates, name, gone)
        yield


class GatedSite:
    """The web application of a contract test on a port."""

    @pytest.fixture
    def bearer(self, host: Host) -> Holder:
        return Holder(host)

    @pytest.fixture(autouse=True)
    def site(self, made: Made, bearer: Holder) -> Iterator[None]:
        app = build_web(
            made.world,
            made.signer,
            UsageMeter(made.world),
            ready=list,
            registry=CollectorRegistry(),
            ca_keys=partial(ca_keys, made.world, build_systems(made.world)),
        )
        with serving(app) as port:
            bearer.url = f"http://127.0.0.1:{port}"
            yield
