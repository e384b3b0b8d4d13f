"""`/slack/events`: only requests that Slack signed reach Bolt, and no input crashes the
endpoint."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlencode

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from slack_bolt import App, BoltRequest, BoltResponse
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.signature import Clock, SignatureVerifier

from bot.slack.receiver import Receiver
from bot.web.slack_events import SlackEvents
from bot.web.slack_signatures import Signatures
from tests.factories import Made
from tests.web.conftest import Site, build_site

SECRET = "signing-secret-0123456789"
NOW = 1_790_000_000


class At(Clock):
    def now(self) -> float:
        return NOW


verifier = SignatureVerifier(SECRET, At())


class Heard:
    """Replaces Bolt's dispatch, and remembers the requests."""

    def __init__(self, answer: BoltResponse | None = None) -> None:
        self.requests: list[BoltRequest] = []
        self.answer = answer or BoltResponse(status=200, body="ok")

    def __call__(self, request: BoltRequest) -> BoltResponse:
        self.requests.append(request)
        return self.answer


def a_site(
    made: Made, dispatch: Callable[[BoltRequest], BoltResponse], within: float = 30.0
) -> Site:
    """A `Site` whose machine time is `NOW`."""
    registry = CollectorRegistry()
    receiver = Receiver(dispatch, registry)
    receiver.within = within
    slack = SlackEvents(receiver, Signatures(verifier, registry))
    return build_site(made, slack=slack, registry=registry)


def signed(
    body: str | bytes, at: int = NOW, kind: str = "application/x-www-form-urlencoded"
) -> dict[str, str]:
    signature = verifier.generate_signature(timestamp=str(at), body=body)
    return {
        "Content-Type": kind,
        "X-Slack-Request-Timestamp": str(at),
        "X-Slack-Signature": str(signature),
    }


def send(site: Site, body: str | bytes, headers: dict[str, str]) -> httpx2.Response:
    return site.call("POST", "/slack/events", content=body, headers=headers)


def an_app() -> App:
    app = App(
        signing_secret=SECRET,
        process_before_response=True,
        request_verification_enabled=False,
        authorize=lambda: AuthorizeResult(
            enterprise_id=None, team_id="T1", bot_token="xoxb-1", bot_user_id="U0BOT"
        ),
    )

    @app.command("/access")
    def command(ack: Callable[..., None], body: dict[str, str]) -> None:
        ack(f"{body['text']} for {body['user_id']}")

    return app


def outcomes(site: Site) -> dict[str, float]:
    """The metric of payloads by outcome, without its kinds."""
    found: Counter[str] = Counter()
    for family in site.registry.collect():
        if family.name == "access_bot_slack_payloads":
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    found[sample.labels["outcome"]] += int(sample.value)
    return dict(found)


COMMAND = urlencode({"command": "/access", "text": "list", "user_id": "U0ANA", "team_id": "T1"})


def test_a_signed_request_reaches_bolt_and_its_answer_is_returned(made: Made) -> None:
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
    pytest.param(
        COMMAND, signed(COMMAND) | {"X-Slack-Request-Timestamp": str(NOW + 1)}, id="another time"
    ),
    pytest.param(COMMAND, signed(COMMAND, NOW - 301), id="stale"),
    pytest.param(COMMAND, signed(COMMAND, NOW + 301), id="from the future"),
    pytest.param(
        COMMAND,
        signed(COMMAND) | {"X-Slack-Request-Timestamp": "soon"},
        id="a time that is no number",
    ),
    pytest.param(
        COMMAND, signed(COMMAND) | {"X-Slack-Request-Timestamp": "1e9"}, id="a time like a float"
    ),
    pytest.param(
        COMMAND, signed(COMMAND) | {"X-Slack-Request-Timestamp": "9" * 5000}, id="a huge time"
    ),
    pytest.param(COMMAND, signed(COMMAND) | {"X-Slack-Request-Timestamp": ""}, id="an empty time"),
    pytest.param(
        COMMAND, signed(COMMAND) | {"X-Slack-Signature": "v0=\xe4"}, id="a signature outside ASCII"
    ),
    pytest.param(COMMAND, signed(COMMAND) | {"X-Slack-Signature": ""}, id="an empty signature"),
    pytest.param(b"\xff\xfe", signed(COMMAND), id="no text"),
    pytest.param("{" * 100_000, signed(COMMAND), id="forged and deep"),
    pytest.param("ssl_check=0&" + COMMAND, {}, id="nearly a check of the certificate"),
]


@pytest.mark.parametrize(("body", "headers"), UNSIGNED)
def test_an_unsigned_request_has_no_effect(
    made: Made, body: str | bytes, headers: dict[str, str]
) -> None:
    heard = Heard()
    raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    answer = a_site(made, heard).call("POST", "/slack/events", content=body, headers=raw)
    assert answer.status_code == 401
    assert heard.requests == []


def test_two_signatures_are_refused(made: Made) -> None:
    heard = Heard()
    headers = [*signed(COMMAND).items(), ("X-Slack-Signature", "v0=00")]
    assert (
        a_site(made, heard)
        .call("POST", "/slack/events", content=COMMAND, headers=headers)
        .status_code
        == 401
    )
    assert heard.requests == []


