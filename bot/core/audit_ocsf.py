"""Formats audit records as events of OCSF 1.7 (https://schema.ocsf.io): Entity Management for
requests and everything else, User Access Management for grants and ends, API Activity for use.

`raw_data` has the exact record as a JSON line, so that the chain can be verified from it.
"""

import ipaddress
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bot.core.audit import Event, Record, parsed_detail
from bot.core.audit_export import json_lines

VERSION = "1.7.0"

ENTITY_MANAGEMENT, USER_ACCESS, API_ACTIVITY = 3004, 3005, 6003
_CATEGORY = {
    ENTITY_MANAGEMENT: (3, "Identity & Access Management", "Entity Management"),
    USER_ACCESS: (3, "Identity & Access Management", "User Access Management"),
    API_ACTIVITY: (6, "Application Activity", "API Activity"),
}
_CREATE, _READ, _UPDATE, _DELETE, _OTHER = 1, 2, 3, 4, 99
_ASSIGN, _REVOKE = 1, 2
_NAMES = {_CREATE: "Create", _READ: "Read", _UPDATE: "Update", _DELETE: "Delete"}

_ACCESS: Mapping[str, int] = {
    Event.GRANT_STARTED: _ASSIGN,
    Event.GRANT_RENEWED: _ASSIGN,
    Event.RENEWAL_CONFIRMED: _ASSIGN,
    Event.GRANT_ENDED: _REVOKE,
    Event.START_UNDONE: _REVOKE,
    Event.ACCESS_REMOVED: _REVOKE,
}
_ENTITY: Mapping[str, int] = {
    Event.REQUEST_ASKED: _CREATE,
    Event.VOTE_GIVEN: _UPDATE,
    Event.APPROVAL_GIVEN: _UPDATE,
    Event.DENIAL_GIVEN: _UPDATE,
    Event.RULE_APPLIED: _UPDATE,
    Event.REQUEST_WITHDRAWN: _DELETE,
    Event.REQUEST_LAPSED: _DELETE,
    Event.POLICY_LOADED: _UPDATE,
    Event.AUDIT_READ: _READ,
    Event.AUDIT_EXPORTED: _READ,
}
_FAILED = frozenset(
    {
        *(Event.ACTION_REFUSED, Event.RULE_DENIED, Event.GRANT_FAILED, Event.RENEWAL_FAILED),
        *(Event.END_FAILED, Event.MESSAGE_UNDELIVERED, Event.POLICY_REJECTED),
    }
)
_HIGH = frozenset(
    {
        *(Event.HEAD_BROKEN, Event.PANIC_ON, Event.EMERGENCY_STARTED, Event.USE_AFTER_END),
        *(Event.EXCESS_FOUND, Event.END_FAILED, Event.FLAG_RAISED),
    }
)
_INFORMATIONAL, _HIGH_SEVERITY = (1, "Informational"), (4, "High")


def ocsf_lines(rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """One event as a line of JSON for each row, in the order of COLUMNS."""
    encode = json.JSONEncoder(ensure_ascii=False).encode
    for row in rows:
        (raw,) = json_lines([row])
        yield encode(event_of(Record(*row), raw.rstrip("\n"))) + "\n"


def event_of(record: Record, raw: str) -> dict[str, Any]:
    """The event of a record; `raw` is its JSON line."""
    kind, activity, name, own = _classified(record)
    category, category_name, class_name = _CATEGORY[kind]
    severity, severity_name = _HIGH_SEVERITY if record.event in _HIGH else _INFORMATIONAL
    failed = record.event in _FAILED
    return {
        "class_uid": kind,
        "class_name": class_name,
        "category_uid": category,
        "category_name": category_name,
        "activity_id": activity,
        "activity_name": name,
        "type_uid": kind * 100 + activity,
        "time": record.at * 1000,
        "severity_id": severity,
        "severity": severity_name,
        "status_id": 2 if failed else 1,
        "status": "Failure" if failed else "Success",
        "message": record.event,
        "metadata": _metadata(record),
        "actor": _actor(record.actor),
        **own,
        "raw_data": raw,
    }


def _metadata(record: Record) -> dict[str, Any]:
    correlation = record.request or record.grant
    return {
        "version": VERSION,
        "product": {"name": "Access Bot", "vendor_name": "Access Bot"},
        "log_name": "audit",
        "event_code": record.event,
        "sequence": record.seq,
        "uid": record.hash,
        **({"correlation_uid": correlation} if correlation else {}),
    }


def _classified(record: Record) -> tuple[int, int, str, dict[str, Any]]:
    """Class, activity and its name, and the attributes of that class."""
    if (activity := _ACCESS.get(record.event)) is not None:
        name = "Assign Privileges" if activity == _ASSIGN else "Revoke Privileges"
        return USER_ACCESS, activity, name, _access(record)
    if record.event.startswith("grant:use:"):
        return API_ACTIVITY, _OTHER, record.event, _use(record)
    activity = _ENTITY.get(record.event, _OTHER)
    return ENTITY_MANAGEMENT, activity, _NAMES.get(activity, record.event), _entity(record)


def _access(record: Record) -> dict[str, Any]:
    resources = [{"name": system, "type": "system"} for system in _systems(record)]
    return {
        "user": _user(record.subject or record.actor),
        "privileges": [record.role] if record.role else [],
        **({"resources": resources} if resources else {}),
    }


def _entity(record: Record) -> dict[str, Any]:
    about = record.event.partition(":")[0]
    uid = record.grant or record.request or record.role or record.system
    named = {"uid": uid} if uid else {"name": about}
    person = {"user": _user(record.subject)} if record.subject else {}
    return {
        "entity": {**named, "type": about, **person},
        **({"comment": record.reason} if record.reason else {}),
    }


def _use(record: Record) -> dict[str, Any]:
    source = str(parsed_detail(record.detail).get("source_address") or "")
    return {
        "api": {"operation": record.event, "service": {"name": record.system or "unknown"}},
        "src_endpoint": {"ip": source} if _is_address(source) else {"name": source or "unknown"},
        "resources": [{"name": record.system or "unknown", "type": "system"}],
    }


def _systems(record: Record) -> list[str]:
    found = parsed_detail(record.detail).get("systems")
    several = [str(each) for each in found] if isinstance(found, list) else []
    return [record.system] if record.system else several


def _actor(actor: str) -> dict[str, Any]:
    if actor == "system" or actor.startswith("rule:"):
        return {"app_name": "Access Bot", "app_uid": actor}
    return {"user": _user(actor)}


def _user(person: str) -> dict[str, Any]:
    """A Slack id, or the name of an operator's account."""
    return {"name": person} if person.startswith("os:") else {"uid": person or "unknown"}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
