"""Limits who may call the stand-in: programs on this machine, and pages that it served itself.

Another site in the same browser can reach loopback: by a name that resolves to 127.0.0.1 (DNS
rebinding, so the Host must be loopback's own) or across origins (so the Origin must be ours).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
# Only the page's own calls have it: another site could set it only after a preflight, which is
# always refused.
HEADER, HEADER_VALUE = "x-sandbox-page", "1"


def own_host(host: str) -> bool:
    """Whether a Host header names this machine's loopback, at any port."""
    try:
        return urlsplit(f"//{host}").hostname in LOOPBACK
    except ValueError:
        return False


def refusal(headers: Headers) -> str:
    """The reason why a request is refused, or ""."""
    host, origin = headers.get("host", ""), headers.get("origin")
    if not own_host(host):
        return f"The Host {host!r} is not this machine's loopback address."
    if origin is not None and origin != f"http://{host}":
        return "Only pages of this server may call it."
    return ""


class Guard:
    """Refuses with 403 before any other code reads the request, also for web sockets."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        why = refusal(Headers(scope=scope)) if scope["type"] in {"http", "websocket"} else ""
        if not why:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse(why, 403)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": "forbidden"})


def from_page(headers: Headers) -> bool:
    """Whether a call that changes something comes from our own page."""
    foreign = headers.get("sec-fetch-site", "same-origin") != "same-origin"
    return headers.get(HEADER) == HEADER_VALUE and not foreign
