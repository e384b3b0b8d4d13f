"""Checks a whole roles.toml: that every table is valid, and that all of them fit each other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from bot.config.roles import schema
from bot.config.roles.parameters import action_check, different_kinds, parameter_problems
from bot.config.roles.schema import KeyProblem
from bot.core.durations import format_duration
from bot.core.flags.rules import RULES
from bot.core.roles import Key, SystemKind
from bot.core.tickets import scope_of
from bot.core.values import NAME, classify, did_you_mean, quoted, seconds

Table = dict[str, Any]

_TOP = (
    "workspace",
    "systems",
    "roles",
    "oncall",
    "tickets",
    "bundles",
    "people",
    "stream",
    "retention",
    "flags",
)
_DEFAULT_LONGEST = schema.RoleTable.model_fields["max_duration"].default
_IF_NOT_GIVEN = format_duration(_DEFAULT_LONGEST)


@dataclass(slots=True)
class Checked:
    """The valid tables of a file by name, and the problems of the others."""

    kinds: Mapping[str, SystemKind]
    workspace: schema.WorkspaceTable | None = None
    systems: dict[str, tuple[str, BaseModel]] = field(default_factory=dict, repr=False)
    roles: dict[str, schema.RoleTable] = field(default_factory=dict)
    system_actions: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """By role and system."""
    on_call: dict[str, schema.OnCallTable] = field(default_factory=dict)
    tickets: schema.TicketsTable | None = None
    bundles: dict[str, schema.BundleTable] = field(default_factory=dict)
    flags: schema.FlagsTable = field(default_factory=schema.FlagsTable)
    people: dict[str, dict[str, str]] = field(default_factory=dict)
    retention: schema.RetentionTable | None = None
    streams: list[schema.StreamTable] = field(default_factory=list, repr=False)
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
        checked.found += [*found, *_stamp_problems(workspace)]
    if "tickets" in data:
        checked.tickets, found = schema.validate(schema.TicketsTable, data["tickets"], ("tickets",))
        checked.found += found
        checked.found += [(("tickets", key), text) for key, text in _ticket_problems(checked)]
    if "retention" in data:
        checked.retention, found = schema.validate(
            schema.RetentionTable, data["retention"], ("retention",)
        )
        checked.found += found
    checked.found += _stream_problems(checked, data.get("stream", []))
    if "flags" in data:
        flags, found = schema.validate(schema.FlagsTable, data["flags"], ("flags",))
        checked.flags = flags or checked.flags
        checked.found += [*found, *_unknown_rules(checked)]
    for section, check_table in _SECTIONS.items():
        for name, table in _tables(data, section).items():
            checked.found += check_table(checked, data, name, table)
    return checked


def _unknown_rules(checked: Checked) -> Iterator[KeyProblem]:
    for name in checked.flags.off:
        if name not in RULES:
            yield ("flags", "off", name), "is not a flag rule" + did_you_mean(name, RULES)


def _ticket_problems(checked: Checked) -> Iterator[tuple[str, str]]:
    if (table := checked.tickets) is None:
        return
    if table.kind == "github" and not scope_of(table.url)[0]:
        yield "url", "must name the owner, and may name the repository: https://github.com/OWNER"
    if table.kind != "webhook" and urlsplit(table.url).query:
        yield "url", "must not have a ?"
    if table.kind == "webhook" and not table.token:
        yield "token", "is required: the receiver knows us by it"


def _stream_problems(checked: Checked, tables: object) -> Iterator[KeyProblem]:
    if not isinstance(tables, list):
        yield ("stream",), "must be written as [[stream]], with two brackets"
        return
    for place, table in enumerate(tables):
        path, known = ("stream", place), schema.STREAM_TABLES
        kind = table.get("kind") if isinstance(table, dict) else None
        if not isinstance(kind, str) or kind not in known:
            near = did_you_mean(kind, known) if type(kind) is str else ""
            yield (*path, "kind"), f"must be one of {', '.join(known)}{near}"
            continue
        settings = {key: value for key, value in table.items() if key != "kind"}
        model, found = schema.validate(known[kind], settings, path)
        yield from found
        if model is None:
            continue
        if model.name in [each.name for each in checked.streams]:
            yield (*path, "name"), "is the name of an earlier stream: give each its own name"
        if isinstance(model, schema.SyslogStreamTable) and model.ca and not model.tls:
            yield (*path, "ca"), "is for TLS, which tls = false switches off"
        checked.streams.append(model)


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
    by_system = table.get("actions") if isinstance(table, dict) else None
    if isinstance(table, dict) and isinstance(by_system, dict):
        yield from _system_actions(checked, name, by_system, table)
        table = {**table, "actions": []}
    role, found = schema.validate(schema.RoleTable, table, path, checked.warnings)
    yield from found
    if role is not None:
        checked.roles[name] = role
    if isinstance(table, dict):
        written = {**table, "actions": by_system}
        yield from (((*path, *where), text) for where, text in parameter_problems(written))
        for check_role in _ROLE_CHECKS:
            yield from (((*path, *where), text) for where, text in check_role(table, data))
        if not isinstance(by_system, dict):
            yield from (
                ((*path, *where), text)
                for where, text in _action_problems(table, data, checked.kinds)
            )


def _system_actions(
    checked: Checked, name: str, by_system: Table, role: Table
) -> Iterator[KeyProblem]:
    """Problems of actions that are given for each system of the role."""
    path = ("roles", name, "actions")
    model, found = schema.validate(schema.SystemActions, by_system, path)
    yield from found
    if model is not None:
        checked.system_actions[name] = model.root
    named = {system for _, system in _systems_of(role)}
    for system in sorted(named - set(by_system)):
        yield path, f"has no actions for {quoted(system)}: give them for each system of the role"
    for system, actions in by_system.items():
        if system not in named:
            yield (*path, system), f"is not a system of this role{did_you_mean(system, named)}"
        elif system in checked.systems:
            kind = checked.kinds[checked.systems[system][0]]
            if actions == [] and kind.needs_actions:
                yield (*path, system), "must not be empty: the least that does the job"
            for where, words in _unfit(actions, [action_check(kind, role)]):
                yield (*path, system, *where[1:]), words


def _systems_of(role: Table) -> list[tuple[Key, str]]:
    """The systems that a role names, as far as they are texts, each with its place."""
    many = role.get("systems")
    named = [
        (("systems", place), each)
        for place, each in enumerate(many if isinstance(many, list) else [])
    ]
    every: list[tuple[Key, object]] = [(("system",), role.get("system")), *named]
    return [(where, each) for where, each in every if isinstance(each, str)]


def _system_problems(role: Table, data: Table) -> Iterator[KeyProblem]:
    systems = _tables(data, "systems")
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
    role: Table, data: Table, kinds: Mapping[str, SystemKind]
) -> Iterator[KeyProblem]:
    actions, systems = role.get("actions", []), _tables(data, "systems")
    used = [systems[name] for _, name in _systems_of(role) if name in systems]
    connectors = {str(system.get("connector")) for system in used if isinstance(system, dict)}
    known = {name: kinds[name] for name in sorted(connectors) if name in kinds}
    may_be_none = bool(connectors) and all(
        name in known and not known[name].needs_actions for name in connectors
    )
    if actions == [] and not may_be_none:
        yield ("actions",), "is required and must not be empty: the least that does the job"
    yield from different_kinds(role, list(known.values()))
    wrong = list(_unfit(actions, [action_check(kind, role) for kind in known.values()]))
    yield from wrong
    if wrong and len(connectors) > 1:
        named = " and ".join(sorted(connectors))
        yield (
            ("actions",),
            f"are for every system of the role, and these are {named}: give them for each system",
        )


def _unfit(actions: object, checks: Sequence[Callable[[str], str]]) -> Iterator[KeyProblem]:
    for place, action in enumerate(actions if isinstance(actions, list) else []):
        wrong = [check(action) for check in checks if isinstance(action, str) and action]
        yield from ((("actions", place), words) for words in wrong if words)


def _seconds(role: Table, key: str, default: int | None = None) -> int | None:
    """The duration of the key if it is valid; another check reports an invalid one."""
    if key not in role:
        return default
    try:
        return seconds(role[key])
    except ValueError:
        return None


def _span_problems(role: Table, _data: Table) -> Iterator[KeyProblem]:
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


def _rule_problems(role: Table, data: Table) -> Iterator[KeyProblem]:
    for kind, conditions in schema.CONDITIONS.items():
        names: set[object] = set()
        for place, rule in enumerate(_list(role, kind)):
            if not isinstance(rule, dict):
                continue
            if not set(rule) & conditions:
                every = ", ".join(sorted(conditions))
                yield (kind, place), f"has no condition: give at least one of {every}"
            if (name := rule.get("name")) in names:
                yield (kind, place, "name"), "is the name of an earlier rule of this role"
            names.add(name if isinstance(name, str) else None)
            yield from (((kind, place, key), words) for key, words in _rule_needs(rule, role, data))


def _rule_needs(rule: Table, role: Table, data: Table) -> Iterator[tuple[str, str]]:
    """The problems of a rule's conditions that need another part of the file."""
    duty = rule.get("on_call")
    if isinstance(duty, str) and duty not in _tables(data, "oncall"):
        near = did_you_mean(duty, _tables(data, "oncall"))
        yield "on_call", f"there is no [oncall.{duty}]{near}"
    if rule.get("ticket") is True and "tickets" not in data:
        yield "ticket", "needs a [tickets] table, which says where tickets are looked up"
    if rule.get("ticket") is True and "ticket" not in role:
        yield "ticket", "needs the role's own ticket, so that requests have one"


