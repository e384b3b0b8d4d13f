"""Refusals of the postgres connector, and its errors about servers, accounts and settings that are
wrong."""

from __future__ import annotations

import re
import socket
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from bot.connectors.postgres import connector as postgres
from bot.connectors.postgres import server as postgres_server
from bot.connectors.postgres.connector import Postgres
from bot.core.errors import SystemRefused, SystemUnavailable
from tests.connectors.postgres_rig import (
    ACTIONS,
    Notes,
    PasswordServer,
    an_order,
    as_admin,
    connector,
    holder,
    roles,
    server_or_skip,
    url,
    works,
)
from tests.connectors.postgres_wire import Wire

# --- rights that can't be given


NOT_OURS = {
    "no right to hand it on": ("INSERT ON orders", "may not grant this"),
    "half of it": ("SELECT, INSERT ON orders", "may not grant this"),
    "nothing of it": ("SELECT ON hidden.keys", "permission denied for schema hidden"),
    "a role that isn't ours": ("ROLE app", "permission denied to grant role"),
    "a privileged role": ("ROLE pg_execute_server_program", "permission denied to grant role"),
    "no such table": ("SELECT ON none", 'relation "public.none" does not exist'),
    "a keyword is a name": ("SELECT ON public.select", 'relation "public.select" does not exist'),
    "no such schema": ("USAGE ON SCHEMA none", 'schema "none" does not exist'),
    "no such role": ("ROLE none", "none"),
    "no such column": (
        "SELECT (none) ON orders",
        'column "none" of relation "orders" does not exist',
    ),
    "no such function": (
        "EXECUTE ON FUNCTION f(integer)",
        "function public.f(integer) does not exist",
    ),
    "a statement": ("SELECT ON orders TO app; DROP TABLE orders", "; is not allowed in it"),
    "somebody else": ("SELECT ON orders TO app", "unexpected "),
    "a grant option": ("SELECT ON orders WITH GRANT OPTION", "unexpected "),
    "a comment": ("SELECT ON orders -- x", "- is not allowed in it"),
    "a closing quote": ('SELECT ON orders" TO app', '" is not allowed in it'),
    "a parameter": ("SELECT ON {} %s", "{ is not allowed in it"),
}


@pytest.mark.parametrize(("action", "why"), NOT_OURS.values(), ids=NOT_OURS)
def test_an_action_that_can_t_be_given_leaves_nothing(
    it: Postgres, server: PasswordServer, action: str, why: str
) -> None:
    before = roles(server) | {"access_bot_left"}
    order = an_order("SELECT ON ALL TABLES IN SCHEMA public", action)
    with pytest.raises(SystemRefused, match=re.escape(why)):
        it.grant(order)
    assert not it.read_back(order)
    assert roles(server) == before
    (problem,) = it.check({"it": [action]})
    assert problem.startswith(f"role it, {action}: ") and why in problem
    assert server.execute("SELECT count(*) FROM orders", "orders") == [(1,)]


GIVEN = (
    "SELECT (id, what), UPDATE (what) ON TABLE public.orders",
    "select on all tables in schema PUBLIC",
    "CREATE, USAGE ON SCHEMA lab",
    "CONNECT ON DATABASE orders",
    "ROLE reporting",
)


@pytest.mark.parametrize("action", GIVEN)
def test_actions_that_can_be_given(it: Postgres, action: str) -> None:
    order = an_order(action)
    it.grant(order)
    assert it.read_back(order)
    assert it.check({"it": [action]}) == []


# --- the findings of the doctor


def test_checking_changes_nothing(it: Postgres, server: PasswordServer) -> None:
    it.read_back(an_order())
    before = roles(server)
    assert it.check({"good": list(ACTIONS), "bad": ["DELETE ON orders", "SELECT ON orders"]}) == [
        "role bad, DELETE ON orders: our account may not grant this: it needs it WITH GRANT"
        " OPTION (01007)"
    ]
    assert roles(server) == before


def test_a_look_without_roles_writes_nothing(it: Postgres, server: PasswordServer) -> None:
    before = len(server.log)
    assert it.check({}) == []
    said = server.log[before:]
    assert "SELECT rolname, rolsuper" in said and not re.search(
        "statement: (CREATE|COMMENT|GRANT|ALTER)", said
    )


def test_an_account_that_may_too_much_or_too_little_is_told(server: PasswordServer) -> None:
    server.execute(
        "CREATE ROLE root_too LOGIN SUPERUSER PASSWORD 'x'; CREATE ROLE weak LOGIN PASSWORD 'x'"
    )
    try:
        (problem,) = connector(url(server.port, user="root_too", password="x")).check(
            {"it": ACTIONS}
        )
        assert problem == "our account root_too is a superuser; it needs only CREATEROLE"
        # It is well, for all that.
        assert connector(url(server.port, user="root_too", password="x")).check({}) == []
        (problem,) = connector(url(server.port, user="weak", password="x")).check({"it": ACTIONS})
        assert problem == "our account weak may not create roles: ALTER ROLE weak CREATEROLE"
    finally:
        server.execute("DROP ROLE root_too, weak")


