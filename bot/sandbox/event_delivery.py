"""Delivers payloads to their app by socket or signed HTTP, waits for the ack, and repeats events
without one.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from bot.sandbox.checks import Json
from bot.sandbox.rules import ACK_SECONDS, RETRY_DELAYS
from bot.sandbox.sockets import Sockets
from bot.sandbox.workspace import AppInstall, Workspace

KEPT = 20_000
ACKED, TIMED_OUT, UNREACHED = "acked", "operation_timeout", "dispatch_failed"
RETRY_REASONS = {TIMED_OUT: "http_timeout", UNREACHED: "connection_failed"}
DEFAULT_EVENTS = {"app_home_opened", "team_join", "subteam_updated", "subteam_members_changed"}
WITH_PAYLOAD = {"slash_commands", "interactive"}


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: Slack doesn't either."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follows nothing, so that the redirect itself is the answer."""


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay)


@dataclass
class Delivery:
    """One payload in delivery to an app: its time, its transport, and the result (`outcome`,
    `ack`)."""

    number: int
    app: str
    kind: str
    payload: Json
    envelope_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    attempt: int = 0
    retry_reason: str = ""
    failure: str = ""
    sent_at: float = 0.0
    via: str | None = None
    outcome: str = "waiting"
    seconds: float | None = None
    ack: Json | None = None
    acks: int = 0

    def envelope(self) -> Json:
        """The envelope for a socket."""
        head: Json = {
            "type": self.kind,
            "envelope_id": self.envelope_id,
            "payload": self.payload,
            "accepts_response_payload": self.kind in WITH_PAYLOAD,
        }
        retry = {"retry_attempt": self.attempt, "retry_reason": self.retry_reason}
        return {**head, **(retry if self.kind == "events_api" else {})}


