"""Looks up a ticket in Jira, GitHub, or behind a webhook."""

import base64
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from bot.connectors.github import limited
from bot.connectors.transport.http import call
from bot.connectors.transport.rest import Rest
from bot.connectors.transport.urls import checked_url, is_metadata
from bot.connectors.webhook import signature
from bot.core.errors import AccessBotError, SystemRefused, SystemUnavailable
from bot.core.model import folded
from bot.core.rules import Tickets
from bot.core.tickets import TicketAnswer, issue_of, scope_of, site_of

TIMEOUT = 2.0
"""Seconds for one look-up."""

LARGEST = 256 * 1024
"""Bytes of an answer."""

NOT_FOUND = TicketAnswer(found=False)


def look_up(tickets: Tickets, ticket: str) -> TicketAnswer:
    """The answer of the ticket system about this ticket. Raises SystemUnavailable and
    SystemRefused, without text of the ticket, for any other answer."""
    if is_metadata(urlsplit(tickets.url).hostname or ""):
        raise SystemUnavailable("the address of [tickets] is one where clouds hand out credentials")
    try:
        return _KINDS[tickets.kind](tickets, ticket)
    except ValueError as error:
        raise SystemUnavailable(f"the address of [tickets] can't be used: {error}") from None


def check(tickets: Tickets) -> Iterator[str]:
    """The problems of `[tickets]`, found by a look-up of a ticket that can't exist."""
    nowhere = _NOWHERE[tickets.kind]
    if tickets.kind == "github":
        owner, repository = scope_of(tickets.url)
        nowhere = f"{owner}/{repository or 'access-bot-doctor'}#9999999999"
    try:
        if look_up(tickets, nowhere).found:
            yield "it says that a ticket exists which can't exist"
    except AccessBotError as error:
        yield str(error)


# --- Jira: REST API v3 of Jira Cloud, v2 of Jira Data Center, "Get issue"


def _jira(tickets: Tickets, ticket: str) -> TicketAnswer:
    host = urlsplit(tickets.url).hostname or ""
    version = "3" if host.endswith((".atlassian.net", ".atlassian.com")) else "2"
    rest = Rest(
        tickets.url,
        _headers(_jira_login(tickets.token)),
        message=lambda body: None,
        timeout=TIMEOUT,
        limit=LARGEST,
    )
    try:
        url = rest.url_of("rest", "api", version, "issue", ticket, fields="status,assignee")
    except SystemRefused:
        return NOT_FOUND
    answer = rest.ask("GET", url)
    if answer.status == 404:
        if "FAILED" in answer.headers.get("x-seraph-loginreason", "").upper():
            raise SystemRefused(
                "token_not_accepted", f"{answer.host}: it does not accept the token"
            )
        return NOT_FOUND
    fields = _dict(_dict(answer.json()).get("fields"))
    category = _dict(_dict(fields.get("status")).get("statusCategory")).get("key")
    if category not in ("new", "indeterminate", "done", "undefined"):
        raise SystemUnavailable(f"{answer.host} did not say the status of the ticket")
    email = _dict(fields.get("assignee")).get("emailAddress")
    return TicketAnswer(True, category != "done", _folded([email]))


def _jira_login(token: str) -> str:
    """Jira Cloud takes `e-mail:API token`, Jira Data Center a personal access token."""
    if ":" in token:
        return f"Basic {base64.b64encode(token.encode()).decode()}"
    return f"Bearer {token}" if token else ""


# --- GitHub: REST API 2022-11-28, "Get an issue"


def _github(tickets: Tickets, ticket: str) -> TicketAnswer:
    issue = issue_of(tickets.url, ticket)
    if issue is None:
        return NOT_FOUND
    headers = _headers(f"Bearer {tickets.token}" if tickets.token else "") | {
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    rest = Rest(
        _github_api(tickets.url),
        headers,
        limited=limited,
        message=lambda body: None,
        timeout=TIMEOUT,
        limit=LARGEST,
    )
    path = ("repos", issue.owner, issue.repository, "issues", str(issue.number))
    answer = rest.ask("GET", rest.url_of(*path), also=(404, 410))
    if answer.status in (404, 410):
        return NOT_FOUND
    found = _dict(answer.json())
    if found.get("state") not in ("open", "closed") or found.get("number") != issue.number:
        raise SystemUnavailable(f"{answer.host} did not say the state of the issue")
    people = found.get("assignees")
    logins = [_dict(each).get("login") for each in people] if isinstance(people, list) else []
    return TicketAnswer(True, found["state"] == "open", _folded(logins))


def _github_api(url: str) -> str:
    site = site_of(url)
    if site.lower() == "github.com":
        return "https://api.github.com"
    return f"{urlsplit(url).scheme}://{site}/api/v3"


# --- a webhook: the document of docs/tickets.md


def _webhook(tickets: Tickets, ticket: str) -> TicketAnswer:
    checked_url(tickets.url, allow_private=True)
    key = f"ticket:{secrets.token_hex(8)}"
    body = json.dumps({"do": "ticket", "key": key, "ticket": ticket}).encode()
    headers = _headers("") | {
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        "X-Access-Signature": signature(tickets.token.encode(), body, int(time.time())),
    }
    answer = call(
        "POST",
        tickets.url,
        headers=headers,
        body=body,
        timeout=TIMEOUT,
        allow_private=True,
        limit=LARGEST,
    )
    answer.raise_if_passing()
    if not 200 <= answer.status < 300:
        raise SystemRefused(str(answer.status), f"{answer.host}: it answered {answer.status}")
    answered = _dict(answer.json())
    found, is_open, assignee = answered.get("found"), answered.get("open"), answered.get("assignee")
    if found is False:
        return NOT_FOUND
    if found is not True or not isinstance(is_open, bool):
        raise SystemUnavailable(f"{answer.host} did not say whether the ticket is found and open")
    return TicketAnswer(True, is_open, _folded([assignee]))


def _headers(login: str) -> dict[str, str]:
    found = {"Accept": "application/json", "User-Agent": "access-bot"}
    return found | ({"Authorization": login} if login else {})


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _folded(texts: list[Any]) -> tuple[str, ...]:
    return tuple(folded(text)[:200] for text in texts if isinstance(text, str) and text)[:20]


_KINDS: Mapping[str, Callable[[Tickets, str], TicketAnswer]] = {
    "jira": _jira,
    "github": _github,
    "webhook": _webhook,
}
_NOWHERE: Mapping[str, str] = {
    "jira": "ACCESSBOT-0",
    "github": "",
    "webhook": "access-bot-doctor-0",
}
