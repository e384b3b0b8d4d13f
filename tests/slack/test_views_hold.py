"""Rules for every message, modal and Home view, whatever its content: Slack accepts it, typed text
has no effect, and it can be used without seeing colours."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bot.core.audit import Event
from bot.core.criteria import Criterion, Verdict
from bot.core.drift import Finding, What
from bot.core.emergency import EmergencyReview
from bot.core.explanation import Explanation, ForPerson, Point, RuleView, Would
from bot.core.model import Delegation, EndReason, GrantState, RampState, RequestState, Urgency
from bot.core.onboarding import PlannedStage, Ramp, StageState
from bot.core.preapproval import PreApproval
from bot.core.usage import GrantUsage
from bot.operations.grants.show_credentials import Credentials
from bot.operations.onboarding.describe_ramp import RampView
from bot.operations.people.describe_person import EmergencyView
from bot.operations.preapprovals.describe_preapprovals import PreApprovalView
from bot.operations.requests.describe_request import RequestCard
from bot.operations.systems.describe_alerts import AlertView
from bot.slack.pages import from_more
from bot.slack.views import (
    answers,
    approval_message,
    audit_table,
    credentials_modal,
    deny_modal,
    direct_messages,
    edit_modal,
    emergency_message,
    emergency_modal,
    end_alert,
    explanation,
    findings,
    help,
    home,
    lists,
    preapproval_parts,
    request_details,
    request_modal,
    revoke_confirm,
    revoke_modal,
    security_notes,
    thread_notes,
)
from storage.alerts import Alert
from tests.slack.views_samples import (
    ENDED,
    HOSTILE,
    HOUR,
    NASTY,
    NOW,
    a_grant,
    a_grant_view,
    a_person,
    a_person_view,
    a_record,
    a_request,
    a_role,
    elements,
    interpreted,
    problems,
    words,
    worst_card,
    worst_sent,
)

Render = Callable[[str], dict[str, Any]]

DECIDED = {"decided_by": "U0BEN,os:eve,rule:on call", "decided_at": NOW}
FIFTY = [a_grant(id=f"g{n}") for n in range(50)]
GRANT_NOTES = {
    "scheduled": {"state": GrantState.SCHEDULED, "started_at": None},
    "active": {},
    "delayed": {"state": GrantState.STARTING, "started_at": None},
    "failed": {"state": GrantState.FAILED},
    "renewed": {},
    "missing": {},
    "ended": ENDED,
}
SECURITY = {
    "nobody_can_decide": ("role",),
    "start_failed": ("grant", "error"),
    "end_confirmed": ("grant", "system"),
    "missing": ("grant", "system", "person", "role", "part"),
    "panic_on": ("by", "role", "person"),
    "panic_off": ("by", "role", "person"),
    "undelivered": ("kind", "to", "error"),
    "log_broken": ("seq", "why"),
    "use_after_end": ("grant", "person", "system", "session", "origin"),
    "policy_outdated": ("host", "file"),
}


def preapproved(text: str) -> PreApprovalView:
    given = PreApproval("p1", "U0BEN", "U0ANA", text[:60], HOUR, NOW + HOUR, text, "f", NOW)
    return PreApprovalView(given, a_role(title=text[:75]), False, {"U0BEN": text, "U0ANA": text})


PREAPPROVED = (preapproved("T" * 3000),) * 50


def decided(state: RequestState) -> Render:
    def render(text: str) -> dict[str, Any]:
        card = worst_card(text)
        actions = tuple(f"{text} {n}" for n in range(50))
        grant = a_grant(
            state=GrantState.ENDING,
            end_reason=EndReason.REVOKED,
            end_by=text,
            actions=actions,
            duration=60,
        )
        leases = tuple(
            replace(lease, error=text)
            for lease in a_grant_view(systems=card.request.systems).leases
        )
        request = replace(card.request, state=state, **DECIDED)
        return approval_message.render(
            replace(card, request=request, grant=grant, leases=leases), NOW
        )

    return render


def direct_note(note: str, changes: dict[str, Any]) -> Render:
    def render(text: str) -> dict[str, Any]:
        view = a_grant_view(
            **{**changes, "end_by": text, "actions": tuple(f"{n} {text}" for n in range(50))}
        )
        view = replace(
            view, role=a_role(title=text[:75]), request=a_request(reason=text, duration=10**6)
        )
        used = GrantUsage(silent=tuple(f"system-{n}-{'s' * 50}" for n in range(20)))
        return direct_messages.grant_note(note, replace(view, used=used), NOW)

    return render


def changed_group(text: str) -> dict[str, object]:
    people = {"came": [text] * 5, "left": [text] * 5, "came_count": 500, "left_count": 500}
    return {"name": text, "group": text, **people, "there": False}


TIMES = {"opened_at": NOW, "ended_at": NOW - 60}


def secured(note: str, keys: tuple[str, ...]) -> Render:
    return lambda text: security_notes.render(
        note, {**dict.fromkeys(keys, text), "since": NOW, "ended": 2, **TIMES}
    )


def found_on_systems(text: str) -> dict[str, Any]:
    found = [
        Finding(text[:63], What(what), text, text, text, f"f{n}")
        for n, what in enumerate([*What] * 30)
    ]
    return findings.render(found, 40, {f"{n}{text}"[:63]: text for n in range(40)})


def alerted(number: int = end_alert.EACH, **state: Any) -> Render:
    def render(text: str) -> dict[str, Any]:
        alert = Alert("a1", "g1", text[:63], NOW - HOUR, 5, 2, NOW, **state)
        many = (
            [replace(alert, system=f"{n % 20}{text}"[:63]) for n in range(number)]
            if number > 8
            else [alert] * 8
        )
        return end_alert.render([AlertView(each, a_grant(role=text[:63]), text) for each in many])

    return render


def test_many_ends_are_one_message_that_counts_those_of_each_system() -> None:
    def view(n: int, system: str, **state: Any) -> AlertView:
        return AlertView(
            Alert(f"a{n}", f"g{n}", system, NOW - n, 5, 2, NOW, **state),
            a_grant(id=f"g{n}"),
            f"error {n}",
        )

    known, gone = {"acknowledged_by": "U0LEA", "acknowledged_at": NOW}, {"confirmed_at": NOW}
    views = [view(n, "orders", **(known if n < 3 else {})) for n in range(9)] + [
        view(10, "shop"),
        view(11, "vpn", **gone),
    ]
    said = words(end_alert.render(views))
    assert (
        "10 ends are not confirmed" in said
        and "Confirmed among the ends of this message: 1" in said
    )
    assert (
        "orders" in said
        and "9 since" in said
        and "3 of them acknowledged" in said
        and "error 8" in said
    )
    assert [each["value"] for each in elements(end_alert.render(views), "button")] == ["a8", "a10"]
    over = end_alert.render([view(n, "orders", **gone) for n in range(200)])
    assert "all 200" in words(over) and not elements(over, "button")


def test_systems_without_room_in_an_alert_are_named_and_move_up_when_others_are_acknowledged() -> (
    None
):
    known = {"acknowledged_by": "U0LEA", "acknowledged_at": NOW}

    def views(first: dict[str, Any]) -> list[AlertView]:
        of = [
            (f"a{n}", f"system-{n:02}", first if n < end_alert.SYSTEMS else {}) for n in range(30)
        ]
        alerts = [Alert(id, "g1", system, NOW, 5, 2, NOW, **state) for id, system, state in of]
        return [AlertView(alert, a_grant(), "down") for alert in alerts]

    before, after = end_alert.render(views({})), end_alert.render(views(known))
    for message in (before, after):
        assert all(f"system-{n:02}" in words(message) for n in range(30))
        assert "Also on" in words(message) and problems(message) == []
    assert [each["value"] for each in elements(before, "button")] == [f"a{n}" for n in range(8)]
    assert [each["value"] for each in elements(after, "button")] == [f"a{n}" for n in range(8, 16)]


def a_ramp_view(text: str, newcomer: str) -> RampView:
    """An onboarding of 30 stages, each of which waits for the reader and leaves something out."""
    stages = tuple(
        PlannedStage(n, n, True, (f"role-{n}",), HOUR, ("role-1",), StageState.READY)
        for n in range(1, 31)
    )
    ramp = Ramp(
        id="o" * 12,
        bundle="b",
        title=text,
        newcomer=newcomer,
        email="",
        mentor="U0ANA",
        lead="U0LEA",
        state=RampState.RUNNING,
        planned_at=NOW,
        starts_at=NOW,
        longest=HOUR,
        stages=stages,
        pins={},
    )
    refused = {(n, f"role-{n}"): text for n in range(1, 31)}
    given = {n: (a_grant(id=f"g{n}", role=f"role-{n}"),) for n in range(1, 31)}
    titles = {f"role-{n}": text for n in range(31)}
    return RampView(ramp, ("U0ANA",), given, titles=titles, refused=refused)


def many_people(text: str) -> dict[str, Any]:
    view = a_person_view(
        person=a_person(name=text),
        held=tuple(FIFTY),
        pending=tuple(a_request(id=f"r{n}", reason=text) for n in range(50)),
        waiting_for_me=tuple(a_request(id=f"w{n}", reason=text, ticket=text) for n in range(60)),
        everything=tuple(a_grant(id=f"e{n}", role=f"role-{n}") for n in range(200)),
        roles=tuple(a_role(name=f"role-{n}", title=text[:75]) for n in range(150)),
        titles={"orders-read": text},
        used={f"e{n}": GrantUsage(10**9, NOW, NOW, open=9) for n in range(200)},
        active=9_999,
        recent=tuple(a_request(id=f"p{n}", role="role-1", reason=text) for n in range(5)),
        approvers={f"role-{n}": (text,) * 9 for n in range(150)},
        alerts=tuple(
            AlertView(Alert("a", "g", text[:63], NOW, 1, 1), a_grant(), text) for _ in range(200)
        ),
        open_alerts=200,
        names={"U0ANA": text},
        emergencies=tuple(
            EmergencyView(
                EmergencyReview(
                    f"r{n}",
                    f"g{n}",
                    "U0BEN",
                    "orders-read",
                    Urgency.EMERGENCY,
                    "U0BEN",
                    True,
                    NOW,
                    NOW,
                ),
                a_request(reason=text, urgency=Urgency.EMERGENCY),
                a_grant(urgency=Urgency.EMERGENCY),
            )
            for n in range(20)
        ),
        open_emergencies=99,
        preapprovals=PREAPPROVED,
        ramps=(a_ramp_view(text, "U0ANA"), *(a_ramp_view(text, f"U0NEW{n}") for n in range(40))),
    )
    return {
        "home": home.render(view, NOW),
        "access": lists.my_access(view, NOW),
        "roles": lists.roles(view.roles),
    }


def wide_modal(text: str) -> dict[str, Any]:
    roles = [
        a_role(name=f"role-{n}", title=text[:75], description=text[:2000], ticket="^A$")
        for n in range(150)
    ]
    return request_modal.render(
        roles, roles[149], dict.fromkeys(("duration", "reason", "ticket", "start"), text)
    )


def audit_page(text: str) -> dict[str, Any]:
    record = a_record(
        actor=text, subject=text, role=text, system=text, reason=text, request=text, grant=text
    )
    return audit_table.render([record] * 20, [text] * 9, "cursor", NOW)


def audit_of_use(text: str) -> dict[str, Any]:
    said = {
        "session": text,
        "source_address": text,
        "opened_at": NOW,
        "allowed": 10**9,
        "last": NOW,
        "known": text,
    }
    events = [event for event in Event if event.startswith("grant:use:")]
    return audit_table.render(
        [a_record(event=event, detail=json.dumps(said)) for event in events * 6], (), None, NOW
    )


def edited(text: str) -> dict[str, Any]:
    actions = tuple(f"{n} {text}"[:150] for n in range(50))
    card = worst_card(text)
    return edit_modal.render(replace(card, request=replace(card.request, actions=actions)))


def in_thread(note: str) -> Render:
    facts = {"by": "U0BEN", "ends_at": NOW, "why": "revoked"}

    def render(text: str) -> dict[str, Any]:
        used = GrantUsage(silent=tuple(f"system-{n}-{'s' * 50}" for n in range(20)))
        grant = a_grant(**{**ENDED, "end_reason": EndReason.REVOKED, "end_by": text})
        card = replace(worst_card(text), grant=grant, used=used)
        return thread_notes.digest([(note, {**facts, "by": text}, card)] * 100)

    return render


def credentials(text: str) -> dict[str, Any]:
    view = replace(a_grant_view(), role=a_role(title=text[:75]), person=a_person(name=text))
    links = {f"system-{number}": "https://shop.example.com/_access/open" for number in range(20)}
    shown = Credentials(a_grant(), "j", "token", True, links=links)
    return credentials_modal.render(shown, view, {})


def an_emergency(**changes: Any) -> Render:
    """An emergency that runs, or as `changes` of its review say."""

    def render(text: str) -> dict[str, Any]:
        review = EmergencyReview(
            "r1", "g1", "U0ANA", "orders-read", Urgency.DRILL, "U0ANA", True, NOW, NOW + HOUR
        )
        words = {key: text if value == "…" else value for key, value in changes.items()}
        card = worst_card(text)
        request = replace(card.request, urgency=Urgency.DRILL, state=RequestState.APPROVED)
        grant = a_grant(urgency=Urgency.DRILL, actions=request.actions, systems=request.systems)
        card = replace(card, request=request, grant=grant, emergency=replace(review, **words))
        return emergency_message.render(card, NOW, [f"<@U{n:09}>" for n in range(200)])

    return render


def of_an_emergency(text: str) -> RequestCard:
    review = EmergencyReview(
        "r1", "g1", "U0ANA", "orders-read", Urgency.DRILL, "U0ANA", True, NOW, None, NOW, text, text
    )
    card = worst_card(text)
    request = replace(card.request, urgency=Urgency.DRILL)
    return replace(card, request=request, grant=a_grant(), emergency=review)


def explained(text: str) -> dict[str, Any]:
    """A role with more rules than a message has room for."""
    criterion = Criterion("members", Verdict.UNKNOWN, text[:900], rule=text[:60])
    rules = tuple(RuleView(text[:60], HOUR, (criterion,) * 5, True, True) for _ in range(30))
    given = (preapproved(text).given,) * 20
    own = ForPerson(
        a_person(name=text),
        HOUR,
        Would.WAITS,
        text[:2000],
        (criterion,) * 6,
        rules,
        given,
        (Delegation(text, text, NOW, NOW + HOUR),) * 20,
        (text[:80],) * 40,
    )
    said = tuple(Point("Never", text) for _ in range(60))
    return explanation.render(Explanation(a_role(title=text[:75]), said, own))


RENDERS: dict[str, Render] = {
    "explained": explained,
    "emergency": an_emergency(),
    "emergency without another lead": an_emergency(alone=False),
    "emergency with its review": an_emergency(signed_at=NOW, signed_by="…", conclusion="…"),
    "emergency that waits": lambda text: emergency_message.render(
        replace(
            of_an_emergency(text),
            emergency=None,
            open_emergencies=(replace(of_an_emergency(text).emergency, request="r0"),),  # type: ignore[type-var]
        ),
        NOW,
        [f"<@U{n:09}>" for n in range(200)],
    ),
    "told an approver who was skipped": lambda text: direct_messages.request_note(
        "emergency_skipped", of_an_emergency(text), NOW
    ),
    "told that the review is signed": lambda text: direct_messages.request_note(
        "review_signed", of_an_emergency(text), NOW
    ),
    "answer to an emergency": lambda text: answers.emergency(of_an_emergency(text)),
    "security: a review that is open": lambda text: security_notes.render(
        "review_open",
        {"role": text, "person": text, "started_at": NOW, "leads": ["U0LEA"] * 99, "drill": True},
    ),
    "modal: sign a review": lambda text: emergency_modal.sign(of_an_emergency(text)),
    "modal: emergency": lambda text: emergency_modal.render(
        [a_role(title=text[:75], systems=("s",) * 20)], None, {"duration": text, "reason": text}
    ),
    "modal: emergency called": lambda text: emergency_modal.called(of_an_emergency(text)),
    "pending": lambda text: approval_message.render(
        worst_card(text), NOW, [f"<@U{n:09}>" for n in range(200)]
    ),
    "told that it was approved in advance": lambda text: preapproval_parts.to_receiver(
        preapproved(text)
    ),
    "approved in advance": lambda text: preapproval_parts.listed([preapproved(text)] * 99, "U0X"),
    "details": lambda text: request_details.render(worst_card(text)),
    "revoke what a rule gave": lambda text: revoke_modal.render(
        replace(worst_card(text), grant=a_grant())
    ),
    **{
        f"request {state}": decided(state)
        for state in RequestState
        if state is not RequestState.PENDING
    },
    **{f"told {note}": direct_note(note, changes) for note, changes in GRANT_NOTES.items()},
    "told denied": lambda text: direct_messages.request_note("denied", worst_card(text), NOW),
    "told lapsed": lambda text: direct_messages.request_note("lapsed", worst_card(text), NOW),
    "reminder": lambda text: direct_messages.reminder(
        replace(a_grant_view(), role=a_role(title=text[:75])), NOW
    ),
    "ten notes at once": lambda text: direct_messages.join([direct_note("active", {})(text)] * 10),
    "thread: renewed": in_thread("renewed"),
    "thread: ended": in_thread("ended"),
    **{f"security: {note}": secured(note, keys) for note, keys in SECURITY.items()},
    "security: policy": lambda text: security_notes.render(
        "policy_rejected", {"problems": [text] * 10, "count": 99}
    ),
    "security: accepted clock": lambda text: security_notes.render(
        "clock_accepted", {"by": f"os:{text}", "seconds": 7200, "ended": 2, "withdrawn": 2}
    ),
    "security: restored copy": lambda text: security_notes.render(
        "copy_restored", {"by": f"os:{text}", "at": 7200, "ended": 2, "withdrawn": 2}
    ),
    "security: late stream": lambda text: security_notes.render(
        "stream_late", {"stream": text[:63], "sent": 2**62, "error": text}
    ),
    "security: changed roles": lambda text: security_notes.render(
        "policy_changed",
        {"looser": [text] * 20, "other": [text] * 10, "loosening": 20, "count": 99},
    ),
    "security: a reference that moved": lambda text: security_notes.render(
        "reference_moved", {"reference": text, "bound": text, "now": [text] * 10}
    ),
    "security: changed groups": lambda text: security_notes.render(
        "groups_changed",
        {"groups": [changed_group(text)] * 10, "count": 99},
    ),
    "security: ends": alerted(),
    "security: ends acknowledged": alerted(acknowledged_by="os:eve", acknowledged_at=NOW),
    "security: ends gone": alerted(confirmed_at=NOW),
    "security: many ends": alerted(200),
    "security: many ends acknowledged": alerted(200, acknowledged_by="os:eve", acknowledged_at=NOW),
    "security: many ends gone": alerted(200, confirmed_at=NOW),
    "security: nightly": lambda text: security_notes.render(
        "reconciled", {"excess": 70, "missing": 1, "places": [text] * 90, "unasked": [text] * 90}
    ),
    "security: nightly check": lambda text: security_notes.render(
        "checkup_changed", {"new": [text] * 90, "solved": [text] * 90, "open": 180}
    ),
    "found on systems": found_on_systems,
    "refused": answers.refused,
    "text": answers.text,
    "submitted": lambda text: answers.submitted(worst_sent(text)),
    "already pending": lambda text: answers.already_pending(
        a_request(reason=text, ticket=text), NOW
    ),
    "already decided": lambda text: answers.already_decided(worst_card(text), NOW),
    "unknown verb": answers.unknown_verb,
    "broken": answers.broken,
    "done": answers.done,
    "request modal": wide_modal,
    "sent": lambda text: request_modal.sent(worst_sent(text)),
    "notice": lambda text: request_modal.notice("Not now", text),
    "deny modal": lambda text: deny_modal.render(worst_card(text)),
    "edit modal": edited,
    "credentials": credentials,
    "home": lambda text: many_people(text)["home"],
    "my access": lambda text: many_people(text)["access"],
    "roles": lambda text: many_people(text)["roles"],
    "audit": audit_page,
    "audit of use": audit_of_use,
    "help": lambda text: help.render(True),
    "revoke": lambda text: revoke_confirm.render(FIFTY, "U0ANA", NOW, {"orders-read": text}),
}

every_render = pytest.mark.parametrize("render", RENDERS.values(), ids=RENDERS)


@every_render
@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_slack_accepts_it_whatever_was_typed(render: Render, text: str) -> None:
    assert problems(render(text)) == []


@every_render
def test_slack_accepts_it_with_ordinary_words(render: Render) -> None:
    assert problems(render("Look into order 4711")) == []


@every_render
def test_typed_text_is_never_interpreted(render: Render) -> None:
    read = interpreted(render(HOSTILE))
    for dangerous in (
        "<!channel>",
        "<@U0BOSS>",
        "<!subteam^S0ALL>",
        "<https",
        "\u202e",
        "\u200b",
        "\x07",
    ):
        assert dangerous not in read


@every_render
def test_typed_text_never_becomes_an_element(render: Render) -> None:
    rendered = render(HOSTILE)
    assert not elements(rendered, "link", "broadcast", "emoji")
    assert all(each.get("emoji") is False for each in elements(rendered, "plain_text"))
    assert all(each.get("verbatim") is True for each in elements(rendered, "mrkdwn"))


@every_render
def test_invisible_characters_are_shown_as_such_everywhere(render: Render) -> None:
    shown = [
        each["text"]
        for each in elements(render(HOSTILE), "text", "plain_text", "raw_text", "mrkdwn")
    ]
    assert not [text for text in shown if {"\u202e", "\u200b", "\x07"} & set(text)]


@every_render
def test_a_message_has_a_text_for_notifications_and_screen_readers(render: Render) -> None:
    rendered = render("words")
    assert "type" in rendered or len(rendered["text"]) > 3


@every_render
def test_only_what_ends_access_is_styled_as_danger_and_needs_a_confirmation(
    render: Render,
) -> None:
    for button in elements(render("words"), "button"):
        is_revoke = button["text"]["text"] in ("Revoke", "End", "End now", "Remove")
        assert (button.get("style") == "danger") == is_revoke
        assert not is_revoke or button["confirm"]["style"] == "danger"


@every_render
def test_every_button_has_one_id_and_a_label_for_screen_readers(
    render: Render,
) -> None:
    for button in elements(render(HOSTILE), "button"):
        if button["text"]["text"] != "Request access":
            # An id, a role, or a page of Home.
            known = re.fullmatch("[a-z0-9-]+(:[0-9]+)?", button["value"])
            assert known or from_more(button["value"])
            assert button["accessibility_label"].startswith(button["text"]["text"] + ": ")


def test_at_most_one_button_of_a_message_is_primary() -> None:
    for name in ("pending", "told active", "told renewed", "reminder"):
        primary = [
            b for b in elements(RENDERS[name]("words"), "button") if b.get("style") == "primary"
        ]
        assert len(primary) == 1, name
