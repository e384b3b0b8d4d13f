"""The JSON document that `webhook` and `command` send, and the meaning of its answer."""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from bot.connectors.base import AccessInstructions, Prompt
from bot.core.audit import rfc3339
from bot.core.backoff import Backoff
from bot.core.errors import AccessBotError, SystemUnavailable
from bot.core.model import Person, ProvisionOrder
from bot.core.roles import System

Do = Literal["grant", "extend", "revoke", "read_back"]
State = Literal["active", "ended", "pending"]

PATIENCE = 10
"""Seconds for which one call polls at most while the answer is "pending". Then the work is retried
later, because other work needs the thread."""

BACKOFF = Backoff(first=0.1, longest=PATIENCE)
"""Seconds between polls of a pending answer."""

MOST_CREDENTIALS, LONGEST_LABEL, LONGEST_CREDENTIAL = 10, 75, 8000
"""Long enough for a kubeconfig with its certificates, short enough for a window of Slack's."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A system's reply; `state` is None if it only confirmed that it is done."""

    state: State | None
    credentials: object = field(default=None, repr=False)


def document(do: Do, key: str, order: ProvisionOrder) -> bytes:
    """The document as JSON in ASCII; times are RFC 3339 in UTC."""
    who = {"id": order.person.id, "name": order.person.name, "email": order.person.email}
    facts = {
        "do": do,
        "key": key,
        "grant": order.grant,
        "person": who,
        "role": order.role,
        "system": order.system,
        "actions": list(order.actions),
        "starts_at": rfc3339(order.starts_at),
        "ends_at": rfc3339(order.ends_at),
    }
    return json.dumps(facts).encode()


def key_of(do: Do, order: ProvisionOrder) -> str:
    """The key is equal for every attempt of one start, of one renewal to one end, or of one
    revocation. A query gets a new key each time, so that no cached answer is used."""
    detail = {"extend": str(order.ends_at), "read_back": secrets.token_hex(8)}.get(do, "")
    return ":".join(part for part in (order.grant, order.system, do, detail) if part)


def read_reply(given: object, who: str) -> Reply:
    """The reply in a JSON value from the system called `who`. Raises SystemUnavailable for anything
    else: an unreadable reply never counts as "active"."""
    state = given.get("state") if isinstance(given, dict) else None
    if not isinstance(given, dict) or state not in get_args(State):
        raise SystemUnavailable(f"{who} answered without a state: active, ended or pending")
    return Reply(state, given.get("credentials"))


def read_credentials(found: object, who: str) -> dict[str, str]:
    """Texts by label. Raises SystemUnavailable, without quoting any, for texts that can't be
    shown."""
    if found is None:
        return {}
    if not isinstance(found, dict) or len(found) > MOST_CREDENTIALS:
        raise SystemUnavailable(
            f"{who} returned credentials that are not at most {MOST_CREDENTIALS} labels with a"
            " text each"
        )
    for label, text in found.items():
        if not (
            _can_be_shown(label, LONGEST_LABEL) and _can_be_shown(text, LONGEST_CREDENTIAL, "\n\t")
        ):
            raise SystemUnavailable(
                f"{who} returned credentials that can't be shown: empty, too long or unprintable"
            )
    return dict(found)


def _can_be_shown(text: object, longest: int, also: str = "") -> bool:
    """Whether it has no hidden characters and none that change the reading direction."""
    if not isinstance(text, str) or not 0 < len(text) <= longest:
        return False
    return all(char.isprintable() or char in also for char in text)


class DocumentConnector:
    """A connector that sends documents with `ask`, which returns the system's state. A method takes
    at most about `timeout` seconds."""

    def __init__(self, system: System, ask: Callable[[Do, ProvisionOrder, float], Reply]) -> None:
        """`ask` sends one document and returns the reply within the given seconds. It raises
        SystemRefused only for a grant, SystemUnavailable otherwise."""
        self._name, self._ask = system.name, ask
        self._timeout = float(str(system.settings["timeout"]))

    def grant(self, order: ProvisionOrder) -> None:
        self._until("active", "grant", order)

    def extend(self, order: ProvisionOrder) -> None:
        self._until("active", "extend", order)

    def revoke(self, order: ProvisionOrder) -> None:
        self._until("ended", "revoke", order)

    def read_back(self, order: ProvisionOrder) -> bool:
        """Raises SystemUnavailable while it is pending, which is neither active nor ended."""
        return self._settled("read_back", order).state == "active"

    def credentials(self, order: ProvisionOrder, given: str) -> AccessInstructions | Prompt:
        """The credentials from a repeated grant; they are not stored. Access that ended while the
        holder pressed must not start again, so its state is checked first. Raises SystemUnavailable
        if it is not active."""
        if not self.read_back(order):
            raise SystemUnavailable(f"{self._name} does not have the access")
        reply = self._until("active", "grant", order)
        shown = read_credentials(reply.credentials, self._name)
        return AccessInstructions(
            shown,
            (() if shown else (f"{self._name} gives nothing to copy: sign in there as usual.",)),
        )

    def check(self, roles: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Asks about a grant that can't exist: the system must answer that it has ended."""
        try:
            state = self._reply("read_back", nobody(self._name), self._timeout).state
            if state != "ended":
                yield (
                    f"{self._name} says that a grant which does not exist is {state}; ended is"
                    " expected"
                )
        except AccessBotError as error:
            yield str(error)

    def _until(self, wanted: State, do: Do, order: ProvisionOrder) -> Reply:
        """The reply with the expected state. Raises SystemUnavailable for any other."""
        reply = self._settled(do, order)
        if reply.state not in (wanted, None):
            raise SystemUnavailable(f"{self._name} answered {reply.state} to {do}")
        return reply

    def _settled(self, do: Do, order: ProvisionOrder) -> Reply:
        """The reply, polled while it is "pending". Raises SystemUnavailable if that takes too
        long."""
        deadline, pauses = time.monotonic() + self._timeout, iter(BACKOFF)
        reply = self._reply(do, order, self._timeout)
        patience = min(deadline, time.monotonic() + PATIENCE)
        while reply.state == "pending":
            pause = next(pauses)
            if (left := patience - time.monotonic() - pause) <= 0:
                raise SystemUnavailable(f"{self._name} has not finished: {do} is still pending")
            time.sleep(pause)
            reply = replace(reply, state=self._reply("read_back", order, left).state)
        return reply

    def _reply(self, do: Do, order: ProvisionOrder, timeout: float) -> Reply:
        """One reply. Raises SystemUnavailable if the answer to a query has no state."""
        reply = self._ask(do, order, timeout)
        if do == "read_back" and reply.state is None:
            raise SystemUnavailable(f"{self._name} did not say whether the access is active")
        return reply


def nobody(system: str) -> ProvisionOrder:
    """An order for a grant that nobody has."""
    person = Person("U000000000", "Nobody", "", "UTC", "", 0)
    now = int(time.time())
    return ProvisionOrder(f"none-{secrets.token_hex(8)}", system, "", person, "none", (), now, now)
