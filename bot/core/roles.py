"""The values that the core decides with: the workspace, its systems, its roles, and the abilities
of each kind of system."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from bot.core.flags.rule import NO_SETTINGS, FlagSettings
from bot.core.model import Person, actions_on, folded
from bot.core.retention import Retention
from bot.core.rules import (
    AutoApproval,
    Bundle,
    DenyRule,
    Emergency,
    Escalation,
    OnCall,
    Parameter,
    Quota,
    Tickets,
    Tier,
)
from bot.core.streams import Stream
from bot.core.weekly import WeeklyTime
from bot.core.working_hours import Hours

Fill = Callable[[str, Mapping[str, str]], str]
"""Writes the values of parameters into an action, quoted. Raises ValueError with the end of a
sentence for a value that can't stand there."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})

Key = tuple[str | int, ...]
"""The place of a key in a TOML file: `("systems", "shop", "argv", 0)`."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The workspace: its channels, leads and hours."""

    approvals_channel: str
    security_channel: str
    leads: tuple[str, ...]
    timezone: str
    quiet_hours: Hours | None = None
    """Nobody is pinged in them, except for high risk and emergencies."""
    ticket_url: str = ""
    """With `{ticket}` where the ticket stands."""
    anchor_file: str = ""
    """The path of the file to which heads of the audit log are appended."""
    tsa_url: str = ""
    """The time-stamp authority (RFC 3161) that stamps these heads."""
    tsa_ca: str = ""
    """The path of its certificates in PEM."""
    digest: WeeklyTime | None = None
    """The time of the weekly digest."""


@dataclass(frozen=True, slots=True)
class System:
    """A real system. `settings` are never shown, because they hold passwords. `secrets` are the
    environment variables that its table in roles.toml reads, by name."""

    name: str
    connector: str
    settings: Mapping[str, object] = field(repr=False)
    reach: str = ""
    """A digest of the settings that decide which access is there. A new password does not change
    it."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def secret(self) -> str | None:
        """The secret with which the system proves itself at our endpoints, else None."""
        secret = self.settings.get("secret")
        return secret if isinstance(secret, str) else None

    @property
    def browser_url(self) -> str:
        """The address of the system for browsers: scheme, host and port, without a slash at the
        end; "" if it takes no browsers."""
        url = self.settings.get("url") if self.settings.get("browser") is True else None
        return url.rstrip("/") if isinstance(url, str) else ""

    @property
    def records(self) -> str:
        """The details of use that are recorded beside its number, such as "paths"; "" for none."""
        return str(self.settings.get("record") or "")


def no_ticket(_ticket: str) -> bool:
    """Refuses every ticket."""
    return False


@dataclass(frozen=True, slots=True)
class Role:
    """One thing that people may ask for. All durations are seconds; reminders count back from the
    end."""

    name: str
    title: str
    description: str
    systems: tuple[str, ...]
    actions: tuple[str, ...]
    requesters: tuple[str, ...]
    approvers: tuple[str, ...]
    notify: tuple[str, ...]
    approvals: int
    channel: str
    max_duration: int
    default_duration: int
    reminders: tuple[int, ...]
    pending_timeout: int
    max_renewals: int
    renewal_approval: bool
    max_total: int
    ticket: str | None
    risk: str
    risk_reason: str = ""
    duration_reason: str = ""
    """The reason for a long maximum."""
    review_default: str = "keep"
    """The default decision of a review about items without an answer at the due date: `keep` or
    `end`."""
    reach: tuple[str, ...] = ()
    """`System.reach` of each of its systems."""
    auto_approve: tuple[AutoApproval, ...] = ()
    deny: tuple[DenyRule, ...] = ()
    tiers: tuple[Tier, ...] = ()
    """Empty where `approvers` and `approvals` decide; else these two sum the tiers up."""
    escalation: Escalation | None = None
    emergency: Emergency | None = None
    renewal_quota: Quota | None = None
    """Renewals of one person that nobody has to approve."""
    system_actions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The actions for each of its systems, where these differ; else `actions` are for all."""
    parameters: tuple[Parameter, ...] = ()
    """The values that a request has to give."""
    values: Mapping[str, str] = field(default_factory=dict)
    """The values of one request, which its actions contain."""
    general: str = ""
    """The fingerprint of the role without values, where it has some."""
    fill: Mapping[str, Fill] = field(default_factory=dict, repr=False, compare=False)
    """By system, the function that writes values into its actions."""
    is_ticket: Callable[[str], bool] = field(default=no_ticket, repr=False, compare=False)
    """Whether a whole text matches `ticket`; takes time in proportion to the lengths of both."""

    @property
    def fingerprint(self) -> str:
        """Changes when the parts that an approver saw change: the systems and their settings, the
        actions, the number of approvals in each tier, the parameters and their values."""
        return _fingerprint(
            self.systems,
            self.reach,
            self.actions,
            self.approvals,
            *((tuple((t.name, t.approvals) for t in self.tiers),) if self.tiers else ()),
            *((tuple(self.system_actions.items()),) if self.system_actions else ()),
            *((self._parameters,) if self.parameters else ()),
        )

    @property
    def _parameters(self) -> tuple[object, ...]:
        known = tuple((each.name, each.pattern, each.choices) for each in self.parameters)
        return known, tuple(sorted(self.values.items()))

    @property
    def general_fingerprint(self) -> str:
        """The fingerprint of the role for all values."""
        return self.general or self.fingerprint

    def auto_approval(self, name: str) -> AutoApproval | None:
        """The auto-approval rule of this name."""
        return next((rule for rule in self.auto_approve if rule.name == name), None)

    def actions_of(self, system: str) -> tuple[str, ...]:
        """The actions of the role on this system."""
        return actions_on(system, self.actions, self.system_actions)


