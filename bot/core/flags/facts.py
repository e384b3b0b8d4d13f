"""The facts that flag rules look at, each from one record of the audit log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from bot.core.audit import Event


class What(StrEnum):
    REQUEST = "request"
    DENIED = "denied"
    CANCELLED = "cancelled"
    APPROVED = "approved"
    """One approver's vote; the fact is about the approver, `other` is the requester."""
    USED = "used"
    """The first use of a grant on a system, or use from another place."""
    CREDENTIALS = "credentials"
    ENDED = "ended"
    """An order to end a grant; the fact is about the person who gave it."""
    SUMMED = "summed"
    """The use of a grant was summed up after its end."""
    EMERGENCY = "emergency"
    STILL_OPEN = "still open"
    """The review of an emergency was not signed in time. No record says so."""
    REVIEWED = "reviewed"
    EXCESS = "excess"
    USED_AFTER_END = "used after end"
    LOADED = "loaded"
    ONBOARDING = "onboarding"
    ONBOARDED = "onboarded"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A place and time at which a person was seen: a network, the name that their program gives
    itself, UTC seconds."""

    network: str
    agent: str
    at: int


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact about one person, "" if it is about nobody. `seq` is the number of its record."""

    seq: int
    at: int
    what: What
    person: str = ""
    other: str = ""
    role: str = ""
    system: str = ""
    request: str = ""
    grant: str = ""
    risk: str = ""
    systems: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    on_call: bool = False
    renews: bool = False
    waited: int | None = None
    """Seconds from the request to the vote."""
    place: Sighting | None = None
    elsewhere: tuple[Sighting, ...] = ()
    """Other places where this person was seen shortly before."""
    texts: tuple[str, ...] = ()
    """The access that drift found, or the rules that a new roles.toml loosens."""
    risky: tuple[str, ...] = ()
    """The roles of high risk in that roles.toml."""
    is_known: bool = True
    """Whether every use on the system is reported."""
    is_drill: bool = False

    @property
    def people(self) -> tuple[str, ...]:
        """The people under whom the index keeps it."""
        return tuple(dict.fromkeys(filter(None, (self.person, self.other))))

    @property
    def key(self) -> str:
        """Identifies the fact; equal in every reading of the log."""
        return self.request if self.what is What.STILL_OPEN else str(self.seq)


