"""Looking up tickets against real servers: what each answer means, and that no ticket and no server
gets more than a question."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

import bot.sources.tickets as source
from bot.core.errors import AccessBotError, SystemUnavailable
from bot.core.rules import Tickets
from bot.core.tickets import Issue, TicketAnswer, issue_of, ticket_link
from bot.sources.tickets import check, look_up
from tests.connectors.raw_server import RawServer, read_request

TOKEN = "t0ken-secret"


@dataclass
class TicketServer:
    """Answers each request with `status` and `body`, and keeps what was asked."""

    body: bytes = b"{}"
    status: str = "200 OK"
    more: str = ""
    asked: list[bytes] = field(default_factory=list)
    base: str = ""

    def serve(self, line: socket.socket, over: threading.Event) -> None:
        self.asked.append(read_request(line))
        head = f"HTTP/1.1 {self.status}\r\n{self.more}Content-Length: {len(self.body)}\r\n\r\n"
        line.sendall(head.encode() + self.body)

    @property
    def path(self) -> str:
        return self.asked[-1].split(b" ")[1].decode()


@contextmanager
def serving(body: object = None, status: str = "200 OK", more: str = "") -> Iterator[TicketServer]:
    found = TicketServer(json.dumps(body).encode(), status, more)
    server = RawServer(found.serve)
    found.base = server.url.removesuffix("/hook")
    try:
        yield found
    finally:
        server.close()


def jira(base: str) -> Tickets:
    return Tickets("jira", base, f"bot@example.com:{TOKEN}")


def github(base: str) -> Tickets:
    return Tickets("github", f"{base}/acme", TOKEN)


def webhook(base: str) -> Tickets:
    return Tickets("webhook", f"{base}/tickets", TOKEN)


def jira_issue(category: str, email: str | None = "Ana@example.com") -> dict[str, object]:
    assignee = {"emailAddress": email} if email else None
    return {"fields": {"status": {"statusCategory": {"key": category}}, "assignee": assignee}}


def github_issue(state: str, number: int = 12) -> dict[str, object]:
    return {"number": number, "state": state, "assignees": [{"login": "Ana-Dev"}]}


Kind = Callable[[str], Tickets]
SAID: dict[str, tuple[Kind, str, object, str, TicketAnswer]] = {
    "jira, new": (
        jira, "OPS-1", jira_issue("new"), "200 OK", TicketAnswer(True, True, ("ana@example.com",))
    ),
    "jira, in progress, nobody's": (
        jira, "OPS-1", jira_issue("indeterminate", None), "200 OK", TicketAnswer(True, True)
    ),
    "jira, done": (jira, "OPS-1", jira_issue("done", None), "200 OK", TicketAnswer(True, False)),
    "jira, missing": (jira, "OPS-1", {}, "404 Not Found", TicketAnswer(False)),
    "github, open": (
        github, "acme/ops#12", github_issue("open"), "200 OK",
        TicketAnswer(True, True, ("ana-dev",)),
    ),
    "github, closed": (
        github, "acme/ops#12", github_issue("closed"), "200 OK",
        TicketAnswer(True, False, ("ana-dev",)),
    ),
    "github, missing": (github, "acme/ops#12", {}, "404 Not Found", TicketAnswer(False)),
    "github, deleted": (github, "acme/ops#12", {}, "410 Gone", TicketAnswer(False)),
    "webhook, open": (
        webhook, "OPS-1", {"found": True, "open": True, "assignee": "A@example.com"}, "200 OK",
        TicketAnswer(True, True, ("a@example.com",)),
    ),
    "webhook, closed": (
        webhook, "OPS-1", {"found": True, "open": False}, "200 OK", TicketAnswer(True, False)
    ),
    "webhook, missing": (webhook, "OPS-1", {"found": False}, "200 OK", TicketAnswer(False)),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "ticket", "body", "status", "expected"), SAID.values(), ids=SAID)
def test_an_answer_is_understood(
    kind: Kind, ticket: str, body: object, status: str, expected: TicketAnswer
) -> None:
    with serving(body, status) as server:
        assert look_up(kind(server.base), ticket) == expected


UNKNOWN: dict[str, tuple[Kind, object, str, str]] = {
    "jira, no login": (jira, {}, "401 Unauthorized", ""),
    "jira, no login, as missing": (
        jira, {}, "404 Not Found", "X-Seraph-LoginReason: AUTHENTICATED_FAILED\r\n"
    ),
    "jira, a page": (jira, "<html>", "200 OK", ""),
    "jira, another form": (jira, {"fields": {"status": "open"}}, "200 OK", ""),
    "jira, an unknown category": (jira, jira_issue("closed"), "200 OK", ""),
    "jira, broken": (jira, {}, "500 Oops", ""),
    "github, too many calls": (github, {}, "403 Forbidden", "X-RateLimit-Remaining: 0\r\n"),
    "github, moved": (github, {}, "301 Moved", "Location: http://127.0.0.1:9/\r\n"),
    "github, another issue": (github, github_issue("open", 13), "200 OK", ""),
    "github, no state": (github, {"number": 12}, "200 OK", ""),
    "webhook, words for yes": (webhook, {"found": "yes", "open": True}, "200 OK", ""),
    "webhook, open is missing": (webhook, {"found": True}, "200 OK", ""),
    "webhook, a list": (webhook, [True], "200 OK", ""),
    "webhook, no login": (webhook, {"found": True, "open": True}, "401 Unauthorized", ""),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "body", "status", "more"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_says_nothing_about_the_ticket_is_neither_open_nor_closed(
    kind: Kind, body: object, status: str, more: str
) -> None:
    with serving(body, status, more) as server, pytest.raises(AccessBotError) as found:
        look_up(kind(server.base), "acme/ops#12" if kind is github else "OPS-1")
    assert TOKEN not in str(found.value)
    assert server.base not in str(found.value)


KINDS: dict[str, Kind] = {"jira": jira, "github": github, "webhook": webhook}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_redirect_to_another_host_gets_no_token(kind: Kind) -> None:
    with serving(github_issue("open")) as elsewhere:
        to = f"Location: {elsewhere.base}/\r\n"
        with serving({}, "302 Found", to) as server, pytest.raises(SystemUnavailable):
            look_up(kind(server.base), "acme/ops#12")
        assert elsewhere.asked == []


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_huge_answer_is_left(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LARGEST", 1000)
    with serving({"x": "y" * 2000}) as server, pytest.raises(SystemUnavailable, match="bigger"):
        look_up(kind(server.base), "acme/ops#12")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_server_that_does_not_answer_is_left(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "TIMEOUT", 0.3)
    server = RawServer(lambda line, over: bool(over.wait(20)) and None)
    try:
        with pytest.raises(SystemUnavailable):
            look_up(kind(server.url.removesuffix("/hook")), "acme/ops#12")
    finally:
        server.close()


HOSTILE = [
    "../../../myself",
    "..",
    "OPS-1?expand=names",
    "OPS-1/comment",
    "OPS-1#x",
    "OPS-1%2f..%2fmyself",
    "OPS-1 OR 1=1",
    "OPS-1\r\nX-Evil: 1",
    "",
    "ä",
]


@pytest.mark.parametrize("ticket", HOSTILE)
def test_no_ticket_leads_elsewhere_in_jira(ticket: str) -> None:
    with serving({}, "404 Not Found") as server:
        assert look_up(jira(server.base), ticket) == TicketAnswer(False)
        for _ in server.asked:
            path, _, query = server.path.partition("?")
            assert path.startswith("/rest/api/2/issue/") and path.count("/") == 5
            assert query == "fields=status%2Cassignee"
            assert b"X-Evil:" not in server.asked[-1]


@pytest.mark.parametrize(
    "ticket", [*HOSTILE, "acme/..#1", "acme/ops/x#1", "acme/ops#0", "evil/ops#1", "acme/ops#1?x"]
)
def test_no_ticket_leads_elsewhere_in_github(ticket: str) -> None:
    with serving(github_issue("open")) as server:
        assert look_up(github(server.base), ticket) == TicketAnswer(False)
        assert server.asked == []


def test_a_webhook_gets_the_ticket_as_a_signed_value() -> None:
    with serving({"found": False}) as server:
        look_up(webhook(server.base), '"}, {"do": "grant')
        head, _, body = server.asked[0].partition(b"\r\n\r\n")
    assert json.loads(body)["ticket"] == '"}, {"do": "grant'
    assert b"X-Access-Signature: t=" in head
    assert TOKEN.encode() not in server.asked[0]


ISSUES: dict[str, tuple[str, str, Issue | None]] = {
    "in full": ("https://github.com/acme", "acme/ops#12", Issue("acme", "ops", 12)),
    "its page": (
        "https://github.com/acme",
        "https://github.com/acme/ops/issues/12",
        Issue("acme", "ops", 12),
    ),
    "a number": ("https://github.com/acme/ops", "#12", Issue("acme", "ops", 12)),
    "a number without a repository": ("https://github.com/acme", "#12", None),
    "another owner": ("https://github.com/acme", "evil/ops#12", None),
    "another repository": ("https://github.com/acme/ops", "acme/other#12", None),
    "another site": ("https://github.com/acme", "https://evil.test/acme/ops/issues/12", None),
    "no issue": ("https://github.com/acme", "OPS-12", None),
}


@pytest.mark.parametrize(("url", "ticket", "expected"), ISSUES.values(), ids=ISSUES)
def test_an_issue_is_one_of_the_owner_in_the_url(
    url: str, ticket: str, expected: Issue | None
) -> None:
    assert issue_of(url, ticket) == expected


LINKS: dict[str, tuple[str, Tickets | None, str, str]] = {
    "a template": ("https://t.test/{ticket}", None, "OPS-1", "https://t.test/OPS-1"),
    "a template and a hostile ticket": (
        "https://t.test/{ticket}", None, "../x?y=|>", "https://t.test/..%2Fx%3Fy%3D%7C%3E"
    ),
    "jira": ("", Tickets("jira", "https://j.test"), "OPS-1", "https://j.test/browse/OPS-1"),
    "github": (
        "", Tickets("github", "https://github.com/acme"), "acme/ops#1",
        "https://github.com/acme/ops/issues/1",
    ),
    "github, no issue": ("", Tickets("github", "https://github.com/acme"), "x", ""),
    "webhook": ("", Tickets("webhook", "https://w.test"), "OPS-1", ""),
    "nothing": ("", None, "OPS-1", ""),
    "no ticket": ("https://t.test/{ticket}", None, "", ""),
}  # fmt: skip


@pytest.mark.parametrize(("template", "tickets", "ticket", "link"), LINKS.values(), ids=LINKS)
def test_a_ticket_has_a_link_where_its_page_is_known(
    template: str, tickets: Tickets | None, ticket: str, link: str
) -> None:
    assert ticket_link(template, tickets, ticket) == link


def test_the_doctor_s_question_is_a_ticket_that_does_not_exist() -> None:
    with serving({}, "404 Not Found") as server:
        assert [*check(jira(server.base))] == []
        assert [*check(github(server.base))] == []
        assert len(server.asked) == 2
    with serving({}, "401 Unauthorized") as server:
        (problem,) = check(jira(server.base))
        assert "it answered 401" in problem
