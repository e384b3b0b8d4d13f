"""The postgres connector on a real server that wants passwords, with the very account that the docs tell to make."""

from __future__ import annotations

import itertools
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, cast
from urllib.parse import quote

import psycopg
import pytest

from bot.connectors import postgres_server
from bot.connectors.base import Connector, Shows, Tools, Way
from bot.connectors.postgres import Postgres, role_name
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import Order
from bot.core.policy import System
from bot.core.reality import Found
from tests.connectors.contract import HOUR, Contract, Rig
from tests.connectors.postgres_rig import ADMIN_PASSWORD, DOCS, PasswordServer, Wire
from tests.worlds import ANA, CARA, a_person

ACTIONS = ("SELECT ON ALL TABLES IN SCHEMA public", "ROLE reporting")
BEFORE = """
CREATE ROLE app NOLOGIN; CREATE ROLE reporting NOLOGIN;
CREATE TABLE orders (id integer PRIMARY KEY, what text, card text); INSERT INTO orders VALUES (1, 'tea', '4111');
ALTER TABLE orders OWNER TO app;
CREATE SCHEMA reports; CREATE TABLE reports.sums (total integer);
GRANT USAGE ON SCHEMA reports TO reporting; GRANT SELECT ON reports.sums TO reporting;
CREATE SCHEMA hidden; CREATE TABLE hidden.keys (key text);
CREATE SCHEMA lab;
"""
AFTER = """
GRANT UPDATE ON orders TO access_bot WITH GRANT OPTION;
GRANT INSERT ON orders TO access_bot;
GRANT CREATE, USAGE ON SCHEMA lab TO access_bot WITH GRANT OPTION;
GRANT CONNECT ON DATABASE orders TO access_bot WITH GRANT OPTION;
"""
MAKER = ("CREATE, USAGE ON SCHEMA lab", *ACTIONS)


@pytest.fixture(scope="module")
def server() -> Iterator[PasswordServer]:
    try:
        server = PasswordServer()
    except Exception as error:
        pytest.skip(f"PostgreSQL could not be started: {type(error).__name__}: {error}")
    try:
        server.execute("CREATE DATABASE orders")
        server.execute("CREATE DATABASE other")
        server.execute(BEFORE, "orders")
        (account,) = re.findall(r"^```sql\n(.*?)^```$", DOCS.read_text(encoding="utf-8"), re.M | re.S)
        server.execute(account, "orders")
        server.execute(f"ALTER ROLE access_bot PASSWORD '{ADMIN_PASSWORD}'; {AFTER}", "orders")
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def wire(server: PasswordServer) -> Iterator[Wire]:
    with closing(Wire(server.port)) as wire:
        yield wire


def url(port: int, database: str = "orders", user: str = "access_bot", password: str = ADMIN_PASSWORD) -> str:
    secret = quote(password, safe="")
    return f"postgresql://{user}:{secret}@127.0.0.1:{port}/{database}?sslmode=disable&gssencmode=disable"


def shown(it: Connector, order: Order) -> str:
    assert isinstance(it, Shows)
    way = it.credentials(order, "")
    assert isinstance(way, Way)
    (secret,) = way.secrets.values()
    return secret


def holder(it: Connector, order: Order) -> psycopg.Connection[tuple[object, ...]]:
    """A session of the holder's."""
    return psycopg.connect(shown(it, order), autocommit=True, connect_timeout=5)


def works(it: Connector, order: Order) -> bool:
    try:
        with holder(it, order) as line:
            read = line.execute("SELECT what FROM orders").fetchall()
            return read == [("tea",)] and line.execute("SELECT * FROM reports.sums").fetchall() == []
    except (SystemRefused, SystemUnavailable, psycopg.OperationalError):
        return False


class TestPostgres(Contract):
    @pytest.fixture
    def rig(self, server: PasswordServer, wire: Wire) -> Rig:
        settings = f"connector = 'postgres'\nurl = '{url(wire.port)}'\naddress = '127.0.0.1:{server.port}'"
        return Rig(settings, ACTIONS, works, wire.down, wire.breaking)


