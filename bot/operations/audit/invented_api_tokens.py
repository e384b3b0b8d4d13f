"""Compares the active API tokens with the audit log."""

from collections.abc import Iterator

from bot.core.audit import Event, parsed_detail, rfc3339
from bot.core.audit_story import Difference
from bot.core.browser_access import short_hash
from storage import programs
from storage.database import Reads


def invented_api_tokens(view: Reads, last: int, now: int) -> Iterator[Difference]:
    """Yields the active tokens without a record, with other rights than their record says, or with
    a record of their end: they would ask in the name of their owner. `last` is the number of the
    last record."""
    newest = {}
    for event, owner, text in programs.recorded(view):
        detail = parsed_detail(text)
        terms = tuple(detail.get(name) for name in ("roles", "expires_at", "hash"))
        newest[detail.get("token")] = (event, owner, *terms)
    for token, digest in programs.active(view, now):
        rights = (list(token.roles), rfc3339(token.expires_at), short_hash(digest))
        if newest.get(token.id) != (Event.PROGRAM_ADDED, token.owner, *rights):
            what = f"API token {token.id} of {token.owner}: no record says that it holds"
            yield Difference(last, what)
