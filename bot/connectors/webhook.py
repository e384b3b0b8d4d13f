"""Systems that are called over HTTPS with a signed POST. document.py has the format of the document
and of its answer.
"""

import hashlib
import hmac
import time
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from bot.connectors.actions import fill_encoded
from bot.connectors.base import ConnectorDeps, ConnectorKind, fingerprint
from bot.connectors.settings import Secret, Span, SystemTable, Text, checking, refuse_wrong, timeout
from bot.connectors.transport.document import (
    Do,
    DocumentConnector,
    Reply,
    document,
    key_of,
    nobody,
    read_reply,
)
from bot.connectors.transport.http import Answer, call
from bot.connectors.transport.urls import checked_url, is_metadata
from bot.core.errors import AccessBotError, SystemRefused, SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.core.roles import Settings, System, Warned, Written


class Webhook(DocumentConnector):
    """Settings: `url`, `secret`, `timeout`, and `private`, which allows private addresses."""

    def __init__(self, system: System, _tools: ConnectorDeps) -> None:
        refuse_wrong(_wrong_settings(system.settings))
        super().__init__(system, self._post)
        self._url, self._secret = str(system.settings["url"]), str(system.secret).encode()
        self.target = fingerprint(self._url)
        self._private = system.settings.get("private") is True

    def check(self, roles: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Also checks that the receiver refuses a request with a wrong signature. Only `access-bot
        doctor` does this (with roles): every few minutes it would look like an attack in the
        receiver's log."""
        problems = list(super().check(roles))
        yield from problems
        if roles and not problems and self._answers_a_stranger():
            yield (
                f"{self._name} accepts requests that are not signed with the secret: it must"
                " answer them with 401"
            )

    def _post(self, do: Do, order: ProvisionOrder, timeout: float) -> Reply:
        answer = self._send(do, order, timeout, self._secret)
        answer.raise_if_passing()
        if answer.status >= 400:
            if do == "grant":
                raise SystemRefused(f"{self._name} answered {answer.status} to the start")
            raise SystemUnavailable(
                f"{self._name} answered {answer.status} to {do}", answer.retry_after
            )
        return read_reply(answer.json(), self._name)

    def _send(self, do: Do, order: ProvisionOrder, timeout: float, secret: bytes) -> Answer:
        key = key_of(do, order)
        body = document(do, key, order)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "access-bot",
            "Idempotency-Key": key,
            "X-Access-Signature": signature(secret, body, int(time.time())),
        }
        return call(
            "POST",
            self._url,
            headers=headers,
            body=body,
            timeout=timeout,
            allow_private=self._private,
        )

    def _answers_a_stranger(self) -> bool:
        try:
            return (
                self._send("read_back", nobody(self._name), self._timeout, b"not the secret").status
                < 300
            )
        except AccessBotError:
            return False


def signature(secret: bytes, body: bytes, at: int) -> str:
    """The value of X-Access-Signature for a body sent at `at` (UTC seconds)."""
    signed = hmac.new(secret, b"%d.%b" % (at, body), hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


class WebhookTable(SystemTable):
    url: Text
    secret: Secret
    timeout: Span = 10
    private: bool = False


def _hook(url: object, settings: Settings) -> None:
    checked_url(str(url), allow_private=settings.get("private") is True)


def _lint(systems: Sequence[Written]) -> Iterator[Warned]:
    for system in (each.system for each in systems):
        private = system.settings.get("private") is True
        if private and is_metadata(urlsplit(str(system.settings.get("url"))).hostname or ""):
            words = "leads to a link-local address, where clouds return this machine's credentials"
            yield "link-local", (system.name, "url"), words


_wrong_settings = checking({"url": _hook, "timeout": timeout})

KIND = ConnectorKind(
    make=Webhook,
    table=WebhookTable,
    wrong_settings=_wrong_settings,
    fill=fill_encoded,
    shown=frozenset({"url", "timeout", "private"}),
    warnings=("link-local",),
    lint=_lint,
)
