"""Onboarding ramps: what a newcomer gets, when, and what stops it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bot.core.approval import Refused
from bot.core.eligibility import Ask
from bot.core.model import GrantState, RampState
from bot.core.onboarding import Ramp, StageState
from bot.operations.absence.come_back import come_back
from bot.operations.absence.go_away import Away, go_away
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.grants.panic import panic, resume
from bot.operations.grants.start_due import start_due
from bot.operations.onboarding import change_ramp
from bot.operations.onboarding.describe_ramp import (
    RampView,
    describe_graduation,
    describe_ramp,
    list_ramps,
    preview_ramp,
)
from bot.operations.onboarding.give_stage import Opened
from bot.operations.onboarding.open_stage import open_stage
from bot.operations.onboarding.start_ramp import Start, start_ramp
from bot.operations.onboarding.suggest import note_joined
from bot.operations.onboarding.sweep_ramps import sweep_ramps
from bot.operations.people.record_people import people_to_check, record_people
from bot.operations.policy.record_policy import record_loaded
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.request_access import Submitted, request_access
from storage import key_values, ramps
from storage.ramps import RampMessage
from tests.builders import SYSTEMS
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, DAN, LEA, START, Made, a_person
from tests.ramps import BUNDLES, DAY, ON_CALL, ROLES, a_ramp, see_all, set_bundles, sweep_after

OLA = "U0OLA"


def now(made: Made, ramp: Ramp) -> Ramp:
    with made.world.db.reading():
        found = ramps.get(made.world.db, ramp.id)
    assert found is not None
    return found


def roles_of(made: Made, person: str = ANA) -> list[tuple[str, str]]:
    """Role and state of each grant of a person."""
    sql = "SELECT role, state FROM grants WHERE person = ? ORDER BY starts_at, role"
    return [(str(role), str(state)) for role, state in made.rows(sql, person)]


def notified(made: Made, note: str) -> list[str]:
    """The people who were sent this note about a ramp."""
    sql = "SELECT person, data FROM outbox WHERE kind = 'ramp_note' ORDER BY id"
    sent = [json.loads(data) for _, data in made.rows(sql)]
    return sorted(data["person"] for data in sent if data["note"] == note)


def start(made: Made, by: str = LEA, **more: Any) -> Ramp | Refused:
    see_all(made)
    return start_ramp(made.world, by, Start(**{"bundle": "engineer", "newcomer": ANA, **more}))


class TestStart:
    def test_the_first_stage_opens_at_once_as_an_ordinary_grant(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        assert ramp.state is RampState.RUNNING
        assert roles_of(made) == [("shop-admin", "starting")]
        (request,) = made.rows("SELECT reason, state, decided_by, duration FROM requests")
        by = "rule:onboarding:engineer"
        assert request == ("onboarding: engineer, stage 1", "approved", by, 4 * 3600)
        assert notified(made, "welcome") == [ANA] and notified(made, "mentor") == [BEN]

    def test_the_record_of_the_start_has_the_whole_plan(self, made: Made) -> None:
        set_bundles(made)
        a_ramp(made)
        ((actor, subject, detail),) = made.log("onboarding:ramp:started", "actor, subject, detail")
        assert (actor, subject) == (LEA, ANA)
        for words in ('"roles":["shop-deploy"]', '"may_ask":["on-call"]', '"needs":"mentor"'):
            assert words in detail

    @pytest.mark.parametrize(
        ("by", "more", "why"),
        [
            (BEN, {}, "Only leads"),
            (LEA, {"newcomer": LEA}, "your own onboarding"),
            (LEA, {"mentor": ANA}, "their own mentor"),
            (LEA, {"mentor": "U0NOBODY"}, "can't be a mentor"),
            (LEA, {"newcomer": "U0NOBODY"}, "can't get access"),
            (LEA, {"bundle": "enginer"}, "did you mean"),
            (LEA, {"newcomer": "", "email": "no address"}, "e-mail"),
            (LEA, {"newcomer": ""}, "e-mail"),
            (LEA, {"starts_at": 4_000_000_000}, "180 days"),
        ],
        ids=[
            "not a lead",
            "the lead is the newcomer",
            "the mentor is the newcomer",
            "an unknown mentor",
            "an unknown newcomer",
            "an unknown bundle",
            "no e-mail",
            "nobody",
            "a start too far ahead",
        ],
    )
    def test_a_refusal_says_why_and_is_on_record(
        self, made: Made, by: str, more: dict[str, Any], why: str
    ) -> None:
        set_bundles(made)
        refused = start(made, by, **more)
        assert isinstance(refused, Refused) and why in refused.reason
        assert made.events("request:action:refused") == 1 and made.count("ramps") == 0

    def test_a_lead_whom_slack_has_not_confirmed_lately_starts_nothing(self, made: Made) -> None:
        set_bundles(made)
        made.clock.at += 61
        refused = start_ramp(made.world, LEA, Start("engineer", ANA))
        assert isinstance(refused, Refused) and "still a lead" in refused.reason

    def test_two_leads_at_once_start_one_ramp(self, made: Made) -> None:
        set_bundles(made)
        found = together(made.world.db, [lambda: start(made)] * 4)
        assert sorted(type(each).__name__ for each in found) == ["Ramp"] + ["Refused"] * 3
        assert made.count("grants") == 1

    def test_a_later_start_waits_for_its_day(self, made: Made) -> None:
        set_bundles(made)
        ramp = start(made, starts_at=made.clock.at + 3 * DAY)
        assert isinstance(ramp, Ramp) and ramp.state is RampState.PLANNED
        assert sweep_after(made, 3 * DAY - 60) == 0 and roles_of(made) == []
        assert sweep_after(made, 60) == 1
        assert now(made, ramp).state is RampState.RUNNING and len(roles_of(made)) == 1
        assert notified(made, "began") == [LEA]
        assert made.events("onboarding:ramp:planned") == 1


class TestInvited:
    def test_the_ramp_starts_when_the_person_with_the_address_joins(self, made: Made) -> None:
        set_bundles(made)
        ramp = start(made, newcomer="", email="Ola@Example.com", mentor=BEN)
        assert isinstance(ramp, Ramp) and ramp.newcomer == ""
        assert sweep_after(made, DAY) == 0
        made.know(replace(a_person(OLA, "ola@example.com"), checked_at=made.clock.at))
        assert sweep_ramps(made.world) == 1
        assert now(made, ramp).newcomer == OLA
        assert roles_of(made, OLA) == [("shop-admin", "starting")]

    def test_an_address_that_is_not_confirmed_starts_nothing(self, made: Made) -> None:
        set_bundles(made)
        start(made, newcomer="", email="ola@example.com")
        ola = a_person(OLA, "ola@example.com", unconfirmed=True)
        made.know(replace(ola, checked_at=made.clock.at))
        assert sweep_ramps(made.world) == 0 and roles_of(made, OLA) == []

    def test_an_address_is_planned_for_once(self, made: Made) -> None:
        set_bundles(made)
        assert isinstance(start(made, newcomer="", email="ola@example.com"), Ramp)
        again = start(made, newcomer="", email="OLA@example.com")
        assert isinstance(again, Refused) and "already" in again.reason

    def test_an_address_that_is_known_is_that_person(self, made: Made) -> None:
        set_bundles(made)
        ramp = start(made, newcomer="", email="u0ana@example.com")
        assert isinstance(ramp, Ramp) and ramp.newcomer == ANA

    def test_a_mentor_who_turns_out_to_be_the_newcomer_gets_nothing(self, made: Made) -> None:
        set_bundles(made)
        ramp = start(made, newcomer="", email="new@example.com", mentor=BEN)
        assert isinstance(ramp, Ramp)
        made.know(replace(a_person(BEN, "new@example.com"), checked_at=made.clock.at))
        sweep_ramps(made.world)
        assert now(made, ramp).state is RampState.ENDED and roles_of(made, BEN) == []


class TestStages:
    def test_a_mentors_stage_opens_by_the_mentors_press_on_its_day(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        early = open_stage(made.world, BEN, ramp.id, 2)
        assert isinstance(early, Refused) and "too early" in early.reason
        assert sweep_after(made, 7 * DAY) == 1
        assert now(made, ramp).stages[1].state is StageState.READY
        assert notified(made, "ready") == [BEN] and len(roles_of(made)) == 1
        opened = open_stage(made.world, BEN, ramp.id, 2)
        assert isinstance(opened, Opened) and opened.left_out == {}
        assert roles_of(made)[-1] == ("shop-deploy", "starting")
        assert notified(made, "stage") == [ANA]
        assert [actor for actor, _ in made.log("onboarding:stage:opened")][-1] == BEN

    @pytest.mark.parametrize("by", [ANA, CARA, LEA], ids=["newcomer", "somebody", "lead"])
    def test_nobody_but_the_mentor_opens_it(self, made: Made, by: str) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        sweep_after(made, 7 * DAY)
        see_all(made, CARA)
        assert isinstance(open_stage(made.world, by, ramp.id, 2), Refused)
        assert len(roles_of(made)) == 1

    def test_two_presses_at_once_open_it_once(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        sweep_after(made, 7 * DAY)
        found = together(made.world.db, [lambda: open_stage(made.world, BEN, ramp.id, 2)] * 4)
        assert sorted(type(each).__name__ for each in found) == ["NoneType"] * 3 + ["Opened"]
        assert len(roles_of(made)) == 2

    def test_two_sweeps_at_once_open_a_stage_once(self, made: Made) -> None:
        set_bundles(made, BUNDLES.replace('needs = "mentor"\n', ""))
        a_ramp(made)
        made.clock.at += 7 * DAY
        see_all(made)
        made.set_groups()
        worlds = [made.world, made.another_process()]
        together(made.world.db, [lambda world=world: sweep_ramps(world) for world in worlds])
        assert [role for role, _ in roles_of(made)] == ["shop-admin", "shop-deploy"]
        assert made.events("onboarding:stage:opened") == 2

    def test_a_stage_that_is_not_confirmed_by_slack_waits(self, made: Made) -> None:
        set_bundles(made, BUNDLES.replace('needs = "mentor"\n', ""))
        a_ramp(made)
        made.clock.at += 7 * DAY
        sweep_ramps(made.world)
        assert len(roles_of(made)) == 1 and "look_up_person" in made.work()
        sweep_after(made, 10)
        assert len(roles_of(made)) == 2

    def test_a_panic_switch_holds_a_stage_until_it_is_lifted(self, made: Made) -> None:
        set_bundles(made, BUNDLES.replace('needs = "mentor"\n', ""))
        a_ramp(made)
        panic(made.world, "os:root", role="shop-deploy")
        sweep_after(made, 7 * DAY)
        assert len(roles_of(made)) == 1
        resume(made.world, "os:root", role="shop-deploy")
        sweep_after(made, 10)
        assert len(roles_of(made)) == 2

    def test_a_role_that_is_held_longer_already_is_not_given_twice(self, made: Made) -> None:
        set_bundles(made)
        made.a_grant("shop-admin", duration=4 * 3600)
        ramp = a_ramp(made)
        assert len(roles_of(made)) == 1
        assert "they have it already" in now(made, ramp).stages[0].left_out["shop-admin"]

    def test_two_stages_that_overlap_on_one_role_continue_each_other(self, made: Made) -> None:
        again = 'after = "7d"\nneeds = "mentor"\nroles = ["shop-deploy"]'
        both = 'after = "2h"\nroles = ["shop-admin"]'
        set_bundles(made, BUNDLES.replace(again, both))
        begun = made.clock.at
        a_ramp(made)
        sweep_after(made, 2 * 3600)
        sql = "SELECT state, starts_at, ends_at FROM grants ORDER BY starts_at"
        assert made.rows(sql) == [
            ("starting", begun, begun + 4 * 3600),
            ("scheduled", begun + 4 * 3600, begun + 6 * 3600),
        ]
        record_loaded(made.world, made.world.policy())
        made.clock.at = begun + 4 * 3600
        see_all(made)
        made.set_groups()
        start_due(made.world)
        ((later,),) = made.rows("SELECT id FROM grants WHERE starts_at > ?", begun)
        assert begin_attempt(made.world, later), "no rule has to stand for it"

    def test_a_pending_request_for_a_given_role_is_withdrawn(self, made: Made) -> None:
        set_bundles(made)
        request = made.a_request()
        a_ramp(made)
        assert made.state("requests", request.id) == "withdrawn"

    def test_nothing_outlives_the_ramp(self, made: Made) -> None:
        set_bundles(made, BUNDLES.replace('max = "30d"', 'max = "15d"').replace("7d", "357h"))
        ramp = a_ramp(made)
        sweep_after(made, 357 * 3600)
        # The stage of 357 h comes after that of 14 d.
        assert isinstance(open_stage(made.world, BEN, ramp.id, 3), Opened)
        found = made.rows("SELECT ends_at FROM grants WHERE role = 'shop-deploy'")
        assert found == [(now(made, ramp).ends_at,)]


DENY = """
[[roles.shop-deploy.deny]]
name = "contractors"
members = ["@contractors"]
reason = "Contractors get staging only."
"""
BOTH = BUNDLES.replace('roles = ["shop-deploy"]', 'roles = ["shop-deploy", "plain"]')
PLAIN = ON_CALL.replace('["@sre"]', '["everyone"]')


class TestLeftOut:
    def opened(self, made: Made, ramp: Ramp) -> dict[str, str]:
        """The roles that the mentor's stage leaves out when it is opened on its day."""
        made.clock.at += 7 * DAY
        see_all(made)
        sweep_ramps(made.world)
        opened = open_stage(made.world, BEN, ramp.id, 2)
        assert isinstance(opened, Opened), opened
        return opened.left_out

    def test_a_newcomer_who_changed_groups_does_not_get_what_is_for_the_old_one(
        self, made: Made
    ) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        made.set_groups(engineers=[BEN])
        assert self.opened(made, ramp) == {"shop-deploy": "it is only for @engineers"}
        assert roles_of(made) == [("shop-admin", "starting")]
        assert notified(made, "left_out") == [LEA]

    def test_a_denial_rule_for_one_role_of_a_stage_leaves_the_others(self, made: Made) -> None:
        set_bundles(made, BOTH, plain=PLAIN)
        ramp = a_ramp(made)
        set_bundles(made, BOTH + DENY, plain=PLAIN)
        made.set_groups(contractors=[ANA])
        why = "the rule “contractors” denies it: Contractors get staging only."
        made.clock.at += 7 * DAY
        see_all(made)
        made.set_groups(contractors=[ANA])
        sweep_ramps(made.world)
        opened = open_stage(made.world, BEN, ramp.id, 2)
        assert isinstance(opened, Opened) and opened.left_out == {"shop-deploy": why}
        assert [role for role, _ in roles_of(made)] == ["shop-admin", "plain"]
        ((detail,),) = made.log("onboarding:stage:opened", "detail")[-1:]
        assert "Contractors get staging only." in detail

    def test_a_denial_rule_whose_group_is_unknown_holds_the_stage(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        sweep_after(made, 7 * DAY)
        made.reload(systems=SYSTEMS + BUNDLES + DENY, **ROLES)
        refused = open_stage(made.world, BEN, ramp.id, 2)
        assert isinstance(refused, Refused) and "Slack has not said" in refused.reason

    def test_a_role_that_asks_for_a_ticket_now(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        policy = made.world.policy()
        asks = replace(policy.roles["shop-deploy"], ticket="^OPS$")
        made.policies.append(replace(policy, roles={**policy.roles, "shop-deploy": asks}))
        assert "asks for a ticket" in self.opened(made, ramp)["shop-deploy"]

    def test_a_role_that_was_changed_since_the_plan_was_approved(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        set_bundles(made, shop_deploy='actions = ["deploy:write", "deploy:admin"]')
        assert "was changed" in self.opened(made, ramp)["shop-deploy"]

    def test_a_bundle_that_no_longer_gives_the_role(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        set_bundles(made, BUNDLES.replace('["shop-deploy"]', '["shop-admin"]'))
        assert "no longer gives it" in self.opened(made, ramp)["shop-deploy"]

    def test_a_bundle_that_is_gone(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        made.set_policy(**ROLES)
        assert "no longer in roles.toml" in self.opened(made, ramp)["shop-deploy"]

    def test_a_role_that_became_one_of_high_risk(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        # The file would be refused; a policy of another version may not be.
        policy = made.world.policy()
        high = replace(policy.roles["shop-deploy"], risk="high")
        made.policies.append(replace(policy, roles={**policy.roles, "shop-deploy": high}))
        assert self.opened(made, ramp) == {"shop-deploy": "its risk is high"}

    def test_the_preview_says_what_the_newcomer_would_be_refused(self, made: Made) -> None:
        set_bundles(made)
        see_all(made, LEA, DAN)
        view = preview_ramp(made.world, LEA, Start("engineer", DAN))
        assert isinstance(view, RampView)
        assert view.refused == {(2, "shop-deploy"): "it is only for @engineers"}
        assert made.count("ramps") == 0


class TestMayAsk:
    def reached(self, made: Made) -> Ramp:
        set_bundles(made)
        ramp = a_ramp(made)
        sweep_after(made, 14 * DAY)
        return ramp

    def ask(self, made: Made) -> object:
        return request_access(made.world, Ask(ANA, "on-call", "my first shift"))

    def test_the_newcomer_may_ask_from_the_stage_on(self, made: Made) -> None:
        set_bundles(made)
        a_ramp(made)
        early = self.ask(made)
        assert isinstance(early, Refused) and "only for @sre" in early.reason
        sweep_after(made, 14 * DAY)
        asked = self.ask(made)
        assert isinstance(asked, Submitted) and asked.able == 2

    def test_the_mentor_decides_beside_the_roles_own_approvers(self, made: Made) -> None:
        self.reached(made)
        asked = self.ask(made)
        assert isinstance(asked, Submitted)
        granted = approve_request(made.world, asked.request.id, a_person(BEN))
        assert isinstance(granted, Granted)
        assert made.start(granted.grant).state is GrantState.ACTIVE

    def test_the_mentor_decides_for_nobody_else(self, made: Made) -> None:
        self.reached(made)
        asked = made.a_request("on-call", CARA)
        refused = approve_request(made.world, asked.id, a_person(BEN))
        assert isinstance(refused, Refused) and "Only the approvers" in refused.reason

    def test_the_newcomer_never_decides(self, made: Made) -> None:
        self.reached(made)
        asked = self.ask(made)
        assert isinstance(asked, Submitted)
        refused = approve_request(made.world, asked.request.id, a_person(ANA))
        assert isinstance(refused, Refused) and "your own request" in refused.reason

    @pytest.mark.parametrize("verb", ["pause", "end"])
    def test_it_stops_while_the_ramp_is_paused_and_after_it(self, made: Made, verb: str) -> None:
        ramp = self.reached(made)
        asked = self.ask(made)
        assert isinstance(asked, Submitted)
        getattr(change_ramp, verb)(made.world, LEA, ramp.id)
        refused = approve_request(made.world, asked.request.id, a_person(LEA))
        assert not isinstance(refused, Granted)
        assert isinstance(self.ask(made), Refused) or verb == "pause"
        assert roles_of(made) == [("shop-admin", "starting")] or verb == "end"

    def test_an_approved_start_after_the_ramp_does_not_begin(self, made: Made) -> None:
        ramp = self.reached(made)
        asked = self.ask(made)
        assert isinstance(asked, Submitted)
        grant = made.a_started(asked.request, LEA)
        change_ramp.end(made.world, LEA, ramp.id)
        assert made.start(grant).state is GrantState.ENDING

    def test_a_file_without_the_bundle_takes_the_right_away(self, made: Made) -> None:
        self.reached(made)
        made.set_policy(**ROLES)
        assert isinstance(self.ask(made), Refused)


class TestMentor:
    def leave(self, made: Made, person: str) -> None:
        record_people(
            made.world, [replace(a_person(person, deleted=True), checked_at=made.clock.at)]
        )

    def test_a_mentor_who_leaves_in_a_stage_is_replaced_by_the_lead(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        sweep_after(made, 7 * DAY)
        self.leave(made, BEN)
        assert now(made, ramp).mentor == "" and notified(made, "mentor_left") == [LEA]
        assert isinstance(open_stage(made.world, BEN, ramp.id, 2), Refused)
        assert isinstance(open_stage(made.world, LEA, ramp.id, 2), Opened)
        assert made.events("onboarding:mentor:changed") == 1

    def test_another_mentor_gets_what_waits(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        sweep_after(made, 7 * DAY)
        see_all(made, CARA)
        changed = change_ramp.change_mentor(made.world, LEA, ramp.id, CARA)
        assert isinstance(changed, Ramp) and changed.mentor == CARA
        assert notified(made, "ready") == [BEN, CARA] and notified(made, "new_mentor") == [ANA]
        assert isinstance(open_stage(made.world, BEN, ramp.id, 2), Refused)
        assert isinstance(open_stage(made.world, CARA, ramp.id, 2), Opened)

    @pytest.mark.parametrize(
        ("mentor", "why"),
        [(ANA, "their own mentor"), (BEN, "already"), ("U0NOBODY", "can't be a mentor")],
        ids=["the newcomer", "the same", "an unknown person"],
    )
    def test_a_mentor_who_can_not_be_one(self, made: Made, mentor: str, why: str) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        refused = change_ramp.change_mentor(made.world, LEA, ramp.id, mentor)
        assert isinstance(refused, Refused) and why in refused.reason

    def test_a_mentor_who_is_away_is_replaced_by_the_lead_until_they_are_back(
        self, made: Made
    ) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        until = made.clock.at + 8 * DAY
        given = go_away(made.world, BEN, a_person(CARA), until)
        assert isinstance(given, Away), given
        sweep_after(made, 7 * DAY)
        assert notified(made, "ready") == [LEA]
        assert isinstance(open_stage(made.world, BEN, ramp.id, 2), Refused)
        made.clock.at = until
        see_all(made)
        made.set_groups()
        assert isinstance(open_stage(made.world, BEN, ramp.id, 2), Opened)

    def test_a_mentor_who_approves_nothing_may_be_away_and_the_lead_gets_what_waits(
        self, made: Made
    ) -> None:
        set_bundles(made)
        ramp = a_ramp(made, mentor=DAN)
        sweep_after(made, 7 * DAY)
        made.set_groups(sre=[CARA])
        assert notified(made, "ready") == [DAN]
        given = go_away(made.world, DAN, a_person(CARA), made.clock.at + DAY)
        assert isinstance(given, Away) and given.newcomers == (a_person(ANA).name,)
        assert notified(made, "ready") == [DAN, LEA]
        assert isinstance(open_stage(made.world, DAN, ramp.id, 2), Refused)
        assert isinstance(open_stage(made.world, CARA, ramp.id, 2), Refused)
        assert isinstance(open_stage(made.world, LEA, ramp.id, 2), Opened)

    def test_nobodys_mentor_who_approves_nothing_has_nothing_to_hand_over(self, made: Made) -> None:
        set_bundles(made)
        refused = go_away(made.world, ANA, a_person(CARA), made.clock.at + DAY)
        assert isinstance(refused, Refused) and "nobody's mentor" in refused.reason

    @pytest.mark.parametrize("what", ["a reload", "an absence", "a return"])
    def test_open_messages_are_updated_after(self, made: Made, what: str) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        if what == "a return":
            go_away(made.world, BEN, a_person(CARA), made.clock.at + DAY)
        with made.world.db.transaction():
            ramps.add_message(made.world.db, RampMessage("D1", "1.1", ramp.id, BEN, "mentor", 0))
        made.forget_work()
        set_bundles(made, shop_admin='title = "Shop"')
        if what == "a reload":
            record_loaded(made.world, made.world.policy())
        elif what == "an absence":
            go_away(made.world, BEN, a_person(CARA), made.clock.at + DAY)
        else:
            come_back(made.world, BEN)
        assert "update_ramp_note" in made.work()

    def test_newcomer_and_mentor_are_looked_up_like_holders(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made, mentor=CARA)
        see_all(made, CARA)
        made.clock.at += 3600
        assert {ANA, CARA} <= set(people_to_check(made.world, made.clock.at, 60))
        change_ramp.end(made.world, "os:root", ramp.id)
        assert CARA not in people_to_check(made.world, made.clock.at, 60)

    def test_a_newcomer_without_a_mentor_has_the_lead(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made, mentor="")
        sweep_after(made, 7 * DAY)
        assert notified(made, "ready") == [LEA]
        assert isinstance(open_stage(made.world, LEA, ramp.id, 2), Opened)


class TestLead:
    @pytest.mark.parametrize("verb", ["pause", "resume", "end"])
    def test_only_leads_and_never_the_newcomer(self, made: Made, verb: str) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        made.set_groups(platform_leads=[LEA, ANA])
        for by, why in ((BEN, "Only leads"), (ANA, "your own onboarding")):
            refused = getattr(change_ramp, verb)(made.world, by, ramp.id)
            assert isinstance(refused, Refused) and why in refused.reason

    def test_a_pause_moves_the_stages_and_not_the_end(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        see_all(made)
        assert isinstance(change_ramp.pause(made.world, LEA, ramp.id), Ramp)
        assert isinstance(change_ramp.pause(made.world, LEA, ramp.id), Refused)
        assert sweep_after(made, 10 * DAY) == 0
        resumed = change_ramp.resume(made.world, LEA, ramp.id)
        assert isinstance(resumed, Ramp) and resumed.shift == 10 * DAY
        assert resumed.ends_at == ramp.ends_at
        assert sweep_after(made, 6 * DAY) == 0
        assert sweep_after(made, DAY) == 1

    def test_a_stage_that_a_pause_moved_beyond_the_end_never_opens(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        change_ramp.pause(made.world, LEA, ramp.id)
        sweep_after(made, 25 * DAY)
        change_ramp.resume(made.world, LEA, ramp.id)
        refused = open_stage(made.world, BEN, ramp.id, 2)
        assert isinstance(refused, Refused) and "ends before this stage" in refused.reason
        sweep_after(made, 5 * DAY)
        assert now(made, ramp).state is RampState.FINISHED and len(roles_of(made)) == 1

    def test_an_early_end_ends_what_the_ramp_gave(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        made.start(made.grant(str(made.rows("SELECT id FROM grants")[0][0])))
        ended = change_ramp.end(made.world, LEA, ramp.id)
        assert isinstance(ended, Ramp) and ended.state is RampState.ENDED
        assert roles_of(made) == [("shop-admin", "ending")]
        assert notified(made, "graduation") == [LEA] and notified(made, "over") == [ANA]
        assert isinstance(change_ramp.end(made.world, LEA, ramp.id), Refused)

    def test_a_paused_ramp_finishes_on_its_last_day(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        change_ramp.pause(made.world, LEA, ramp.id)
        sweep_after(made, 30 * DAY)
        assert now(made, ramp).state is RampState.FINISHED
        assert made.events("onboarding:ramp:finished") == 1

    def test_offboarding_ends_the_ramp(self, made: Made) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        gone = replace(a_person(ANA, deleted=True), checked_at=made.clock.at)
        record_people(made.world, [gone])
        assert now(made, ramp).state is RampState.ENDED
        assert roles_of(made) == [("shop-admin", "ending")]
        assert made.rows("SELECT end_reason FROM grants") == [("offboarded",)]

    def test_leads_see_all_ramps_and_others_none(self, made: Made) -> None:
        set_bundles(made)
        a_ramp(made)
        found = list_ramps(made.world, LEA, 10)
        assert isinstance(found, list) and len(found) == 1
        assert isinstance(list_ramps(made.world, BEN, 10), Refused)


class TestGraduation:
    def test_it_says_what_was_asked_for_beyond_the_bundle_and_what_was_denied(
        self, made: Made
    ) -> None:
        set_bundles(made)
        ramp = a_ramp(made)
        made.clock.at += 60
        request = made.a_request("reports-read")
        made.press(request.id, BEN)
        sweep_after(made, 30 * DAY)
        found = describe_graduation(made.world, ramp.id)
        assert found is not None
        assert [each.role for each in found.beyond] == ["reports-read"] and found.denied == ()
        assert notified(made, "graduation") == [LEA]
        view = describe_ramp(made.world, ramp.id)
        assert view is not None and [*view.given] == [1]


class TestSuggested:
    def test_a_person_who_joined_a_group_of_a_bundle_is_offered_to_the_leads_once(
        self, made: Made
    ) -> None:
        set_bundles(made)
        made.know(replace(a_person(OLA), checked_at=made.clock.at))
        note_joined(made.world, OLA)
        sweep_ramps(made.world)
        assert "suggest_bundle" not in made.work()
        made.set_groups(engineers=[ANA, OLA])
        for _ in range(2):
            sweep_ramps(made.world)
        assert made.work().count("suggest_bundle") == 1

    def test_nothing_is_offered_for_a_person_who_has_a_ramp(self, made: Made) -> None:
        set_bundles(made)
        note_joined(made.world, ANA)
        a_ramp(made)
        sweep_ramps(made.world)
        assert "suggest_bundle" not in made.work() and made.count("newcomers") == 0

    def test_nothing_is_offered_two_weeks_later(self, made: Made) -> None:
        set_bundles(made)
        made.know(replace(a_person(OLA), checked_at=made.clock.at))
        note_joined(made.world, OLA)
        sweep_after(made, 14 * DAY)
        assert made.count("newcomers") == 0 and "suggest_bundle" not in made.work()


LOST = {
    "is no lead any more": lambda made: made.set_groups(platform_leads=[BEN]),
    "left": lambda made: record_people(made.world, [a_person(LEA, deleted=True)]),
}


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_a_plan_begins_only_while_the_lead_who_made_it_is_a_lead(
    made: Made, lose: Callable[[Made], object]
) -> None:
    set_bundles(made)
    ramp = a_ramp(made, starts_at=made.clock.at + DAY)
    made.clock.at += DAY
    see_all(made, ANA, BEN)
    made.set_groups()
    lose(made)
    sweep_ramps(made.world)
    assert now(made, ramp).state is RampState.ENDED
    assert roles_of(made) == []
    ((because,),) = made.log("onboarding:ramp:ended", "detail")
    assert json.loads(because)["because"] == "the lead who planned it is no longer a lead"


def test_a_plan_waits_while_nobody_knows_who_the_leads_are(made: Made) -> None:
    set_bundles(made)
    ramp = a_ramp(made, starts_at=made.clock.at + DAY)
    made.clock.at += DAY
    see_all(made, ANA, BEN)
    with made.world.db.transaction():
        key_values.put(made.world.db, "groups read", str(START))
    sweep_ramps(made.world)
    assert now(made, ramp).state is RampState.PLANNED


FORGED = {
    "another mentor": ("UPDATE ramps SET mentor = 'U0EVE'", "mentor is U0EVE, the log says U0BEN"),
    "another newcomer": ("UPDATE ramps SET newcomer = 'U0EVE'", "newcomer is U0EVE"),
    "another lead": ("UPDATE ramps SET lead = 'U0EVE'", "lead is U0EVE"),
    "it runs again": (
        "UPDATE ramps SET state = 'running'",
        "state is running, the log says paused",
    ),
    "a longer one": ("UPDATE ramps SET longest = longest + 1", "end is"),
    "another role": (
        "UPDATE ramp_stages SET may_ask = '[\"shop-deploy\"]' WHERE number = 3",
        "its plan is not the one of the log",
    ),
    "a stage that was opened": (
        "UPDATE ramp_stages SET state = 'opened' WHERE number = 3",
        "stages that are open is",
    ),
    "an invented one": (
        "INSERT INTO ramps (id, bundle, title, newcomer, email, mentor, lead, state, planned_at,"
        " longest, pins) VALUES ('o1', 'b', 'B', 'U0EVE', '', '', 'U0LEA', 'running', 0, 1, '{}')",
        "onboarding of U0EVE by b: no record says that it was planned",
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_verify_finds_an_onboarding_that_differs_from_the_log(made: Made, what: str) -> None:
    set_bundles(made)
    ramp = a_ramp(made)
    assert isinstance(change_ramp.pause(made.world, LEA, ramp.id), Ramp)
    assert made.verdict().broken is None
    sql, told_as = FORGED[what]
    made.forged = True
    with made.world.db.transaction():
        made.world.db.run(sql)
    assert any(told_as in each.what for each in made.verdict().differences), made.verdict()
