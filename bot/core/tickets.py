"""Finds the ticket that a text names and the page of a ticket, and decides how long an answer
counts."""

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from bot.core.rules import Tickets

LOOK_UP_AGAIN = 60
"""Seconds after which a ticket is looked up again."""

COUNTS_FOR = 120
"""Seconds for which an answer may approve without a person."""

WATCH_EVERY = 300
"""Seconds between two looks at the tickets of active access."""

LONGEST_LINK = 2000
"""Characters; Slack refuses a message with a longer link than 3,000."""

_NAME = r"[A-Za-z0-9_.-]{1,100}"
_ISSUE = re.compile(rf"(?:({_NAME})/({_NAME}))?#?([1-9][0-9]{{0,9}})")
_ISSUE_PAGE = re.compile(rf"https://([^/\s]+)/({_NAME})/({_NAME})/issues/([1-9][0-9]{{0,9}})/?")


@dataclass(frozen=True, slots=True)
class TicketAnswer:
    """The answer of a ticket system about a ticket. `assignees` are folded e-mail addresses, or
    logins of GitHub in small letters."""

    found: bool
    is_open: bool = False
    assignees: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Issue:
    owner: str
    repository: str
    number: int


def issue_of(url: str, ticket: str) -> Issue | None:
    """The GitHub issue that a ticket names: `owner/repository#12`, the address of its page, or
    `#12` where `url` has the repository. None where it names none, or one outside of `url`, so that
    an open issue anywhere is not enough."""
    owner, repository = scope_of(url)
    if page := _ISSUE_PAGE.fullmatch(ticket):
        same = page[1].lower() == site_of(url).lower()
        found = Issue(page[2], page[3], int(page[4])) if same else None
    elif (given := _ISSUE.fullmatch(ticket)) and (given[1] or repository):
        found = Issue(given[1] or owner, given[2] or repository, int(given[3]))
    else:
        found = None
    if found is None or {found.owner, found.repository} & {".", ".."}:
        return None
    inside = found.owner.lower() == owner.lower()
    inside &= found.repository.lower() == (repository or found.repository).lower()
    return found if inside else None


def scope_of(url: str) -> tuple[str, str]:
    """The owner and repository in `[tickets] url`, each "" if it is not there."""
    parts = [part for part in urlsplit(url).path.split("/") if part]
    if len(parts) > 2:
        return "", ""
    return (parts[0] if parts else ""), (parts[1] if len(parts) == 2 else "")


def site_of(url: str) -> str:
    return urlsplit(url).netloc


def ticket_link(template: str, tickets: Tickets | None, ticket: str) -> str:
    """The address where a person sees the ticket, "" if it is not known. `template` is
    `workspace.ticket_url`."""
    if not ticket:
        return ""
    if template:
        found = template.replace("{ticket}", quote(ticket, safe=""))
        return found if len(found) <= LONGEST_LINK else ""
    if tickets is None or tickets.kind == "webhook":
        return ""
    if tickets.kind == "jira":
        return f"{tickets.url.rstrip('/')}/browse/{quote(ticket, safe='')}"
    issue = issue_of(tickets.url, ticket)
    where = f"{urlsplit(tickets.url).scheme}://{site_of(tickets.url)}"
    return f"{where}/{issue.owner}/{issue.repository}/issues/{issue.number}" if issue else ""
