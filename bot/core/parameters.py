"""Parameters of roles: values that a request gives, such as a customer, and that its actions
contain.

A value is never sent as it was typed: the kind of system writes it into the action, or refuses it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import product
from types import MappingProxyType
from unicodedata import decimal, normalize

from bot.core.approval import Refused
from bot.core.roles import Role
from bot.core.rules import Parameter

LONGEST = 100
"""The most characters of a value."""

FIELD = "parameter:"
"""The prefix of a `Refused.field` that names a parameter, and of its input in a modal."""

NAME = re.compile(r"[a-z][a-z0-9_]{0,30}", re.ASCII)
_PLACE = re.compile(r"\{([a-z][a-z0-9_]{0,30})\}", re.ASCII)
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
"""Characters that count as printable and show nothing: fillers, blank patterns and variation
selectors (Unicode, Default_Ignorable_Code_Point)."""

_MEANT_AS_PLACE = re.compile(r"\{([^{}]*)\}")


def places(action: str) -> tuple[str, ...]:
    """The texts between braces in an action, each once."""
    return tuple(dict.fromkeys(_MEANT_AS_PLACE.findall(action)))


def substitute(action: str, values: Mapping[str, str], quote: Callable[[str], str] = str) -> str:
    """The action with quoted values in place of `{name}`. A value that looks like a place is not
    replaced again."""
    return _PLACE.sub(lambda place: quote(values[place[1]]), action)


def bound(role: Role, values: Mapping[str, str]) -> Role | Refused:
    """The role for one request: its actions have the values in them, and its fingerprint depends on
    them. A role without parameters takes no values."""
    if (refused := check_values(role, values)) is not None:
        return refused
    if not role.parameters:
        return role
    try:
        each = {
            system: _filled(role, system, actions, values)
            for system, actions in role.system_actions.items()
        }
        flat = [action for actions in each.values() for action in actions]
        actions = flat or _filled(role, role.systems[0], role.actions, values)
    except ValueError as error:
        return Refused(f"{role.name} can't be given for these values: {error}.", _first(role))
    return replace(
        role,
        actions=tuple(dict.fromkeys(actions)),
        system_actions=MappingProxyType(each) if each else role.system_actions,
        values=MappingProxyType(dict(values)),
        general=role.fingerprint,
    )


def _filled(
    role: Role, system: str, actions: Iterable[str], values: Mapping[str, str]
) -> tuple[str, ...]:
    fill = role.fill.get(system)
    found = []
    for action in actions:
        if not places(action):
            found.append(action)
        elif fill is None:
            raise ValueError(f"{system} takes no parameters")
        else:
            found.append(fill(action, values))
    return tuple(found)


def check_values(role: Role, values: Mapping[str, str]) -> Refused | None:
    """Refuses a value that is missing, that the role does not know, or that does not match."""
    known = {each.name for each in role.parameters}
    if unknown := sorted(values.keys() - known):
        named = f"It takes {', '.join(sorted(known))}." if known else "It takes none."
        words = f"{role.name} has no parameter “{unknown[0][:40]}”. {named}"
        return Refused(words, _first(role) or FIELD)
    for each in role.parameters:
        value = values.get(each.name, "")
        if not is_plain(value) or not each.takes(value):
            problem = f"“{value[:60]}” does not match" if value else "it is missing"
            wanted = f"{role.name} needs {each.name}, {each}"
            return Refused(f"{wanted}; {problem}.", FIELD + each.name)
    return None


def _first(role: Role) -> str:
    return FIELD + role.parameters[0].name if role.parameters else ""


def is_plain(value: str) -> bool:
    """Whether a value is one line of at most LONGEST visible characters that can't be mistaken: no
    control or direction characters, no other form of the same character, and no digits but 0 to
    9."""
    return (
        0 < len(value) <= LONGEST
        and value.isprintable()
        and not _UNSEEN.search(value)
        and value == value.strip()
        and value == normalize("NFKC", value)
        and all(each.isascii() or decimal(each, None) is None for each in value)
    )


def known_actions(role: Role, system: str) -> list[str]:
    """The actions of the role on a system, as far as they are known before a request: with each
    choice of a parameter that has a list, and without those that depend on a pattern."""
    fill, lists = role.fill.get(system), {p.name: p.choices for p in role.parameters if p.choices}
    found: list[str] = []
    for action in role.actions_of(system):
        named = places(action) if role.parameters else ()
        if not named:
            found.append(action)
        elif fill is not None and all(name in lists for name in named):
            chosen = product(*(lists[name] for name in named))
            found += [fill(action, dict(zip(named, each, strict=True))) for each in chosen]
    return found


def is_parameter(field: str) -> bool:
    """Whether a refusal is about a parameter."""
    return field.startswith(FIELD)


def described(parameters: Iterable[Parameter]) -> list[str]:
    """Each parameter with the values that it takes, in one line."""
    return [f"{each.name}: {each}" for each in parameters]
