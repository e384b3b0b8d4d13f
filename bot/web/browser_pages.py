"""`/_access/`: the bot's pages on the host of a protected system, which its proxy hands to the bot.
A one-time code from Slack becomes a cookie there, with which `/auth` lets the browser in.
"""

import re
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from starlette.types import Receive, Scope

from bot.core.approval import Refused
from bot.core.audit import rfc3339
from bot.core.model import Source
from bot.core.roles import System
from bot.operations.browser.end_session import end_session
from bot.operations.browser.make_codes import digest_of
from bot.operations.browser.open_session import open_session
from bot.operations.browser.slack_place import SlackPlace, slack_place
from bot.operations.tokens.introspect_token import TokenActive, introspect_session
from bot.web.browser_html import confirm_open, no_access, signed_in
from bot.web.browser_requests import (
    cookie_name,
    is_at,
    is_same_origin,
    session_cookie,
    set_cookie,
    wants_page,
)
from bot.web.challenge import CHALLENGE, NO_TOKEN
from bot.web.responses import FORM, TOO_BIG, Answer, as_text, content_type, header_values, read_body
from bot.web.token_check import TokenChecks, source_address

LARGEST_BODY = 4096

NO_BROWSERS = as_text(
    404, "This system takes no browsers: its table in roles.toml needs browser = true and url."
)
ELSEWHERE = as_text(421, "This system is at another address: see its “url” in roles.toml.")
CROSS_SITE = as_text(403, "Another site sent this request, so nothing was done.")
NO_CODE = "This link is not complete. In Slack, press Show credentials, and then Open in browser."
TWO_COOKIES = (
    "This browser has two sessions here, one of them perhaps from another site. Delete the cookies"
    " of this site. Then, in Slack, press Show credentials, and then Open in browser."
)

_CODE = re.compile(r"[A-Za-z0-9_-]{1,100}")

Page = Callable[[System, Scope, Receive], Awaitable[Answer]]


class BrowserPages:
    """The handlers of `/_access/`, `/_access/open` and `/_access/sign-out`."""

    def __init__(self, checks: TokenChecks) -> None:
        self._checks, self._world = checks, checks.world.via(Source.HTTP)
        self._slack = SlackPlace()

    async def home(self, scope: Scope, receive: Receive) -> Answer:
        """GET: until when this browser has access, or how to get it."""
        return await self._at_system(self._home, scope, receive)

    async def open(self, scope: Scope, receive: Receive) -> Answer:
        """GET asks for a press; POST uses the code up, sets the cookie and leads to the page."""
        return await self._at_system(
            self._opened if scope["method"] == "POST" else _asked, scope, receive
        )

    async def sign_out(self, scope: Scope, receive: Receive) -> Answer:
        """POST: ends the session and takes the cookie back."""
        return await self._at_system(self._signed_out, scope, receive)

    async def no_access(
        self, system: System, scope: Scope, why: str = "", status: int = 401
    ) -> Answer:
        """The page for a browser that may not in."""
        if not self._slack.app:
            self._slack = await self._checks.in_thread_unproved(slack_place, self._world)
        headers = (CHALLENGE,) if status == 401 else ()
        has_cookie = bool(_secrets(system, scope))
        return no_access(status, system.name, self._slack, has_cookie, *headers, why=why)

    async def _at_system(self, page: Page, scope: Scope, receive: Receive) -> Answer:
        """Answers for the system that the proxy names, at its own address only. The query is the
        client's, so it names no system here."""
        named = header_values(scope, b"x-access-system")
        system = self._checks.gateway(named[0]) if len(named) == 1 else None
        if system is None or not system.browser_url:
            # nginx shows this to every program without a token, also where there are no browsers.
            return NO_TOKEN if system is not None and page == self._home else NO_BROWSERS
        return await page(system, scope, receive) if is_at(scope, system.browser_url) else ELSEWHERE

    async def _home(self, system: System, scope: Scope, receive: Receive) -> Answer:
        secrets = _secrets(system, scope)
        if len(secrets) == 1:
            digest = digest_of(secrets[0])
            found = await self._checks.in_thread_unproved(
                introspect_session, self._world, digest, system.name
            )
            if isinstance(found, TokenActive):
                until = rfc3339(found.expires_at)
                return signed_in(system.name, f"{until[:10]} {until[11:16]} UTC")
        if not wants_page(scope):
            return NO_TOKEN
        return await self.no_access(system, scope)

    async def _opened(self, system: System, scope: Scope, receive: Receive) -> Answer:
        if not is_same_origin(scope, system.browser_url):
            return CROSS_SITE
        body = await read_body(receive, LARGEST_BODY)
        if body is None:
            return TOO_BIG
        code = _code(body.decode("latin-1")) if content_type(scope) == FORM else None
        if code is None:
            return await self.no_access(system, scope, NO_CODE, 403)
        secrets = _secrets(system, scope)
        if len(secrets) > 1:
            return await self.no_access(system, scope, TWO_COOKIES, 403)
        current = secrets[0] if secrets else ""
        source = source_address(scope)
        found = await self._checks.in_thread_unproved(
            open_session, self._world, code, system.name, source, current
        )
        if isinstance(found, Refused):
            return await self.no_access(system, scope, found.reason, 403)
        cookie = set_cookie(system.browser_url, found.secret, found.lasts)
        return Answer(303, headers=((b"location", f"{system.browser_url}/".encode()), cookie))

    async def _signed_out(self, system: System, scope: Scope, receive: Receive) -> Answer:
        if not is_same_origin(scope, system.browser_url):
            return CROSS_SITE
        for secret in _secrets(system, scope)[:2]:
            await self._checks.in_thread_unproved(
                end_session, self._world, secret, system.name, source_address(scope)
            )
        place = (b"location", f"{system.browser_url}/_access/".encode())
        return Answer(303, headers=(place, set_cookie(system.browser_url, "", 0)))


async def _asked(system: System, scope: Scope, receive: Receive) -> Answer:
    """Shows the button that uses the code up. It does not look the code up, so that it reveals
    nothing about it."""
    code = _code(scope["query_string"].decode("latin-1"))
    return confirm_open(system.name, code) if code else as_text(400, NO_CODE)


def _secrets(system: System, scope: Scope) -> tuple[str, ...]:
    return session_cookie(scope, cookie_name(system.browser_url)).secrets


def _code(form: str) -> str | None:
    """The one code in a query or a form."""
    try:
        codes = parse_qs(form, max_num_fields=5).get("code", [])
    except ValueError:
        return None
    return codes[0] if len(codes) == 1 and _CODE.fullmatch(codes[0]) else None
