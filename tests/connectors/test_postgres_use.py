"""Logins at a real database are recorded as use of their grant, and reported at its end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import cast

import pytest

from bot.connectors import Systems
from bot.connectors.base import Connector
from bot.core.model import Grant
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.grants.record_results import order_for, record_ended, record_started
from bot.operations.grants.release_grant import release_grant
from bot.operations.usage.describe_usage import UsageView, describe_usage
from bot.worker.session_poller import SessionPoller
from tests.builders import SYSTEMS, a_policy
from tests.connectors.postgres_rig import PasswordServer, connector, holder, server_or_skip, url
from tests.factories import ANA, Made
from tests.waiting import until

ROLE = """system = "orders-db"
actions = ["SELECT ON orders"]
requesters = ["everyone"]
approvers = ["@db-leads"]
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PasswordServer]:
    yield from server_or_skip()


@pytest.fixture
def it(server: PasswordServer, made: Made) -> Connector:
    """The connector, with its system in roles.toml and a clock that runs."""
    systems = (
        f'{SYSTEMS}\n[systems.orders-db]\nconnector = "postgres"\nurl = "{url(server.port)}"\n'
    )
    made.policies.append(a_policy(systems=systems, orders_read=ROLE))
    made.clock.at = int(time.time())
    return cast(Connector, connector(url(server.port)))


class Only(Systems):
    def __init__(self, it: Connector) -> None:
        self.it = it

    def of(self, name: str, kind: str) -> Connector:
        assert (name, kind) == ("orders-db", "postgres")
        return self.it


def a_grant(made: Made, it: Connector) -> Grant:
    grant = made.a_started(made.a_request("orders-read"))
    for order in begin_attempt(made.world, grant.id):
        it.grant(order)
    record_started(made.world, grant.id)
    return made.grant(grant.id)


def end(made: Made, it: Connector, grant: Grant) -> None:
    release_grant(made.world, grant.id, ANA)
    order = order_for(made.world, grant.id, "orders-db")
    assert order is not None
    it.revoke(order)
    record_ended(made.world, grant.id, "orders-db")


def usage(made: Made, grant: Grant) -> UsageView:
    view = describe_usage(made.world, grant.id)
    assert view is not None
    return view


def test_a_login_is_seen_while_it_lasts_and_is_the_first_use(made: Made, it: Connector) -> None:
    grant, watch = a_grant(made, it), SessionPoller(made.world, Only(it))
    order = order_for(made.world, grant.id, "orders-db")
    assert order is not None
    with holder(it, order):
        watch.poll()
        (session,) = until(lambda: usage(made, grant).sessions)
        assert (session.source, session.closed_at) == ("127.0.0.1", None)
        assert session.opened_at is not None and abs(session.opened_at - made.clock.at) <= 60
    assert made.log("grant:use:first", 'actor, system, "grant"') == [(ANA, "orders-db", grant.id)]
    end(made, it, grant)
    made.clock.at += 20
    watch.poll()
    until(lambda: usage(made, grant).sessions[0].closed_at == made.clock.at)
    assert (usage(made, grant).used.times, usage(made, grant).used.open) == (1, 0)
    assert made.events("grant:use:after_end") == 0


def test_a_database_without_a_login_was_not_seen_in_use(made: Made, it: Connector) -> None:
    grant, watch = a_grant(made, it), SessionPoller(made.world, Only(it))
    assert usage(made, grant).used.silent == ("orders-db",), "nobody has looked yet"
    watch.poll()
    until(lambda: usage(made, grant).used.glimpsed)
    end(made, it, grant)
    used = usage(made, grant).used
    assert (used.times, used.silent) == (0, ())
