"""Requests, grants and views for tests of views: ordinary ones, and the worst that people can
request or type."""

import json
from dataclasses import replace
from typing import Any

from bot.core.audit import Record
from bot.core.criteria import Criterion, Verdict
from bot.core.model import EndReason, Grant, GrantState, Lease, Person, Request, RequestState
from bot.core.roles import Role
from bot.core.usage import GrantUsage
from bot.operations.grants.describe_grant import GrantView
from bot.operations.people.describe_person import PersonView
from bot.operations.requests.describe_request import RequestCard
from bot.operations.requests.request_access import Submitted
from bot.sandbox.blocks import validate_message, validate_view

NOW = 1_795_356_000
HOUR = 3600

HOSTILE = (
    "<!channel> <@U0BOSS> <!subteam^S0ALL> <https://evil.example|Approve> *bold* `code` :tada:"
    " &amp; \u202egpj\u200b\x07"
)
NASTY: dict[str, str] = {
    "mentions, links, formatting": HOSTILE,
    "3000 characters": "x" * 3000,
    "3000 of what gets longer by escaping": "<" * 3000,
    "3000 emoji": "\N{ROCKET}" * 3000,
    "1500 lines": "a\n" * 1500,
    "only what can't be seen": "\u200b\u2060\u202e\u3164\u2800",
    "white space": " \t\n ",
    "piled accents": "a" + "\u0300" * 2000,
    "backticks": "`" * 500 + "a`b`c",
}


def a_role(**changes: Any) -> Role:
    role = Role(
        name="orders-read",
        title="Orders database, read only",
        description="Look up orders.",
        systems=("orders-db",),
        actions=("SELECT ON ALL TABLES IN SCHEMA public",),
        requesters=("everyone",),
        approvers=("@db-leads",),
        notify=("@db-leads",),
        approvals=1,
        channel="#db-approvals",
        max_duration=4 * HOUR,
        default_duration=HOUR,
        reminders=(1800, 300),
        pending_timeout=8 * HOUR,
        max_renewals=2,
        renewal_approval=False,
        max_total=12 * HOUR,
        ticket=None,
        risk="low",
    )
    return replace(role, **changes)


def a_request(**changes: Any) -> Request:
    request = Request(
        id="r1",
        requester="U0ANA",
        role="orders-read",
        systems=("orders-db",),
        actions=("SELECT ON ALL TABLES IN SCHEMA public",),
        fingerprint="f",
        duration=HOUR,
        reason="Look into order 4711, it was charged twice",
        ticket="OPS-17",
        start_at=None,
        state=RequestState.PENDING,
        created_at=NOW - 600,
        lapses_at=NOW + 7 * HOUR,
    )
    return replace(request, **changes)


def a_grant(**changes: Any) -> Grant:
    grant = Grant(
        id="g1",
        request="r1",
        person="U0ANA",
        role="orders-read",
        systems=("orders-db",),
        actions=("SELECT ON ALL TABLES IN SCHEMA public",),
        state=GrantState.ACTIVE,
        duration=HOUR,
        starts_at=NOW - 1800,
        ends_at=NOW + 1799,
        latest_end=NOW + 11 * HOUR,
        started_at=NOW - 1800,
    )
    return replace(grant, **changes)


ENDED = {
    "state": GrantState.ENDED,
    "end_reason": EndReason.EXPIRED,
    "end_by": "system",
    "ended_at": NOW,
    "ends_at": NOW,
}


def a_person(**changes: Any) -> Person:
    return replace(
        Person("U0ANA", "Ana Silva", "ana@example.com", "Europe/Lisbon", "T1", NOW), **changes
    )


def a_card(**changes: Any) -> RequestCard:
    card = RequestCard(
        request=a_request(),
        role=a_role(),
        requester=a_person(),
        grant=None,
        leases=(),
        have=(),
        need=1,
        criteria=(
            Criterion("maximum", Verdict.MET, "2h is within the role's maximum, 4h"),
            Criterion("ticket", Verdict.NOT_MET, "the ticket is closed"),
            Criterion("quota", Verdict.UNKNOWN, "nobody counted"),
        ),
        past=(),
        holds=(),
        denied=0,
        approved=0,
        usual_duration=None,
        groups=("@db-leads",),
        deciders=frozenset({"U0BEN", "U0CLEO", "U0DAN"}),
        copies=(),
        notify=(),
    )
    return replace(card, **changes)


