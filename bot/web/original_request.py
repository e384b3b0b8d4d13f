"""Finds the method and path of the request that a proxy asks about at `/auth`."""

from collections.abc import Mapping

from starlette.types import Scope

from bot.core.recorded_paths import NOT_SENT, RecordedPath, recorded_path

_WANTED = frozenset(
    {
        *(b"x-forwarded-method", b"x-forwarded-uri"),
        *(b"x-original-method", b"x-original-uri", b"x-original-url"),
    }
)
"""The headers of proxies. X-Forwarded-* counts before X-Original-*: a proxy that sends the first
may let a client's others through. The proxy of the docs for nginx sends the others, and nothing of
the client."""

_BELOW = b"/auth"


def original_request(scope: Scope) -> RecordedPath:
    """Returns the part of the client's request that is recorded. Below `/auth/` it is this
    request's own method and path (Envoy)."""
    if scope["path"] != "/auth":
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        return recorded_path(scope["method"], raw.removeprefix(_BELOW).decode("latin-1"))
    sent = _sent(scope)
    if sent is None:
        return NOT_SENT
    target = (
        sent.get(b"x-forwarded-uri")
        or sent.get(b"x-original-uri")
        or sent.get(b"x-original-url")
        or b""
    )
    return recorded_path(_method(sent), target.decode("latin-1"))


def original_method(scope: Scope) -> str:
    """Returns the method of the client's request, "" where the proxy does not send it."""
    if scope["path"] != "/auth":
        return str(scope["method"])
    return _method(_sent(scope) or {})


def _sent(scope: Scope) -> Mapping[bytes, bytes] | None:
    """Returns the headers about the client's request. None if one is there twice with different
    values, because one of these is the client's."""
    sent: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _WANTED and sent.setdefault(name, value) != value:
            return None
    return sent


def _method(sent: Mapping[bytes, bytes]) -> str:
    method = sent.get(b"x-forwarded-method") or sent.get(b"x-original-method") or b""
    return method.decode("latin-1")
