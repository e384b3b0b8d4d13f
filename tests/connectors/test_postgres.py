"""The postgres connector on a real server, with the very account that the docs tell to make."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from bot.connectors.base import Connector, Watches
from bot.connectors.postgres.connector import Postgres, role_name
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.operations.usage.describe_usage import describe_usage
from bot.operations.usage.record_sessions import record_sessions
from bot.worker.dispatcher import Dispatcher
from tests.connectors import contract
from tests.connectors.contract import Contract, Rig
from tests.connectors.postgres_rig import (
    ACTIONS,
    MAKER,
    PasswordServer,
    an_order,
    as_admin,
    connector,
    holder,
    roles,
    shown,
    url,
    works,
)
from tests.connectors.postgres_wire import Wire
from tests.factories import ANA, CARA, Made
from tests.waiting import until

GONE = (psycopg.errors.AdminShutdown, psycopg.OperationalError)


class TestPostgres(Contract):
    @pytest.fixture
    def rig(self, server: PasswordServer, wire: Wire) -> Rig:
        settings = (
            f"connector = 'postgres'\nurl = '{url(wire.port)}'\naddress = '127.0.0.1:{server.port}'"
        )
        return Rig(settings, ACTIONS, works, wire.down, wire.breaking)

    def test_a_login_is_in_the_grant_s_timeline(
        self, rig: Rig, it: Connector, made: Made, delivery: Dispatcher, server: PasswordServer
    ) -> None:
        assert isinstance(it, Watches)
        grant = contract.active(made, delivery)
        with holder(it, contract.order_of(made, grant, rig)) as line:
            record_sessions(made.world, "it", [*it.sessions()], made.clock.at)
            gone = line.info.backend_pid
        while server.execute(f"SELECT FROM pg_stat_activity WHERE pid = {gone}"):
            pass
        made.clock.at += 15
        record_sessions(made.world, "it", [*it.sessions()], made.clock.at)
        usage = describe_usage(made.world, grant.id)
        assert usage is not None
        (session,) = usage.sessions
        assert (session.source, session.closed_at, session.used_after_end) == (
            "127.0.0.1",
            made.clock.at,
            False,
        )
        assert usage.used.times == 1 and made.events("grant:use:first") == 1


# --- the end


def test_a_session_is_ended_with_the_access(it: Postgres) -> None:
    order = an_order()
    it.grant(order)
    with holder(it, order) as line:
        line.execute("SELECT 1")
        it.revoke(order)
        with pytest.raises(GONE):
            line.execute("SELECT 1")


def test_a_renewal_that_comes_after_the_end_makes_nothing(it: Postgres) -> None:
    order = an_order()
    it.grant(order)
    it.revoke(order)
    with pytest.raises(SystemUnavailable, match="no access of"):
        it.extend(order)
    assert not it.read_back(order)


def test_a_holder_can_t_hold_up_the_end(it: Postgres) -> None:
    """Their transaction has locked their own role, in which NOLOGIN would be written."""
    order = an_order()
    it.grant(order)
    with holder(it, order) as line:
        line.execute("BEGIN")
        line.execute("ALTER ROLE CURRENT_USER PASSWORD 'mine'")
        line.execute("LOCK TABLE orders IN ACCESS SHARE MODE")
        it.revoke(order)
        assert not it.read_back(order)
        with pytest.raises(GONE):
            line.execute("COMMIT")


@contextmanager
def a_client_that_connects_again(secret: str, first: str) -> Iterator[None]:
    """As a pool does, in as many sessions as the role may have."""
    over = threading.Event()

    def again_and_again() -> None:
        while not over.is_set():
            try:
                with psycopg.connect(secret, autocommit=True) as line:
                    line.execute(first.encode())
                    while not over.is_set():
                        line.execute("SELECT pg_sleep(0.02)")
            except psycopg.Error:
                pass

    clients = [threading.Thread(target=again_and_again) for _ in range(9)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        over.set()
        for client in clients:
            client.join()


@pytest.mark.parametrize("first", ["SELECT 1", "BEGIN; ALTER ROLE CURRENT_USER PASSWORD '{}'"])
def test_who_connects_again_and_again_is_out_at_once(it: Postgres, first: str) -> None:
    order = an_order()
    it.grant(order)
    secret = shown(it, order)
    with a_client_that_connects_again(secret, first.format(secret.split(":")[2].split("@")[0])):
        until(lambda: len(it.sessions()) > 5)
        for _ in range(3):  # a session that was just being let in is one more second
            try:
                it.revoke(order)
                break
            except SystemUnavailable as error:
                assert "was opened while it ended" in str(error)
        assert not it.read_back(order)


def test_a_session_that_does_not_end_lets_nobody_else_in(it: Postgres) -> None:
    order = an_order()
    it.grant(order)
    secret = shown(it, order)
    with psycopg.connect(secret, autocommit=True) as line:
        os.kill(line.info.backend_pid, signal.SIGSTOP)  # like code of theirs that never looks up
        try:
            with pytest.raises(SystemUnavailable, match=r"1 sessions of .* did not end"):
                it.revoke(order)
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(secret)
        finally:
            os.kill(line.info.backend_pid, signal.SIGCONT)
        it.revoke(order)
        assert not it.read_back(order)


def owners(server: PasswordServer, database: str = "orders") -> set[tuple[str, str]]:
    return {
        (name, owner)
        for name, owner in server.execute(
            "SELECT relname, relowner::regrole::text FROM pg_class WHERE relname ~ '^left_' AND"
            " relkind <> 'i' UNION SELECT proname, proowner::regrole::text FROM pg_proc WHERE"
            " proname ~ '^left_' UNION SELECT typname, typowner::regrole::text FROM pg_type WHERE"
            " typname ~ '^left_m'",
            database,
        )
    }


def test_what_a_holder_made_is_kept_and_theirs_no_more(
    it: Postgres, server: PasswordServer
) -> None:
    order = an_order(*MAKER)
    it.grant(order)
    with holder(it, order) as line:
        line.execute("CREATE TABLE lab.left_table AS SELECT * FROM orders")
        line.execute(
            "CREATE FUNCTION lab.left_function() RETURNS text SECURITY DEFINER RETURN current_user"
        )
        line.execute("CREATE TYPE lab.left_mood AS ENUM ('well')")
    it.revoke(order)
    assert not it.read_back(order)
    owner = "access_bot_left"
    assert owners(server) == {("left_table", owner), ("left_function", owner), ("left_mood", owner)}
    with as_admin(server) as line:
        assert line.execute("SELECT what FROM lab.left_table").fetchall() == [("tea",)]
        assert line.execute("SELECT lab.left_function()").fetchone() == (owner,)
        assert line.execute(
            "SELECT has_schema_privilege('access_bot_left', 'lab', 'CREATE')"
        ).fetchone() == (False,)
        line.execute(
            "DROP TABLE lab.left_table; DROP FUNCTION lab.left_function; DROP TYPE lab.left_mood"
        )


def test_a_schema_that_a_holder_made_goes_with_all_that_is_in_it(
    it: Postgres, server: PasswordServer
) -> None:
    order = an_order("CREATE ON DATABASE orders", *ACTIONS)
    it.grant(order)
    with holder(it, order) as line:
        line.execute("CREATE SCHEMA mine")
        line.execute("CREATE TABLE mine.left_inside ()")
        line.execute("CREATE FUNCTION mine.left_called() RETURNS text RETURN 'x'")
    it.revoke(order)
    assert not it.read_back(order)
    assert owners(server) == {
        ("left_inside", "access_bot_left"),
        ("left_called", "access_bot_left"),
    }
    with as_admin(server) as line:
        assert line.execute(
            "SELECT has_schema_privilege('access_bot_left', 'mine', 'CREATE')"
        ).fetchone() == (True,)
        line.execute("DROP SCHEMA mine CASCADE")


LEFT_BY_RIGHT_OF = {
    "a parent": ("ROLE reporting", "CREATE FUNCTION reports.left_f() RETURNS int RETURN 1"),
    "the database": ("CREATE ON DATABASE orders", "CREATE PUBLICATION left_p"),
    "a wrapper": (
        "USAGE ON FOREIGN DATA WRAPPER files",
        "CREATE SERVER left_s FOREIGN DATA WRAPPER files",
    ),
    "nothing": ("ROLE reporting", "SELECT lo_create(4711)"),
}


@pytest.mark.parametrize(("action", "statement"), LEFT_BY_RIGHT_OF.values(), ids=LEFT_BY_RIGHT_OF)
def test_whatever_let_a_holder_make_it_it_is_handed_over(
    it: Postgres, server: PasswordServer, action: str, statement: str
) -> None:
    order = an_order(action)
    it.grant(order)
    with holder(it, order) as line:
        line.execute(statement.encode())
    it.revoke(order)
    assert not it.read_back(order)
    may = "SELECT has_schema_privilege('access_bot_left', 'reports', 'CREATE')"
    assert server.execute(may, "orders") == [(False,)]
    with as_admin(server) as line:
        line.execute("DROP OWNED BY access_bot_left")


@pytest.mark.parametrize("database", ["orders", "other"])
def test_a_prepared_transaction_can_t_hold_up_the_end_either(it: Postgres, database: str) -> None:
    """It survives its session, and here it has locked the holder's role."""
    order = an_order()
    it.grant(order)
    with psycopg.connect(
        shown(it, order).replace("/orders", f"/{database}"), autocommit=True
    ) as line:
        line.execute("BEGIN")
        line.execute("ALTER ROLE CURRENT_USER PASSWORD 'mine'")
        line.execute("PREPARE TRANSACTION 'it''s mine'")
    it.revoke(order)
    assert not it.read_back(order)


