"""Facts about a requester that the log records, so that the request can be judged later by another
roles.toml: groups, on-call duties and an open emergency."""

from collections.abc import Iterable, Mapping
from typing import Any

from bot.core.model import Directory, Person


def recorded_facts(
    person: Person,
    directory: Directory,
    references: Iterable[str],
    on_call: Mapping[str, frozenset[str]],
    has_emergency: bool,
) -> dict[str, Any]:
    """`groups` are the ids and handles of the groups that the person is in, `unknown` those of
    `references` that Slack had not answered, `missing` the groups that it does not have. `on_call`
    says for each duty that could be read whether the person has it."""
    groups = sorted(ref for ref, members in directory.groups.items() if person.id in members)
    return {
        "groups": groups,
        **({"unknown": unknown} if (unknown := sorted(directory.unresolved(references))) else {}),
        **({"missing": missing} if (missing := sorted(directory.missing)) else {}),
        **({"on_call": _own(person, on_call)} if on_call else {}),
        **({"emergency": True} if has_emergency else {}),
    }


def _own(person: Person, on_call: Mapping[str, frozenset[str]]) -> dict[str, bool]:
    return {duty: person.id in people for duty, people in sorted(on_call.items())}
