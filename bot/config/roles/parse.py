"""Reads roles.toml, fills in `${NAME}`, checks everything, and builds the policy."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from pydantic import BaseModel

from bot.config.roles.redact import redacted_text
from bot.config.roles.rules import Checked, check
from bot.config.roles.schema import (
    AutoApproveTable,
    BundleTable,
    FileStreamTable,
    KeyProblem,
    RoleTable,
    StreamTable,
    TicketsTable,
    WebhookStreamTable,
    WorkspaceTable,
)
from bot.config.roles.toml_lines import key_lines, line_of
from bot.config.roles.values import ticket_validator, whole_match
from bot.config.secret_files import read_secret
from bot.core.errors import ConfigError, Problem
from bot.core.flags.rule import FlagSettings
from bot.core.lifecycle import longest_run
from bot.core.retention import Retention
from bot.core.roles import Fill, Key, Policy, Role, System, SystemKind, Workspace, no_ticket
from bot.core.rules import (
    AutoApproval,
    Bundle,
    DenyRule,
    Emergency,
    Escalation,
    OnCall,
    Parameter,
    Stage,
    Tickets,
    Tier,
)
from bot.core.streams import MIB, FileStream, Stream, SyslogStream, WebhookStream
from bot.core.values import YEAR, Expanded, quoted

LARGEST = 1024 * 1024  # bytes: far above any real file, far below what would hurt
REPORTED = 50

_TOO_BIG = f"is too large: at most {LARGEST // 1024} KiB"
_HOUR = 3600
_REMINDERS = (1800, 300)
_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")
_OURS = frozenset(
    {
        "SLACK_BOT_TOKEN",
        "SLACK_APP_TOKEN",
        "SLACK_SIGNING_SECRET",
        "DATABASE_URL",
        "ACCESS_SECRET_KEYS",
    }
)
"""The bot's own secrets, which roles.toml must not read for a system."""

_FILLED_BELOW = ("systems", "oncall", "tickets", "stream")
"""Tables whose values may hold `${NAME}`. The other tables may be shown in Slack."""

_NOT_HERE = (
    "${ is read only below [systems], [oncall], [tickets] and [[stream]]; write $${ for a plain ${"
)
_NOT_IN_KEYS = "${ is not read in a key"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def load_policy(path: str, environ: Mapping[str, str], kinds: Mapping[str, SystemKind]) -> Policy:
    """The policy in the file at `path`. `environ` has the values of `${NAME}`; `kinds` are the
    kinds of systems, by the name that `connector` gives in the file.

    Raises ConfigError with every problem: no such file, too big, not UTF-8, not TOML, or wrong
    content.
    """
    return decode_policy(read_content(path), path, environ, kinds)


def read_content(path: str) -> bytes:
    """The bytes of the file, up to just over the limit. Raises ConfigError."""
    try:
        with Path(path).open("rb") as file:
            return file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise _refusal(path, f"can't be read: {reason or 'not a path'}") from None


Complete = Callable[[Checked, dict[str, Any]], None]
"""Changes the checked content, given the expanded content, before its problems are reported."""


def _as_checked(_checked: Checked, _data: dict[str, Any]) -> None:
    """Changes nothing."""


def decode_policy(
    content: bytes,
    path: str,
    environ: Mapping[str, str],
    kinds: Mapping[str, SystemKind],
    complete: Complete = _as_checked,
) -> Policy:
    """Like `load_policy`, for content that was already read."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        if len(content) > LARGEST:
            raise _refusal(path, _TOO_BIG) from None
        raise _refusal(path, "is not UTF-8", content.count(b"\n", 0, error.start) + 1) from None
    return parse_policy(text, path, environ, kinds, complete)


def parse_policy(
    text: str,
    file: str,
    environ: Mapping[str, str],
    kinds: Mapping[str, SystemKind],
    complete: Complete = _as_checked,
) -> Policy:
    """The policy in the text of a roles.toml. `file` names it in problems; the other parameters are
    those of `load_policy`.

    Raises ConfigError with every problem in the order of the file, the first 50 in full.
    """
    content = text.encode(errors="surrogatepass")
    if len(content) > LARGEST:
        raise _refusal(file, _TOO_BIG)
    if not text.strip():
        raise _refusal(file, "is empty: it needs a [workspace] and at least one [roles.NAME]")
    whole, text = text, text.removeprefix("\ufeff")
    found: list[KeyProblem] = []
    try:
        data = _expanded(tomllib.loads(text), environ, (), found)
    except RecursionError:
        raise _refusal(file, "is nested too deeply") from None
    except ValueError as error:
        raise _refusal(file, f"is not TOML: {error}", _line_in(str(error))) from None
    checked = check(data, kinds)
    complete(checked, data)
    unset = {path for path, _ in found}
    if found := found + [each for each in checked.found if each[0] not in unset]:
        raise ConfigError(problems_at(found, text, file))
    policy = _policy(checked, data.get("systems", {}), hashlib.sha256(content).hexdigest(), file)
    shown = {name: kinds[system.connector].shown for name, system in policy.systems.items()}
    return replace(policy, text=whole, redacted=partial(redacted_text, whole, shown))


def _refusal(file: str, text: str, line: int = 0) -> ConfigError:
    return ConfigError([Problem(file, line, "", text)])


def _line_in(message: str) -> int:
    match = re.search(r"\(at line (\d+), ", message)
    return int(match.group(1)) if match else 0


def problems_at(found: list[KeyProblem], text: str, file: str) -> list[Problem]:
    """The problems with their lines, in the order of the file, the first 50 in full."""
    lines = key_lines(text)
    every = sorted((line_of(path, lines), dotted(path), words) for path, words in found)
    problems = [Problem(file, line, key, words) for line, key, words in every[:REPORTED]]
    if left := len(every) - REPORTED:
        problems += [Problem(file, 0, "", f"and {left} more problems")] if left > 0 else []
    return problems


def dotted(path: Key) -> str:
    """`roles.orders-read.reminders[0]`, with quotes around a key that would need them in the
    file."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in path]
    return "".join(parts).removeprefix(".")


