"""One id leads from a click to the call of a connected system in the log."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from slack_bolt import BoltRequest, BoltResponse

from bot.config.logging import configure
from bot.connectors.fan_out import FanOut
from bot.core.correlation import correlated, current
from bot.core.effects import Queue
from bot.core.model import ProvisionOrder
from bot.slack.receiver import Receiver
from tests.delivery_harness import a_harness
from tests.factories import BEN


def test_a_click_and_the_call_of_the_system_have_one_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_harness(tmp_path) as harness:
        made, seen = harness.made, {}
        request = made.a_request()

        def click(_: BoltRequest) -> BoltResponse:
            seen["click"] = current()
            made.press(request.id, BEN)
            return BoltResponse(status=200)

        def grant(order: ProvisionOrder) -> None:
            seen["system"] = current()
            harness.system.held.add(order.grant)

        monkeypatch.setattr(harness.system, "grant", grant)
        receiver = Receiver(click)
        receiver.submit({"type": "block_actions", "user": {"id": BEN}}).result(5)
        receiver.close()
        for queue in (Queue.DECIDE, Queue.START):
            harness.turn(queue, 2)
        assert seen["click"] and seen["system"] == seen["click"]
        assert current() == ""


def test_a_call_on_another_thread_keeps_the_id() -> None:
    with correlated("abcd1234"):
        assert FanOut().ask({"shop": current}, 5) == {"shop": "abcd1234"}


@pytest.mark.parametrize("style", ["text", "json"])
def test_log_lines_have_the_id(
    style: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers[:])
    monkeypatch.setattr(root, "level", root.level)
    configure("INFO", style)
    log = logging.getLogger("bot.worker.dispatcher")
    log.info("before")
    with correlated("abcd1234"):
        log.info("within")
    before, within = capsys.readouterr().err.splitlines()
    if style == "json":
        assert "correlation" not in json.loads(before)
        assert json.loads(within)["correlation"] == "abcd1234"
    else:
        assert before.endswith("bot.worker.dispatcher: before")
        assert within.endswith("bot.worker.dispatcher: [abcd1234] within")