def test_a_server_that_takes_no_writes_proves_no_end_and_is_told(
    it: Postgres, server: PasswordServer
) -> None:
    order = an_order()
    it.grant(order)
    server.execute("ALTER ROLE access_bot SET default_transaction_read_only = on")
    try:
        for call in (it.grant, it.revoke, it.extend):
            with pytest.raises(SystemUnavailable, match="in a read-only transaction"):
                call(order)
        (problem,) = it.check({})
        assert problem.startswith("it is a standby, or read-only")
    finally:
        server.execute("ALTER ROLE access_bot RESET default_transaction_read_only")


def test_an_account_that_lost_its_right_to_make_roles_still_ends_sessions_and_says_why(
    it: Postgres, server: PasswordServer
) -> None:
    order = an_order()
    it.grant(order)
    with holder(it, order) as line:
        server.execute("ALTER ROLE access_bot NOCREATEROLE")
        try:
            with pytest.raises(SystemRefused, match="permission denied to alter role"):
                it.revoke(order)
            assert it.read_back(order)
            with pytest.raises(psycopg.OperationalError):
                line.execute("SELECT 1")
        finally:
            server.execute("ALTER ROLE access_bot CREATEROLE")
    it.revoke(order)
    assert not it.read_back(order)


def test_a_superuser_does_it_too(server: PasswordServer) -> None:
    server.execute("CREATE ROLE root_too LOGIN SUPERUSER PASSWORD 'x'")
    it, order = connector(url(server.port, user="root_too", password="x")), an_order()
    it.grant(order)
    assert works(it, order)
    it.revoke(order)
    assert not it.read_back(order)
    server.execute("DROP ROLE root_too_left; DROP OWNED BY root_too; DROP ROLE root_too")


def test_a_server_that_can_t_be_used_is_told_without_a_secret(
    server: PasswordServer, wire: Wire
) -> None:
    with wire.down():
        (problem,) = connector(url(wire.port)).check({})
    assert problem.startswith("orders-db can't be reached")
    (problem,) = connector(url(server.port, password="hunter2")).check({})
    assert "password authentication failed" in problem and "hunter2" not in problem
    (problem,) = connector(url(server.port, database="none")).check({})
    assert 'database "none" does not exist' in problem


def test_a_parent_whose_rights_a_holder_could_hand_on_is_told(
    it: Postgres, server: PasswordServer
) -> None:
    server.execute(
        "CREATE ROLE quiet; CREATE ROLE loud; GRANT loud TO reporting; GRANT loud, quiet TO"
        " access_bot WITH ADMIN TRUE;GRANT SELECT (what) ON orders TO loud WITH GRANT OPTION; GRANT"
        " quiet TO reporting WITH ADMIN TRUE;CREATE TABLE lab.summed (); ALTER TABLE lab.summed"
        " OWNER TO loud",
        "orders",
    )
    try:
        assert it.check({"it": ["SELECT ON orders", "ROLE quiet"]}) == []
        told = "so a holder could grant it to others beyond the access"
        assert it.check({"it": ["ROLE reporting"]}) == [
            f"role it, ROLE reporting: loud owns things and has rights WITH GRANT OPTION, {told}",
            f"role it, ROLE reporting: reporting has ADMIN on a role, {told}",
        ]
    finally:
        server.execute("DROP OWNED BY loud; DROP ROLE loud, quiet", "orders")


# --- a server that is another one


def test_another_server_behind_the_url_proves_no_end(server: PasswordServer) -> None:
    """Nothing of ours is there, and nothing has ended."""
    notes, order = Notes(), an_order()
    with contextmanager(server_or_skip)() as another:
        here, there = (
            connector(url(server.port), notes=notes),
            connector(url(another.port), notes=notes),
        )
        here.grant(order)
        for call in (there.revoke, there.read_back):
            with pytest.raises(
                SystemUnavailable, match="orders-db is another server than the one where"
            ):
                call(order)
        assert works(here, order)
        here.revoke(order)
        assert not here.read_back(order) and not there.read_back(order)


def test_where_a_server_does_not_tell_which_it_is_access_is_given_and_ended(
    server: PasswordServer,
) -> None:
    it, order = connector(url(server.port), notes=Notes()), an_order()
    server.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC", "orders")
    try:
        it.grant(order)
        assert works(it, order)
        it.revoke(order)
        assert not it.read_back(order)
    finally:
        server.execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC", "orders")


def test_a_server_that_is_too_old_starts_nothing_and_has_nothing_to_end(
    it: Postgres, server: PasswordServer, monkeypatch: Any
) -> None:
    monkeypatch.setattr(postgres, "OLDEST", 99)
    before, order = roles(server), an_order()
    with pytest.raises(SystemRefused, match="PostgreSQL 99 or newer is needed"):
        it.grant(order)
    it.revoke(order)
    assert not it.read_back(order) and roles(server) == before
    (problem,) = it.check({"it": ACTIONS})
    assert re.fullmatch(r"it is PostgreSQL \d+; this needs 99 or newer", problem)


# --- a server that hangs


