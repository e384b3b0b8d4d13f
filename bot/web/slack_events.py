"""`/slack/events`: Slack in HTTP mode. It decides whether Slack sent a request, hands it to Bolt in a thread, and gives
back what Bolt answers; what the request means is for the listeners.
"""

from collections.abc import Callable, Sequence
from urllib.parse import parse_qs

from anyio import CapacityLimiter, to_thread
from slack_bolt import BoltRequest, BoltResponse
from slack_sdk.signature import SignatureVerifier
from starlette.types import Receive, Scope

from bot.web.plain import FORM, TOO_BIG, Answer, as_json, content_type, header_values, read_body

LARGEST_BODY = 1024 * 1024
THREADS = 32

NOT_SLACK = as_json(401, {"error": "invalid_signature"})
NOT_READABLE = as_json(400, {"error": "invalid_request"})


class SlackEvents:
    """`dispatch` is that of a Bolt `App` made with `process_before_response=True`; it may block, and runs in one of
    THREADS threads. The signature is checked before Bolt looks at anything, so a forged body is not even parsed."""

    def __init__(self, dispatch: Callable[[BoltRequest], BoltResponse], verifier: SignatureVerifier) -> None:
        self._dispatch, self._verifier = dispatch, verifier
        self._limiter = CapacityLimiter(THREADS)

    async def __call__(self, scope: Scope, receive: Receive) -> Answer:
        body = await read_body(receive, LARGEST_BODY)
        if body is None:
            return TOO_BIG
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return NOT_SLACK
        if not self._signed(scope, text):
            return Answer(200) if _is_ssl_check(scope, text) else NOT_SLACK
        return await to_thread.run_sync(self._answer, text, _headers(scope), limiter=self._limiter)

    def _signed(self, scope: Scope, body: str) -> bool:
        """https://docs.slack.dev/authentication/verifying-requests-from-slack, with what the SDK's verifier would
        raise over taken for what it is: not Slack."""
        times = header_values(scope, b"x-slack-request-timestamp")
        signatures = header_values(scope, b"x-slack-signature")
        if len(times) != 1 or len(signatures) != 1 or not signatures[0].isascii():
            return False
        is_number = times[0].isascii() and times[0].isdigit() and len(times[0]) <= 12
        return is_number and self._verifier.is_valid(body, times[0], signatures[0])

    def _answer(self, body: str, headers: dict[str, str | Sequence[str]]) -> Answer:
        try:
            request = BoltRequest(body=body, headers=headers)
        except (ValueError, AttributeError, TypeError, RecursionError):  # signed, but no payload of Slack's
            return NOT_READABLE
        response = self._dispatch(request)
        kind = response.first_headers_without_set_cookie().get("content-type", "text/plain; charset=utf-8")
        return Answer(response.status, (response.body or "").encode(), kind.encode())


def _headers(scope: Scope) -> dict[str, str | Sequence[str]]:
    return {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}


def _is_ssl_check(scope: Scope, body: str) -> bool:
    """Slack asks so, unsigned, whether our certificate is good; nothing happens by it."""
    try:
        return content_type(scope) == FORM and parse_qs(body, max_num_fields=20).get("ssl_check") == ["1"]
    except ValueError:
        return False
