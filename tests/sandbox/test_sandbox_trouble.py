"""Rate limits and faults of the Web API, seen through Slack's own client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from bot.sandbox import Sandbox, SandboxError, running_sandbox
from bot.sandbox.limits import RateLimits

APPROVALS = "#access-approvals"


@pytest.fixture
def once(sandbox: Sandbox) -> WebClient:
    """A client that never retries."""
    env = sandbox.environment
    return WebClient(
        env["SLACK_BOT_TOKEN"], base_url=env["SLACK_API_URL"], retry_handlers=[], timeout=1
    )


def post(client: WebClient) -> Any:
    return client.chat_postMessage(channel=APPROVALS, text="x")


def posted(sandbox: Sandbox) -> int:
    return len(sandbox.inspector.messages(APPROVALS))


def test_posting_fast_into_one_channel_is_limited_and_another_channel_is_not() -> None:
    with running_sandbox() as sandbox:
        env = sandbox.environment
        client = WebClient(env["SLACK_BOT_TOKEN"], base_url=env["SLACK_API_URL"])
        sandbox.admin.rate_limits(methods={"chat.postMessage": (1, 3)})
        for _ in range(3):
            post(client)
        with pytest.raises(SlackApiError) as limited:
            post(client)
        assert limited.value.response.status_code == 429
        assert limited.value.response["error"] == "ratelimited"
        assert int(limited.value.response.headers["Retry-After"]) >= 1
        assert client.chat_postMessage(channel="#db-approvals", text="x")["ok"]
        sandbox.admin.rate_limits(on=False)
        assert post(client)["ok"]


def test_a_rate_limit_recovers_with_time() -> None:
    limits = RateLimits()
    waits = [limits.wait("chat.postMessage", "C1", now) for now in [0.0] * 9 + [1.0, 1.0]]
    assert waits == [0] * 8 + [1, 0, 1]
    assert limits.wait("users.list", "", 0.0) == 0


STATUS: dict[str, tuple[Callable[[Sandbox], None], int, str]] = {
    "429": (lambda s: s.faults.rate_limited("chat.postMessage", 7), 429, "ratelimited"),
    "502": (lambda s: s.faults.http("chat.postMessage", 502), 502, ""),
    "internal": (lambda s: s.faults.internal_error("*"), 200, "internal_error"),
    "auth": (lambda s: s.faults.invalid_auth("chat.postMessage"), 200, "invalid_auth"),
}


@pytest.mark.parametrize(("fault", "status", "error"), STATUS.values(), ids=STATUS)
def test_a_failing_call_has_no_effect_until_the_fault_is_cleared(
    sandbox: Sandbox, once: WebClient, fault: Callable[[Sandbox], None], status: int, error: str
) -> None:
    fault(sandbox)
    with pytest.raises(SlackApiError) as refused:
        post(once)
    assert refused.value.response.status_code == status
    assert error in str(refused.value.response)
    assert posted(sandbox) == 0
    sandbox.faults.clear()
    assert post(once)["ok"]


def test_a_reset_loses_the_call_and_a_lost_answer_only_the_answer(
    sandbox: Sandbox, once: WebClient
) -> None:
    sandbox.faults.reset("chat.postMessage", count=1)
    with pytest.raises((OSError, HTTPException)):
        post(once)
    assert posted(sandbox) == 0
    sandbox.faults.lost_answer("chat.postMessage", count=1)
    with pytest.raises((OSError, HTTPException)):
        post(once)
    assert posted(sandbox) == 1
    assert [call["lost"] for call in sandbox.inspector.calls("chat.postMessage")] == [True, True]
    assert post(once)["ok"]


def test_slacks_own_retry_after_a_lost_answer_posts_twice(
    sandbox: Sandbox, client: WebClient
) -> None:
    sandbox.faults.lost_answer("chat.postMessage", count=1)
    post(client)
    assert posted(sandbox) == 2


def test_slacks_own_handler_waits_out_a_rate_limit(sandbox: Sandbox, client: WebClient) -> None:
    client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=1))
    sandbox.faults.rate_limited("chat.postMessage", 1, count=1)
    assert post(client)["ok"]
    assert [call["status"] for call in sandbox.inspector.calls("chat.postMessage")] == [429, 200]


def test_a_hanging_call_ends_without_effect(sandbox: Sandbox, once: WebClient) -> None:
    sandbox.faults.hang("chat.postMessage")
    with pytest.raises(TimeoutError):
        post(once)
    sandbox.faults.clear()
    assert posted(sandbox) == 0


def test_clearing_releases_a_hanging_call(sandbox: Sandbox, client: WebClient) -> None:
    client.retry_handlers.clear()
    sandbox.faults.hang("auth.test")
    ended = threading.Event()

    def call() -> None:
        with pytest.raises((OSError, HTTPException)):
            client.auth_test()
        ended.set()

    thread = threading.Thread(target=call)
    thread.start()
    sandbox.wait_for(lambda: sandbox.inspector.hanging() == 1)
    sandbox.faults.clear()
    assert ended.wait(10)
    thread.join()


def test_latency_delays_but_answers(sandbox: Sandbox, client: WebClient) -> None:
    sandbox.faults.latency("*", 0.2, count=1)
    assert client.auth_test()["ok"]
    assert sandbox.inspector.calls("auth.test")[0]["seconds"] >= 0.2


def test_an_unknown_fault_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="unknown fault"):
        sandbox.faults.socket("deaf")