NUMBERS = itertools.count(1)
GONE = (psycopg.errors.AdminShutdown, psycopg.OperationalError)


def an_order(*actions: str, person: str = ANA, seconds: int = HOUR, email: str | None = None, grant: str = "") -> Order:
    now = int(time.time())
    name = grant or f"g{next(NUMBERS):011}"
    who = a_person(person, email)
    return Order(name, "orders-db", "postgres", who, "it", actions or ACTIONS, now, now + seconds)


def connector(url: str, name: str = "orders-db", **settings: str) -> Postgres:
    return Postgres(System(name, "postgres", {"url": url, **settings}), cast(Tools, None))


@pytest.fixture
def it(server: PasswordServer) -> Iterator[Postgres]:
    """A connector straight to the server; what a test leaves there is taken away."""
    it = connector(url(server.port))
    yield it
    for found in it.list_active():
        it.remove(found)


@contextmanager
def as_admin(server: PasswordServer, database: str = "orders") -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(url(server.port, database), autocommit=True) as line:
        yield line


def roles(server: PasswordServer) -> set[str]:
    """Every role but those of PostgreSQL itself."""
    return {name for (name,) in server.execute("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'")}


# --- the role


def test_the_role_is_what_it_has_to_be_and_nothing_more(it: Postgres, server: PasswordServer) -> None:
    order = an_order(email="Ana.Díaz+db@example.com")
    it.grant(order)
    name = f"access_ana_diaz_db_{order.grant}"
    (row,) = server.execute(
        "SELECT rolcanlogin, rolinherit, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, "
        "rolconnlimit, rolpassword IS NULL, extract(epoch FROM rolvaliduntil)::bigint, "
        f"shobj_description(oid, 'pg_authid') FROM pg_authid WHERE rolname = '{name}'"
    )
    mark = f"Access Bot: grant {order.grant} on orders-db"
    assert row == (True, False, False, False, False, False, False, 10, True, order.ends_at, mark)
    members = server.execute(
        "SELECT roleid::regrole::text, inherit_option, set_option, admin_option FROM pg_auth_members "
        f"WHERE member = '{name}'::regrole"
    )
    assert members == [("reporting", True, False, False)]


REFUSED_TO_THE_HOLDER = {
    "another table": "SELECT * FROM hidden.keys",
    "writing": "INSERT INTO orders VALUES (2, 'x', 'y')",
    "becoming the parent": "SET ROLE reporting",
    "becoming our account": "SET ROLE access_bot",
    "making roles": "CREATE ROLE mine",
    "a longer life": "ALTER ROLE CURRENT_USER VALID UNTIL 'infinity'",
    "handing the role on": "GRANT reporting TO app",
    "another mark": "COMMENT ON ROLE {me} IS 'Access Bot: grant g00000000000 on other'",
    "a table": "CREATE TABLE mine ()",
}


def test_a_holder_may_do_nothing_else(it: Postgres) -> None:
    order = an_order()
    it.grant(order)
    with holder(it, order) as line:
        for what, statement in REFUSED_TO_THE_HOLDER.items():
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)):
                line.execute(statement.format(me=role_name(order)).encode())
                pytest.fail(what)


def test_only_so_many_sessions_at_once(it: Postgres) -> None:
    order = an_order()
    it.grant(order)
    secret = shown(it, order)
    lines = [psycopg.connect(secret) for _ in range(10)]
    with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
        psycopg.connect(secret)
    for line in lines:
        line.close()


def test_connecting_is_implied_also_where_not_everybody_may(it: Postgres, server: PasswordServer) -> None:
    server.execute("REVOKE CONNECT ON DATABASE orders FROM PUBLIC")
    try:
        order = an_order()
        it.grant(order)
        assert works(it, order)
    finally:
        server.execute("GRANT CONNECT ON DATABASE orders TO PUBLIC")