def test_slack_may_check_the_certificate_unsigned(made: Made) -> None:
    heard = Heard()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert send(a_site(made, heard), "ssl_check=1&token=x", form).status_code == 200
    assert heard.requests == []


NONSENSE = ["[]", "1", "{", "[" * 100_000, "payload", "null", '"text"', "", "{}", "[[[]]]", "NaN"]
FORMS = [
    "payload",
    "payload=",
    "payload=1",
    "payload=[]",
    "payload={",
    "payload=%00",
    "a=1&a=2",
    "&&&",
    "=",
    "%ff",
]


@pytest.mark.parametrize("body", NONSENSE)
@pytest.mark.parametrize("kind", ["application/json", "text/plain", ""])
def test_an_invalid_signed_request_is_acknowledged_and_counted(
    made: Made, body: str, kind: str
) -> None:
    site = a_site(made, an_app().dispatch)
    assert send(site, body, signed(body, kind=kind)).status_code == 200
    assert outcomes(site) == {"not_understood": 1}


@pytest.mark.parametrize("body", [*FORMS, "a=1&" * 2000, "payload=" + "[" * 100_000])
def test_invalid_signed_forms_are_acknowledged_and_counted(made: Made, body: str) -> None:
    site = a_site(made, an_app().dispatch)
    assert send(site, body, signed(body)).status_code == 200
    assert outcomes(site) == {"not_understood": 1}


def test_signed_bytes_that_are_no_text_are_acknowledged(made: Made) -> None:
    site = a_site(made, an_app().dispatch)
    digest = hmac.new(SECRET.encode(), b"v0:%d:\xff\xfe" % NOW, hashlib.sha256).hexdigest()
    headers = signed("") | {"X-Slack-Signature": f"v0={digest}"}
    assert send(site, b"\xff\xfe", headers).status_code == 200


def test_a_command_whose_text_has_the_word_payload_arrives(made: Made) -> None:
    """Bolt looks for that word in the body, and would lose the command."""
    heard = Heard()
    body = COMMAND.replace("list", "request shop-admin the payload is broken")
    assert send(a_site(made, heard), body, signed(body)).status_code == 200
    assert heard.requests[0].body["text"] == "request shop-admin the payload is broken"


def test_a_body_beyond_a_mebibyte_is_not_read_to_its_end(made: Made) -> None:
    heard = Heard()
    body = "a" * (1024 * 1024 + 1)
    assert send(a_site(made, heard), body, signed(body)).status_code == 413
    assert heard.requests == []


def test_whatever_bolt_raises_is_acknowledged_and_logged_in_one_line(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(request: BoltRequest) -> BoltResponse:
        raise RuntimeError("inner words")

    site = a_site(made, fails)
    answers = [send(site, COMMAND, signed(COMMAND)) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert (
        "the bot can't read" in answers[0].json()["text"] and "inner words" not in answers[0].text
    )
    assert [record.getMessage() for record in caplog.records] == [
        "Slack sent command: RuntimeError 'inner words'"
    ]
    assert outcomes(site) == {"not_understood": 5}


def test_a_slow_command_is_answered_in_time_and_continues(made: Made) -> None:
    release, done = threading.Event(), threading.Event()

    def waits(request: BoltRequest) -> BoltResponse:
        release.wait(60)
        done.set()
        return BoltResponse(status=200)

    site = a_site(made, waits, within=0.05)
    answer = send(site, COMMAND, signed(COMMAND))
    assert answer.status_code == 200 and "may still succeed" in answer.json()["text"]
    event = json.dumps({"type": "event_callback", "event": {"type": "team_join"}})
    assert send(site, event, signed(event)).status_code == 503
    release.set()
    assert done.wait(60)


def test_a_listener_that_waits_does_not_delay_the_others(made: Made) -> None:
    """Bolt is synchronous: in the event loop one slow listener would block every check of a
    token."""
    waiting = threading.Barrier(3, timeout=60)

    def waits(request: BoltRequest) -> BoltResponse:
        waiting.wait()
        return BoltResponse(status=200)

    site = a_site(made, waits)

    async def together() -> list[httpx2.Response]:
        def slack(client: httpx2.AsyncClient) -> object:
            return client.post("/slack/events", content=COMMAND, headers=signed(COMMAND))

        return await site.gather([slack, slack, slack])  # type: ignore[list-item]

    assert [answer.status_code for answer in asyncio.run(together())] == [200] * 3


def test_the_path_is_not_there_in_socket_mode(site: Site) -> None:
    assert send(site, COMMAND, signed(COMMAND)).status_code == 404


def test_a_real_bolt_app_answers(made: Made) -> None:
    site = a_site(made, an_app().dispatch)
    assert send(site, COMMAND, signed(COMMAND)).text == "list for U0ANA"
    hello = json.dumps({"type": "url_verification", "challenge": "abc"})
    assert "abc" in send(site, hello, signed(hello, kind="application/json")).text
    assert outcomes(site) == {"handled": 2}
