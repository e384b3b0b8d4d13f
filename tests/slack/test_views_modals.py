"""The forms: their inputs, their metadata, and the values that they keep when they are drawn
again."""

from dataclasses import replace
from typing import Any

import pytest

from bot.core.durations import parse_duration
from bot.operations.grants.show_credentials import Credentials
from bot.slack.ids import Action, Field, Modal
from bot.slack.views import (
    credentials_modal,
    deny_modal,
    edit_modal,
    request_details,
    request_modal,
)
from tests.slack.views_samples import (
    NOW,
    a_card,
    a_grant,
    a_grant_view,
    a_request,
    a_role,
    elements,
    labels,
    problems,
    words,
)

TWO = [
    a_role(),
    a_role(name="reports-read", title="Reports", ticket=r"^[A-Z]+-\d+$", max_duration=7200),
]


def inputs(view: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The input blocks by their label."""
    return {block["label"]["text"]: block for block in view["blocks"] if block["type"] == "input"}


# --- asking for access


def test_the_form_asks_for_role_duration_reason_and_start() -> None:
    view = request_modal.render(TWO)
    assert list(inputs(view)) == ["Role", "Duration", "Reason", "Start"]
    assert view["callback_id"] == Modal.REQUEST


def test_the_form_has_a_ticket_when_the_chosen_role_needs_one() -> None:
    assert "Ticket" in inputs(request_modal.render(TWO, TWO[1]))
    assert "Ticket" not in inputs(request_modal.render(TWO, TWO[0]))


def test_choosing_a_role_calls_a_listener_at_once() -> None:
    block = inputs(request_modal.render(TWO))["Role"]
    assert (block["block_id"], block["element"]["action_id"]) == (Field.ROLE, Action.CHOOSE_ROLE)
    assert block["dispatch_action"] is True
    assert (block["element"]["type"], block["element"]["min_query_length"]) == (
        "external_select",
        0,
    )


def test_every_input_keeps_its_id_and_its_text_when_a_role_is_chosen() -> None:
    before, after = inputs(request_modal.render(TWO)), inputs(request_modal.render(TWO, TWO[1]))
    names = [(label, b["block_id"], b["element"]["action_id"]) for label, b in before.items()]
    again = [
        (label, b["block_id"], b["element"]["action_id"])
        for label, b in after.items()
        if label in before
    ]
    assert names == again


@pytest.mark.parametrize("label", ["Duration", "Reason", "Start"])
def test_blocks_and_their_elements_have_the_name_of_the_field(label: str) -> None:
    block = inputs(request_modal.render(TWO))[label]
    assert block["block_id"] == block["element"]["action_id"] == Field[label.upper()]


def test_the_duration_is_prefilled_with_the_default_and_says_the_maximum() -> None:
    block = inputs(request_modal.render(TWO, TWO[1]))["Duration"]
    assert block["element"]["initial_value"] == "1h"
    assert "at most 2h" in block["hint"]["text"]


def test_without_a_role_no_duration_is_guessed() -> None:
    assert "initial_value" not in inputs(request_modal.render(TWO))["Duration"]["element"]


def test_the_only_role_is_chosen_already() -> None:
    chosen = inputs(request_modal.render(TWO[1:]))["Role"]["element"]["initial_option"]
    assert chosen["value"] == "reports-read"


def test_a_chosen_role_shows_what_it_gives_and_who_decides() -> None:
    said = words(
        request_modal.render(
            TWO, replace(TWO[0], approvers=("@db-leads", "U0BEN", "ann@example.com"))
        )
    )
    assert "Gives orders-db: SELECT ON ALL TABLES IN SCHEMA public." in said
    assert "Needs 1 approval from @db-leads, @U0BEN, ann@example.com." in said


def test_a_form_can_begin_filled_in() -> None:
    values = {
        "reason": "see the thread",
        "duration": "30m",
        "start": str(NOW),
        "ticket": "OPS-1" + "7" * 200,
    }
    found = inputs(request_modal.render(TWO, TWO[1], values))
    assert found["Reason"]["element"]["initial_value"] == "see the thread"
    assert found["Duration"]["element"]["initial_value"] == "30m"
    assert found["Start"]["element"]["initial_date_time"] == NOW
    assert len(found["Ticket"]["element"]["initial_value"]) == 100


def test_of_many_roles_the_form_says_how_the_others_are_found_and_keeps_the_chosen_one() -> None:
    many = [a_role(name=f"role-{n}") for n in range(250)]
    block = inputs(request_modal.render(many, many[249]))["Role"]
    assert block["element"]["initial_option"]["value"] == "role-249"
    assert block["hint"]["text"].startswith("You may ask for 250 roles. Type a part of")


def test_a_person_without_roles_gets_a_sentence_instead_of_an_empty_form() -> None:
    view = request_modal.render([])
    assert "submit" not in view
    assert "Ask a lead" in words(view)


def test_a_notice_has_nothing_to_submit() -> None:
    view = request_modal.notice("Not now", "Ask for less.")
    assert "submit" not in view
    assert view["callback_id"] == Modal.NOTICE


# --- deciding


def test_the_denial_form_has_a_reason_and_carries_only_the_request_s_id() -> None:
    view = deny_modal.render(a_card())
    assert list(inputs(view)) == ["Reason"]
    assert (view["callback_id"], view["private_metadata"]) == (Modal.DENY, "r1")
    assert "it was charged twice" in words(view)


def test_editing_starts_from_the_requested_terms() -> None:
    view = edit_modal.render(a_card(request=a_request(duration=5400, actions=("read", "write"))))
    duration = inputs(view)["Duration"]["element"]["initial_value"]
    assert parse_duration(duration) == 5400
    boxes = inputs(view)["Actions"]["element"]
    assert boxes["type"] == "checkboxes"
    assert boxes["initial_options"] == boxes["options"]
    assert [box["value"] for box in boxes["options"]] == ["read", "write"]
    assert (view["callback_id"], view["private_metadata"]) == (Modal.EDIT, "r1")


PAIR = ("orders-db", "reports")


def test_editing_offers_the_start_and_each_of_several_systems() -> None:
    view = edit_modal.render(a_card(request=a_request(systems=PAIR, start_at=NOW + 60)))
    boxes = inputs(view)["Systems"]["element"]
    assert [box["value"] for box in boxes["options"]] == list(PAIR)
    assert boxes["initial_options"] == boxes["options"]
    assert inputs(view)["Start"]["element"]["initial_date_time"] == NOW + 60
    assert edit_modal.ticked(PAIR, {"systems": ["reports"]}, Field.SYSTEMS) == ("reports",)
    assert edit_modal.ticked(PAIR, {"actions": ["reports"]}, Field.SYSTEMS) is None


def test_editing_a_renewal_offers_neither() -> None:
    view = edit_modal.render(a_card(request=a_request(systems=PAIR, renews="g1")))
    assert not {"Systems", "Start"} & set(inputs(view))


def test_editing_says_which_action_is_for_which_system() -> None:
    each = {"orders-db": ("read",), "reports": ("write",)}
    asked = a_request(systems=PAIR, actions=("read", "write"), system_actions=each)
    assert "orders-db: read; reports: write." in words(edit_modal.render(a_card(request=asked)))


ACTIONS = {
    "one": (("read",), None),
    "ten": (tuple(f"a{n}" for n in range(10)), "checkboxes"),
    "more than checkboxes take": (tuple(f"a{n}" for n in range(11)), "multi_static_select"),
    "40 actions": (tuple(f"a{n}" for n in range(40)), "multi_static_select"),
    "one that is too long for an option": (("read", "w" * 200), "checkboxes"),
}


@pytest.mark.parametrize(("actions", "kind"), ACTIONS.values(), ids=ACTIONS)
def test_actions_are_offered_within_slack_s_limits(
    actions: tuple[str, ...], kind: str | None
) -> None:
    view = edit_modal.render(a_card(request=a_request(actions=actions)))
    block = inputs(view).get("Actions")
    assert (block["element"]["type"] if block else None) == kind
    assert problems(view) == []


def test_of_more_actions_than_a_select_takes_each_is_in_one_of_several() -> None:
    actions = tuple(f"a{n}" for n in range(250))
    view = edit_modal.render(a_card(request=a_request(actions=actions)))
    blocks = [block for label, block in inputs(view).items() if label.startswith("Actions")]
    found = {block["block_id"]: block["element"]["options"] for block in blocks}
    assert [len(options) for options in found.values()] == [100, 100, 50]
    choices = {block: [option["value"] for option in options] for block, options in found.items()}
    assert edit_modal.ticked(actions, choices) == actions
    assert problems(view) == []


def test_an_action_that_is_too_long_for_an_option_can_be_chosen_and_is_shown_in_full() -> None:
    actions = ("read", "w" * 199, "w" * 200)
    view = edit_modal.render(a_card(request=a_request(actions=actions)))
    options = inputs(view)["Actions"]["element"]["options"]
    assert edit_modal.ticked(actions, {"actions": [options[2]["value"], options[0]["value"]]}) == (
        "w" * 200,
        "read",
    )
    assert edit_modal.ticked(actions, {"actions": ["sha256:forged"]}) == ("sha256:forged",)
    assert edit_modal.ticked(actions, {}) is None
    assert all(action in words(view) for action in actions)


def test_everything_that_the_requester_holds_is_in_the_details() -> None:
    holds = tuple(a_grant(id=f"g{n}", role=f"role-{n}") for n in range(300))
    view = request_details.render(a_card(holds=holds))
    assert all(f"role-{n}" in words(view) for n in range(300))
    assert problems(view) == []


def test_the_form_shows_everything_that_a_large_role_gives() -> None:
    large = a_role(
        actions=tuple(f"{n:02}{'a' * 198}" for n in range(50)),
        approvers=tuple(f"@g{n}" for n in range(40)),
    )
    view = request_modal.render([large])
    assert all(each in words(view) for each in (*large.actions, *large.approvers))
    assert problems(view) == []


def test_a_long_action_is_shown_whole_in_two_lines() -> None:
    action = "SELECT ON " + "t" * 130
    view = edit_modal.render(a_card(request=a_request(actions=("read", action))))
    option = inputs(view)["Actions"]["element"]["options"][1]
    assert option["text"]["text"] + option["description"]["text"].removeprefix("…") == action
    assert option["value"] == action


# --- credentials


def credentials(replaces: bool = False) -> dict[str, Any]:
    return credentials_modal.render(
        Credentials(a_grant(), "j", "eyJ.token_-1", replaces, gates=("orders-db",)),
        a_grant_view(),
        {},
    )


def test_the_token_stands_alone_and_exactly_once() -> None:
    view = credentials()
    (block,) = elements(view, "rich_text_preformatted")
    assert block["elements"] == [{"type": "text", "text": "eyJ.token_-1"}]
    assert str(view).count("eyJ.token_-1") == 1


def test_a_long_token_is_never_cut_or_changed() -> None:
    token = "t" * 4000
    view = credentials_modal.render(Credentials(a_grant(), "j", token, False), a_grant_view(), {})
    assert elements(view, "rich_text_preformatted")[0]["elements"][0]["text"] == token


def test_the_window_says_where_how_and_until_when_to_use_the_token() -> None:
    said = words(credentials())
    assert "Authorization: Bearer …" in said
    assert "Your token for orders-db." in said
    assert (
        "It is open until 22 Nov 2026 14:29 UTC. If the access ends before, it stops working"
        in said
    )


@pytest.mark.parametrize(
    ("replaces", "expected"), [(True, "stops working now"), (False, "We keep no copy")]
)
def test_the_window_says_whether_an_earlier_token_was_replaced(
    replaces: bool, expected: str
) -> None:
    assert expected in words(credentials(replaces))


def test_credentials_are_shown_in_a_modal_without_buttons() -> None:
    assert credentials()["callback_id"] == Modal.CREDENTIALS
    assert labels(credentials()) == []
