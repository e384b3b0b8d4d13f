"""The right to decide, and the count of votes, as values."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.approval import (
    Approved,
    NeedsApproval,
    Refused,
    may_decide,
    may_renew_pending,
    narrowed,
    nobody_can_decide,
    something_left,
    tally,
    terms,
    too_long_now,
    unchanged,
    with_vote,
)
from bot.core.authority import Authority, deciders
from bot.core.model import Directory, Grant, GrantState, Person, Request, RequestState, Terms, Vote
from bot.core.roles import Role
from tests.builders import a_policy

ANA, BEN, CARA = "U0ANA", "U0BEN", "U0CARA"
LEADS = frozenset({ANA, BEN, CARA})
# Fmt: skip.
DIRECTORY = Directory(
    {"S1": LEADS, "@db-leads": LEADS}, {"ben@x": BEN}, frozenset({"U0GONE"}), {"@db-leads": "S1"}
)
AUTHORITY = Authority(DIRECTORY)


def _role(approvals: int = 1, approvers: str = '["@db-leads"]') -> Role:
    return a_policy(shop_admin=f"approvals = {approvals}\napprovers = {approvers}").roles[
        "shop-admin"
    ]


def _request(role: Role) -> Request:
    return Request(
        "r1",
        ANA,
        role.name,
        role.systems,
        role.actions,
        role.fingerprint,
        3600,
        "because",
        "",
        None,
        RequestState.PENDING,
        0,
        100,
    )


def _vote(voter: str, duration: int = 3600, *actions: str) -> Vote:
    return Vote("r1", voter, 1, duration, actions or ("orders:read", "orders:refund"))


def test_where_no_actions_are_the_least_none_is_enough_and_none_may_be_added() -> None:
    role = a_policy().roles["shop-admin"]
    request = replace(_request(role), actions=())
    assert (
        narrowed(request, replace(_vote(BEN, 60), actions=()), NOW) is None
        and something_left(role, request, [replace(_vote(BEN, 60), actions=())], AUTHORITY) is None
    )
    assert isinstance(narrowed(request, _vote(BEN, 60, "pty"), NOW), Refused)
    assert isinstance(narrowed(_request(role), replace(_vote(BEN, 60), actions=()), NOW), Refused)


@pytest.mark.parametrize(
    ("refs", "people"),
    [
        (["@db-leads"], LEADS),
        (["S1"], LEADS),
        ([BEN], {BEN}),
        (["Ben@X"], {BEN}),
        (["everyone"], set()),
        (["@unknown", "nobody@x", "S9"], set()),
        (["U0GONE", BEN], {BEN}),
        (["@db-leads", BEN, "ben@x"], LEADS),
    ],
    ids=[
        "handle",
        "group id",
        "person",
        "address",
        "everyone is nobody",
        "unknown is nobody",
        "unfit",
        "all of them",
    ],
)
def test_references_stand_for(refs: list[str], people: set[str]) -> None:
    assert DIRECTORY.resolve(refs) == people


def test_the_requester_is_never_among_the_deciders() -> None:
    assert deciders(_role(), ANA, AUTHORITY) == {BEN, CARA}


@pytest.mark.parametrize("who", [ANA, "U0DAN", "U0GONE"])
def test_who_is_no_decider_may_not_decide(who: str) -> None:
    role = _role()
    assert isinstance(
        may_decide(role, _request(role), Person(who, who, "", "UTC", "T1", 1), AUTHORITY), Refused
    )


@pytest.mark.parametrize(
    ("voters", "outcome"),
    [
        ([], NeedsApproval((), 2)),
        ([BEN], NeedsApproval((BEN,), 2)),
        ([BEN, BEN], NeedsApproval((BEN,), 2)),
        ([ANA, BEN], NeedsApproval((BEN,), 2)),
        (["U0DAN", BEN], NeedsApproval((BEN,), 2)),
        ([BEN, CARA], Approved((BEN, CARA))),
        ([BEN, "os:root"], Approved((BEN, "os:root"))),
    ],
    ids=[
        "none",
        "one",
        "one twice",
        "the requester",
        "no approver any more",
        "two",
        "the command line",
    ],
)
def test_votes_are_counted_as_people(voters: list[str], outcome: object) -> None:
    role = _role(2)
    assert tally(role, _request(role), [_vote(voter) for voter in voters], AUTHORITY) == outcome


@given(st.lists(st.sampled_from([ANA, BEN, CARA, "U0DAN", "U0GONE"])), st.integers(1, 3))
def test_an_approval_has_as_many_entitled_people_as_it_needs(voters: list[str], need: int) -> None:
    role = _role(need)
    counted = tally(role, _request(role), [_vote(voter) for voter in voters], AUTHORITY)
    entitled = set(voters) & {BEN, CARA}
    assert isinstance(counted, Approved) == (len(entitled) >= need)


def test_the_strictest_votes_set_the_terms_in_the_order_asked() -> None:
    votes = [_vote(BEN, 600), _vote(CARA, 1200, "orders:refund")]
    assert terms(_request(_role()), votes) == Terms(600, None, ("shop-admin",), ("orders:refund",))


@pytest.mark.parametrize(
    ("earlier", "voters"),
    [
        ([], [CARA]),
        ([replace(_vote(BEN), at=1)], [BEN, CARA]),
        ([replace(_vote(BEN), at=9)], [CARA, BEN]),
        ([replace(_vote(CARA, 60), at=1), replace(_vote(BEN), at=2)], [BEN, CARA]),
        ([replace(_vote(CARA), at=1), replace(_vote(BEN), at=2)], [CARA, BEN]),
    ],
    ids=[
        "the first",
        "a second",
        "an earlier time",
        "new terms count from now",
        "the same terms again",
    ],
)
def test_a_vote_takes_its_place_among_the_others(earlier: list[Vote], voters: list[str]) -> None:
    assert [each.voter for each in with_vote(earlier, replace(_vote(CARA), at=5))] == voters


def test_a_vote_that_would_leave_nothing_is_refused_unless_the_other_does_not_count() -> None:
    role = _role(2)
    request = _request(role)
    mine = _vote(CARA, 60, "orders:refund")
    assert isinstance(
        something_left(role, request, [_vote(BEN, 60, "orders:read"), mine], AUTHORITY), Refused
    )
    assert (
        something_left(role, request, [_vote("U0DAN", 60, "orders:read"), mine], AUTHORITY) is None
    )
    assert something_left(role, request, [_vote(CARA, 60, "orders:read"), mine], AUTHORITY) is None


@pytest.mark.parametrize("duration", [-1, 0, 1, 3599, 3600, 3601])
def test_edit_shortens_only(duration: int) -> None:
    role = _role()
    assert (narrowed(_request(role), _vote(BEN, duration), NOW) is None) == (1 <= duration <= 3600)


@pytest.mark.parametrize(
    ("approvals", "approvers", "enough"),
    [
        (1, '["@db-leads"]', True),
        (2, '["@db-leads"]', True),
        (3, '["@db-leads"]', False),
        (1, f'["{ANA}"]', False),
        (1, '["@gone"]', False),
    ],
    ids=["one of two", "two of two", "three of two", "only the requester", "an empty group"],
)
def test_a_request_that_nobody_could_approve_is_refused(
    approvals: int, approvers: str, enough: bool
) -> None:
    assert (nobody_can_decide(_role(approvals, approvers), ANA, AUTHORITY) is None) == enough


@pytest.mark.parametrize(
    "flags",
    [{}, *({kind: True} for kind in ("deleted", "guest", "bot", "stranger", "unconfirmed"))],
    ids=str,
)
def test_everyone_means_full_members(flags: dict[str, bool]) -> None:
    person = replace(Person("U9", "", "", "UTC", "T1", 1), **flags)
    assert DIRECTORY.includes(["everyone"], person) == (not flags)


NOW = 1_000


@pytest.mark.parametrize(
    ("now_in_file", "same"),
    [
        ("", True),
        ('title = "Another title"', True),
        ('actions = ["orders:read"]', False),
        ('system = "reports"', False),
        ('max_duration = "2h"', True),
    ],
    ids=["as it was", "another title", "other actions", "another system", "another longest time"],
)
def test_only_what_was_shown_and_would_be_given_is_approved(now_in_file: str, same: bool) -> None:
    asked = _request(a_policy().roles["shop-admin"])
    refused = unchanged(a_policy(shop_admin=now_in_file).roles["shop-admin"], asked)
    assert (refused is None) is same
    assert refused is None or "was changed in roles.toml" in refused.reason


@pytest.mark.parametrize(
    ("longest", "duration", "given"),
    [
        ("1h", 3600, True),
        ("1h", 3601, False),
        ("1h", 1, True),
        ("59m", 3600, False),
        ("3d", 3600, True),
    ],
    ids=["just as long", "a second too long", "shorter", "less than it was", "more than it was"],
)
def test_more_than_the_role_gives_by_now_is_refused(
    longest: str, duration: int, given: bool
) -> None:
    refused = too_long_now(
        a_policy(shop_admin=f'max_duration = "{longest}"').roles["shop-admin"], duration
    )
    assert (refused is None) is given
    assert refused is None or refused.field == "duration"


def _held(
    state: GrantState = GrantState.ACTIVE, ends_at: int = NOW + 1, renewals: int = 0
) -> Grant:
    role = a_policy().roles["shop-admin"]
    return Grant(
        "g1",
        "r0",
        ANA,
        role.name,
        role.systems,
        role.actions,
        state,
        3600,
        0,
        ends_at,
        9_000,
        renewals=renewals,
    )


BOTH = ("orders:read", "orders:refund")


@pytest.mark.parametrize(
    ("held", "actions", "why"),
    [
        (_held(), BOTH, ""),
        (_held(), BOTH[::-1], ""),
        (_held(renewals=1), BOTH, ""),
        (None, BOTH, "has ended meanwhile"),
        (_held(ends_at=NOW), BOTH, "has ended meanwhile"),
        *(
            (_held(state), BOTH, "has ended meanwhile")
            for state in GrantState
            if state is not GrantState.ACTIVE
        ),
        (_held(renewals=2), BOTH, ""),
        (_held(renewals=3), BOTH, ""),
        (_held(), BOTH[:1], "keeps all actions"),
        (_held(), (), "keeps all actions"),
        (_held(), (*BOTH, "orders:delete"), "keeps all actions"),
    ],
)
def test_a_renewal_that_waits_extends_what_is_active_as_it_is(
    held: Grant | None, actions: tuple[str, ...], why: str
) -> None:
    role = a_policy(shop_admin="max_renewals = 2").roles["shop-admin"]
    refused = may_renew_pending(
        role, replace(_request(role), renews="g1"), held, replace(_vote(BEN), actions=actions), NOW
    )
    assert (refused is None) is (why == "")
    assert refused is None or why in refused.reason


def test_a_request_that_renews_nothing_is_not_held_back_by_what_is_held() -> None:
    role = _role()
    assert may_renew_pending(role, _request(role), None, _vote(BEN), NOW) is None
