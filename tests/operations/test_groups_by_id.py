"""Groups that roles.toml names by id are shown to people by their handles."""

from __future__ import annotations

import json

import pytest

from bot.core.approval import Refused
from bot.operations.audit.read_audit import may_audit
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.people.describe_person import describe_home
from bot.operations.policy.record_policy import record_loaded
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.request_access import Ask, request_access
from tests.builders import WORKSPACE
from tests.factories import ANA, BEN, LEA, Made, a_person


@pytest.fixture(autouse=True)
def by_id(made: Made) -> None:
    made.set_groups(leads=[LEA], asking=[ANA], deciding=[BEN])
    made.set_policy(
        workspace=WORKSPACE.replace("@platform-leads", "S0LEADS"),
        shop_admin='requesters = ["S0ASKING"]\napprovers = ["S0DECIDING"]',
    )


def test_a_refusal_names_the_handle(made: Made) -> None:
    refused = request_access(made.world, Ask(BEN, "shop-admin", "because", 3600))
    assert isinstance(refused, Refused) and "only for @asking." in refused.reason
    refused = may_audit(made.world, BEN)
    assert isinstance(refused, Refused) and "Only leads (@leads)" in refused.reason


def test_the_approval_message_and_app_home_name_the_handle(made: Made) -> None:
    request = made.a_request()
    card = describe_request(made.world, request.id)
    assert card and card.groups == ("@deciding",)
    assert describe_home(made.world, ANA).approvers["shop-admin"] == ("@deciding",)


def test_a_change_of_the_file_is_reported_with_handles_and_recorded_with_ids(made: Made) -> None:
    record_loaded(made.world, made.world.policy())
    made.know(a_person(ANA))
    made.set_policy(shop_admin=f'requesters = ["S0DECIDING", "{ANA}"]')
    record_loaded(made.world, made.world.policy())
    (told,) = [
        json.loads(data)
        for (data,) in made.rows("SELECT data FROM outbox WHERE kind = 'notify_security'")
    ]
    (looser,) = [each for each in told["looser"] if "requesters" in each]
    assert f"S0DECIDING (@deciding), {ANA} ({a_person(ANA).name})" in looser
    ((detail,),) = made.log("policy:file:loaded", "detail")[-1:]
    assert f"requesters: added S0DECIDING, {ANA}; removed S0ASKING" in detail


def test_a_refused_start_names_the_handle(made: Made) -> None:
    grant = made.a_started(made.a_request())
    made.set_groups(leads=[LEA], asking=[BEN], deciding=[BEN])
    assert begin_attempt(made.world, grant.id) == []
    ((detail,),) = made.log("grant:end:asked", "detail")
    assert "only for @asking now" in detail
