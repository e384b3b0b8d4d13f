"""Parses the actions of roles on PostgreSQL systems: each is the body of a GRANT, such as `SELECT
ON ALL TABLES IN SCHEMA public` or `ROLE reporting`. The text is never sent to a database: the
connector builds its own statement from the parts and quotes each name.

The grammar is that of https://www.postgresql.org/docs/current/sql-grant.html up to TO, without
large objects, parameters and tablespaces. Names are those that need no quotes, and become lower
case.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from bot.core.parameters import places, substitute
from bot.core.values import quoted

Part = TypeVar("Part")

LONGEST_NAME = 63
"""Bytes. PostgreSQL truncates longer names, so they would mean something else (NAMEDATALEN)."""

_TOKEN = re.compile(r" +|[A-Za-z_][A-Za-z0-9_$]*|\[\]|[(),.]")
_WORD = re.compile(r"[a-z_][a-z0-9_$]*")

_PART = re.compile(r"[a-z0-9_$]{1,63}", re.ASCII)
"""A value that may be a part of a name."""

_STAND_IN = "zqz"
"""The beginning of names used in place of values. An action with such a name is refused."""

_COLUMNS = frozenset({"SELECT", "INSERT", "UPDATE", "REFERENCES", "ALL"})
_TABLE = _COLUMNS | {"DELETE", "TRUNCATE", "TRIGGER", "MAINTAIN"}
_SEQUENCE = frozenset({"USAGE", "SELECT", "UPDATE", "ALL"})
_ROUTINE = frozenset({"EXECUTE", "ALL"})
_USAGE = frozenset({"USAGE", "ALL"})

_IN_SCHEMA: Mapping[str, frozenset[str]] = {
    "ALL TABLES IN SCHEMA": _TABLE,
    "ALL SEQUENCES IN SCHEMA": _SEQUENCE,
    "ALL FUNCTIONS IN SCHEMA": _ROUTINE,
    "ALL PROCEDURES IN SCHEMA": _ROUTINE,
    "ALL ROUTINES IN SCHEMA": _ROUTINE,
}
_ALONE: Mapping[str, frozenset[str]] = {
    "DATABASE": frozenset({"CREATE", "CONNECT", "TEMPORARY", "TEMP", "ALL"}),
    "SCHEMA": frozenset({"CREATE", "USAGE", "ALL"}),
    "LANGUAGE": _USAGE,
    "FOREIGN DATA WRAPPER": _USAGE,
    "FOREIGN SERVER": _USAGE,
}
_INSIDE: Mapping[str, frozenset[str]] = {
    "TABLE": _TABLE,
    "SEQUENCE": _SEQUENCE,
    "FUNCTION": _ROUTINE,
    "PROCEDURE": _ROUTINE,
    "ROUTINE": _ROUTINE,
    "TYPE": _USAGE,
    "DOMAIN": _USAGE,
}
"""The kinds of objects in a schema, by default `public`."""

_KINDS: Mapping[str, frozenset[str]] = {**_IN_SCHEMA, **_ALONE, **_INSIDE}
"""The kinds of objects that an action can name, and their privileges."""

_CALLED = frozenset({"FUNCTION", "PROCEDURE", "ROUTINE"})
_KNOWN = frozenset[str]().union(*_KINDS.values())


@dataclass(frozen=True, slots=True)
class Privilege:
    """A word like SELECT, perhaps for some columns only."""

    word: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A name of one part, or of two with a schema; `arguments` are the types that distinguish
    functions of the same name."""

    name: tuple[str, ...]
    arguments: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Privileges:
    """`kind` is the text after ON, like `ALL TABLES IN SCHEMA` or `TABLE`."""

    privileges: tuple[Privilege, ...]
    kind: str
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Membership:
    """Membership of these roles."""

    roles: tuple[str, ...]


def parse_action(action: str) -> Privileges | Membership:
    """The parsed action. Raises ValueError with a few words on the fault."""
    words = _Words(action)
    given = Membership(words.many(words.name)) if words.take("ROLE") else _privileges(words)
    words.end()
    return given


def problem(action: str) -> str:
    """The problem of an action, "" if there is none."""
    try:
        parse_action(action)
    except ValueError as error:
        return str(error)
    return ""


