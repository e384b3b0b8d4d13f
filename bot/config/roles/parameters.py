"""Checks `[roles.NAME.parameters]`: that every parameter has values that the role's actions can
contain, as far as that is known before a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import SchemaError, ValidationError

from bot.config.roles.values import whole_match
from bot.core.parameters import NAME, places
from bot.core.roles import Key, SystemKind
from bot.core.values import did_you_mean, quoted

Table = dict[str, Any]

_SAMPLES = ("x1", "1", "12345678", "a", "abc", "x-1", "x_1", "A1")
"""Values that patterns are tried with, so that a role whose requests would all be refused is found
before its first request."""


def parameter_problems(role: Table) -> Iterator[tuple[Key, str]]:
    """Wrong names, and parameters that would limit nothing."""
    parameters = _tables(role)
    used = {name for action in _actions(role) for name in places(action)}
    for name in parameters:
        if not NAME.fullmatch(name):
            words = "is not a name: small letters, digits and _, at most 31, a letter first"
            yield ("parameters", name), f"{quoted(name)} {words}"
        elif name not in used:
            words = "is in no action, so it would limit nothing: write"
            yield ("parameters", name), f"{words} {{{name}}} into the action that it is for"


def different_kinds(role: Table, known: Sequence[SystemKind]) -> Iterator[tuple[Key, str]]:
    """Actions with parameters for systems that write them in different ways."""
    if (
        _tables(role)
        and len({kind.fill for kind in known}) > 1
        and any(map(places, _actions(role)))
    ):
        words = "have parameters, which these systems write in different ways"
        yield ("actions",), f"{words}: give the actions for each system"


def action_check(kind: SystemKind, role: Table) -> Callable[[str], str]:
    """The check of one action of this role for one kind of system, with sample values
    for its parameters."""
    samples = {name: _samples(value) for name, value in _tables(role).items()}

    def wrong(action: str) -> str:
        named = places(action) if samples else ()
        if not named:
            return kind.wrong_action(action)
        for name in named:
            if name not in samples:
                near = did_you_mean(name, samples)
                return (
                    f"{quoted(action)} has {{{name}}}, which is not a parameter of the role{near}"
                )
        if kind.fill is None:
            return f"{quoted(action)} has a parameter, and its system takes none in actions"
        return next(filter(None, (_tried(kind, action, each) for each in _sets(samples))), "")

    return wrong


def _tried(kind: SystemKind, action: str, values: Mapping[str, str]) -> str:
    try:
        return kind.wrong_action(kind.fill(action, values)) if kind.fill else ""
    except ValueError as error:
        return str(error)


def _sets(samples: Mapping[str, Sequence[str]]) -> Iterator[Mapping[str, str]]:
    """Sets of values, in which each sample of each parameter is once."""
    first = {name: values[0] for name, values in samples.items()}
    yield first
    for name, values in samples.items():
        yield from ({**first, name: value} for value in values[1:])


def _samples(written: object) -> Sequence[str]:
    """All choices, or one value that the pattern takes, as far as one is found."""
    if isinstance(written, list):
        return [each for each in written if isinstance(each, str)] or _SAMPLES[:1]
    try:
        takes = whole_match(str(written))
    except (SchemaError, ValidationError):
        return _SAMPLES[:1]
    return [next(filter(takes, _SAMPLES), _SAMPLES[0])]


def _tables(role: Table) -> Table:
    found = role.get("parameters")
    return found if isinstance(found, dict) else {}


def _actions(role: Table) -> list[str]:
    """Every action of the role, for whichever system."""
    written = role.get("actions")
    lists = list(written.values()) if isinstance(written, dict) else [written]
    every = [each for actions in lists if isinstance(actions, list) for each in actions]
    return [each for each in every if isinstance(each, str)]
