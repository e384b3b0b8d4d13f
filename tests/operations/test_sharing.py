"""Two grants of one person on one system: the end of one leaves what the other still needs."""

from __future__ import annotations

import json

import pytest

from bot.core.approval import Refused
from bot.core.errors import SystemRefused
from bot.core.model import Grant, Membership
from bot.operations.grants.record_results import (
    order_for,
    orders_for,
    reapply_shared_access,
    record_start_failed,
)
from bot.operations.grants.release_grant import release_grant
from bot.operations.systems.account_links import StoredPins, list_accounts, unlink_account
from bot.operations.systems.memberships import StoredMemberships
from tests.factories import ANA, CARA, LEA, Made


@pytest.fixture
def one(made: Made) -> Grant:
    """Ana reads and refunds at shop-admin; there is another role there that only reads, and one
    elsewhere."""
    made.set_policy(
        mine='title = "Read"\nsystem = "shop-admin"\nactions = ["orders:read"]\n'
        'requesters = ["everyone"]\napprovers = ["@db-leads"]'
    )
    return made.a_grant()


def kept(made: Made, grant: Grant) -> tuple[str, ...]:
    order = order_for(made.world, grant.id, "shop-admin")
    assert order is not None
    return order.kept


def extended(made: Made) -> list[str]:
    return [
        key for (key,) in made.rows("SELECT ordering_key FROM outbox WHERE kind = 'extend_lease'")
    ]


def test_an_end_keeps_what_an_active_grant_and_one_that_starts_need(made: Made, one: Grant) -> None:
    assert kept(made, one) == ()
    other = made.a_started(made.a_request("mine"))
    assert kept(made, one) == ("orders:read",)
    made.start(other)
    assert kept(made, one) == ("orders:read",)
    assert kept(made, other) == ("orders:read",)


def test_what_ends_or_failed_itself_keeps_nothing_for_another(made: Made, one: Grant) -> None:
    other, failed = made.a_grant("mine"), made.a_started(made.a_request("mine", CARA))
    for grant in (one, other):
        release_grant(made.world, grant.id, ANA)
    record_start_failed(made.world, failed.id, "no")
    assert kept(made, one) == kept(made, other) == kept(made, failed) == ()


def test_another_person_and_another_system_keep_nothing(made: Made, one: Grant) -> None:
    made.a_grant("mine", CARA)
    made.a_grant("reports-read")
    assert kept(made, one) == ()


def test_orders_that_are_read_together_are_those_that_are_read_alone(
    made: Made, one: Grant
) -> None:
    others = [made.a_grant("mine"), made.a_grant("mine", CARA), made.a_grant("reports-read")]
    pairs = [(grant.id, system) for grant in (one, *others) for system in grant.systems]
    alone = {pair: order_for(made.world, *pair) for pair in pairs}
    assert orders_for(made.world, [*pairs, (one.id, "nowhere"), ("g0", "shop-admin")]) == alone
    assert [order.kept for order in alone.values() if order and order.kept] == [
        ("orders:read",),
        ("orders:read",),
    ]


def test_an_order_to_extend_keeps_nothing_because_it_wants_all_of_it(
    made: Made, one: Grant
) -> None:
    made.a_grant("mine")
    order = order_for(made.world, one.id, "shop-admin", still_active=True)
    assert order is not None and order.kept == ()


def test_after_an_end_what_another_grant_needs_is_made_again(made: Made, one: Grant) -> None:
    starting = made.a_started(made.a_request("mine"))
    release_grant(made.world, one.id, ANA)
    made.forget_work()
    reapply_shared_access(made.world, one.id, "shop-admin")
    assert extended(made) == [f"grant:{starting.id}"]


def test_after_the_last_end_nothing_is_made_again(made: Made, one: Grant) -> None:
    made.a_grant("mine", CARA)
    release_grant(made.world, one.id, ANA)
    made.forget_work()
    reapply_shared_access(made.world, one.id, "shop-admin")
    assert extended(made) == []


def test_an_account_is_one_person_s_on_a_system(made: Made) -> None:
    pins = StoredPins(made.world)
    assert pins.keep("it", ANA, "7") == pins.keep("it", ANA, "8") == "7"
    with pytest.raises(SystemRefused, match="belongs to another person"):
        pins.keep("it", CARA, "7")
    assert pins.keep("other", CARA, "7") == "7"
    assert pins.get("it", CARA) is None


def test_what_roles_toml_names_takes_the_place_of_what_was_found_but_not_of_another_person(
    made: Made,
) -> None:
    pins = StoredPins(made.world)
    pins.keep("it", CARA, "7")
    with pytest.raises(
        SystemRefused, match=f"belongs to another person here, {CARA}; .* accounts unlink it {CARA}"
    ):
        pins.name("it", ANA, "7")
    pins.keep("it", ANA, "8")
    assert [pins.name("it", ANA, "9") for _ in range(2)] == ["9", "9"]
    assert pins.keep("it", CARA, "8") == "7"  # she has hers
    bound = [
        json.loads(detail)["account"] for (detail,) in made.log("person:account:linked", "detail")
    ]
    assert bound == ["7", "8", "9"]


def test_an_id_of_another_place_is_another_account(made: Made) -> None:
    pins = StoredPins(made.world)
    assert (
        pins.keep("it", ANA, "7", "a.example.com")
        == "7"
        == pins.get("it", ANA)
        == pins.get("it", ANA, "a.example.com")
    )
    assert pins.get("it", ANA, "b.example.com") is None
    assert pins.keep("it", CARA, "7", "b.example.com") == "7"
    assert pins.keep("it", ANA, "9", "b.example.com") == "9" == pins.get("it", ANA, "b.example.com")
    with pytest.raises(SystemRefused, match="belongs to another person"):
        pins.keep("it", LEA, "7", "b.example.com")


def test_a_wrong_binding_is_undone_on_record_unless_something_was_given_to_it(made: Made) -> None:
    pins, memberships, membership = (
        StoredPins(made.world),
        StoredMemberships(made.world),
        Membership("it", "g1", "7", "team", "team"),
    )
    pins.keep("it", ANA, "7")
    assert list_accounts(made.world) == [("it", ANA, "7")]
    memberships.note(membership)
    assert isinstance(unlink_account(made.world, "os:lea", "it", ANA), Refused)
    memberships.forget(membership)
    assert unlink_account(made.world, "os:lea", "it", ANA) == "7"
    assert made.log("person:account:unlinked", "actor, subject, system") == [("os:lea", ANA, "it")]
    assert isinstance(unlink_account(made.world, "os:lea", "it", ANA), Refused)
    assert pins.keep("it", CARA, "7") == "7"


def test_a_membership_is_stored_once_until_it_is_forgotten(made: Made) -> None:
    memberships = StoredMemberships(made.world)
    membership = Membership("it", "g1", "7", "team", "team")
    other = Membership("it", "g2", "7", "team", "team")
    for each in (membership, membership, other):
        memberships.note(each)
    both = [membership, other]
    assert memberships.of_thing("it", "7", "team") == both == memberships.of_system("it")
    memberships.forget(membership)
    assert memberships.of_grant("it", "g1") == [] and memberships.of_grant("it", "g2") == [other]
