"""Reads the request of a browser: the cookie of its session, the site that it comes from, and
whether it expects a page. Everything here is a pure function of the request."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.types import Scope

from bot.web.original_request import original_method
from bot.web.responses import Header, header_values

PREFIXED, PLAIN = "__Host-access", "access"
"""The names of the cookie. Browsers accept the first only with Secure, for the whole host, and from
that host itself, so a sibling domain cannot set it (RFC 6265bis section 4.1.3.2). Plain http knows
no Secure; it is allowed for this machine only."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 section 9.2.1; TRACE has no use here)."""

_PORTS = {"http": 80, "https": 443}
_BLANKS = " \t"
"""The only blanks around a cookie. `str.strip` would also remove others, with which a sibling
domain could imitate the prefix."""

_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:]+\]")


class SessionCookie(NamedTuple):
    """The secrets that a request has under the name of our cookie, and its other cookies as one
    header value."""

    secrets: tuple[str, ...]
    others: str


def cookie_name(browser_url: str) -> str:
    """The name of the cookie at a system with this address, "" for a system without one."""
    if not browser_url:
        return ""
    return PREFIXED if browser_url.startswith("https:") else PLAIN


_NO_COOKIES = SessionCookie((), "")


def session_cookie(scope: Scope, name: str) -> SessionCookie:
    """Splits the request's cookies into ours and others. A browser sends the name once; HTTP/2 may
    spread cookies over several headers. Only spaces may be before the name, as browsers write it:
    that is also the only form that the snippet for Caddy takes out."""
    headers = header_values(scope, b"cookie")
    if not headers:
        return _NO_COOKIES
    secrets, others = [], []
    for header in headers:
        for pair in header.split(";"):
            key, equals, value = pair.partition("=")
            if equals and key.lstrip(" ") == name:
                secrets.append(value.strip(_BLANKS))
            elif pair.strip(_BLANKS):
                others.append(pair.strip(_BLANKS))
    return SessionCookie(tuple(secrets), "; ".join(others))


def set_cookie(browser_url: str, secret: str, lasts: int) -> Header:
    """The header that gives the browser its cookie for that many seconds; zero takes it back."""
    secure = "; Secure" if browser_url.startswith("https:") else ""
    name = cookie_name(browser_url)
    rest = f"Path=/; Max-Age={lasts}; HttpOnly; SameSite=Lax{secure}"
    return b"set-cookie", f"{name}={secret}; {rest}".encode()


def may_use_cookie(scope: Scope, browser_url: str) -> bool:
    """Whether the request that a proxy asks about may use the cookie: other sites may make a
    browser send safe requests only. A method that the proxy does not name counts as unsafe, and so
    does the start of a WebSocket. A browser that does not name the mode of its requests sends
    `Origin` with it."""
    modes = header_values(scope, b"sec-fetch-mode")
    opens_socket = "websocket" in modes if modes else bool(header_values(scope, b"origin"))
    is_safe = original_method(scope) in SAFE and not opens_socket
    return is_safe or is_same_origin(scope, browser_url)


def is_same_origin(scope: Scope, browser_url: str) -> bool:
    """Whether a page of that address sent the request: `Sec-Fetch-Site` says so, or where the
    browser does not send it, `Origin`. A header that is there twice is not believed."""
    sites = header_values(scope, b"sec-fetch-site")
    if sites:
        return sites == ["same-origin"]
    origins = header_values(scope, b"origin")
    return len(origins) == 1 and _is_place(origins[0], browser_url)


def is_at(scope: Scope, browser_url: str) -> bool:
    """Whether the request was sent to that address, as its one `Host` says."""
    hosts = header_values(scope, b"host")
    scheme = urlsplit(browser_url).scheme
    return len(hosts) == 1 and _is_place(f"{scheme}://{hosts[0]}", browser_url)


def _is_place(origin: str, browser_url: str) -> bool:
    """Whether both are the same origin. A text that is none, such as `null`, is the same as
    nothing."""
    place = _place(origin)
    return place is not None and place == _place(browser_url)


def _place(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an origin; None for any other text."""
    scheme, _, place = origin.lower().partition("://")
    host, port = place, ""
    if found := re.fullmatch(r"(.*):([0-9]{1,5})", place):
        host, port = found.groups()
    if scheme not in _PORTS or not _HOST.fullmatch(host):
        return None
    return scheme, host, int(port or _PORTS[scheme])


def wants_page(scope: Scope) -> bool:
    """Whether a person looks at the answer: browsers say `text/html` when they open a page."""
    return any("text/html" in value for value in header_values(scope, b"accept"))
