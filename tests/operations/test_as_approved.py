"""Active access opens only what was approved: a later edit of roles.toml gives its holder nothing
more."""

from __future__ import annotations

import json

import pytest

from bot.app import build_systems
from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.connectors.credentials import CredentialService
from bot.core.approval import Refused
from bot.core.model import Grant
from bot.core.observed import Prompt
from bot.operations.grants.release_grant import Ending, release_grant
from bot.operations.grants.renew_grant import Renewed, renew_grant
from bot.operations.grants.show_credentials import Credentials, show_credentials
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.request_access import Submitted
from tests.builders import ENVIRON, SYSTEMS, policy_text
from tests.factories import ANA, BEN, Made, a_person

HOST = """
[systems.bastion]
connector = "ssh"
ca_key = "/keys/ca"
principals = ["deploy", "${ACCOUNT}"]
secret = "${HOST_SECRET}"
source_address = "10.0.0.0/8"
force_command = "/usr/bin/menu"
"""
ROLE = """
title = "Bastion"
system = "bastion"
actions = ["pty"]
requesters = ["everyone"]
approvers = ["@db-leads"]
"""
FIRST = {"ACCOUNT": "backup", "HOST_SECRET": "a-secret-of-the-hosts-0123"}

WIDER = {
    "principals": ('"deploy"', '"root"', {}),
    "principals from the environment": ("", "", {"ACCOUNT": "root"}),
    "source_address": ("10.0.0.0/8", "0.0.0.0/0", {}),
    "force_command": ('force_command = "/usr/bin/menu"', "", {}),
    "the system is gone": ("[systems.bastion]", "[systems.other]", {}),
}
HARMLESS = {
    "title, approvers and limits": (
        "",
        "",
        {},
        'title = "Hosts"\napprovers = ["@sre"]\nmax_renewals = 5\n',
    ),
    "more actions": ("", "", {}, 'actions = ["pty", "port-forwarding"]'),
    "more approvals": ("", "", {}, "approvals = 2\nrenewal_approval = false"),
    "a new secret": ("", "", {"HOST_SECRET": "another-secret-of-the-hosts"}, ""),
    "a secret in clear": ("${HOST_SECRET}", "another-secret-of-the-hosts", {}, ""),
}


def load(
    made: Made, old: str = "", new: str = "", environ: dict[str, str] | None = None, more: str = ""
) -> None:
    """Loads the file with one change; if the system has another name, the role is on that one."""
    hosts = HOST.replace(old, new) if old else HOST
    role = ROLE if "[systems.bastion]" in hosts else ROLE.replace('"bastion"', '"other"')
    again = {line.partition(" =")[0] for line in more.splitlines()}
    lines = (
        "\n".join(line for line in role.splitlines() if line.partition(" =")[0] not in again)
        + f"\n{more}"
    )
    text = policy_text(systems=SYSTEMS + hosts, hosts=lines)
    made.policies.append(
        parse_policy(text, "roles.toml", {**ENVIRON, **FIRST, **(environ or {})}, KINDS)
    )
    made.resolve()


@pytest.fixture
def grant(made: Made) -> Grant:
    load(made)
    grant = made.a_grant("hosts")
    made.clock.at += 1800
    return grant


@pytest.mark.parametrize(("old", "new", "environ"), WIDER.values(), ids=WIDER)
class TestChangedSettings:
    def test_give_no_credentials(
        self, made: Made, grant: Grant, old: str, new: str, environ: dict[str, str]
    ) -> None:
        load(made, old, new, environ)
        refused = show_credentials(made.world, grant.id, ANA)
        assert isinstance(refused, Refused)
        assert "bastion" in refused.reason and "ask again" in refused.reason
        (detail,) = made.log("request:action:refused", "detail")[-1]
        assert json.loads(detail)["why"] == refused.reason
        assert made.events("grant:credentials:shown") == 0

    def test_are_not_renewed_without_approval(
        self, made: Made, grant: Grant, old: str, new: str, environ: dict[str, str]
    ) -> None:
        load(made, old, new, environ)
        refused = renew_grant(made.world, grant.id, ANA)
        assert isinstance(refused, Refused) and made.events("request:action:refused") == 1
        assert made.grant(grant.id) == grant, "what is in hand ends as planned"

    def test_give_nothing_to_a_person_who_was_approved_before_them(
        self, made: Made, grant: Grant, old: str, new: str, environ: dict[str, str]
    ) -> None:
        shown = show_credentials(made.world, grant.id, ANA)
        assert isinstance(shown, Credentials)
        ways = CredentialService(build_systems(made.world))
        assert isinstance(ways.ask(shown.orders, {})["bastion"].result(20), Prompt)
        load(made, old, new, environ)
        assert "not those that were approved" in str(
            ways.ask(shown.orders, {})["bastion"].result(20)
        )


@pytest.mark.parametrize(("old", "new", "environ", "more"), HARMLESS.values(), ids=HARMLESS)
def test_a_change_that_opens_nothing_more_changes_nothing_for_the_holder(
    made: Made, grant: Grant, old: str, new: str, environ: dict[str, str], more: str
) -> None:
    load(made, old, new, environ, more)
    assert isinstance(show_credentials(made.world, grant.id, ANA), Credentials)
    assert isinstance(renew_grant(made.world, grant.id, ANA), Renewed)


def test_settings_that_were_put_back_count_as_approved(made: Made, grant: Grant) -> None:
    load(made, '"deploy"', '"root"')
    load(made)
    assert isinstance(show_credentials(made.world, grant.id, ANA), Credentials)


def test_an_approved_renewal_approves_the_present_settings(made: Made, grant: Grant) -> None:
    load(made, '"deploy"', '"ops"', more="renewal_approval = true")
    asked = renew_grant(made.world, grant.id, ANA)
    assert isinstance(asked, Submitted)
    assert isinstance(show_credentials(made.world, grant.id, ANA), Refused)
    assert isinstance(approve_request(made.world, asked.request.id, a_person(BEN)), Granted)
    assert isinstance(show_credentials(made.world, grant.id, ANA), Credentials)
    load(made)
    assert isinstance(show_credentials(made.world, grant.id, ANA), Refused)


def test_access_from_before_the_upgrade_gets_nothing_more_and_ends_as_usual(
    made: Made, grant: Grant
) -> None:
    with made.world.db.transaction():
        made.world.db.run("UPDATE leases SET reach = ''")
    assert isinstance(show_credentials(made.world, grant.id, ANA), Refused)
    assert isinstance(renew_grant(made.world, grant.id, ANA), Refused)
    assert isinstance(release_grant(made.world, grant.id, ANA), Ending)
