"""Compares two versions of roles.toml and lists the differences that matter, those that loosen it
first."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.core.durations import format_duration
from bot.core.parameters import described
from bot.core.plurals import counted
from bot.core.retention import Retention
from bot.core.roles import Policy, Role
from bot.core.rules import Tickets
from bot.core.streams import shown_address

Summary = Mapping[str, Any]
"""JSON of the parts of a roles.toml that decide on access, with only a digest of systems'
settings."""


WEAKENING = ("approvals", "auto_approve", "max_duration", "max_total", "requesters")
"""The keys of a role whose loosening is flagged."""

_FIRST = (*WEAKENING, "risk")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `where` is the key in roles.toml, `text` has the old and the new value."""

    loosens: bool
    where: str
    text: str

    @property
    def is_flagged(self) -> bool:
        """Whether a flag needs it, if it loosens."""
        return self.where.startswith("roles.") and self.where.rpartition(".")[2] in _FIRST

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def summary(policy: Policy) -> Summary:
    """The policy in the form that `changes` compares. It is stored, so that an edit during a
    downtime is found at the next start."""
    workspace = policy.workspace
    return {
        "workspace": {
            "leads": list(workspace.leads),
            "security_channel": workspace.security_channel,
            "approvals_channel": workspace.approvals_channel,
            "timezone": workspace.timezone,
            "has_hours": any(map(_has_hours, policy.roles.values())),
        },
        "systems": {
            name: {"connector": system.connector, "settings": system.reach}
            for name, system in policy.systems.items()
        },
        "people": {name: dict(names) for name, names in policy.people.items()},
        "roles": {
            name: {key: _plain(getattr(role, key)) for key in _ROLE} | _rules(role)
            for name, role in policy.roles.items()
        },
        "other": {
            "oncall": [
                f"{name}: {duty.group or _digest(duty.ical)}"
                for name, duty in policy.on_call.items()
            ],
            "tickets": _looked_up(policy.tickets),
            "bundles": [str(bundle) for bundle in policy.bundles.values()],
            "retention": _retained(policy.retention),
            "stream": [f"{each.name} ({each.kind} to {each.place})" for each in policy.streams],
            "workspace.anchor_file": workspace.anchor_file or None,
            "workspace.tsa_url": shown_address(workspace.tsa_url) if workspace.tsa_url else None,
            "workspace.tsa_ca": workspace.tsa_ca or None,
            "workspace.digest": workspace.digest.text if workspace.digest else None,
            "workspace.quiet_hours": workspace.quiet_hours.text if workspace.quiet_hours else None,
            "workspace.ticket_url": workspace.ticket_url or None,
            "flags.off": list(policy.flags.off),
            "flags.trusted_networks": list(policy.flags.trusted_networks),
        },
    }


def _has_hours(role: Role) -> bool:
    hours = [rule.hours for rule in role.auto_approve] + [rule.hours for rule in role.deny]
    return any(each is not None for each in hours)


def _rules(role: Role) -> dict[str, Any]:
    return {
        "auto_approve": [str(rule) for rule in role.auto_approve],
        "deny": [str(rule) for rule in role.deny],
        "tiers": [str(tier) for tier in role.tiers],
        "escalation": str(role.escalation) if role.escalation else None,
        "emergency": str(role.emergency) if role.emergency else None,
        "renewal_quota": str(role.renewal_quota) if role.renewal_quota else None,
        "parameters": described(role.parameters) or None,
        "system_actions": [
            f"{system}: {action}"
            for system, actions in role.system_actions.items()
            for action in actions
        ],
    }


def _looked_up(tickets: Tickets | None) -> str | None:
    if tickets is None:
        return None
    asked = {
        "open": tickets.must_be_open,
        "assigned": tickets.must_be_assigned,
        "ends access": tickets.ends_access,
    }
    wanted = ", ".join(name for name, so in asked.items() if so) or "found"
    return f"{tickets.kind} {tickets.url}: {wanted}"


