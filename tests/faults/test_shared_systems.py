"""From a click in Slack to a team, a group, a role binding and an assignment that let a person in,
and to none of them after the end; each on the stand-in of its connector's own tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import boto3
import pytest

from tests.connectors.raw_server import certificate
from tests.connectors.standins import github, kubernetes, okta
from tests.connectors.standins.aws import Aws
from tests.faults.running_bot import ROLES, Company, running_company
from tests.waiting import until

ANA = "ana@example.com"
STORE, ACCOUNT, REGION = "d-1234567890", "123456789012", "eu-central-1"
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIATEST",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_CONFIG_FILE": "/dev/null",
}

ROLE = """
[systems.{kind}]
connector = "{kind}"
{settings}

[roles.{kind}-role]
title = "A role on {kind}"
system = "{kind}"
actions = {actions}
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "1h"
"""


@dataclass
class Place:
    """One system: its settings, what its role gives, and whether a person (by e-mail) gets in."""

    settings: dict[str, str]
    actions: list[str]
    gets_in: Callable[[str], bool]

    def toml(self, kind: str) -> str:
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in self.settings.items())
        return ROLE.format(kind=kind, settings=lines, actions=json.dumps(self.actions))


def on_github(stack: ExitStack, people: list[str]) -> Place:
    server = stack.enter_context(closing(github.GitHub()))
    for email in people:
        server.join(email.partition("@")[0], email)
    settings = {"org": "acme", "token": github.TOKEN, "url": server.url}
    return Place(
        settings, ["deployers"], lambda email: server.may(email.partition("@")[0], "deployers")
    )


def on_okta(stack: ExitStack, people: list[str]) -> Place:
    server = stack.enter_context(closing(okta.Okta()))
    server.add("Operators")
    for email in people:
        server.join(email)
    return Place(
        {"url": server.url, "token": okta.TOKEN},
        ["Operators"],
        lambda email: server.may(email, "Operators"),
    )


def on_kubernetes(stack: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Place:
    tls, trusted = certificate(tmp_path_factory.mktemp("tls"), "localhost")
    server = stack.enter_context(closing(kubernetes.Kubernetes(tls)))
    settings = {"server": server.url, "token": kubernetes.TOKEN, "ca": trusted, "namespace": "prod"}
    return Place(
        settings, ["deployer", "view"], lambda email: server.may(email, "prod", "deployer")
    )


def on_aws(stack: ExitStack, people: list[str]) -> Place:
    server = stack.enter_context(closing(Aws()))
    server.reset()  # moto keeps its data in this process, also those of other tests
    at = {"region_name": REGION, "endpoint_url": f"http://127.0.0.1:{server.moto_port}"}
    secrets = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "secret"}
    sso, store = (
        boto3.client("sso-admin", **at, **secrets),
        boto3.client("identitystore", **at, **secrets),
    )
    instance = sso.list_instances()["Instances"][0]["InstanceArn"]
    arn = sso.create_permission_set(Name="Operator", InstanceArn=instance)["PermissionSet"][
        "PermissionSetArn"
    ]
    ids = {
        email: store.create_user(
            IdentityStoreId=STORE,
            UserName=email,
            DisplayName=email,
            Name={"GivenName": "A", "FamilyName": "B"},
            Emails=[{"Value": email, "Primary": True}],
        )["UserId"]
        for email in people
    }

    def gets_in(email: str) -> bool:
        asked = {"InstanceArn": instance, "AccountId": ACCOUNT, "PermissionSetArn": arn}
        return any(
            a["PrincipalId"] == ids[email]
            for a in sso.list_account_assignments(**asked)["AccountAssignments"]
        )

    settings = {
        "region": REGION,
        "instance_arn": instance,
        "identity_store_id": STORE,
        "account_id": ACCOUNT,
    }
    return Place(settings | {"endpoint_url": server.url}, ["Operator"], gets_in)


@dataclass
class World:
    company: Company
    places: dict[str, Place]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        company = stack.enter_context(
            running_company(tmp_path_factory.mktemp("company"), environment=KEYS)
        )
        found = World(company, {})
        people = [ANA]
        found.places |= {"github": on_github(stack, people), "okta": on_okta(stack, people)}
        found.places |= {
            "kubernetes": on_kubernetes(stack, tmp_path_factory),
            "aws": on_aws(stack, people),
        }
        company.roles.write_text(
            ROLES + "".join(place.toml(kind) for kind, place in found.places.items())
        )
        company.start()
        yield found
        assert company.complaints() == []


@pytest.mark.parametrize("kind", ["github", "okta", "kubernetes", "aws"])
def test_a_click_gives_the_access_and_done_removes_it(world: World, kind: str) -> None:
    company, place, who = world.company, world.places[kind], world.company.ana
    assert not place.gets_in(ANA)
    company.hold(who, f"{kind}-role", "1h a look")
    assert place.gets_in(ANA)
    company.access(who, f"done {kind}-role")
    until(lambda: company.grant(who, f"{kind}-role")[1] == "ended")
    assert not place.gets_in(ANA)
