"""Direct messages and private answers that are out of date when a grant or request moves on."""

from __future__ import annotations

import json

import pytest

from bot.core.lifecycle import Move
from bot.core.model import EndReason, GrantState
from bot.operations._end_grant import request_end
from bot.operations._unit_of_work import unit
from bot.operations.grants.record_results import record_ended
from bot.operations.grants.show_credentials import Credentials, confirm_shown, show_credentials
from bot.operations.messages.direct_notes import (
    LASTING,
    TRUE_IN,
    adopt_message,
    describe_notes,
    record_notes,
    record_shown,
)
from bot.operations.messages.private_answers import (
    GRANT,
    LIST,
    REQUEST,
    USES,
    describe_answer,
    forget_answers,
    keep_answer,
    record_changed,
)
from bot.operations.messages.refresh_messages import find_stale, queue_updates
from bot.operations.process.forget_old import forget_old
from bot.slack.views.direct_messages import _GRANT_NOTES, _PAST, past_note
from storage import grants, private_answers, requests
from storage.direct_notes import DirectNote
from tests.factories import ANA, BEN, CARA, Made

D = "D0ANA"
REFRESHES = "SELECT data FROM outbox WHERE kind = 'refresh_messages'"


def record_note(made: Made, grant: str, note: str, ts: str, place: int = 0) -> None:
    record_notes(
        made.world, [DirectNote(D, ts, place, grant, "", note, made.clock.at, note in LASTING)]
    )


def updates(made: Made, kind: str = "update_direct") -> list[tuple[str, str]]:
    return made.rows("SELECT kind, ordering_key FROM outbox WHERE kind = ? ORDER BY id", kind)  # type: ignore[return-value]


def end(made: Made, grant: str, why: EndReason = EndReason.EXPIRED) -> None:
    with unit(made.world) as u:
        request_end(u, [made.grant(grant)], why, BEN)
    for system in made.grant(grant).systems:
        record_ended(made.world, grant, system)


def refresh(made: Made, *moved: list[str]) -> None:
    queue_updates(made.world, find_stale(made.world, *moved))


def test_every_note_says_when_it_is_true_and_what_it_was() -> None:
    assert set(TRUE_IN) == {*_GRANT_NOTES, "reminder"} - {"not_started"}  # which is always true
    assert set(_PAST) == {*TRUE_IN, "lost"} - LASTING


def test_a_newer_message_makes_the_earlier_one_past(made: Made) -> None:
    grant = made.a_grant()
    record_note(made, grant.id, "active", "1.1")
    assert updates(made) == []
    record_note(made, grant.id, "reminder", "1.2")
    assert updates(made) == [("update_direct", f"direct:{D}:1.1")]
    assert [(each.note.note, each.past) for each in describe_notes(made.world, D, "1.1")] == [
        ("active", True)
    ]
    assert [each.past for each in describe_notes(made.world, D, "1.2")] == [False]


def test_what_is_past_is_updated_once(made: Made) -> None:
    grant = made.a_grant()
    record_note(made, grant.id, "active", "1.1")
    record_note(made, grant.id, "renewed", "1.2")
    made.forget_work()
    record_shown(made.world, D, "1.1", [0])
    record_note(made, grant.id, "reminder", "1.3")
    assert updates(made) == [("update_direct", f"direct:{D}:1.2")]


def test_a_message_about_several_grants_waits_for_one_update(made: Made) -> None:
    first, second = made.a_grant(), made.a_grant("shop-admin", CARA)
    notes = [
        DirectNote(D, "1.1", place, grant.id, "", "active", made.clock.at, False)
        for place, grant in enumerate((first, second))
    ]
    record_notes(made.world, notes)
    for grant in (first, second):
        end(made, grant.id)
        refresh(made, [grant.id], [], [grant.id])
    assert updates(made) == [("update_direct", f"direct:{D}:1.1")]
    assert [each.past for each in describe_notes(made.world, D, "1.1")] == [True, True]


@pytest.mark.parametrize("why", list(EndReason))
def test_after_every_kind_of_end_nothing_is_current_and_the_card_is_updated(
    made: Made, why: EndReason
) -> None:
    grant = made.a_grant()
    with made.world.db.transaction():
        requests.add_message(made.world.db, grant.request, "C1", "1.0")
    record_note(made, grant.id, "active", "1.1")
    made.forget_work()
    end(made, grant.id, why)
    refresh(made, [grant.id], [], [grant.id])
    assert updates(made) == [("update_direct", f"direct:{D}:1.1")]
    assert updates(made, "update_approval") == [("update_approval", f"update:{grant.request}")]
    assert made.rows("SELECT DISTINCT queue FROM outbox WHERE kind LIKE 'update_%'") == [
        ("update",)
    ]


def test_from_the_moment_that_an_end_is_asked_for_nothing_offers_what_is_over(made: Made) -> None:
    """A system may take long to confirm it."""
    grant = made.a_grant()
    with made.world.db.transaction():
        requests.add_message(made.world.db, grant.request, "C1", "1.0")
    record_note(made, grant.id, "active", "1.1")
    made.forget_work()
    with unit(made.world) as u:
        request_end(u, [made.grant(grant.id)], EndReason.EXPIRED, BEN)
    assert [json.loads(data)["grants"] for (data,) in made.rows(REFRESHES)] == [[grant.id]]
    refresh(made, [grant.id], [], [grant.id])
    assert updates(made) == [("update_direct", f"direct:{D}:1.1")]
    assert updates(made, "update_approval") == [("update_approval", f"update:{grant.request}")]
    (shown,) = describe_notes(made.world, D, "1.1")
    assert shown.past and shown.grant is not None
    assert "Its end was asked for" in str(past_note("active", made.clock.at, shown.grant))


