"""Creates an API token, with which a program asks for access in the name of its owner."""

import secrets
from dataclasses import dataclass, field
from hashlib import sha256

from bot.core import effects
from bot.core.approval import Refused
from bot.core.audit import Event, rfc3339
from bot.core.browser_access import short_hash
from bot.core.eligibility import find_role, may_ask_at_all
from bot.core.programs import ApiToken, check_life, check_name
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import Context, Snapshot, new_id, unit
from storage import programs

ACTION = "create an API token"

PREFIX = "abt_"
"""It lets people and scanners recognize a token."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`name` "" means the id of the token; `life` is in seconds."""

    owner: str
    roles: tuple[str, ...]
    life: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Created:
    """`secret` is shown once; only its hash is stored."""

    token: ApiToken
    secret: str = field(repr=False)


def create_api_token(world: Context, by: str, wanted: Wanted) -> Created | Refused:
    """Stores a new token, for leads and the command line. Its owner must be known. Raises
    StorageUnavailable."""
    secret = PREFIX + secrets.token_urlsafe(32)
    with unit(world) as u:
        if (refused := _refusal(u, by, wanted)) is not None:
            return u.refuse(refused, by, ACTION)
        id = new_id("t")
        roles, ends_at = tuple(dict.fromkeys(wanted.roles)), u.now + wanted.life
        token = ApiToken(id, wanted.name or id, wanted.owner, roles, u.now, by, ends_at)
        programs.add_token(u.db, token, digest_of(secret))
        u.note(
            Event.PROGRAM_ADDED,
            by,
            subject=token.owner,
            token=token.id,
            program=token.name,
            roles=list(token.roles),
            expires_at=rfc3339(token.expires_at),
            hash=short_hash(digest_of(secret)),
        )
        facts = {"program": token.name, "roles": list(token.roles), "until": token.expires_at}
        u.notify_leads("api_token_created", by=by, owner=token.owner, **facts)
        u.do(effects.answer(token.owner, "", "token_in_your_name", **facts))
        return Created(token, secret)


def digest_of(secret: str) -> str:
    """The hash that is stored. A token is random and long, so a fast hash is enough."""
    return sha256(secret.encode()).hexdigest()


def _refusal(u: Snapshot, by: str, wanted: Wanted) -> Refused | None:
    if not wanted.roles:
        return Refused("Name at least one role that the program may ask for.", "role")
    roles = (find_role(u.policy, name) for name in wanted.roles)
    unknown = next((role for role in roles if isinstance(role, Refused)), None)
    owner = may_ask_at_all(u.person(wanted.owner))
    return (
        leads_only(u, by)
        or unknown
        or (Refused(f"{wanted.owner} can't ask for access: {_why(u, wanted)}.") if owner else None)
        or check_life(wanted.life)
        or (check_name(wanted.name) if wanted.name else None)
    )


def _why(u: Snapshot, wanted: Wanted) -> str:
    return u.person(wanted.owner).ineligible_reason() or ""