def _retained(retention: Retention) -> str | None:
    """None keeps everything."""
    spans = {"log": retention.log, "usage": retention.usage}
    return ", ".join(f"{name} {format_duration(s)}" for name, s in spans.items() if s) or None


def _digest(secret: str) -> str:
    return "calendar " + hashlib.sha256(secret.encode()).hexdigest()[:12]


def changes(old: Summary, new: Summary) -> list[Change]:
    """Every difference between the two, those that loosen first, and of these the ones that are
    flagged, each part in the order of the file: a long list is cut off.

    Values that can't be compared, such as two ticket patterns, count as looser. A key that `old`
    does not have was unknown to the version of the bot that wrote it, and is not a change.
    """
    found = [
        *_keys("workspace", old["workspace"], new["workspace"], _WORKSPACE),
        *_timezone(old["workspace"], new["workspace"]),
        *_systems(old["systems"], new["systems"]),
        *_people(old["people"], new["people"]),
        *_roles(old["roles"], new["roles"]),
        *_keys("", old.get("other", {}), new["other"], _OTHER),
    ]
    return sorted(found, key=lambda change: (not change.loosens, not change.is_flagged))


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


Judge = Callable[[Any, Any], bool]
Show = Callable[[Any], str]


def _more(old: Any, new: Any) -> bool:
    return bool(new > old)


def _fewer(old: Any, new: Any) -> bool:
    return bool(new < old)


def _added(old: list[str], new: list[str]) -> bool:
    return not set(new) <= set(old)


def _more_people(old: list[str], new: list[str]) -> bool:
    """Nobody is more than everyone."""
    return "everyone" not in old and _added(old, new)


def _removed(old: list[str], new: list[str]) -> bool:
    return not set(old) <= set(new)


def _given(_old: Any, new: Any) -> bool:
    """Looser unless it was removed."""
    return new is not None


def _taken(old: Any, _new: Any) -> bool:
    """Looser unless it is the first one."""
    return old is not None


def _always(_old: Any, _new: Any) -> bool:
    return True


def _never(_old: Any, _new: Any) -> bool:
    return False


def _switched_off(old: bool, new: bool) -> bool:
    return old and not new


def _safer_before(old: str, new: str) -> bool:
    return _RISKS.index(new) < _RISKS.index(old)


def _kept(_old: str, new: str) -> bool:
    return new == "keep"


def _pattern(old: str | None, _new: str | None) -> bool:
    """Looser if no ticket is required any longer, or a different one, which may be weaker."""
    return old is not None


def _as_text(value: Any) -> str:
    return {None: "none", True: "true", False: "false"}.get(value) or str(value)


def _number(value: int) -> str:
    return str(value)


_RISKS = ("low", "medium", "high")
_WORKSPACE: Mapping[str, tuple[Judge, Show]] = {
    "leads": (_added, _as_text),
    "security_channel": (_always, _as_text),
    "approvals_channel": (_never, _as_text),
}
_ROLE: Mapping[str, tuple[Judge, Show]] = {
    "approvers": (_added, _as_text),
    "approvals": (_fewer, _number),
    "requesters": (_more_people, _as_text),
    "actions": (_added, _as_text),
    "systems": (_added, _as_text),
    "max_duration": (_more, format_duration),
    "max_total": (_more, format_duration),
    "max_renewals": (_more, _number),
    "renewal_approval": (_switched_off, _as_text),
    "ticket": (_pattern, _as_text),
    "risk": (_safer_before, _as_text),
    "review_default": (_kept, _as_text),
    "pending_timeout": (_more, format_duration),
    "default_duration": (_never, format_duration),
    "channel": (_never, _as_text),
}
_RULES: Mapping[str, tuple[Judge, Show]] = {
    "auto_approve": (_added, _as_text),
    "deny": (_removed, _as_text),
    "tiers": (_always, _as_text),
    "escalation": (_given, _as_text),
    "emergency": (_given, _as_text),
    "renewal_quota": (_taken, _as_text),
    "parameters": (_taken, _as_text),
    "system_actions": (_added, _as_text),
}
_OTHER: Mapping[str, tuple[Judge, Show]] = {
    "oncall": (_added, _as_text),
    "tickets": (_taken, _as_text),
    "bundles": (_added, _as_text),
    "retention": (_given, _as_text),
    "stream": (_removed, _as_text),
    "workspace.anchor_file": (_taken, _as_text),
    "workspace.tsa_url": (_taken, _as_text),
    "workspace.tsa_ca": (_taken, _as_text),
    "workspace.digest": (_never, _as_text),
    "workspace.quiet_hours": (_never, _as_text),
    "workspace.ticket_url": (_never, _as_text),
    "flags.off": (_added, _as_text),
    "flags.trusted_networks": (_added, _as_text),
}
"""For each key: whether a new value loosens a role, and the text of a value. Other keys, such as a
title, don't matter."""


