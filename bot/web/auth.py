"""`/auth`: forward authentication for nginx, Caddy, Traefik and Envoy (docs/gateways.md). A proxy
calls it before every request, and reads the status and the X-Access headers; the body is for the
person.
"""

import re
from functools import lru_cache
from urllib.parse import parse_qs, quote

from starlette.types import Receive, Scope

from bot.core.audit import rfc3339
from bot.core.recorded_paths import PATHS
from bot.core.roles import System
from bot.operations.tokens.introspect_token import TokenActive, TokenInactive
from bot.operations.usage.count_usage import BROWSER, TOKEN
from bot.web.browser_pages import BrowserPages
from bot.web.browser_requests import (
    SessionCookie,
    cookie_name,
    may_use_cookie,
    session_cookie,
    wants_page,
)
from bot.web.challenge import CHALLENGE, NO_TOKEN
from bot.web.original_request import original_request
from bot.web.responses import Answer, Header, as_text, header_values
from bot.web.token_check import TokenChecks, Use, source_address, user_agent

# The characters that a header may hold unchanged; not %, because it begins an escape.
_PLAIN = re.compile(r"[!-$&-~]+")

UNKNOWN_SYSTEM = as_text(
    401, "This gateway is not set up: roles.toml has no such system.", CHALLENGE
)
OTHER_SYSTEM = as_text(
    403,
    "This token is good, but not for this system.",
    (b"www-authenticate", b'Bearer realm="access", error="insufficient_scope"'),
)
FROM_OTHER_SITE = as_text(403, "Another site sent this request, so it was refused.")
UNCLEAR_SYSTEM = as_text(
    400,
    "This gateway is not set up: the proxy must name one system, in X-Access-System or as"
    " ?system=.",
)


COOKIE_TWICE = "its cookie was sent twice"
SESSION = "browser session"
CROSS_SITE = "sent by another site"


class Auth:
    def __init__(self, checks: TokenChecks, pages: BrowserPages) -> None:
        self._checks, self._pages = checks, pages

    async def __call__(self, scope: Scope, receive: Receive) -> Answer:
        """200 with the holder; 401 for a missing, bad or ended token or browser session; 403 for a
        token of another system (RFC 6750 section 3), and for a browser's request that another site
        sent; 400 if the proxy names no system.

        A cookie counts only where there is no Authorization, whatever that is worth.
        """
        system = _system(scope)
        if system is None:
            return UNCLEAR_SYSTEM
        gateway = self._checks.gateway(system)
        if gateway is None:
            return UNKNOWN_SYSTEM
        authorization = header_values(scope, b"authorization")
        if len(authorization) > 1:
            return _invalid("sent twice")
        browser_url = gateway.browser_url
        cookie = session_cookie(scope, cookie_name(browser_url))
        if not authorization and browser_url:
            return await self._for_browser(gateway, browser_url, cookie, scope)
        token = _bearer(authorization[0]) if authorization else None
        if token is None:
            return NO_TOKEN
        found = await self._checks.check(token, system, _use(scope, gateway, TOKEN))
        if isinstance(found, TokenActive):
            return _let_in(found, cookie)
        return OTHER_SYSTEM if found.elsewhere else _refused(found)

    async def _for_browser(
        self, system: System, browser_url: str, cookie: SessionCookie, scope: Scope
    ) -> Answer:
        if len(cookie.secrets) != 1:
            answer = _invalid(COOKIE_TWICE, SESSION) if cookie.secrets else NO_TOKEN
            return await self._no_access(system, scope, answer)
        refused = "" if may_use_cookie(scope, browser_url) else CROSS_SITE
        use = _use(scope, system, BROWSER)
        found = await self._checks.check_session(cookie.secrets[0], system.name, use, refused)
        if isinstance(found, TokenActive):
            return _let_in(found, cookie)
        if found.why == CROSS_SITE:
            return FROM_OTHER_SITE
        return await self._no_access(system, scope, _refused(found, SESSION))

    async def _no_access(self, system: System, scope: Scope, answer: Answer) -> Answer:
        """The page for a person, or the answer for a program."""
        return await self._pages.no_access(system, scope) if wants_page(scope) else answer


def _use(scope: Scope, system: System, how: str) -> Use:
    path = original_request(scope) if system.records == PATHS else None
    return Use(source_address(scope), path, user_agent(scope), how)


def _let_in(found: TokenActive, cookie: SessionCookie) -> Answer:
    """The proxy replaces the client's cookies with `Cookie` of the answer, so that the page does
    not receive the session's."""
    headers = _who(found.email or found.person, found.role, found.grant, found.expires_at)
    if cookie.secrets or cookie.others:
        headers = (*headers, (b"cookie", cookie.others.encode("latin-1")))
    return Answer(200, headers=headers)


def _system(scope: Scope) -> str | None:
    """The one system that the header and the query name; None for none or several. Below `/auth/`
    only the header counts, because path and query are those of the client's request (Envoy)."""
    named = set(header_values(scope, b"x-access-system"))
    if scope["query_string"] and scope["path"] == "/auth":
        try:
            named |= set(
                parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20).get(
                    "system", []
                )
            )
        except ValueError:
            return None
    return named.pop() if len(named) == 1 else None


def _bearer(authorization: str) -> str | None:
    """The token of `Bearer TOKEN`, with the scheme in upper or lower case (RFC 9110 section 11.1);
    None for another scheme."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


@lru_cache(maxsize=4096)
def _who(user: str, role: str, grant: str, expires_at: int) -> tuple[Header, ...]:
    return (
        (b"x-access-user", _header_safe(user)),
        (b"x-access-role", _header_safe(role)),
        (b"x-access-grant", _header_safe(grant)),
        (b"x-access-expires", rfc3339(expires_at).encode()),
    )


def _header_safe(text: str) -> bytes:
    """The value with everything but visible ASCII percent-encoded, so that it can't end a header or
    begin one."""
    return (
        text if _PLAIN.fullmatch(text) else quote(text, safe="!#$&'()*+,/:;=?@[]~^`{|}<>\"\\")
    ).encode()


_WORDS = {
    "not ours": "it is not one of ours",
    "bad signature": "it is not one of ours",
    "unknown": "it is no longer known",
    "replaced or revoked": "it was replaced by a newer one or revoked",
    "expired": "it has ended",
    "ended": "the access has ended",
    "gate closed": "the access is not open",
}


def _refused(found: TokenInactive, thing: str = "access token") -> Answer:
    return _invalid(_WORDS.get(found.why, f"the access is {found.why}"), thing)


def _invalid(why: str, thing: str = "access token") -> Answer:
    challenge = f'Bearer realm="access", error="invalid_token", error_description="{why}"'
    return as_text(
        401, f"This {thing} doesn't work: {why}.", (b"www-authenticate", challenge.encode())
    )