NAMES = {
    "plain": ("ana@example.com", "access_ana_g00000000001"),
    "dots and pluses": ("Ana.de+db@example.com", "access_ana_de_db_g00000000001"),
    "accents": ("josé@example.com", "access_jose_g00000000001"),
    "nothing that fits": ("Анна@example.com", "access_u0ana_g00000000001"),
    "no address": ("", "access_u0ana_g00000000001"),
    "very long": ("a" * 64 + "@example.com", f"access_{'a' * 41}_g00000000001"),
    "an attack": ('x"; DROP ROLE app; --@example.com', "access_x_drop_role_app_g00000000001"),
}


@pytest.mark.parametrize(("email", "name"), NAMES.values(), ids=NAMES)
def test_the_name_tells_whose_it_is(email: str, name: str) -> None:
    order = an_order(email=email, grant="g00000000001")
    assert role_name(order) == name
    assert len(name.encode()) <= 61
    assert role_name(order, {name}) == f"{name}_2"


def test_a_grant_that_can_t_be_a_part_of_a_name_is_refused() -> None:
    with pytest.raises(SystemRefused):
        role_name(an_order(grant="g'; DROP ROLE app"))


# --- the password


def test_asking_twice_replaces_the_password(it: Postgres) -> None:
    order = an_order()
    it.grant(order)
    first, second = shown(it, order), shown(it, order)
    assert first != second
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(first)
    psycopg.connect(second).close()


def test_without_asking_there_is_no_way_in(it: Postgres, server: PasswordServer) -> None:
    order = an_order()
    it.grant(order)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url(server.port, user=role_name(order), password=""), password="x")


def test_the_password_is_not_in_the_server_s_log(it: Postgres, server: PasswordServer) -> None:
    order = an_order()
    it.grant(order)
    secret = shown(it, order)
    psycopg.connect(secret).close()
    password = secret.split(":")[2].split("@")[0]
    assert len(password) >= 32
    log = server.log
    assert f'ALTER ROLE "{role_name(order)}" PASSWORD \'SCRAM-SHA-256$' in log
    assert password not in log


def test_the_server_itself_lets_nobody_in_after_the_end(it: Postgres) -> None:
    order = an_order(seconds=-1)
    it.grant(order)
    secret = shown(it, order)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(secret)
    it.extend(an_order(grant=order.grant))
    psycopg.connect(secret).close()


def test_what_is_gone_shows_nothing(it: Postgres) -> None:
    order = an_order()
    with pytest.raises(SystemRefused, match="no access on orders-db any more"):
        it.credentials(order, "")
    it.grant(order)
    it.revoke(order)
    with pytest.raises(SystemRefused):
        it.credentials(order, "")


def test_a_way_in_is_not_shown_by_accident(it: Postgres) -> None:
    order = an_order()
    it.grant(order)
    way = it.credentials(order, "")
    assert isinstance(way, Way)
    assert next(iter(way.secrets.values())) not in repr(way)


# --- the end


def test_a_session_is_ended_with_the_access(it: Postgres) -> None:
    order = an_order()
    it.grant(order)
    with holder(it, order) as line:
        line.execute("SELECT 1")
        it.revoke(order)
        with pytest.raises(GONE):
            line.execute("SELECT 1")


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


def owners(server: PasswordServer, database: str = "orders") -> set[tuple[str, str]]:
    return {
        (name, owner)
        for name, owner in server.execute(
            "SELECT relname, relowner::regrole::text FROM pg_class WHERE relname ~ '^left_' AND relkind <> 'i' UNION "
            "SELECT proname, proowner::regrole::text FROM pg_proc WHERE proname ~ '^left_' UNION "
            "SELECT typname, typowner::regrole::text FROM pg_type WHERE typname ~ '^left_m'",
            database,
        )
    }