def _key(part: str) -> str:
    return part if re.fullmatch("[A-Za-z0-9_-]{1,80}", part) else quoted(part)


def _expanded(value: Any, environ: Mapping[str, str], path: Key, found: list[KeyProblem]) -> Any:
    """The value with every `${NAME}` in its texts filled in where that is allowed, and `$${` turned
    into a plain `${`."""
    if isinstance(value, dict):
        found += [((*path, key), _NOT_IN_KEYS) for key in value if "${" in key]
        return {key: _expanded(each, environ, (*path, key), found) for key, each in value.items()}
    if isinstance(value, list):
        return [_expanded(each, environ, (*path, place), found) for place, each in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value
    if path[0] not in _FILLED_BELOW and "${" in value.replace("$${", ""):
        found.append((path, _NOT_HERE))
        return value
    return _filled(value, environ, path, found)


def _filled(text: str, environ: Mapping[str, str], path: Key, found: list[KeyProblem]) -> str:
    given: dict[str, str] = {}

    def fill(match: re.Match[str]) -> str:
        if match.group() == "$${":
            return "${"
        name = match.group(1) or ""
        if not _VARIABLE.fullmatch(name):
            found.append((path, "${ needs the name of a variable and }; write $${ for a plain ${"))
        elif name in _OURS:
            found.append((path, f"{name} is the bot's own secret: use a separate secret here"))
        else:
            try:
                given[name] = _variable(name, environ)
            except ValueError as error:
                found.append((path, f"the environment variable {error}"))
        return given.get(name, "")

    return Expanded(_REFERENCE.sub(fill, text), text, given)


def _variable(name: str, environ: Mapping[str, str]) -> str:
    """The value of `${NAME}`, from the environment or from the file that NAME_FILE names. Raises
    ValueError with the problem, never with a value."""
    text, path = environ.get(name), environ.get(f"{name}_FILE", "").strip()
    if text and path:
        raise ValueError(f"{name} is set, and so is {name}_FILE: set only one of them")
    if path:
        try:
            return read_secret(path)
        except ValueError as error:
            raise ValueError(f"{name}_FILE names a file that can't be used: {error}") from None
    if text is None:
        raise ValueError(f"{name} is not set; a running bot reads a new one after a restart")
    if not _is_utf8(text):
        raise ValueError(f"{name} is not UTF-8")
    return text


def variables_in(text: str) -> set[str]:
    """The names in every `${NAME}` of a roles.toml, those in comments included."""
    return {name for name in _REFERENCE.findall(text) if _VARIABLE.fullmatch(name)}


def given_in(value: Any) -> dict[str, str]:
    """The environment variables that the texts in this value use."""
    if isinstance(value, Expanded):
        return dict(value.given)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {name: text for each in inner for name, text in given_in(each).items()}


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_SAME_ACCESS = frozenset({"meant", "secret", "token", "timeout"})
"""Settings that may change without a change of the meaning of access."""

_SECRET = re.compile(
    r"(.*[_-])?(secret|token|password|passwd|pass|pwd|passphrase|credentials?|(api|access|private|signing)[_-]?key)",
    re.I,
)
"""Names of variables and keys that hold a secret. A new secret does not change the meaning of
access."""

_PLACES = frozenset({"host", "hostaddr", "port", "dbname", "service"})
"""Parameters in the query of a PostgreSQL URL that override the rest of the URL."""


def _reach(table: Mapping[str, Any]) -> str:
    seen = {
        key: _place(value, key) for key, value in sorted(table.items()) if key not in _SAME_ACCESS
    }
    return hashlib.sha256(json.dumps(seen, default=str).encode()).hexdigest()[:16]


def _place(value: Any, key: str) -> Any:
    """The value without passwords; `key` is its key in the file."""
    if isinstance(value, dict):
        return {name: _place(each, name) for name, each in sorted(value.items())}
    if isinstance(value, list):
        return [_place(each, key) for each in value]
    if not isinstance(value, str):
        return value
    named = _named(value)
    if isinstance(value, Expanded):
        return [
            value.raw,
            named,
            {} if _SECRET.fullmatch(key) else _counted(value, is_url=named is not None),
        ]
    return named or value


def _counted(value: Expanded, is_url: bool) -> dict[str, str]:
    """The variables in the value whose names are not those of secrets. In a URL, which may hold a
    password, only the variables in its query."""
    written = _URL.match(value.raw) if is_url else None
    looked_at = (written[3] or "" if written else "") if is_url else value.raw
    read = {match.group(1) for match in _REFERENCE.finditer(looked_at)}
    return {
        name: text
        for name, text in sorted(value.given.items())
        if name in read and not _SECRET.fullmatch(name)
    }


def _named(value: str) -> list[object] | None:
    """The place of a URL, without user, password and other possible secrets; None if it is not a
    URL."""
    found = _URL.match(value)
    if found is None:
        return None
    query = parse_qsl(found[3] or "", keep_blank_values=True)
    return [found[1], found[2], *(pair for pair in query if pair[0].lower() in _PLACES)]


_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^/?#]*@)?([^?#]*)(?:\?([^#]*))?")


def _policy(checked: Checked, tables: Mapping[str, Any], digest: str, file: str) -> Policy:
    workspace = checked.workspace
    if workspace is None:
        raise AssertionError("a file without a [workspace] was refused before")
    reach = {name: _reach(tables[name]) for name in checked.systems}
    return Policy(
        workspace=_workspace(workspace),
        systems=_systems(checked, tables, reach),
        roles=_roles(checked, workspace.approvals_channel, reach),
        on_call=_on_call(checked),
        tickets=_tickets(checked.tickets) if checked.tickets else None,
        flags=FlagSettings(
            tuple(checked.flags.trusted_networks), MappingProxyType(checked.flags.off)
        ),
        bundles=MappingProxyType(
            {name: _bundle(name, bundle) for name, bundle in checked.bundles.items()}
        ),
        people=MappingProxyType(
            {name: MappingProxyType(table) for name, table in checked.people.items()}
        ),
        retention=Retention(**checked.retention.model_dump()) if checked.retention else Retention(),
        streams=tuple(map(_stream, checked.streams)),
        digest=digest,
        file=file,
        kinds=checked.kinds,
    )


def _workspace(table: WorkspaceTable) -> Workspace:
    return Workspace(
        table.approvals_channel,
        table.security_channel,
        tuple(table.leads),
        table.timezone,
        table.quiet_hours,
        table.ticket_url or "",
        table.anchor_file or "",
        table.tsa_url or "",
        table.tsa_ca or "",
        table.digest,
    )


def _systems(
    checked: Checked, tables: Mapping[str, Any], reach: Mapping[str, str]
) -> Mapping[str, System]:
    found = {
        name: System(name, kind, _settings(model), reach[name], given_in(tables[name]))
        for name, (kind, model) in checked.systems.items()
    }
    return MappingProxyType(found)


def _roles(
    checked: Checked, approvals_channel: str, reach: Mapping[str, str]
) -> Mapping[str, Role]:
    found = {
        name: replace(
            _role(name, role, approvals_channel, reach),
            **_actions(role, checked.system_actions.get(name)),
            parameters=tuple(map(_parameter, role.parameters, role.parameters.values())),
            fill=_fills(checked, role) if role.parameters else {},
        )
        for name, role in checked.roles.items()
    }
    return MappingProxyType(found)


def _parameter(name: str, values: str | list[str]) -> Parameter:
    if isinstance(values, list):
        return Parameter(name, choices=tuple(values))
    return Parameter(name, values, is_match=whole_match(values))


def _fills(checked: Checked, role: RoleTable) -> Mapping[str, Fill]:
    """By system of the role, the function that writes parameters into actions there."""
    kinds = {name: checked.kinds[kind] for name, (kind, _) in checked.systems.items()}
    named = role.systems or [str(role.system)]
    return {name: fill for name in named if (fill := kinds[name].fill) is not None}


def _on_call(checked: Checked) -> Mapping[str, OnCall]:
    found = {
        name: OnCall(name, duty.group or "", duty.ical or "")
        for name, duty in checked.on_call.items()
    }
    return MappingProxyType(found)


def _settings(model: BaseModel) -> Mapping[str, object]:
    return MappingProxyType(model.model_dump())


def _renewal_approval(table: RoleTable) -> bool:
    """By default renewals need approval if the role has more than a low risk or more than one
    approval."""
    if table.renewal_approval is not None:
        return table.renewal_approval
    return table.risk != "low" or _approvals(table) > 1


def _approvals(table: RoleTable) -> int:
    return sum(tier.approvals for tier in table.tiers) if table.tiers else table.approvals or 1


def _approvers(table: RoleTable) -> tuple[str, ...]:
    """Everybody who may decide, in any tier."""
    named = [ref for tier in table.tiers for ref in tier.approvers]
    return tuple(dict.fromkeys(named) if table.tiers else table.approvers or ())


def _role(name: str, table: RoleTable, approvals_channel: str, reach: Mapping[str, str]) -> Role:
    longest, systems = table.max_duration, tuple(table.systems or [str(table.system)])
    reminders = (
        table.reminders if table.reminders is not None else [r for r in _REMINDERS if r < longest]
    )
    return Role(
        name=name,
        title=table.title or name[:75],
        description=table.description,
        systems=systems,
        actions=(),
        requesters=tuple(table.requesters),
        approvers=_approvers(table),
        notify=_approvers(table) if table.notify is None else tuple(table.notify),
        approvals=_approvals(table),
        channel=table.channel or approvals_channel,
        max_duration=longest,
        default_duration=table.default_duration or min(_HOUR, longest),
        reminders=tuple(sorted(set(reminders), reverse=True)),
        pending_timeout=table.pending_timeout,
        max_renewals=table.max_renewals,
        renewal_approval=_renewal_approval(table),
        max_total=table.max_total or longest_run(longest, table.max_renewals, YEAR),
        ticket=table.ticket,
        risk=table.risk,
        risk_reason=table.risk_reason or "",
        duration_reason=table.duration_reason or "",
        review_default=table.review_default,
        reach=tuple(reach[each] for each in systems),
        is_ticket=ticket_validator(table.ticket).isinstance_python
        if table.ticket is not None
        else no_ticket,
        **_rules(table),
    )


def _rules(table: RoleTable) -> dict[str, Any]:
    """The rules of a role, by the name of their field in `Role`."""
    return {
        "renewal_quota": table.renewal_quota,
        "auto_approve": tuple(map(_auto_approval, table.auto_approve)),
        "deny": tuple(
            DenyRule(rule.name, tuple(rule.members or ()), rule.hours, rule.reason)
            for rule in table.deny
        ),
        "tiers": tuple(
            Tier(tier.name, tuple(tier.approvers), tier.approvals) for tier in table.tiers
        ),
        "escalation": Escalation(table.escalation.after, tuple(table.escalation.approvers))
        if table.escalation
        else None,
        "emergency": Emergency(tuple(table.emergency.members), table.emergency.max_duration)
        if table.emergency
        else None,
    }


def _auto_approval(table: AutoApproveTable) -> AutoApproval:
    return AutoApproval(
        table.name,
        tuple(table.members or ()),
        table.on_call or "",
        table.max_duration,
        table.hours,
        table.quota,
        bool(table.ticket),
    )


def _actions(table: RoleTable, by_system: Mapping[str, list[str]] | None) -> dict[str, Any]:
    """The actions of a role, by the name of their field in `Role`."""
    if by_system is None:
        return {"actions": tuple(table.actions)}
    every = dict.fromkeys(action for actions in by_system.values() for action in actions)
    each = {system: tuple(actions) for system, actions in by_system.items()}
    return {"actions": tuple(every), "system_actions": MappingProxyType(each)}


def _tickets(table: TicketsTable) -> Tickets:
    return Tickets(
        table.kind, table.url, table.token or "", table.open, table.assignee, table.ends_access
    )


def _stream(table: StreamTable) -> Stream:
    if isinstance(table, WebhookStreamTable):
        return WebhookStream(table.name, table.url, table.secret)
    if isinstance(table, FileStreamTable):
        return FileStream(table.name, table.path, table.max_mb * MIB, table.keep)
    host, port = table.address
    return SyslogStream(table.name, host, port, table.tls, table.ca or "", table.close_notify)


def _bundle(name: str, table: BundleTable) -> Bundle:
    stages = tuple(
        Stage(
            stage.after,
            stage.needs == "mentor",
            tuple(stage.roles or ()),
            stage.duration or 0,
            tuple(stage.may_ask or ()),
        )
        for stage in table.stages
    )
    return Bundle(name, table.title, stages, tuple(table.suggest_for or ()), table.max)
