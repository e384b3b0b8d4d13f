"""Review campaigns: the frozen list of access that a campaign is about, and the reviewers of each
item."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bot.core.approval import Refused
from bot.core.authority import Authority, with_delegates
from bot.core.durations import BadDuration, format_duration, parse_duration
from bot.core.eligibility import check_reason, find_role, has_words
from bot.core.model import CampaignState, Directory, Grant, ItemState, Person, folded
from bot.core.onboarding import Ramp
from bot.core.roles import Policy, Role
from bot.core.values import did_you_mean

DAY = 86400
DUE = 7 * DAY
SHORTEST, LONGEST = 3600, 90 * DAY
"""Seconds from the start of a campaign to its due date: the default, the least and the most."""

REMINDERS = (3 * DAY, DAY)
"""Seconds before the due date at which people are reminded of their open items."""

UNDONE_AGAIN = DAY
"""Seconds between two reminders of access that was to end and still exists."""

EVERYONE = "everyone"
KEEP, END = "keep", "end"


class ItemKind(StrEnum):
    """The kind of an item, in the order of the list."""

    APPROVER = "approver"
    REQUESTER = "requester"
    GRANT = "grant"
    ONBOARDING = "onboarding"


STANDING = frozenset({ItemKind.APPROVER, ItemKind.REQUESTER})
"""A line of roles.toml, which the bot can't change."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The role and the system that a campaign is about; "" stands for all."""

    role: str = ""
    system: str = ""

    def covers(self, role: str, systems: Collection[str]) -> bool:
        return self.role in ("", role) and (not self.system or self.system in systems)

    def __str__(self) -> str:
        parts = [
            *([f"role {self.role}"] if self.role else []),
            *([f"system {self.system}"] if self.system else []),
        ]
        return ", ".join(parts) or "everything"


@dataclass(frozen=True, slots=True)
class Campaign:
    """`lead` started it, `manifest` is the SHA-256 of its list, and `remind_at` is when people are
    reminded next."""

    id: str
    lead: str
    scope: Scope
    state: CampaignState
    started_at: int
    due_at: int
    manifest: str
    remind_at: int | None = None
    closed_at: int | None = None
    finished_at: int | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the list. `about` is the id of a grant or onboarding, or a reference of
    roles.toml; `role` is "" for an onboarding. `holders` are the people who have it, nobody for
    `everyone`. `facts` are shown in the list, `by_default` is the decision at the due date.
    `over_at` is the time at which it was found to be over."""

    number: int
    kind: ItemKind
    role: str
    about: str
    holders: tuple[str, ...]
    facts: Mapping[str, Any]
    by_default: str = KEEP
    state: ItemState = ItemState.PENDING
    decided_at: int | None = None
    decided_by: str = ""
    reason: str = ""
    over_at: int | None = None

    @property
    def person(self) -> str:
        """The one person whom the item is about; "" for a group, and for a newcomer who has not
        joined."""
        if self.kind in STANDING:
            return str(self.facts["id"]) if self.facts["id"] in self.holders else ""
        return self.holders[0] if self.holders else ""

    @property
    def decision(self) -> str:
        """`keep` or `end`; "" while it is not decided, and where nobody had to."""
        if self.decided_at is None:
            return ""
        return KEEP if self.state is ItemState.KEPT else END


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to keep or to end, and why."""

    keep: bool
    reason: str

    @property
    def word(self) -> str:
        return KEEP if self.keep else END


# --- the list


@dataclass(frozen=True, slots=True)
class Held:
    """A grant that is held now, and its decider."""

    grant: Grant
    decided_by: str


