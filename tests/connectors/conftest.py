"""One PostgreSQL server with passwords, and one sshd, for all connector tests in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.connectors.postgres.connector import Postgres
from tests.connectors.hosts import Host, a_pair
from tests.connectors.postgres_rig import PasswordServer, connector, server_or_skip, url
from tests.connectors.postgres_wire import Wire


@pytest.fixture(scope="session")
def server() -> Iterator[PasswordServer]:
    yield from server_or_skip()


@pytest.fixture(scope="session")
def wire(server: PasswordServer) -> Iterator[Wire]:
    with closing(Wire(server.port)) as wire:
        yield wire


@pytest.fixture
def it(server: PasswordServer) -> Iterator[Postgres]:
    """A connector to the server, without a wire between; the roles that a test leaves there are
    removed."""
    it = connector(url(server.port))
    yield it
    for found in it.list_active():
        it.remove(found)


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with Host(tmp_path_factory.mktemp("host")).running() as host:
        yield host


@pytest.fixture(scope="session")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ca") / "ca_key"
    a_pair(file)
    return file
