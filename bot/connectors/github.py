"""GitHub teams: a grant is a membership of teams of one organisation.

Calls and answers follow GitHub's published REST API description, version 2022-11-28: "Team
members", "Organization members", "Users" and "Search".
"""

import re
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from bot.connectors.base import ConnectorDeps, ConnectorKind, fingerprint
from bot.connectors.membership import MembershipState, SharedMembership, refuse_unknown
from bot.connectors.settings import SystemTable, Text, api_url, checking, refuse_wrong, token
from bot.connectors.transport.http import Answer
from bot.connectors.transport.rest import Rest
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import ProvisionOrder, folded
from bot.core.roles import Settings, System
from bot.core.values import quoted

API = "https://api.github.com"
PIN = '; pin the login: [people."E-MAIL"] github = "LOGIN" in roles.toml'
_STATES = {"active": MembershipState.YES, "pending": MembershipState.PENDING}


def make(system: System, tools: ConnectorDeps) -> SharedMembership:
    """The connector of `[systems.NAME]`. Raises ValueError for wrong settings."""
    return SharedMembership(system, tools, Teams(system, tools))


class Teams:
    """`account` is the numeric id of a user, because after a rename another user can take the
    login. `thing` is the slug and numeric id of a team for the same reason."""

    def __init__(self, system: System, tools: ConnectorDeps) -> None:
        refuse_wrong(_wrong_settings(system.settings))
        self._system, self._pins, self._org = system.name, tools.pins, str(system.settings["org"])
        headers = {
            "Authorization": f"Bearer {system.settings['token']}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "access-bot",
        }
        url = str(system.settings.get("url") or API)
        self._rest = Rest(url, headers, limited=limited)
        self.target = fingerprint(url.rstrip("/"), self._org.lower())
        self._place = urlsplit(url).netloc
        self._site = "github.com" if url.rstrip("/") == API else self._place

    # --- the account of a person

    def account(self, order: ProvisionOrder) -> str:
        if named := order.names.get("github"):
            found = self._member(self._user("users", named), named)
            return self._pins.name(order.system, order.person.id, found, self._place)
        if known := self._pins.get(order.system, order.person.id, self._place):
            return self._member(self._user("user", known), known)
        found = self._by_email(order.person.email)
        return self._pins.keep(order.system, order.person.id, found, self._place)

    def _by_email(self, email: str) -> str:
        """The one user with this e-mail on their profile. GitHub allows only verified addresses
        there."""
        logins = self._search(email) if email else []
        users = [user for login in logins if (user := self._rest.get("users", login))]
        ours = [user for user in users if folded(str(user.get("email") or "")) == folded(email)]
        if len(ours) != 1:
            raise refuse_unknown(email, len(ours), "GitHub", PIN)
        return self._member(ours[0], str(ours[0]["login"]))

    def _search(self, email: str) -> list[str]:
        if not re.fullmatch(r"[^\s\"\\]+", email):
            raise refuse_unknown(email, 0, "GitHub", PIN)
        found = self._rest.get("search", "users", q=f'"{email}" in:email type:user')
        if found is None or found.get("incomplete_results"):
            raise SystemUnavailable("GitHub did not finish the search for this person")
        return [str(item["login"]) for item in found["items"]]

    def _user(self, *path: str) -> dict[str, object] | None:
        found: dict[str, object] | None = self._rest.get(*path)
        return found if found and found.get("type") == "User" else None

    def _member(self, user: dict[str, object] | None, login: str) -> str:
        """The id of a user who is in the organisation, checked each time. The bot does not invite
        anyone, because they would stay after the end."""
        if user is None:
            raise SystemRefused(
                "unknown_person",
                f"GitHub has no user {login}{PIN}",
                f"GitHub has no user {login}: tell a lead your GitHub login.",
            )
        found = self._rest.get("orgs", self._org, "memberships", str(user["login"]))
        if found is None:
            raise SystemRefused(
                "not_a_member",
                f"{login} is not in the organisation {self._org}: invite them first",
                f"Your account {login} is not in the organisation {self._org} on GitHub: ask for an"
                " invitation.",
            )
        if found.get("state") != "active":
            raise SystemUnavailable(
                f"{login} must accept the invitation to {self._org} first",
                to_person=f"Accept the invitation to {self._org} on {self._site}.",
            )
        return str(user["id"])

    def _login(self, account: str) -> str | None:
        """The current login of this user, None if the user was deleted."""
        user = self._rest.get("user", account)
        return None if user is None else str(user["login"])

    # --- the team of an action

    def thing(self, action: str) -> str:
        found = self._rest.get("orgs", self._org, "teams", action)
        if found is None:
            raise SystemRefused(
                "no_team", f"{self._org} has no team {action}, or our token may not see it"
            )
        return f"{action} {found['id']}"

    def _slug(self, thing: str) -> str:
        """The slug of the team, if it still is the same team."""
        slug, _, team = thing.partition(" ")
        found = self._rest.get("orgs", self._org, "teams", slug)
        if found is None:
            raise SystemUnavailable(
                f"GitHub does not show the team {slug}: it was deleted, or our token lost a right"
            )
        if team and str(found["id"]) != team:
            raise SystemUnavailable(
                f"the team {slug} is another one now: the team of this grant was renamed or deleted"
            )
        return slug

    def has(self, account: str, thing: str) -> MembershipState:
        login, slug = self._login(account), self._slug(thing)
        found = self._rest.get(*self._path(slug, login)) if login else self._listed(account, slug)
        return (
            MembershipState.NOT
            if found is None
            else _STATES.get(str(found.get("state")), MembershipState.PENDING)
        )

    def _listed(self, account: str, slug: str) -> dict[str, str] | None:
        """The membership of a user whom GitHub no longer shows: deleted, or hidden for a while."""
        pages = self._rest.pages("orgs", self._org, "teams", slug, "members", per_page="100")
        return (
            {"state": "active"}
            if any(str(one["id"]) == account for page in pages for one in page)
            else None
        )

    def give(self, account: str, thing: str) -> None:
        login = self._login(account)
        if login is None:
            raise SystemRefused(
                "unknown_person",
                f"GitHub no longer has a user {account}",
                "GitHub no longer has your account: tell a lead which one you use now.",
            )
        path = self._path(self._slug(thing), login)
        self._rest.ask("PUT", self._rest.url_of(*path), {"role": "member"}, also=())

    def take(self, account: str, thing: str) -> None:
        if (login := self._login(account)) is not None:
            self._rest.ask("DELETE", self._rest.url_of(*self._path(self._slug(thing), login)))

    def _path(self, team: str, login: str) -> tuple[str, ...]:
        return ("orgs", self._org, "teams", team, "memberships", login)

    def troubles(self) -> Iterator[str]:
        if self._rest.get("orgs", self._org) is None:
            yield f"GitHub has no organisation {self._org}, or our token may not see it"


