"""Payloads become typed input with the words as they were typed."""

from __future__ import annotations

from typing import Any

import pytest

from bot.slack.payloads import (
    BadPayload,
    click_from,
    command_from,
    event_from,
    mentioned,
    shortcut_from,
    submission_from,
    unescape,
)
from tests.slack.slack_driver import (
    a_click,
    a_command,
    a_home,
    a_message_shortcut,
    a_shortcut,
    a_submission,
    an_event,
)


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        pytest.param("ask <@U0ANA|ana>", "ask @ana", id="a person with a name"),
        pytest.param("ask <@U0ANA>", "ask @U0ANA", id="a person without a name"),
        pytest.param("see <#C0OPS|ops> and <#C0OPS|>", "see #ops and #C0OPS", id="channels"),
        pytest.param("<!subteam^S0DB|@db-leads> <!subteam^S0DB>", "@db-leads @S0DB", id="groups"),
        pytest.param("<!here> <!channel|channel>", "@here @channel", id="broadcasts"),
        pytest.param("<http://example.com|example.com>", "example.com", id="a link made of a name"),
        pytest.param(
            "<https://example.com/a?b=1&amp;c=2>", "https://example.com/a?b=1&c=2", id="a link"
        ),
        pytest.param(
            "<mailto:ana@example.com|ana@example.com>", "ana@example.com", id="an address"
        ),
        pytest.param("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d", id="Slack's three escapes"),
        pytest.param("&amp;lt;", "&lt;", id="an escape that somebody typed"),
        pytest.param("&lt;@U0ANA&gt;", "<@U0ANA>", id="brackets that somebody typed"),
        pytest.param(
            "“quoted” – ‘so’ \u202ex\u200b  two",
            "“quoted” – ‘so’ \u202ex\u200b  two",
            id="left alone",
        ),
    ],
)
def test_the_text_of_a_command_is_unescaped_to_the_typed_text(sent: str, typed: str) -> None:
    assert unescape(sent) == typed


@pytest.mark.parametrize(
    ("word", "person"),
    [
        ("<@U0ANA|ana>", "U0ANA"),
        ("<@W012ABC>", "W012ABC"),
        ("U012ABC3", "U012ABC3"),
        ("@ana", None),
        ("<#C0OPS|ops>", None),
        ("UP", None),
        ("<@U0ANA|ana>x", None),
        ("", None),
    ],
)
def test_a_word_names_a_person_by_mention_or_id(word: str, person: str | None) -> None:
    assert mentioned(word) == person


def test_a_command_has_its_person_channel_and_text() -> None:
    said = command_from(a_command("list", trigger_id="9.t", enterprise_id="E1"))
    assert (said.person, said.team, said.place, said.enterprise) == ("U0ANA", "T1", "T1", "E1")
    assert (said.channel, said.text, said.trigger, said.key) == (
        "C0OPS",
        "list",
        "9.t",
        "command:9.t",
    )


def test_a_press_on_a_message_names_its_copy() -> None:
    click = click_from(a_click("approve", "r1"))
    assert (click.action, click.value, click.channel, click.ts, click.view) == (
        "approve",
        "r1",
        "C0OPS",
        "17.5",
        "",
    )


def test_a_press_in_home_has_no_channel_and_no_copy() -> None:
    click = click_from(a_click("approve", "r1", view=a_home()))
    assert (click.channel, click.ts, click.view, click.view_type) == ("", "", "V0HOME", "home")


def test_two_presses_have_two_keys_and_a_redelivery_has_the_same() -> None:
    first, second = a_click("approve", "r1"), a_click("approve", "r1")
    assert click_from(first).key == click_from(first).key != click_from(second).key


def test_the_option_chosen_in_a_modal_is_the_value() -> None:
    body = a_click("choose_role", "", view={**a_home("V1"), "type": "modal"})
    body["actions"][0] = {"action_id": "choose_role", "selected_option": {"value": "shop-admin"}}
    assert click_from(body).value == "shop-admin"


def test_a_submission_has_the_typed_ticked_and_picked_values() -> None:
    body = a_submission(
        "m", {"reason": " why\n", "ticket": None, "actions": ["a", "b"], "start": 1790000000}
    )
    form = submission_from(body)
    assert form.texts == {"reason": " why\n", "ticket": "", "start": "1790000000"}
    assert form.choices == {"actions": ("a", "b")}
    assert form.fields == ("reason", "ticket", "actions", "start")