def test_what_a_holder_made_is_kept_and_theirs_no_more(it: Postgres, server: PasswordServer) -> None:
    order = an_order(*MAKER)
    it.grant(order)
    with holder(it, order) as line:
        line.execute("CREATE TABLE lab.left_table AS SELECT * FROM orders")
        line.execute("CREATE FUNCTION lab.left_function() RETURNS text SECURITY DEFINER RETURN current_user")
        line.execute("CREATE TYPE lab.left_mood AS ENUM ('well')")
    it.revoke(order)
    assert not it.read_back(order)
    shelf = "access_bot_left"
    assert owners(server) == {("left_table", shelf), ("left_function", shelf), ("left_mood", shelf)}
    with as_admin(server) as line:
        assert line.execute("SELECT what FROM lab.left_table").fetchall() == [("tea",)]
        assert line.execute("SELECT lab.left_function()").fetchone() == (shelf,)
        assert line.execute("SELECT has_schema_privilege('access_bot_left', 'lab', 'CREATE')").fetchone() == (False,)
        line.execute("DROP TABLE lab.left_table; DROP FUNCTION lab.left_function; DROP TYPE lab.left_mood")


def test_what_a_holder_made_in_another_database_is_found(it: Postgres, server: PasswordServer) -> None:
    server.execute("GRANT CREATE ON SCHEMA public TO PUBLIC", "other")
    order = an_order()
    it.grant(order)
    with psycopg.connect(shown(it, order).replace("/orders", "/other"), autocommit=True) as line:
        line.execute("CREATE TABLE left_elsewhere ()")
    it.revoke(order)
    assert not it.read_back(order)
    assert ("left_elsewhere", "access_bot_left") in owners(server, "other")
    server.execute("DROP TABLE left_elsewhere", "other")


def test_what_keeps_it_from_ending_is_told_and_nobody_gets_in_meanwhile(it: Postgres, server: PasswordServer) -> None:
    order = an_order()
    it.grant(order)
    secret = shown(it, order)
    server.execute(f"GRANT SELECT ON hidden.keys TO {role_name(order)}", "orders")
    with pytest.raises(SystemRefused, match=r"cannot be dropped .*: privileges for table hidden\.keys"):
        it.revoke(order)
    assert it.read_back(order)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(secret)
    with pytest.raises(SystemUnavailable, match="is being ended"):
        it.grant(order)
    (found,) = it.list_active()
    assert found.detail == "may not log in any more"
    server.execute(f"REVOKE SELECT ON hidden.keys FROM {role_name(order)}", "orders")
    it.revoke(order)
    assert not it.read_back(order)


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


# --- ours, and not ours


def test_a_role_of_that_name_that_we_did_not_make_is_not_taken(it: Postgres, server: PasswordServer) -> None:
    order = an_order()
    server.execute(f"CREATE ROLE {role_name(order)} LOGIN CREATEDB PASSWORD 'known'")
    try:
        with pytest.raises(SystemRefused, match="is there without our comment"):
            it.grant(order)
    finally:
        server.execute(f"DROP ROLE {role_name(order)}")


def test_a_role_that_lost_its_comment_is_still_listed_and_ended(it: Postgres, server: PasswordServer) -> None:
    order = an_order()
    it.grant(order)
    server.execute(f"COMMENT ON ROLE {role_name(order)} IS NULL")
    (found,) = it.list_active()
    assert (found.name, found.grant) == (role_name(order), order.grant)
    assert found.detail.endswith("has lost our comment")
    it.revoke(order)
    assert not it.read_back(order) and not it.list_active()


def test_only_what_is_listed_can_be_removed(it: Postgres, server: PasswordServer) -> None:
    it.remove(Found("app"))
    it.remove(Found("access_bot_left"))
    assert {"app", "access_bot"} <= roles(server)


