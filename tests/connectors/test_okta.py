"""The okta connector on a stand-in that was written from Okta's published Management API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from email.utils import formatdate

import pytest

from bot.connectors.base import Checks, Connector, ConnectorDeps
from bot.connectors.okta import _limited, make
from bot.connectors.transport.http import Answer
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.core.roles import System
from tests.connectors.contract import Contract, Rig, unknown_there, without_email
from tests.connectors.shared_tests import RestContract, SharedContract
from tests.connectors.standins.okta import TOKEN, Okta
from tests.factories import ANA, CARA, a_person

GROUPS = ('Prod "deploy", \\EU', "on-call")
EMAIL = a_person(ANA).email
Ordered = Callable[..., ProvisionOrder]


def settings(server: Okta, **more: str) -> System:
    return System("it", "okta", {"url": server.url, "token": TOKEN} | more)


class TestOkta(Contract, SharedContract, RestContract):
    @pytest.fixture
    def server(self) -> Iterator[Okta]:
        with closing(Okta()) as made:
            for group in (*GROUPS, "others", "more", "Prod"):
                made.add(group)
            for person in (ANA, CARA):
                user = made.join(a_person(person).email)
                for group in ("others", "more"):  # more than a page of them
                    next(g for g in made.groups.values() if g.name == group).members.add(user.id)
            self.okta = made
            yield made

    @pytest.fixture
    def rig(self, server: Okta) -> Rig:
        def works(_it: Connector, order: ProvisionOrder) -> bool:
            return all(server.may(order.person.email, group) for group in order.actions)

        lines = f'connector = "okta"\nurl = "{server.url}"\ntoken = "{TOKEN}"'
        server.join("left@example.com", "SUSPENDED")

        def left(order: ProvisionOrder) -> ProvisionOrder:
            return replace(order, person=a_person(order.person.id, "left@example.com"))

        unfit = (without_email, unknown_there, left)
        return Rig(lines, GROUPS, works, server.down, server.breaking, unfit=unfit)

    @pytest.fixture
    def wrong_token(self, server: Okta, tools: ConnectorDeps) -> Connector:
        return make(settings(server, token="not-the-token"), tools)

    def had(self, order: ProvisionOrder) -> None:
        user = next(user for user in self.okta.users.values() if user.email == order.person.email)
        next(g for g in self.okta.groups.values() if g.name == order.actions[0]).members.add(
            user.id
        )

    # --- people

    def test_a_person_is_found_once_and_then_linked_by_id(
        self, it: Connector, server: Okta, order: Ordered, tools: ConnectorDeps
    ) -> None:
        asked = order()
        it.grant(asked)
        (user,) = [user for user in server.users.values() if user.email == EMAIL]
        assert tools.pins.get("it", ANA) == user.id
        user.email = "renamed@example.com"
        other = server.join(EMAIL)
        it.grant(replace(asked, grant="g-later"))
        assert server.may("renamed@example.com", GROUPS[0]) and not server.may(
            other.email, GROUPS[0]
        )

    @pytest.mark.parametrize(("more", "words"), [(0, "nobody"), (2, "more than one account")])
    def test_no_user_or_two_with_the_e_mail_are_refused(
        self, it: Connector, server: Okta, order: Ordered, more: int, words: str
    ) -> None:
        asked = replace(order(), person=a_person(ANA, "two@example.com"))
        for _ in range(more):
            server.join("two@example.com")
        with pytest.raises(SystemRefused, match=f"Okta knows {words} by two@example.com"):
            it.grant(asked)
        it.revoke(asked)
        assert not it.read_back(asked)
        with pytest.raises(SystemRefused, match="Slack has no e-mail"):
            it.grant(replace(asked, person=a_person(ANA, "")))

    def test_an_e_mail_that_moved_to_another_person_does_not_bring_the_account_along(
        self, it: Connector, order: Ordered
    ) -> None:
        it.grant(order())
        with pytest.raises(SystemRefused, match="belongs to another person"):
            it.grant(replace(order(CARA), person=a_person(CARA, EMAIL)))

    def test_a_suspended_user_gets_nothing(
        self, it: Connector, server: Okta, order: Ordered
    ) -> None:
        server.join("gone@example.com", "SUSPENDED")
        with pytest.raises(SystemRefused, match="is SUSPENDED"):
            it.grant(replace(order(), person=a_person(ANA, "gone@example.com")))

    def test_a_deleted_user_has_no_access(
        self, it: Connector, server: Okta, order: Ordered
    ) -> None:
        asked = order()
        it.grant(asked)
        server.users.clear()
        it.revoke(asked)
        assert not it.read_back(asked)

    # --- groups

    def test_a_group_may_be_named_by_its_id(
        self, it: Connector, server: Okta, order: Ordered
    ) -> None:
        group = next(group for group in server.groups.values() if group.name == "Prod")
        asked = replace(order(), actions=(group.id,))
        it.grant(asked)
        assert server.may(EMAIL, "Prod")
        group.name = "Renamed"
        it.revoke(asked)
        assert not server.may(EMAIL, "Renamed")

    def test_a_person_is_removed_from_a_renamed_group(
        self, it: Connector, server: Okta, order: Ordered
    ) -> None:
        asked = replace(order(), actions=("Prod",))
        it.grant(asked)
        next(group for group in server.groups.values() if group.name == "Prod").name = "Renamed"
        it.revoke(asked)
        assert not server.may(EMAIL, "Renamed")

    @pytest.mark.parametrize(
        "group", ["none", 'x" or id eq "00g00000000000000000', "Everyone", "twice", "a\nb"]
    )
    def test_a_missing_ambiguous_or_unchangeable_group_is_refused(
        self, it: Connector, server: Okta, order: Ordered, group: str
    ) -> None:
        server.add("Everyone", "BUILT_IN")
        server.add("twice")
        server.add("twice")
        with pytest.raises(SystemRefused):
            it.grant(replace(order(), actions=(group,)))
        assert not any(call.startswith("PUT") for call in server.seen)

    def test_a_user_hidden_from_the_token_has_it_until_the_list_of_the_group_says_otherwise(
        self, it: Connector, server: Okta, order: Ordered
    ) -> None:
        asked = order()
        it.grant(asked)
        group = next(each for each in server.groups.values() if each.name == asked.actions[0])
        (user,) = group.members
        group.members.update(server.join(f"other{number}@example.com").id for number in range(3))
        server.hidden.add(user)
        assert it.read_back(asked)
        with pytest.raises(SystemUnavailable, match="still there"):
            it.revoke(asked)
        for each in server.groups.values():
            each.members.discard(user)
        it.revoke(asked)
        assert not it.read_back(asked)

    def test_a_token_that_lost_its_rights_does_not_make_it_look_gone(
        self, it: Connector, server: Okta, order: Ordered
    ) -> None:
        asked = order()
        it.grant(asked)
        server.blind = True
        for call in (it.revoke, it.read_back):
            with pytest.raises(SystemUnavailable, match="does not show the group"):
                call(asked)

    # --- the doctor, settings, limits

    def test_the_doctor_names_a_role_without_its_group(
        self, it: Connector, wrong_token: Connector
    ) -> None:
        assert isinstance(it, Checks) and isinstance(wrong_token, Checks)
        assert list(it.check({"it": GROUPS})) == []
        assert list(it.check({"it": ["gone"]})) == ["it: gone: Okta has no group gone (no_group)"]
        assert list(wrong_token.check({"it": GROUPS})) == [
            "127.0.0.1: Invalid token provided (token_not_accepted)"
        ]

    def test_plain_http_is_only_for_this_machine(self, server: Okta, tools: ConnectorDeps) -> None:
        with pytest.raises(ValueError, match="https://"):
            make(settings(server, url="http://10.0.0.1"), tools)


NOW = 1_800_000_000
LIMITS: dict[str, tuple[int, dict[str, str], int | None]] = {
    "by its clock": (429, {"x-rate-limit-reset": str(NOW + 30), "date": formatdate(NOW + 10)}, 21),
    "without a reset": (429, {}, 60),
    "not a number": (429, {"x-rate-limit-reset": "soon", "retry-after": "5"}, 5),
    "no limit": (403, {"x-rate-limit-reset": str(NOW)}, None),
}


@pytest.mark.parametrize(("status", "headers", "wait"), LIMITS.values(), ids=LIMITS)
def test_a_rate_limit_says_how_long_to_wait(
    status: int, headers: dict[str, str], wait: int | None
) -> None:
    assert _limited(Answer(status, headers, b"")) == wait