def test_what_a_holder_made_in_another_database_is_found(
    it: Postgres, server: PasswordServer
) -> None:
    server.execute("GRANT CREATE ON SCHEMA public TO PUBLIC", "other")
    order = an_order()
    it.grant(order)
    with psycopg.connect(shown(it, order).replace("/orders", "/other"), autocommit=True) as line:
        line.execute("CREATE TABLE left_elsewhere ()")
    it.revoke(order)
    assert not it.read_back(order)
    assert ("left_elsewhere", "access_bot_left") in owners(server, "other")
    server.execute("DROP TABLE left_elsewhere", "other")


def test_what_keeps_it_from_ending_is_told_and_nobody_gets_in_meanwhile(
    it: Postgres, server: PasswordServer
) -> None:
    order = an_order()
    it.grant(order)
    secret = shown(it, order)
    server.execute(f"GRANT SELECT ON hidden.keys TO {role_name(order)}", "orders")
    with pytest.raises(
        SystemRefused, match=r"cannot be dropped .*: privileges for table hidden\.keys"
    ):
        it.revoke(order)
    assert it.read_back(order)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(secret)
    with pytest.raises(SystemUnavailable, match="is being ended"):
        it.grant(order)
    (found,) = it.list_active()
    assert found.detail == "may no longer log in"
    server.execute(f"REVOKE SELECT ON hidden.keys FROM {role_name(order)}", "orders")
    it.revoke(order)
    assert not it.read_back(order)