def _list(table: Table, key: str) -> list[Any]:
    found = table.get(key)
    return found if isinstance(found, list) else []


def _decider_problems(role: Table, _data: Table) -> Iterator[KeyProblem]:
    tiers = _list(role, "tiers")
    if not tiers and "approvers" not in role:
        yield ("approvers",), "is required, or [[roles.NAME.tiers]] in its place"
    for key in ("approvers", "approvals"):
        if tiers and key in role:
            yield (key,), "is given by each tier, so it can't be given here, too"
    names = [tier.get("name") for tier in tiers if isinstance(tier, dict)]
    for place, name in enumerate(names):
        if isinstance(name, str) and name in names[:place]:
            yield ("tiers", place, "name"), "is the name of an earlier tier of this role"


def _emergency_problems(role: Table, _data: Table) -> Iterator[KeyProblem]:
    emergency, longest = role.get("emergency"), _seconds(role, "max_duration", _DEFAULT_LONGEST)
    asked = _seconds(emergency, "max_duration") if isinstance(emergency, dict) else None
    if asked is not None and longest is not None and asked > longest:
        yield ("emergency", "max_duration"), "must not be longer than the role's max_duration"


def _risk_problems(role: Table, _data: Table) -> Iterator[KeyProblem]:
    tiers = _list(role, "tiers")
    each = [tier.get("approvals", 1) for tier in tiers if isinstance(tier, dict)]
    approvals = (
        sum(each) if tiers and all(type(n) is int for n in each) else role.get("approvals", 1)
    )
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