def network_of(address: str) -> str:
    """The /24 or /48 of an address, "" for a text that is not an address. An IPv4 address may come
    in IPv6 notation (`::ffff:203.0.113.9`)."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    found = getattr(found, "ipv4_mapped", None) or found
    size = 24 if isinstance(found, IPv4Address) else 48
    return str(ip_network(f"{found}/{size}", strict=False))


@dataclass(frozen=True, slots=True)
class LogRow:
    """The columns of a record that facts are made of; `detail` is parsed."""

    seq: int
    at: int
    event: str
    actor: str
    subject: str
    role: str
    system: str
    request: str
    grant: str
    detail: Mapping[str, Any]


def fact_of(row: LogRow) -> Fact | None:
    """The fact in a record; None for a record that no rule looks at."""
    read = _READ.get(row.event)
    return read(row) if read else None


def _about(row: LogRow, what: What, person: str, **more: Any) -> Fact:
    about = (row.role, row.system, row.request, row.grant)
    return Fact(row.seq, row.at, what, person, more.pop("other", ""), *about, **more)


def _asked(row: LogRow) -> Fact | None:
    """A stage of an onboarding asks for nobody."""
    detail = row.detail
    if "ramp" in detail:
        return None
    duties = _table(_table(detail.get("facts")).get("on_call"))
    return _about(
        row,
        What.REQUEST,
        row.subject,
        risk=str(detail.get("risk", "")),
        systems=_texts(detail.get("systems")) or tuple(filter(None, (row.system,))),
        actions=_texts(detail.get("actions")),
        on_call=any(duties.values()),
        renews=bool(detail.get("renews")),
    )


def _denied(row: LogRow) -> Fact:
    return _about(row, What.DENIED, row.subject)


def _denied_by_rule(row: LogRow) -> Fact | None:
    is_request = row.detail.get("action") == "request"
    return _about(row, What.DENIED, row.actor) if is_request else None


def _withdrawn(row: LogRow) -> Fact | None:
    own = row.actor == row.subject
    return _about(row, What.CANCELLED, row.subject) if own else None


def _voted(row: LogRow) -> Fact:
    waited = row.detail.get("waited")
    return _about(
        row,
        What.APPROVED,
        row.actor,
        other=row.subject,
        risk=str(row.detail.get("risk", "")),
        waited=waited if isinstance(waited, int) else None,
    )


def _used(row: LogRow) -> Fact:
    detail = row.detail
    network = network_of(str(detail.get("source_address", "")))
    agent = str(detail.get("agent", ""))
    return _about(
        row,
        What.USED,
        row.subject,
        on_call=bool(detail.get("on_call")),
        place=Sighting(network, agent, row.at) if network else None,
        elsewhere=tuple(
            Sighting(str(each.get("network", "")), str(each.get("agent", "")), int(each["at"]))
            for each in map(_table, _list(detail.get("elsewhere")))
            if isinstance(each.get("at"), int)
        ),
    )


def _issued(row: LogRow) -> Fact:
    return _about(row, What.CREDENTIALS, row.subject)


def _ended(row: LogRow) -> Fact | None:
    """An end that the bot ordered, also under the panic switch, has its reason in `because`."""
    if row.actor == "system" or row.actor.startswith("rule:") or "because" in row.detail:
        return None
    return _about(row, What.ENDED, row.actor)


def _summed(row: LogRow) -> Fact:
    is_known = row.detail.get("known") == "every use"
    return _about(row, What.SUMMED, row.subject, is_known=is_known)


def _emergency(row: LogRow) -> Fact:
    return _about(row, What.EMERGENCY, row.subject, is_drill=bool(row.detail.get("drill")))


def _reviewed(row: LogRow) -> Fact:
    return _about(row, What.REVIEWED, row.subject)


def _excess(row: LogRow) -> Fact:
    return _about(row, What.EXCESS, row.subject, texts=(str(row.detail.get("name", "")),))


def _after_end(row: LogRow) -> Fact:
    return _about(row, What.USED_AFTER_END, row.subject, is_drill=bool(row.detail.get("drill")))


def _loaded(row: LogRow) -> Fact | None:
    """The record lists the changes that loosen first, and has their number."""
    count = row.detail.get("loosening")
    looser = _texts(row.detail.get("changes"))[: count if isinstance(count, int) else 0]
    risky = _texts(row.detail.get("high_risk"))
    return _about(row, What.LOADED, "", texts=looser, risky=risky) if looser else None


def _ramp(what: What) -> Callable[[LogRow], Fact]:
    return lambda row: _about(row, what, row.subject)


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, _list(value)))


_READ: Mapping[str, Callable[[LogRow], Fact | None]] = {
    Event.REQUEST_ASKED: _asked,
    Event.DENIAL_GIVEN: _denied,
    Event.RULE_DENIED: _denied_by_rule,
    Event.REQUEST_WITHDRAWN: _withdrawn,
    Event.VOTE_GIVEN: _voted,
    Event.USE_FIRST: _used,
    Event.USE_MOVED: _used,
    Event.CREDENTIALS_SHOWN: _issued,
    Event.CERTIFICATE_ISSUED: _issued,
    Event.END_ASKED: _ended,
    Event.USE_SUMMED: _summed,
    Event.EMERGENCY_STARTED: _emergency,
    Event.REVIEW_SIGNED: _reviewed,
    Event.EXCESS_FOUND: _excess,
    Event.USE_AFTER_END: _after_end,
    Event.POLICY_LOADED: _loaded,
    Event.RAMP_STARTED: _ramp(What.ONBOARDING),
    Event.RAMP_ENDED: _ramp(What.ONBOARDED),
    Event.RAMP_FINISHED: _ramp(What.ONBOARDED),
}

EVENTS = tuple(map(str, _READ))
"""The events that rules look at."""
