"""A real HTTP server as a base for a provider's stand-in: strict about requests, and able to fail
on order. It knows HTTP and no provider. A stand-in lists its routes; every path, method, parameter,
header and field that a route does not name is refused, so that a connector uses only what the
provider's description has."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request, with the named parts of its path unquoted."""

    parts: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """`path` has {names} for its parts; `query` and `fields` are the allowed parameters and body
    fields; `needs` are the required fields."""

    method: str
    path: str
    answer: Callable[[Any, Asked], Reply]
    query: Sequence[str] = ()
    fields: Sequence[str] | None = None
    needs: Sequence[str] = ()

    def parts(self, path: str) -> dict[str, str] | None:
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path), path)
        return (
            {name: unquote(value) for name, value in found.groupdict().items()} if found else None
        )


BEFORE, LOST, HANG, BUSY = "before", "lost", "hang", "busy"
"""The fault of a call: 503 without effect, a lost answer after the effect, no answer at all, too
many calls."""


class StandIn:
    """Give it `routes` and `refusal`; its data are behind `lock`, and `seen` has the calls in
    order."""

    routes: Sequence[Route] = ()

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.lock, self.seen = threading.RLock(), list[str]()
        self._fails: Callable[[int], str | None] = lambda number: None
        self._number = 0
        self._over = threading.Event()
        handler = type("Handler", (_Handler,), {"standin": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    # --- differences between providers

    def refusal(self, status: int, words: str) -> Any:
        """The body of a refusal, in the provider's form."""
        return {"message": words}

    def admits(self, headers: Mapping[str, str]) -> Reply | None:
        """A refusal for wrong credentials or headers, else None."""
        return None

    def busy(self) -> Reply:
        return Reply(429, self.refusal(429, "too many calls"), {"Retry-After": "7"})

    # --- trouble

    @contextmanager
    def failing(self, fails: Callable[[int], str | None]) -> Iterator[None]:
        """A context in which the calls, counted from 1, fail as `fails` says."""
        with self.lock:
            self._fails, self._number = fails, 0
        try:
            yield
        finally:
            with self.lock:
                self._fails = lambda number: None

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nothing has an effect, and callers get 503 or no answer."""
        with self.failing(lambda number: BEFORE if number % 2 else HANG_UP):
            yield

    def breaking(self, step: int) -> Any:
        """The contract's `breaking`: odd steps fail before the system did its part, even steps
        after it."""
        first, way = (step + 1) // 2, BEFORE if step % 2 else LOST
        return self.failing(
            lambda number: None if number < first else way if number == first else HANG_UP
        )

    # --- one call

    def handle(
        self, method: str, target: str, headers: Mapping[str, str], raw: bytes
    ) -> Reply | None:
        """Returns None for a call that gets no answer."""
        with self.lock:
            self._number += 1
            self.seen.append(f"{method} {urlsplit(target).path}")
            fails = self._fails(self._number)
        if fails == HANG:
            self._over.wait(20)
        if fails in (HANG, HANG_UP):
            return None
        if fails in (BEFORE, BUSY):
            return self.busy() if fails == BUSY else Reply(503, self.refusal(503, "away"))
        with self.lock:
            reply = self._answer(method, target, headers, raw)
        return None if fails == LOST else reply

    def _answer(self, method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Reply:
        url = urlsplit(target)
        for route in self.routes:
            if route.method == method and (parts := route.parts(url.path)) is not None:
                query = dict(
                    parse_qsl(url.query, strict_parsing=bool(url.query), keep_blank_values=True)
                )
                wrong = self._wrong(route, query, headers, raw)
                return wrong or route.answer(
                    self, Asked(parts, query, json.loads(raw) if raw else None, headers)
                )
        raise AssertionError(f"{method} {url.path} is not in the provider's description")

    def _wrong(
        self, route: Route, query: Mapping[str, str], headers: Mapping[str, str], raw: bytes
    ) -> Reply | None:
        """The refusal by a strict reading of the description; a request that no provider would
        answer fails the test."""
        assert not (unknown := set(query) - set(route.query)), (
            f"{route.path} has no parameter {unknown}"
        )
        assert (route.fields is None) == (not raw), f"{route.method} {route.path}: body {raw!r}"
        if raw:
            assert headers.get("content-type", "").startswith("application/json"), headers.get(
                "content-type"
            )
            body = json.loads(raw)
            assert set(route.needs) <= set(body) <= set(route.fields or ()), body
        return self.admits(headers)


HANG_UP = "hang up"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    standin: StandIn

    def _do(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            reply = self.standin.handle(self.command, self.path, headers, raw)
        except Exception as error:  # so that the test tells what it was
            reply = Reply(418, dict.fromkeys(("message", "errorSummary"), repr(error)))
        self.close_connection = True
        if reply is None:
            return
        body = b"" if reply.body is None else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **reply.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _do

    def log_message(self, *_: object) -> None:
        pass