def _named_table(
    kind: type[schema.Model], path: tuple[str, str], table: object
) -> Generator[KeyProblem, None, schema.Model | None]:
    """Returns this table of a section as a model, or None if it is invalid."""
    yield from _name_problems(*path)
    model, found = schema.validate(kind, table, path)
    yield from found
    return model


def _on_call(checked: Checked, _data: Table, name: str, table: object) -> Iterator[KeyProblem]:
    path = ("oncall", name)
    model = yield from _named_table(schema.OnCallTable, path, table)
    if model is None:
        return
    checked.on_call[name] = model
    if (model.group is None) == (model.ical is None):
        yield path, "give exactly one of group and ical"
    if model.group is not None and classify(model.group) not in ("group", "handle"):
        yield (*path, "group"), "must be a user group: its id (S…) or its @handle"
    if model.ical is not None and not _can_read_calendars():
        yield (*path, "ical"), "needs packages that are missing: pip install 'access-bot[oncall]'"


def _stamp_problems(workspace: object) -> Iterator[KeyProblem]:
    given = {"tsa_url", "tsa_ca"} & set(workspace) if isinstance(workspace, dict) else set()
    if not given:
        return
    for key in sorted({"tsa_url", "tsa_ca"} - given):
        yield ("workspace", key), f"is required beside {given.pop()}"
    if find_spec("rfc3161_client") is None:
        yield ("workspace", "tsa_url"), "needs the extra `tsa`: pip install 'access-bot[tsa]'"


