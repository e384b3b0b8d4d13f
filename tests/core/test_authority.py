"""Tiers, delegates and backups: whose approval counts where, and that somebody is always left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.approval import (
    Approved,
    NeedsApproval,
    Refused,
    may_approve,
    may_decide,
    nobody_can_decide,
    tally,
    tier_asked,
)
from bot.core.authority import Authority, Right, deciders, right_of
from bot.core.model import Delegation, Directory, Person, Request, RequestState, Vote
from bot.core.roles import Role
from bot.core.rules import Escalation, Tier
from tests.builders import a_policy

ANA, BEN, CARA, DAN, EVE, FAY = "U0ANA", "U0BEN", "U0CARA", "U0DAN", "U0EVE", "U0FAY"
PEOPLE = (ANA, BEN, CARA, DAN, EVE, FAY)
NOW = 1000
LATER = 2000


def _role(*tiers: tuple[str, Sequence[str], int], backups: Sequence[str] = ()) -> Role:
    made = tuple(Tier(name, tuple(people), need) for name, people, need in tiers)
    every = tuple(dict.fromkeys(person for tier in made for person in tier.approvers))
    return replace(
        a_policy().roles["shop-admin"],
        tiers=made if made[0].name else (),
        approvers=every,
        notify=every,
        approvals=sum(tier.approvals for tier in made),
        escalation=Escalation(1800, tuple(backups)) if backups else None,
    )


def _plain(*people: str, need: int = 1, backups: Sequence[str] = ()) -> Role:
    return _role(("", people, need), backups=backups)


LEAD_THEN_SECURITY = _role(("lead", [BEN, CARA], 1), ("security", [DAN, EVE], 1))


def _request(role: Role) -> Request:
    terms = (role.systems, role.actions, role.fingerprint, 3600, "because", "", None)
    return Request("r1", ANA, role.name, *terms, RequestState.PENDING, 0, 100)


def _authority(
    *away: tuple[str, str], until: int = LATER, escalated: bool = False, unfit: Sequence[str] = ()
) -> Authority:
    given = tuple(Delegation(giver, delegate, 0, until) for giver, delegate in away)
    return Authority(Directory(unfit=frozenset(unfit), delegations=given), NOW, escalated)


def _person(id: str) -> Person:
    return Person(id, id, "", "UTC", "T1", 1)


class Press:
    """Presses Approve for people, one after the other, as `approve_request` does."""

    def __init__(self, role: Role, authority: Authority | None = None) -> None:
        self.role, self.authority = role, authority or _authority()
        self.votes: list[Vote] = []

    def approve(self, who: str) -> Approved | NeedsApproval | Refused:
        request = _request(self.role)
        refused = may_decide(self.role, request, _person(who), self.authority) or may_approve(
            self.role, request, _person(who), self.votes, self.authority
        )
        if refused is not None:
            return refused
        tier = tier_asked(self.role, request, who, self.votes, self.authority)
        vote = Vote("r1", who, len(self.votes), 3600, (), tier)
        self.votes = [*(each for each in self.votes if each.voter != who), vote]
        return self.outcome()

    def outcome(self) -> Approved | NeedsApproval:
        return tally(self.role, _request(self.role), self.votes, self.authority)

    def may(self, who: str) -> bool:
        before = list(self.votes)
        allowed = not isinstance(self.approve(who), Refused)
        self.votes = before
        return allowed


def _why(outcome: object) -> str:
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


# --- tiers


def test_tiers_are_asked_in_order_and_each_by_its_own_people() -> None:
    press = Press(LEAD_THEN_SECURITY)
    assert press.outcome() == NeedsApproval((), 1, "lead")
    assert press.approve(BEN) == NeedsApproval((), 1, "security")
    assert press.approve(DAN) == Approved((BEN, DAN))


def test_an_approver_of_a_later_tier_is_told_which_one_is_asked() -> None:
    press = Press(LEAD_THEN_SECURITY)
    assert _why(press.approve(DAN)) == (
        "“lead” is asked now (0 of 1 approvals), and you are not among its approvers. You can"
        " approve when your own tier is asked, and deny at any time."
    )
    assert press.votes == []


def test_anybody_in_any_tier_may_deny_at_any_time() -> None:
    request = _request(LEAD_THEN_SECURITY)
    for who in (BEN, CARA, DAN, EVE):
        assert may_decide(LEAD_THEN_SECURITY, request, _person(who), _authority()) is None


def test_who_approved_in_one_tier_does_not_count_in_the_next() -> None:
    press = Press(_role(("lead", [BEN, CARA], 1), ("security", [BEN, DAN], 1)))
    press.approve(BEN)
    assert _why(press.approve(BEN)) == (
        "You have approved this already. “security” is asked now, and it takes somebody else."
    )
    assert press.approve(DAN) == Approved((BEN, DAN))


def test_who_alone_can_complete_a_later_tier_is_kept_for_it() -> None:
    press = Press(_role(("lead", [BEN, CARA], 1), ("security", [BEN], 1)))
    assert _why(press.approve(BEN)) == (
        "You are needed later, for “security”: a person counts in one tier only. Somebody else has"
        " to approve for “lead”."
    )
    press.approve(CARA)
    assert press.approve(BEN) == Approved((CARA, BEN))


def test_two_presses_in_one_second_count_in_the_tiers_in_which_they_were_made() -> None:
    press = Press(_role(("lead", [BEN, CARA], 1), ("security", [BEN], 1)))
    press.approve(CARA)
    press.approve(BEN)
    press.votes = sorted((replace(vote, at=0) for vote in press.votes), key=lambda vote: vote.voter)
    assert isinstance(press.outcome(), Approved)


def test_an_approval_of_a_later_tier_waits_when_the_earlier_loses_its_own() -> None:
    press = Press(_role(("lead", [BEN, CARA], 1), ("security", [DAN, EVE], 2)))
    press.approve(BEN)
    press.approve(DAN)
    press.authority = _authority(unfit=[BEN])
    assert press.outcome() == NeedsApproval((), 1, "lead")
    assert press.approve(CARA) == NeedsApproval((DAN,), 2, "security")


NOBODY = {
    "a tier whose only member is the requester": (
        _role(("lead", [BEN], 1), ("security", [ANA], 1)),
        "Nobody can approve shop-admin for “security” right now: its approvers (U0ANA) are no one"
        " but you, or no one at all. Ask a lead to correct that.",
    ),
    "one person in two tiers": (
        _role(("lead", [BEN, ANA], 1), ("security", [BEN], 1)),
        "“lead” and “security” of shop-admin need 2 different people, but only 1 could approve."
        " Ask a lead to correct that.",
    ),
    "too few in one tier": (
        _role(("lead", [BEN], 1), ("security", [DAN, ANA], 2)),
        "shop-admin needs 2 approvals for “security”, but only 1 other people could give one. Ask"
        " a lead to correct that.",
    ),
    "no tiers and only the requester": (
        _plain(ANA),
        "Nobody can approve shop-admin right now: its approvers (U0ANA) are no one but you, or no"
        " one at all. Ask a lead to correct that.",
    ),
    "the requester's delegate decides nothing": (_plain(ANA), "Nobody can approve shop-admin"),
    "backups alone": (_plain(ANA, backups=[BEN]), "Nobody can approve shop-admin"),
}


@pytest.mark.parametrize(("role", "reason"), NOBODY.values(), ids=NOBODY)
def test_a_request_that_too_few_could_approve_is_refused(role: Role, reason: str) -> None:
    refused = nobody_can_decide(role, ANA, _authority((ANA, CARA)))
    assert _why(refused).startswith(reason)


# --- backups


def test_backups_may_decide_from_the_escalation_on() -> None:
    role = _plain(BEN, backups=[CARA])
    assert _why(Press(role).approve(CARA)) == (
        "You are a backup for shop-admin: you can decide once nobody has decided for 30m."
    )
    assert Press(role, _authority(escalated=True)).approve(CARA) == Approved((CARA,))


def test_a_backup_counts_in_one_tier_only() -> None:
    role = _role(("lead", [BEN], 1), ("security", [DAN], 1), backups=[CARA])
    press = Press(role, _authority(escalated=True))
    assert press.approve(CARA) == NeedsApproval((), 1, "security")
    assert isinstance(press.approve(CARA), Refused)
    assert press.approve(DAN) == Approved((CARA, DAN))


def test_the_requester_is_no_backup_for_themselves() -> None:
    press = Press(_plain(BEN, backups=[ANA]), _authority(escalated=True))
    assert "your own request" in _why(press.approve(ANA))


# --- delegates


def test_a_delegate_decides_what_the_absent_approver_could() -> None:
    press = Press(_plain(BEN), _authority((BEN, CARA)))
    assert press.approve(CARA) == Approved((CARA,))
    assert right_of(press.role, ANA, CARA, press.authority) == Right(BEN)


DELEGATES = {
    "the requester": (_authority((BEN, ANA)), ANA),
    "for the requester": (_authority((ANA, DAN)), DAN),
    "of a delegate": (_authority((BEN, CARA), (CARA, DAN)), DAN),
    "after the absence": (_authority((BEN, CARA), until=NOW), CARA),
    "who was deactivated": (_authority((BEN, CARA), unfit=[CARA]), CARA),
    "of a deactivated approver": (_authority((BEN, CARA), unfit=[BEN]), CARA),
    "of somebody who approves nothing": (_authority((EVE, CARA)), CARA),
}


@pytest.mark.parametrize(("authority", "who"), DELEGATES.values(), ids=DELEGATES)
def test_no_right_has_a_delegate(authority: Authority, who: str) -> None:
    role = _plain(ANA, BEN)
    assert who not in deciders(role, ANA, authority)
    assert isinstance(Press(role, authority).approve(who), Refused)
    counted = tally(role, _request(role), [Vote("r1", who, 1, 3600, ())], authority)
    assert counted == NeedsApproval((), 1)


@pytest.mark.parametrize(("first", "second"), [(BEN, CARA), (CARA, BEN)])
def test_an_approver_and_their_delegate_are_one_approval(first: str, second: str) -> None:
    press = Press(_plain(BEN, DAN, need=2), _authority((BEN, CARA)))
    assert press.approve(first) == NeedsApproval((first,), 2)
    assert _why(press.approve(second)).endswith("The two of you count as one approval.")
    assert press.approve(DAN) == Approved((first, DAN))


def test_a_delegate_who_approves_in_their_own_right_counts_beside_the_giver() -> None:
    press = Press(_plain(BEN, CARA, need=2), _authority((BEN, CARA)))
    press.approve(CARA)
    assert press.approve(BEN) == Approved((CARA, BEN))


def test_one_person_who_decides_for_two_is_one_approval() -> None:
    press = Press(_plain(BEN, DAN, EVE, need=2), _authority((BEN, CARA), (DAN, CARA)))
    assert press.approve(CARA) == NeedsApproval((CARA,), 2)
    assert press.approve(CARA) == NeedsApproval((CARA,), 2)
    assert press.approve(EVE) == Approved((CARA, EVE))


# --- presses in any order

SOME = st.lists(st.sampled_from(PEOPLE), min_size=1, unique=True)
ROLES = st.one_of(
    st.builds(lambda people, need: _plain(*people, need=need), SOME, st.integers(1, 3)),
    st.builds(
        lambda tiers: _role(*((f"t{n}", people, need) for n, (people, need) in enumerate(tiers))),
        st.lists(st.tuples(SOME, st.integers(1, 2)), min_size=2, max_size=4),
    ),
)
AWAY = st.dictionaries(st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), max_size=3)
PRESSES = st.lists(st.sampled_from(PEOPLE), max_size=20)


@given(ROLES, AWAY, PRESSES)
def test_the_requester_never_counts_and_nobody_counts_twice(
    role: Role, away: dict[str, str], presses: list[str]
) -> None:
    press = Press(role, _authority(*away.items()))
    for who in presses:
        press.approve(who)
    outcome = press.outcome()
    by = outcome.by if isinstance(outcome, Approved) else outcome.have
    assert ANA not in by and len(set(by)) == len(by)
    if isinstance(outcome, Approved):
        assert len(by) >= role.approvals


@given(ROLES, AWAY, PRESSES)
def test_while_a_request_that_could_be_approved_waits_somebody_can_approve_it(
    role: Role, away: dict[str, str], presses: list[str]
) -> None:
    press = Press(role, _authority(*away.items()))
    if nobody_can_decide(role, ANA, press.authority) is not None:
        return
    for who in presses:
        press.approve(who)
        if isinstance(press.outcome(), Approved):
            return
        counted = press.outcome()
        assert isinstance(counted, NeedsApproval)
        others = [each for each in PEOPLE if each not in counted.have]
        assert any(press.may(each) for each in others)


@given(ROLES, st.sampled_from(PEOPLE), st.integers(0, 3))
def test_another_approver_never_leaves_a_request_with_nobody(
    role: Role, more: str, place: int
) -> None:
    if nobody_can_decide(role, ANA, _authority()) is not None:
        return
    tiers = role.tiers or (Tier("", role.approvers, role.approvals),)
    wider = [
        (tier.name, [*tier.approvers, more] if n == place % len(tiers) else tier.approvers, need)
        for n, tier in enumerate(tiers)
        for need in (tier.approvals,)
    ]
    assert nobody_can_decide(_role(*wider), ANA, _authority()) is None