def test_what_another_holder_has_locked_holds_up_neither_the_end_of_access_nor_a_start(
    it: Postgres, server: PasswordServer
) -> None:
    """An open transaction that grants something to a role keeps the role from being dropped."""
    other, order, next_one = an_order(*MAKER, person=CARA), an_order(), an_order()
    it.grant(other)
    it.grant(order)
    secret = shown(it, order)
    with holder(it, other) as line, ThreadPoolExecutor(1) as pool:
        line.execute(
            "CREATE TABLE lab.waits (); BEGIN; "
            f"GRANT SELECT ON lab.waits TO {role_name(order)}".encode()
        )
        end = pool.submit(it.revoke, order)
        before = time.monotonic()
        it.grant(next_one)
        assert time.monotonic() - before < 4
        with pytest.raises(SystemUnavailable, match="lock timeout"):
            end.result()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(secret)
    it.revoke(order)
    assert not it.read_back(order)
    it.revoke(other)
    with as_admin(server) as line:
        line.execute("DROP TABLE lab.waits")


# --- more than one


def test_two_grants_of_one_person_don_t_touch_each_other(it: Postgres) -> None:
    first, second = an_order(), an_order()
    it.grant(first)
    it.grant(second)
    with holder(it, second) as line:
        it.revoke(first)
        assert line.execute("SELECT what FROM orders").fetchall() == [("tea",)]
    assert not it.read_back(first) and it.read_back(second)
    assert works(it, second)


def test_two_databases_of_one_server_in_one_grant(it: Postgres, server: PasswordServer) -> None:
    here, order = it, an_order()
    there = connector(url(server.port, "other"), "other-db")
    elsewhere = an_order("TEMPORARY ON DATABASE other", grant=order.grant)
    server.execute("GRANT TEMPORARY ON DATABASE other TO access_bot WITH GRANT OPTION")
    here.grant(order)
    there.grant(elsewhere)
    mine, other = role_name(order), f"{role_name(order)}_2"
    assert [found.name for found in here.list_active()] == [mine]
    assert [(found.name, found.grant) for found in there.list_active()] == [(other, order.grant)]
    there_secret = shown(there, elsewhere)
    assert works(here, order)  # with a password of its own
    here.revoke(order)
    assert not here.read_back(order) and there.read_back(elsewhere)
    psycopg.connect(there_secret).close()
    there.revoke(elsewhere)
    assert not there.read_back(elsewhere)
    assert not {mine, other} & roles(server)


def test_many_at_once_don_t_get_into_each_other_s_way(it: Postgres) -> None:
    orders = [an_order(person=(ANA, CARA)[number % 2]) for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(it.grant, orders))
        assert all(pool.map(it.read_back, orders))
        list(pool.map(it.revoke, orders))
        assert not any(pool.map(it.read_back, orders))
