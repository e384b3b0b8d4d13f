"""The actions that a PostgreSQL system accepts, and those that it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.connectors.postgres.actions import (
    Membership,
    Privilege,
    Privileges,
    Target,
    parse_action,
    problem,
)
from bot.core.errors import ConfigError
from tests.builders import WORKSPACE

SELECT = Privilege("SELECT")
READ = {
    "the usual one": (
        "SELECT ON ALL TABLES IN SCHEMA public",
        Privileges((SELECT,), "ALL TABLES IN SCHEMA", (Target(("public",)),)),
    ),
    "small letters": (
        "select on orders",
        Privileges((SELECT,), "TABLE", (Target(("public", "orders")),)),
    ),
    "capital names": (
        "SELECT ON Sales.Orders",
        Privileges((SELECT,), "TABLE", (Target(("sales", "orders")),)),
    ),
    "several": (
        "SELECT, INSERT ON TABLE a, b.c",
        Privileges(
            (SELECT, Privilege("INSERT")), "TABLE", (Target(("public", "a")), Target(("b", "c")))
        ),
    ),
    "columns": (
        "SELECT (id, name), UPDATE(name) ON t",
        Privileges(
            (Privilege("SELECT", ("id", "name")), Privilege("UPDATE", ("name",))),
            "TABLE",
            (Target(("public", "t")),),
        ),
    ),
    "everything": (
        "ALL PRIVILEGES ON t",
        Privileges((Privilege("ALL"),), "TABLE", (Target(("public", "t")),)),
    ),
    "a schema": (
        "USAGE ON SCHEMA sales",
        Privileges((Privilege("USAGE"),), "SCHEMA", (Target(("sales",)),)),
    ),
    "a database": (
        "TEMP ON DATABASE shop",
        Privileges((Privilege("TEMP"),), "DATABASE", (Target(("shop",)),)),
    ),
    "a foreign server": (
        "USAGE ON FOREIGN SERVER far",
        Privileges((Privilege("USAGE"),), "FOREIGN SERVER", (Target(("far",)),)),
    ),
    "a function": (
        "EXECUTE ON FUNCTION f(integer, double precision, sales.mood, text[])",
        Privileges(
            (Privilege("EXECUTE"),),
            "FUNCTION",
            (Target(("public", "f"), ("integer", "double precision", "sales.mood", "text[]")),),
        ),
    ),
    "a function of nothing": (
        "EXECUTE ON FUNCTION s.f()",
        Privileges((Privilege("EXECUTE"),), "FUNCTION", (Target(("s", "f"), ()),)),
    ),
    "the only function of that name": (
        "EXECUTE ON ROUTINE f",
        Privileges((Privilege("EXECUTE"),), "ROUTINE", (Target(("public", "f")),)),
    ),
    "a parent": ("ROLE reporting", Membership(("reporting",))),
    "parents": ("role reporting, Audit", Membership(("reporting", "audit"))),
}


@pytest.mark.parametrize(("action", "given"), READ.values(), ids=READ)
def test_an_action_is_taken_apart(action: str, given: Privileges | Membership) -> None:
    assert parse_action(action) == given
    assert problem(action) == ""


WRONG = {
    "nothing": ("", "a name is missing at the end"),
    "spaces": ("   ", "a name is missing at the end"),
    "another statement": ("SELECT ON t; DROP TABLE t", "; is not allowed in it"),
    "a comment": ("SELECT ON t -- all", "- is not allowed in it"),
    "a long comment": ("SELECT /* */ ON t", "/ is not allowed in it"),
    "a quoted name": ('SELECT ON "t"', '" is not allowed in it'),
    "a text": ("SELECT ON 't'", "' is not allowed in it"),
    "a dollar quote": ("SELECT ON $$t$$", "$ is not allowed in it"),
    "a backslash": ("SELECT ON t\\", "\\ is not allowed in it"),
    "a line break": ("SELECT ON t\nTO app", "character 10 is not allowed in it"),
    "a nul": ("SELECT ON t\0", "character 0 is not allowed in it"),
    "a letter that looks like one": ("SELECT ON оrders", "о is not allowed in it"),
    "a placeholder": ("SELECT ON %s", "% is not allowed in it"),
    "braces": ("SELECT ON {}", "{ is not allowed in it"),
    "somebody": ("SELECT ON t TO app", "unexpected TO app:"),
    "everybody": ("ROLE reporting TO PUBLIC", "unexpected TO PUBLIC:"),
    "a grant option": (
        "SELECT ON t WITH GRANT OPTION",
        "unexpected WITH GRANT OPTION:",
    ),
    "an admin option": ("ROLE reporting WITH ADMIN OPTION", "unexpected "),
    "another grantor": ("SELECT ON t GRANTED BY app", "unexpected "),
    "a whole GRANT": ("GRANT SELECT ON t", "GRANT is not a privilege"),
    "no privilege": ("PEEK ON t", "PEEK is not a privilege; write"),
    "a role by its name": ("reporting", "REPORTING is not a privilege"),
    "no target": ("SELECT", "ON is missing at the end"),
    "no table": ("SELECT ON", "a name is missing at the end"),
    "no schema": ("SELECT ON ALL TABLES IN SCHEMA", "a name is missing at the end"),
    "half of a name": ("SELECT ON sales.", "a name is missing at the end"),
    "three parts": ("SELECT ON a.b.c", "unexpected . c:"),
    "no comma": ("SELECT INSERT ON t", "ON is missing before INSERT"),
    "a hole": ("SELECT ON a,,b", "a name is missing before ,"),
    "no columns": ("SELECT () ON t", "a name is missing before )"),
    "an open list": ("SELECT (id ON t", ") is missing before ON"),
    "columns of what has none": ("DELETE (id) ON t", "DELETE on a TABLE can't be for some columns"),
    "columns of a schema's tables": (
        "SELECT (id) ON ALL TABLES IN SCHEMA s",
        "can't be for some columns",
    ),
    "what there is not on it": (
        "SELECT ON SCHEMA s",
        "SELECT is not a privilege on a SCHEMA: ALL, CREATE, USAGE",
    ),
    "a parameter": ("SET ON PARAMETER x", "SET is not a privilege"),
    "arguments of a table": ("SELECT ON t(integer)", "unexpected ( integer ):"),
    "a closed and opened list": (
        "EXECUTE ON FUNCTION f(integer) TO app, g()",
        "unexpected TO app",
    ),
    "too long a name": (f"SELECT ON {'a' * 64}", "is too long for a name: at most 63"),
    "a number": ("SELECT ON 1", "1 is not allowed in it"),
}


@pytest.mark.parametrize(("action", "why"), WRONG.values(), ids=WRONG)
def test_everything_else_is_refused_and_told(action: str, why: str) -> None:
    assert why in problem(action)
    with pytest.raises(ValueError):
        parse_action(action)


WORDS = (
    "SELECT",
    "ALL",
    "ON",
    "TABLE",
    "TABLES",
    "IN",
    "SCHEMA",
    "ROLE",
    "TO",
    "WITH",
    "FUNCTION",
    "EXECUTE",
    "orders",
)
SIGNS = ("(", ")", ",", ".", "[]", ";", "--", '"', "'", "$", "%s", "{}", "\\", "\n", " ", "é")
PIECES = st.sampled_from(WORDS + SIGNS)


def names(parsed: Privileges | Membership) -> Iterator[str]:
    if isinstance(parsed, Membership):
        yield from parsed.roles
        return
    for privilege in parsed.privileges:
        yield from (privilege.word.lower(), *privilege.columns)
    for target in parsed.targets:
        yield from target.name
        yield from (re.sub(r"[ .]|\[\]", "", each) for each in target.arguments or ())


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=14).map(" ".join) | st.text(max_size=40))
def test_whatever_is_written_only_plain_names_come_out(action: str) -> None:
    if not problem(action):
        assert all(re.fullmatch(r"[a-z_][a-z0-9_$]*", name) for name in names(parse_action(action)))


def roles_toml(action: str) -> str:
    return (
        f"{WORKSPACE}\n[systems.db]\nconnector = 'postgres'\nurl ="
        " 'postgresql://a:b@db/orders'\n[roles.read]\n"
        f'system = "db"\nactions = ["{action}"]\nrequesters = ["everyone"]\napprovers ='
        ' ["@db-leads"]\n'
    )


def test_roles_toml_with_a_good_action_is_taken() -> None:
    policy = parse_policy(
        roles_toml("SELECT ON ALL TABLES IN SCHEMA public"), "roles.toml", {}, KINDS
    )
    assert policy.roles["read"].actions == ("SELECT ON ALL TABLES IN SCHEMA public",)


def test_roles_toml_with_a_bad_action_is_told_with_its_line() -> None:
    with pytest.raises(
        ConfigError,
        match=r'roles.read.actions\[0\]: "SELECT ON t TO app" is not the body of a GRANT',
    ):
        parse_policy(roles_toml("SELECT ON t TO app"), "roles.toml", {}, KINDS)
