"""Access that a rule or a pre-approval approved for a later start is judged again at that start."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import bot.operations._judge_start as judging
from bot.core.eligibility import Ask
from bot.core.model import Grant
from bot.core.preapproval import Terms
from bot.core.tickets import TicketAnswer
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.grants.start_due import start_due
from bot.operations.people.record_people import record_groups
from bot.operations.policy.find_unresolved import unresolved_of_start
from bot.operations.policy.record_policy import record_loaded
from bot.operations.preapprovals.give_preapproval import Given, give_preapproval
from bot.operations.preapprovals.take_preapprovals import take_preapproval
from bot.operations.requests.request_access import GrantedAtOnce, request_access
from bot.operations.tickets.record_ticket import record_ticket, ticket_of_start
from tests.builders import SYSTEMS
from tests.factories import BEN, CARA, DAN, GROUPS, LEA, START, Made, a_person, make_world

HOUR, DAY = 3600, 86400
RULE = '[[roles.shop-admin.auto_approve]]\nname = "short"\n'
SRE = RULE + 'members = ["@sre"]\nquota = "1/week"'
TICKETS = '[tickets]\nkind = "jira"\nurl = "https://acme.atlassian.net"\ntoken = "s3cret:x"\n'


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    made = make_world(tmp_path)
    yield made
    assert made.verdict().broken is None


def scheduled(made: Made, ticket: str = "", later: int = 2 * HOUR) -> Grant:
    ask = Ask(CARA, "shop-admin", "because", HOUR, ticket, made.clock.at + later)
    outcome = request_access(made.world, ask)
    assert isinstance(outcome, GrantedAtOnce), outcome
    return made.grant(outcome.grant.id)


def begins(made: Made, grant: Grant) -> bool:
    """Whether the grant may start when its time has come; else it ended before it began."""
    made.clock.at = grant.starts_at
    start_due(made.world)
    if begin_attempt(made.world, grant.id):
        return True
    assert (made.grant(grant.id).end_by, made.events("grant:access:started")) == ("system", 0)
    return False


def why(made: Made) -> str:
    """The reason why a grant ended before it began, for its holder and in the log."""
    ((detail,),) = made.log("grant:end:asked", "detail")
    (told,) = made.rows(
        "SELECT data FROM outbox WHERE kind = 'notify_person' AND data LIKE '%not_started%'"
    )
    because = str(json.loads(detail)["because"])
    assert json.loads(told[0])["why"] == because
    return because


def without_the_rule(made: Made) -> None:
    made.set_policy()


def with_another_rule(conditions: str) -> Callable[[Made], None]:
    return lambda made: made.set_policy(shop_admin=RULE + conditions)


def left_the_group(made: Made) -> None:
    made.set_groups(sre=[BEN, DAN])


def group_was_deleted(made: Made) -> None:
    kept = [(f"S0{handle.upper()}", handle, ids) for handle, ids in GROUPS.items()]
    record_groups(made.world, [each for each in kept if each[1] != "sre"], made.clock.at)


LOST: dict[str, tuple[Callable[[Made], None], str]] = {
    "the rule is gone": (without_the_rule, "is no longer in roles.toml"),
    "its holder left the group": (left_the_group, "is not in @sre"),
    "the group is gone": (group_was_deleted, "is not in @sre"),
    "the rule gives less": (
        with_another_rule('members = ["@sre"]\nmax_duration = "30m"'),
        "1h, “short” gives at most 30m",
    ),
}


@pytest.mark.parametrize(("change", "because"), LOST.values(), ids=LOST)
class TestRule:
    def test_that_does_not_hold_at_the_start(
        self, made: Made, change: Callable[[Made], None], because: str
    ) -> None:
        made.set_policy(shop_admin=SRE)
        grant = scheduled(made)
        made.clock.at = grant.starts_at
        start_due(made.world)
        change(made)
        assert not begins(made, grant)
        assert because in why(made)

    def test_that_does_not_hold_any_more_before_the_start(
        self, made: Made, change: Callable[[Made], None], because: str
    ) -> None:
        made.set_policy(shop_admin=SRE)
        grant = scheduled(made)
        change(made)
        record_loaded(made.world, made.world.policy())
        assert made.grant(grant.id).state == "ending"
        assert because in why(made)


AT_THE_START = {
    "on call": (RULE + 'members = ["@sre"]', 'on_call = "shop"', "is not on call for shop now"),
    "hours": (RULE + 'members = ["@sre"]', 'hours = "Sun 00:00-01:00"', "outside the hours"),
}


@pytest.mark.parametrize(("before", "after", "because"), AT_THE_START.values(), ids=AT_THE_START)
def test_a_condition_about_the_moment_is_judged_at_the_start(
    made: Made, before: str, after: str, because: str
) -> None:
    made.set_policy(shop_admin=before)
    grant = scheduled(made)
    duty = SYSTEMS + '[oncall.shop]\ngroup = "@engineers"\n'
    made.set_policy(systems=duty, shop_admin=RULE + after)
    record_loaded(made.world, made.world.policy())
    assert made.grant(grant.id).state == "scheduled"
    assert not begins(made, grant)
    assert because in why(made)


def test_an_emergency_that_is_open_at_the_start_stops_it(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.set_policy(shop_admin=SRE)
    grant = scheduled(made)
    monkeypatch.setattr(judging, "has_open_emergency", lambda _u, person: person == CARA)
    assert not begins(made, grant)
    assert "an emergency of this person is open" in why(made)


def test_it_starts_where_the_rule_holds_and_its_quota_is_used_up(made: Made) -> None:
    made.set_policy(shop_admin=SRE)
    assert begins(made, scheduled(made))


def test_what_people_approved_needs_no_rule(made: Made) -> None:
    grant = made.a_started(made.a_request(start_at=START + HOUR))
    made.set_groups(sre=[])
    assert begins(made, grant)


def test_a_group_of_the_rule_that_slack_was_not_asked_about_is_looked_up_before(made: Made) -> None:
    made.set_policy(shop_admin=SRE)
    grant = scheduled(made)
    made.reload(shop_admin=RULE + 'members = ["@newcomers"]')
    record_loaded(made.world, made.world.policy())
    assert made.grant(grant.id).state == "scheduled"
    assert unresolved_of_start(made.world, grant.id) == ("@newcomers",)


class TestTicket:
    def test_that_is_closed_at_the_start(self, made: Made) -> None:
        own = "ticket = '^[A-Z]+-\\d+$'\n" + RULE + "ticket = true"
        made.set_policy(systems=SYSTEMS + TICKETS, shop_admin=own)
        settings = made.world.policy().tickets
        assert settings is not None
        record_ticket(made.world, settings, "OPS-1", TicketAnswer(True, True), made.clock.at)
        grant = scheduled(made, "OPS-1")
        assert ticket_of_start(made.world, grant.id) == ("shop-admin", "OPS-1")
        record_ticket(made.world, settings, "OPS-1", TicketAnswer(True), grant.starts_at)
        assert not begins(made, grant)
        assert "the ticket is closed" in why(made)


def in_advance(made: Made, giver: str = BEN) -> str:
    terms = Terms(2 * HOUR, START + 7 * DAY, "SHOP-7")
    given = give_preapproval(made.world, a_person(giver), a_person(CARA), "shop-admin", terms)
    assert isinstance(given, Given), given
    return given.given.id


class TestPreApproval:
    def test_that_still_stands_lets_it_start(self, made: Made) -> None:
        in_advance(made)
        assert begins(made, scheduled(made))

    def test_that_was_taken_back(self, made: Made) -> None:
        id = in_advance(made)
        grant = scheduled(made)
        take_preapproval(made.world, a_person(BEN), id)
        assert not begins(made, grant)
        assert "pre-approval that approved it no longer holds" in why(made)

    def test_whose_giver_may_no_longer_decide(self, made: Made) -> None:
        in_advance(made)
        grant = scheduled(made)
        made.set_groups(db_leads=[LEA])
        assert made.grant(grant.id).state == "ending"
        assert "pre-approval that approved it no longer holds" in why(made)

    def test_that_stands_while_an_emergency_is_open(
        self, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        in_advance(made)
        grant = scheduled(made)
        monkeypatch.setattr(judging, "has_open_emergency", lambda _u, person: person == CARA)
        assert not begins(made, grant)
        assert "an emergency of this person is open" in why(made)
