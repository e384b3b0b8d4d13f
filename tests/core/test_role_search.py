"""Searching roles: every word counts, the best match comes first, and differences in spelling do
not matter."""

from __future__ import annotations

import pytest

from bot.core.role_search import MOST, search_roles
from tests.slack.views_samples import a_role

ROLES = [
    a_role(name="orders-admin", title="Orders, everything", description="Refunds too."),
    a_role(name="reorders", title="Order again", description=""),
    a_role(name="orders", title="Orders database", description="Look up what was sold."),
    a_role(name="cafe-till", title="Café Zürich, till", description="Ørsted’s cash orders."),
    a_role(name="wide", title="ＷＩＤＥ 売上 data", description="Straße"),
]


def names(query: str) -> list[str]:
    return [role.name for role in search_roles(ROLES, query)]


def test_an_exact_name_comes_before_beginnings_then_words_then_the_middle_of_words() -> None:
    assert names("orders") == ["orders", "orders-admin", "cafe-till", "reorders"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ORDERS-ADMIN", ["orders-admin"]),
        ("orders admin", ["orders-admin"]),
        ("everything orders", ["orders-admin"]),
        ("refunds", ["orders-admin"]),
        ("look sold", ["orders"]),
        ("cafe zurich", ["cafe-till"]),
        ("CAFÉ", ["cafe-till"]),
        ("cafe\u0301", ["cafe-till"]),
        ("orsted", ["cafe-till"]),
        ("wide", ["wide"]),
        ("ｗｉｄｅ", ["wide"]),
        ("売上", ["wide"]),
        ("strasse", ["wide"]),
        ("orders xyzzy", []),
        ("dtbs", []),
    ],
)
def test_every_word_is_found_in_name_title_or_description_however_it_is_written(
    query: str, found: list[str]
) -> None:
    assert names(query) == found


@pytest.mark.parametrize("query", ["", "   ", "\u200b", "-"])
def test_an_empty_query_gives_every_role_in_the_order_of_the_file(query: str) -> None:
    assert names(query) == [role.name for role in ROLES]


def test_of_many_matches_the_best_hundred_are_given_and_equal_ones_keep_their_order() -> None:
    many = [a_role(name=f"db-{n:03}", title="A database") for n in range(250)]
    assert [role.name for role in search_roles(many, "database")] == [
        f"db-{n:03}" for n in range(MOST)
    ]
    assert [role.name for role in search_roles(many, "249")] == ["db-249"]
    assert search_roles([*many, a_role(name="database")], "database")[0].name == "database"


@pytest.mark.parametrize(
    "query", ["x" * 100_000, "a " * 50_000, "\u0300" * 50_000, "(?:a+)+$", "%_"]
)
def test_a_strange_query_is_answered_quickly(query: str) -> None:
    assert names(query) in ([], [role.name for role in ROLES])