def _can_read_calendars() -> bool:
    return all(find_spec(name) is not None for name in ("icalendar", "recurring_ical_events"))


def _bundle(checked: Checked, data: Table, name: str, table: object) -> Iterator[KeyProblem]:
    path = ("bundles", name)
    model = yield from _named_table(schema.BundleTable, path, table)
    if model is None:
        return
    checked.bundles[name] = model
    for place, stage in enumerate(model.stages):
        here: Key = (*path, "stages", place)
        yield from (((*here, *where), words) for where, words in _stage_problems(stage, model))
        for key, roles in (("roles", stage.roles or []), ("may_ask", stage.may_ask or [])):
            for position, role in enumerate(roles):
                words = _stage_role_problem(role, key, stage, data)
                if words:
                    yield (*here, key, position), words


def _stage_problems(stage: schema.StageTable, bundle: schema.BundleTable) -> Iterator[KeyProblem]:
    if stage.roles is None and stage.may_ask is None:
        yield (), "gives nothing: it needs roles, may_ask or both"
    if stage.roles is not None and stage.duration is None:
        yield ("duration",), "is required: for how long each of the roles is given"
    if stage.roles is None and stage.duration is not None:
        yield ("duration",), "is for roles, and this stage has none"
    if stage.after >= bundle.max:
        yield ("after",), f"must be before the ramp's end: max is {format_duration(bundle.max)}"


def _stage_role_problem(name: str, key: str, stage: schema.StageTable, data: Table) -> str:
    """The reason why a stage can't have this role, "" if it can."""
    roles = _tables(data, "roles")
    role = roles.get(name)
    if not isinstance(role, dict):
        return f"there is no role {quoted(name)}{did_you_mean(name, roles)}"
    if key == "may_ask":
        return ""
    if role.get("risk") == "high":
        return "has a high risk, so a stage can't give it: put it into may_ask"
    if role.get("parameters"):
        return "has parameters, which a stage does not have: put it into may_ask"
    if "ticket" in role:
        return "asks for a ticket, which a stage does not have: put it into may_ask"
    longest = _seconds(role, "max_duration", _DEFAULT_LONGEST)
    if stage.duration is not None and longest is not None and stage.duration > longest:
        return f"is given for at most {format_duration(longest)}, which is its max_duration"
    return ""


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
    """Reports accounts that two people share: the end of one person's access would take it from the
    other."""
    for connector, account in checked.people[name].items():
        others = [
            names.get(connector, "") for other, names in checked.people.items() if other != name
        ]
        if account.lower() in map(str.lower, others):
            yield (
                ("people", name, connector),
                "is another person's already: an account belongs to one",
            )


_ROLE_CHECKS: tuple[Callable[[Table, Table], Iterator[KeyProblem]], ...] = (
    _system_problems,
    _decider_problems,
    _span_problems,
    _rule_problems,
    _emergency_problems,
    _risk_problems,
)
_SECTIONS: Mapping[str, Callable[[Checked, Table, str, object], Iterator[KeyProblem]]] = {
    "systems": _system,
    "roles": _role,
    "oncall": _on_call,
    "bundles": _bundle,
    "people": _person,
}
