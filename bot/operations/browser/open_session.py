"""Opens a browser session with a one-time code."""

from dataclasses import dataclass
from secrets import token_urlsafe

from bot.core.approval import Refused
from bot.core.audit import Event
from bot.core.browser_access import OTHER_PERSON, UNKNOWN, refusal_words
from bot.core.model import Grant
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork, unit
from bot.operations.browser.make_codes import digest_of, name_of
from bot.operations.grants.show_credentials import why_not_shown
from bot.operations.tokens.introspect_token import TokenActive, introspect_session
from storage import browser_access, grants


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A new session. `secret` goes into the browser's cookie and is stored nowhere; `lasts` are the
    seconds until the latest end that the grant can have."""

    grant: str
    secret: str
    lasts: int

    def __repr__(self) -> str:
        return f"BrowserSession(grant={self.grant!r})"


def open_session(
    world: Context, code: str, system: str, source: str, current: str = ""
) -> BrowserSession | Refused:
    """Uses the code up and opens a session at that system; earlier sessions of the grant there end.
    `source` is the browser's address, `current` the secret of the session that it has already, ""
    if none. Raises StorageUnavailable.

    A browser with a valid session of another person is refused, so that nobody is moved into
    another person's access without noticing.
    """
    digest = digest_of(code)
    with world.db.reading():  # an invented code must not lock the database
        found = browser_access.code(world.db, digest)
    if found is None:
        return Refused(UNKNOWN)
    with unit(world) as u:
        grant = grants.locked(u.db, found.grant)
        why = _why_not(u, grant, digest, system, current)
        if why is not None or grant is None:
            return _refuse(u, digest, grant, system, source, why or UNKNOWN)
        return _opened(u, grant, system, source, code)


def _why_not(
    u: UnitOfWork, grant: Grant | None, digest: str, system: str, current: str
) -> str | None:
    """Uses the code up, and returns why it opens nothing, or None."""
    if grant is not None and _is_of_another(u, current, system, grant):
        return OTHER_PERSON
    if not browser_access.take_code(u.db, digest, system, u.now):
        left = browser_access.code(u.db, digest)
        return refusal_words(left.system == system, left.used_at) if left else UNKNOWN
    refused = why_not_shown(u, grant, grant.person if grant else "")
    return refused.reason if refused else None


def _is_of_another(u: UnitOfWork, current: str, system: str, grant: Grant) -> bool:
    """Whether the browser has a valid session of another person at this system."""
    if not current:
        return False
    known = introspect_session(u.world, digest_of(current), system)
    return isinstance(known, TokenActive) and known.person != grant.person


def _opened(u: UnitOfWork, grant: Grant, system: str, source: str, code: str) -> BrowserSession:
    secret = token_urlsafe(32)
    last = max(grant.latest_end, grant.ends_at)
    browser_access.add_session(u.db, digest_of(secret), grant.id, system, u.now, last)
    u.record(
        Event.BROWSER_OPENED,
        grant.person,
        grant,
        system=system,
        session=name_of(secret),
        code=name_of(code),
        source_address=source,
        ends_at=grant.ends_at,
    )
    return BrowserSession(grant.id, secret, last - u.now)


def _refuse(
    u: UnitOfWork, digest: str, grant: Grant | None, system: str, source: str, why: str
) -> Refused:
    """Records the first refusal of each code; nobody knows who tried it."""
    if browser_access.note_refused(u.db, digest):
        u.record(
            Event.BROWSER_REFUSED, SYSTEM, grant, system=system, why=why, source_address=source
        )
    return Refused(why)
