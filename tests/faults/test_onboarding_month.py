"""The first month of a newcomer, as people in the sandbox, on a clock that is moved."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.sandbox import Person
from tests.faults.running_bot import ROLES, Company
from tests.faults.test_sandbox_clock import Led, launch
from tests.ramps import bundle_text
from tests.waiting import until

HOUR, DAY = 3600, 86400

EMERGENCY = """
[roles.brief.emergency]
members = ["@oncall-backend"]
max_duration = "1h"
"""
BUNDLE = EMERGENCY + bundle_text(("reports-read", "3d"), "shop-admin", "oncall", "21d")


class Month:
    """A company whose workspace and bot share a clock that a test moves."""

    def __init__(self, company: Company) -> None:
        self.company, self.ahead = company, 0.0
        roles = ROLES.replace("[workspace]\n", '[workspace]\ndigest = "Mon 09:00"\n')
        company.roles.write_text(roles.replace("renewal_approval = true\n", "") + BUNDLE)
        self.bot: Led = launch(company, ["bot.cli.demo_bot"], 0)

    def pass_time(self, seconds: float) -> None:
        self.company.sandbox.admin.advance_clock(seconds)
        self.ahead += seconds
        self.bot.lead(self.ahead)

    def refused(self, person: Person, words: str) -> None:
        """Asks for a role that is for others. The answer may wait until Slack was asked."""

        def answers() -> int:
            return sum("is only for" in person.plain(each) for each in person.ephemerals())

        before = answers()
        assert self.company.access(person, words).ok
        until(lambda: answers() > before)

    def state(self) -> str:
        return str(self.company.rows("SELECT state FROM ramps")[0][0])

    def roles(self, person: Person) -> list[tuple[Any, ...]]:
        sql = "SELECT role, state FROM grants WHERE person = ? ORDER BY starts_at"
        return self.company.rows(sql, person.id)

    def digest_weeks(self) -> list[int]:
        """The ends of the weeks whose digest Slack has accepted."""
        found = self.company.rows("SELECT detail FROM audit WHERE event = 'digest:message:sent'")
        sent = [json.loads(detail) for (detail,) in found]
        return [each["until"] for each in sent if each["report"] == "weekly"]

    def events(self, start: str) -> list[str]:
        sql = "SELECT event FROM audit WHERE event LIKE ? ORDER BY seq"
        return [str(event) for (event,) in self.company.rows(sql, f"{start}%")]


@pytest.fixture
def month(make_company: Callable[..., Company]) -> Iterator[Month]:
    found = Month(make_company())
    yield found
    for bot in found.company.bots:
        for pipe in (bot.process.stdin, bot.process.stdout):
            if pipe is not None:
                pipe.close()


def test_the_first_month_of_a_newcomer(month: Month) -> None:
    company = month.company
    chiara, ben, gwen = company.chiara, company.ben, company.gwen
    ola = company.newcomer("ola")

    # The first day: a lead starts it, and the newcomer reads what they have.
    said = company.access(chiara, "onboard @ola engineer @ben")
    assert "has started" in said.text, said.text
    welcome = ola.plain(ola.wait_dm("Welcome!"))
    assert "Sales reports for 3d" in welcome and "Mentor: @ben" in welcome
    assert "You are the mentor of" in ben.plain(ben.wait_dm("When a stage waits for you"))
    until(lambda: month.roles(ola) == [("reports-read", "active")])
    assert company.check(company.token(ola, "reports-read"), "reports") == 200
    posted = company.rows("SELECT id FROM requests WHERE requester = ?", ola.id)[0][0]
    company.wait_card(posted, "onboarding: engineer, stage 1")

    # A renewal and a denial, like everybody's.
    month.pass_time(2 * DAY)
    company.renew(ola, "reports-read 3d still reading")
    denied = company.ask(ola, "brief", "just curious")
    assert gwen.click(company.card(denied), "Deny").ok
    gwen.wait_view("Deny")
    assert gwen.fill_and_submit({"Reason": "not yet"}).ok
    ola.wait_dm("not yet")

    # Week two: the stage waits for the mentor, who leaves; the lead is asked, and names another.
    month.pass_time(6 * DAY)
    ben.wait_dm("is ready for stage 2")
    company.sandbox.admin.change_user(ben.id, deleted=True)
    left = chiara.wait_dm("Until you name another, it is you")
    assert chiara.click(left, "Change mentor").ok
    chiara.wait_view("Who helps")
    assert chiara.fill_and_submit({"Mentor": "gwen"}).ok
    waits = gwen.wait_dm("is ready for stage 2")
    assert gwen.click(waits, "Open stage").ok
    until(lambda: ("shop-admin", "active") in month.roles(ola))
    assert "was opened by @gwen" in gwen.plain(gwen.wait_dm("was opened by"))

    # Week four: the right to ask, with the mentor among those who decide.
    month.refused(ola, "request oncall 2h my first shift")
    month.pass_time(14 * DAY)
    ola.wait_dm("You may now ask for")
    asked = company.ask(ola, "oncall", "2h my first shift")
    assert gwen.click(company.card(asked), "Approve").ok
    until(lambda: ("oncall", "active") in month.roles(ola))

    # An outage: now on call, they take a role at once, and the lead reviews it.
    company.sandbox.admin.set_group("oncall-backend", [ola.id])
    month.pass_time(DAY)
    until(lambda: ola.id in str(company.rows("SELECT members FROM user_groups")))
    company.access(ola, "emergency brief 30m the shop is down")
    until(lambda: ("brief", "active") in month.roles(ola))
    review = chiara.wait_dm("the shop is down")
    assert chiara.click(review, "Sign review").ok
    chiara.wait_view("Conclusion")
    assert chiara.fill_and_submit({"Conclusion": "a full disk, it was right"}).ok
    until(lambda: ("brief", "active") not in month.roles(ola))
    company.sandbox.admin.set_group("oncall-backend", [])
    until(lambda: ola.id not in str(company.rows("SELECT members FROM user_groups")))

    # The end: the lead reads what was needed.
    month.pass_time(8 * DAY)
    note = chiara.plain(chiara.wait_dm("has finished the onboarding"))
    assert "reports-read" in note or "Sales reports" in note
    assert "brief, denied" in note
    ola.wait_dm("You have finished your onboarding")
    until(lambda: month.state() == "finished")
    month.refused(ola, "request oncall 2h another shift")
    assert month.events("onboarding:") == [
        "onboarding:ramp:started",
        "onboarding:stage:opened",
        "onboarding:mentor:changed",
        "onboarding:mentor:changed",
        "onboarding:stage:opened",
        "onboarding:stage:opened",
        "onboarding:ramp:finished",
    ]

    # The leads have read a digest of each week on whose end the bot has seen a Monday.
    this_week = time.time() + month.ahead - 7 * DAY
    until(lambda: max(month.digest_weeks(), default=0) > this_week)
    posted = [chiara.plain(each) for each in chiara.messages("#access-security")]
    digests = [each for each in posted if each.startswith("Access digest")]
    assert len(digests) == len(month.digest_weeks()) == len({*month.digest_weeks()}) > 2
    assert "Emergencies: 1" in digests[-1] or "Emergencies: 1" in digests[-2]
    company.quiet()
