"""Hands payloads that Slack signed to Bolt, and answers each with 200 within Slack's three seconds.

Only an event that the database cannot store is answered 503, so that Slack sends it again.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from slack_bolt import BoltRequest, BoltResponse

from bot.config.logging import OncePerMinute
from bot.core.correlation import correlated
from bot.core.errors import StorageUnavailable
from bot.slack.listeners import TROUBLE, Body, in_form
from bot.slack.payloads import BadPayload, NotUnderstood
from bot.slack.views import answers

log = logging.getLogger(__name__)

THREADS = 32

MOST_OF_ONE = 8
"""Payloads of one person that are handled at once; further ones wait, so that other people find a
free thread."""

ANSWER_WITHIN = 2.7
"""Seconds after which the answer is sent even if the listener has not returned."""

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)
"""Bounds of the metric in seconds; Slack waits for three."""

KINDS = frozenset(
    {
        "block_actions",
        "block_suggestion",
        "event_callback",
        "message_action",
        "shortcut",
        "url_verification",
        "view_closed",
        "view_submission",
    }
)
"""Payload types that are a label of the metric; any other type is counted as `other`."""

BY_PERSON = KINDS - {"block_suggestion", "event_callback", "url_verification"} | {"command"}
"""Payloads of a click, a form or a command, which begin something that the log can follow."""

LATE = (
    "This takes longer than Slack waits for an answer. It may still succeed: look into App Home"
    " before you try again."
)
OTHER_APP = (
    "The tokens of this bot belong to two different Slack apps, so nothing was done. Ask a lead to"
    " run `access-bot doctor`."
)
NOT_UNDERSTOOD = "Slack sent something that the bot can't read. Nothing was changed."


_Task = tuple["Future[BoltResponse]", object]
"""A payload and the future of its answer."""


class Receiver:
    """`dispatch` is that of a Bolt `App` made with `process_before_response=True`; it may block.
    `app` is the id of our app, or "" until it is known: payloads of another app, such as a second
    bot in the workspace, change nothing."""

    def __init__(
        self,
        dispatch: Callable[[BoltRequest], BoltResponse],
        registry: CollectorRegistry | None = None,
        app: Callable[[], str] = lambda: "",
    ) -> None:
        self._dispatch, self._app, self.within = dispatch, app, ANSWER_WITHIN
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="slack")
        words = "Payloads of Slack, by kind and outcome."
        self._counts = Counter(
            "access_bot_slack_payloads", words, ["kind", "outcome"], registry=registry
        )
        words = "Seconds from a payload's arrival to its answer, by kind."
        self._seconds = Histogram(
            "access_bot_slack_answer_seconds", words, ["kind"], registry=registry, buckets=BUCKETS
        )
        self._often = OncePerMinute()
        self._lock = threading.Lock()
        self._busy: dict[str, int] = {}
        self._waiting: dict[str, deque[_Task]] = {}

    def submit(self, payload: object) -> "Future[BoltResponse]":
        """Starts to handle a payload of any JSON type, or queues it behind earlier ones of the same
        person. The future never raises."""
        person, task = _person_in(payload), (Future[BoltResponse](), payload)
        seconds, began = self._seconds.labels(kind_of(payload)), time.monotonic()
        task[0].add_done_callback(lambda _: seconds.observe(time.monotonic() - began))
        with self._lock:
            if self._busy.get(person, 0) >= MOST_OF_ONE and person:
                self._waiting.setdefault(person, deque()).append(task)
                return task[0]
            self._busy[person] = self._busy.get(person, 0) + 1
        self._pool.submit(self._work, person, task)
        return task[0]

    def _work(self, person: str, task: "_Task") -> None:
        following: _Task | None = task
        while following is not None:
            future, payload = following
            try:
                with correlated():
                    future.set_result(self._answer(payload))
            except BaseException as error:
                future.set_exception(error)
            following = self._next(person)
            if following is not None and self._goes_behind_others(person, following):
                return

    def _goes_behind_others(self, person: str, task: "_Task") -> bool:
        """Submits it again; False while the pool shuts down."""
        try:
            self._pool.submit(self._work, person, task)
        except RuntimeError:
            return False
        return True

    def _next(self, person: str) -> "_Task | None":
        with self._lock:
            if waiting := self._waiting.get(person):
                return waiting.popleft()
            self._waiting.pop(person, None)
            self._busy[person] -= 1
            if not self._busy[person]:
                del self._busy[person]
        return None

    def close(self) -> None:
        """Waits for the listeners that have not returned. No payload may be submitted after it."""
        self._pool.shutdown()

    def late(self, payload: object) -> BoltResponse:
        """The answer to a payload whose listener did not return in time."""
        kind = kind_of(payload)
        self._count(kind, "late", f"{kind}: no answer within {ANSWER_WITHIN} s")
        if kind == "event_callback":
            return BoltResponse(status=503, body="")
        return _answer_to(kind, payload, LATE)

    def unreadable(self, why: str) -> BoltResponse:
        """The answer to a body without a payload."""
        self._count("other", "not_understood", f"a body that can't be read: {why}")
        return BoltResponse(status=200, body="")

    def _answer(self, payload: object) -> BoltResponse:
        kind, trouble, response = kind_of(payload), None, None
        log.log(logging.INFO if kind in BY_PERSON else logging.DEBUG, "Slack sent %s", kind)
        if not isinstance(payload, dict):
            return self.unreadable(f"its JSON is a {type(payload).__name__}")
        if (app := payload.get("api_app_id", "")) and self._app() not in ("", app):
            self._count(kind, "other_app", f"{kind} of the app {app!r:.40}, not of {self._app()}")
            return _answer_to(kind, payload, OTHER_APP)
        try:
            # This mode lets Bolt take a parsed payload. It would read a form by looking for the
            # word "payload" anywhere, and lose every command whose text has it.
            request = BoltRequest(mode="socket_mode", body=payload)
            response = self._dispatch(request)
            trouble = request.context.get(TROUBLE)
        except Exception as error:  # of Bolt, which looks into payloads before our listeners do
            trouble = NotUnderstood(error)
        return self._judge(kind, payload, trouble, response)

    def _judge(
        self, kind: str, payload: Body, trouble: object, response: BoltResponse | None
    ) -> BoltResponse:
        answered = response is not None and response.status == 200
        if isinstance(trouble, StorageUnavailable):
            self._count(kind, "not_stored", f"{kind} was not stored: {trouble}")
            if kind == "event_callback":
                return BoltResponse(status=503, body="")
        elif isinstance(trouble, NotUnderstood | BadPayload):
            self._count(kind, "not_understood", f"{_name(kind, payload)}: {trouble}")
        elif trouble is not None:
            self._count(kind, "failed", "")
        elif answered:
            self._counts.labels(kind, "handled").inc()
        else:
            self._count(kind, "not_understood", f"{_name(kind, payload)}: nothing here handles it")
        if answered and response is not None and not isinstance(trouble, NotUnderstood):
            return response
        return _answer_to(kind, payload, NOT_UNDERSTOOD)

    def _count(self, kind: str, outcome: str, words: str) -> None:
        self._counts.labels(kind, outcome).inc()
        if words and (again := self._often.due(words)) is not None:
            log.warning("Slack sent %s%s", words, again)


def kind_of(payload: object) -> str:
    """The kind of a payload, as a label of the metric."""
    if not isinstance(payload, dict):
        return "other"
    if isinstance(kind := payload.get("type"), str) and kind in KINDS:
        return kind
    if isinstance(payload.get("event"), Mapping):
        return "event_callback"
    return "command" if "command" in payload else "other"


def _name(kind: str, payload: Body) -> str:
    """The kind with the type of the event or payload, short and in ASCII."""
    part: Any = payload.get("event") if kind == "event_callback" else payload
    named = part.get("type") if isinstance(part, dict) else None
    return f"{kind} {ascii(named)[:60]}" if isinstance(named, str) and named != kind else kind


def _answer_to(kind: str, payload: object, words: str) -> BoltResponse:
    """An answer with `words`, if that kind of answer can carry text."""
    if kind == "command":
        return BoltResponse(status=200, body=_private(words))
    if kind == "view_submission" and isinstance(payload, dict):
        return BoltResponse(status=200, body=in_form(payload, answers.refused(words)))
    return BoltResponse(status=200, body="")


def _private(words: str) -> dict[str, Any]:
    return {"response_type": "ephemeral", **answers.refused(words)}


def _person_in(payload: object) -> str:
    """The id of the sender, or "" if the payload has none."""
    if not isinstance(payload, dict):
        return ""
    user = payload.get("user") or payload.get("user_id")
    if isinstance(event := payload.get("event"), dict):
        user = event.get("user")
    found = user.get("id") if isinstance(user, dict) else user
    return found if isinstance(found, str) else ""
