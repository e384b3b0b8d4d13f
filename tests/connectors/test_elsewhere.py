"""A system whose settings lead elsewhere while somebody has access there: the absence of access at
the new place proves no end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.app import build_systems, build_tools
from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS, for_order, make, target_of
from bot.core.approval import Refused
from bot.core.effects import Queue
from bot.core.errors import SystemUnavailable
from bot.core.model import Grant, GrantState, Membership
from bot.core.roles import System
from bot.operations.grants.record_results import order_for
from bot.operations.grants.release_grant import release_grant
from bot.operations.grants.renew_grant import Renewed, renew_grant
from bot.operations.systems.confirm_target import confirm_target
from bot.operations.systems.memberships import StoredMemberships
from bot.operations.usage.count_usage import UsageMeter
from bot.worker.dispatcher import Dispatcher
from tests.builders import WORKSPACE
from tests.connectors.receiver import SECRET, Receiver, running_receiver
from tests.factories import ANA, Made, make_world
from tests.fakes import FakeMessenger, FakePeople


@pytest.fixture(scope="module")
def receivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Receiver, Receiver]]:
    place = tmp_path_factory.mktemp
    with running_receiver(place("here")) as here, running_receiver(place("there")) as there:
        yield here, there


@dataclass
class Moving:
    """A system that is at `here` first."""

    made: Made
    here: Receiver
    there: Receiver

    def __post_init__(self) -> None:
        systems = build_systems(self.made.world)
        people, meter = FakePeople(), UsageMeter(self.made.world)
        self.systems = systems
        self.delivery = Dispatcher(self.made.world, systems, FakeMessenger(), people, meter)  # type: ignore[arg-type]

    def lead_to(self, receiver: Receiver) -> None:
        settings = f'url = "{receiver.url}"\nsecret = "{SECRET}"\nprivate = true\n'
        role = (
            'system = "it"\nactions = ["a"]\nrequesters = ["everyone"]\napprovers = ["@db-leads"]\n'
        )
        text = f'{WORKSPACE}\n[systems.it]\nconnector = "webhook"\n{settings}[roles.it]\n{role}'
        self.made.policies.append(parse_policy(text, "roles.toml", {}, KINDS))

    def active(self) -> Grant:
        grant = self.made.a_started(self.made.a_request("it"))
        self.delivery.drain(Queue.START)
        assert self.made.grant(grant.id).state is GrantState.ACTIVE
        return grant

    def ended(self, grant: Grant) -> bool:
        self.made.clock.at += 900
        self.delivery.drain(Queue.END)
        return self.made.grant(grant.id).state is GrantState.ENDED

    def open_at(self, receiver: Receiver, grant: Grant) -> bool:
        policy, order = self.made.world.policy(), order_for(self.made.world, grant.id, "it")
        assert order is not None
        self.lead_to(receiver)
        found = self.systems.of("it", "webhook").read_back(order)
        self.made.policies.append(policy)
        return found


@pytest.fixture
def moving(tmp_path: Path, receivers: tuple[Receiver, Receiver]) -> Iterator[Moving]:
    made = make_world(tmp_path)
    made.clock.at = 2_000_000_000  # the receivers use their own clock, and nothing may end there
    with closing(made.world.db):
        moving = Moving(made, *receivers)
        moving.lead_to(moving.here)
        yield moving


def test_the_grant_stays_ending_until_the_settings_are_put_back(moving: Moving) -> None:
    grant = moving.active()
    moving.lead_to(moving.there)
    release_grant(moving.made.world, grant.id, ANA)
    assert not moving.ended(grant) and moving.open_at(moving.here, grant)
    assert "it leads elsewhere in roles.toml" in moving.made.log("grant:end:failed", "detail")[0][0]
    moving.lead_to(moving.here)
    assert moving.ended(grant) and not moving.open_at(moving.here, grant)


def test_a_renewal_makes_nothing_at_the_new_place(moving: Moving) -> None:
    grant = moving.active()
    moving.made.clock.at += 1800
    assert isinstance(renew_grant(moving.made.world, grant.id, ANA), Renewed)
    moving.lead_to(moving.there)
    moving.delivery.drain(Queue.START)
    assert not moving.open_at(moving.there, grant)


def test_a_start_that_may_have_made_something_makes_nothing_elsewhere(moving: Moving) -> None:
    grant = moving.made.a_started(moving.made.a_request("it"))
    moving.here.kill()
    moving.delivery.drain(Queue.START)
    moving.here.start()
    moving.lead_to(moving.there)
    moving.made.clock.at += 900
    moving.delivery.drain(Queue.START)
    assert moving.made.grant(grant.id).state is GrantState.ENDING, (
        "the role is not what was approved"
    )
    assert not moving.open_at(moving.there, grant)
    moving.lead_to(moving.here)
    moving.ended(grant)
    assert moving.made.rows("SELECT state FROM leases WHERE grant_id = ?", grant.id) == [("ended",)]


def test_credentials_are_not_made_at_the_new_place(moving: Moving) -> None:
    grant = moving.active()
    moving.lead_to(moving.there)
    order = order_for(moving.made.world, grant.id, "it")
    assert order is not None
    with pytest.raises(SystemUnavailable, match="leads elsewhere"):
        for_order(moving.systems, order)


def test_a_confirmation_that_it_is_the_same_system_is_recorded_and_believed(moving: Moving) -> None:
    grant = moving.active()
    moving.lead_to(moving.there)
    release_grant(moving.made.world, grant.id, ANA)
    assert not moving.ended(grant)
    target = target_of(moving.systems.of("it", "webhook"))
    assert confirm_target(moving.made.world, "os:lea", "it", target) == 1
    assert isinstance(confirm_target(moving.made.world, "os:lea", "it", target), Refused)
    assert moving.ended(grant)
    assert moving.made.log("system:target:confirmed", "actor, system") == [("os:lea", "it")]


def test_another_server_can_be_confirmed_too_and_no_membership_is_forgotten(
    moving: Moving,
) -> None:
    """The server was restored or upgraded, and its settings are the same."""
    grant, memberships = moving.active(), StoredMemberships(moving.made.world)
    server, team = (
        Membership("it", grant.id, "", "7312", ""),
        Membership("it", grant.id, "ana", "team", "writers"),
    )
    other = Membership("another", grant.id, "", "7312", "")
    for membership in (server, team, other):
        memberships.note(membership)
    target = target_of(moving.systems.of("it", "webhook"))
    assert confirm_target(moving.made.world, "os:lea", "it", target) == 1
    left = [memberships.of_grant(system, grant.id) for system in ("it", "another")]
    assert left == [[team], [other]]


# --- the settings that identify a system

HOOK = {"url": "https://a.example.com/x", "secret": SECRET, "timeout": 10, "private": False}
COMMAND = {"argv": ["/bin/true", "-a"], "timeout": 30, "env": {}}
GITHUB = {"org": "acme", "token": "t"}
OKTA = {"url": "https://acme.okta.com", "token": "t"}
CLUSTER = {"server": "https://k.example.com", "token": "t", "ca": "/ca", "namespace": "shop"}
AWS = {
    "region": "eu-central-1",
    "instance_arn": "arn:aws:sso:::instance/ssoins-1234567890abcdef",
    "identity_store_id": "d-1234567890",
    "account_id": "123456789012",
}
DATABASE = {"url": "postgresql://bot:one@db.example.com/orders"}
SAME = {
    "another secret": ("webhook", HOOK, {"secret": SECRET + "x", "timeout": 5}),
    "another password": (
        "postgres",
        DATABASE,
        {"url": "postgresql://other:two@db.example.com/orders?sslmode=require"},
    ),
    "a longer time": ("command", COMMAND, {"timeout": 60, "env": {"A": "b"}}),
    "another token of a team": ("github", GITHUB, {"token": "u", "org": "Acme"}),
    "another token of a group": ("okta", OKTA, {"token": "u", "url": "https://acme.okta.com/"}),
    "another token of a cluster": ("kubernetes", CLUSTER, {"token": "u", "ca": "/cb"}),
}
OTHER = {
    "a URL": ("webhook", HOOK, {"url": "https://a.example.com/y"}),
    "a database": ("postgres", DATABASE, {"url": "postgresql://bot:one@db.example.com/other"}),
    "a server": ("postgres", DATABASE, {"url": "postgresql://bot:one@db2.example.com/orders"}),
    "an argument": ("command", COMMAND, {"argv": ["/bin/true", "-b"]}),
    "an organisation": ("github", GITHUB, {"org": "acme2"}),
    "a server of GitHub's": ("github", GITHUB, {"url": "https://git.example.com/api/v3"}),
    "an Okta": ("okta", OKTA, {"url": "https://beta.okta.com"}),
    "a cluster": ("kubernetes", CLUSTER, {"server": "https://l.example.com"}),
    "a namespace": ("kubernetes", CLUSTER, {"namespace": "bank"}),
    "the whole cluster": ("kubernetes", CLUSTER, {"namespace": None}),
    "an account": ("aws", AWS, {"account_id": "210987654321"}),
    "an instance": ("aws", AWS, {"instance_arn": AWS["instance_arn"] + "0"}),
}


def target(made: Made, kind: str, settings: dict[str, object]) -> str:
    return target_of(make(System("it", kind, settings), build_tools(made.world)))


@pytest.mark.parametrize(("kind", "settings", "changed"), SAME.values(), ids=SAME)
def test_a_new_password_does_not_make_it_another_system(
    moving: Moving, kind: str, settings: dict[str, object], changed: dict[str, object]
) -> None:
    assert (
        target(moving.made, kind, settings) == target(moving.made, kind, settings | changed) != ""
    )


@pytest.mark.parametrize(("kind", "settings", "changed"), OTHER.values(), ids=OTHER)
def test_a_new_address_makes_it_another_system(
    moving: Moving, kind: str, settings: dict[str, object], changed: dict[str, object]
) -> None:
    assert target(moving.made, kind, settings) != target(moving.made, kind, settings | changed)
