"""From a click in Slack to a real login in a real database, and to one that fails when the access
has ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from bot.sandbox import Person
from tests.connectors.postgres_rig import ACTIONS, PasswordServer, as_admin, server_or_skip, url
from tests.faults.running_bot import ROLES, Company, parts, running_company
from tests.waiting import until

DATABASE = f"""
[systems.orders-db]
connector = "postgres"
url = "${{ORDERS_DB_ADMIN_URL}}"

[roles.orders-read]
title = "Orders database, read only"
system = "orders-db"
actions = {list(ACTIONS)}
requesters = ["everyone"]
approvers = ["@db-leads"]
default_duration = "1h"

[roles.orders-brief]
title = "Orders database, for a moment"
system = "orders-db"
actions = ["SELECT ON orders"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "1h"
default_duration = "5s"
reminders = []
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PasswordServer]:
    yield from server_or_skip()


@pytest.fixture(scope="module")
def company(server: PasswordServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    secret = {"ORDERS_DB_ADMIN_URL": url(server.port), "LOG_LEVEL": "DEBUG"}
    with running_company(tmp_path_factory.mktemp("company"), environment=secret) as company:
        company.roles.write_text(ROLES + DATABASE)
        company.start()
        yield company
        assert company.complaints() == []


def way_in(company: Company, who: Person, role: str) -> str:
    """The content of the window after a click on Show credentials."""
    assert who.click(company.about(who, role), "Show credentials").ok

    def shown() -> str | None:
        texts = [str(part.get("text", "")) for part in parts(who.wait_view())]
        return next((text for text in texts if text.startswith("postgresql://")), None)

    found = until(shown)
    who.close_view()
    return found


def gets_in(secret: str) -> bool:
    try:
        with psycopg.connect(secret) as line:
            return line.execute("SELECT what FROM orders").fetchall() == [("tea",)]
    except psycopg.OperationalError as error:
        assert "password authentication failed" in str(error)
        return False


def names_of(server: PasswordServer, grant: str) -> list[str]:
    with as_admin(server) as line:
        return [
            name
            for (name,) in line.execute("SELECT rolname FROM pg_roles WHERE rolname ~ %s", [grant])
        ]


def left_behind(company: Company) -> Iterator[tuple[str, bytes]]:
    """Everything that the bot wrote, and its messages in Slack except that one window."""
    yield "log", company.bot.output.encode()
    for path in sorted(Path(company.folder).glob("access.db*")):
        yield path.name, path.read_bytes()
    for call in company.sandbox.inspector.calls():
        if not call["method"].startswith("views."):
            yield call["method"], str(call).encode()


def test_a_click_gives_a_login_and_done_removes_it(
    company: Company, server: PasswordServer
) -> None:
    grant = company.hold(company.ana, "orders-read", "1h why is the tea late")
    secret = way_in(company, company.ana, "orders-read")
    assert re.fullmatch(
        rf"postgresql://access_[a-z0-9_]+_{grant}:[^@/]+@127\.0\.0\.1:{server.port}/orders.*",
        secret,
    )
    assert gets_in(secret)
    assert names_of(server, grant) == [urlsplit(secret).username]
    with psycopg.connect(secret, autocommit=True) as line:
        company.access(company.ana, "done orders-read")
        until(lambda: company.grant(company.ana, "orders-read")[1] == "ended")
        with pytest.raises(psycopg.OperationalError):
            line.execute("SELECT 1")
    assert not gets_in(secret)
    assert names_of(server, grant) == []
    password = unquote(urlsplit(secret).password or "").encode()
    assert len(password) >= 32
    company.quiet()
    assert [place for place, content in left_behind(company) if password in content] == []


def test_access_ends_automatically_on_time(company: Company, server: PasswordServer) -> None:
    who = company.newcomer()
    grant = company.hold(who, "orders-brief", "8s a look")
    assert gets_in(way_in(company, who, "orders-brief"))
    until(lambda: company.grant(who, "orders-brief")[1] == "ended", 20)
    assert names_of(server, grant) == []


def test_showing_credentials_again_replaces_the_earlier_ones(company: Company) -> None:
    who = company.newcomer()
    company.hold(who, "orders-read", "1h twice")
    first, second = way_in(company, who, "orders-read"), way_in(company, who, "orders-read")
    assert not gets_in(first) and gets_in(second)
