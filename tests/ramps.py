"""Bundles for tests, and ramps of them in a world."""

from __future__ import annotations

from dataclasses import replace

from bot.core.onboarding import Ramp
from bot.operations.onboarding.start_ramp import Start, start_ramp
from bot.operations.onboarding.sweep_ramps import sweep_ramps
from tests.builders import SYSTEMS
from tests.factories import ANA, BEN, LEA, Made, a_person

DAY = 86400


def bundle_text(now: tuple[str, str], by_mentor: str, may_ask: str, may_ask_after: str) -> str:
    """The bundle `engineer`. `now` has the role and duration of its first stage."""
    role, duration = now
    return f"""
[bundles.engineer]
title = "New engineer"
suggest_for = ["@engineers"]
max = "30d"
[[bundles.engineer.stages]]
after = "0d"
roles = ["{role}"]
duration = "{duration}"
[[bundles.engineer.stages]]
after = "7d"
needs = "mentor"
roles = ["{by_mentor}"]
duration = "4h"
[[bundles.engineer.stages]]
after = "{may_ask_after}"
may_ask = ["{may_ask}"]
"""


BUNDLES = bundle_text(("shop-admin", "4h"), "shop-deploy", "on-call", "14d")

ON_CALL = """
title = "Shop, on call"
system = "shop-admin"
actions = ["deploy:write"]
requesters = ["@sre"]
approvers = ["@platform-leads"]
max_duration = "4h"
"""

ROLES = {"on_call": ON_CALL}


def set_bundles(made: Made, bundles: str = BUNDLES, **roles: str) -> None:
    """A roles.toml with these bundles, and a role that Ana may only ask for on a ramp."""
    made.set_policy(systems=SYSTEMS + bundles, **{**ROLES, **roles})


def a_ramp(made: Made, newcomer: str = ANA, mentor: str = BEN, **more: object) -> Ramp:
    """A ramp of Ana that Lea starts, with Ben as mentor."""
    see_all(made)
    start = Start(bundle="engineer", newcomer=newcomer, mentor=mentor, **more)  # type: ignore[arg-type]
    ramp = start_ramp(made.world, LEA, start)
    assert isinstance(ramp, Ramp), ramp
    return ramp


def see_all(made: Made, *people: str) -> None:
    """Slack has just said who everybody is."""
    for person in people or (ANA, BEN, LEA):
        made.know(replace(a_person(person), checked_at=made.clock.at))


def sweep_after(made: Made, seconds: int) -> int:
    """The sweep of that many seconds later, when Slack has described everybody again."""
    made.clock.at += seconds
    see_all(made)
    made.set_groups()
    return sweep_ramps(made.world)
