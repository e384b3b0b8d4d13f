"""The aws connector on a moto server, behind a front that is as slow as AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import cache
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.loaders import create_loader

from bot.connectors.aws import connector
from bot.connectors.base import AccessInstructions, Checks, Connector, ConnectorDeps, Shows
from bot.core.errors import OutcomeUnknown, SystemRefused, SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.core.roles import System
from tests.connectors.contract import Contract, Rig, unknown_there, without_email
from tests.connectors.shared_tests import SharedContract
from tests.connectors.standins.aws import Aws
from tests.connectors.standins.server import BUSY, HANG, LOST, Reply
from tests.factories import ANA, CARA, a_person

ACCOUNT, STORE, REGION = "123456789012", "d-1234567890", "eu-central-1"
SETS = ("ReadOnly", "Operator")
EMAIL = a_person(ANA).email
Ordered = Callable[..., ProvisionOrder]


@pytest.fixture(scope="module")
def front() -> Iterator[Aws]:
    with closing(Aws()) as server:
        yield server


LOADED = create_loader()
"""botocore's description of AWS. Each session would search hundreds of folders for it again."""


@cache
def straight(port: int) -> tuple[Any, Any]:
    """A client of moto itself, kept because it takes longer to make than a call."""
    keys = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "secret"}
    at = {"region_name": REGION, "endpoint_url": f"http://127.0.0.1:{port}", **keys}
    return boto3.client("sso-admin", **at), boto3.client("identitystore", **at)


