"""Decides where a valid roles.toml gives more than it may need to: what is worth a second look and forbids nothing.
It does not know who asks for what, nor what a system really makes of an action.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from posixpath import normpath
from typing import Any

from bot.core.durations import UNITS, format_duration
from bot.core.policy import Role, System
from bot.core.policy_values import quoted
from bot.core.toml_lines import Path

LONG = 3 * UNITS["d"]
LONG_TOTAL = 2 * UNITS["w"]

Table = Mapping[str, Any]
Seen = tuple[str, Path, str]
"""A warning's name, the key that it is about, and what is said."""


def too_much(kind: str, action: str) -> str:
    """What is broad about an action on a system of this kind; "" when nothing is known to be."""
    if kind == "postgres":
        return next((words for pattern, words in _SQL if pattern.search(action)), "")
    for of_kind, pattern, words in _NAMES:
        if of_kind in ("", kind) and pattern.search(action):
            return words
    return _LIKE_ADMIN if _ADMIN.search(_CAMEL.sub("-", action)) and not _READS.search(action) else ""


def _actions(role: Role, given: Table, systems: Mapping[str, System]) -> Iterator[Seen]:
    kinds = sorted({systems[name].connector for name in role.systems})
    for place, action in enumerate(role.actions):
        if words := next((words for kind in kinds if (words := too_much(kind, action))), ""):
            yield "broad-action", ("actions", place), f"{quoted(given['actions'][place])} {words}"


def _principals(role: Role, given: Table, systems: Mapping[str, System]) -> Iterator[Seen]:
    for place, name in enumerate(role.systems):
        settings = systems[name].settings
        principals = settings.get("principals")
        bare = systems[name].connector == "ssh" and not settings.get("force_command")
        if bare and isinstance(principals, list) and "root" in principals:
            yield (
                "root-login",
                _where(given, place),
                f"logs in as root on every host of {name}; use a principal that may do less",
            )


def _whole_cluster(role: Role, given: Table, systems: Mapping[str, System]) -> Iterator[Seen]:
    """What is much in a namespace is everything in a cluster (ClusterRoles `admin` and `edit` read every Secret)."""
    for place, name in enumerate(role.systems):
        whole = systems[name].connector == "kubernetes" and not systems[name].settings.get("namespace")
        if whole and {"admin", "edit"} & set(role.actions):
            words = f"{name} has no namespace: it is given, Secrets included, in the whole cluster"
            yield "whole-cluster", _where(given, place), words


def _where(given: Table, place: int) -> tuple[str | int, ...]:
    return ("systems", place) if "systems" in given else ("system",)


def shared_hosts(systems: Mapping[str, System]) -> Iterator[Seen]:
    """A host can't tell two systems apart whose certificates say the same."""
    certified = [each for each in systems.values() if each.connector == "ssh"]
    for place, system in enumerate(certified):
        if others := [each.name for each in certified[:place] if _same_hosts(system, each)]:
            words = f"it has its ca_key and a principal in common with {', '.join(others)}"
            yield (
                "shared-hosts",
                ("systems", system.name, "principals"),
                f"{words}: a certificate of one opens the other's hosts",
            )


def _same_hosts(one: System, other: System) -> bool:
    return _ca_key(one) == _ca_key(other) and not _names(one).isdisjoint(_names(other))


def listed_secrets(given: Table) -> Iterator[Seen]:
    """Values of the environment in arguments of a program; `given` is what the file says of systems."""
    for name, table in given.items():
        for place, word in enumerate(table.get("argv", ()) if table["connector"] == "command" else ()):
            if "${" in word.replace("$${", ""):
                words = "shows on this machine's list of processes: if it is a secret, hand it over in env"
                yield "secret-in-argv", ("systems", name, "argv", place), f"{quoted(word)} {words}"


def _ca_key(system: System) -> str:
    return normpath(str(system.settings["ca_key"]))


def _names(system: System) -> set[str]:
    principals = system.settings["principals"]
    return {str(each) for each in principals} if isinstance(principals, list) else set()