@lru_cache(maxsize=1024)
def _fingerprint(*seen: object) -> str:
    return hashlib.sha256(json.dumps(seen, default=astuple).encode()).hexdigest()[:12]


# --- kinds of systems


@dataclass(frozen=True, slots=True)
class Abilities:
    """The abilities of one kind of system that other rooms than its connector must know."""

    in_our_rows: bool = False
    """Access is only rows in our database: nobody gets in after its end, even if everything else
    fails."""
    ends_together: bool = False
    """Many grants can be ended in one transaction."""
    checks_tokens: bool = False
    """Its systems ask us whether a token is good, and prove themselves with their secret. Holders
    are shown a token."""
    reports_use: bool = False
    """Every use is counted, so that none counted means none."""
    certifies: bool = False
    """Its hosts trust a key of ours, and fetch the list of revoked certificates."""


NO_ABILITIES = Abilities()

Settings = Mapping[str, object]
Wrong = Iterable[tuple[str, str]]
"""Pairs of a key and a sentence that repeats no value, because values hold secrets."""

Warned = tuple[str, Key, str]
"""The name of a warning, the key that it is about, and a sentence."""


@dataclass(frozen=True, slots=True)
class Written:
    """A system and its table as the file has it, without the values of the environment."""

    system: System
    table: Mapping[str, Any]


def _fine(_action: str) -> str:
    return ""


def _no_problem(_settings: Settings) -> Wrong:
    return ()


def _no_lint(_systems: Sequence[Written]) -> Iterable[Warned]:
    return ()


def _no_role_lint(_role: Role, _system: System) -> Iterable[tuple[str, str]]:
    return ()


