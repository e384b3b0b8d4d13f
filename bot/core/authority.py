"""Knows the people who have the right to decide on a request: the approvers of each tier, the
delegates of those who are away, and the backups once a request was escalated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from bot.core.model import Directory, Request, Vote
from bot.core.roles import Role
from bot.core.rules import Tier

OPERATOR = "os:"
"""The prefix of the command line's user, as in `os:USER`. Everybody who may run it on the bot's
database may decide there."""


@dataclass(frozen=True, slots=True)
class Authority:
    """The facts that give the right to decide on one request at `now` (UTC seconds). `escalated`
    says that its backups were asked."""

    directory: Directory
    now: int = 0
    escalated: bool = False

    def delegate_of(self, approver: str) -> str | None:
        """The person who decides in the place of this approver now; None while the approver is not
        away."""
        return next(
            (
                each.delegate
                for each in self.directory.delegations
                if each.giver == approver and each.ends_at > self.now
            ),
            None,
        )

    def givers_of(self, delegate: str) -> tuple[str, ...]:
        """The absent approvers in whose place this person decides now, in order."""
        return tuple(
            sorted(
                each.giver
                for each in self.directory.delegations
                if each.delegate == delegate and each.ends_at > self.now
            )
        )


@dataclass(frozen=True, slots=True)
class Right:
    """The right of one person to decide. `seat` is the approver whose approval it counts as: the
    person, or the absent approver in whose place the person decides. A `backup` was asked because
    nobody had decided."""

    seat: str
    tier: str = ""
    backup: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """The progress of a request. `tier` is the one that is asked now (None when all are complete),
    the `place`-th, counted from 0; `have` are the people whose approvals count in it, `earlier`
    those of the tiers before, `seats` the approvers whose approval was given, also by delegates."""

    tier: Tier | None
    place: int = 0
    have: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    seats: frozenset[str] = frozenset()

    @property
    def used(self) -> frozenset[str]:
        """Everybody who can't count again."""
        return self.seats.union(self.have, self.earlier)


def tiers_of(role: Role) -> tuple[Tier, ...]:
    """The tiers of a role in the order in which they are asked; one without a name where the role
    has none."""
    return role.tiers or (Tier("", role.approvers, role.approvals),)


def decider_references(role: Role) -> tuple[str, ...]:
    """Every reference that may give somebody the right to decide on requests for this role."""
    return (*role.approvers, *(role.escalation.approvers if role.escalation else ()))


def pinged(role: Role, tier: Tier | None) -> tuple[str, ...]:
    """The references to mention while this tier is asked: the role's `notify` list where it differs
    from its approvers, else the approvers of the tier."""
    if tier is None or not role.tiers or role.notify != role.approvers:
        return role.notify
    return tier.approvers


def seats(role: Role, tier: Tier, requester: str, authority: Authority) -> frozenset[str]:
    """The approvers whose approval counts in this tier. The requester's never does."""
    return authority.directory.resolve((*tier.approvers, *_backups(role, authority))) - {requester}


def _backups(role: Role, authority: Authority) -> tuple[str, ...]:
    return role.escalation.approvers if role.escalation and authority.escalated else ()


def deciders(role: Role, requester: str, authority: Authority) -> frozenset[str]:
    """Everybody who may decide on a request of `requester` for `role` now, in any tier. The
    requester never can."""
    every = [seats(role, tier, requester, authority) for tier in tiers_of(role)]
    return with_delegates(frozenset().union(*every), requester, authority)


def people_of(role: Role, tier: Tier, requester: str, authority: Authority) -> frozenset[str]:
    """Everybody whose approval counts in this tier."""
    return with_delegates(seats(role, tier, requester, authority), requester, authority)


def with_delegates(
    approvers: frozenset[str], requester: str, authority: Authority
) -> frozenset[str]:
    """These approvers, and everybody who decides in the place of one of them now."""
    delegates = {delegate for each in approvers if (delegate := authority.delegate_of(each))}
    return (approvers | delegates) - authority.directory.unfit - {requester}


def right_of(
    role: Role, requester: str, who: str, authority: Authority, tier: Tier | None = None
) -> Right | None:
    """The right of `who` to decide on a request of `requester`, None without one. Their own right
    goes before a delegated one, and the earliest tier before later ones. With `tier` only that tier
    counts."""
    tiers = tiers_of(role) if tier is None else (tier,)
    for own in (True, False):
        for each in tiers:
            held = seats(role, each, requester, authority)
            seat = next(iter(_seats_for(who, requester, held, authority)), None)
            if seat is not None and (seat == who) == own:
                named = authority.directory.resolve(each.approvers)
                return Right(seat, each.name, backup=seat not in named)
    return None


