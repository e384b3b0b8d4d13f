"""Okta as in its published Management API: "Groups", "Users" and "Rate limits", as far as the
connector uses them. It is written from the description; where the real service differs, it follows
the description."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from tests.connectors.standins.server import Asked, Reply, Route, StandIn

TOKEN = "00QCjAl4MlV-WPXM0123456789"
PAGE = 2
"""Entries on a page, so that a list has several pages."""

_TERM = re.compile(r'(profile\.email|profile\.name|id) eq "((?:[^"\\]|\\.)*)"')


@dataclass
class User:
    id: str
    email: str
    status: str = "ACTIVE"

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "status": self.status,
            "profile": {"login": self.email, "email": self.email},
        }


@dataclass
class Group:
    id: str
    name: str
    type: str = "OKTA_GROUP"
    members: set[str] = field(default_factory=set)

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": self.type,
            "profile": {"name": self.name, "description": None},
        }


class Okta(StandIn):
    def __init__(self) -> None:
        super().__init__()
        self.users: dict[str, User] = {}
        self.groups: dict[str, Group] = {}
        self.blind, self.hidden = False, set[str]()

    def join(self, email: str, status: str = "ACTIVE") -> User:
        user = User(f"00u{len(self.users):017}", email, status)
        return self.users.setdefault(user.id, user)

    def add(self, name: str, type: str = "OKTA_GROUP") -> Group:
        group = Group(f"00g{len(self.groups):017}", name, type)
        return self.groups.setdefault(group.id, group)

    def may(self, email: str, group: str) -> bool:
        """Whether the user with this e-mail has the rights of the group."""
        user = next((user for user in self.users.values() if user.email == email), None)
        return user is not None and any(
            user.id in g.members for g in self.groups.values() if group in (g.id, g.name)
        )

    # --- the routes of the description

    def refusal(self, status: int, words: str) -> Any:
        return {
            "errorCode": "E0000000",
            "errorSummary": words,
            "errorLink": "",
            "errorId": "oae",
            "errorCauses": [],
        }

    def admits(self, headers: Mapping[str, str]) -> Reply | None:
        assert headers.get("accept") == "application/json"
        if headers.get("authorization") != f"SSWS {TOKEN}":
            return Reply(401, self.refusal(401, "Invalid token provided"))
        return None

    def missing(self) -> Reply:
        return Reply(404, self.refusal(404, "Not found: Resource not found"))

    def page(self, path: str, all: Sequence[Any], asked: Asked) -> Reply:
        """Two entries and a Link to the next ones, by a cursor, as in "Pagination"."""
        start = int(asked.query.get("after", 0))
        more = "".join(f"&{name}={value}" for name, value in asked.query.items() if name == "limit")
        link = (
            f'<{self.url}{path}>; rel="self", <{self.url}{path}?after={start + PAGE}{more}>;'
            ' rel="next"'
        )
        headers = {"Link": link} if len(all) > start + PAGE else {}
        return Reply(200, [each.shown() for each in all[start : start + PAGE]], headers)

    def list_users(self, asked: Asked) -> Reply:
        found = _TERM.fullmatch(asked.query["search"])
        assert found and found[1] == "profile.email", asked.query
        email = re.sub(r"\\(.)", r"\1", found[2]).lower()
        return Reply(
            200, [user.shown() for user in self.users.values() if user.email.lower() == email]
        )

    def list_groups(self, asked: Asked) -> Reply:
        if "search" not in asked.query:
            return Reply(200, [])
        terms = asked.query["search"].split(" or ")
        wanted = {
            (found[1], re.sub(r"\\(.)", r"\1", found[2]))
            for term in terms
            if (found := _TERM.fullmatch(term))
        }
        assert len(wanted) == len(terms), asked.query
        seen = [] if self.blind else self.groups.values()
        return Reply(
            200,
            [
                g.shown()
                for g in seen
                if ("id", g.id) in wanted or ("profile.name", g.name) in wanted
            ],
        )

    def get_group(self, asked: Asked) -> Reply:
        group = None if self.blind else self.groups.get(asked.parts["group"])
        return Reply(200, group.shown()) if group else self.missing()

    def list_user_groups(self, asked: Asked) -> Reply:
        user = None if self.blind else self.users.get(asked.parts["user"])
        if user is None or user.id in self.hidden:
            return self.missing()
        found = [group for group in self.groups.values() if user.id in group.members]
        return self.page(f"/api/v1/users/{user.id}/groups", found, asked)

    def list_members(self, asked: Asked) -> Reply:
        group = None if self.blind else self.groups.get(asked.parts["group"])
        if group is None:
            return self.missing()
        return self.page(
            f"/api/v1/groups/{group.id}/users",
            [self.users[id] for id in sorted(group.members & self.users.keys())],
            asked,
        )

    def put_member(self, asked: Asked) -> Reply:
        group, user = self.groups.get(asked.parts["group"]), self.users.get(asked.parts["user"])
        if group is None or user is None or self.blind:
            return self.missing()
        if group.type != "OKTA_GROUP":
            return Reply(
                403, self.refusal(403, "You do not have permission to perform the requested action")
            )
        group.members.add(user.id)
        return Reply(204)

    def delete_member(self, asked: Asked) -> Reply:
        group = self.groups.get(asked.parts["group"])
        if (
            group is None
            or asked.parts["user"] not in self.users.keys() - self.hidden
            or self.blind
        ):
            return self.missing()
        group.members.discard(asked.parts["user"])
        return Reply(204)

    def busy(self) -> Reply:
        """Limits the calls until a time by its own clock, which is two minutes ahead."""
        now = int(time.time()) + 120
        headers = {
            "X-Rate-Limit-Remaining": "0",
            "X-Rate-Limit-Reset": str(now + 6),
            "Date": formatdate(now),
        }
        return Reply(
            429,
            self.refusal(429, "API call exceeded rate limit due to too many requests."),
            headers,
        )

    routes = (
        Route("GET", "/api/v1/users", list_users, ("search", "filter", "q", "limit", "after")),
        Route("GET", "/api/v1/users/{user}/groups", list_user_groups, ("limit", "after")),
        Route("GET", "/api/v1/groups", list_groups, ("search", "filter", "q", "limit", "after")),
        Route("GET", "/api/v1/groups/{group}", get_group),
        Route("GET", "/api/v1/groups/{group}/users", list_members, ("limit", "after")),
        Route("PUT", "/api/v1/groups/{group}/users/{user}", put_member),
        Route("DELETE", "/api/v1/groups/{group}/users/{user}", delete_member),
    )
