"""Makes the one-time codes that open a browser session, and discards them."""

from collections.abc import Iterable
from hashlib import sha256
from secrets import token_urlsafe

from bot.core.browser_access import CODE_LASTS, short_hash
from bot.core.model import Grant
from bot.operations._unit_of_work import UnitOfWork
from storage import browser_access

OPEN_PATH = "/_access/open"


def digest_of(secret: str) -> str:
    """The hash under which a code or the secret of a session is stored."""
    return sha256(secret.encode()).hexdigest()


def name_of(secret: str) -> str:
    """The name of a code or a session in the log, which does not reveal it."""
    return short_hash(digest_of(secret))


def make_links(
    u: UnitOfWork, grant: Grant, gates: Iterable[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Returns a link for a browser for each of these systems that takes browsers, and the name of
    its code in the log. Each has a new code, good once, for CODE_LASTS seconds, for this grant and
    system."""
    links, names = {}, {}
    for name in gates:
        system = u.policy.systems.get(name)
        if system is None or not system.browser_url:
            continue
        code = token_urlsafe(32)
        browser_access.add_code(u.db, digest_of(code), grant.id, name, u.now + CODE_LASTS)
        links[name] = f"{system.browser_url}{OPEN_PATH}?code={code}"
        names[name] = name_of(code)
    return links, names
