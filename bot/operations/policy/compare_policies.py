"""Compares two versions of roles.toml by the requests in the audit log. It changes and records
nothing."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bot.core.audit import Event, parsed_detail
from bot.core.authority import Authority
from bot.core.criteria import BUDGET, Renewals, Verdict
from bot.core.model import Person
from bot.core.policy_replay import Comparer, Comparison, Kind, PastRequest, Replay
from bot.core.roles import Policy
from bot.core.written_policy import Written, read_written
from bot.operations._unit_of_work import Context, reading
from storage import archives, audit, people

LONGEST_QUOTA = 32 * 86400
"""Seconds before the first request that is compared, from which quotas are counted."""

Row = tuple[int, str, str, str, str, str]
Watch = Callable[[Iterator[Row], int], Iterator[Row]]

_MARKS = {
    "renews": Kind.RENEWAL,
    "ramp": Kind.STAGE,
    "emergency": Kind.EMERGENCY,
    "drill": Kind.EMERGENCY,
}
"""The marks in the detail of each kind of request."""


def compare_policies(
    world: Context,
    old: Policy,
    new: Policy,
    since: int,
    watch: Watch = lambda rows, count: rows,
) -> Comparison:
    """Puts the requests since `since` (UTC seconds) to both. `watch` gets the rows of the log and
    the number of requests, and returns the rows. Raises StorageUnavailable."""
    with reading(world) as u:
        now = Authority(world.directory(however_old=True), u.now)
        comparer = Comparer(*(Replay(each, _written(each), now) for each in (old, new)))
        begin = since - LONGEST_QUOTA
        rows = audit.requests_and_policies(u.db, begin)
        log = _Log(lambda id: people.get(u.db, id))
        if (archived := archives.newest(u.db)) is not None:
            log.loaded(json.dumps(dict(archived.policy)))
        for row in watch(rows, audit.count_requests(u.db, begin)):
            if row[1] == Event.POLICY_LOADED:
                log.loaded(row[5])
                continue
            detail = parsed_detail(row[5])
            comparer.add(log.request(row, detail), counts=row[0] >= since)
    return comparer.found


def _written(policy: Policy) -> Written:
    """As the log would have it, so that the two can be compared."""
    return read_written(policy.redacted()[0]) or Written()


class _Log:
    """The facts about the requests while the log is read from the start."""

    def __init__(self, find: Callable[[str], Person | None]) -> None:
        self._find = find
        self._people: dict[str, Person] = {}
        self._text, self._then = "", None

    _then: Written | None

    def loaded(self, detail: str) -> None:
        """Takes the text of a roles.toml that came into force; a record without one says that the
        text stays."""
        text = parsed_detail(detail).get("text")
        if isinstance(text, str) and text != self._text:
            self._text, self._then = text, read_written(text)

    def request(self, row: Row, detail: Mapping[str, object]) -> PastRequest:
        at, _, subject, role, request, _ = row
        duration, ticket, start = map(detail.get, ("duration", "ticket", "start_at"))
        is_whole = isinstance(duration, int) and self._then is not None
        return PastRequest(
            request,
            at,
            self._person(subject),
            role,
            duration if isinstance(duration, int) else 0,
            ticket if isinstance(ticket, str) else "",
            _facts(detail) if is_whole else None,
            self._then,
            _looked_up(detail),
            start if isinstance(start, int) else None,
            next((kind for mark, kind in _MARKS.items() if mark in detail), Kind.ORDINARY),
            *_renewals(detail),
            str(detail.get("bundle", "")),
            _parameters(detail),
        )

    def _person(self, id: str) -> Person:
        """A full member, as everybody who made a request was then."""
        if id not in self._people:
            found = self._find(id)
            name, email = (found.name, found.email) if found else (id, "")
            self._people[id] = Person(id, name, email, "UTC", "", 0)
        return self._people[id]


def _parameters(detail: Mapping[str, object]) -> Mapping[str, str]:
    found = detail.get("parameters")
    return found if isinstance(found, dict) else {}


def _facts(detail: Mapping[str, object]) -> Mapping[str, Any] | None:
    """The recorded facts; None where they are missing, or not in the form that the bot writes."""
    facts = detail.get("facts")
    if not isinstance(facts, dict):
        return None
    lists = [facts.get("groups"), facts.get("unknown", [])]
    is_whole = all(
        isinstance(each, list) and all(isinstance(ref, str) for ref in each) for each in lists
    )
    return facts if is_whole and isinstance(facts.get("on_call", {}), dict) else None


def _renewals(detail: Mapping[str, object]) -> tuple[Renewals | None, str]:
    """The renewals before a renewal, and the period in which those of its person were counted."""
    found = {name: _numbers(detail, name) for name in BUDGET}
    of_grant, of_person = found["renewals"].get("renewals"), found["renewal_quota"].get("used", 0)
    if not isinstance(of_grant, int) or not isinstance(of_person, int):
        return None, ""
    return Renewals(of_grant, of_person), str(found["renewal_quota"].get("per", ""))


def _numbers(detail: Mapping[str, object], name: str) -> Mapping[str, object]:
    criteria = detail.get("criteria")
    for each in criteria if isinstance(criteria, list) else ():
        if isinstance(each, dict) and each.get("name") == name:
            numbers = each.get("numbers")
            return numbers if isinstance(numbers, dict) else {}
    return {}


def _looked_up(detail: Mapping[str, object]) -> tuple[bool, int] | None:
    criteria = detail.get("criteria")
    for each in criteria if isinstance(criteria, list) else ():
        if isinstance(each, dict) and each.get("name") == "ticket":
            numbers = each.get("numbers")
            checked_at = numbers.get("checked_at") if isinstance(numbers, dict) else None
            if isinstance(checked_at, int) and each.get("verdict") != Verdict.UNKNOWN:
                return each.get("verdict") == Verdict.MET, checked_at
    return None
