"""`POST /requests` and `GET /requests/ID`: a program asks for access in the name of its owner, and
reads the state of such a request. It authenticates with an API token, and can decide nothing.
"""

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from starlette.types import Receive, Scope

from bot.core.approval import Refused
from bot.core.audit import rfc3339
from bot.core.durations import BadDuration, parse_duration
from bot.core.eligibility import REASON_LIMIT
from bot.core.model import Grant
from bot.core.parameters import is_parameter
from bot.core.programs import ApiToken
from bot.operations._unit_of_work import OUTDATED
from bot.operations.programs.request_by_program import (
    AlreadyChecked,
    KeyReused,
    Outcome,
    OutOfScope,
    RequestView,
    Sent,
    TokenOver,
    find_program,
    read_api_request,
    refuse_malformed,
    request_by_program,
)
from bot.operations.requests.answer_waiting import refusal_words
from bot.operations.requests.request_access import AlreadyHeld, AlreadyPending
from bot.web.json_body import Wrong, read_object
from bot.web.rates import Rates, too_many
from bot.web.responses import TOO_BIG, Answer, as_json, content_type, header_values, read_body
from bot.web.token_check import TokenChecks

LARGEST_BODY = 32 * 1024
"""A reason has at most 3,000 characters, which JSON may write with six bytes each."""

LONGEST_KEY = 200

_ID = re.compile("[a-z0-9]{1,63}")

CALLS_A_SECOND, CALLS_AT_ONCE = 5, 60
"""Per token and process: enough to look after a request each second, for several jobs."""

INPUTS = frozenset({"duration", "reason", "ticket", "start"})
"""The fields of a refusal that the program can correct."""


class PostRequest:
    def __init__(self, programs: "Programs") -> None:
        self._programs = programs

    async def __call__(self, scope: Scope, receive: Receive) -> Answer:
        """201 with id and state, also for a repetition with the same `Idempotency-Key`."""
        token = await self._programs.caller(scope)
        if isinstance(token, Answer):
            return token
        checks, sent = self._programs.checks, await _sent(scope, receive)
        if isinstance(sent, Refused):
            await checks.in_thread(refuse_malformed, checks.world, token, sent)
            return TOO_BIG if sent is TOO_LONG else _invalid(sent.reason)
        outcome = await checks.in_thread(request_by_program, checks.world, token, sent)
        return answer(outcome, known=sent.role in checks.world.policy().roles)


class GetRequest:
    def __init__(self, programs: "Programs") -> None:
        self._programs = programs

    async def __call__(self, scope: Scope, receive: Receive) -> Answer:
        """The request as it is now; 404 for one that another token made."""
        token = await self._programs.caller(scope)
        if isinstance(token, Answer):
            return token
        checks, id = self._programs.checks, str(scope["path_params"]["id"])
        is_id = _ID.fullmatch(id)  # PostgreSQL fails for other texts
        view = await checks.in_thread(read_api_request, checks.world, token, id) if is_id else None
        if view is None:
            return _error(404, "not_found", "this token made no request with this id")
        return as_json(200, described(view))


class Programs:
    """Authenticates programs, and limits how often each token is used."""

    def __init__(self, checks: TokenChecks) -> None:
        self.checks = checks
        self._rates = Rates(CALLS_A_SECOND, CALLS_AT_ONCE)

    async def caller(self, scope: Scope) -> ApiToken | Answer:
        """The token of the caller; an answer if there is none, or if it calls too often."""
        given = header_values(scope, b"authorization")
        scheme, _, secret = (given[0] if len(given) == 1 else "").strip().partition(" ")
        token = None
        if scheme.lower() == "bearer" and secret.strip():
            token = await self.checks.in_thread_unproved(
                find_program, self.checks.world, secret.strip()
            )
        if token is None:
            return NO_TOKEN
        return too_many(wait) if (wait := self._rates.take(token.id)) else token


TOO_LONG = Refused(f"the body has more than {LARGEST_BODY // 1024} KiB")


async def _sent(scope: Scope, receive: Receive) -> Sent | Refused:
    """The request that was sent, or why none can be read."""
    if content_type(scope) != "application/json":
        return Refused("the body must be application/json")
    body = await read_body(receive, LARGEST_BODY)
    if body is None:
        return TOO_LONG
    try:
        return read_request(body, _key(header_values(scope, b"idempotency-key")))
    except Wrong as wrong:
        return Refused(str(wrong))