def test_open_sessions_are_seen(it: Postgres) -> None:
    order, idle = an_order(), an_order(person=CARA)
    it.grant(order)
    it.grant(idle)
    assert it.sessions() == []
    before = int(time.time())
    with holder(it, order):
        (session,) = it.sessions()
        assert (session.grant, session.source) == (order.grant, "127.0.0.1")
        assert before <= session.opened_at <= time.time()
        with holder(it, order):
            assert len({each.name for each in it.sessions()}) == 2


# --- what can't be given


NOT_OURS = {
    "no right to hand it on": ("INSERT ON orders", "may not hand this on"),
    "half of it": ("SELECT, INSERT ON orders", "may not hand this on"),
    "nothing of it": ("SELECT ON hidden.keys", "permission denied for schema hidden"),
    "a role that isn't ours": ("ROLE app", "permission denied to grant role"),
    "a privileged role": ("ROLE pg_execute_server_program", "permission denied to grant role"),
    "no such table": ("SELECT ON none", 'relation "public.none" does not exist'),
    "a keyword is a name": ("SELECT ON public.select", 'relation "public.select" does not exist'),
    "no such schema": ("USAGE ON SCHEMA none", 'schema "none" does not exist'),
    "no such role": ("ROLE none", "none"),
    "no such column": ("SELECT (none) ON orders", 'column "none" of relation "orders" does not exist'),
    "no such function": ("EXECUTE ON FUNCTION f(integer)", "function public.f(integer) does not exist"),
    "a statement": ("SELECT ON orders TO app; DROP TABLE orders", "no ; may be in it"),
    "somebody else": ("SELECT ON orders TO app", "nothing may follow"),
    "a grant option": ("SELECT ON orders WITH GRANT OPTION", "nothing may follow"),
    "a comment": ("SELECT ON orders -- x", "no - may be in it"),
    "a closing quote": ('SELECT ON orders" TO app', 'no " may be in it'),
    "a parameter": ("SELECT ON {} %s", "no { may be in it"),
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


# --- what the doctor finds


def test_checking_changes_nothing(it: Postgres, server: PasswordServer) -> None:
    it.read_back(an_order())
    before = roles(server)
    assert it.check({"good": list(ACTIONS), "bad": ["DELETE ON orders", "SELECT ON orders"]}) == [
        "role bad, DELETE ON orders: 01007 (our account may not hand this on: it needs it WITH GRANT OPTION)"
    ]
    assert roles(server) == before


def test_an_account_that_may_too_much_or_too_little_is_told(server: PasswordServer) -> None:
    server.execute("CREATE ROLE root_too LOGIN SUPERUSER PASSWORD 'x'; CREATE ROLE weak LOGIN PASSWORD 'x'")
    try:
        (problem,) = connector(url(server.port, user="root_too", password="x")).check({"it": ACTIONS})
        assert "is a superuser" in problem
        (problem,) = connector(url(server.port, user="weak", password="x")).check({"it": ACTIONS})
        assert problem == "our account weak may not create roles: ALTER ROLE weak CREATEROLE"
    finally:
        server.execute("DROP ROLE root_too, weak")


def test_a_server_that_can_t_be_used_is_told_without_a_secret(server: PasswordServer, wire: Wire) -> None:
    with wire.down():
        (problem,) = connector(url(wire.port)).check({})
    assert problem.startswith("orders-db can't be reached")
    (problem,) = connector(url(server.port, password="hunter2")).check({})
    assert "password authentication failed" in problem and "hunter2" not in problem
    (problem,) = connector(url(server.port, database="none")).check({})
    assert 'database "none" does not exist' in problem


# --- a server that hangs


def test_a_server_that_answers_no_more_is_let_go(server: PasswordServer, wire: Wire, monkeypatch: Any) -> None:
    monkeypatch.setattr(postgres_server, "CALL", 0.2)
    it, order = connector(url(wire.port)), an_order()
    for step in (1, 3):
        with wire.held(step), pytest.raises(SystemUnavailable, match="broke off"):
            it.grant(order)
    assert not connector(url(server.port)).read_back(order)


def test_a_server_that_never_says_hello_is_let_go(monkeypatch: Any) -> None:
    monkeypatch.setattr(postgres_server, "CONNECT", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SystemUnavailable, match="can't be reached"):
        connector(url(silent.getsockname()[1])).read_back(an_order())


def test_a_start_that_still_waits_for_its_commit_is_not_said_to_be_gone(
    it: Postgres, server: PasswordServer, monkeypatch: Any
) -> None:
    monkeypatch.setattr(postgres_server, "LIMITS", f"{postgres_server.LIMITS} -c lock_timeout=100ms")
    it.read_back(an_order())
    with as_admin(server) as line, line.transaction(force_rollback=True):
        line.execute("COMMENT ON ROLE access_bot_left IS 'a start has its turn'")
        for call in (it.read_back, it.revoke, it.grant):
            with pytest.raises(SystemUnavailable, match="lock timeout"):
                call(an_order())


# --- settings


WRONG = {
    "no url": ("db.example.com", None, "url has to begin with postgresql://"),
    "another database": ("mysql://a:hunter2@db/orders", None, "url has to begin with postgresql://"),
    "not encoded": ("postgresql://a:hunter2%zz@db/orders", None, "url can't be read"),
    "an unknown parameter": ("postgresql://a:hunter2@db/orders?nothing=hunter2", None, "url can't be read"),
    "no account": ("postgresql://db/orders", None, "url has to name our account"),
    "no database": ("postgresql://a:hunter2@db", None, "url has to name the database"),
    "a password in the address": ("postgresql://a:b@db/orders", "c:hunter2@db", "without a user and a password"),
    "no host in the address": ("postgresql://a:b@db/orders", ":5432", "address is HOST"),
    "a bad port": ("postgresql://a:b@db/orders", "db:hunter2", "address is not HOST"),
    "two words": ("postgresql://a:b@db/orders", "db or so", "address is HOST"),
    "an unknown parameter of the address": ("postgresql://a:b@db/orders", "db?x=1", "address is not HOST"),
}


@pytest.mark.parametrize(("url", "address", "problem"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_told_without_a_secret(url: str, address: str | None, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        connector(url, **({"address": address} if address else {}))
    assert "hunter2" not in str(caught.value)


SHOWN = {
    "from the url": ("postgresql://a:b@db:6432/orders", None, "u:p%2F@db:6432/orders"),
    "the port that goes without saying": ("postgresql://a:b@db/orders", None, "u:p%2F@db:5432/orders"),
    "with TLS": ("postgres://a:b@db/o?sslmode=require&options=-cx", None, "u:p%2F@db:5432/o?sslmode=require"),
    "two hosts": ("postgresql://a:b@db1:1,db2:2/o", None, "u:p%2F@db1:1,db2:2/o"),
    "a socket": ("postgresql://a:b@%2Frun%2Fpg/o", None, "u:p%2F@%2Frun%2Fpg:5432/o"),
    "a database to encode": ("postgresql://a:b@db/my%20db", None, "u:p%2F@db:5432/my%20db"),
    "another host": ("postgresql://a:b@db:6432/orders", "pg.example.com", "u:p%2F@pg.example.com:6432/orders"),
    "another port": ("postgresql://a:b@db/orders", "pg:7000", "u:p%2F@pg:7000/orders"),
    "another name": ("postgresql://a:b@db/orders", "pg:7000/shop", "u:p%2F@pg:7000/shop"),
    "all of it": ("postgresql://a:b@db/o", "postgresql://pg/x?sslmode=require", "u:p%2F@pg:5432/x?sslmode=require"),
    "IPv6": ("postgresql://a:b@db/orders", "[::1]:7000", "u:p%2F@[::1]:7000/orders"),
}


@pytest.mark.parametrize(("url", "address", "there"), SHOWN.values(), ids=SHOWN)
def test_people_are_shown_the_address(url: str, address: str | None, there: str) -> None:
    assert postgres_server.Server("it", url, address).way_in("u", "p/") == f"postgresql://{there}"
