"""The bot is killed with SIGKILL while people are at work, and started again: nothing is done
twice, and nothing is forgotten."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from tests.faults.processes import ROLES, a_seed, assert_sound, finish, ready_at, under_load
from tests.faults.running_bot import Company
from tests.waiting import until

ROUNDS = 2
OVERDUE = 2
"""Seconds after readiness in which overdue ends are done (PRODUCT.md section 5)."""


def test_a_bot_killed_under_load_forgets_nothing_and_does_nothing_twice(
    database_url: str, make_company: Callable[..., Company]
) -> None:
    seed = a_seed()
    chance = random.Random(seed)
    company = make_company(environment={"DATABASE_URL": database_url})
    company.roles.write_text(ROLES)
    company.expect("sent twice without an answer")
    company.start()
    with under_load(company, seed) as load:
        for _ in range(ROUNDS):
            grants = _grants(company)
            until(lambda known=grants: _grants(company) > known)
            end_of_life = time.monotonic() + chance.uniform(0, 2)
            until(lambda at=end_of_life: time.monotonic() > at, 3)
            company.bot.kill()
            _assert_overdue_ends_are_done_at_once(company)
        finish(company, load)
    assert load.pressed > 0
    assert_sound(company, times=2)


def _grants(company: Company) -> int:
    return int(company.rows("SELECT COUNT(*) FROM grants")[0][0])


def _assert_overdue_ends_are_done_at_once(company: Company) -> None:
    """Starts again only after the active grants should be over."""
    held = company.rows("SELECT id, ends_at FROM grants WHERE state IN ('active', 'ending')")
    until(lambda: time.time() > max((end for _, end in held), default=0))
    bot = company.launch()
    ready = ready_at(bot)
    for grant, _ in held:
        until(
            lambda it=grant: company.rows(
                "SELECT 1 FROM grants WHERE id = ? AND state = 'ended'", it
            )
        )
        ended = company.rows(
            "SELECT at FROM audit WHERE \"grant\" = ? AND event = 'grant:access:ended'", grant
        )
        assert ended and all(at <= ready + OVERDUE for (at,) in ended), (grant, ended, ready)