def _seats_for(
    who: str, requester: str, held: frozenset[str], authority: Authority
) -> tuple[str, ...]:
    """The seats that `who` can take: their own, else those of the absent for whom they decide."""
    if who == requester or who in authority.directory.unfit:
        return ()
    if who in held:
        return (who,)
    return tuple(giver for giver in authority.givers_of(who) if giver in held)


def recorded_right(
    role: Role, request: Request, who: str, authority: Authority, tier: str | None = None
) -> dict[str, str]:
    """The facts for the audit log about the right of `who`: `for`, the approver in whose place they
    decided, and `backup`. Empty for an approver of the role."""
    asked = next((each for each in tiers_of(role) if each.name == tier), None)
    right = right_of(role, request.requester, who, authority, asked)
    found = right or Right(who)
    facts = {
        "for": found.seat if found.seat != who else "",
        "backup": "yes" if found.backup else "",
    }
    return {name: fact for name, fact in facts.items() if fact}


# --- counting


def count(role: Role, request: Request, votes: Iterable[Vote], authority: Authority) -> Count:
    """Counts people, not presses, tier by tier. A vote counts once, in the tier in which it was
    given, and only while its voter may still decide there; an approver and their delegate are one
    approval."""
    votes = list(votes)
    done = Count(None)
    for place, tier in enumerate(tiers_of(role)):
        taken = _taken(role, tier, request, votes, done.used, authority)
        have, filled = tuple(taken), done.seats.union(taken.values())
        if len(have) < tier.approvals:
            return Count(tier, place, have, done.earlier, filled)
        done = Count(None, place, (), (*done.earlier, *have), filled)
    return done


def _taken(
    role: Role,
    tier: Tier,
    request: Request,
    votes: Iterable[Vote],
    used: frozenset[str],
    authority: Authority,
) -> dict[str, str]:
    """The seat that each voter of this tier takes, in the order of the votes."""
    taken: dict[str, str] = {}
    for vote in votes:
        if vote.tier == tier.name and vote.voter not in taken:
            gone = used.union(taken, taken.values())
            free = free_seats(role, tier, request.requester, vote.voter, gone, authority)
            taken |= {vote.voter: free[0]} if free else {}
    return taken


def free_seats(
    role: Role,
    tier: Tier,
    requester: str,
    who: str,
    used: frozenset[str],
    authority: Authority,
) -> tuple[str, ...]:
    """The seats of this tier that an approval of `who` could take when those in `used` can't count
    again."""
    if who in used:
        return ()
    if who.startswith(OPERATOR):
        return (who,)
    return _seats_for(who, requester, seats(role, tier, requester, authority) - used, authority)


# --- whether enough people are left


@dataclass(frozen=True, slots=True)
class Shortage:
    """Tiers that need `need` different people between them, and have only `able`."""

    tiers: tuple[Tier, ...]
    need: int
    able: int


def shortage(
    role: Role, requester: str, authority: Authority, so_far: Count | None = None
) -> Shortage | None:
    """The fewest tiers that too few people could complete, None where enough are left. Different
    people are enough exactly when no set of tiers is short of them (Hall's theorem)."""
    so_far = so_far or Count(tiers_of(role)[0])
    open_tiers = list(_open(role, requester, authority, so_far))
    for size in range(1, len(open_tiers) + 1):
        for some in combinations(open_tiers, size):
            need = sum(needed for _, needed, _ in some)
            able = len(frozenset().union(*(people for _, _, people in some)))
            if able < need:
                return Shortage(tuple(tier for tier, _, _ in some), need, able)
    return None


def _open(
    role: Role, requester: str, authority: Authority, so_far: Count
) -> Iterator[tuple[Tier, int, frozenset[str]]]:
    """Each tier that is not complete, with the number of approvals it lacks and the people who
    could give one."""
    if so_far.tier is None:
        return
    for place, tier in enumerate(tiers_of(role)):
        if place >= so_far.place:
            have = len(so_far.have) if place == so_far.place else 0
            able = seats(role, tier, requester, authority) - so_far.used
            yield tier, tier.approvals - have, able
