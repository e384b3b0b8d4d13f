"""The tables and keys that roles.toml may have, but for the settings of systems: each connector
brings its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError
from pydantic_core import ErrorDetails

from bot.config.roles.values import (
    Action,
    Address,
    Calendar,
    Channel,
    DailyHours,
    Decider,
    Deciders,
    Description,
    Explanation,
    FilePath,
    HostAndPort,
    Hours,
    KeptForDays,
    KeptForYears,
    Line,
    Meant,
    Name,
    Network,
    Offset,
    Parameter,
    Person,
    Quota,
    Secret,
    Span,
    StreamSecret,
    Ticket,
    TicketUrl,
    Weekly,
    Zone,
)
from bot.core.durations import UNITS
from bot.core.roles import Key
from bot.core.values import did_you_mean

KeyProblem = tuple[Key, str]
"""A key and its problem."""

Model = TypeVar("Model", bound=BaseModel)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class WorkspaceTable(_Table):
    approvals_channel: Channel
    security_channel: Channel
    leads: Deciders
    timezone: Zone = "UTC"
    quiet_hours: DailyHours | None = None
    ticket_url: TicketUrl | None = None
    anchor_file: FilePath | None = None
    tsa_url: Address | None = None
    tsa_ca: FilePath | None = None
    digest: Weekly | None = None
    meant: Meant = {}


class AutoApproveTable(_Table):
    name: Line
    members: Deciders | None = None
    on_call: Name | None = None
    max_duration: Span | None = None
    hours: Hours | None = None
    quota: Quota | None = None
    ticket: Literal[True] | None = None


class DenyTable(_Table):
    name: Line
    members: Annotated[list[Person], Field(min_length=1)] | None = None
    hours: Hours | None = None
    reason: Explanation


CONDITIONS: Mapping[str, frozenset[str]] = {
    "auto_approve": frozenset(AutoApproveTable.model_fields) - {"name"},
    "deny": frozenset(DenyTable.model_fields) - {"name", "reason"},
}
"""The keys of which a rule needs at least one, by the kind of rule."""

Approvals = Annotated[int, Field(ge=1, le=10)]


class TierTable(_Table):
    name: Line
    approvers: Deciders
    approvals: Approvals = 1


class EscalationTable(_Table):
    after: Span
    approvers: Deciders


class EmergencyTable(_Table):
    members: Annotated[list[Person], Field(min_length=1)]
    max_duration: Span


Actions = Annotated[list[Action], Field(max_length=50)]


class RoleTable(_Table):
    title: Line | None = None
    description: Description = ""
    system: Name | None = None
    systems: Annotated[list[Name], Field(min_length=1, max_length=20)] | None = None
    actions: Actions = []
    requesters: Annotated[list[Person], Field(min_length=1)]
    approvers: Deciders | None = None
    notify: list[Decider] | None = None
    approvals: Approvals | None = None
    channel: Channel | None = None
    max_duration: Span = UNITS["h"]
    default_duration: Span | None = None
    duration_reason: Explanation | None = None
    reminders: Annotated[list[Span], Field(max_length=10)] | None = None
    pending_timeout: Span = 8 * UNITS["h"]
    max_renewals: Annotated[int, Field(ge=0, le=100)] = 2
    renewal_approval: bool | None = None
    max_total: Span | None = None
    ticket: Ticket | None = None
    risk: Literal["low", "medium", "high"] = "low"
    risk_reason: Explanation | None = None
    review_default: Literal["keep", "end"] = "keep"
    renewal_quota: Quota | None = None
    auto_approve: Annotated[list[AutoApproveTable], Field(max_length=50)] = []
    deny: Annotated[list[DenyTable], Field(max_length=50)] = []
    tiers: Annotated[list[TierTable], Field(max_length=10)] = []
    escalation: EscalationTable | None = None
    emergency: EmergencyTable | None = None
    parameters: Annotated[dict[str, Parameter], Field(max_length=5)] = {}
    meant: Meant = {}


class SystemActions(RootModel[dict[Name, Actions]]):
    """`[roles.NAME.actions]`: the actions for each system of the role."""


class MeantTable(_Table):
    """The part of a system's table about warnings, beside the settings of its connector."""

    meant: Meant = {}


