"""Ends API tokens, and withdraws their pending requests."""

from bot.core.audit import Event
from bot.core.programs import ApiToken
from bot.operations._end_grant import withdraw
from bot.operations._unit_of_work import UnitOfWork
from storage import programs, requests


def end_token(u: UnitOfWork, token: ApiToken, by: str, why: str = "") -> int | None:
    """Revokes a token; returns the number of withdrawn requests, or None if it was revoked
    before."""
    if not programs.revoke_token(u.db, token.id, u.now, by):
        return None
    u.note(
        Event.PROGRAM_REMOVED,
        by,
        subject=token.owner,
        token=token.id,
        program=token.name,
        why=why,
    )
    pending = (requests.locked(u.db, each) for each in programs.pending_of_token(u.db, token.id))
    words = why or "the API token of the program that asked was revoked"
    return sum(withdraw(u, request, by, words) for request in pending if request)


def end_tokens_of(u: UnitOfWork, owner: str, by: str, why: str) -> None:
    """Revokes every token of a person whose account no longer counts."""
    for token in programs.tokens_to_revoke(u.db, u.now, owner):
        end_token(u, token, by, why)