class EventDelivery:
    """The way to the apps. It posts to the `request_url` of an app that has one, else it uses its
    sockets."""

    def __init__(self, workspace: Workspace, sockets: Sockets) -> None:
        self.workspace, self.sockets = workspace, sockets
        self.retry_delays: tuple[float, ...] = RETRY_DELAYS
        self.ack_seconds = ACK_SECONDS
        self.deliveries: dict[int, Delivery] = {}
        self._latest: dict[str, Delivery] = {}
        self._number = 0
        self._waiting: dict[str, asyncio.Future[Json | None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._threads = ThreadPoolExecutor(64, "sandbox-http")
        sockets.on_ack = self._acked
        sockets.on_change = lambda: workspace.changed("sockets")

    def close(self) -> None:
        """Ends the threads of HTTP mode."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def deliver(
        self, kind: str, payload: Json, attempt: int = 0, reason: str = "", app: str = ""
    ) -> Delivery:
        """Sends once, to `app` or to the app of the payload, and waits for the ack, three seconds
        at most; the outcome is in the result."""
        self._number += 1
        app = app or self.workspace.app_of(payload).id
        delivery = Delivery(self._number, app, kind, payload, attempt=attempt, retry_reason=reason)
        return await self.send(delivery)

    async def send(self, delivery: Delivery) -> Delivery:
        """Sends this delivery and waits for its ack."""
        self._remember(delivery)
        delivery.sent_at, started = self.workspace.now(), time.monotonic()
        url = self.workspace.apps[delivery.app].request_url
        await (self._post(delivery, url) if url else self._by_socket(delivery))
        if delivery.seconds is None:
            delivery.seconds = round(time.monotonic() - started, 4)
        self.workspace.changed("delivered", number=delivery.number, outcome=delivery.outcome)
        return delivery

    def again(self, number: int, same_envelope: bool) -> Delivery:
        """A copy of an earlier delivery, to be sent once more. Raises KeyError when there was
        none."""
        old = self.deliveries[number]
        self._number += 1
        copy = Delivery(self._number, old.app, old.kind, old.payload, attempt=old.attempt)
        copy.envelope_id = old.envelope_id if same_envelope else copy.envelope_id
        return copy

    def _remember(self, delivery: Delivery) -> None:
        self.deliveries[delivery.number] = self._latest[delivery.envelope_id] = delivery
        if len(self.deliveries) > KEPT:
            oldest = self.deliveries.pop(next(iter(self.deliveries)))
            self._latest.pop(oldest.envelope_id, None)

    async def _by_socket(self, delivery: Delivery) -> None:
        waiter: asyncio.Future[Json | None] = asyncio.get_running_loop().create_future()
        self._waiting[delivery.envelope_id] = waiter
        delivery.via = await self.sockets.send(delivery.app, delivery.envelope())
        if delivery.via is None:
            delivery.outcome = UNREACHED
            return
        try:
            delivery.ack = await asyncio.wait_for(waiter, self.ack_seconds)
            delivery.outcome = ACKED
        except TimeoutError:
            delivery.outcome = TIMED_OUT
        finally:
            self._waiting.pop(delivery.envelope_id, None)

    def _acked(self, envelope_id: str, payload: Json | None) -> None:
        if envelope_id in self._latest:
            self._latest[envelope_id].acks += 1
        waiter = self._waiting.get(envelope_id)
        if waiter is not None and not waiter.done():
            waiter.set_result(payload)

    async def _post(self, delivery: Delivery, url: str) -> None:
        loop = asyncio.get_running_loop()
        delivery.via = url
        status, kind, body = await loop.run_in_executor(self._threads, self._request, delivery, url)
        delivery.outcome = ACKED if 200 <= status < 300 else TIMED_OUT if status == 0 else UNREACHED
        if delivery.outcome == ACKED:
            self._read(delivery, kind, body)
        delivery.failure = "http_error" if status > 0 else RETRY_REASONS.get(delivery.outcome, "")

    def _read(self, delivery: Delivery, kind: str, body: bytes) -> None:
        try:
            delivery.ack, delivery.acks = read_answer(kind, body), 1
        except ValueError:
            delivery.outcome = UNREACHED

    def _request(self, delivery: Delivery, url: str) -> tuple[int, str, bytes]:
        """Posts, signed, without following redirects; status 0 is a timeout, -1 no connection."""
        content_type, body = ENCODERS[delivery.kind](delivery.payload)
        headers = {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        }
        secret = self.workspace.apps[delivery.app].signing_secret
        headers.update(signature(secret, body, time.time()))
        if delivery.attempt:
            headers["X-Slack-Retry-Num"] = str(delivery.attempt)
            headers["X-Slack-Retry-Reason"] = delivery.retry_reason
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - a test's own URL
        try:
            with OPENER.open(request, timeout=self.ack_seconds) as answer:
                return answer.status, answer.headers.get("Content-Type", ""), answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, "", b""
        except TimeoutError:
            return 0, "", b""
        except OSError:
            return -1, "", b""

    @staticmethod
    def subscribed(app: AppInstall, event: str) -> bool:
        """Whether the app's manifest asks for this event; without a manifest a usual few are
        delivered."""
        settings = app.manifest.get("settings")
        if settings is None:
            return event in DEFAULT_EVENTS
        return event in settings.get("event_subscriptions", {}).get("bot_events", [])

    def emit(self, event: Json, subscription: str = "", only: AppInstall | None = None) -> bool:
        """Starts the delivery of an event to every app, or only to one, with its retries, in the
        background; False: none has subscribed."""
        apps = [only] if only else self.workspace.apps.values()
        found = [app for app in apps if self.subscribed(app, subscription or event["type"])]
        for app in found:
            self.start(self._persist(self._event(app, event)))
        return bool(found)

    def start(self, work: Any) -> None:
        """Runs a coroutine in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _event(self, app: AppInstall, event: Json) -> Json:
        workspace = self.workspace
        identity = {"team_id": workspace.team_id, "user_id": app.bot_user, "is_bot": True}
        return {
            "token": "sandbox",
            "team_id": workspace.team_id,
            "api_app_id": app.id,
            "event": {"event_ts": workspace.new_ts(), **event},
            "type": "event_callback",
            "event_id": workspace.new_id("Ev"),
            "event_time": int(workspace.now()),
            "authorizations": [{"enterprise_id": None, "is_enterprise_install": False, **identity}],
            "is_ext_shared_channel": False,
        }

    async def _persist(self, payload: Json) -> None:
        """Delivers until acked: at once again after a failure, then after a minute, then after
        five."""
        delivery = await self.deliver("events_api", payload)
        for attempt, delay in enumerate(self.retry_delays, 1):
            if delivery.outcome == ACKED:
                return
            reason = delivery.failure or RETRY_REASONS[delivery.outcome]
            await asyncio.sleep(delay)
            delivery = await self.deliver("events_api", payload, attempt, reason)

    def shown(self, last: int) -> list[Json]:
        """The newest deliveries, oldest first."""
        return [asdict(item) for item in list(self.deliveries.values())[-last:]]


def read_answer(content_type: str, body: bytes) -> Json | None:
    """The ack in an HTTP answer: JSON unchanged, text as a message, an empty body as None."""
    if not body.strip():
        return None
    if content_type.startswith("application/json"):
        found = json.loads(body)
        return found if isinstance(found, dict) else None
    return {"text": body.decode()}


def signature(secret: str, body: bytes, at: float) -> dict[str, str]:
    """Slack's v0 signature headers of a body:
    docs.slack.dev/authentication/verifying-requests-from-slack."""
    base = b"v0:" + str(int(at)).encode() + b":" + body
    digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(int(at)), "X-Slack-Signature": f"v0={digest}"}


def as_json(payload: Json) -> tuple[str, bytes]:
    """The body of an event."""
    return "application/json", json.dumps(payload).encode()


def as_form(fields: Json) -> tuple[str, bytes]:
    """The body of a slash command."""
    return "application/x-www-form-urlencoded", urllib.parse.urlencode(fields).encode()


def as_payload(payload: Json) -> tuple[str, bytes]:
    """The body of an interaction: JSON inside a form."""
    return as_form({"payload": json.dumps(payload)})


ENCODERS: dict[str, Callable[[Json], tuple[str, bytes]]] = {
    "events_api": as_json,
    "slash_commands": as_form,
    "interactive": as_payload,
}
