"""The plan of an onboarding, who acts as the mentor, and what a ramp adds to a role."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.approval import deciders
from bot.core.authority import Authority, people_of
from bot.core.eligibility import may_request
from bot.core.model import Directory, Person, RampState
from bot.core.onboarding import (
    Missed,
    PlannedStage,
    Ramp,
    RampRights,
    StageState,
    as_for,
    bundle_toml,
    given_for,
    may_open,
    mentors_of,
    next_stage,
    planned,
    rights_of,
    suggested_bundle,
)
from bot.core.rules import Bundle, Stage, Tier
from tests.builders import SYSTEMS, a_policy
from tests.ramps import BUNDLES, ROLES

DAY = 86400
POLICY = a_policy(systems=SYSTEMS + BUNDLES, **ROLES)
BUNDLE = POLICY.bundles["engineer"]
ANA = Person("U0ANA", "Ana", "ana@example.com", "UTC", "T1", 0)


def a_ramp(**changes: object) -> Ramp:
    ramp = Ramp(
        id="o1",
        bundle="engineer",
        title="New engineer",
        newcomer="U0ANA",
        email="",
        mentor="U0BEN",
        lead="U0LEA",
        state=RampState.RUNNING,
        planned_at=0,
        starts_at=0,
        longest=30 * DAY,
        stages=planned(BUNDLE),
        pins={},
    )
    return replace(ramp, **changes)  # type: ignore[arg-type]


def opened(ramp: Ramp) -> Ramp:
    stages = tuple(replace(each, state=StageState.OPENED) for each in ramp.stages)
    return replace(ramp, stages=stages)


def test_the_stages_of_a_plan_are_in_the_order_of_their_days() -> None:
    late, early = Stage(7 * DAY, may_ask=("b",)), Stage(0, may_ask=("a",))
    found = planned(Bundle("b", "B", (late, early), (), 30 * DAY))
    assert [(each.number, each.after) for each in found] == [(1, 0), (2, 7 * DAY)]


def test_a_stage_that_a_pause_moved_beyond_the_end_is_not_the_next() -> None:
    ramp = a_ramp(shift=25 * DAY)
    first, *rest = ramp.stages
    ramp = replace(ramp, stages=(replace(first, state=StageState.OPENED), *rest))
    assert next_stage(ramp) is None
    assert next_stage(replace(ramp, shift=0)) == rest[0]


LEADS = frozenset({"U0LEA", "U0MAX"})
MENTORS = {
    "the mentor": ({}, frozenset(), {"U0BEN"}),
    "the lead, when the mentor left": ({}, frozenset({"U0BEN"}), {"U0LEA"}),
    "the lead, when nobody is named": ({"mentor": ""}, frozenset(), {"U0LEA"}),
    "all leads, when the lead is no lead": ({"mentor": "", "lead": "U0OLD"}, frozenset(), LEADS),
    "the other leads, when the lead left": ({"mentor": ""}, frozenset({"U0LEA"}), {"U0MAX"}),
    "leads for an operator": ({"mentor": "", "lead": "os:root"}, frozenset(), LEADS),
    "never the newcomer": ({"mentor": "", "newcomer": "U0LEA"}, frozenset(), {"U0MAX"}),
    "nobody": ({}, frozenset({"U0BEN", *LEADS}), set()),
}


@pytest.mark.parametrize(("changes", "absent", "who"), MENTORS.values(), ids=MENTORS)
def test_who_acts_as_the_mentor(
    changes: dict[str, object], absent: frozenset[str], who: set[str]
) -> None:
    assert mentors_of(a_ramp(**changes), absent, LEADS) == who


OPENS = {
    "on its day": ({}, 2, "U0BEN", 7 * DAY, ""),
    "a second before": ({}, 2, "U0BEN", 7 * DAY - 1, "too early"),
    "later": ({}, 2, "U0BEN", 29 * DAY, ""),
    "after the ramp's end": ({}, 2, "U0BEN", 30 * DAY, "ends before this stage"),
    "moved beyond the end": ({"shift": 23 * DAY}, 2, "U0BEN", 29 * DAY, "ends before this stage"),
    "a stage by date": ({}, 1, "U0BEN", 7 * DAY, "no such stage"),
    "no such stage": ({}, 9, "U0BEN", 7 * DAY, "no such stage"),
    "somebody else": ({}, 2, "U0EVE", 7 * DAY, "Only the mentor"),
    "the newcomer": ({"mentor": "U0ANA"}, 2, "U0ANA", 7 * DAY, "your own onboarding"),
    "paused": ({"state": RampState.PAUSED}, 2, "U0BEN", 7 * DAY, "is paused"),
    "ended": ({"state": RampState.ENDED}, 2, "U0BEN", 7 * DAY, "is ended"),
}


@pytest.mark.parametrize(("changes", "number", "who", "now", "why"), OPENS.values(), ids=OPENS)
def test_when_a_stage_may_be_opened(
    changes: dict[str, object], number: int, who: str, now: int, why: str
) -> None:
    refused = may_open(a_ramp(**changes), number, who, frozenset({"U0BEN"}), now)
    assert (refused is None) == (why == "") and (refused is None or why in refused.reason)


def test_a_stage_gives_no_more_than_the_role_and_the_rest_of_the_ramp() -> None:
    stage = PlannedStage(1, 0, False, ("shop-admin",), 14 * DAY, ())
    role = POLICY.roles["shop-admin"]
    assert given_for(a_ramp(), stage, role, 0) == role.max_duration
    assert given_for(a_ramp(), stage, role, 30 * DAY - 60) == 60
    assert given_for(a_ramp(), stage, role, 31 * DAY) == 0
    assert given_for(a_ramp(), replace(stage, duration=5), role, 0) == 5


def test_rights_need_an_open_stage_of_a_running_ramp_and_the_bundle_in_the_file() -> None:
    def count(ramp: Ramp, policy: object = POLICY, now: int = DAY) -> int:
        return len([*rights_of([ramp], policy, frozenset(), LEADS, now)])  # type: ignore[arg-type]

    running = opened(a_ramp())
    assert count(running) == 1 and count(a_ramp()) == 0
    assert count(running, now=30 * DAY) == 0
    assert count(running, replace(POLICY, bundles={})) == 0
    for state in set(RampState) - {RampState.RUNNING}:
        assert count(replace(running, state=state)) == 0


DIRECTORY = Directory(
    groups={"@sre": frozenset({"U0CARA"}), "@platform-leads": frozenset({"U0LEA"})},
    handles={},
    answered=frozenset({"@sre", "@platform-leads"}),
)


def test_a_right_is_for_the_newcomer_and_the_mentor_alone() -> None:
    role = POLICY.roles["on-call"]
    rights = [RampRights("U0ANA", frozenset({"U0BEN"}), frozenset({"on-call"}))]
    assert may_request(role, ANA, DIRECTORY) is not None
    mine = as_for(role, "U0ANA", rights)
    assert may_request(mine, ANA, DIRECTORY) is None
    assert deciders(mine, "U0ANA", Authority(DIRECTORY)) == {"U0LEA", "U0BEN"}
    assert as_for(role, "U0CARA", rights) == role
    assert as_for(POLICY.roles["shop-admin"], "U0ANA", rights) == POLICY.roles["shop-admin"]
    assert mine.fingerprint == role.fingerprint


def test_those_who_act_as_the_mentor_count_in_the_first_tier_alone() -> None:
    tiers = (Tier("team", ("U0CARA",), 1), Tier("security", ("U0DAN",), 1))
    role = replace(POLICY.roles["on-call"], tiers=tiers)
    rights = [RampRights("U0ANA", frozenset({"U0LEA", "U0MAX"}), frozenset({"on-call"}))]
    mine, known = as_for(role, "U0ANA", rights), Authority(Directory())
    by_tier = [people_of(mine, tier, "U0ANA", known) for tier in mine.tiers]
    assert by_tier == [{"U0CARA", "U0LEA", "U0MAX"}, {"U0DAN"}]
    assert mine.fingerprint == role.fingerprint, "a request stays valid when the mentor changes"


PEOPLE = ["U0ANA", "U0BEN", "U0LEA", "U0MAX", ""]


@given(
    mentor=st.sampled_from(PEOPLE),
    lead=st.sampled_from(PEOPLE),
    absent=st.frozensets(st.sampled_from(PEOPLE)),
    leads=st.frozensets(st.sampled_from(PEOPLE)),
)
def test_the_newcomer_never_decides(
    mentor: str, lead: str, absent: frozenset[str], leads: frozenset[str]
) -> None:
    ramp = opened(a_ramp(mentor=mentor, lead=lead))
    for right in rights_of([ramp], POLICY, absent, leads, DAY):
        role = as_for(POLICY.roles["on-call"], "U0ANA", [right])
        assert "U0ANA" not in deciders(role, "U0ANA", Authority(DIRECTORY)) | right.mentors
        assert "" not in right.mentors


@pytest.mark.parametrize("unused", ["", "shop-deploy", "shop-admin"])
def test_the_suggested_bundle_is_one_that_roles_toml_takes(unused: str) -> None:
    missed = [Missed(POLICY.roles["reports-read"], 9 * DAY + 5)]
    changed = suggested_bundle(BUNDLE, frozenset({unused}), missed)
    again = a_policy(systems=f"{SYSTEMS}\n{bundle_toml(changed)}\n", **ROLES)
    assert again.bundles["engineer"] == changed
    assert all(unused not in stage.roles for stage in changed.stages)


def test_a_missed_role_is_given_where_a_stage_may_give_it_and_else_may_be_requested() -> None:
    role = POLICY.roles["reports-read"]
    plain = replace(role, ticket=None)
    given, asked = (
        suggested_bundle(BUNDLE, frozenset(), [Missed(each, 9 * DAY + 5)]) for each in (plain, role)
    )
    assert Stage(9 * DAY, roles=("reports-read",), duration=role.default_duration) in given.stages
    assert Stage(9 * DAY, may_ask=("reports-read",)) in asked.stages
