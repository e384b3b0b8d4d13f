"""Review campaigns: what they freeze, who decides, what ends, and when one is finished."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.core.approval import Refused
from bot.core.model import EndReason, GrantState, ItemState
from bot.core.review import Item, Scope
from bot.operations.audit.verify_audit import verify_audit
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.release_grant import release_grant
from bot.operations.reviews.decide_items import decide_items
from bot.operations.reviews.describe_campaign import describe_campaign, review_report
from bot.operations.reviews.start_campaign import Started, start_campaign
from bot.operations.reviews.sweep_campaigns import sweep_campaigns
from bot.operations.reviews.waiting import waiting_page
from storage import reviews
from storage.database import Database
from tests.builders import SYSTEMS
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, DAN, LEA, Made, a_person, make_world
from tests.ramps import BUNDLES, ROLES, a_ramp, see_all
from tests.reviews import DAY, END, KEEP, a_campaign, answer, answer_rest, items_of

DEPLOY = "shop-deploy @engineers requester"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    made = make_world(tmp_path)
    yield made
    if not made.forged:
        assert verify_audit(made.world).broken is None


def state(made: Made, campaign: str) -> str:
    return made.state("campaigns", campaign)


def refusal(made: Made, campaign: str, by: str, *about: str) -> str:
    items = items_of(made, campaign)
    found = decide_items(made.world, by, campaign, [items[a].number for a in about], KEEP)
    assert isinstance(found, Refused), found
    return found.reason


def report(made: Made, campaign: str) -> list[dict[str, str]]:
    with made.world.db.snapshot() as view:
        return [*csv.DictReader(review_report(view, [campaign]))]


class TestStart:
    def test_it_freezes_all_that_is_active_with_its_manifest(self, made: Made) -> None:
        made.set_policy(systems=SYSTEMS + BUNDLES, **ROLES)
        grant, ramp = made.a_grant("shop-admin", CARA), a_ramp(made)
        pending = made.a_request("shop-admin", LEA)
        campaign = a_campaign(made)
        items = items_of(made, campaign)
        kinds = [item.kind for item in items.values()]
        assert {kind: kinds.count(kind) for kind in set(kinds)} == {
            "approver": 5,
            "requester": 4,
            "grant": 2,
            "onboarding": 1,
        }
        assert items[grant.id].holders == (CARA,) and items[ramp.id].holders == (ANA,)
        assert items[grant.id].facts["decided_by"] == BEN and pending.id not in items
        ((actor, detail),) = made.log("review:campaign:started", "actor, detail")
        assert actor == LEA and json.loads(detail)["manifest"] in manifest(made, campaign)

    def test_a_later_change_of_the_list_shows(self, made: Made) -> None:
        made.a_grant()
        campaign = a_campaign(made)
        assert intact(made, campaign)
        made.forged = True
        with made.world.db.transaction():
            made.world.db.run("DELETE FROM review_items WHERE kind = 'grant'")
        assert not intact(made, campaign)

    def test_only_a_lead_starts_one_and_one_of_a_scope_at_a_time(self, made: Made) -> None:
        assert isinstance(start_campaign(made.world, BEN, Scope()), Refused)
        a_campaign(made)
        again = start_campaign(made.world, LEA, Scope())
        assert isinstance(again, Refused) and "open already" in again.reason
        assert isinstance(start_campaign(made.world, LEA, Scope("shop-admin")), Started)
        assert made.events("request:action:refused") == 2

    def test_no_list_is_frozen_while_a_group_is_unknown(self, made: Made) -> None:
        made.reload(shop_admin='approvers = ["@new-group"]')
        see_all(made)
        refused = start_campaign(made.world, LEA, Scope())
        assert isinstance(refused, Refused) and "@new-group" in refused.reason
        assert made.count("campaigns") == 0


def manifest(made: Made, campaign: str) -> str:
    return str(made.rows("SELECT manifest FROM campaigns WHERE id = ?", campaign)[0][0])


def intact(made: Made, campaign: str) -> bool:
    found = describe_campaign(made.world, campaign)
    assert found is not None
    return found.is_intact


class TestDecide:
    def test_an_end_ends_the_grant_and_counts_when_it_was_read_back(self, made: Made) -> None:
        grant = made.a_grant()
        campaign = a_campaign(made)
        answer(made, campaign, BEN, END, grant.id)
        ending = made.grant(grant.id)
        assert (ending.state, ending.end_reason) == (GrantState.ENDING, EndReason.REVOKED)
        assert (ending.end_by, ending.end_words) == (BEN, "left the team")
        answer_rest(made, campaign)
        sweep_campaigns(made.world)
        assert state(made, campaign) == "closing"
        made.close_gates(ending)
        sweep_campaigns(made.world)
        assert state(made, campaign) == "finished"
        assert items_of(made, campaign)[grant.id].state is ItemState.ENDED
        assert made.events("review:campaign:finished") == 1

    def test_each_decision_is_on_record(self, made: Made) -> None:
        grant = made.a_grant()
        campaign = a_campaign(made)
        answer(made, campaign, BEN, KEEP, grant.id, "shop-admin everyone requester")
        columns = "actor, subject, role, grant, reason, detail"
        first, second = made.log("review:item:decided", columns.replace("grant", '"grant"'))
        assert second[:5] == (BEN, ANA, "shop-admin", grant.id, "still needed")
        assert first[:5] == (BEN, "", "shop-admin", "", "still needed")
        assert json.loads(first[5])["reference"] == "everyone"
        assert json.loads(second[5])["decision"] == "keep"

    def test_nobody_decides_on_their_own_or_what_is_not_theirs(self, made: Made) -> None:
        own, other = made.a_grant("shop-admin", LEA), made.a_grant("shop-admin", ANA)
        campaign = a_campaign(made)
        assert "your own" in refusal(made, campaign, LEA, own.id)
        assert "Others decide" in refusal(made, campaign, LEA, other.id)
        assert "your own" in refusal(made, campaign, ANA, DEPLOY)
        assert made.events("request:action:refused") == 3
        assert made.events("review:item:decided") == 0

    def test_of_several_items_those_that_a_person_may_not_decide_on_are_left_out(
        self, made: Made
    ) -> None:
        grant = made.a_grant()
        campaign = a_campaign(made)
        decided = answer(made, campaign, BEN, KEEP, grant.id, "shop-admin @db-leads approver")
        assert [item.about for item in decided.items] == [grant.id]
        assert list(decided.skipped.values()) == [
            "This is your own access: somebody else decides whether it stays."
        ]

    def test_an_account_that_slack_has_not_confirmed_lately_decides_nothing(
        self, made: Made
    ) -> None:
        grant = made.a_grant()
        campaign = a_campaign(made)
        made.clock.at += 61
        assert "Slack did not confirm" in refusal(made, campaign, BEN, grant.id)
        made.know(replace(a_person(BEN), checked_at=made.clock.at, deleted=True))
        assert "deactivated" in refusal(made, campaign, BEN, grant.id)

    def test_a_decision_needs_a_reason(self, made: Made) -> None:
        campaign = a_campaign(made)
        found = decide_items(made.world, "os:op", campaign, [1], replace(KEEP, reason=" . "))
        assert isinstance(found, Refused) and found.field == "reason"

    def test_an_ended_onboarding_ends_what_it_gave(self, made: Made) -> None:
        made.set_policy(systems=SYSTEMS + BUNDLES, **ROLES)
        ramp = a_ramp(made)
        ((grant, _),) = made.rows("SELECT id, state FROM grants")
        made.start(made.grant(grant))
        campaign = a_campaign(made)
        answer(made, campaign, LEA, END, ramp.id)
        assert made.state("ramps", ramp.id) == "ended"
        answer_rest(made, campaign)
        sweep_campaigns(made.world)
        assert items_of(made, campaign)[ramp.id].state is ItemState.ENDING
        made.close_gates(made.grant(grant))
        sweep_campaigns(made.world)
        assert items_of(made, campaign)[ramp.id].state is ItemState.ENDED

    def test_what_ended_without_a_decision_is_gone(self, made: Made) -> None:
        grant = made.a_grant()
        campaign = a_campaign(made)
        made.clock.at += 2 * 3600
        expire_due(made.world)
        made.close_gates(made.grant(grant.id))
        assert "is over" in refusal(made, campaign, "os:op", grant.id)
        sweep_campaigns(made.world)
        assert items_of(made, campaign)[grant.id].state is ItemState.GONE

    def test_access_whose_end_was_asked_for_is_never_kept(self, made: Made) -> None:
        first, second = made.a_grant(), made.a_grant("reports-read", CARA)
        campaign = a_campaign(made, due=DAY)
        for grant in (first, second):
            release_grant(made.world, grant.id, grant.person)
        see_all(made)
        assert "its end was asked for" in refusal(made, campaign, "os:op", first.id)
        answer(made, campaign, BEN, END, first.id)
        made.clock.at += DAY
        sweep_campaigns(made.world)
        items = items_of(made, campaign)
        assert [items[grant.id].state for grant in (first, second)] == ["ending"] * 2
        assert state(made, campaign) == "closing"
        for grant in (first, second):
            made.close_gates(made.grant(grant.id))
        sweep_campaigns(made.world)
        assert state(made, campaign) == "finished"


class TestRolesFile:
    def test_a_standing_requester_is_undone_until_the_file_no_longer_has_it(
        self, made: Made
    ) -> None:
        campaign = a_campaign(made, role="shop-deploy")
        answer(made, campaign, CARA, END, DEPLOY)
        answer_rest(made, campaign)
        sweep_campaigns(made.world)
        found = describe_campaign(made.world, campaign)
        assert found is not None and found.view.undone == 1
        assert "requesters = []" in found.view.changes[0] and state(made, campaign) == "closing"
        made.set_policy(shop_deploy='requesters = ["S0ENGINEERS"]')
        sweep_campaigns(made.world)
        assert state(made, campaign) == "closing", "the same group under its id"
        made.set_policy(shop_deploy='requesters = ["@sre"]')
        sweep_campaigns(made.world)
        assert state(made, campaign) == "finished"
        found = describe_campaign(made.world, campaign)
        assert found is not None and found.view.changes == ()

    def test_an_entry_that_is_written_again_is_an_item_again(self, made: Made) -> None:
        campaign = a_campaign(made, role="shop-deploy")
        made.set_policy(shop_deploy='requesters = ["@sre"]')
        sweep_campaigns(made.world)
        assert items_of(made, campaign)[DEPLOY].state is ItemState.GONE
        made.set_policy()
        sweep_campaigns(made.world)
        assert items_of(made, campaign)[DEPLOY].state is ItemState.PENDING
        answer_rest(made, campaign, END)
        made.set_policy(shop_deploy='requesters = ["@sre"]')
        sweep_campaigns(made.world)
        assert items_of(made, campaign)[DEPLOY].state is ItemState.ENDED
        made.set_policy()
        sweep_campaigns(made.world)
        item = items_of(made, campaign)[DEPLOY]
        assert (item.state, item.over_at, state(made, campaign)) == ("ending", None, "closing")

    @pytest.mark.parametrize("default", ["keep", "end"])
    def test_at_the_due_date_the_role_answers(self, made: Made, default: str) -> None:
        made.set_policy(shop_admin=f'review_default = "{default}"\nmax_duration = "3d"')
        grant = made.a_grant(duration=2 * DAY)
        campaign = a_campaign(made, due=DAY)
        made.clock.at += DAY - 1
        sweep_campaigns(made.world)
        assert made.grant(grant.id).state is GrantState.ACTIVE
        made.clock.at += 1
        sweep_campaigns(made.world)
        ends = default == "end"
        assert made.grant(grant.id).state == ("ending" if ends else "active")
        item = items_of(made, campaign)[grant.id]
        assert (item.decision, item.decided_by) == (default, "system")
        assert item.reason == "nobody answered by the due date"
        assert items_of(made, campaign)[DEPLOY].decision == "keep"
        assert state(made, campaign) == ("closing" if ends else "finished")


def test_what_waits_for_a_lead_is_found_without_reading_every_grant(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.set_groups(db_leads=[BEN, DAN])
    of_ben = made.a_started(made.a_request("shop-admin", BEN), DAN)
    grants = [made.a_grant("shop-admin", ANA).id, made.start(of_ben).id]
    campaign = a_campaign(made)
    original, read = reviews.pending, list[Item]()

    def pending(*asked: Any) -> list[Item]:
        some: list[Item] = original(*asked)
        read.extend(some)
        return some

    monkeypatch.setattr(reviews, "pending", pending)
    for approvers in ([BEN, DAN], [BEN]):  # only one approver: a lead decides on his own access
        made.set_groups(db_leads=approvers)
        everything = describe_campaign(made.world, campaign)
        assert everything is not None
        for person in (ANA, BEN, CARA, DAN, LEA):
            read.clear()
            page = waiting_page(made.world, person, campaign)
            found = [item.number for item in page.items] if page else []
            assert found == [n for n, able in everything.reviewers.items() if person in able]
        assert {item.about for item in read}.isdisjoint(grants) is (len(approvers) > 1)


def test_the_report_has_the_list_before_and_after(made: Made) -> None:
    kept, ended = made.a_grant(), made.a_grant("shop-admin", CARA)
    campaign = a_campaign(made)
    answer(made, campaign, BEN, END, ended.id, "shop-admin everyone requester")
    answer_rest(made, campaign)
    made.close_gates(made.grant(ended.id))
    sweep_campaigns(made.world)
    rows = {row["about"]: row for row in report(made, campaign)}
    assert len(rows) == 7  # the two rows of everyone, and of @db-leads, have one reference
    columns = ("decision", "there_before", "there_after", "decided_and_still_there", "reason")
    assert [rows[ended.id][column] for column in columns] == [
        *("end", "yes", "no", "no", "left the team")
    ]
    assert [rows[kept.id][column] for column in columns] == [
        *("keep", "yes", "yes", "no", "still needed")
    ]
    found = report(made, campaign)
    assert [row["role"] for row in found if row["decided_and_still_there"] == "yes"] == [
        "shop-admin"
    ]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE review_items SET decided_by = 'U0EVE'", "another decision on item"),
        ("UPDATE review_items SET state = 'kept'", "another decision on item"),
        ("UPDATE review_items SET reason = 'x'", "another decision on item"),
        ("UPDATE review_items SET holders = '[]'", "not the one that was frozen"),
        ("DELETE FROM review_items WHERE number = 1", "not the one that was frozen"),
        ("UPDATE campaigns SET finished_at = finished_at + 1", "it was finished with"),
        ("UPDATE campaigns SET id = 'c1'", "c1: no record says that it started"),
        ("UPDATE campaigns SET id = 'c1'", "is not there"),
    ],
)
def test_a_changed_review_is_found(made: Made, sql: str, told: str) -> None:
    grant = made.a_grant()
    campaign = a_campaign(made)
    answer(made, campaign, BEN, END, grant.id)
    answer_rest(made, campaign)
    made.close_gates(made.grant(grant.id))
    sweep_campaigns(made.world)
    assert state(made, campaign) == "finished" and made.verdict().is_intact
    made.forged = True
    made.world.db.run("PRAGMA foreign_keys = OFF")
    with made.world.db.transaction():
        made.world.db.run(sql)
    found = made.verdict().differences
    assert any(told in each.what for each in found), found


def test_however_many_replicas_everything_happens_once(database: Database, tmp_path: Path) -> None:
    made = make_world(tmp_path, db=database)
    made.set_policy(shop_admin='review_default = "end"\nmax_duration = "3d"')
    grant = made.a_grant(duration=2 * DAY)
    see_all(made)
    begun = together(database, [lambda: start_campaign(made.world, LEA, Scope(), DAY)] * 3)
    assert sorted(type(each).__name__ for each in begun) == ["Refused", "Refused", "Started"]
    ((campaign,),) = made.rows("SELECT id FROM campaigns")
    number = items_of(made, campaign)[grant.id].number
    see_all(made, BEN)
    found = together(
        database,
        [lambda: decide_items(made.world, BEN, campaign, [number], END)] * 2
        + [lambda: decide_items(made.world, "os:op", campaign, [number], KEEP)] * 2,
    )
    assert sorted(type(each).__name__ for each in found) == ["Decided"] + ["Refused"] * 3
    made.clock.at += DAY
    together(database, [lambda: sweep_campaigns(made.world)] * 3)
    with database.reading():
        items = reviews.items(database, campaign)
    assert made.events("review:item:decided") == len(items)
    assert all(item.state is not ItemState.PENDING for item in items)
