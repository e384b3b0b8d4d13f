"""P19: a request for a role with many rules, and its approval message. The limit is the same work
for a role without rules."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.acks import spent_text
from bench.measure import Line, Scale, Spent, Watch, interleave, paired
from bench.place import BEN, LEA, ROLES, SECRET, Place, a_place, new_ids, postgres, someone
from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.core.eligibility import Ask
from bot.core.model import Request, RequestState
from bot.core.roles import Policy
from bot.operations.people.record_people import record_groups
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.request_access import Submitted, request_access
from bot.slack.views import approval_message
from storage import requests

RULES, MEMBERS, PAST = 10, 300, 5_000

ROLE = """
[roles.{name}]
title = "Shop admin"
system = "shop-admin"
actions = ["orders:read", "orders:refund"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "4h"
"""
DENY = """
[[roles.ruled.deny]]
name = "denial {n}"
members = ["@denied-{n}"]
reason = "Not for these people."
"""
APPROVE = """
[[roles.ruled.auto_approve]]
name = "rule {n}"
members = ["@approved-{n}"]
max_duration = "2h"
hours = "Mon-Sun 00:00-23:00"
quota = "{n}/{per}"
"""


def _policy() -> Policy:
    text = ROLES + ROLE.format(name="plain") + ROLE.format(name="ruled")
    for n in range(1, RULES + 1):
        text += DENY.format(n=n) + APPROVE.format(n=n, per=("day", "week", "month")[n % 3])
    return parse_policy(text, "roles.toml", {"SHOP_ADMIN_SECRET": SECRET}, KINDS)


def _groups(place: Place) -> None:
    """The groups of the rules have other members than those who ask."""
    members = [someone(100_000 + n) for n in range(MEMBERS)]
    named = [f"{kind}-{n}" for kind in ("denied", "approved") for n in range(1, RULES + 1)]
    groups = [(f"S0RULE{place}", handle, members) for place, handle in enumerate(named)]
    known = [("S0DBLEADS", "db-leads", [BEN]), ("S0PLATFORM", "platform-leads", [LEA])]
    record_groups(place.world, [*known, *groups], int(time.time()))


def _past(place: Place, people: int, count: int) -> None:
    """Requests of the same people for both roles that were approved before, half of them by a
    rule."""
    now, role = int(time.time()), place.policy.roles["ruled"]
    with place.world.db.transaction():
        for name in ("plain", "ruled"):
            for n, request in enumerate(new_ids("r", count)):
                by = BEN if n % 2 or name == "plain" else f"rule:rule {n % RULES + 1}"
                asked = Request(
                    request,
                    someone(n % people),
                    name,
                    role.systems,
                    role.actions,
                    role.fingerprint,
                    3600,
                    "because",
                    "",
                    None,
                    RequestState.APPROVED,
                    now - 3600 - n * 60,
                    now + 28800,
                    None,
                    now - 3600 - n * 60,
                    by,
                )
                requests.insert(place.world.db, asked)


def _ask(place: Place, role: str, people: int) -> Spent:
    """Each person asks once. Their requests are withdrawn and dated back before the next round."""
    world, each = place.world, []
    watch = Watch()
    for person in map(someone, range(people)):
        began = time.perf_counter()
        asked = request_access(world, Ask(person, role, "because the benchmark asks", 3600))
        assert isinstance(asked, Submitted), asked
        card = describe_request(world, asked.request.id)
        assert card is not None
        approval_message.render(card, world.now())
        each.append(time.perf_counter() - began)
    spent = watch.spent(people, each)
    with world.db.transaction():
        world.db.run(
            "UPDATE requests SET state = 'withdrawn', created_at = created_at - 86400 WHERE state ="
            " 'pending'"
        )
        world.db.run("DELETE FROM outbox")
    return spent


def _asking(kind: str, url: str, scale: Scale) -> Iterator[Line]:
    with a_place(url) as place:
        place.policy = _policy()
        place.company(scale.loads)
        _groups(place)
        past = min(PAST, scale.rows // 20)
        _past(place, scale.loads, past)
        legs = {
            "ours": lambda: _ask(place, "ruled", scale.loads),
            "bare": lambda: _ask(place, "plain", scale.loads),
        }
        found = interleave(scale.rounds, legs)
    value = paired(found, "ours", "bare", lambda spent: spent.p50)
    what = f"request and card, {RULES} denials, {RULES} rules, {past:,} past requests, {kind}"
    yield Line(what, spent_text(found["ours"]), spent_text(found["bare"]), value, 1.5)


def asking(scale: Scale) -> Iterator[Line]:
    """P19"""
    yield from _asking("SQLite", "", scale)
    if (server := postgres()) is not None:
        with server.database() as url:
            yield from _asking("PostgreSQL", url, scale)


FIGURES = {"P19": asking}
