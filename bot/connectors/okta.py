"""Okta groups: a grant is a membership of groups of one Okta organisation.

Calls and answers follow Okta's published Management API: "Groups", "Users" and "Rate limits".
"""

import re
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from bot.connectors.actions import broad_in
from bot.connectors.base import ConnectorDeps, ConnectorKind, fingerprint
from bot.connectors.membership import MembershipState, SharedMembership, refuse_unknown
from bot.connectors.settings import SystemTable, Text, api_url, checking, token
from bot.connectors.transport.http import Answer
from bot.connectors.transport.rest import Rest
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import ProvisionOrder, folded
from bot.core.roles import System

_FIT = frozenset({"ACTIVE", "PASSWORD_EXPIRED", "RECOVERY", "LOCKED_OUT", "PROVISIONED", "STAGED"})
"""Okta's states of users who can or will be able to sign in; not SUSPENDED or DEPROVISIONED."""


def make(system: System, tools: ConnectorDeps) -> SharedMembership:
    """The connector of `[systems.NAME]`. Raises ValueError for wrong settings."""
    return SharedMembership(system, tools, Groups(system, tools))


class Groups:
    """`account` and `thing` are Okta's ids of a user and a group."""

    def __init__(self, system: System, tools: ConnectorDeps) -> None:
        self._pins = tools.pins
        headers = {
            "Authorization": f"SSWS {system.settings['token']}",
            "Accept": "application/json",
        }
        url = str(system.settings["url"])
        self._rest = Rest(url, headers, limited=_limited, message=_words)
        self.target = fingerprint(url.rstrip("/"))
        self._place = urlsplit(url).netloc

    def account(self, order: ProvisionOrder) -> str:
        if known := self._pins.get(order.system, order.person.id, self._place):
            return known
        email = order.person.email
        pages = (
            self._rest.pages("api", "v1", "users", search=f"profile.email eq {_quoted(email)}")
            if email
            else ()
        )
        users = [
            user for page in pages for user in page if _same(user["profile"].get("email"), email)
        ]
        if len(users) != 1:
            raise refuse_unknown(email, len(users), "Okta")
        if users[0].get("status") not in _FIT:
            status = users[0].get("status")
            raise SystemRefused(
                "not_active",
                f"the Okta account of {email} is {status}",
                f"Your Okta account, {email}, is {status}: an Okta administrator can activate it.",
            )
        return self._pins.keep(order.system, order.person.id, str(users[0]["id"]), self._place)

    def thing(self, action: str) -> str:
        """The id of the one group with this name or id, if its members may be changed."""
        search = f"profile.name eq {_quoted(action)} or id eq {_quoted(action)}"
        pages = self._rest.pages("api", "v1", "groups", search=search)
        found = [
            group
            for page in pages
            for group in page
            if action in (group["id"], group["profile"]["name"])
        ]
        if len(found) != 1:
            many = "more than one group" if found else "no group"
            raise SystemRefused(
                "no_group", f"Okta has {many} {action}{'; give its id' if found else ''}"
            )
        if found[0].get("type") != "OKTA_GROUP":
            raise SystemRefused(
                "not_ours_to_change",
                f"the members of {action} come from elsewhere, or are everyone",
            )
        return str(found[0]["id"])

    def has(self, account: str, thing: str) -> MembershipState:
        groups = [
            group["id"]
            for page in self._rest.pages("api", "v1", "users", account, "groups")
            for group in page
        ]
        if thing in groups or (not groups and self._listed(account, thing)):
            return MembershipState.YES
        if self._rest.get("api", "v1", "groups", thing) is None:
            raise SystemUnavailable(
                f"Okta does not show the group {thing}: it was deleted, or our token lost a right"
            )
        return MembershipState.NOT

    def _listed(self, account: str, thing: str) -> bool:
        """For a user whom Okta does not show: every other user is in one group, Everyone."""
        pages = self._rest.pages("api", "v1", "groups", thing, "users", limit="1000")
        return any(user["id"] == account for page in pages for user in page)

    def give(self, account: str, thing: str) -> None:
        self._rest.ask(
            "PUT", self._rest.url_of("api", "v1", "groups", thing, "users", account), also=()
        )

    def take(self, account: str, thing: str) -> None:
        self._rest.ask("DELETE", self._rest.url_of("api", "v1", "groups", thing, "users", account))

    def troubles(self) -> Iterator[str]:
        self._rest.get("api", "v1", "groups", limit="1")
        yield from ()


def _words(body: Any) -> object:
    return body.get("errorSummary")


def _quoted(text: str) -> str:
    r"""A text in a search expression (SCIM, RFC 7644 section 3.4.2.2): as in JSON, with \ before "
    and itself."""
    if not text.isprintable():
        raise SystemRefused("bad_name", "a name must not hold control characters")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _same(one: Any, other: str) -> bool:
    return folded(str(one or "")) == folded(other)


def _limited(answer: Answer) -> int | None:
    """Seconds to wait after a 429: until X-Rate-Limit-Reset, by Okta's own clock as in its
    answers."""
    reset = answer.headers.get("x-rate-limit-reset", "")
    if answer.status != 429:
        return None
    if not re.fullmatch("[0-9]{1,12}", reset):
        return answer.retry_after or 60
    try:
        now = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        now = time.time()
    return int(reset) - int(now) + 1


class OktaTable(SystemTable):
    url: Text
    token: Text


KIND = ConnectorKind(
    make=make,
    table=OktaTable,
    wrong_settings=checking({"url": api_url, "token": token}),
    shown=frozenset({"url"}),
    broad_action=broad_in([(re.compile("^everyone$", re.IGNORECASE), "is the group of all users")]),
)