def read_request(body: bytes, key: str | None) -> Sent:
    """The request in a body. Raises Wrong for any other body."""
    fields = read_object(body, _READ)
    for name in ("role", "reason"):
        if name not in fields:
            raise Wrong(f"{name} is required")
    read = {name: _READ[name](name, value) for name, value in fields.items()}
    digest = sha256(body).hexdigest()
    return Sent(**{"duration": None, "ticket": "", **read}, digest=digest, key=key)


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong(f"{key} must be a string")
    return value


def _reason(key: str, value: Any) -> str:
    """A reason of a length that a request may have, because refusals record it, too."""
    if len(_text(key, value)) > REASON_LIMIT:
        raise Wrong(f"{key} must have at most {REASON_LIMIT:,} characters")
    return str(value)


def _duration(key: str, value: Any) -> int:
    try:
        return parse_duration(_text(key, value))
    except BadDuration:
        raise Wrong(f'{key} must be a duration like "30m" or "2h"') from None


def _texts(key: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise Wrong(f"{key} must be an object whose values are strings")
    return value


_READ: Mapping[str, Callable[[str, Any], Any]] = {
    "role": _text,
    "duration": _duration,
    "reason": _reason,
    "ticket": _text,
    "parameters": _texts,
}


def _key(given: list[str]) -> str | None:
    """The value of `Idempotency-Key`, None without one. Raises Wrong."""
    if not given:
        return None
    key = given[0].strip()
    if len(given) > 1 or not 0 < len(key) <= LONGEST_KEY or not key.isascii():
        raise Wrong(f"Idempotency-Key must be there once, with 1 to {LONGEST_KEY} ASCII characters")
    return key


def answer(outcome: Outcome, *, known: bool) -> Answer:
    """The answer to `POST /requests`. `known` says whether roles.toml has the role."""
    match outcome:
        case RequestView():
            return as_json(201, {"id": outcome.sent.id, "state": outcome.state})
        case TokenOver():
            return NO_TOKEN
        case OutOfScope():
            return _error(403, "insufficient_scope", outcome.refused.reason)
        case KeyReused():
            return _error(409, "key_reused", outcome.refused.reason)
        case AlreadyChecked():
            return _error(409, "conflict", "a request of the owner for this role is being checked")
        case AlreadyHeld() | AlreadyPending():
            return _error(409, "conflict", refusal_words(outcome) or "")
        case Refused():
            return _refused(outcome, known)
    raise AssertionError(outcome)  # request_by_program stores the waiting request


def _refused(refused: Refused, known: bool) -> Answer:
    if refused is OUTDATED:
        return _error(503, "temporarily_unavailable", refused.reason, (b"retry-after", b"60"))
    if refused.wait:
        again = b"%d" % refused.wait
        return _error(429, "too_many_requests", refused.reason, (b"retry-after", again))
    if not known:
        return _error(404, "not_found", refused.reason)
    if refused.field in INPUTS or is_parameter(refused.field):
        return _invalid(refused.reason)
    return _error(403, "access_denied", refused.reason)


def described(view: RequestView) -> dict[str, object]:
    """A request for the program that made it. Times are RFC 3339."""
    request, sent = view.request, view.sent
    return {
        "id": sent.id,
        "role": sent.role,
        "state": view.state,
        "why": request.decision_reason if request else sent.refused,
        "grant": _grant(view.grant) if view.grant else None,
    }


def _grant(grant: Grant) -> dict[str, object]:
    return {
        "id": grant.id,
        "state": grant.state,
        "starts_at": rfc3339(grant.starts_at),
        "ends_at": rfc3339(grant.ends_at if grant.ended_at is None else grant.ended_at),
        "end_reason": grant.end_reason,
    }


def _error(status: int, error: str, why: str, *headers: tuple[bytes, bytes]) -> Answer:
    return as_json(status, {"error": error, "error_description": why}, *headers)


def _invalid(why: str) -> Answer:
    return _error(400, "invalid_request", why)


NO_TOKEN = _error(
    401,
    "invalid_token",
    "send an API token that is neither revoked nor expired as Authorization: Bearer TOKEN",
    (b"www-authenticate", b'Bearer realm="access", error="invalid_token"'),
)