def _lengths(role: Role, _given: Table, _systems: Mapping[str, System]) -> Iterator[Seen]:
    if role.duration_reason:
        return
    if role.max_duration > LONG:
        words = "in one go is long; the end is what protects"
        yield "long-access", ("max_duration",), f"{format_duration(role.max_duration)} {words}"
    if role.max_total > LONG_TOTAL:
        words = "with renewals is nearly permanent access"
        yield "long-access", ("max_total",), f"{format_duration(role.max_total)} {words}"
    elif role.max_total > max(LONG, role.max_duration) and role.max_renewals and not role.renewal_approval:
        words = "with renewals that nobody approves is long: shorten it, or set renewal_approval = true"
        yield "long-access", ("max_total",), f"{format_duration(role.max_total)} {words}"


def _unasked(role: Role, given: Table, _systems: Mapping[str, System]) -> Iterator[Seen]:
    """Rules under which nobody has to agree."""
    for place, rule in enumerate(given.get("auto_approve", [])):
        if "everyone" in role.requesters and not rule.get("members"):
            yield (
                "nobody-approves",
                ("auto_approve", place),
                "everybody may ask and nobody has to approve: name members",
            )
        if role.risk == "high":
            yield (
                "nobody-approves",
                ("auto_approve", place),
                "the risk is high, and under this rule nobody looks at a request",
            )


ROLE_LOOKS: tuple[Callable[[Role, Table, Mapping[str, System]], Iterator[Seen]], ...] = (
    _actions,
    _principals,
    _whole_cluster,
    _lengths,
    _unasked,
)

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Between the words of a name like AdminAccess or DBAdmin."""

_ADMIN = re.compile(
    r"(?<![a-z])(?:[a-z]*admin(?:s|istrators?)?|super-?users?|power-?users?|root|sudo|owners?)(?![a-z])", re.IGNORECASE
)
_READS = re.compile(r"[:./_-](?:read|view|list|get)(?:-?only)?$", re.IGNORECASE)
"""Of what is called after administrators, these only look."""

_LIKE_ADMIN = "reads like an administrator's; the least that does the job is safer"
_MIGHTY = (
    "pg_(?:read|write)_all_data|pg_(?:read|write)_server_files|pg_execute_server_program|pg_database_owner"
    "|pg_maintain|pg_signal_backend|pg_create_subscription|postgres|rds_superuser|cloudsqlsuperuser"
    "|alloydbsuperuser|azure_pg_admin"
)
_SQL: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?:^|,)\s*all\b", re.IGNORECASE), "gives ALL PRIVILEGES; name those it needs"),
    (
        re.compile(rf'^\s*role\b.*\b"?(?:{_MIGHTY})\b', re.IGNORECASE),
        "is a role over the whole server; grant what is needed on tables or schemas",
    ),
    (re.compile(rf"^\s*role\b.*{_ADMIN.pattern}", re.IGNORECASE), _LIKE_ADMIN),
    (
        re.compile(r"\bwith\s+(?:grant|admin)\s+option\b", re.IGNORECASE),
        "lets its holder hand it on, beyond the end of the access",
    ),
    (
        re.compile(r"\b(?:insert|update|delete|truncate|trigger)\b.*\bon\s+all\s+tables\b", re.IGNORECASE),
        "changes every table of the schema; name the tables",
    ),
)
"""What an action on a database looks like, and what is said about it; the first that fits. A table may be called
anything: only a role is judged by its name."""

_NAMES: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "aws",
        re.compile("AdministratorAccess|PowerUserAccess", re.IGNORECASE),
        "may do nearly everything in the account; use a permission set that does the job",
    ),
    (
        "aws",
        re.compile("FullAccess", re.IGNORECASE),
        "may do everything with a service; use a permission set that does the job",
    ),
    (
        "kubernetes",
        re.compile("^(?:cluster-admin|system:masters)$"),
        "may do everything in the cluster; bind a Role that does the job",
    ),
    ("okta", re.compile("^everyone$", re.IGNORECASE), "is the group of everybody"),
    ("", re.compile(r"\*"), "is a wildcard: it gives what comes later, too"),
    (
        "",
        re.compile("(?:^|[:./])(?:all|any|everything|full|full-?access)$", re.IGNORECASE),
        "reads like everything; the least that does the job is safer",
    ),
)
"""The same for names and scopes, with the kind of system ("" for every other)."""