def frozen(
    scope: Scope, policy: Policy, directory: Directory, held: Iterable[Held], ramps: Iterable[Ramp]
) -> tuple[Item, ...]:
    """The list of a campaign that starts now, by role, in an order that depends on nothing else."""
    drafts = [
        *_standing(scope, policy, directory),
        *_grants(scope, policy, held),
        *_ramps(scope, policy, ramps),
    ]
    places = {kind: place for place, kind in enumerate(ItemKind)}
    drafts.sort(key=lambda d: (not d[1], d[1], places[d[0]], d[3], d[2]))
    return tuple(Item(number, *draft) for number, draft in enumerate(drafts, 1))


Draft = tuple[ItemKind, str, str, tuple[str, ...], Mapping[str, Any], str]
"""The fields of an item from `kind` to `by_default`."""


def _standing(scope: Scope, policy: Policy, directory: Directory) -> Iterator[Draft]:
    for role in policy.roles.values():
        if not scope.covers(role.name, role.systems):
            continue
        for kind, refs in (
            (ItemKind.APPROVER, role.approvers),
            (ItemKind.REQUESTER, role.requesters),
        ):
            for ref in refs:
                people = tuple(sorted(directory.resolve([ref])))
                facts = {"systems": list(role.systems), "id": identity(ref, directory)}
                yield kind, role.name, ref, people, facts, role.review_default


def _grants(scope: Scope, policy: Policy, held: Iterable[Held]) -> Iterator[Draft]:
    for each in held:
        grant = each.grant
        if not scope.covers(grant.role, grant.systems):
            continue
        role = policy.roles.get(grant.role)
        facts: dict[str, Any] = {
            "systems": list(grant.systems),
            "actions": {system: list(grant.actions_of(system)) for system in grant.systems},
            "from": grant.starts_at,
            "until": grant.ends_at,
            "decided_by": each.decided_by,
        }
        facts |= grant.urgency.as_detail()
        by_default = role.review_default if role else KEEP
        yield ItemKind.GRANT, grant.role, grant.id, (grant.person,), facts, by_default


def _ramps(scope: Scope, policy: Policy, ramps: Iterable[Ramp]) -> Iterator[Draft]:
    for ramp in ramps:
        roles = sorted({name for stage in ramp.stages for name in (*stage.roles, *stage.may_ask)})
        known = {name: policy.roles[name].systems for name in roles if name in policy.roles}
        if not any(scope.covers(name, known.get(name, ())) for name in roles):
            continue
        facts = {
            "bundle": ramp.bundle,
            "roles": roles,
            "lead": ramp.lead,
            "email": ramp.email,
            "from": ramp.starts_at,
            "until": ramp.ends_at,
        }
        holders = (ramp.newcomer,) if ramp.newcomer else ()
        yield ItemKind.ONBOARDING, "", ramp.id, holders, facts, KEEP


def manifest_of(items: Iterable[Item]) -> str:
    """The SHA-256 of a list, as lines of JSON in its order, without the decisions."""
    digest = hashlib.sha256()
    for item in items:
        digest.update((line_of(item) + "\n").encode())
    return digest.hexdigest()


def line_of(item: Item) -> str:
    """One item as the manifest has it."""
    return _encode(
        {
            "item": item.number,
            "kind": item.kind,
            "role": item.role,
            "about": item.about,
            "holders": list(item.holders),
            "facts": dict(item.facts),
            "by_default": item.by_default,
        }
    )


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


# --- reviewers


def reviewers(
    item: Item, role: Role | None, authority: Authority, leads: frozenset[str]
) -> frozenset[str]:
    """Everybody who may decide on this item now: the approvers of its role and their delegates, and
    the leads where none of them is left or there is no role. Nobody decides on their own access.
    Nobody at all decides while the holders or approvers are unknown."""
    directory, own = authority.directory, set(item.holders)
    if item.kind in STANDING:
        if directory.unresolved([item.about]):
            return frozenset()
        own |= directory.resolve([item.about])
    approvers = role.approvers if role else ()
    if directory.unresolved(approvers):
        return frozenset()
    able = with_delegates(directory.resolve(approvers) - own, "", authority) - own
    return frozenset(able or leads - own)


