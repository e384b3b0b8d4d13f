"""The login role of a grant: its rights, its password, and how the bot recognises it."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import psycopg
import pytest

from bot.connectors.base import AccessInstructions
from bot.connectors.postgres.connector import Postgres, role_name
from bot.core.errors import SystemRefused
from bot.core.observed import ObservedAccess
from tests.connectors.postgres_rig import (
    PasswordServer,
    an_order,
    holder,
    roles,
    shown,
    url,
    works,
)
from tests.factories import CARA

# --- the role


def test_the_role_is_what_it_has_to_be_and_nothing_more(
    it: Postgres, server: PasswordServer
) -> None:
    order = an_order(email="Ana.Díaz+db@example.com")
    it.grant(order)
    name = f"access_ana_diaz_db_{order.grant}"
    (row,) = server.execute(
        "SELECT rolcanlogin, rolinherit, rolsuper, rolcreatedb, rolcreaterole, rolreplication,"
        " rolbypassrls, rolconnlimit, rolpassword IS NULL, extract(epoch FROM"
        " rolvaliduntil)::bigint, shobj_description(oid, 'pg_authid') FROM pg_authid WHERE rolname"
        f" = '{name}'"
    )
    mark = f"Access Bot: grant {order.grant} on orders-db"
    assert row == (True, False, False, False, False, False, False, 10, True, order.ends_at, mark)
    members = server.execute(
        "SELECT roleid::regrole::text, inherit_option, set_option, admin_option FROM"
        f" pg_auth_members WHERE member = '{name}'::regrole"
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
            with pytest.raises(
                (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)
            ):
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


def test_connecting_is_implied_also_where_not_everybody_may(
    it: Postgres, server: PasswordServer
) -> None:
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


def test_the_end_is_exact_whatever_the_server_s_time_zone_and_style_of_dates(
    it: Postgres, server: PasswordServer
) -> None:
    order = an_order()
    server.execute(
        "ALTER ROLE access_bot SET timezone = 'Asia/Kolkata'; ALTER ROLE access_bot SET datestyle ="
        " 'German'"
    )
    try:
        it.grant(order)
        it.extend(order)
        (found,) = it.list_active()
    finally:
        server.execute("ALTER ROLE access_bot RESET ALL")
    until = (
        "SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname ="
        f" '{role_name(order)}'"
    )
    assert server.execute(until) == [(order.ends_at,)]
    assert (
        found.detail
        == f"may log in until {datetime.fromtimestamp(order.ends_at, UTC):%Y-%m-%d %H:%M:%S}+00"
    )


def test_what_is_gone_shows_nothing(it: Postgres) -> None:
    order = an_order()
    with pytest.raises(SystemRefused, match="access on orders-db has ended"):
        it.credentials(order, "")
    it.grant(order)
    it.revoke(order)
    with pytest.raises(SystemRefused):
        it.credentials(order, "")


def test_a_way_in_is_not_shown_by_accident(it: Postgres) -> None:
    order = an_order()
    it.grant(order)
    way = it.credentials(order, "")
    assert isinstance(way, AccessInstructions)
    assert next(iter(way.secrets.values())) not in repr(way)


# --- ours, and not ours


def test_a_role_of_that_name_that_we_did_not_make_is_not_taken(
    it: Postgres, server: PasswordServer
) -> None:
    order = an_order()
    server.execute(f"CREATE ROLE {role_name(order)} LOGIN CREATEDB PASSWORD 'known'")
    try:
        with pytest.raises(SystemRefused, match="exists without our comment"):
            it.grant(order)
    finally:
        server.execute(f"DROP ROLE {role_name(order)}")


def test_a_role_that_lost_its_comment_is_still_listed_and_ended(
    it: Postgres, server: PasswordServer
) -> None:
    order = an_order()
    it.grant(order)
    server.execute(f"COMMENT ON ROLE {role_name(order)} IS NULL")
    (found,) = it.list_active()
    assert (found.name, found.grant) == (role_name(order), order.grant)
    assert found.detail.endswith("has lost our comment")
    it.revoke(order)
    assert not it.read_back(order) and not it.list_active()


def test_a_role_that_somebody_renamed_is_still_ended(it: Postgres, server: PasswordServer) -> None:
    order = an_order()
    it.grant(order)
    server.execute(f"ALTER ROLE {role_name(order)} RENAME TO analyst")
    assert it.read_back(order)
    assert [found.grant for found in it.list_active()] == [order.grant]
    it.revoke(order)
    assert not it.read_back(order) and "analyst" not in roles(server)


def test_only_what_is_listed_can_be_removed(it: Postgres, server: PasswordServer) -> None:
    it.remove(ObservedAccess("app"))
    it.remove(ObservedAccess("access_bot_left"))
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
