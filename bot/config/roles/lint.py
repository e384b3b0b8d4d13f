"""Warns where a valid roles.toml is less strict than it looks, or gives more than may be needed."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.config.roles.parse import dotted
from bot.config.roles.redact import secret_name
from bot.config.roles.toml_lines import key_lines, line_of
from bot.core.durations import UNITS, format_duration
from bot.core.errors import Problem
from bot.core.roles import Key, Policy, Role, System, Warned, Written, ticket_matches
from bot.core.values import classify, quoted

Table = Mapping[str, Any]

NOT_NEEDED = "not-needed"
"""The warning that a `meant` matches no warning. It can't be silenced by `meant` itself."""

MANY_RENEWALS = 5
"""Up to this many renewals without approval give no warning."""

LONG = 3 * UNITS["d"]
LONG_TOTAL = 2 * UNITS["w"]

_WORKSPACE: Key = ("workspace",)
_STALE = "there is no such warning now: remove it, or it will hide a new one"

SHOWN_ENTRIES = 3
"""The most entries of a list that a warning names."""


@dataclass(frozen=True, slots=True)
class PolicyWarning:
    """One warning: its name, the table whose `meant` can silence it, and its place and reason."""

    name: str
    table: Key
    problem: Problem

    def __str__(self) -> str:
        if self.name == NOT_NEEDED:
            return str(self.problem)
        return (
            f'{self.problem} (if meant: meant = {{ {self.name} = "why" }} in'
            f" [{dotted(self.table)}])"
        )


def warnings(policy: Policy) -> list[PolicyWarning]:
    """The warnings that no `meant` silences, in the order of the file.

    `meant` in [workspace] holds for the whole file, elsewhere for its own table.
    """
    text = policy.text.removeprefix("\ufeff")
    given = tomllib.loads(text)
    meant = {(table, name) for table, each in _tables(given) for name in each.get("meant", {})}
    reported, used = [], set()
    for name, path, words in _all(policy, given):
        table = path[:2] if path[0] in ("roles", "systems") else _WORKSPACE
        if answers := meant & {(table, name), (_WORKSPACE, name)}:
            used |= answers
        else:
            reported.append((name, table, path, words))
    reported += [
        (NOT_NEEDED, table, (*table, "meant", name), _STALE) for table, name in meant - used
    ]
    lines = key_lines(text)
    made = [
        PolicyWarning(name, table, Problem(policy.file, line_of(path, lines), dotted(path), words))
        for name, table, path, words in reported
    ]
    return sorted(
        made, key=lambda each: (each.problem.line, each.problem.key, each.name, each.problem.text)
    )


def _tables(given: Table) -> Iterator[tuple[Key, Table]]:
    yield _WORKSPACE, given["workspace"]
    for section in ("systems", "roles"):
        yield from (((section, name), table) for name, table in given.get(section, {}).items())


def _all(policy: Policy, given: Table) -> Iterator[Warned]:
    for check in _FILE_CHECKS:
        yield from check(policy, given)
    for name, system in policy.systems.items():
        for look_at in _SYSTEM_CHECKS:
            yield from _below(
                ("systems", name), look_at(system, given.get("systems", {}).get(name, {}))
            )
    for name, role in policy.roles.items():
        table = given["roles"][name]
        for look_into in _ROLE_CHECKS:
            yield from _below(("roles", name), look_into(role, table))
        yield from _below(("roles", name), _of_kinds(policy, role, table))
    for kind in dict.fromkeys(system.connector for system in policy.systems.values()):
        systems = [
            Written(system, given["systems"][name])
            for name, system in policy.systems.items()
            if system.connector == kind
        ]
        yield from _below(("systems",), policy.kinds[kind].lint(systems))