def test_a_server_that_answers_no_more_is_let_go(
    server: PasswordServer, wire: Wire, monkeypatch: Any
) -> None:
    monkeypatch.setattr(postgres_server, "CALL", 0.2)
    it, order = connector(url(wire.port)), an_order()
    for step in (1, 3):
        with wire.held(step), pytest.raises(SystemUnavailable, match="the connection broke"):
            it.grant(order)
    assert not connector(url(server.port)).read_back(order)


def test_a_server_that_never_says_hello_is_let_go(monkeypatch: Any) -> None:
    monkeypatch.setattr(postgres_server, "CONNECT", 1)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(SystemUnavailable, match="can't be reached"),
    ):
        connector(url(silent.getsockname()[1])).read_back(an_order())


def test_a_start_that_still_waits_for_its_commit_is_not_said_to_be_gone(
    it: Postgres, server: PasswordServer, monkeypatch: Any
) -> None:
    monkeypatch.setattr(
        postgres_server, "LIMITS", f"{postgres_server.LIMITS} -c lock_timeout=100ms"
    )
    it.read_back(an_order())
    with as_admin(server) as line, line.transaction(force_rollback=True):
        line.execute("COMMENT ON ROLE access_bot_left IS 'a start has its turn'")
        for call in (it.read_back, it.revoke, it.grant):
            with pytest.raises(SystemUnavailable, match="lock timeout"):
                call(an_order())


# --- settings


WRONG = {
    "no url": ("db.example.com", None, "url has to begin with postgresql://"),
    "another database": (
        "mysql://a:hunter2@db/orders",
        None,
        "url has to begin with postgresql://",
    ),
    "not encoded": ("postgresql://a:hunter2%zz@db/orders", None, "url can't be read"),
    "an unknown parameter": (
        "postgresql://a:hunter2@db/orders?nothing=hunter2",
        None,
        "url can't be read",
    ),
    "no account": ("postgresql://db/orders", None, "url must name our account"),
    "no database": ("postgresql://a:hunter2@db", None, "url must name the database"),
    "a password in the address": (
        "postgresql://a:b@db/orders",
        "c:hunter2@db",
        "without a user and a password",
    ),
    "no host in the address": ("postgresql://a:b@db/orders", ":5432", "address is HOST"),
    "a bad port": ("postgresql://a:b@db/orders", "db:hunter2", "address is not HOST"),
    "two words": ("postgresql://a:b@db/orders", "db or so", "address is HOST"),
    "an unknown parameter of the address": (
        "postgresql://a:b@db/orders",
        "db?x=1",
        "address is not HOST",
    ),
}


@pytest.mark.parametrize(("url", "address", "problem"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_told_without_a_secret(
    url: str, address: str | None, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        connector(url, **({"address": address} if address else {}))
    assert "hunter2" not in str(caught.value)


SHOWN = {
    "from the url": ("postgresql://a:b@db:6432/orders", None, "u:p%2F@db:6432/orders"),
    "the port that goes without saying": (
        "postgresql://a:b@db/orders",
        None,
        "u:p%2F@db:5432/orders",
    ),
    "with TLS": (
        "postgres://a:b@db/o?sslmode=require&options=-cx",
        None,
        "u:p%2F@db:5432/o?sslmode=require",
    ),
    "a public CA": (
        "postgres://a:b@db/o?sslmode=verify-full&sslrootcert=system",
        None,
        "u:p%2F@db:5432/o?sslmode=verify-full&sslrootcert=system",
    ),
    "a CA of ours": (
        "postgres://a:b@db/o?sslmode=verify-full&sslrootcert=/ca",
        None,
        "u:p%2F@db:5432/o?sslmode=verify-full",
    ),
    "two hosts": ("postgresql://a:b@db1:1,db2:2/o", None, "u:p%2F@db1:1,db2:2/o"),
    "a socket": ("postgresql://a:b@%2Frun%2Fpg/o", None, "u:p%2F@%2Frun%2Fpg:5432/o"),
    "a database to encode": ("postgresql://a:b@db/my%20db", None, "u:p%2F@db:5432/my%20db"),
    "another host": (
        "postgresql://a:b@db:6432/orders",
        "pg.example.com",
        "u:p%2F@pg.example.com:6432/orders",
    ),
    "another port": ("postgresql://a:b@db/orders", "pg:7000", "u:p%2F@pg:7000/orders"),
    "another name": ("postgresql://a:b@db/orders", "pg:7000/shop", "u:p%2F@pg:7000/shop"),
    "all of it": (
        "postgresql://a:b@db/o",
        "postgresql://pg/x?sslmode=require",
        "u:p%2F@pg:5432/x?sslmode=require",
    ),
    "IPv6": ("postgresql://a:b@db/orders", "[::1]:7000", "u:p%2F@[::1]:7000/orders"),
}


@pytest.mark.parametrize(("url", "address", "there"), SHOWN.values(), ids=SHOWN)
def test_people_are_shown_the_address(url: str, address: str | None, there: str) -> None:
    assert postgres_server.Server("it", url, address).way_in("u", "p/") == f"postgresql://{there}"
