"""GitHub as in its published REST API description (2022-11-28): "Team members", "Teams",
"Organizations", "Organization members", "Users" and "Search users", as far as the connector uses
them. It is written from the description; where the real service differs, it follows the
description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.connectors.standins.server import Asked, Reply, Route, StandIn

TOKEN = "github_pat_11AAAAAAA0123456789"
PAGE = 2
"""Members on a page, so that a list has several pages."""


@dataclass
class User:
    id: int
    login: str
    email: str | None = None
    type: str = "User"

    def shown(self) -> dict[str, Any]:
        return {"id": self.id, "login": self.login, "type": self.type, "email": self.email}


@dataclass
class Organisation:
    members: dict[int, str] = field(default_factory=dict)
    teams: dict[str, dict[int, str]] = field(default_factory=dict)
    """Slugs, and for each the state of its members by id."""


class GitHub(StandIn):
    def __init__(self) -> None:
        super().__init__()
        self.users: dict[int, User] = {}
        self.org = Organisation(teams={"deployers": {}, "on-call": {}})
        self.ids = {"deployers": 9, "on-call": 10}
        self.hidden, self.blind, self.incomplete, self.invites = set[int](), False, False, False

    def join(self, login: str, email: str | None = None, state: str = "active") -> User:
        """Adds a user, who is in the organisation unless `state` is empty."""
        user = self.users.setdefault(
            len(self.users) + 501, User(len(self.users) + 501, login, email)
        )
        if state:
            self.org.members[user.id] = state
        return user

    def named(self, login: str) -> User | None:
        shown = (user for user in self.users.values() if user.id not in self.hidden)
        return next((user for user in shown if user.login.lower() == login.lower()), None)

    def may(self, login: str, team: str) -> bool:
        """Whether this user has the rights of the team."""
        user = next((user for user in self.users.values() if user.login == login), None)
        return user is not None and self.org.teams.get(team, {}).get(user.id) == "active"

    # --- the routes of the description

    def refusal(self, status: int, words: str) -> Any:
        return {
            "message": words,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(status),
        }

    def admits(self, headers: Mapping[str, str]) -> Reply | None:
        assert headers.get("x-github-api-version") == "2022-11-28"
        assert headers.get("accept") == "application/vnd.github+json"
        if not headers.get("user-agent"):
            return Reply(403, self.refusal(403, "Request forbidden by administrative rules."))
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply(401, self.refusal(401, "Bad credentials"))
        return None

    def missing(self) -> Reply:
        return Reply(404, self.refusal(404, "Not Found"))

    def organisation(self, asked: Asked) -> Reply:
        return (
            Reply(200, {"login": "acme", "id": 1})
            if asked.parts["org"] == "acme"
            else self.missing()
        )

    def team(self, asked: Asked) -> dict[int, str] | None:
        if self.blind or asked.parts["org"] != "acme":
            return None
        return self.org.teams.get(asked.parts["team"])

    def get_team(self, asked: Asked) -> Reply:
        found = self.team(asked)
        return (
            self.missing()
            if found is None
            else Reply(200, {"slug": asked.parts["team"], "id": self.ids[asked.parts["team"]]})
        )

    def get_member(self, asked: Asked) -> Reply:
        user = self.named(asked.parts["login"])
        state = self.org.members.get(user.id) if user and not self.blind else None
        return Reply(200, {"state": state, "role": "member"}) if state else self.missing()

    def get_membership(self, asked: Asked) -> Reply:
        team, user = self.team(asked), self.named(asked.parts["login"])
        state = (team or {}).get(user.id) if user else None
        return Reply(200, {"state": state, "role": "member"}) if state else self.missing()

    def put_membership(self, asked: Asked) -> Reply:
        assert asked.body["role"] in ("member", "maintainer")
        team, user = self.team(asked), self.named(asked.parts["login"])
        if team is None or user is None:
            return self.missing()
        if user.type != "User":
            return Reply(422, self.refusal(422, "Cannot add an organization to a team"))
        active = self.org.members.get(user.id) == "active" and not self.invites
        team[user.id] = "active" if active else "pending"
        return Reply(200, {"state": team[user.id], "role": "member"})

    def delete_membership(self, asked: Asked) -> Reply:
        team, user = self.team(asked), self.named(asked.parts["login"])
        if team is None or user is None or user.id not in team:
            return self.missing()
        del team[user.id]
        return Reply(204)

    def list_members(self, asked: Asked) -> Reply:
        if (team := self.team(asked)) is None:
            return self.missing()
        page, ids = (
            int(asked.query.get("page", 1)),
            sorted(id for id, state in team.items() if state == "active"),
        )
        rest = ids[PAGE * (page - 1) :]
        path = f"/orgs/acme/teams/{asked.parts['team']}/members?per_page=100&page={page + 1}"
        link = (
            {"Link": f'<{self.url}{path}>; rel="next", <{self.url}{path}>; rel="last"'}
            if rest[PAGE:]
            else {}
        )
        return Reply(200, [{"id": id, "login": self.users[id].login} for id in rest[:PAGE]], link)

    def get_user(self, asked: Asked) -> Reply:
        user = self.named(asked.parts["login"])
        return Reply(200, user.shown()) if user else self.missing()

    def get_user_by_id(self, asked: Asked) -> Reply:
        user = self.users.get(int(asked.parts["id"])) if asked.parts["id"].isdigit() else None
        return Reply(200, user.shown()) if user and user.id not in self.hidden else self.missing()

    def search_users(self, asked: Asked) -> Reply:
        found = re.fullmatch(r'"([^"]+)" in:email type:user', asked.query["q"])
        assert found, asked.query["q"]
        # The search matches words in an address, not only whole addresses.
        near = [
            user
            for user in self.users.values()
            if user.email and found[1].lower() in user.email.lower()
        ]
        items = [{"id": user.id, "login": user.login, "type": user.type} for user in near]
        return Reply(
            200, {"total_count": len(items), "incomplete_results": self.incomplete, "items": items}
        )

    def busy(self) -> Reply:
        return Reply(
            403,
            self.refusal(403, "API rate limit exceeded"),
            {"X-RateLimit-Remaining": "0", "Retry-After": "7"},
        )

    routes = (
        Route("GET", "/orgs/{org}", organisation),
        Route("GET", "/orgs/{org}/teams/{team}", get_team),
        Route(
            "GET", "/orgs/{org}/teams/{team}/members", list_members, ("per_page", "page", "role")
        ),
        Route("GET", "/orgs/{org}/memberships/{login}", get_member),
        Route("GET", "/orgs/{org}/teams/{team}/memberships/{login}", get_membership),
        Route(
            "PUT", "/orgs/{org}/teams/{team}/memberships/{login}", put_membership, fields=("role",)
        ),
        Route("DELETE", "/orgs/{org}/teams/{team}/memberships/{login}", delete_membership),
        Route("GET", "/users/{login}", get_user),
        Route("GET", "/user/{id}", get_user_by_id),
        Route("GET", "/search/users", search_users, ("q", "per_page", "page", "sort", "order")),
    )