def _of_kinds(policy: Policy, role: Role, given: Table) -> Iterator[Warned]:
    """The warnings of the kinds of a role's systems."""
    systems = [policy.systems[name] for name in role.systems]
    found: dict[Key, str] = {}
    for system in systems:
        kind = policy.kinds[system.connector]
        named: Key = (system.name,) if role.system_actions else ()
        for place, action in enumerate(role.actions_of(system.name)):
            if words := kind.broad_action(action):
                found.setdefault(("actions", *named, place), f"{quoted(action)} {words}")
    yield from (("broad-action", where, words) for where, words in found.items())
    for place, system in enumerate(systems):
        where: Key = ("systems", place) if "systems" in given else ("system",)
        for name, words in policy.kinds[system.connector].lint_role(role, system):
            yield name, where, words


def _below(table: Key, seen: Iterable[Warned]) -> Iterator[Warned]:
    yield from ((name, (*table, *path), words) for name, path, words in seen)


def _named(entries: Iterable[str]) -> str:
    """Some of the entries, in quotes."""
    every = list(entries)
    more = len(every) - SHOWN_ENTRIES
    return ", ".join(map(quoted, every[:SHOWN_ENTRIES])) + (f" and {more} more" if more > 0 else "")


# --- the whole file


def _channels(policy: Policy, given: Table) -> Iterator[Warned]:
    security = policy.workspace.security_channel
    tables: list[tuple[Key, Table]] = [(_WORKSPACE, given["workspace"])]
    tables += [(("roles", name), table) for name, table in given["roles"].items()]
    for table, values in tables:
        for key in ("approvals_channel", "security_channel", "channel"):
            if (channel := values.get(key)) in _EVERYBODYS:
                words = (
                    "every member of Slack reads the requests there, and important messages get"
                    " lost"
                )
                yield "public-channel", (*table, key), f"{quoted(channel)}: {words}"
            if key != "security_channel" and channel == security:
                words = "is also the security channel: warnings get lost between requests"
                yield "same-channel", (*table, key), f"{quoted(channel)} {words}"


def _leads(policy: Policy, _given: Table) -> Iterator[Warned]:
    for place, lead in enumerate(policy.workspace.leads):
        roles = [
            role.name for role in policy.roles.values() if lead.lower() in _lowered(role.requesters)
        ]
        if roles and classify(lead) in ("group", "handle"):
            words = "so they can read the log about their own access and revoke that of others"
            yield (
                "leads-may-ask",
                ("workspace", "leads", place),
                f"may ask for {_named(roles)}, {words}",
            )


def _shared_secrets(policy: Policy, _given: Table) -> Iterator[Warned]:
    first: dict[str, str] = {}
    for name, system in policy.systems.items():
        if system.secret and (other := first.setdefault(system.secret, name)) != name:
            words = f"is also the secret of {other}: each system can impersonate the other"
            yield "shared-secret", ("systems", name, "secret"), words


def _references(policy: Policy, given: Table) -> Iterator[Warned]:
    lists: list[tuple[Key, object]] = [(("workspace", "leads"), policy.workspace.leads)]
    for name, table in given["roles"].items():
        lists += [
            (("roles", name, key), table.get(key, ()))
            for key in ("requesters", "approvers", "notify")
        ]
    lists += [(("people", name), (name,)) for name in policy.people]
    for path, refs in lists:
        if found := [ref for ref in _strings(refs) if classify(ref) in ("handle", "email")]:
            words = "may be reassigned: write ids, which access-bot doctor prints"
            yield "handle-or-email", path, f"{_named(found)} {words}"


def _weaker_roles(policy: Policy, _given: Table) -> Iterator[Warned]:
    """Warns of roles that give the same as another role under weaker rules."""
    places = {name: _place(policy, system) for name, system in policy.systems.items()}
    giving: dict[tuple[str, str], list[Role]] = defaultdict(list)
    for role in policy.roles.values():
        for place, action in sorted(_gives(role, places)):
            giving[place, action].append(role)
    reported: set[tuple[str, str]] = set()
    for (_, action), roles in giving.items():
        for name, key, words in _weaker(roles):
            if (name, key) not in reported:
                reported.add((name, key))
                what = quoted(action) if action else "the same access"
                yield "weaker-role", ("roles", name, key), f"{what} {words}"


