"""Shared access, such as a group membership: several grants of a person may give the same one.

A revocation removes the actions of its grant that no other grant still needs. Each system
implements `Members`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import groupby
from typing import Protocol

from bot.connectors.base import ConnectorDeps, ObservedAccess
from bot.core.errors import SystemRefused, SystemUnavailable, already_called
from bot.core.model import Membership, ProvisionOrder
from bot.core.roles import System


class MembershipState(StrEnum):
    """Whether an account has something. PENDING: the person must act first, such as accept an
    invitation."""

    NOT = "not"
    PENDING = "pending"
    YES = "yes"


class Members(Protocol):
    """The calls of one system. `target` is that of `Located`; `account` and `thing` are permanent
    ids. Every method raises SystemUnavailable for a failure that a retry may fix, and SystemRefused
    for any other."""

    target: str

    def account(self, order: ProvisionOrder) -> str:
        """The person's account: looked up once, then linked."""

    def thing(self, action: str) -> str:
        """The thing that the action names."""

    def has(self, account: str, thing: str) -> MembershipState:
        """NOT only if that is certain: a membership that we can't see may exist."""

    def give(self, account: str, thing: str) -> None: ...

    def take(self, account: str, thing: str) -> None:
        """Removes it; succeeds if it does not exist."""

    def troubles(self) -> Iterable[str]:
        """The problems of our account, such as missing rights."""


class SharedMembership:
    """A connector on top of a system's `Members`."""

    shares = True

    def __init__(self, system: System, tools: ConnectorDeps, members: Members) -> None:
        self._name, self._settings = system.name, system.settings
        self._memberships, self._members = tools.memberships, members
        self.target = members.target

    def grant(self, order: ProvisionOrder) -> None:
        """Raises SystemRefused if the person already has it without a grant, because a revocation
        would not remove it."""
        account = self._members.account(order)
        first, *others = (
            Membership(self._name, order.grant, account, self._members.thing(action), action)
            for action in order.actions
        )
        self._give(first)
        with already_called():
            for membership in others:
                self._give(membership)

    def _give(self, membership: Membership) -> None:
        # Before the call: a revocation calls, then forgets.
        ours = self._memberships.of_thing(self._name, membership.account, membership.thing)
        if (
            not ours
            and self._members.has(membership.account, membership.thing) is not MembershipState.NOT
        ):
            raise SystemRefused(
                "had_before",
                f"this person has {membership.action} on {self._name} already, and not by a grant, "
                "so it would not end with one: there is nothing to give, or somebody takes it away"
                " there first",
                f"You have {membership.action} on {self._name} already, and not by a grant: use "
                "that, or have it taken away there.",
            )
        self._memberships.note(membership)
        try:
            self._members.give(membership.account, membership.thing)
        finally:  # an end that overtook this call has forgotten the membership
            self._memberships.note(membership)
        with already_called():
            has = self._members.has(membership.account, membership.thing)
        if has is not MembershipState.YES:
            what = f"{membership.action} on {self._name}"
            if has is MembershipState.PENDING:
                accept = f"Accept the invitation to {what}."
                waits = f"the person must accept the invitation to {what}"
                raise SystemUnavailable(waits, None, accept)
            raise SystemUnavailable(f"{what} is not there yet")

    def revoke(self, order: ProvisionOrder) -> None:
        memberships = self._memberships.of_grant(self._name, order.grant)
        if not memberships:
            # nothing was given, but an unreachable system must not be reported as clean
            self._ask_anything()
        for membership in memberships:
            self._end(membership, kept=membership.action in order.kept)

    def _end(self, membership: Membership, kept: bool) -> None:
        """Removes it and verifies that, unless another grant to the same account still needs it."""
        others = [each for each in self._of_thing(membership) if each.grant != membership.grant]
        if not (kept and others):
            self._members.take(membership.account, membership.thing)
            if self._members.has(membership.account, membership.thing) is not MembershipState.NOT:
                raise SystemUnavailable(f"{membership.action} is still there on {self._name}")
        self._memberships.forget(membership)

    def _of_thing(self, membership: Membership) -> Sequence[Membership]:
        return self._memberships.of_thing(self._name, membership.account, membership.thing)

    def read_back(self, order: ProvisionOrder) -> bool:
        """Whether anything that this grant gave still exists."""
        given = self._memberships.of_grant(self._name, order.grant)
        if not given:
            self._ask_anything()
        return any(
            self._members.has(each.account, each.thing) is MembershipState.YES for each in given
        )

    def _ask_anything(self) -> None:
        """Raises SystemUnavailable or SystemRefused if the system can't be reached."""
        for trouble in self._members.troubles():
            raise SystemUnavailable(trouble)

    # --- the access that exists

    def list_active(self) -> Iterator[ObservedAccess]:
        """One for each grant and account that still has something of it."""
        for (grant, account), memberships in groupby(
            self._memberships.of_system(self._name), lambda m: (m.grant, m.account)
        ):
            has = [
                (each.action, self._members.has(account, each.thing) is not MembershipState.NOT)
                for each in memberships
            ]
            there = [action for action, is_there in has if is_there]
            if there:
                lacks = tuple(action for action, is_there in has if not is_there)
                yield ObservedAccess(f"{account} {grant}", grant, ", ".join(there), lacks)

    def remove(self, found: ObservedAccess) -> None:
        """If another grant gave the same to the same account, it is only forgotten for this
        grant."""
        for membership in self._memberships.of_grant(self._name, found.grant):
            if f"{membership.account} {membership.grant}" == found.name:
                self._end(membership, kept=True)

    def check(self, roles: Mapping[str, Sequence[str]]) -> Iterator[str]:
        try:
            yield from self._members.troubles()
        except (SystemUnavailable, SystemRefused) as error:
            yield str(error)
            return
        for role, actions in roles.items():
            for action in actions:
                try:
                    self._members.thing(action)
                except (SystemUnavailable, SystemRefused) as error:
                    yield f"{role}: {action}: {error}"


def refuse_unknown(email: str, number: int, where: str, pin: str = "") -> SystemRefused:
    """The refusal for an e-mail that does not belong to exactly one account."""
    if not email:
        return SystemRefused(
            "no_email",
            f"Slack has no e-mail of this person, so {where} can't be asked for them{pin}",
            f"Slack does not show your e-mail address, by which {where} knows you: tell a lead.",
        )
    what, code = (
        ("nobody", "unknown_person") if number == 0 else ("more than one account", "ambiguous")
    )
    found = f"{where} knows {what} by {email}"
    return SystemRefused(code, found + pin, f"{found}: tell a lead what your account there is.")