def may_judge(item: Item, by: str, able: frozenset[str]) -> Refused | None:
    """Whether this person may decide on this item; `able` are its reviewers."""
    if by in item.holders:
        return Refused("This is your own access: somebody else decides whether it stays.")
    if by in able:
        return None
    return Refused(
        "Others decide on this: the approvers of its role, or a lead where none is left."
    )


# --- the start of a campaign


def check_start(policy: Policy, scope: Scope, due: int) -> Refused | None:
    """Whether a campaign may have this scope, and `due` seconds until its due date."""
    if scope.role and isinstance(unknown := find_role(policy, scope.role), Refused):
        return unknown
    if scope.system and scope.system not in policy.systems:
        near = did_you_mean(scope.system, policy.systems)
        return Refused(f"roles.toml has no system “{scope.system[:60]}”{near}.")
    if SHORTEST <= due <= LONGEST:
        return None
    least, most = format_duration(SHORTEST), format_duration(LONGEST)
    return Refused(
        f"A review is due at the earliest after {least}, and at the latest after {most}."
    )


def read_due(text: str) -> int | Refused:
    """The seconds until the due date, as roles.toml writes durations."""
    try:
        return parse_duration(text)
    except BadDuration as bad:
        return Refused(f"The due date: {bad}.")


def check_decision(decision: Decision) -> Refused | None:
    """Whether the reason can be kept. The log keeps it for the auditor."""
    if has_words(decision.reason):
        return check_reason(decision.reason)
    return Refused("Say why: the reason is kept for the auditor.", "reason")


def may_review(by: Person) -> Refused | None:
    """Whether this account may decide at all."""
    unfit = by.ineligible_reason()
    return Refused(f"You can't decide in a review: {unfit}.") if unfit else None


# --- items that a person must end in roles.toml


def identity(ref: str, directory: Directory) -> str:
    """The group or person that a reference stands for, however it is written."""
    return directory.handles.get(ref) or directory.emails.get(folded(ref)) or ref


def is_written(item: Item, role: Role | None, directory: Directory) -> bool:
    """Whether roles.toml has a standing requester or approver, under this name or another."""
    refs = _refs(item, role)
    known = {identity(ref, directory) for ref in refs}
    return item.about in refs or item.facts.get("id") in known


def may_be_written(item: Item, role: Role | None, directory: Directory) -> bool:
    """Like `is_written`; also true while another name in roles.toml is unresolved."""
    unresolved = directory.unresolved(_refs(item, role))
    return bool(unresolved) or is_written(item, role, directory)


def _refs(item: Item, role: Role | None) -> Sequence[str]:
    if role is None:
        return ()
    return role.approvers if item.kind is ItemKind.APPROVER else role.requesters


def change_of(role: Role, ending: Sequence[Item]) -> str:
    """The lines of roles.toml without the standing requesters and approvers that are to end."""
    without = {
        kind: {item.about for item in ending if item.kind is kind and item.role == role.name}
        for kind in STANDING
    }
    lines = [f"[roles.{role.name}]"]
    if without[ItemKind.REQUESTER]:
        lines += _list("requesters", role.requesters, without[ItemKind.REQUESTER])
    gone = without[ItemKind.APPROVER]
    if gone and not role.tiers:
        lines += _list("approvers", role.approvers, gone)
    for tier in role.tiers if gone else ():
        lines += [
            "",
            f"[[roles.{role.name}.tiers]]",
            f"name = {json.dumps(tier.name, ensure_ascii=False)}",
        ]
        lines += _list("approvers", tier.approvers, gone)
        lines += [f"approvals = {tier.approvals}"]
    return "\n".join(lines)


def _list(key: str, refs: Sequence[str], without: Collection[str]) -> Iterator[str]:
    left = [ref for ref in refs if ref not in without]
    if not left:
        yield f"# nobody is left in {key}: name somebody else, or remove the role"
    yield f"{key} = {json.dumps(left, ensure_ascii=False)}"
