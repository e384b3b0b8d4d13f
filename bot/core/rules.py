"""The rules that roles.toml may give a role or a team, as values: auto-approval, denial, tiers,
escalation, emergencies, on-call duty, tickets and onboarding. All durations are seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.core.durations import format_duration
from bot.core.working_hours import Hours


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `times` in each day, week (from Monday) or month of the workspace's calendar."""

    times: int
    per: str

    def since(self, now: int, zone: ZoneInfo) -> int:
        """The beginning of the period that holds `now`: midnight in `zone`, as UTC seconds."""
        day = datetime.fromtimestamp(now, zone).date()
        if self.per == "week":
            day -= timedelta(days=day.weekday())
        elif self.per == "month":
            day = day.replace(day=1)
        return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())

    def __str__(self) -> str:
        return f"{self.times}/{self.per}"


def parse_quota(text: str) -> Quota:
    """The quota of `3/week`, which must have been checked before."""
    times, _, per = text.partition("/")
    return Quota(int(times), per)


def _people(refs: tuple[str, ...]) -> str:
    return ", ".join(refs)


def _listed(name: str, *conditions: str) -> str:
    return f"{name}: {'; '.join(each for each in conditions if each)}"


def _no_value(_value: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that a request for the role has to give: one of `choices`, or one that `pattern`
    matches as a whole, which `is_match` says."""

    name: str
    pattern: str = ""
    choices: tuple[str, ...] = ()
    is_match: Callable[[str], bool] = field(default=_no_value, repr=False, compare=False)

    def takes(self, value: str) -> bool:
        """Whether this is one of the values."""
        return value in self.choices if self.choices else self.is_match(value)

    def __str__(self) -> str:
        return f"one of {', '.join(self.choices)}" if self.choices else f"like {self.pattern}"


@dataclass(frozen=True, slots=True)
class AutoApproval:
    """Approves a request when all its conditions hold. Absent conditions are "", (), None or
    False."""

    name: str
    members: tuple[str, ...] = ()
    on_call: str = ""
    """The `[oncall.NAME]` whose people are on call now."""
    max_duration: int | None = None
    hours: Hours | None = None
    quota: Quota | None = None
    """Requests of one person that this rule approves."""
    ticket: bool = False
    """The ticket was looked up, and it is open."""

    def __str__(self) -> str:
        return _listed(
            self.name,
            _people(self.members),
            f"on call for {self.on_call}" if self.on_call else "",
            f"at most {format_duration(self.max_duration)}" if self.max_duration else "",
            self.hours.text if self.hours else "",
            str(self.quota or ""),
            "an open ticket" if self.ticket else "",
        )


@dataclass(frozen=True, slots=True)
class DenyRule:
    """Refuses a request when all its conditions hold, even if everything else allows it."""

    name: str
    members: tuple[str, ...] = ()
    hours: Hours | None = None
    reason: str = ""

    def __str__(self) -> str:
        return _listed(self.name, _people(self.members), self.hours.text if self.hours else "")


@dataclass(frozen=True, slots=True)
class Tier:
    """One of several groups that must approve in order."""

    name: str
    approvers: tuple[str, ...]
    approvals: int

    def __str__(self) -> str:
        return f"{self.name}: {self.approvals} of {_people(self.approvers)}"


@dataclass(frozen=True, slots=True)
class Escalation:
    """The people who are asked, and may decide, when a request was unanswered for `after`."""

    after: int
    approvers: tuple[str, ...]

    def __str__(self) -> str:
        return f"{_people(self.approvers)} after {format_duration(self.after)}"


@dataclass(frozen=True, slots=True)
class Emergency:
    """The people who may take the role at once, to be reviewed afterwards, and the longest
    duration."""

    members: tuple[str, ...]
    max_duration: int

    def __str__(self) -> str:
        return f"{_people(self.members)}, at most {format_duration(self.max_duration)}"


@dataclass(frozen=True, slots=True)
class OnCall:
    """The source of a duty: a group that the on-call tool keeps, or the people of the present
    events of a calendar. Exactly one of the two is set."""

    name: str
    group: str = ""
    ical: str = field(default="", repr=False)


def is_address(ical: str) -> bool:
    """Whether a calendar is at an address; otherwise it is a file."""
    return "://" in ical


@dataclass(frozen=True, slots=True)
class Tickets:
    """The ticket system, and the conditions for tickets."""

    kind: str
    url: str
    token: str = field(default="", repr=False)
    must_be_open: bool = True
    must_be_assigned: bool = False
    """To the requester."""
    ends_access: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """`after` counts from the start of the ramp. Each of `roles` is given for `duration`;
    `may_ask` are roles that the newcomer may request from then on."""

    after: int
    by_mentor: bool = False
    roles: tuple[str, ...] = ()
    duration: int = 0
    may_ask: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """The roles that a newcomer gets, stage by stage; the ramp ends after `longest`."""

    name: str
    title: str
    stages: tuple[Stage, ...]
    suggest_for: tuple[str, ...]
    longest: int

    def __str__(self) -> str:
        stages = ", ".join(map(_stage, self.stages))
        return f"{self.name}: {stages}; ends after {format_duration(self.longest)}"


def _stage(stage: Stage) -> str:
    given = f"{' and '.join(stage.roles)} for {format_duration(stage.duration)}"
    asks = f"may ask for {' and '.join(stage.may_ask)}"
    what = "; ".join([*([given] if stage.roles else []), *([asks] if stage.may_ask else [])])
    mentor = " with the mentor" if stage.by_mentor else ""
    return f"after {format_duration(stage.after)}{mentor} {what}"