def _gives(role: Role, places: Mapping[str, str]) -> set[tuple[str, str]]:
    """Places and actions there; an action that is "" means that the place needs none."""
    return {
        (places[system], " ".join(action.split()).lower())
        for system in role.systems
        for action in role.actions_of(system) or ("",)
    }


def _weaker(roles: list[Role]) -> Iterator[tuple[str, str, str]]:
    """Role, key and reason for each role with weaker rules than the strictest role that gives the
    same."""
    strict = max(roles, key=lambda role: role.approvals)
    ticketed = next((role for role in roles if role.ticket), None)
    fewest = min(roles, key=lambda role: len(_lowered(role.approvers)))
    for role in roles:
        if role.approvals < strict.approvals:
            yield (
                role.name,
                "approvals",
                f"needs {strict.approvals} approvals in roles.{strict.name}, {role.approvals} here",
            )
        if ticketed and not role.ticket and role.approvals <= ticketed.approvals:
            yield role.name, "ticket", f"needs a ticket in roles.{ticketed.name}, and none here"
        more = _lowered(role.approvers) > _lowered(fewest.approvers)
        if more and role.approvals <= fewest.approvals:
            yield role.name, "approvers", f"has fewer approvers in roles.{fewest.name} than here"


def _place(policy: Policy, system: System) -> str:
    """A text that is equal for two tables that lead to the same system."""
    identified = system.reach and policy.kinds[system.connector].settings_identify
    return f"{system.connector} {system.reach}" if identified else system.name


# --- one system


def _weak_secret(system: System, _given: Table) -> Iterator[Warned]:
    if system.secret and (why := _why_weak(system.secret, system.name)):
        words = f"{why}: it can be guessed; access-bot keys new prints a good one"
        yield "weak-secret", ("secret",), words


def _why_weak(secret: str, system: str) -> str:
    if len(set(secret)) < 8:
        return "has only a few different characters"
    if (secret + secret).find(secret, 1) < len(secret):
        return "repeats a shorter text"
    if secret.isdigit() or _USUAL.search(secret) or system in secret:
        return "holds words or numbers that are common in secrets"
    return ""


def _secret_in_file(_system: System, given: Table) -> Iterator[Warned]:
    for path, value in _texts(given, ()):
        literal = "${" not in value.replace("$${", "")
        if path[0] in ("secret", "token") or (path[0] == "env" and secret_name(str(path[-1]))):
            found = literal
        else:
            found = any("${" not in each[1].replace("$${", "") for each in _LOGIN.finditer(value))
        if found and path[0] != "meant":
            words = (
                "is in the file in plain text: write ${NAME} and set the value in the environment"
            )
            yield "secret-in-file", path, words


# --- one role


def _approvers(role: Role, _given: Table) -> Iterator[Warned]:
    if _lowered(role.approvers) == _lowered(role.requesters):
        words = "are exactly the requesters: they approve each other"
        yield "approvers-are-requesters", ("approvers",), words
    seen: set[str] = set()
    for place, approver in enumerate(role.approvers):
        if approver.lower() in seen:
            yield (
                "approver-twice",
                ("approvers", place),
                f"{quoted(approver)} is listed twice and counts once",
            )
        seen.add(approver.lower())


def _everyone(role: Role, _given: Table) -> Iterator[Warned]:
    others = [each for each in role.requesters if each != "everyone"]
    if 0 < len(others) < len(role.requesters):
        words = "has no effect next to everyone: name only the requesters"
        yield "everyone-and-others", ("requesters",), f"{_named(others)} {words}"


def _ticket(role: Role, _given: Table) -> Iterator[Warned]:
    if role.ticket is None:
        return
    if junk := [each for each in _JUNK if ticket_matches(role, each)]:
        yield (
            "weak-ticket",
            ("ticket",),
            f"is matched by {_named(junk)}, too: describe what a ticket looks like",
        )
    elif re.fullmatch(r"\^?[\w\s/#-]+\$?", role.ticket):
        yield "weak-ticket", ("ticket",), "is the same text for every request, so it proves nothing"


