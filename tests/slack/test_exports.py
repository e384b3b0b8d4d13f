"""The log is sent as a file only to a person who may read it at that moment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.core import effects
from bot.core.effects import Queue
from bot.operations._unit_of_work import unit
from bot.operations.claim_work import ClaimedQueue, Work
from bot.slack.messenger import Messenger
from tests.factories import BEN, LEA, Made


class Slack:
    """A Slack that accepts everything and remembers it."""

    def __init__(self, error: SlackApiError | None = None) -> None:
        self.error = error
        self.called: list[tuple[str, dict[str, Any]]] = []
        self.files: list[str] = []

    def api_call(
        self, method: str, json: dict[str, Any] | None = None, params: dict[str, Any] | None = None
    ) -> object:
        self.called.append((method, json or params or {}))
        return SimpleNamespace(data={"ok": True, "channel": {"id": "D1"}, "ts": "1.0"})

    def files_upload_v2(self, **given: Any) -> None:
        if self.error:
            raise self.error
        self.files.append(given["channel"])


def _send(made: Made, to: str, error: SlackApiError | None = None) -> Slack:
    slack = Slack(error)
    messenger = Messenger(slack, made.world)  # type: ignore[arg-type]
    made.forget_work()
    with unit(made.world) as u:
        u.do(effects.send_export(to, {}))
    queue = ClaimedQueue(made.world, Queue.SLACK, "me", 60)
    messenger.send_export(Work(queue, queue.take(1)))
    return slack


def test_a_lead_gets_the_file(made: Made) -> None:
    assert _send(made, LEA).files == ["D1"]
    assert made.events("audit:log:exported") == 1


@pytest.mark.parametrize("person", [LEA, BEN], ids=["who led when asking", "who never led"])
def test_a_former_lead_gets_a_refusal_instead_of_the_file(made: Made, person: str) -> None:
    made.set_groups(platform_leads=["U0NEW"])
    slack = _send(made, person)
    assert (slack.files, made.events("audit:log:exported")) == ([], 0)
    ((method, said),) = slack.called
    assert (method, said["channel"], "Only leads" in said["text"]) == (
        "chat.postMessage",
        person,
        True,
    )
    assert made.log("request:action:refused", "actor") == [(person,)]


def test_without_the_scope_for_files_the_lead_is_referred_to_the_command_line(made: Made) -> None:
    answer = SlackResponse(
        client=None,
        http_verb="POST",
        api_url="",
        req_args={},
        data={"ok": False, "error": "missing_scope", "needed": "files:write"},
        headers={},
        status_code=200,
    )
    slack = _send(made, LEA, SlackApiError("refused", answer))
    method, said = slack.called[-1]
    assert (method, said["channel"]) == ("chat.postMessage", LEA)
    assert "access-bot audit export" in said["text"]