def limited(answer: Answer) -> int | None:
    """Seconds to wait after a 403 or 429 for too many calls: Retry-After, else until
    X-RateLimit-Reset (GitHub's "Rate limits for the REST API")."""
    used_up = answer.headers.get("x-ratelimit-remaining") == "0"
    if answer.status not in (403, 429) or not (
        used_up or answer.retry_after is not None or answer.status == 429
    ):
        return None
    if answer.retry_after is not None:
        return answer.retry_after
    reset = answer.headers.get("x-ratelimit-reset", "")
    return int(reset) - int(time.time()) + 1 if re.fullmatch("[0-9]{1,12}", reset) else 60


class GithubTable(SystemTable):
    org: Text
    token: Text
    url: Text | None = None


def _org(org: object, _: Settings) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}", str(org)):
        raise ValueError("org must be the organisation's name as in its address")


def _wrong_slug(action: str) -> str:
    words = "is not a team's slug: the end of its address, small letters, digits, - and _"
    return "" if re.fullmatch(r"[a-z0-9_-]{1,100}", action) else f"{quoted(action)} {words}"


_wrong_settings = checking({"org": _org, "url": api_url, "token": token})

KIND = ConnectorKind(
    make=make,
    table=GithubTable,
    wrong_settings=_wrong_settings,
    shown=frozenset({"org", "url"}),
    wrong_action=_wrong_slug,
    reads_names=True,
)
