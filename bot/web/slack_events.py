"""Answers `/slack/events` in HTTP mode: passes only requests that Slack signed to the receiver."""

import asyncio
import json
from concurrent.futures import Future
from typing import Protocol
from urllib.parse import parse_qs, parse_qsl

from slack_bolt import BoltResponse
from starlette.types import Receive, Scope

from bot.web.responses import FORM, TOO_BIG, Answer, as_json, content_type, header_values, read_body
from bot.web.slack_signatures import Signatures

LARGEST_BODY = 1024 * 1024
MOST_FIELDS = 1000

NOT_SLACK = as_json(401, {"error": "invalid_signature"})


class Receives(Protocol):
    """`bot/slack/receiver.py`: it answers every payload, with another answer if the first comes too
    late."""

    within: float

    def submit(self, payload: object) -> "Future[BoltResponse]": ...

    def late(self, payload: object) -> BoltResponse: ...

    def unreadable(self, why: str) -> BoltResponse: ...


class SlackEvents:
    """The signature is checked before the body is parsed."""

    def __init__(self, receiver: Receives, signatures: Signatures) -> None:
        self._receiver, self._signatures = receiver, signatures

    async def __call__(self, scope: Scope, receive: Receive) -> Answer:
        body = await read_body(receive, LARGEST_BODY)
        if body is None:
            return TOO_BIG
        times = header_values(scope, b"x-slack-request-timestamp")
        signatures = header_values(scope, b"x-slack-signature")
        if not times and not signatures and _is_ssl_check(scope, body):
            return Answer(200)
        if not self._signatures.are_right(body, times, signatures):
            return NOT_SLACK
        return _answer(await self._answered(body, content_type(scope)))

    async def _answered(self, body: bytes, kind: str) -> BoltResponse:
        try:
            payload = payload_in(body.decode(), kind)
        except (ValueError, RecursionError) as error:
            return self._receiver.unreadable(type(error).__name__)
        future = self._receiver.submit(payload)
        done, _ = await asyncio.wait([asyncio.wrap_future(future)], timeout=self._receiver.within)
        return future.result() if done else self._receiver.late(payload)

    def state(self) -> tuple[bool, str]:
        """Whether requests of Slack are accepted, and the problem if not."""
        return self._signatures.state()


def payload_in(text: str, kind: str) -> object:
    """The JSON body, a form's `payload`, or the form itself. Raises ValueError and
    RecursionError."""
    if kind == "application/json" or text.startswith("{"):
        return json.loads(text)
    fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    return json.loads(fields["payload"]) if "payload" in fields else fields


def _answer(response: BoltResponse) -> Answer:
    kind = response.first_headers_without_set_cookie().get(
        "content-type", "text/plain; charset=utf-8"
    )
    return Answer(response.status, (response.body or "").encode(), kind.encode())


def _is_ssl_check(scope: Scope, body: bytes) -> bool:
    """Slack checks our certificate with this unsigned request; it has no effect."""
    try:
        return content_type(scope) == FORM and parse_qs(body, max_num_fields=20).get(
            b"ssl_check"
        ) == [b"1"]
    except ValueError:
        return False
