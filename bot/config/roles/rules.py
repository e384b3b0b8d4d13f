"""Checks a whole roles.toml: that every table is valid, and that all of them fit each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from bot.config.roles import schema
from bot.config.roles.schema import KeyProblem
from bot.core.durations import format_duration
from bot.core.roles import Key, SystemKind
from bot.core.values import NAME, classify, did_you_mean, quoted, seconds

Table = dict[str, Any]

# Checked in full, and refused only until the feature is there: taking a line away is all that
# remains to do.
NOT_YET = frozenset(
    {
        "auto_approve",
        "emergency",
        "bundles",
    }
)

_TOP = ("workspace", "systems", "roles", "bundles", "people")
_DEFAULT_LONGEST = schema.RoleTable.model_fields["max_duration"].default
_IF_NOT_GIVEN = format_duration(_DEFAULT_LONGEST)


@dataclass(slots=True)
class Checked:
    """The valid tables of a file by name, and what is wrong with the others."""

    kinds: Mapping[str, SystemKind]
    workspace: schema.WorkspaceTable | None = None
    systems: dict[str, tuple[str, BaseModel]] = field(default_factory=dict, repr=False)
    roles: dict[str, schema.RoleTable] = field(default_factory=dict)
    people: dict[str, dict[str, str]] = field(default_factory=dict)
    found: list[KeyProblem] = field(default_factory=list)

    def warnings(self) -> Iterator[str]:
        """The names of the warnings that the kinds of systems have."""
        for kind in self.kinds.values():
            yield from kind.warnings


def check(data: Table, kinds: Mapping[str, SystemKind]) -> Checked:
    """Everything valid and everything wrong in the (expanded) content of a roles.toml."""
    checked = Checked(kinds)
    checked.found += _top_problems(data)
    workspace = data.get("workspace")
    if workspace is not None:
        checked.workspace, found = schema.validate(
            schema.WorkspaceTable, workspace, ("workspace",), checked.warnings
        )
        checked.found += found
    for section, check_table in _SECTIONS.items():
        for name, table in _tables(data, section).items():
            checked.found += check_table(checked, data, name, table)
    return checked


def _tables(data: Table, section: str) -> Table:
    tables = data.get(section)
    return tables if isinstance(tables, dict) else {}


def _top_problems(data: Table) -> Iterator[KeyProblem]:
    for key in data:
        if key not in _TOP:
            yield (key,), "unknown key" + did_you_mean(key, _TOP)
    for section in _SECTIONS:
        if not isinstance(data.get(section, {}), dict):
            yield (section,), "must be a table"
    if "workspace" not in data:
        yield ("workspace",), "the [workspace] table is required"
    if not data.get("roles"):
        yield ("roles",), "there are no roles: write at least one [roles.NAME] table"
    if "bundles" in data:
        yield from _not_yet("bundles", ("bundles",))


def _not_yet(feature: str, path: Key) -> Iterator[KeyProblem]:
    if feature in NOT_YET:
        yield path, f"not yet supported: {feature}"


def _name_problems(section: str, name: str) -> Iterator[KeyProblem]:
    if not NAME.fullmatch(name):
        yield (
            (section, name),
            f"{quoted(name)} is not a name: small letters, digits and hyphens, at most 63",
        )


def _system(checked: Checked, _data: Table, name: str, table: object) -> Iterator[KeyProblem]:
    yield from _name_problems("systems", name)
    path = ("systems", name)
    settings = dict(table) if isinstance(table, dict) else {}
    connector = settings.pop("connector", None)
    meant = {"meant": settings.pop("meant")} if "meant" in settings else {}
    yield from schema.validate(schema.MeantTable, meant, path, checked.warnings)[1]
    if not isinstance(table, dict):
        yield path, "must be a table"
    elif connector is None:
        yield (*path, "connector"), f"is required: one of {', '.join(checked.kinds)}"
    elif not isinstance(connector, str) or connector not in checked.kinds:
        text = quoted(connector) if isinstance(connector, str) else "this"
        near = did_you_mean(str(connector), checked.kinds) if type(connector) is str else ""
        yield (*path, "connector"), f"{text} is not a connector{near}"
    else:
        kind = checked.kinds[connector]
        model, found = schema.validate(kind.table, settings, path)
        yield from found
        if model is not None:
            checked.systems[name] = (str(connector), model)
            yield from (
                ((*path, key), words) for key, words in kind.wrong_settings(model.model_dump())
            )


def _role(checked: Checked, data: Table, name: str, table: object) -> Iterator[KeyProblem]:
    yield from _name_problems("roles", name)
    path = ("roles", name)
    role, found = schema.validate(schema.RoleTable, table, path, checked.warnings)
    yield from found
    if role is not None:
        checked.roles[name] = role
    if isinstance(table, dict):
        systems = _tables(data, "systems")
        for check_role in (_system_problems, _span_problems, _rule_problems, _risk_problems):
            yield from (((*path, *where), text) for where, text in check_role(table, systems))
        yield from (
            ((*path, *where), text)
            for where, text in _action_problems(table, systems, checked.kinds)
        )


def _systems_of(role: Table) -> list[tuple[Key, str]]:
    """Where and which: the systems that a role names, as far as they are texts."""
    many = role.get("systems")
    named = [
        (("systems", place), each)
        for place, each in enumerate(many if isinstance(many, list) else [])
    ]
    every: list[tuple[Key, object]] = [(("system",), role.get("system")), *named]
    return [(where, each) for where, each in every if isinstance(each, str)]


def _system_problems(role: Table, systems: Table) -> Iterator[KeyProblem]:
    if ("system" in role) == ("systems" in role):
        yield (
            ("systems",) if "systems" in role else ("system",),
            "give exactly one of system and systems",
        )
    seen = set()
    for where, name in _systems_of(role):
        if name in seen:
            yield where, f"{quoted(name)} is there twice"
        elif name not in systems:
            # A name from the environment is neither shown nor guessed at.
            near = did_you_mean(name, systems) if type(name) is str else ""
            yield where, f"there is no system {quoted(name)}{near}"
        seen.add(name)


def _action_problems(
    role: Table, systems: Table, kinds: Mapping[str, SystemKind]
) -> Iterator[KeyProblem]:
    actions = role.get("actions", [])
    used = [systems[name] for _, name in _systems_of(role) if name in systems]
    connectors = {str(system.get("connector")) for system in used if isinstance(system, dict)}
    known = {name: kinds[name] for name in sorted(connectors) if name in kinds}
    may_be_none = bool(connectors) and all(
        name in known and not known[name].needs_actions for name in connectors
    )
    if actions == [] and not may_be_none:
        yield ("actions",), "is required and must not be empty: the least that does the job"
    wrong = list(_unfit(actions, [kind.wrong_action for kind in known.values()]))
    yield from wrong
    if wrong and len(connectors) > 1:
        named = " and ".join(sorted(connectors))
        yield (
            ("actions",),
            f"are for every system of the role, and these are {named}: make a role for each",
        )


def _unfit(actions: object, checks: Sequence[Callable[[str], str]]) -> Iterator[KeyProblem]:
    for place, action in enumerate(actions if isinstance(actions, list) else []):
        wrong = [check(action) for check in checks if isinstance(action, str) and action]
        yield from ((("actions", place), words) for words in wrong if words)


def _seconds(role: Table, key: str, default: int | None = None) -> int | None:
    """The duration of the key if it is a good one; what is wrong with a bad one is told
    elsewhere."""
    if key not in role:
        return default
    try:
        return seconds(role[key])
    except ValueError:
        return None


def _span_problems(role: Table, _systems: Table) -> Iterator[KeyProblem]:
    longest = _seconds(role, "max_duration", _DEFAULT_LONGEST)
    if longest is None:
        return
    limit = (
        "max_duration"
        if "max_duration" in role
        else f"max_duration ({_IF_NOT_GIVEN} when it is not given)"
    )
    default, total = _seconds(role, "default_duration"), _seconds(role, "max_total")
    if default is not None and default > longest:
        yield ("default_duration",), f"must not be longer than {limit}"
    if total is not None and total < longest:
        yield ("max_total",), f"must not be shorter than {limit}"
    reminders = role.get("reminders")
    for place, reminder in enumerate(reminders if isinstance(reminders, list) else []):
        if (_seconds({"it": reminder}, "it") or 0) >= longest:
            yield (
                ("reminders", place),
                f"must be shorter than {limit}, or it would come before the start",
            )


def _rule_problems(role: Table, _systems: Table) -> Iterator[KeyProblem]:
    for feature in ("auto_approve", "emergency"):
        if feature in role:
            yield from _not_yet(feature, (feature,))
    rules = role.get("auto_approve")
    for place, rule in enumerate(rules if isinstance(rules, list) else []):
        if isinstance(rule, dict) and not set(rule) & schema.CONDITIONS:
            yield ("auto_approve", place), f"has no condition: give at least one of {_CONDITIONS}"


def _risk_problems(role: Table, _systems: Table) -> Iterator[KeyProblem]:
    approvals = role.get("approvals", 1)
    if (
        role.get("risk") == "high"
        and type(approvals) is int
        and approvals < 2
        and "risk_reason" not in role
    ):
        yield (
            ("risk",),
            (
                "high needs approvals = 2 or more, or a risk_reason that says why one approver is"
                " enough"
            ),
        )


def _bundle(_checked: Checked, data: Table, name: str, table: object) -> Iterator[KeyProblem]:
    yield from _name_problems("bundles", name)
    path = ("bundles", name)
    yield from schema.validate(schema.BundleTable, table, path)[1]
    stages = table.get("stages") if isinstance(table, dict) else None
    for place, stage in enumerate(stages if isinstance(stages, list) else []):
        named = stage.get("roles") if isinstance(stage, dict) else None
        for position, role in enumerate(named if isinstance(named, list) else []):
            if isinstance(role, str) and role not in _tables(data, "roles"):
                near = did_you_mean(role, _tables(data, "roles")) if type(role) is str else ""
                yield (
                    (*path, "stages", place, "roles", position),
                    f"there is no role {quoted(role)}{near}",
                )


def _person(checked: Checked, _data: Table, name: str, table: object) -> Iterator[KeyProblem]:
    path = ("people", name)
    if classify(name) not in ("user", "email"):
        yield path, f"{quoted(name)} is not a person: write an e-mail or a user id (U…, W…)"
    model, found = schema.validate(schema.PeopleTable, table, path)
    yield from found
    if isinstance(table, dict):
        yield from _unread_names(checked, path, table)
    if model is not None:
        checked.people[name] = model.model_dump()
        yield from _shared_accounts(checked, name)


def _unread_names(checked: Checked, path: tuple[str, str], table: Table) -> Iterator[KeyProblem]:
    """A name that no connector reads would be a pin that pins nothing."""
    unread = [key for key in table if not (key in checked.kinds and checked.kinds[key].reads_names)]
    read = (
        sorted(name for name, kind in checked.kinds.items() if kind.reads_names) if unread else []
    )
    for key in unread:
        yield (
            (*path, key),
            f"no connector reads this name: {', '.join(read)} do{did_you_mean(key, read)}",
        )


def _shared_accounts(checked: Checked, name: str) -> Iterator[KeyProblem]:
    """An account is one person's: the end of what one gets there would take it from the other."""
    for connector, account in checked.people[name].items():
        others = [
            names.get(connector, "") for other, names in checked.people.items() if other != name
        ]
        if account.lower() in map(str.lower, others):
            yield (
                ("people", name, connector),
                "is another person's already: an account belongs to one",
            )


_CONDITIONS = ", ".join(sorted(schema.CONDITIONS))
_SECTIONS: Mapping[str, Callable[[Checked, Table, str, object], Iterator[KeyProblem]]] = {
    "systems": _system,
    "roles": _role,
    "bundles": _bundle,
    "people": _person,
}