def _keys(
    table: str, old: Summary, new: Summary, known: Mapping[str, tuple[Judge, Show]]
) -> Iterator[Change]:
    for key, (loosens, show) in known.items():
        if key not in old or _same(key, old[key], new[key]):
            continue
        was, now = old[key], new[key]
        text = _entries(was, now) if isinstance(was, list) else f"was {show(was)}, is {show(now)}"
        yield Change(loosens(was, now), f"{table}.{key}".removeprefix("."), text)


def _timezone(old: Summary, new: Summary) -> Iterator[Change]:
    """Looser where rules have hours, because they may hold at more times now, or deny at fewer."""
    was, now = old.get("timezone"), new["timezone"]
    if was is None or was == now:
        return
    text = f"was {was}, is {now}"
    moves = bool(old.get("has_hours") or new["has_hours"])
    if moves:
        text += ", which moves the hours of rules"
    yield Change(moves, "workspace.timezone", text)


def _same(key: str, old: object, new: object) -> bool:
    """The order of a list does not matter, except that of tiers, which are asked in it."""
    if key != "tiers" and isinstance(old, list) and isinstance(new, list):
        return set(old) == set(new)
    return old == new


def _entries(old: list[str], new: list[str]) -> str:
    added = [each for each in new if each not in old]
    removed = [each for each in old if each not in new]
    if not added and not removed:
        return f"the order is {', '.join(new)} now"
    return "; ".join(
        [
            *(["added " + ", ".join(added)] if added else []),
            *(["removed " + ", ".join(removed)] if removed else []),
        ]
    )


def _systems(old: Summary, new: Summary) -> Iterator[Change]:
    for name in _both(old, new):
        where = f"systems.{name}"
        if name not in old:
            yield Change(False, where, "is new")
        elif name not in new:
            yield Change(False, where, "was removed")
        elif old[name]["connector"] != new[name]["connector"]:
            yield Change(
                True, where, f"connector was {old[name]['connector']}, is {new[name]['connector']}"
            )
        elif old[name]["settings"] != new[name]["settings"]:
            yield Change(
                True, where, "has other settings: access may be on another system, or wider there"
            )


def _people(old: Summary, new: Summary) -> Iterator[Change]:
    for name in _both(old, new):
        if (was := old.get(name, {})) != (now := new.get(name, {})):
            yield Change(True, f'people."{name}"', f"was {_accounts(was)}, is {_accounts(now)}")


def _accounts(names: Mapping[str, str]) -> str:
    return ", ".join(f"{connector} {account}" for connector, account in names.items()) or "nobody"


def _roles(old: Summary, new: Summary) -> Iterator[Change]:
    for name in _both(old, new):
        where = f"roles.{name}"
        if name not in old:
            yield Change(True, where, f"is new, {_outline(new[name])}")
        elif name not in new:
            yield Change(False, where, "was removed")
        else:
            yield from _keys(where, old[name], new[name], {**_ROLE, **_RULES})


def _outline(role: Summary) -> str:
    return (
        f"for {', '.join(role['requesters'])}; {counted(role['approvals'], 'approval')} from"
        f" {', '.join(role['approvers'])}, at most {format_duration(role['max_duration'])}"
    )


def _both(old: Summary, new: Summary) -> list[str]:
    return list(dict.fromkeys([*new, *old]))
