"""Reports of use in Slack by the real bot: the count at the end, and an alert about use after the
end."""

from __future__ import annotations

import time
from typing import Any

import httpx2

from bot.core.usage import LATE
from tests.bot_environment import SHOP
from tests.faults.running_bot import Company
from tests.waiting import until


def report(company: Company, grant: str, event: str) -> dict[str, Any]:
    """The answer to a system that reports a session."""
    said = {"grant": grant, "event": event, "session": "tty1", "source": "192.0.2.7"}
    answer = httpx2.post(
        f"{company.bot.url}/usage", json=said, auth=("shop-admin", SHOP), trust_env=False
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ended(company: Company, words: str, uses: int) -> str:
    """A grant that was given back after this number of checks at the gate and at most one
    session."""
    who = company.newcomer()
    grant = company.hold(who, "shop-admin", f"1h {words}")
    token = company.token(who, "shop-admin") if uses else ""
    for _ in range(uses):
        assert company.check(token) == 200
    if uses:
        assert report(company, grant, "opened") == {"recorded": True, "new": True, "active": True}
        assert report(company, grant, "closed")["new"] is True
    company.access(who, "done shop-admin")
    told = who.plain(who.wait_dm("you gave it back"))
    assert f"It was {'used 4 times, last' if uses else 'never used.'}" in told
    return grant


def test_the_end_says_how_often_it_was_used_and_the_log_has_the_sum(company: Company) -> None:
    grant = ended(company, "to use it", 3)
    until(lambda: "grant:use:summed" in company.events(grant=grant))
    ((detail,),) = company.rows(
        "SELECT detail FROM audit WHERE event = 'grant:use:summed' AND \"grant\" = ?", grant
    )
    assert '"allowed":3' in detail and '"sessions":1' in detail and "192.0.2.7" in detail
    assert company.events(grant=grant).count("grant:use:first") == 1


def test_a_session_after_the_end_is_alerted_once(company: Company) -> None:
    grant = ended(company, "and not at all", 0)
    ((ended_at,),) = company.rows("SELECT ended_at FROM grants WHERE id = ?", grant)
    until(lambda: time.time() > ended_at + LATE + 1)
    assert [report(company, grant, "opened")["new"] for _ in range(3)] == [True, False, False]
    lead = company.chiara
    assert "Access was used after its end" in lead.plain(
        lead.wait_message("#access-security", grant)
    )
    company.quiet()
    assert company.events(grant=grant).count("grant:use:after_end") == 1