def test_an_end_that_is_asked_for_and_confirmed_at_once_is_shown_by_one_update(made: Made) -> None:
    grant = made.a_grant()
    record_note(made, grant.id, "active", "1.1")
    end(made, grant.id)
    for _ in made.rows(REFRESHES):
        refresh(made, [grant.id], [], [grant.id])
    assert len(updates(made)) == 1


def test_the_newest_window_with_credentials_is_cleared_once(made: Made) -> None:
    grant = made.a_grant()
    for window in ("V1", "V2"):
        shown = show_credentials(made.world, grant.id, ANA)
        assert isinstance(shown, Credentials)
        confirm_shown(made.world, shown, window)
    refresh(made, [grant.id], [], [])
    assert updates(made, "clear_window") == []
    with unit(made.world) as u:
        request_end(u, [made.grant(grant.id)], EndReason.RELEASED, ANA)
    for _ in range(2):
        refresh(made, [grant.id], [], [])
    assert updates(made, "clear_window") == [("clear_window", "window:V2")]


def test_a_lost_post_loses_its_buttons_when_somebody_presses_one(made: Made) -> None:
    grant = made.a_grant()
    record_note(made, grant.id, "active", "1.2")
    adopt_message(made.world, grant.id, ANA, D, "1.1")
    assert updates(made) == [("update_direct", f"direct:{D}:1.1")]
    adopt_message(made.world, grant.id, ANA, D, "1.1")
    assert len(updates(made)) == 1


def test_nobody_adopts_a_message_for_a_grant_of_somebody_else(made: Made) -> None:
    grant = made.a_grant()
    adopt_message(made.world, grant.id, BEN, D, "1.1")
    assert made.rows("SELECT COUNT(*) FROM direct_notes") == [(0,)]


def test_rows_are_forgotten_when_nothing_in_their_message_changes_any_more(made: Made) -> None:
    grant = made.a_grant()
    record_note(made, grant.id, "active", "1.1")
    record_note(made, grant.id, "renewed", "1.2")
    record_shown(made.world, D, "1.1", [0])
    made.clock.at += 2 * 86400
    forget_old(made.world)
    assert made.rows("SELECT ts FROM direct_notes") == [("1.2",)]


def test_where_a_request_was_shown_is_forgotten_a_month_after_its_access_ended(made: Made) -> None:
    grant, pending = made.a_grant(), made.a_request("shop-admin", CARA)
    with made.world.db.transaction():
        for request in (grant.request, pending.id):
            requests.add_message(made.world.db, request, "C1", "1.0")
    made.clock.at += 31 * 86400
    forget_old(made.world)
    assert made.rows("SELECT COUNT(*) FROM messages") == [(2,)], "access goes on"
    end(made, grant.id)
    made.clock.at += 31 * 86400
    forget_old(made.world)
    assert made.rows("SELECT request_id FROM messages") == [(pending.id,)]


def test_an_answer_is_due_for_a_change_only_when_it_says_something_else(made: Made) -> None:
    request = made.a_request("shop-admin", ANA)
    keep_answer(made.world, ANA, "https://hooks.slack.com/commands/T1/1/x", REQUEST, request.id)
    ((answer,),) = made.rows("SELECT id FROM private_answers")
    view = describe_answer(made.world, answer)
    assert view is not None and view.shown == view.answer.shown
    made.forged = True
    with made.world.db.transaction():
        requests.move(made.world.db, request.id, Move.WITHDRAW, made.clock.at, ANA)
    view = describe_answer(made.world, answer)
    assert view is not None and view.shown != view.answer.shown and view.is_over
    record_changed(made.world, view)
    assert made.rows("SELECT COUNT(*) FROM private_answers") == [(0,)], (
        "nothing will change any more"
    )


def test_the_last_change_that_slack_takes_is_known_as_such(made: Made) -> None:
    grant = made.a_grant()
    keep_answer(made.world, ANA, "https://hooks.slack.com/commands/T1/1/x", GRANT, grant.id)
    ((answer,),) = made.rows("SELECT id FROM private_answers")
    made.forged = True
    for use in range(USES):
        with made.world.db.transaction():
            grants.renew(made.world.db, grant.id, grant.ends_at + use + 1, None)
        view = describe_answer(made.world, answer)
        assert view is not None and view.is_last == (use == USES - 1)
        record_changed(made.world, view)
    assert describe_answer(made.world, answer) is None


def test_the_address_of_an_answer_is_deleted_after_half_an_hour(made: Made) -> None:
    made.a_grant()
    keep_answer(made.world, ANA, "https://hooks.slack.com/commands/T1/1/x", LIST, ANA)
    ((answer,),) = made.rows("SELECT id FROM private_answers")
    made.clock.at += 30 * 60
    assert describe_answer(made.world, answer) is None
    forget_answers(made.world)
    assert made.rows("SELECT COUNT(*) FROM private_answers") == [(0,)]


def test_the_address_of_an_answer_is_not_in_its_repr() -> None:
    answer = private_answers.PrivateAnswer(
        "p1", ANA, "https://hooks.slack.com/commands/T1/1/x", LIST, ANA, 0
    )
    assert "hooks" not in repr(answer)


def test_a_grant_that_failed_leaves_no_earlier_message_current(made: Made) -> None:
    grant = made.a_started(made.a_request("shop-admin", ANA))
    record_note(made, grant.id, "delayed", "1.1")
    made.forged = True
    with made.world.db.transaction():
        grants.fail(made.world.db, grant.id, made.clock.at)
    assert made.grant(grant.id).state is GrantState.FAILED
    refresh(made, [grant.id], [], [])
    assert updates(made) == [("update_direct", f"direct:{D}:1.1")]
