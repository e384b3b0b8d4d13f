"""The frozen list of a review campaign, who decides on its items, and the change of roles.toml."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from bot.core.authority import Authority
from bot.core.model import Delegation, Directory, ItemState
from bot.core.review import (
    END,
    Item,
    ItemKind,
    Scope,
    change_of,
    check_start,
    frozen,
    is_written,
    manifest_of,
    may_be_written,
    may_judge,
    reviewers,
)
from tests.builders import a_policy
from tests.factories import ANA, BEN, CARA, DAN, LEA

POLICY = a_policy(shop_deploy='review_default = "end"')
GROUPS = {
    "S0DB": frozenset({BEN}),
    "S0PL": frozenset({LEA}),
    "S0ENG": frozenset({ANA, BEN}),
    "S0SRE": frozenset({BEN, CARA, DAN}),
}
HANDLES = {"@db-leads": "S0DB", "@platform-leads": "S0PL", "@engineers": "S0ENG", "@sre": "S0SRE"}
DIRECTORY = Directory(
    groups={**GROUPS, **{handle: GROUPS[group] for handle, group in HANDLES.items()}},
    handles=HANDLES,
)
LEADS = frozenset({LEA})


def a_list(scope: Scope = Scope()) -> tuple[Item, ...]:  # noqa: B008
    return frozen(scope, POLICY, DIRECTORY, [], [])


def an_item(kind: ItemKind, role: str, about: str, *holders: str) -> Item:
    return Item(1, kind, role, about, holders, {"systems": [], "id": HANDLES.get(about, about)})


def able(item: Item, directory: Directory = DIRECTORY) -> frozenset[str]:
    return reviewers(item, POLICY.roles.get(item.role), Authority(directory, 1), LEADS)


def test_the_list_has_every_standing_requester_and_approver_in_a_fixed_order() -> None:
    deploy = [(i.number, i.kind, i.about, i.holders) for i in a_list(Scope("shop-deploy"))]
    assert deploy == [
        (1, "approver", "@sre", (BEN, CARA, DAN)),
        (2, "approver", "@platform-leads", (LEA,)),
        (3, "requester", "@engineers", (ANA, BEN)),
    ]
    assert len(a_list()) == 7 and len(a_list(Scope(system="reports"))) == 2
    assert {i.by_default for i in a_list(Scope("shop-deploy"))} == {END}


def test_the_manifest_covers_the_list_and_no_decision() -> None:
    items = a_list()
    decided = [replace(i, state=ItemState.KEPT, decided_by=BEN, reason="x") for i in items]
    assert manifest_of(items) == manifest_of(decided)
    for changed in ({"about": "@x"}, {"holders": (ANA,)}, {"facts": {}}, {"by_default": "x"}):
        assert manifest_of(items) != manifest_of([replace(items[0], **changed), *items[1:]])  # type: ignore[arg-type]
    assert manifest_of(items) != manifest_of(items[1:])


WHO = {
    "a grant": (an_item(ItemKind.GRANT, "shop-admin", "g1", ANA), {BEN}),
    "an approver's own grant goes to a lead": (
        an_item(ItemKind.GRANT, "shop-admin", "g1", BEN),
        {LEA},
    ),
    "one of several approvers": (
        an_item(ItemKind.GRANT, "shop-deploy", "g1", CARA),
        {BEN, DAN, LEA},
    ),
    "the only approver's group": (
        an_item(ItemKind.APPROVER, "shop-admin", "@db-leads", BEN),
        {LEA},
    ),
    "a member who left the group since": (
        an_item(ItemKind.REQUESTER, "shop-deploy", "@engineers", ANA, BEN, CARA),
        {DAN, LEA},
    ),
    "a member who joined the group since": (
        an_item(ItemKind.REQUESTER, "shop-deploy", "@engineers"),
        {CARA, DAN, LEA},
    ),
    "everyone": (an_item(ItemKind.REQUESTER, "shop-admin", "everyone"), {BEN}),
    "an onboarding": (an_item(ItemKind.ONBOARDING, "", "o1", ANA), {LEA}),
    "a lead's own onboarding": (an_item(ItemKind.ONBOARDING, "", "o1", LEA), set[str]()),
    "a role that is gone": (an_item(ItemKind.GRANT, "gone", "g1", ANA), {LEA}),
}


@pytest.mark.parametrize(("item", "people"), WHO.values(), ids=WHO)
def test_approvers_decide_and_never_on_their_own(item: Item, people: set[str]) -> None:
    assert able(item) == people
    assert not able(item) & set(item.holders)


def test_a_delegate_decides_for_an_absent_approver_but_not_on_either_s_access() -> None:
    away = replace(DIRECTORY, delegations=(Delegation(BEN, CARA, 0, 10),))
    assert able(an_item(ItemKind.GRANT, "shop-admin", "g1", ANA), away) == {BEN, CARA}
    assert able(an_item(ItemKind.GRANT, "shop-admin", "g1", CARA), away) == {BEN}
    assert able(an_item(ItemKind.GRANT, "shop-admin", "g1", BEN), away) == {LEA}


def test_nobody_decides_while_slack_has_not_said_who_approves() -> None:
    unknown = replace(DIRECTORY, groups={}, handles={})
    assert able(an_item(ItemKind.GRANT, "shop-admin", "g1", ANA), unknown) == frozenset()
    assert able(an_item(ItemKind.REQUESTER, "shop-admin", "@x"), DIRECTORY) == frozenset()


def test_the_refusal_of_an_own_item_says_so() -> None:
    item = an_item(ItemKind.GRANT, "shop-admin", "g1", BEN)
    own, other = may_judge(item, BEN, frozenset({BEN})), may_judge(item, ANA, frozenset({LEA}))
    assert own is not None and "your own" in own.reason
    assert other is not None and "Others decide" in other.reason
    assert may_judge(item, LEA, frozenset({LEA})) is None


TIERS = """
[[roles.mine.tiers]]
name = "team"
approvers = ["@db-leads", "@sre"]
[[roles.mine.tiers]]
name = "last"
approvers = ["@sre"]
approvals = 2
"""
MINE = 'system = "shop-admin"\nactions = ["x"]\nrequesters = ["@engineers", "U0DAN"]\n'


def test_the_change_has_the_lists_without_what_is_to_end() -> None:
    role = a_policy(mine=MINE + TIERS).roles["mine"]
    ending = [
        an_item(ItemKind.REQUESTER, "mine", "U0DAN"),
        an_item(ItemKind.APPROVER, "mine", "@db-leads"),
        an_item(ItemKind.APPROVER, "other", "@sre"),
    ]
    table = tomllib.loads(change_of(role, ending))["roles"]["mine"]
    assert table["requesters"] == ["@engineers"]
    assert [tier["approvers"] for tier in table["tiers"]] == [["@sre"], ["@sre"]]
    assert [tier["approvals"] for tier in table["tiers"]] == [1, 2]


def test_the_change_says_when_nobody_is_left() -> None:
    role = POLICY.roles["shop-admin"]
    change = change_of(role, [an_item(ItemKind.APPROVER, "shop-admin", "@db-leads")])
    assert "nobody is left in approvers" in change and "requesters" not in change


def test_a_reference_under_another_name_is_still_written() -> None:
    item = an_item(ItemKind.APPROVER, "mine", "@db-leads")
    by_id = a_policy(mine=MINE + 'approvers = ["S0DB"]').roles["mine"]
    other = a_policy(mine=MINE + 'approvers = ["@sre"]').roles["mine"]
    assert is_written(item, by_id, DIRECTORY)
    assert not is_written(item, other, DIRECTORY) and not is_written(item, None, DIRECTORY)
    assert may_be_written(item, other, DIRECTORY.without_groups()), "it may be the same group"


WRONG = {
    "role": (Scope("shop-admn"), 86400, "Did you mean shop-admin?"),
    "system": (Scope(system="shop-admn"), 86400, "did you mean"),
    "too soon": (Scope(), 60, "earliest"),
    "too late": (Scope(), 91 * 86400, "latest"),
}


@pytest.mark.parametrize(("scope", "due", "why"), WRONG.values(), ids=WRONG)
def test_a_wrong_start_is_refused(scope: Scope, due: int, why: str) -> None:
    refused = check_start(POLICY, scope, due)
    assert refused is not None and why in refused.reason
    assert check_start(POLICY, Scope("shop-admin", "shop-admin"), 86400) is None
