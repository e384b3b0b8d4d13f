"""`/slack/events`: only what Slack signed reaches Bolt, and nothing that was sent makes the endpoint fall over."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from urllib.parse import urlencode

import httpx
import pytest
from slack_bolt import App, BoltRequest, BoltResponse
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.signature import Clock, SignatureVerifier

from bot.web.slack_events import SlackEvents
from tests.web.conftest import Site, build_site
from tests.worlds import Made

SECRET = "signing-secret-0123456789"
NOW = 1_790_000_000


class At(Clock):
    def now(self) -> float:
        return NOW


verifier = SignatureVerifier(SECRET, At())


class Heard:
    """Stands where Bolt's dispatch stands, and remembers what came."""

    def __init__(self, answer: BoltResponse | None = None) -> None:
        self.requests: list[BoltRequest] = []
        self.answer = answer or BoltResponse(status=200, body="ok")

    def __call__(self, request: BoltRequest) -> BoltResponse:
        self.requests.append(request)
        return self.answer


def a_site(made: Made, dispatch: Callable[[BoltRequest], BoltResponse]) -> Site:
    return build_site(made, slack=SlackEvents(dispatch, verifier))


def signed(body: str | bytes, at: int = NOW, kind: str = "application/x-www-form-urlencoded") -> dict[str, str]:
    signature = verifier.generate_signature(timestamp=str(at), body=body)
    return {"Content-Type": kind, "X-Slack-Request-Timestamp": str(at), "X-Slack-Signature": str(signature)}


def send(site: Site, body: str | bytes, headers: dict[str, str]) -> httpx.Response:
    return site.call("POST", "/slack/events", content=body, headers=headers)


COMMAND = urlencode({"command": "/access", "text": "list", "user_id": "U0ANA", "team_id": "T1"})


def test_what_slack_signed_reaches_bolt_and_its_answer_goes_back(made: Made) -> None:
    heard = Heard(BoltResponse(status=200, body={"text": "hello"}))
    answer = send(a_site(made, heard), COMMAND, signed(COMMAND))
    assert (answer.status_code, answer.json()) == (200, {"text": "hello"})
    assert answer.headers["content-type"].startswith("application/json")
    assert heard.requests[0].body["text"] == "list"


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in signed(COMMAND).items() if key != name}


UNSIGNED = [
    pytest.param(COMMAND, {}, id="no headers"),
    pytest.param(COMMAND, without("X-Slack-Signature"), id="no signature"),
    pytest.param(COMMAND, without("X-Slack-Request-Timestamp"), id="no time"),
    pytest.param(COMMAND + "&x=1", signed(COMMAND), id="another body"),
    pytest.param(COMMAND, signed(COMMAND) | {"X-Slack-Request-Timestamp": str(NOW + 1)}, id="another time"),
    pytest.param(COMMAND, signed(COMMAND, NOW - 301), id="stale"),
    pytest.param(COMMAND, signed(COMMAND, NOW + 301), id="from the future"),
    pytest.param(COMMAND, signed(COMMAND) | {"X-Slack-Request-Timestamp": "soon"}, id="a time that is no number"),
    pytest.param(COMMAND, signed(COMMAND) | {"X-Slack-Request-Timestamp": "1e9"}, id="a time like a float"),
    pytest.param(COMMAND, signed(COMMAND) | {"X-Slack-Request-Timestamp": "9" * 5000}, id="a huge time"),
    pytest.param(COMMAND, signed(COMMAND) | {"X-Slack-Request-Timestamp": ""}, id="an empty time"),
    pytest.param(COMMAND, signed(COMMAND) | {"X-Slack-Signature": "v0=\xe4"}, id="a signature outside ASCII"),
    pytest.param(COMMAND, signed(COMMAND) | {"X-Slack-Signature": ""}, id="an empty signature"),
    pytest.param(b"\xff\xfe", signed(COMMAND), id="no text"),
    pytest.param("{" * 100_000, signed(COMMAND), id="forged and deep"),
    pytest.param("ssl_check=0&" + COMMAND, {}, id="nearly a check of the certificate"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "headers"), UNSIGNED)
def test_what_slack_did_not_sign_has_no_effect(made: Made, body: str | bytes, headers: dict[str, str]) -> None:
    heard = Heard()
    raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    answer = a_site(made, heard).call("POST", "/slack/events", content=body, headers=raw)
    assert answer.status_code == 401
    assert heard.requests == []


def test_two_signatures_are_none(made: Made) -> None:
    heard = Heard()
    headers = [*signed(COMMAND).items(), ("X-Slack-Signature", "v0=00")]
    assert a_site(made, heard).call("POST", "/slack/events", content=COMMAND, headers=headers).status_code == 401
    assert heard.requests == []


def test_slack_may_check_the_certificate_unsigned(made: Made) -> None:
    heard = Heard()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert send(a_site(made, heard), "ssl_check=1&token=x", form).status_code == 200
    assert heard.requests == []


@pytest.mark.parametrize("body", ["[]", "1", "{", "[" * 100_000, "payload", "null"])
def test_signed_nonsense_is_a_bad_request(made: Made, body: str) -> None:
    heard = Heard()
    answer = send(a_site(made, heard), body, signed(body, kind="application/json"))
    assert answer.status_code == 400
    assert heard.requests == []


def test_a_body_beyond_a_mebibyte_is_not_read_to_its_end(made: Made) -> None:
    heard = Heard()
    body = "a" * (1024 * 1024 + 1)
    assert send(a_site(made, heard), body, signed(body)).status_code == 413
    assert heard.requests == []


def test_a_listener_that_fails_shows_nothing_of_it(made: Made, caplog: pytest.LogCaptureFixture) -> None:
    def fails(request: BoltRequest) -> BoltResponse:
        raise RuntimeError("inner words")

    answer = send(a_site(made, fails), COMMAND, signed(COMMAND))
    assert answer.status_code == 500
    assert "inner words" not in answer.text
    assert "inner words" in caplog.text


def test_a_listener_that_waits_does_not_hold_up_the_others(made: Made) -> None:
    """Bolt is synchronous: in the event loop one slow listener would stop every check of a token."""
    waiting = threading.Barrier(3, timeout=60)

    def waits(request: BoltRequest) -> BoltResponse:
        waiting.wait()
        return BoltResponse(status=200)

    site = a_site(made, waits)

    async def together() -> list[httpx.Response]:
        def slack(client: httpx.AsyncClient) -> object:
            return client.post("/slack/events", content=COMMAND, headers=signed(COMMAND))

        return await site.gather([slack, slack, slack])  # type: ignore[list-item]

    assert [answer.status_code for answer in asyncio.run(together())] == [200] * 3


def test_the_path_is_not_there_in_socket_mode(site: Site) -> None:
    assert send(site, COMMAND, signed(COMMAND)).status_code == 404


def test_a_real_bolt_app_answers(made: Made) -> None:
    app = App(
        signing_secret=SECRET,
        process_before_response=True,
        request_verification_enabled=False,
        authorize=lambda: AuthorizeResult(enterprise_id=None, team_id="T1", bot_token="xoxb-1", bot_user_id="U0BOT"),
    )

    @app.command("/access")
    def command(ack: Callable[..., None], body: dict[str, str]) -> None:
        ack(f"{body['text']} for {body['user_id']}")

    site = a_site(made, app.dispatch)
    assert send(site, COMMAND, signed(COMMAND)).text == "list for U0ANA"
    hello = json.dumps({"type": "url_verification", "challenge": "abc"})
    assert "abc" in send(site, hello, signed(hello, kind="application/json")).text
