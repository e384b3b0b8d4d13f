"""The github connector, on a fake server that follows GitHub's published API description."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bot.connectors.base import Checks, Connector, ConnectorDeps
from bot.connectors.github import limited, make
from bot.connectors.transport.http import Answer
from bot.core.effects import Queue
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.core.roles import System
from bot.operations.grants.record_results import order_for
from bot.operations.grants.release_grant import release_grant
from bot.worker.dispatcher import Dispatcher
from tests.connectors.contract import Contract, Rig, unknown_there, without_email
from tests.connectors.shared_tests import RestContract, SharedContract
from tests.connectors.standins.github import TOKEN, GitHub
from tests.factories import ANA, CARA, Made, a_person

TEAMS = ("deployers", "on-call")
EMAIL = a_person(ANA).email
Ordered = Callable[..., ProvisionOrder]


def settings(server: GitHub, **more: str) -> System:
    return System("it", "github", {"org": "acme", "token": TOKEN, "url": server.url} | more)


class TestGitHub(Contract, SharedContract, RestContract):
    @pytest.fixture
    def server(self) -> Iterator[GitHub]:
        with closing(GitHub()) as made:
            for person in (ANA, CARA):
                made.join(person.lower())
            self.github = made
            yield made

    @pytest.fixture
    def rig(self, server: GitHub) -> Rig:
        """Its orders name the login as `[people]` does."""

        def works(_it: Connector, order: ProvisionOrder) -> bool:
            return all(server.may(order.names["github"], team) for team in order.actions)

        lines = f'connector = "github"\norg = "acme"\ntoken = "{TOKEN}"\nurl = "{server.url}"'
        people = "".join(
            f'[people."{person}"]\ngithub = "{person.lower()}"\n' for person in (ANA, CARA)
        )
        server.join("invited", state="pending")
        server.join("stranger", state="")

        def named(login: str) -> Callable[[ProvisionOrder], ProvisionOrder]:
            return lambda order: replace(order, names={"github": login})

        unfit = (without_email, unknown_there, *map(named, ("invited", "stranger", "no-such-user")))
        return Rig(lines, TEAMS, works, server.down, server.breaking, people, unfit)

    @pytest.fixture
    def wrong_token(self, server: GitHub, tools: ConnectorDeps) -> Connector:
        return make(settings(server, token="not-the-token"), tools)

    def had(self, order: ProvisionOrder) -> None:
        user = self.github.named(order.names["github"])
        assert user is not None
        self.github.org.teams[order.actions[0]][user.id] = "active"

    # --- people

    def by_email(self, order: Ordered, email: str = EMAIL, person: str = ANA) -> ProvisionOrder:
        return replace(order(person), names={}, person=a_person(person, email))

    def test_somebody_who_shows_the_e_mail_is_found_once_and_then_pinned(
        self, it: Connector, server: GitHub, order: Ordered, tools: ConnectorDeps
    ) -> None:
        user = server.join("Ana-Dev", EMAIL.upper())
        server.join("not-ana", f"x{EMAIL}")
        asked = self.by_email(order)
        it.grant(asked)
        assert server.may("Ana-Dev", "deployers") and tools.pins.get("it", ANA) == str(user.id)
        user.email = None
        server.join("other", EMAIL)
        it.grant(replace(asked, grant="g-later", person=a_person(ANA, "new@example.com")))
        assert not server.may("other", "deployers")

    @pytest.mark.parametrize("known", [0, 2])
    def test_nobody_or_two_with_the_e_mail_are_refused_with_what_to_do(
        self, it: Connector, server: GitHub, order: Ordered, known: int
    ) -> None:
        for number in range(known):
            server.join(f"ana-{number}", EMAIL)
        with pytest.raises(SystemRefused, match=r"by u0ana@example.com; pin the login: \[people"):
            it.grant(asked := self.by_email(order))
        with pytest.raises(SystemRefused, match="Slack has no e-mail"):
            it.grant(replace(asked, person=a_person(ANA, "")))

    @pytest.mark.parametrize("email", ['a"b@example.com', "a b@example.com", "a\\b@example.com"])
    def test_an_e_mail_that_could_mean_more_in_a_search_is_not_searched_for(
        self, it: Connector, order: Ordered, email: str
    ) -> None:
        with pytest.raises(SystemRefused, match="GitHub knows nobody"):
            it.grant(self.by_email(order, email))

    def test_a_search_that_is_not_finished_decides_nothing(
        self, it: Connector, server: GitHub, order: Ordered
    ) -> None:
        server.join("ana-dev", EMAIL)
        server.incomplete = True
        with pytest.raises(SystemUnavailable, match="did not finish"):
            it.grant(self.by_email(order))

    def test_an_address_that_went_to_somebody_else_does_not_bring_the_first_one_s_account(
        self, it: Connector, server: GitHub, order: Ordered
    ) -> None:
        server.join("ana-dev", EMAIL)
        it.grant(self.by_email(order))
        with pytest.raises(SystemRefused, match="belongs to another person"):
            it.grant(self.by_email(order, EMAIL, CARA))

    def test_who_is_not_in_the_organisation_is_not_invited(
        self, it: Connector, server: GitHub, order: Ordered
    ) -> None:
        server.join("stranger", state="")
        with pytest.raises(SystemRefused, match="stranger is not in the organisation acme"):
            it.grant(replace(order(), names={"github": "stranger"}))
        with pytest.raises(SystemRefused, match="no user nobody"):
            it.grant(replace(order(CARA), names={"github": "nobody"}))
        assert not any(call.startswith("PUT") for call in server.seen)

    def test_who_was_found_once_and_left_the_organisation_is_not_invited_either(
        self, it: Connector, server: GitHub, order: Ordered
    ) -> None:
        user = server.join("ana-dev", EMAIL)
        asked = self.by_email(order)
        it.grant(asked)
        it.revoke(asked)
        del server.org.members[user.id]
        with pytest.raises(SystemRefused, match="not in the organisation"):
            it.grant(replace(asked, grant="g-later"))
        assert not any(server.org.teams.values())

    def test_a_login_that_roles_toml_gives_to_one_is_not_found_for_another(
        self, it: Connector, server: GitHub, order: Ordered
    ) -> None:
        server.join("shared", EMAIL)
        it.grant(replace(order(CARA), names={"github": "shared"}))
        with pytest.raises(SystemRefused, match="belongs to another person"):
            it.grant(self.by_email(order))
        assert server.may("shared", "deployers")

    def test_an_invitation_that_is_not_accepted_is_no_access(
        self, it: Connector, server: GitHub, order: Ordered
    ) -> None:
        server.join("new", state="pending")
        with pytest.raises(SystemUnavailable, match="must accept the invitation") as waits:
            it.grant(replace(order(), names={"github": "new"}))
        assert (
            waits.value.to_person
            == f"Accept the invitation to acme on {urlsplit(server.url).netloc}."
        )

    def test_a_membership_that_is_pending_is_neither_active_nor_left_at_the_end(
        self, it: Connector, server: GitHub, order: Ordered
    ) -> None:
        server.invites, asked = True, order()
        with pytest.raises(SystemUnavailable, match="must accept the invitation") as waits:
            it.grant(asked)
        assert waits.value.to_person == "Accept the invitation to deployers on it."
        assert not it.read_back(asked)
        it.revoke(asked)
        assert not any(server.org.teams.values())

    def test_somebody_who_was_renamed_meanwhile_loses_it_under_the_new_name(
        self, it: Connector, server: GitHub, order: Ordered
    ) -> None:
        asked = order()
        it.grant(asked)
        user = server.named(ANA.lower())
        assert user is not None
        user.login = "ana-the-second"
        assert it.read_back(asked)
        it.revoke(asked)
        assert not any(server.org.teams.values())

    def test_a_login_that_changed_in_roles_toml_meanwhile_does_not_save_the_old_one(
        self, it: Connector, server: GitHub, order: Ordered
    ) -> None:
        asked = order()
        it.grant(asked)
        server.join("ana-new")
        other = replace(asked, grant="g-other", names={"github": "ana-new"})
        it.grant(other)
        it.revoke(replace(asked, names=other.names, kept=TEAMS))
        assert not server.may(ANA.lower(), "deployers") and server.may("ana-new", "deployers")

    # --- two at the same moment

    def test_a_grant_that_starts_while_another_ends_has_what_it_needs_in_the_end(
        self, it: Connector, rig: Rig, made: Made, delivery: Dispatcher, server: GitHub
    ) -> None:
        first = made.a_started(made.a_request("it"))
        delivery.drain(Queue.START)
        release_grant(made.world, first.id, ANA)
        asked = order_for(made.world, first.id, "it")  # nothing is to be kept at this moment
        assert asked is not None and asked.kept == ()
        second = made.a_started(made.a_request("also"))
        delivery.drain(Queue.START)
        it.revoke(asked)
        assert made.grant(second.id).state == "active" and not server.may(ANA.lower(), "deployers")
        delivery.drain(Queue.END)
        delivery.drain(Queue.START)
        assert server.may(ANA.lower(), "deployers") and not server.may(ANA.lower(), "on-call")

    # --- users and teams that can't be seen

    def test_a_user_who_is_hidden_still_has_it_until_the_team_s_list_says_otherwise(
        self, it: Connector, server: GitHub, order: Ordered
    ) -> None:
        asked, user = order(), server.named(ANA.lower())
        assert user is not None
        server.org.teams["deployers"] |= {
            server.join(f"other-{number}").id: "active" for number in range(1)
        }
        it.grant(asked)
        server.hidden.add(user.id)
        assert it.read_back(asked)
        with pytest.raises(SystemUnavailable, match="still there"):
            it.revoke(asked)
        for team in server.org.teams.values():
            team.pop(user.id)
        it.revoke(asked)
        assert not it.read_back(asked)

    def test_a_token_that_lost_its_rights_does_not_make_it_look_gone(
        self, it: Connector, server: GitHub, order: Ordered
    ) -> None:
        asked = order()
        it.grant(asked)
        server.blind = True
        for call in (it.revoke, it.read_back):
            with pytest.raises(SystemUnavailable, match="does not show the team"):
                call(asked)
        server.blind = False
        it.revoke(asked)
        assert not server.may(ANA.lower(), "deployers")

    def test_a_team_that_took_the_name_of_another_is_neither_asked_nor_changed(
        self, it: Connector, server: GitHub, order: Ordered
    ) -> None:
        asked, user = order(), server.named(ANA.lower())
        assert user is not None
        it.grant(asked)
        teams, server.ids["renamed"] = server.org.teams, server.ids["deployers"]
        teams["renamed"], teams["deployers"], server.ids["deployers"] = (
            teams["deployers"],
            {user.id: "active"},
            77,
        )
        for call in (it.revoke, it.read_back):
            with pytest.raises(SystemUnavailable, match="is another one now"):
                call(asked)
        assert teams["deployers"] == teams["renamed"] == {user.id: "active"}
        teams["deployers"], server.ids["deployers"] = (
            teams.pop("renamed"),
            server.ids.pop("renamed"),
        )
        it.revoke(asked)
        assert not any(teams.values())

    @pytest.mark.parametrize("team", ["none", "..", "a/b", "x?y", ""])
    def test_a_team_that_is_none_is_refused_whatever_its_name(
        self, it: Connector, order: Ordered, team: str
    ) -> None:
        with pytest.raises(SystemRefused):
            it.grant(replace(order(), actions=(team,)))

    # --- settings, limits, the doctor

    def test_the_doctor_hears_which_role_names_no_team(
        self, it: Connector, wrong_token: Connector
    ) -> None:
        assert isinstance(it, Checks) and isinstance(wrong_token, Checks)
        assert list(it.check({"it": TEAMS})) == []
        (trouble,) = it.check({"it": TEAMS, "more": ["gone"]})
        assert trouble.startswith("more: gone: ") and "no team" in trouble
        (trouble,) = wrong_token.check({"it": TEAMS})
        assert trouble == "127.0.0.1: Bad credentials (token_not_accepted)"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"org": "a/b"},
            {"org": ".."},
            {"url": "http://github.example.com"},
            {"url": "https://x/?a=b"},
            {"url": "x"},
        ],
    )
    def test_settings_that_can_t_be_right_are_refused(
        self, server: GitHub, tools: ConnectorDeps, wrong: dict[str, str]
    ) -> None:
        with pytest.raises(ValueError, match=r"org must|URL must"):
            make(settings(server, **wrong), tools)

    def test_the_token_is_in_no_representation(self, it: Connector, tmp_path: Path) -> None:
        assert TOKEN not in repr(vars(vars(it)["_members"]))


LIMITS: dict[str, tuple[int, dict[str, str], int | None]] = {
    "said in seconds": (429, {"retry-after": "9"}, 9),
    "a secondary limit": (403, {"retry-after": "60", "x-ratelimit-remaining": "12"}, 60),
    "used up": (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "NOW+30"}, 31),
    "used up until nobody knows": (403, {"x-ratelimit-remaining": "0"}, 60),
    "not allowed": (403, {"x-ratelimit-remaining": "12"}, None),
    "no limit": (200, {"x-ratelimit-remaining": "0"}, None),
}


@pytest.mark.parametrize(("status", "headers", "wait"), LIMITS.values(), ids=LIMITS)
def test_how_long_to_wait(
    status: int, headers: dict[str, str], wait: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    shown = {name: value.replace("NOW+30", "1800000030") for name, value in headers.items()}
    assert limited(Answer(status, shown, b"")) == wait
