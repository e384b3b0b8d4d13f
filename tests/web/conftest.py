"""The real application over a real database; served on a loopback port where a test needs a
socket."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from bot.operations.usage.count_usage import UsageMeter
from bot.tokens import Signer
from bot.web import build_web, listening, serve_config
from bot.web.responses import Handler
from storage.database import Database
from tests.factories import Made, make_world


@dataclass
class Site:
    """The application as a client sees it, without a socket."""

    made: Made
    meter: UsageMeter
    registry: CollectorRegistry
    app: Starlette

    def call(self, method: str, path: str, **how: object) -> httpx2.Response:
        """One request, in an event loop of its own."""
        return asyncio.run(self.gather([lambda client: client.request(method, path, **how)]))[0]  # type: ignore[arg-type]

    async def gather(
        self, calls: list[Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]]
    ) -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(
            self.app, raise_app_exceptions=True, client=("192.0.2.7", 40000)
        )
        async with httpx2.AsyncClient(transport=transport, base_url="http://bot") as client:
            return list(await asyncio.gather(*(call(client) for call in calls)))

    def auth(
        self, token: str | None = None, system: str = "shop-admin", **headers: str
    ) -> httpx2.Response:
        given = {"X-Access-System": system, **headers}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        return self.call("GET", "/auth", headers=given)

    def introspect(
        self, token: str, system: str = "shop-admin", secret: str = ""
    ) -> httpx2.Response:
        secret = secret or str(self.made.policies[-1].systems[system].secret)
        return self.call("POST", "/oauth2/introspect", data={"token": token}, auth=(system, secret))

    def checks(self) -> dict[tuple[str, str], float]:
        """The metric of checks by system and outcome."""
        (family,) = (m for m in self.registry.collect() if m.name == "access_bot_token_checks")
        totals = (s for s in family.samples if s.name.endswith("_total"))
        return {(s.labels["system"], s.labels["outcome"]): s.value for s in totals}


def build_site(
    made: Made,
    slack: Handler | None = None,
    signer: Signer | None = None,
    registry: CollectorRegistry | None = None,
) -> Site:
    meter, registry = UsageMeter(made.world), registry or CollectorRegistry()
    app = build_web(
        made.world,
        signer or made.signer,
        meter,
        ready=lambda: [("database", True, "")],
        registry=registry,
        slack=slack,
    )
    return Site(made, meter, registry, app)


@pytest.fixture
def made(sqlite_url: str, tmp_path: Path) -> Iterator[Made]:
    """On SQLite, for tests that do not depend on the database."""
    with closing(Database(sqlite_url)) as database:
        yield make_world(tmp_path, db=database)


@pytest.fixture
def site(made: Made) -> Site:
    return build_site(made)


@pytest.fixture
def either(database: Database, tmp_path: Path) -> Site:
    """The application on each of the databases: its answers must be the same."""
    return build_site(make_world(tmp_path, db=database))


@contextmanager
def serving(app: Starlette, port: int = 0) -> Iterator[int]:
    """Runs the application under uvicorn, as in production, and returns its port."""
    socket = listening("127.0.0.1", port)
    server = uvicorn.Server(serve_config(app, "127.0.0.1", port))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        assert server.started
        yield socket.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        socket.close()
