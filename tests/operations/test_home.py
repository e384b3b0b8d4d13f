"""The content of App Home, read from a real database."""

from __future__ import annotations

from bot.operations.grants.record_results import record_end_failed
from bot.operations.grants.release_grant import release_grant
from bot.operations.people.describe_person import PAGE, describe_home
from bot.operations.requests.deny_request import deny_request
from bot.operations.requests.withdraw_request import withdraw_request
from bot.slack.views import home
from tests.factories import ANA, BEN, LEA, Made, a_person


def test_my_last_five_requests_are_the_newest_that_were_decided(made: Made) -> None:
    asked = []
    for number in range(7):
        made.clock.at += 60
        request = made.a_request()
        asked.append(request.id)
        if number % 2:
            deny_request(made.world, request.id, a_person(BEN), "no")
        else:
            withdraw_request(made.world, request.id, ANA)
    made.a_request("reports-read")
    view = describe_home(made.world, ANA)
    assert [request.id for request in view.recent] == asked[:1:-1]
    assert describe_home(made.world, BEN).recent == ()


def test_only_a_lead_reads_other_people_s_access_and_unconfirmed_ends(made: Made) -> None:
    grant = made.a_grant()
    release_grant(made.world, grant.id, ANA)
    record_end_failed(made.world, grant.id, "shop-admin", "timed out", 3)
    view = describe_home(made.world, LEA)
    assert view.everything is not None and [each.id for each in view.everything] == [grant.id]
    assert (view.active, view.open_alerts, view.alerts[0].grant.id) == (1, 1, grant.id)
    assert "Ends not confirmed (1)" in str(home.render(view, made.clock.at))
    for person in (ANA, BEN):
        other = describe_home(made.world, person)
        assert (other.everything, other.alerts, other.active, other.open_alerts) == (None, (), 0, 0)


def test_approvers_are_named_as_people_know_them(made: Made) -> None:
    made.set_policy(shop_admin='approvers = ["U0BEN", "@db-leads"]')
    assert describe_home(made.world, ANA).approvers["shop-admin"] == (
        a_person(BEN).name,
        "@db-leads",
    )


def test_later_pages_are_read_by_an_offset(made: Made) -> None:
    grants = [made.a_grant(), made.a_grant("reports-read")]
    rest = describe_home(made.world, LEA, skip=1)
    assert rest.everything is not None and rest.active == 2
    assert [each.id for each in rest.everything] == sorted(grant.id for grant in grants)[1:]
    assert len(grants) < PAGE


def test_ineligible_and_unknown_people_read_nothing(made: Made) -> None:
    made.know(a_person("U0GUEST", guest=True), a_person("U0LEFT", deleted=True))
    for person in ("U0GUEST", "U0LEFT", "U0NOBODY"):
        view = describe_home(made.world, person)
        assert (view.roles, view.waiting_for_me, view.everything) == ((), (), None)
