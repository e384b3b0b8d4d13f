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
"""Seconds for which one call asks again at most while the answer is "pending"; then the work is put
off as a whole, because other work waits for the thread."""

BACKOFF = Backoff(first=0.1, longest=PATIENCE)
"""Before a pending answer is asked about again."""

MOST_CREDENTIALS, LONGEST_LABEL, LONGEST_CREDENTIAL = 10, 75, 8000
"""Long enough for a kubeconfig with its certificates, short enough for a window of Slack's."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a system said; `state` is None where it only said that it is done."""

    state: State | None
    credentials: object = field(default=None, repr=False)


def document(do: Do, key: str, order: ProvisionOrder) -> bytes:
    """What is sent, as JSON in ASCII; the times are RFC 3339 in UTC."""
    who = {"id": order.person.id, "name": order.person.name, "email": order.person.email}
    said = {
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
    return json.dumps(said).encode()


def key_of(do: Do, order: ProvisionOrder) -> str:
    """The same for every try of one thing: one start, one renewal to one end, one end. A question
    gets a key of its own each time, so that nobody answers it from memory."""
    detail = {"extend": str(order.ends_at), "read_back": secrets.token_hex(8)}.get(do, "")
    return ":".join(part for part in (order.grant, order.system, do, detail) if part)


def read_reply(said: object, who: str) -> Reply:
    """The reply in a JSON value that the system called `who` sent. Raises SystemUnavailable for
    anything that is none: what can't be read is never "active"."""
    state = said.get("state") if isinstance(said, dict) else None
    if not isinstance(said, dict) or state not in get_args(State):
        raise SystemUnavailable(f"{who} answered no state: active, ended or pending is expected")
    return Reply(state, said.get("credentials"))


def read_credentials(found: object, who: str) -> dict[str, str]:
    """Texts by label. Raises SystemUnavailable, without repeating any, for what can't be shown to a
    person."""
    if found is None:
        return {}
    if not isinstance(found, dict) or len(found) > MOST_CREDENTIALS:
        raise SystemUnavailable(
            f"{who} gave credentials that are not at most {MOST_CREDENTIALS} labels with a text"
            " each"
        )
    for label, text in found.items():
        if not (
            _can_be_shown(label, LONGEST_LABEL) and _can_be_shown(text, LONGEST_CREDENTIAL, "\n\t")
        ):
            raise SystemUnavailable(
                f"{who} gave credentials that can't be shown: empty, too long or unprintable"
            )
    return dict(found)


def _can_be_shown(text: object, longest: int, also: str = "") -> bool:
    """Whether nothing in it is hidden or turns the reading direction."""
    if not isinstance(text, str) or not 0 < len(text) <= longest:
        return False
    return all(char.isprintable() or char in also for char in text)


class DocumentConnector:
    """A connector whose system is told what to do, by `ask`, and answers with its state. Everything
    that one method does ends within about `timeout` seconds."""

    def __init__(self, system: System, ask: Callable[[Do, ProvisionOrder, float], Reply]) -> None:
        """`ask` sends one document and gives the reply, within so many seconds. It raises
        SystemRefused only for a grant, SystemUnavailable for everything else."""
        self._name, self._ask = system.name, ask
        self._timeout = float(str(system.settings["timeout"]))

    def grant(self, order: ProvisionOrder) -> None:
        self._until("active", "grant", order)

    def extend(self, order: ProvisionOrder) -> None:
        self._until("active", "extend", order)

    def revoke(self, order: ProvisionOrder) -> None:
        self._until("ended", "revoke", order)

    def read_back(self, order: ProvisionOrder) -> bool:
        """What is pending is neither there nor gone. Raises SystemUnavailable for it."""
        return self._settled("read_back", order).state == "active"

    def credentials(self, order: ProvisionOrder, given: str) -> AccessInstructions | Prompt:
        """Whatever the system gives for the same grant again; nothing of it is kept. Access that
        ended while the holder pressed must not come back by that, so it is looked at first. Raises
        SystemUnavailable when it is not there."""
        if not self.read_back(order):
            raise SystemUnavailable(f"{self._name} has not got the access")
        reply = self._until("active", "grant", order)
        shown = read_credentials(reply.credentials, self._name)
        return AccessInstructions(
            shown,
            (
                ()
                if shown
                else (f"{self._name} gives nothing to copy: sign in there as you always do.",)
            ),
        )

    def check(self, roles: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Asks about a grant that can't exist: the system has to say that it is not there."""
        try:
            state = self._said("read_back", nobody(self._name), self._timeout).state
            if state != "ended":
                yield (
                    f"{self._name} says that a grant which does not exist is {state}; ended is"
                    " expected"
                )
        except AccessBotError as error:
            yield str(error)

    def _until(self, wanted: State, do: Do, order: ProvisionOrder) -> Reply:
        """The reply in which the system is where it should be. Raises SystemUnavailable when it
        isn't."""
        reply = self._settled(do, order)
        if reply.state not in (wanted, None):
            raise SystemUnavailable(f"{self._name} answered {reply.state} to {do}")
        return reply

    def _settled(self, do: Do, order: ProvisionOrder) -> Reply:
        """The reply, or the state that follows on "pending". Raises SystemUnavailable when none
        does in time."""
        deadline, pauses = time.monotonic() + self._timeout, iter(BACKOFF)
        reply = self._said(do, order, self._timeout)
        patience = min(deadline, time.monotonic() + PATIENCE)
        while reply.state == "pending":
            pause = next(pauses)
            if (left := patience - time.monotonic() - pause) <= 0:
                raise SystemUnavailable(f"{self._name} is still at it: it answers pending to {do}")
            time.sleep(pause)
            reply = replace(reply, state=self._said("read_back", order, left).state)
        return reply

    def _said(self, do: Do, order: ProvisionOrder, timeout: float) -> Reply:
        """One reply. To be done is no answer to a question: SystemUnavailable."""
        reply = self._ask(do, order, timeout)
        if do == "read_back" and reply.state is None:
            raise SystemUnavailable(f"{self._name} did not say whether the access is there")
        return reply


def nobody(system: str) -> ProvisionOrder:
    """An order for a grant that nobody has."""
    person = Person("U000000000", "Nobody", "", "UTC", "", 0)
    now = int(time.time())
    return ProvisionOrder(f"none-{secrets.token_hex(8)}", system, "", person, "none", (), now, now)
