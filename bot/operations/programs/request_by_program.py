"""Requests a role for the owner of an API token, and reads such a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.core.approval import Refused
from bot.core.effects import ask_key
from bot.core.eligibility import Ask
from bot.core.model import Grant, Request, Source, is_recent
from bot.core.programs import ApiRequest, ApiToken, Program
from bot.operations._leads_only import PERSON_LASTS
from bot.operations._unit_of_work import Context, Snapshot, new_id, reading, unit
from bot.operations.idempotency import do_together
from bot.operations.programs.create_api_token import digest_of
from bot.operations.requests.request_access import (
    AlreadyHeld,
    AlreadyPending,
    GrantedAtOnce,
    Submitted,
    Waiting,
    request_access,
)
from storage import grants, outbox, programs, requests

ACTION = "request"


@dataclass(frozen=True, slots=True)
class Sent:
    """The content of one request of a program. `digest` is that of its body; `key` is its
    `Idempotency-Key`, None without one."""

    role: str
    reason: str
    duration: int | None
    ticket: str
    digest: str
    key: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request as its program sees it. `request` is None while Slack is asked about its people,
    and after a refusal; `grant` is None before an approval."""

    sent: ApiRequest
    request: Request | None = None
    grant: Grant | None = None

    @property
    def state(self) -> str:
        """The state of the request, or `checking` or `refused` where none was made."""
        if self.request is not None:
            return self.request.state
        return "refused" if self.sent.refused else "checking"


@dataclass(frozen=True, slots=True)
class TokenOver:
    """The token was revoked or has expired meanwhile."""


@dataclass(frozen=True, slots=True)
class KeyReused:
    """The idempotency key came before with another body. `refused` was recorded."""

    refused: Refused


@dataclass(frozen=True, slots=True)
class AlreadyChecked:
    """A request of the owner for the role waits until Slack was asked. One is enough: the number of
    those that wait is limited, and the owner needs it, too."""


@dataclass(frozen=True, slots=True)
class OutOfScope:
    """The token is not for this role. `refused` was recorded."""

    refused: Refused


Outcome = (
    RequestView
    | AlreadyHeld
    | AlreadyPending
    | AlreadyChecked
    | Refused
    | OutOfScope
    | KeyReused
    | TokenOver
)


def find_program(world: Context, secret: str) -> ApiToken | None:
    """Returns the token with this secret, or None if it is unknown or over. Raises
    StorageUnavailable."""
    with reading(world) as u:
        token = programs.token_by_hash(u.db, digest_of(secret))
        return token if token and token.state(u.now) == "active" else None


def request_by_program(world: Context, token: ApiToken, sent: Sent) -> Outcome:
    """Makes the request, or returns the earlier one with the same key. Requests of one token are
    made one after the other. Raises StorageUnavailable."""
    via = world.via(Source.API, token.id)
    return do_together(via, lambda inner: _request(inner, token.id, sent))


def _request(world: Context, id: str, sent: Sent) -> Outcome:
    token = programs.locked_token(world.db, id)
    if token is None or token.state(world.now()) != "active":
        return TokenOver()
    if sent.key and (earlier := programs.request_with_key(world.db, id, sent.key)) is not None:
        if earlier.digest == sent.digest:
            return _view(Snapshot(world), earlier)
        refused = Refused("this Idempotency-Key came with another body before")
        return KeyReused(_refuse(world, token, refused, sent))
    if sent.role not in token.roles:
        return _out_of_scope(world, token, sent)
    if outbox.any_with_key(world.db, ask_key(token.owner, sent.role)):
        return AlreadyChecked()
    program = Program(token.id, token.name, new_id("r"))
    ask = Ask(
        token.owner,
        sent.role,
        sent.reason,
        sent.duration,
        sent.ticket,
        program=program,
        parameters=sent.parameters,
    )
    outcome = request_access(world, ask, look_up_first=_needs_lookup(world, token.owner))
    if not isinstance(outcome, Submitted | GrantedAtOnce | Waiting):
        return outcome
    made = ApiRequest(program.request, id, sent.role, sent.key, sent.digest, world.now())
    programs.add_request(world.db, made)
    return _view(Snapshot(world), made)


def _needs_lookup(world: Context, owner: str) -> bool:
    """Whether Slack has to confirm the owner first, as for a request that a person makes."""
    u = Snapshot(world)
    return not is_recent(u.person(owner).checked_at, u.now, PERSON_LASTS)


def _out_of_scope(world: Context, token: ApiToken, sent: Sent) -> OutOfScope:
    refused = Refused(
        f"The token of {token.name} is not for “{sent.role[:60]}”. It is for"
        f" {', '.join(token.roles)}; an operator can create another one.",
        "role",
    )
    return OutOfScope(_refuse(world, token, refused, sent))


def _refuse(world: Context, token: ApiToken, refused: Refused, sent: Sent) -> Refused:
    with unit(world) as u:
        return u.refuse(refused, token.owner, ACTION, role=sent.role[:80], reason=sent.reason)


def refuse_malformed(world: Context, token: ApiToken, refused: Refused) -> None:
    """Records that the program sent something from which no request can be read. Raises
    StorageUnavailable."""
    with unit(world.via(Source.API, token.id)) as u:
        u.refuse(refused, token.owner, ACTION)


def read_api_request(world: Context, token: ApiToken, id: str) -> RequestView | None:
    """Returns a request that this token made, else None. Raises StorageUnavailable."""
    with reading(world) as u:
        made = programs.request_of(u.db, token.id, id)
        return _view(u, made) if made else None


def _view(u: Snapshot, made: ApiRequest) -> RequestView:
    request = requests.get(u.db, made.id)
    return RequestView(made, request, grants.of_request(u.db, made.id) if request else None)
