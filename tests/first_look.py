"""A process before its first look-up of Slack's groups and people, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.core.effects import Queue
from bot.core.eligibility import Ask
from bot.operations.requests.request_access import request_access
from bot.operations.usage.count_usage import UsageMeter
from bot.slack.people import SlackPeople
from bot.worker.dispatcher import Dispatcher
from tests.factories import ANA, Made
from tests.fakes import FakeMessenger, FakeSystem, FakeSystems


class Slack(WebClient):
    """The answers of Slack about groups and people. `error` is the reason for which every call is
    refused."""

    def __init__(
        self, groups: dict[str, Sequence[str]], emails: dict[str, str] | None = None
    ) -> None:
        self.groups, self.emails = groups, emails or {}
        self.error: Exception | None = None
        self.asked: list[str] = []

    def api_call(self, api_method: str, **arguments: Any) -> Any:
        self.asked.append(api_method)
        if self.error is not None:
            raise self.error
        return self.answer(
            getattr(self, api_method.replace(".", "_"))(**(arguments.get("params") or {}))
        )

    def answer(self, data: dict[str, Any]) -> SlackResponse:
        return SlackResponse(
            client=self,
            http_verb="POST",
            api_url="",
            req_args={},
            data=data,
            headers={},
            status_code=200,
        )

    def usergroups_list(self, **_: Any) -> dict[str, Any]:  # type: ignore[override]
        groups = [
            {"id": f"S0{name.upper()}", "handle": name, "users": [*who]}
            for name, who in self.groups.items()
        ]
        return {"ok": True, "usergroups": groups}

    def users_list(self, **_: Any) -> dict[str, Any]:  # type: ignore[override]
        return {"ok": True, "members": []}

    def users_info(self, user: str) -> dict[str, Any]:  # type: ignore[override]
        return {"ok": True, "user": {"id": user, "team_id": "T1", "profile": {"email": ""}}}

    def users_lookupByEmail(self, email: str) -> dict[str, Any]:  # type: ignore[override]
        if email not in self.emails:
            answer = self.answer({"ok": False, "error": "users_not_found"})
            raise SlackApiError("refused", answer)  # type: ignore[no-untyped-call]
        return {
            "ok": True,
            "user": {"id": self.emails[email], "team_id": "T1", "profile": {"email": email}},
        }


class Start:
    """A process that has just been started with a new roles.toml, and whose first look at Slack is
    still to come."""

    def __init__(self, made: Made, slack: Slack) -> None:
        self.made, self.slack, self.messenger = made, slack, FakeMessenger()
        self.people = SlackPeople(slack, made.world, lambda: "T1")
        systems, meter = FakeSystems(FakeSystem()), UsageMeter(made.world)
        self.delivery = Dispatcher(made.world, systems, self.messenger, self.people, meter)  # type: ignore[arg-type]

    def ask(self, role: str = "shop-admin", **more: Any) -> object:
        return request_access(self.made.world, Ask(ANA, role, "because", ticket="OPS-1", **more))

    def work(self) -> None:
        for queue in (Queue.DECIDE, Queue.SLACK):
            self.delivery.drain(queue)

    def sent_to(self, to: str) -> list[dict[str, Any]]:
        return [
            dict(data) for some in self.messenger.sent for _, data in some if to in data.values()
        ]
