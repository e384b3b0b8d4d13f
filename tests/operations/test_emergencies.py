"""Break-glass: who may start it, its records and notes, the next one of the same person, and the
review."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.core.approval import Refused
from bot.core.eligibility import Ask
from bot.core.model import EndReason, GrantState, Urgency
from bot.core.rules import AutoApproval, DenyRule
from bot.operations.absence.go_away import Away, go_away
from bot.operations.emergencies.ping_due_reviews import ping_due_reviews
from bot.operations.emergencies.sign_review import (
    EmergencyEnding,
    Signed,
    end_emergency,
    sign_review,
)
from bot.operations.emergencies.start_emergency import (
    WAITS_FOR_SLACK,
    Call,
    NeedsPress,
    Outcome,
    Started,
    start_emergency,
)
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.grants.panic import panic
from bot.operations.grants.release_grant import release_grant
from bot.operations.grants.renew_grant import renew_grant
from bot.operations.idempotency import Repeated, do_once
from bot.operations.people.describe_person import describe_home, emergency_roles
from bot.operations.requests.answer_waiting import answer_waiting
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.deny_request import Denied, deny_request
from bot.operations.requests.lapse_due import lapse_due
from bot.operations.requests.request_access import (
    MOST_REQUESTS,
    AlreadyHeld,
    AlreadyPending,
    Submitted,
    Waiting,
    request_access,
)
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, DAN, LEA, START, Made, a_person

HOUR, DAY = 3600, 86_400
EMERGENCY = 'max_duration = "4h"\n[roles.{}.emergency]\nmembers = {}\nmax_duration = "1h"'
TABLES = {
    "shop_admin": EMERGENCY.format("shop-admin", '["@sre"]'),
    "shop_deploy": EMERGENCY.format("shop-deploy", '["@sre", "@platform-leads"]'),
}
"""Ben, who may approve shop-admin, Cara and Dan may take it. Lea leads."""


@pytest.fixture(autouse=True)
def _tables(made: Made) -> None:
    made.set_policy(**TABLES)
    made.forget_work()


def call(made: Made, person: str = CARA, role: str = "shop-admin", **more: object) -> Outcome:
    reason = str(more.pop("reason", "the till is down"))
    first = bool(more.pop("look_up_first", False))
    return start_emergency(made.world, Call(person, role, reason, **more), first)  # type: ignore[arg-type]


def started(made: Made, person: str = CARA, role: str = "shop-admin", **more: object) -> Started:
    outcome = call(made, person, role, **more)
    assert isinstance(outcome, Started), outcome
    return outcome


def waiting(made: Made, person: str = CARA, role: str = "shop-deploy", **more: object) -> str:
    outcome = call(made, person, role, **more)
    assert isinstance(outcome, NeedsPress), outcome
    return outcome.request.id


def fresh(made: Made, *people: str) -> None:
    """Slack has described these people at this moment."""
    made.know(*(replace(a_person(each), checked_at=made.clock.at) for each in people))


def sign(made: Made, request: str, by: str = LEA, words: str = "It was right.") -> object:
    fresh(made, by)
    return sign_review(made.world, by, request, words)


def work(made: Made, kind: str, field: str) -> list[str]:
    """That field of all work of this kind, oldest first."""
    found = made.rows("SELECT data FROM outbox WHERE kind = ? ORDER BY id", kind)
    return [str(json.loads(data).get(field, "")) for (data,) in found]


def detail(made: Made, event: str) -> dict[str, object]:
    ((text,),) = made.log(event, "detail")
    found: dict[str, object] = json.loads(text)
    return found


def why(outcome: object) -> str:
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


# --- access at once


def test_it_starts_at_once_with_its_own_short_end(made: Made) -> None:
    made.wakes.clear()
    grant = started(made).grant
    assert made.grant(grant.id).state is GrantState.STARTING
    assert (grant.duration, grant.latest_end) == (HOUR, START + HOUR)
    assert made.work()[0] == "start_grant" and "start" in made.wakes[0][0]
    active = made.start(grant)
    assert (active.ends_at, active.latest_end) == (START + HOUR, START + HOUR)
    assert made.opens(made.a_token(active))


def test_it_is_on_record_with_reason_length_and_nobody_who_approved(made: Made) -> None:
    outcome = started(made, duration=600)
    columns = 'actor, subject, role, system, request, "grant", reason'
    assert made.log("emergency:access:started", columns) == [
        (CARA, CARA, "shop-admin", "shop-admin", outcome.request.id, outcome.grant.id,
         "the till is down")
    ]  # fmt: skip
    assert detail(made, "emergency:access:started") == {
        "source": "slack",
        "emergency": True,
        "duration": 600,
        "actions": ["orders:read", "orders:refund"],
        "approvers": [],
        "decided_by": "emergency",
    }
    assert made.events("request:approval:given") == made.events("request:vote:given") == 0
    assert made.log("request:access:asked") == [(CARA, "the till is down")]


def test_everybody_is_told(made: Made) -> None:
    made.set_groups(db_leads=[BEN, ANA, CARA], platform_leads=[LEA, DAN])
    made.forget_work()
    request = started(made).request.id
    assert work(made, "post_approval", "channel") == [
        "#access-security",
        "#access-approvals",
        DAN,
        LEA,
    ]
    assert work(made, "notify_person", "person") == [ANA, BEN], "approvers but for the user"
    assert set(work(made, "notify_person", "note")) == {"emergency_skipped"}
    assert set(work(made, "post_approval", "request")) == {request}


def test_many_leads_are_all_told_and_the_first_twenty_have_the_buttons(made: Made) -> None:
    leads = [f"U0LEAD{n:02}" for n in range(30)]
    made.set_groups(platform_leads=leads)
    made.forget_work()
    started(made)
    assert work(made, "post_approval", "channel")[2:] == leads[:20]
    assert set(work(made, "notify_person", "person")) == {BEN, *leads[20:]}


def test_the_pending_request_for_the_role_is_overtaken(made: Made) -> None:
    asked = made.a_request("shop-admin", CARA)
    started(made)
    assert made.state("requests", asked.id) == "withdrawn"
    assert isinstance(made.try_to_approve(asked), object)
    assert made.count("grants") == 1


def test_an_operator_starts_it_for_somebody(made: Made) -> None:
    outcome = started(made, by="os:ann")
    assert made.log("emergency:access:started", "actor, subject") == [("os:ann", CARA)]
    assert made.log("request:access:asked", "actor, subject") == [("os:ann", CARA)]
    assert outcome.request.requester == CARA


def test_an_operator_may_when_slack_has_been_down_for_long(made: Made) -> None:
    """The groups as they were known last are good enough for the command line alone."""
    with made.world.db.transaction():
        made.world.db.run(
            "INSERT INTO key_values (key, value) VALUES ('groups read', ?)", str(START)
        )
    made.clock.at += 3 * HOUR
    assert isinstance(call(made), Waiting)
    grant = started(made, by="os:ann").grant
    assert begin_attempt(made.world, grant.id) != []


# --- people who are refused


NOT_IN: dict[str, tuple[Callable[[Made], Outcome], str]] = {
    "not a member": (lambda made: call(made, ANA), "Only @sre can take shop-admin"),
    "an approver of the role alone": (
        lambda made: (made.set_groups(sre=[CARA]), call(made, BEN))[1],
        "Only @sre can take shop-admin",
    ),
    "a lead alone": (lambda made: call(made, LEA), "Only @sre can take shop-admin"),
    "a stranger": (lambda made: call(made, "U0NOBODY"), "You can't ask for access"),
    "a role without the table": (
        lambda made: call(made, role="reports-read"),
        "reports-read has no emergency access",
    ),
    "an unknown role": (lambda made: call(made, role="shop-admim"), "Did you mean shop-admin?"),
    "no reason": (lambda made: call(made, reason=" "), "Say why you need it"),
    "too long": (lambda made: call(made, duration=HOUR + 1), "at most 1h in an emergency"),
    "no duration": (lambda made: call(made, duration=0), "at most 1h in an emergency"),
    "stopped by panic": (
        lambda made: (panic(made.world, "os:ann", role="shop-admin"), call(made))[1],
        "stopped by the panic switch",
    ),
    "an operator for somebody who is not a member": (
        lambda made: call(made, ANA, by="os:ann"),
        "Only @sre can take shop-admin",
    ),
}


@pytest.mark.parametrize(("attempt", "reason"), NOT_IN.values(), ids=NOT_IN)
def test_nobody_else_gets_in_and_the_refusal_is_on_record(
    made: Made, attempt: Callable[[Made], Outcome], reason: str
) -> None:
    assert reason in why(attempt(made))
    assert made.count("grants") == made.count("emergencies") == made.count("requests") == 0
    assert made.log("request:action:refused", "detail")[-1][0].find('"emergency"') > 0


UNFIT = {
    "a guest": {"guest": True},
    "deactivated": {"deleted": True},
    "a bot": {"bot": True},
    "of another workspace": {"stranger": True},
}


@pytest.mark.parametrize("facts", UNFIT.values(), ids=UNFIT)
def test_an_account_that_does_not_count_gets_nothing(made: Made, facts: dict[str, object]) -> None:
    made.know(a_person(CARA, **facts))
    assert "You can't ask for access" in why(call(made))
    assert "You can't ask for access" in why(call(made, by="os:ann"))
    assert made.count("grants") == 0


def test_groups_that_are_unknown_give_nothing_and_slack_is_asked(made: Made) -> None:
    made.reload(shop_admin=EMERGENCY.format("shop-admin", '["@firemen"]'))
    assert isinstance(call(made), Waiting)
    assert made.work() == ["ask"] and made.count("grants") == 0


def test_a_denial_rule_wins(made: Made) -> None:
    rule = DenyRule("not at night", (CARA,), reason="Ask Dan.")
    policy = made.world.policy()
    role = replace(policy.roles["shop-admin"], deny=(rule,))
    made.policies.append(replace(policy, roles={**policy.roles, role.name: role}))
    assert "“not at night”" in why(call(made)) and "Ask Dan." in why(call(made))
    assert "Ask Dan." in why(call(made, by="os:ann")) and isinstance(call(made, DAN), Started)


def test_what_is_held_for_as_long_makes_it_needless(made: Made) -> None:
    held = made.a_grant("shop-admin", CARA, 2 * HOUR)
    assert call(made) == AlreadyHeld(held)
    assert isinstance(call(made, duration=HOUR), AlreadyHeld)


def test_access_that_ends_sooner_does_not_hold_it_up(made: Made) -> None:
    made.a_grant("shop-admin", CARA, 600)
    assert isinstance(call(made), Started)


STOPPED: dict[str, Callable[[Made], object]] = {
    "the table was taken out": lambda made: made.set_policy(),
    "they are no longer a member": lambda made: made.set_groups(sre=[BEN]),
    "their account was deactivated": lambda made: made.know(a_person(CARA, deleted=True)),
    "panic": lambda made: panic(made.world, "os:ann"),
    "the role changed": lambda made: made.set_policy(
        shop_admin='actions = ["orders:read"]\n' + TABLES["shop_admin"]
    ),
}


@pytest.mark.parametrize("change", STOPPED.values(), ids=STOPPED)
def test_all_is_judged_again_before_a_system_is_called(
    made: Made, change: Callable[[Made], object]
) -> None:
    grant = started(made).grant
    change(made)
    assert begin_attempt(made.world, grant.id) == []
    assert made.grant(grant.id).state is GrantState.ENDING


# --- its end


def test_it_can_not_be_renewed_and_more_time_is_asked_for_beside_it(made: Made) -> None:
    grant = made.start(started(made, duration=600).grant)
    assert "can't be renewed" in why(renew_grant(made.world, grant.id, CARA, duration=600))
    asked = request_access(made.world, Ask(CARA, "shop-admin", "still down"))
    assert isinstance(asked, Submitted)
    more = made.start(made.a_started(asked.request))
    assert (more.urgency, more.ends_at) == (Urgency.ORDINARY, START + HOUR)
    assert made.grant(grant.id).ends_at == START + 600


def test_a_start_that_is_tried_again_has_the_whole_duration_and_no_more(made: Made) -> None:
    grant = started(made).grant
    made.clock.at += 60
    begin_attempt(made.world, grant.id)
    later = made.grant(grant.id)
    assert (later.ends_at, later.latest_end) == (START + 60 + HOUR, START + 60 + HOUR)


# --- the next one of the same person


def test_the_next_one_waits_for_one_press_of_an_approver_or_a_lead(made: Made) -> None:
    started(made)
    made.forget_work()
    request = waiting(made)
    assert made.count("grants") == 1
    assert work(made, "post_approval", "channel") == ["#access-security", "#access-approvals", LEA]
    granted = approve_request(made.world, request, a_person(LEA))
    assert isinstance(granted, Granted), "one press, where the role needs two"
    assert granted.grant.urgency is Urgency.EMERGENCY and granted.grant.duration == HOUR
    assert made.count("emergencies", "alone = 0") == 1
    told = made.log("emergency:access:started", "detail")[-1][0]
    assert json.loads(told)["approvers"] == [LEA]


@pytest.mark.parametrize("by", [BEN, LEA])
def test_approvers_and_leads_may_press(made: Made, by: str) -> None:
    started(made)
    request = waiting(made)
    assert isinstance(approve_request(made.world, request, a_person(by)), Granted)


def test_the_user_does_not_press_for_themselves(made: Made) -> None:
    made.set_groups(platform_leads=[LEA, CARA])
    started(made)
    refused = approve_request(made.world, waiting(made), a_person(CARA))
    assert "your own request" in why(refused)


def test_the_user_does_not_press_with_a_second_account(made: Made) -> None:
    made.set_groups(platform_leads=[LEA, DAN])
    second = a_person(DAN, email=f"{CARA}@example.com")
    made.know(second)
    started(made)
    assert "your own emergency" in why(approve_request(made.world, waiting(made), second))


def test_somebody_else_does_not_press(made: Made) -> None:
    started(made)
    assert "Only the approvers" in why(approve_request(made.world, waiting(made), a_person(ANA)))


def test_the_delegate_of_an_absent_lead_presses_and_signs_nothing(made: Made) -> None:
    assert isinstance(go_away(made.world, LEA, a_person(ANA), START + DAY), Away)
    first = started(made)
    request = waiting(made)
    outcome = approve_request(made.world, request, a_person(ANA))
    assert why(outcome).startswith("Only the approvers of shop-deploy")
    assert why(deny_request(made.world, request, a_person(ANA), "no")) == outcome.reason
    assert why(sign(made, first.request.id, ANA)).startswith("Only leads")
    assert isinstance(approve_request(made.world, request, a_person(LEA)), Granted)


def test_delegates_are_not_counted_among_those_who_could_press(made: Made) -> None:
    assert isinstance(go_away(made.world, LEA, a_person(ANA), START + DAY), Away)
    started(made, role="shop-deploy")
    outcome = call(made)
    assert isinstance(outcome, NeedsPress) and outcome.able == len({BEN, LEA})


def test_one_denial_ends_it(made: Made) -> None:
    started(made)
    request = waiting(made)
    assert isinstance(deny_request(made.world, request, a_person(BEN), "Use what you have"), Denied)
    assert made.count("emergencies") == 1


def test_nobody_who_could_press_is_said_at_once(made: Made) -> None:
    made.set_groups(platform_leads=[CARA], sre=[CARA])
    started(made)
    assert "there is nobody but you" in why(call(made, role="shop-deploy"))


def test_it_lapses_within_an_hour(made: Made) -> None:
    started(made)
    request = waiting(made)
    made.clock.at += HOUR
    lapse_due(made.world)
    assert made.state("requests", request) == "lapsed" and made.count("emergencies") == 1


def test_called_again_it_is_still_one(made: Made) -> None:
    first = started(made)
    assert call(made) == AlreadyHeld(made.grant(first.grant.id))
    request = waiting(made)
    again = call(made, role="shop-deploy")
    assert isinstance(again, AlreadyPending) and again.request.id == request


def test_a_press_judges_the_person_again(made: Made) -> None:
    started(made)
    request = waiting(made)
    made.set_groups(sre=[BEN])
    assert "is only for" in why(approve_request(made.world, request, a_person(LEA)))


def test_while_one_is_open_no_rule_approves_for_its_person(made: Made) -> None:
    rule = AutoApproval("on call", members=("@sre",))
    policy = made.world.policy()
    role = replace(policy.roles["reports-read"], auto_approve=(rule,))
    made.policies.append(replace(policy, roles={**policy.roles, role.name: role}))
    first = started(made)
    asked = [
        request_access(made.world, Ask(who, role.name, "because", 600, "OPS-1"))
        for who in (CARA, DAN)
    ]
    assert [type(each).__name__ for each in asked] == ["Submitted", "GrantedAtOnce"]
    sign(made, first.request.id)
    assert not describe_home(made.world, LEA).emergencies


def test_when_the_review_is_signed_the_next_one_starts_at_once(made: Made) -> None:
    first = started(made)
    assert isinstance(sign(made, first.request.id), Signed)
    assert isinstance(call(made, role="shop-deploy"), Started)


def test_the_emergency_of_another_person_holds_up_nobody(made: Made) -> None:
    started(made)
    assert isinstance(call(made, DAN), Started)


def test_two_at_the_same_moment_start_one(made: Made) -> None:
    roles = ["shop-admin", "shop-deploy"]
    found = together(made.world.db, [lambda role=role: call(made, role=role) for role in roles])
    assert sorted(type(each).__name__ for each in found) == ["NeedsPress", "Started"]


def test_a_double_submit_starts_one(made: Made) -> None:
    found = together(made.world.db, [lambda: call(made)] * 6)
    assert sorted(type(each).__name__ for each in found) == ["AlreadyHeld"] * 5 + ["Started"]
    assert made.count("grants") == made.count("emergencies") == 1


def test_a_repeated_payload_starts_one(made: Made) -> None:
    def act() -> object:
        one = Call(CARA, "shop-admin", "down")
        return do_once(made.world, "envelope", lambda world: start_emergency(world, one))

    found = together(made.world.db, [act] * 4)
    assert sorted(type(each).__name__ for each in found) == ["Repeated"] * 3 + ["Started"]
    assert isinstance(act(), Repeated)


def test_two_processes_start_one(made: Made) -> None:
    other = made.another_process()
    one = Call(CARA, "shop-admin", "down")
    found = together(
        made.world.db,
        [lambda: start_emergency(made.world, one), lambda: start_emergency(other, one)],
    )
    assert sorted(type(each).__name__ for each in found) == ["AlreadyHeld", "Started"]


# --- the review


def test_a_lead_signs_it_with_a_conclusion(made: Made) -> None:
    outcome = started(made)
    made.start(outcome.grant)
    signed = sign(made, outcome.request.id, words="Right: nobody else was there.")
    assert isinstance(signed, Signed) and signed.was_held
    grant = made.grant(outcome.grant.id)
    assert (grant.state, grant.end_reason, grant.end_by) == (
        GrantState.ENDING,
        EndReason.EMERGENCY_CLOSED,
        LEA,
    )
    assert made.log("emergency:review:signed", 'actor, subject, "grant", reason') == [
        (LEA, CARA, grant.id, "Right: nobody else was there.")
    ]
    assert work(made, "notify_person", "note")[-1] == "review_signed"


def test_it_is_signed_after_the_end_too(made: Made) -> None:
    outcome = started(made)
    release_grant(made.world, made.start(outcome.grant).id, CARA)
    made.close_gates(made.grant(outcome.grant.id))
    assert sign(made, outcome.request.id) == Signed(
        sign_of(made, outcome.request.id), was_held=False
    )


def sign_of(made: Made, request: str) -> object:
    """The review as it was before it was signed."""
    from bot.core.emergency import EmergencyReview

    row = made.rows("SELECT grant_id, started_at FROM emergencies WHERE request_id = ?", request)
    grant, at = row[0]
    return EmergencyReview(
        request, grant, CARA, "shop-admin", Urgency.EMERGENCY, CARA, True, at, at + HOUR
    )


def test_a_lead_ends_the_access_and_the_review_stays_open(made: Made) -> None:
    outcome = started(made)
    made.start(outcome.grant)
    fresh(made, LEA)
    assert isinstance(end_emergency(made.world, LEA, outcome.request.id), EmergencyEnding)
    grant = made.grant(outcome.grant.id)
    assert (grant.end_reason, grant.end_by) == (EndReason.EMERGENCY_CLOSED, LEA)
    assert made.count("emergencies", "signed_at IS NULL") == 1
    assert "ending already" in why(end_emergency(made.world, LEA, outcome.request.id))


def _as_lead(made: Made, person: str, **facts: object) -> None:
    made.set_groups(platform_leads=[LEA, person])
    made.know(replace(a_person(person, **facts), checked_at=made.clock.at))


NOT_SIGNED: dict[str, tuple[Callable[[Made], str], str]] = {
    "the user, who is a lead": (
        lambda made: (_as_lead(made, CARA), CARA)[1],
        "your own emergency",
    ),
    "a second account of the user, which is a lead": (
        lambda made: (_as_lead(made, DAN, email=f"{CARA}@example.com"), DAN)[1],
        "your own emergency",
    ),
    "an approver of the role": (lambda made: BEN, "Only leads"),
    "somebody": (lambda made: ANA, "Only leads"),
    "a lead whose account was deactivated": (
        lambda made: (_as_lead(made, DAN, deleted=True), DAN)[1],
        "Only leads",
    ),
    "an operator": (lambda made: "os:ann", "signed in Slack"),
}


@pytest.mark.parametrize(("who", "reason"), NOT_SIGNED.values(), ids=NOT_SIGNED)
def test_nobody_else_signs(made: Made, who: Callable[[Made], str], reason: str) -> None:
    request = started(made).request.id
    by = who(made)
    assert reason in why(sign_review(made.world, by, request, "It was right."))
    assert made.count("emergencies", "signed_at IS NULL") == 1
    assert made.log("request:action:refused")[-1] == (by, "It was right.")


def test_a_lead_whom_slack_did_not_confirm_lately_signs_nothing(made: Made) -> None:
    request = started(made).request.id
    made.clock.at += 90
    refused = sign_review(made.world, LEA, request, "It was right.")
    assert "did not confirm in the last minute" in why(refused)


@pytest.mark.parametrize(
    ("words", "reason"), [("", "Write what happened"), (" .\u200b", "Write"), ("x" * 3001, "3,000")]
)
def test_a_conclusion_says_something(made: Made, words: str, reason: str) -> None:
    request = started(made).request.id
    refused = sign(made, request, words=words)
    assert reason in why(refused)
    assert isinstance(refused, Refused) and refused.field == "conclusion"


def test_it_is_signed_once(made: Made) -> None:
    made.set_groups(platform_leads=[LEA, DAN])
    request = started(made).request.id
    fresh(made, LEA, DAN)
    found = together(
        made.world.db,
        [lambda by=by: sign_review(made.world, by, request, f"by {by}") for by in (LEA, DAN)],
    )
    assert sorted(type(each).__name__ for each in found) == ["Refused", "Signed"]
    assert "signed already" in why(sign(made, request))
    assert made.events("emergency:review:signed") == 1


# --- pings


def test_the_leads_are_pinged_until_it_is_signed(made: Made) -> None:
    request = started(made).request.id
    made.forget_work()
    for passed, expected in ((HOUR - 1, 0), (HOUR, 1), (4 * HOUR, 2), (28 * HOUR, 3)):
        made.clock.at = START + passed
        ping_due_reviews(made.world)
        assert work(made, "notify_security", "note") == ["review_open"] * expected
    sign(made, request)
    made.clock.at += 10 * DAY
    assert ping_due_reviews(made.world) == 0


def test_missed_pings_are_sent_once(made: Made) -> None:
    started(made)
    made.clock.at += 7 * DAY
    assert (ping_due_reviews(made.world), ping_due_reviews(made.world)) == (1, 0)


def test_two_processes_ping_once(made: Made) -> None:
    started(made)
    made.clock.at += HOUR
    other = made.another_process()
    together(
        made.world.db,
        [lambda: ping_due_reviews(made.world), lambda: ping_due_reviews(other)] * 3,
    )
    assert work(made, "notify_security", "note") == ["review_open"]


def test_the_clock_knows_when_the_next_ping_is_due(made: Made) -> None:
    made.wakes.clear()
    outcome = started(made)
    release_grant(made.world, outcome.grant.id, CARA)
    made.close_gates(made.grant(outcome.grant.id))
    from bot.operations.process.next_due import next_due

    assert made.wakes[0][1] == START + HOUR == next_due(made.world)


# --- rows that somebody changed behind the bot


FORGED = {
    "a review that nobody signed": (
        "UPDATE emergencies SET signed_at = 1, signed_by = 'U0LEA', ping_at = NULL",
        "is signed, and no record says so",
    ),
    "an emergency that is gone": ("DELETE FROM emergencies", "is not there"),
    "another start": ("UPDATE emergencies SET started_at = 1", "start is 1"),
    "another user": ("UPDATE emergencies SET person = 'U0DAN'", "person is U0DAN"),
}


@pytest.mark.parametrize(("sql", "found"), FORGED.values(), ids=FORGED)
def test_verify_finds_what_no_record_tells(made: Made, sql: str, found: str) -> None:
    started(made)
    assert made.verdict().broken is None
    made.forged = True
    with made.world.db.transaction():
        made.world.db.run(sql)
    assert any(found in each.what for each in made.verdict().differences)


def test_verify_finds_a_review_that_was_opened_again(made: Made) -> None:
    sign(made, started(made).request.id)
    made.forged = True
    with made.world.db.transaction():
        made.world.db.run("UPDATE emergencies SET signed_at = NULL, signed_by = NULL")
    assert any("signer is None" in each.what for each in made.verdict().differences)


# --- drills


def test_a_drill_is_real_and_marked_in_every_record(made: Made) -> None:
    outcome = started(made, is_drill=True)
    grant = made.start(outcome.grant)
    assert made.opens(made.a_token(grant))
    sign(made, outcome.request.id)
    made.close_gates(made.grant(grant.id))
    unmarked = [
        event
        for event, text in made.rows(
            "SELECT event, detail FROM audit WHERE request = ? ORDER BY seq", outcome.request.id
        )
        if json.loads(text).get("drill") is not True
    ]
    assert unmarked == []
    assert outcome.role.title == "Drill: Shop admin, read and refund"


def test_a_drill_that_is_open_counts_like_any_other(made: Made) -> None:
    started(made, is_drill=True)
    assert isinstance(call(made, role="shop-deploy"), NeedsPress)


# --- App Home


def test_leads_see_what_is_open_and_others_do_not(made: Made) -> None:
    first = started(made)
    made.clock.at += 1
    second = started(made, DAN)
    view = describe_home(made.world, LEA)
    assert [each.request.id for each in view.emergencies] == [first.request.id, second.request.id]
    assert view.open_emergencies == 2
    assert describe_home(made.world, BEN).emergencies == ()
    sign(made, first.request.id)
    assert describe_home(made.world, LEA).open_emergencies == 1


def test_the_next_one_waits_in_the_home_of_who_may_press(made: Made) -> None:
    started(made)
    request = waiting(made)
    for person, waits in ((LEA, True), (BEN, True), (CARA, False), (ANA, False)):
        found = [each.id for each in describe_home(made.world, person).waiting_for_me]
        assert (request in found) is waits


def test_the_form_offers_what_somebody_may_take(made: Made) -> None:
    names = {
        who: [role.name for role in emergency_roles(made.world, who)] for who in (CARA, LEA, ANA)
    }
    assert names == {CARA: ["shop-admin", "shop-deploy"], LEA: ["shop-deploy"], ANA: []}


def test_a_deactivated_user_loses_it_and_the_review_stays(made: Made) -> None:
    outcome = started(made)
    made.start(outcome.grant)
    made.know(a_person(CARA, deleted=True))
    grant = made.grant(outcome.grant.id)
    assert (grant.state, grant.end_reason) == (GrantState.ENDING, EndReason.OFFBOARDED)
    assert isinstance(sign(made, outcome.request.id), Signed)


def test_one_person_s_emergencies_that_wait_for_slack_are_limited(made: Made) -> None:
    for _ in range(MOST_REQUESTS):
        assert isinstance(call(made, look_up_first=True), Waiting)
    refused = call(made, look_up_first=True)
    assert isinstance(refused, Refused) and "wait for Slack" in refused.reason
    assert made.work().count("ask") == MOST_REQUESTS
    assert isinstance(call(made, DAN, look_up_first=True), Waiting)


def test_one_that_waited_for_slack_too_long_does_not_start(made: Made) -> None:
    assert isinstance(call(made, look_up_first=True), Waiting)
    ((asked,),) = made.rows("SELECT data FROM outbox WHERE kind = 'ask'")
    made.clock.at += WAITS_FOR_SLACK
    answer_waiting(made.world, json.loads(str(asked)))
    assert made.count("grants") == 0
    ((told,),) = made.rows("SELECT data FROM outbox WHERE kind = 'answer'")
    assert "nothing was started" in json.loads(str(told))["why"]