class TestAws(Contract, SharedContract):
    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        known = {
            "ACCESS_KEY_ID": "AKIATEST",
            "SECRET_ACCESS_KEY": "secret",
            "CONFIG_FILE": "/dev/null",
        }
        for name, value in known.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setattr(connector, "PAUSES", (0.0,) * 8)
        monkeypatch.setattr(botocore.session, "create_loader", lambda _: LOADED)

    @pytest.fixture
    def server(self, front: Aws, _environment: None) -> Aws:
        front.reset()
        self.aws, self.users = front, {}
        self.sso, self.store = straight(front.moto_port)
        self.instance = self.sso.list_instances()["Instances"][0]["InstanceArn"]
        for name in (*SETS, "Other"):
            self.sso.create_permission_set(Name=name, InstanceArn=self.instance)
        for person in (ANA, CARA):
            self.join(a_person(person).email)
        return front

    def join(self, email: str) -> str:
        name = {"GivenName": "A", "FamilyName": "B"}
        shown = {
            "UserName": email,
            "DisplayName": email,
            "Name": name,
            "Emails": [{"Value": email, "Primary": True}],
        }
        self.users[email] = str(self.store.create_user(IdentityStoreId=STORE, **shown)["UserId"])
        return self.users[email]

    def arn(self, name: str) -> str:
        for arn in self.sso.list_permission_sets(InstanceArn=self.instance)["PermissionSets"]:
            asked = {"InstanceArn": self.instance, "PermissionSetArn": arn}
            if self.sso.describe_permission_set(**asked)["PermissionSet"]["Name"] == name:
                return str(arn)
        raise LookupError(name)

    def may(self, user: str, name: str) -> bool:
        """Whether the user has the permission set in the account, as moto itself says."""
        asked = {
            "InstanceArn": self.instance,
            "AccountId": ACCOUNT,
            "PermissionSetArn": self.arn(name),
        }
        found = self.sso.list_account_assignments(**asked)["AccountAssignments"]
        return any(each["PrincipalId"] == user for each in found)

    def settings(self, server: Aws, **more: str) -> System:
        known = {
            "region": REGION,
            "instance_arn": self.instance,
            "identity_store_id": STORE,
            "account_id": ACCOUNT,
        }
        return System("it", "aws", {**known, "endpoint_url": server.url} | more)

    @pytest.fixture
    def rig(self, server: Aws) -> Rig:
        def works(_it: Connector, order: ProvisionOrder) -> bool:
            for request in list(server.requests.values()):  # AWS goes on by itself
                while request.status == "IN_PROGRESS":
                    server.turn(request)
            return all(self.may(self.users[order.person.email], name) for name in order.actions)

        lines = "".join(
            f'{key} = "{value}"\n' for key, value in self.settings(server).settings.items()
        )
        return Rig(
            f'connector = "aws"\n{lines}',
            SETS,
            works,
            server.down,
            server.breaking,
            unfit=(without_email, unknown_there),
        )

    @pytest.mark.parametrize("known", ["Ana.Lopez@Example.com", "ana.lopez@example.com"])
    def test_a_user_is_found_by_the_address_as_slack_has_it_and_without_its_capitals(
        self, it: Connector, server: Aws, order: Ordered, known: str
    ) -> None:
        user = self.join(known)
        it.grant(replace(order(), person=a_person(ANA, "Ana.Lopez@Example.com")))
        assert self.may(user, SETS[0])

    def assign(self, email: str, name: str) -> None:
        target = {"TargetId": ACCOUNT, "TargetType": "AWS_ACCOUNT"}
        who = {"PrincipalType": "USER", "PrincipalId": self.users[email]}
        asked: dict[str, Any] = {
            "InstanceArn": self.instance,
            "PermissionSetArn": self.arn(name),
            **target,
            **who,
        }
        self.sso.create_account_assignment(**asked)

    def had(self, order: ProvisionOrder) -> None:
        self.assign(order.person.email, order.actions[0])

    # --- people and permission sets

    def test_a_person_is_found_once_and_then_linked_by_id(
        self, it: Connector, order: Ordered, tools: ConnectorDeps
    ) -> None:
        asked = order()
        it.grant(replace(asked, person=a_person(ANA, EMAIL.upper())))
        assert tools.pins.get("it", ANA) == self.users[EMAIL]
        other = self.join("new@example.com")
        it.grant(replace(asked, grant="g-later", person=a_person(ANA, "new@example.com")))
        assert not self.may(other, "ReadOnly")
        with pytest.raises(SystemRefused, match="belongs to another person"):
            it.grant(replace(order(CARA), person=a_person(CARA, EMAIL)))

    def test_a_start_without_a_user_of_that_e_mail_is_refused_and_its_end_succeeds(
        self, it: Connector, order: Ordered
    ) -> None:
        asked = replace(order(), person=a_person(ANA, "none@example.com"))
        with pytest.raises(SystemRefused, match="knows nobody by none@example"):
            it.grant(asked)
        it.revoke(asked)
        assert not it.read_back(asked)
        with pytest.raises(SystemRefused, match="Slack has no e-mail"):
            it.grant(replace(asked, person=a_person(ANA, "")))

    def test_a_permission_set_is_named_by_name_or_arn(self, it: Connector, order: Ordered) -> None:
        asked = replace(order(), actions=(self.arn("Other"),))
        it.grant(asked)
        assert self.may(self.users[EMAIL], "Other")
        it.revoke(asked)
        assert not self.may(self.users[EMAIL], "Other")
        with pytest.raises(SystemRefused, match="no permission set None"):
            it.grant(replace(asked, actions=("None",)))

    # --- AWS takes its time

    def test_a_slow_request_is_found_again_and_not_made_twice(
        self, it: Connector, server: Aws, order: Ordered, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connector, "PAUSES", (0.0,))
        asked, server.takes = replace(order(), actions=("ReadOnly",)), 12
        with pytest.raises(SystemUnavailable, match="still busy") as late:
            it.grant(asked)
        assert late.value.retry_after == 10
        monkeypatch.setattr(connector, "PAUSES", (0.0,) * 20)
        it.grant(asked)
        assert server.seen.count("CreateAccountAssignment") == 1 and self.may(
            self.users[EMAIL], "ReadOnly"
        )

    def test_an_end_waits_for_a_running_assignment_and_removes_it(
        self, it: Connector, rig: Rig, server: Aws, order: Ordered, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connector, "PAUSES", ())
        asked, server.takes = order(), 15
        with pytest.raises(SystemUnavailable):
            it.grant(asked)
        with pytest.raises(SystemUnavailable):
            it.revoke(asked)
        with pytest.raises(SystemUnavailable, match="still being made"):
            it.read_back(asked)
        monkeypatch.setattr(connector, "PAUSES", (0.0,) * 40)
        it.revoke(asked)
        assert not rig.works(it, asked) and not it.read_back(asked)

    def test_a_start_waits_for_a_running_removal_and_assigns_again(
        self, it: Connector, rig: Rig, server: Aws, order: Ordered, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = replace(order(), actions=("ReadOnly",))
        it.grant(asked)
        monkeypatch.setattr(connector, "PAUSES", ())
        server.takes = 15
        with pytest.raises(SystemUnavailable, match="still busy with the deletion"):
            it.revoke(asked)
        other = replace(asked, grant="g-other")
        with pytest.raises(SystemUnavailable, match="still busy with the deletion"):
            it.grant(other)
        monkeypatch.setattr(connector, "PAUSES", (0.0,) * 40)
        it.grant(other)
        assert it.read_back(other) and rig.works(it, other)

    def test_a_list_that_comes_late_neither_starts_nor_ends_anything_too_early(
        self, it: Connector, server: Aws, order: Ordered
    ) -> None:
        asked = replace(order(), actions=("ReadOnly",))
        server.lag = 1
        with pytest.raises(SystemUnavailable, match="not there yet"):
            it.grant(asked)
        it.grant(asked)
        server.lag = 1
        with pytest.raises(SystemUnavailable, match="still there"):
            it.revoke(asked)
        it.revoke(asked)
        assert not self.may(self.users[EMAIL], "ReadOnly")

    def test_a_failed_request_is_reported_with_its_reason_and_retried(
        self, it: Connector, server: Aws, order: Ordered
    ) -> None:
        asked, server.fails = order(), "Received a 403 status error: account is suspended."
        with pytest.raises(SystemUnavailable, match="account is suspended"):
            it.grant(asked)
        server.fails = ""
        it.grant(asked)
        server.fails = "Received a 500 status error."
        with pytest.raises(SystemUnavailable, match="still there"):
            it.revoke(asked)
        assert it.read_back(asked)

    # --- trouble

    def test_throttling_is_retried_and_a_lost_answer_is_an_unknown_outcome(
        self, it: Connector, rig: Rig, server: Aws, order: Ordered
    ) -> None:
        asked = order()
        with (
            server.failing(lambda number: BUSY),
            pytest.raises(SystemUnavailable, match="AWS: ThrottlingException"),
        ):
            it.grant(asked)
        with (
            server.failing(lambda number: LOST if number > 6 else None),
            pytest.raises(OutcomeUnknown),
        ):
            it.grant(asked)
        it.grant(asked)
        assert rig.works(it, asked)

    def test_a_call_of_a_hanging_system_stops_in_time(
        self, server: Aws, tools: ConnectorDeps, order: Ordered, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connector, "READ_TIMEOUT", 0.2)
        it = connector.make(self.settings(server), tools)
        with (
            server.failing(lambda number: HANG),
            pytest.raises(OutcomeUnknown, match="ReadTimeoutError"),
        ):
            it.grant(order())

    def test_a_refusal_of_our_account_is_final_and_shows_no_secret(
        self, it: Connector, server: Aws, order: Ordered, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = order()
        words = (
            "User: arn:aws:iam::1:user/bot is not authorized to perform: sso:ListAccountAssignments"
        )
        denied = Reply(400, {"__type": "AccessDeniedException", "message": words})
        monkeypatch.setattr(server, "_answer", lambda *_: denied)
        for call in (it.grant, it.revoke, it.read_back):
            with pytest.raises(
                SystemRefused, match=r"is not authorized to perform.* \(not_allowed\)"
            ):
                call(asked)
        assert isinstance(it, Checks)
        (trouble,) = it.check({"it": SETS})
        assert "not authorized" in trouble

    # --- the doctor, settings, what is shown

    def test_the_doctor_names_a_role_without_its_permission_set(self, it: Connector) -> None:
        assert isinstance(it, Checks)
        assert list(it.check({"it": SETS})) == []
        (trouble,) = it.check({"it": [*SETS, "Gone"]})
        assert trouble.startswith("it: Gone: ") and trouble.endswith("(no_permission_set)")

    def test_the_holder_reads_how_to_sign_in_and_nothing_secret(
        self, it: Connector, order: Ordered
    ) -> None:
        assert isinstance(it, Shows)
        way = it.credentials(order(), "")
        assert isinstance(way, AccessInstructions) and not way.secrets
        assert any("aws sso login" in line for line in way.how) and ACCOUNT in way.how[0]
        assert (
            "`aws configure sso --profile it`" in way.how[1]
            and "`aws sso login --profile it`" in way.how[1]
        )

    @pytest.mark.parametrize(
        "wrong", [{"endpoint_url": "http://aws.example.com"}, {"region": "not a region"}]
    )
    def test_impossible_settings_are_refused(
        self, server: Aws, tools: ConnectorDeps, wrong: dict[str, str]
    ) -> None:
        with pytest.raises(ValueError, match=r"URL must|AWS can't be asked"):
            connector.make(self.settings(server, **wrong), tools)