def test_a_modal_that_is_sent_again_after_an_error_has_a_new_key() -> None:
    first = a_submission("m", {"reason": "x"})
    again = {**first, "trigger_id": "another"}
    assert (
        submission_from(first).key == submission_from(dict(first)).key != submission_from(again).key
    )


def test_the_sender_of_an_interaction_comes_from_their_own_workspace() -> None:
    body = a_click("approve", "r1", enterprise={"id": "E1", "name": "Example"})
    body["user"]["team_id"] = "T0OTHER"
    click = click_from(body)
    assert (click.team, click.place, click.enterprise) == ("T0OTHER", "T1", "E1")


def test_a_message_shortcut_quotes_the_message_and_links_to_it() -> None:
    said = shortcut_from(
        a_message_shortcut("request_access_from_message", "ask <@U0BEN|ben> &amp; fix\x00")
    )
    link = "https://example.slack.com/archives/C0OPS/p1700000000000100"
    assert said.quote == f"“ask @ben & fix” {link}"


def test_a_long_message_is_quoted_in_part_and_its_link_stays_whole() -> None:
    said = shortcut_from(a_message_shortcut("request_access_from_message", "x" * 40_000))
    assert len(said.quote) <= 2510
    assert said.quote.endswith("…” https://example.slack.com/archives/C0OPS/p1700000000000100")


def test_a_message_without_words_is_linked_to() -> None:
    body = a_message_shortcut("request_access_from_message", "")
    del body["message"]["text"]
    assert shortcut_from(body).quote == "https://example.slack.com/archives/C0OPS/p1700000000000100"


def test_a_global_shortcut_quotes_nothing() -> None:
    assert shortcut_from(a_shortcut("request_access")).quote == ""


def test_an_event_names_its_person() -> None:
    assert event_from(an_event("team_join", user={"id": "U0NEW"})).person == "U0NEW"
    assert event_from(an_event("app_home_opened", user="U0ANA", tab="home")).tab == "home"
    assert event_from(an_event("subteam_updated", subteam={"id": "S1"})).person == ""


BAD: list[tuple[str, Any, dict[str, Any]]] = [
    ("a command of nobody", command_from, a_command(user="")),
    ("a command with a NUL", command_from, a_command("request x a\x00b")),
    ("a command with half a character", command_from, a_command("request x \ud83d")),
    ("a press on nothing", click_from, {**a_click("approve", "r1"), "actions": []}),
    ("a press of nobody", click_from, {**a_click("approve", "r1"), "user": None}),
    ("an action that is text", click_from, {**a_click("approve", "r1"), "actions": ["approve"]}),
    (
        "an action without a name",
        click_from,
        {**a_click("approve", "r1"), "actions": [{"value": "r1"}]},
    ),
    ("a submission without a view", submission_from, {**a_submission("m", {}), "view": None}),
    ("a submission with a NUL", submission_from, a_submission("m", {"reason": "a\x00b"})),
    ("an event without an id", event_from, {**an_event("team_join"), "event_id": None}),
    ("an event that is a list", event_from, {**an_event("team_join"), "event": []}),
]


@pytest.mark.parametrize(
    ("read", "body"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_an_invalid_payload_is_refused_in_a_sentence(read: Any, body: dict[str, Any]) -> None:
    with pytest.raises(BadPayload, match=r"^[A-Z].*\."):
        read(body)


@pytest.mark.parametrize("junk", [None, 7, "x", [], {}, [1], {"a": 1}, True], ids=repr)
def test_fields_of_the_wrong_type_cause_no_error(junk: Any) -> None:
    body = a_submission("m", {"reason": "x"})
    for view in (
        {"state": junk},
        {"state": {"values": junk}},
        {"state": {"values": {"reason": junk}}},
        {"blocks": junk},
    ):
        submission_from({**body, "view": {**body["view"], **view}})
    for name in ("channel", "container", "message", "team", "enterprise", "view", "trigger_id"):
        click_from({**a_click("approve", "r1"), name: junk})
    shortcut_from({**a_message_shortcut("x", "y"), "message": junk, "channel": junk, "team": junk})