@dataclass(frozen=True, kw_only=True)
class SystemKind:
    """One kind of system, described by its connector: its settings in roles.toml, and its
    abilities."""

    table: type[Any]
    """A pydantic model of the settings that `[systems.NAME]` may have."""
    wrong_settings: Callable[[Settings], Wrong] = _no_problem
    """Returns the problem of settings of the right types. Calls no system."""
    shown: frozenset[str] = frozenset()
    """Settings that the audit log may keep, except for secrets inside them. All others are
    redacted."""
    settings_identify: bool = True
    """Whether two systems with equal settings are the same one."""

    needs_actions: bool = True
    wrong_action: Callable[[str], str] = _fine
    """Returns the problem of a role's action, "" without one. Calls no system."""
    broad_action: Callable[[str], str] = _fine
    """Returns the reason why an action may give more than needed, "" where none is known."""

    fill: Fill | None = None
    """Writes values of parameters into an action; None where actions can't have any."""

    warnings: tuple[str, ...] = ()
    """The names of the warnings that `lint` and `lint_role` give."""
    lint: Callable[[Sequence[Written]], Iterable[Warned]] = _no_lint
    """Warnings about all systems of this kind. Keys begin with the system's name."""
    lint_role: Callable[[Role, System], Iterable[tuple[str, str]]] = _no_role_lint
    """Warnings about a role on one of its systems: name and sentence."""

    reads_names: bool = False
    """Whether it reads the names of people on that system from `[people]`."""
    abilities: Abilities = NO_ABILITIES


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole valid roles.toml; `digest` is the SHA-256 of the file's bytes in hex."""

    workspace: Workspace
    systems: Mapping[str, System]
    roles: Mapping[str, Role]
    people: Mapping[str, Mapping[str, str]]
    digest: str
    file: str
    text: str = field(default="", repr=False)
    """The content of the file, which may hold secrets that somebody wrote in clear."""
    redacted: Callable[[], tuple[str, int]] = field(
        default=lambda: ("", 0), repr=False, compare=False
    )
    """Returns the content without these secrets, and the number of secrets taken out."""
    kinds: Mapping[str, SystemKind] = field(default_factory=dict, repr=False, compare=False)
    on_call: Mapping[str, OnCall] = field(default_factory=dict)
    tickets: Tickets | None = None
    bundles: Mapping[str, Bundle] = field(default_factory=dict)
    streams: tuple[Stream, ...] = ()
    retention: Retention = field(default_factory=Retention)
    flags: FlagSettings = NO_SETTINGS

    @property
    def version(self) -> str:
        """Differs when the file differs, or the values that its systems read from the
        environment."""
        reach = sorted((name, system.reach) for name, system in self.systems.items())
        return f"{self.digest}:{_fingerprint(*reach)}"

    def abilities(self, kind: str) -> Abilities:
        """The abilities of systems of this kind; none for an unknown kind."""
        known = self.kinds.get(kind)
        return known.abilities if known else NO_ABILITIES


def no_policy(file: str, kinds: Mapping[str, SystemKind] = _NOTHING) -> Policy:
    """The policy when roles.toml can't be read: nobody may ask, decide or lead, and nothing can be
    given. Ending access needs no more than that."""
    return Policy(Workspace("", "", (), "UTC"), _NOTHING, _NOTHING, _NOTHING, "", file, kinds=kinds)


def ticket_matches(role: Role, ticket: str) -> bool:
    """Whether the whole ticket has the form that the role asks for; true when it asks for none."""
    return role.ticket is None or role.is_ticket(ticket)


def names_of(policy: Policy, person: Person) -> Mapping[str, str]:
    """The names of this person on other systems, by connector, from `[people]`; a user id goes
    before an e-mail."""
    email = folded(person.email)
    by_email = next(
        (table for name, table in policy.people.items() if email and folded(name) == email), {}
    )
    return {**by_email, **policy.people.get(person.id, {})}


def references(policy: Policy) -> frozenset[str]:
    """Every user, group, handle and e-mail that decides, asks, leads or is pinged; `everyone` is
    left out, because there is nothing to look up.
    """
    people = set(policy.workspace.leads)
    for role in policy.roles.values():
        people.update(role.requesters, role.approvers, role.notify, rule_references(role))
    people.update(duty.group for duty in policy.on_call.values() if duty.group)
    for bundle in policy.bundles.values():
        people.update(bundle.suggest_for)
    return frozenset(people - {"everyone"})


def rule_references(role: Role) -> tuple[str, ...]:
    """The references in the rules of a role, on-call groups left out."""
    rules = [rule.members for rule in role.auto_approve]
    rules += [rule.members for rule in role.deny]
    rules += [role.emergency.members] if role.emergency else []
    rules += [role.escalation.approvers] if role.escalation else []
    return tuple(ref for members in rules for ref in members)