def _risk_reason(role: Role, _given: Table) -> Iterator[Warned]:
    if role.risk_reason and len(role.risk_reason.split()) == 1:
        words = "is one word: say why one approver is enough for a high risk"
        yield "one-word-reason", ("risk_reason",), f"{quoted(role.risk_reason)} {words}"


def _renewals(role: Role, _given: Table) -> Iterator[Warned]:
    if role.max_renewals > MANY_RENEWALS and not role.renewal_approval:
        words = "renewals without approval: allow fewer, or set renewal_approval = true"
        yield "many-renewals", ("max_renewals",), f"{role.max_renewals} {words}"


def _lengths(role: Role, _given: Table) -> Iterator[Warned]:
    if role.duration_reason:
        return
    if role.max_duration > LONG:
        words = "is long for one grant: access protects best when it ends soon"
        yield "long-access", ("max_duration",), f"{format_duration(role.max_duration)} {words}"
    if role.max_total > LONG_TOTAL:
        words = "with renewals is nearly permanent access"
        yield "long-access", ("max_total",), f"{format_duration(role.max_total)} {words}"
    elif (
        role.max_total > max(LONG, role.max_duration)
        and role.max_renewals
        and not role.renewal_approval
    ):
        words = "with renewals without approval is long: shorten it, or set renewal_approval = true"
        yield "long-access", ("max_total",), f"{format_duration(role.max_total)} {words}"


def _unasked(role: Role, _given: Table) -> Iterator[Warned]:
    """Warns of automatic approvals that are too broad."""
    for place, rule in enumerate(role.auto_approve):
        if "everyone" in role.requesters and not rule.members and not rule.on_call:
            yield (
                "nobody-approves",
                ("auto_approve", place),
                "everybody may request it and nobody has to approve: name members",
            )
        if role.risk == "high":
            yield (
                "nobody-approves",
                ("auto_approve", place),
                "the risk is high, and this rule approves requests without an approver",
            )


def _nobody_gets_it(role: Role, _given: Table) -> Iterator[Warned]:
    """Denial rules that hold for everybody who may request the role, at any time."""
    for place, rule in enumerate(role.deny):
        members = _lowered(rule.members)
        for_all = not members or "everyone" in members or _lowered(role.requesters) <= members
        if for_all and (rule.hours is None or rule.hours.are_always):
            words = "holds for everybody who may ask, at any time: nobody can get this role"
            yield "nobody-gets-it", ("deny", place), f"{quoted(rule.name)} {words}"


# --- helpers and tables


def _lowered(refs: Iterable[str]) -> set[str]:
    return {each.lower() for each in refs}


def _strings(value: object) -> list[str]:
    return (
        [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else []
    )


def _texts(value: Any, path: Key) -> Iterator[tuple[Key, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(each, (*path, key))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _texts(each, (*path, place))


_EVERYBODYS = frozenset({"#general", "#random"})
_JUNK = ("x", "-", "1", "none", "n/a", "a-b", "no ticket", "TEST", "?")
_USUAL = re.compile(
    r"password|passwd|secret|change-?me|example|default|letmein|qwerty|12345|abcdef", re.IGNORECASE
)
_LOGIN = re.compile(r"://[^/\s:@]*:([^\s@]+)@")

_FILE_CHECKS: tuple[Callable[[Policy, Table], Iterator[Warned]], ...] = (
    _channels,
    _leads,
    _shared_secrets,
    _references,
    _weaker_roles,
)
_SYSTEM_CHECKS: tuple[Callable[[System, Table], Iterator[Warned]], ...] = (
    _weak_secret,
    _secret_in_file,
)
_ROLE_CHECKS: tuple[Callable[[Role, Table], Iterator[Warned]], ...] = (
    _approvers,
    _everyone,
    _ticket,
    _risk_reason,
    _renewals,
    _lengths,
    _unasked,
    _nobody_gets_it,
)
