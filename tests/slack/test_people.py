"""Accounts of Slack that count as full members, and the reading of all accounts."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk import WebClient

from bot.operations.people.record_people import find_person
from bot.sandbox import running_sandbox
from bot.slack import people
from bot.slack.people import person_from
from tests.factories import ANA, START, Made

UNFIT: dict[str, dict[str, Any]] = {
    "deactivated": {"deleted": True},
    "a bot": {"is_bot": True},
    "a guest": {"is_restricted": True},
    "a guest of one channel": {"is_ultra_restricted": True},
    "from a shared channel": {"is_stranger": True},
    "of another workspace": {"team_id": "T0OTHER"},
    "only invited": {"is_invited_user": True},
    "an e-mail that is not confirmed": {"is_email_confirmed": False},
}


@pytest.mark.parametrize("fields", UNFIT.values(), ids=UNFIT)
def test_only_a_full_member_is_eligible(fields: dict[str, Any]) -> None:
    user = {"id": ANA, "team_id": "T1", "profile": {"email": "ana@example.com"}}
    assert person_from({**user, **fields}, START, "T1").ineligible_reason() is not None


@pytest.mark.parametrize(
    "fields", [{}, {"is_email_confirmed": True}, {"is_invited_user": False}], ids=str
)
def test_a_full_member_requests_and_decides(fields: dict[str, Any]) -> None:
    user = {"id": ANA, "team_id": "T1", "profile": {"email": "ana@example.com"}}
    assert person_from({**user, **fields}, START, "T1").ineligible_reason() is None


def test_every_page_of_the_members_is_read_even_if_slack_asks_for_a_pause(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "PAGE", 4)
    with running_sandbox(rate_limits=False) as sandbox:
        env = sandbox.environment
        client = WebClient(env["SLACK_BOT_TOKEN"], base_url=env["SLACK_API_URL"], retry_handlers=[])
        everybody = [
            user["id"] for page in client.users_list(limit=200) for user in page["members"]
        ]
        sandbox.faults.rate_limited("users.list", 1, count=1)
        people.SlackPeople(client, made.world, lambda: "").refresh_people()
        assert len(sandbox.inspector.calls("users.list")) > len(everybody) / 4
    assert len(everybody) > 4
    assert [each for each in everybody if find_person(made.world, each) is None] == []