class OnCallTable(_Table):
    group: Decider | None = None
    ical: Calendar | None = None


class TicketsTable(_Table):
    kind: Literal["jira", "github", "webhook"]
    url: Address
    token: Secret | None = None
    open: bool = True
    assignee: bool = False
    ends_access: bool = False


class RetentionTable(_Table):
    log: KeptForYears | None = None
    usage: KeptForDays | None = None


class WebhookStreamTable(_Table):
    name: Name = "webhook"
    url: Address
    secret: StreamSecret


class FileStreamTable(_Table):
    name: Name = "file"
    path: FilePath
    max_mb: Annotated[int, Field(ge=1, le=10_000)] = 100
    keep: Annotated[int, Field(ge=1, le=1000)] = 10


class SyslogStreamTable(_Table):
    name: Name = "syslog"
    address: HostAndPort
    tls: bool = True
    ca: FilePath | None = None
    close_notify: bool = True


StreamTable = WebhookStreamTable | FileStreamTable | SyslogStreamTable
STREAM_TABLES: Mapping[str, type[StreamTable]] = {
    "webhook": WebhookStreamTable,
    "file": FileStreamTable,
    "syslog": SyslogStreamTable,
}


class FlagsTable(_Table):
    trusted_networks: Annotated[list[Network], Field(max_length=200)] = []
    off: dict[str, Explanation] = {}


class StageTable(_Table):
    after: Offset
    needs: Literal["date", "mentor"] = "date"
    roles: Annotated[list[Name], Field(min_length=1, max_length=50)] | None = None
    duration: Span | None = None
    may_ask: Annotated[list[Name], Field(min_length=1, max_length=50)] | None = None


class BundleTable(_Table):
    title: Line
    suggest_for: Deciders | None = None
    max: Span = 90 * UNITS["d"]
    stages: Annotated[list[StageTable], Field(min_length=1, max_length=50)]


class PeopleTable(BaseModel):
    """Names of one person elsewhere, by connector: `github = "ana-dev"`."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)
    __pydantic_extra__: dict[str, Line]


_NESTED: Mapping[object, type[_Table]] = {
    "auto_approve": AutoApproveTable,
    "deny": DenyTable,
    "tiers": TierTable,
    "escalation": EscalationTable,
    "emergency": EmergencyTable,
    "stages": StageTable,
}

# pydantic's error types in our words; other types keep pydantic's own sentence, which shows
# no value.
_WORDS: Mapping[str, str] = {
    "missing": "is required",
    "int_type": "must be a whole number without quotes",
    "bool_type": "must be true or false, without quotes",
    "list_type": "must be a list: [ … ]",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "too_short": "must not be empty",
    "too_long": "has too many entries: at most {max_length}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}


def validate(
    model: type[Model], value: object, path: Key, warnings: Callable[[], Iterable[str]] = tuple
) -> tuple[Model | None, list[KeyProblem]]:
    """The table at `path` as a checked model, or None and everything that is wrong with it.
    `warnings` gives the names that `meant` may have beside those of any roles.toml."""
    try:
        return model.model_validate(value, context=warnings), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        return None, [((*path, *each["loc"]), _words(each, model)) for each in found]


def _words(error: ErrorDetails, model: type[BaseModel]) -> str:
    context = error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        *around, key = error["loc"]
        table = next((_NESTED[part] for part in reversed(around) if part in _NESTED), model)
        return "unknown key" + did_you_mean(str(key), list(table.model_fields))
    if error["type"] == "value_error":
        return str(context["error"])
    return _WORDS.get(error["type"], error["msg"]).format(**context)