def fill(action: str, values: Mapping[str, str]) -> str:
    """The action with values in its names. Raises ValueError for a value that is not part of a name
    that needs no quotes, or that would change the meaning of another word."""
    for name in places(action):
        if not _PART.fullmatch(values[name]):
            raise ValueError(
                f"“{values[name]}” can't be part of a name in PostgreSQL: small letters, digits, _"
                " and $ can"
            )
    filled = substitute(action, values)
    stand_ins = {name: f"{_STAND_IN}{place}z" for place, name in enumerate(values)}
    shape = str(parse_action(substitute(action, stand_ins)))
    for name, stand_in in stand_ins.items():
        shape = shape.replace(stand_in, values[name])
    if str(parse_action(filled)) != shape:
        raise ValueError(f"{quoted(filled)} means something else")
    return filled


class _Words:
    """The words of an action, read from the left."""

    def __init__(self, action: str) -> None:
        self._left: list[str] = []
        place = 0
        while place < len(action):
            token = _TOKEN.match(action, place)
            if token is None:
                raise ValueError(_stray(action[place]))
            place = token.end()
            if token[0].strip():
                self._left.append(token[0])

    def take(self, words: str) -> bool:
        """Consumes these words if they are next."""
        wanted = words.split()
        if [word.upper() for word in self._left[: len(wanted)]] != wanted:
            return False
        del self._left[: len(wanted)]
        return True

    def ahead(self, word: str) -> bool:
        return self._left[:1] == [word]

    def need(self, word: str) -> None:
        if not self.take(word):
            raise ValueError(f"{word} is missing{self._before()}")

    def name(self) -> str:
        if not self._left or not _WORD.fullmatch(self._left[0].lower()):
            raise ValueError(f"a name is missing{self._before()}")
        found = self._left.pop(0).lower()
        if len(found) > LONGEST_NAME:
            raise ValueError(f"{found} is too long for a name: at most {LONGEST_NAME} characters")
        return found

    def many(self, one: Callable[[], Part]) -> tuple[Part, ...]:
        """One or more, separated by commas."""
        found = [one()]
        while self.take(","):
            found.append(one())
        return tuple(found)

    def end(self) -> None:
        if self._left:
            raise ValueError(
                f"unexpected {' '.join(self._left)}: the bot adds to whom and until when"
            )

    def _before(self) -> str:
        return f" before {self._left[0]}" if self._left else " at the end"


def _stray(sign: str) -> str:
    shown = sign if sign.isprintable() else f"character {ord(sign)}"
    return (
        f"{shown} is not allowed in it: write the body of one GRANT, with names that need no quotes"
    )


def _privileges(words: _Words) -> Privileges:
    privileges = words.many(lambda: _privilege(words))
    words.need("ON")
    kind = next((kind for kind in _KINDS if words.take(kind)), "TABLE")
    for each in privileges:
        if each.word not in _KINDS[kind]:
            known = ", ".join(sorted(_KINDS[kind]))
            raise ValueError(f"{each.word} is not a privilege on {_shown(kind)}: {known}")
        if each.columns and (kind != "TABLE" or each.word not in _COLUMNS):
            raise ValueError(f"{each.word} on {_shown(kind)} can't be for some columns only")
    return Privileges(privileges, kind, words.many(lambda: _target(words, kind)))


def _privilege(words: _Words) -> Privilege:
    word = words.name().upper()
    if word not in _KNOWN:
        raise ValueError(
            f"{word} is not a privilege; write, for example, SELECT ON ALL TABLES IN SCHEMA public"
            " or ROLE reporting"
        )
    if word == "ALL":
        words.take("PRIVILEGES")
    columns: tuple[str, ...] = ()
    if words.take("("):
        columns = words.many(words.name)
        words.need(")")
    return Privilege(word, columns)


def _target(words: _Words, kind: str) -> Target:
    name = [words.name()]
    if kind in _INSIDE:
        name = [*name, words.name()] if words.take(".") else ["public", *name]
    if kind not in _CALLED or not words.take("("):
        return Target(tuple(name))
    arguments: tuple[str, ...] = ()
    if not words.take(")"):
        arguments = words.many(lambda: _type(words))
        words.need(")")
    return Target(tuple(name), arguments)


def _type(words: _Words) -> str:
    """A type as written, like `double precision`, `public.mood` or `integer[]`. It needs no
    quotes."""
    found = words.name()
    while not words.ahead(",") and not words.ahead(")"):
        found += (
            "[]"
            if words.take("[]")
            else f".{words.name()}"
            if words.take(".")
            else f" {words.name()}"
        )
    return found


def _shown(kind: str) -> str:
    return f"a {kind}" if kind in _INSIDE or kind in _ALONE else kind