def a_grant_view(**changes: Any) -> GrantView:
    grant = a_grant(**changes)
    leases = tuple(Lease(grant.id, name, "gateway", grant.state) for name in grant.systems)
    return GrantView(
        grant, a_request(), a_role(), a_person(), leases, GrantUsage(3, NOW - 900, NOW - 60)
    )


def a_person_view(**changes: Any) -> PersonView:
    view = PersonView(
        person=a_person(),
        roles=(a_role(),),
        held=(a_grant(),),
        pending=(a_request(id="r2", role="shop-admin"),),
        waiting_for_me=(a_request(id="r3", requester="U0BEN"),),
        everything=None,
        titles={"orders-read": "Orders database, read only"},
    )
    return replace(view, **changes)


def a_record(**changes: Any) -> Record:
    record = Record(
        7,
        NOW,
        "request:access:asked",
        "U0ANA",
        "U0ANA",
        "orders-read",
        "orders-db",
        "r1",
        "",
        "why",
        "{}",
        "p",
        "h",
    )
    return replace(record, **changes)


def worst_card(text: str) -> RequestCard:
    """Every part that an outsider can write is `text`, and every list is long."""
    systems = tuple(f"system-{n}-{'s' * 50}" for n in range(20))
    actions = tuple(f"action {n} {'a' * 180}" for n in range(50))
    request = a_request(
        systems=systems,
        actions=actions,
        reason=text,
        ticket=text,
        decision_reason=text,
        program=text[:60],
        parameters={f"parameter_{n}": text[:100] for n in range(5)},
    )
    holds = tuple(a_grant(id=f"g{n}", role=f"role-{n}-{'r' * 50}") for n in range(50))
    return a_card(
        request=request,
        role=a_role(
            title="T" * 75,
            approvals=5,
            approvers=tuple(f"@group-{n}-{'g' * 60}" for n in range(30)),
        ),
        requester=a_person(name=text),
        have=tuple(f"U0VOTER{n}" for n in range(30)),
        need=40,
        past=(a_grant(**ENDED),) * 3,
        holds=holds,
        denied=9,
        approved=9,
        usual_duration=60,
        criteria=tuple(
            Criterion("hours", list(Verdict)[n % 3], f"criterion {n} {text}") for n in range(12)
        ),
    )


def worst_sent(text: str) -> Submitted:
    card = worst_card(text)
    return Submitted(card.request, card.role, 300)


# --- the view of a person, and of Slack


def problems(rendered: dict[str, Any]) -> list[str]:
    """The parts of a message or view that Slack would refuse."""
    return validate_view(rendered) if "type" in rendered else validate_message(rendered)


def shown(value: Any) -> str:
    """All words that are shown, in order; people as `@U…`, times as their UTC fallback."""
    if isinstance(value, list):
        return " ".join(map(shown, value))
    if not isinstance(value, dict):
        return ""
    special = {"user": lambda: f"@{value['user_id']}", "date": lambda: value["fallback"]}
    if value.get("type") in special:
        return str(special[value["type"]]())
    own = value["text"] if isinstance(value.get("text"), str) else ""
    joint = "" if str(value.get("type", "")).startswith("rich_text_") else " "
    inner = joint.join(
        shown(each)
        for name, each in value.items()
        if name != "confirm" and isinstance(each, dict | list)
    )
    if value.get("type") in ("rich_text_section", "rich_text_quote", "rich_text_preformatted"):
        inner = "".join(map(shown, value["elements"]))
    return own + inner


def words(rendered: dict[str, Any]) -> str:
    """The words that a person reads in the blocks."""
    return shown(rendered["blocks"])


def elements(value: Any, *kinds: str) -> list[dict[str, Any]]:
    """Every object of these types in it."""
    if isinstance(value, list):
        return [found for each in value for found in elements(each, *kinds)]
    if not isinstance(value, dict):
        return []
    own = [value] if value.get("type") in kinds else []
    return own + [found for each in value.values() for found in elements(each, *kinds)]


def labels(rendered: dict[str, Any]) -> list[str]:
    """The buttons, in order."""
    return [each["text"]["text"] for each in elements(rendered["blocks"], "button")]


def interpreted(rendered: dict[str, Any]) -> str:
    """Every text in which Slack looks for mentions, links and formatting."""
    return json.dumps(
        [
            rendered.get("text", ""),
            *(each["text"] for each in elements(rendered["blocks"], "mrkdwn")),
        ]
    )
