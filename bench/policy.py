"""P20: `policy diff` over many recorded requests, for a role whose rules differ. Nothing does the
same work without the bot, so there is no limit beside it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from bench.measure import Line, Scale, memory_of, ms
from bench.place import ROLES, SECRET, Place, a_child, a_place, answer, jobs, postgres, someone
from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.core.audit import Entry, Event
from bot.core.roles import Policy
from bot.operations.policy.compare_policies import compare_policies
from bot.operations.policy.record_policy import record_loaded
from storage import audit

BATCH = 2000
PEOPLE, GROUPS, QUOTA = 500, 20, 5

RULES = """
[[roles.{role}.auto_approve]]
name = "by group"
members = ["@group-{group}"]
max_duration = "{hours}h"
hours = "Mon-Fri 08:00-19:00"
[[roles.{role}.auto_approve]]
name = "by quota"
members = ["@group-5", "@group-6", "@group-{other}"]
quota = "{quota}/week"
"""
DIFFERS = ("archive", "shop-admin", "brief")


def policy(which: int) -> Policy:
    """One of the two versions, which differ in every role."""
    rules = "".join(
        RULES.format(role=role, group=which, hours=1 + which, quota=QUOTA + which, other=6 + which)
        for role in DIFFERS
    )
    notify = ", ".join(f'"@group-{number}"' for number in range(GROUPS))
    text = ROLES.replace("[roles.archive]", f"[roles.archive]\nnotify = [{notify}]") + rules
    return parse_policy(text, "roles.toml", {"SHOP_ADMIN_SECRET": SECRET}, KINDS)


def _record(place: Place, count: int) -> None:
    """Requests of the last 80 days."""
    place.policy = policy(1)
    place.company(PEOPLE)
    record_loaded(place.world, place.policy)
    now, apart = int(time.time()), 80 * 86400 / count
    for first in range(0, count, BATCH):
        with place.world.db.transaction():
            for number in range(first, min(first + BATCH, count)):
                at = int(now - 80 * 86400 + number * apart)
                audit.append(place.world.db, [_asked(number)], at, place.world.chain)


def _asked(number: int) -> Entry:
    person = someone(number % PEOPLE)
    detail = {
        "source": "slack",
        "duration": 1800 * (1 + number % 8),
        "ticket": "",
        "start_at": None,
        "criteria": [{"name": "maximum", "verdict": "met", "text": "1h is within it"}] * 3,
        "facts": {"groups": [f"@group-{number % PEOPLE % GROUPS}"]},
    }
    return Entry(
        Event.REQUEST_ASKED,
        person,
        person,
        DIFFERS[number % len(DIFFERS)],
        request=f"r{number:012}",
        reason="because the benchmark asks",
        detail=detail,
    )


def _comparing(kind: str, url: str, scale: Scale) -> Iterator[Line]:
    count = scale.rows // 10
    with a_place(url) as place:
        _record(place, count)
        with a_child("bench.policy", place.url) as child:
            child.ask(compare=False)
            before = memory_of(child.pid)
            reply = child.ask(compare=True)
            grown = memory_of(child.pid, "VmHWM") - before
    assert reply["compared"] == count and reply["changed"], reply
    what = f"policy diff over {count:,} requests, {kind}"
    yield Line(what, ms(reply["wall"]), "–", reply["wall"], 10, unit="s")
    yield Line(f"memory growth of that, {kind}", f"{grown:.1f} MiB", "–", grown, 100, unit="MiB")


def comparing(scale: Scale) -> Iterator[Line]:
    """P20"""
    yield from _comparing("SQLite", "", scale)
    if (server := postgres()) is not None:
        with server.database() as url:
            yield from _comparing("PostgreSQL", url, scale)


def _child() -> None:
    with a_place() as place:
        place.url = sys.argv[1]
        with place.world.db.reading():
            place.world.db.row("SELECT 1")
        old, new = policy(1), policy(2)
        answer(ready=True)
        for job in jobs():
            began = time.perf_counter()
            since = int(time.time()) - 90 * 86400 * (1 if job["compare"] else -1)
            found = compare_policies(place.world, old, new, since)
            answer(
                wall=time.perf_counter() - began,
                compared=found.compared,
                changed=sum(found.counts.values()),
            )


FIGURES = {"P20": comparing}

if __name__ == "__main__":
    _child()
