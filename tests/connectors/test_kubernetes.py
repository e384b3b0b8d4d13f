"""The kubernetes connector, by TLS on a fake server that follows the published API reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bot.connectors.base import AccessInstructions, Checks, Connector, ConnectorDeps, Lists, Shows
from bot.connectors.kubernetes import Kubernetes as Connecting
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.core.roles import System
from tests.connectors.contract import Contract, Rig, without_email
from tests.connectors.raw_server import certificate
from tests.connectors.shared_tests import RestContract
from tests.connectors.standins.kubernetes import TOKEN, Kubernetes
from tests.factories import ANA, CARA, a_person

EMAIL = a_person(ANA).email
Ordered = Callable[..., ProvisionOrder]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kubernetes, str]]:
    tls, trusted = certificate(tmp_path_factory.mktemp("tls"), "localhost")
    with closing(Kubernetes(tls)) as server:
        yield server, trusted


class InNamespace(Contract, RestContract):
    """Roles of a namespace and of the cluster, bound in the namespace."""

    __test__ = False
    namespace = "prod"
    actions = ("deployer", "view")

    @pytest.fixture
    def server(self, cluster: tuple[Kubernetes, str]) -> Kubernetes:
        server, _ = cluster
        server.bindings.clear()
        server.forbidden, server.sticky, server.seen = set(), False, []
        return server

    def settings(self, cluster: tuple[Kubernetes, str], **more: str) -> System:
        server, trusted = cluster
        place = {"namespace": self.namespace} if self.namespace else {}
        return System(
            "it", "kubernetes", {"server": server.url, "token": TOKEN, "ca": trusted} | place | more
        )

    @pytest.fixture
    def rig(self, server: Kubernetes, cluster: tuple[Kubernetes, str]) -> Rig:
        def works(_it: Connector, order: ProvisionOrder) -> bool:
            user = order.names.get("kubernetes", order.person.email)
            return all(server.may(user, "prod", role) for role in order.actions)

        settings = self.settings(cluster).settings
        lines = 'connector = "kubernetes"\n' + "".join(
            f'{key} = "{value}"\n' for key, value in settings.items()
        )
        return Rig(lines, self.actions, works, server.down, server.breaking, unfit=(without_email,))

    @pytest.fixture
    def wrong_token(self, cluster: tuple[Kubernetes, str], tools: ConnectorDeps) -> Connector:
        return Connecting(self.settings(cluster, token="not-the-token"), tools)


class TestKubernetes(InNamespace):
    __test__ = True

    def test_what_is_made_says_whose_it_is(
        self, it: Connector, server: Kubernetes, order: Ordered
    ) -> None:
        asked = order()
        it.grant(asked)
        first, second = (
            server.bindings["prod", f"access-{asked.grant}{more}"] for more in ("", "-2")
        )
        assert first["metadata"]["labels"] == {
            "app.kubernetes.io/managed-by": "access-bot",
            "access-bot/system": "it",
            "access-bot/grant": asked.grant,
        }
        assert [each["roleRef"]["kind"] for each in (first, second)] == ["Role", "ClusterRole"]
        assert [subject["name"] for subject in first["subjects"]] == [EMAIL]

    @pytest.mark.parametrize("named", ["", "Ana (Prod)"], ids=["their address", "their name there"])
    def test_the_binding_has_the_name_with_its_capitals_that_the_cluster_knows(
        self, it: Connector, server: Kubernetes, order: Ordered, named: str
    ) -> None:
        address = "Ana.Lopez+Prod@Example.com"
        names = {"kubernetes": named} if named else {}
        asked = replace(order(), person=a_person(ANA, address), names=names)
        it.grant(asked)
        assert server.may(named or address, "prod", "view")
        assert not server.may(address.lower(), "prod", "view")
        assert isinstance(it, Shows)
        way = it.credentials(asked, "")
        assert isinstance(way, AccessInstructions) and (named or address) in way.how[0]

    def test_the_holder_is_told_as_whom_and_how_to_see_what_it_allows(
        self, it: Connector, order: Ordered
    ) -> None:
        assert isinstance(it, Shows)
        way = it.credentials(order(), "")
        assert isinstance(way, AccessInstructions) and not way.secrets
        assert EMAIL in way.how[0] and (self.namespace or "whole cluster") in way.how[0]
        option = f" --namespace {self.namespace}" if self.namespace else ""
        assert way.how[1] == f"`kubectl auth can-i --list{option}` shows what you may do."

    def test_a_role_that_is_none_or_that_we_may_not_give_is_refused(
        self, it: Connector, order: Ordered
    ) -> None:
        asked = order()
        with pytest.raises(SystemRefused, match="no Role or ClusterRole none"):
            it.grant(replace(asked, actions=("none",)))
        with pytest.raises(SystemRefused, match="cannot bind admin"):
            it.grant(replace(asked, actions=("view", "admin")))
        it.revoke(replace(asked, actions=("view", "admin")))
        assert not it.read_back(replace(asked, actions=("view",)))

    @pytest.mark.parametrize("role", ["..", "view/../admin", "a?b=c", ""])
    def test_a_name_leads_nowhere_else(
        self, it: Connector, server: Kubernetes, order: Ordered, role: str
    ) -> None:
        with pytest.raises(SystemRefused):
            it.grant(replace(order(), actions=(role,)))
        assert not server.bindings

    def test_somebody_without_an_e_mail_is_refused_and_ends_well(
        self, it: Connector, order: Ordered
    ) -> None:
        asked = replace(order(), person=a_person(ANA, ""))
        with pytest.raises(SystemRefused, match="no e-mail"):
            it.grant(asked)
        it.revoke(asked)
        assert not it.read_back(asked)

    def test_an_end_finds_it_whatever_the_e_mail_has_become_and_a_renewal_follows_it(
        self, it: Connector, server: Kubernetes, order: Ordered
    ) -> None:
        asked = order()
        it.grant(asked)
        later = replace(asked, person=a_person(ANA, "new@example.com"))
        it.grant(later)
        assert server.may("new@example.com", "prod", "view") and not server.may(
            EMAIL, "prod", "view"
        )
        it.revoke(asked)
        assert not server.bindings

    def test_a_role_of_the_same_name_does_not_take_over_what_is_bound(
        self, it: Connector, server: Kubernetes, order: Ordered
    ) -> None:
        asked = order()
        it.grant(asked)
        server.roles.add(("prod", "view"))
        it.grant(asked)
        server.roles.discard(("prod", "view"))
        assert (
            server.bindings["prod", f"access-{asked.grant}-2"]["roleRef"]["kind"] == "ClusterRole"
        )

    def test_a_binding_that_somebody_else_made_by_that_name_is_not_touched_by_a_start(
        self, it: Connector, server: Kubernetes, order: Ordered
    ) -> None:
        asked = order()
        it.grant(asked)
        binding = server.bindings["prod", f"access-{asked.grant}"]
        binding["metadata"]["labels"] = {"mine": "yes"}
        with pytest.raises(SystemRefused, match="did not make"):
            it.grant(asked)
        it.revoke(asked)
        assert not server.bindings

    def test_what_a_finalizer_keeps_is_still_there(
        self, it: Connector, server: Kubernetes, order: Ordered
    ) -> None:
        asked = order()
        it.grant(asked)
        server.sticky = True
        it.revoke(asked)
        assert it.read_back(asked)

    def test_more_than_a_page_is_listed_and_only_what_is_ours(
        self, it: Connector, server: Kubernetes, order: Ordered
    ) -> None:
        assert isinstance(it, Lists)
        one = order()
        asked = [replace(one, grant=f"g{number}") for number in range(4)]
        for each in asked:
            it.grant(each)
        other = {
            "metadata": {"name": "theirs", "labels": {}},
            "roleRef": {"name": "view"},
            "subjects": [],
        }
        server.bindings["prod", "theirs"] = other
        found = {each.grant: each for each in it.list_active()}
        assert set(found) == {each.grant for each in asked}
        assert found["g1"].detail == f"deployer for {EMAIL}; view for {EMAIL}"
        it.remove(replace(found["g1"], name=f"theirs, {found['g1'].name}"))
        assert set(found) - {each.grant for each in it.list_active()} == {"g1"}
        assert ("prod", "theirs") in server.bindings

    def test_the_doctor_hears_what_our_account_may_not_do(
        self, it: Connector, wrong_token: Connector, server: Kubernetes
    ) -> None:
        assert isinstance(it, Checks) and isinstance(wrong_token, Checks)
        assert list(it.check({"it": self.actions})) == [] and not server.bindings
        none, admin = it.check({"it": ["none", "admin"]})
        assert none == "it: none: there is no Role or ClusterRole none (no_role)"
        assert admin.startswith("it: admin: localhost: ") and admin.endswith(" (not_allowed)")
        server.forbidden = {"delete"}
        assert list(it.check({})) == ["our token may not delete rolebindings"]
        (trouble,) = wrong_token.check({"it": self.actions})
        assert trouble == "localhost: Unauthorized (token_not_accepted)"

    def test_a_cluster_with_another_certificate_is_not_called(
        self, cluster: tuple[Kubernetes, str], tools: ConnectorDeps, order: Ordered, tmp_path: Path
    ) -> None:
        _, other = certificate(tmp_path, "localhost")
        it = Connecting(self.settings(cluster, ca=other), tools)
        with pytest.raises(SystemUnavailable, match="certificate is not valid"):
            it.grant(order(CARA))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"namespace": "a/b"},
            {"namespace": ".."},
            {"server": "http://cluster.example.com"},
            {"ca": "-----BEGIN"},
        ],
    )
    def test_settings_that_can_t_be_right_are_refused(
        self, cluster: tuple[Kubernetes, str], tools: ConnectorDeps, wrong: dict[str, str]
    ) -> None:
        with pytest.raises(ValueError, match=r"namespace must|URL must|ca must"):
            Connecting(self.settings(cluster, **wrong), tools)


class TestClusterWide(InNamespace):
    """ClusterRoles, bound everywhere."""

    __test__ = True
    namespace = ""
    actions = ("view", "system:pod-restarter")

    def test_a_role_of_a_namespace_is_not_meant(self, it: Connector, order: Ordered) -> None:
        with pytest.raises(SystemRefused, match="no Role or ClusterRole deployer"):
            it.grant(replace(order(), actions=("deployer",)))
