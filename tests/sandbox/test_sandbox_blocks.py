"""Block Kit: the sandbox refuses what Slack refuses, and shows the effect of hostile text."""

from __future__ import annotations

from typing import Any

import pytest

from bot.sandbox.rules import (
    notifications,
    validate_blocks,
    validate_message,
    validate_suggestions,
    validate_view,
)

Block = dict[str, Any]


def plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text}


def section(**fields: Any) -> Block:
    return {"type": "section", "text": mrkdwn("x"), **fields}


def button(**fields: Any) -> Block:
    return {"type": "button", "action_id": "a", "text": plain("Go"), **fields}


def actions(*elements: Block) -> Block:
    return {"type": "actions", "elements": list(elements)}


def option(text: str = "One", value: str = "1") -> Block:
    return {"text": plain(text), "value": value}


def select(**fields: Any) -> Block:
    return {"type": "static_select", "action_id": "s", "options": [option()], **fields}


def rich(*parts: Block, kind: str = "rich_text_section") -> Block:
    return {"type": "rich_text", "elements": [{"type": kind, "elements": list(parts)}]}


def cells(rows: int, columns: int, **fields: Any) -> Block:
    row = [{"type": "raw_text", "text": "x"} for _ in range(columns)]
    return {"type": "table", "rows": [row for _ in range(rows)], **fields}


def data_table(rows: int, **fields: Any) -> Block:
    return {**cells(rows, 2), "type": "data_table", "caption": "All", **fields}


def pie(*values: float, title: str = "Share") -> Block:
    segments = [{"label": f"s{i}", "value": value} for i, value in enumerate(values)]
    return {
        "type": "data_visualization",
        "title": title,
        "chart": {"type": "pie", "segments": segments},
    }


def bars(*labels: str) -> Block:
    data = [{"label": label, "value": 1} for label in labels]
    chart = {
        "type": "bar",
        "series": [{"name": "June", "data": data}],
        "axis_config": {"categories": ["db"]},
    }
    return {"type": "data_visualization", "title": "Grants", "chart": chart}


def field(element: Block) -> Block:
    return {"type": "input", "label": plain("Reason"), "element": element}


ALERT: Block = {"type": "alert", "text": plain("Careful"), "level": "warning"}
CONTAINER: Block = {"type": "container", "title": plain("More"), "child_blocks": [section()]}
GOOD = {
    "section": [section(fields=[mrkdwn("y")] * 10)],
    "header": [{"type": "header", "text": plain("x" * 150)}],
    "buttons": [actions(button(), button(action_id="b", style="danger", value="x" * 2000))],
    "same action in two blocks": [actions(button()), actions(button())],
    "rich text": [
        rich({"type": "text", "text": "x", "style": {"bold": True}}, kind="rich_text_quote"),
        rich({"type": "date", "timestamp": 1, "format": "{date}", "fallback": "d"}),
    ],
    "table": [cells(100, 20)],
    "data table": [data_table(101, page_size=100)],
    "pie": [pie(1, 2, 3, 4, 5, 6)],
    "bars": [bars("db")],
    "container": [CONTAINER],
    "fifty": [section() for _ in range(50)],
}
BAD = {
    "fifty-one": ([section() for _ in range(51)], "no more than 50"),
    "long section": ([section(text=mrkdwn("x" * 3001))], "less than 3001"),
    "empty text": ([section(text=mrkdwn(""))], "more than 0"),
    "eleven fields": ([section(fields=[mrkdwn("y")] * 11)], "no more than 10"),
    "long field": ([section(fields=[mrkdwn("y" * 2001)])], "less than 2001"),
    "nothing in a section": ([{"type": "section"}], "must provide one of: text, fields"),
    "mrkdwn header": ([{"type": "header", "text": mrkdwn("x")}], "unsupported text type"),
    "long header": ([{"type": "header", "text": plain("x" * 151)}], "less than 151"),
    "eleven in context": ([{"type": "context", "elements": [mrkdwn("x")] * 11}], "no more than 10"),
    "26 buttons": ([actions(*[button(action_id=str(i)) for i in range(26)])], "no more than 25"),
    "same action twice": ([actions(button(), button())], "already exists"),
    "same block id": ([section(block_id="b"), section(block_id="b")], "already exists"),
    "long id": ([section(block_id="b" * 256)], "less than 256"),
    "long button": ([actions(button(text=plain("x" * 76)))], "less than 76"),
    "long value": ([actions(button(value="x" * 2001))], "less than 2001"),
    "style": ([actions(button(style="red"))], "must be one of"),
    "101 options": (
        [actions(select(options=[option(value=str(i)) for i in range(101)]))],
        "no more than 100",
    ),
    "no options": ([actions(select(options=[]))], "must provide one of"),
    "long option": ([actions(select(options=[option("x" * 76)]))], "less than 76"),
    "six in overflow": (
        [actions({"type": "overflow", "action_id": "o", "options": [option()] * 6})],
        "no more than 5",
    ),
    "confirm": (
        [actions(button(confirm={"title": plain("x" * 101), "text": plain("y")}))],
        "less than 101",
    ),
    "unknown block": ([{"type": "nope"}], "unsupported type: nope"),
    "no type": ([{}], "unsupported type"),
    "unknown key": ([section(colour="red")], "invalid additional property: colour"),
    "missing key": ([{"type": "header"}], "missing required field: text"),
    "unknown element": ([actions({"type": "slider"})], "unsupported element type"),
    "unknown rich part": ([rich({"type": "marquee"})], "unsupported rich text element"),
    "alert in a message": ([ALERT], "unsupported type: alert"),
    "101 rows": ([cells(101, 1)], "no more than 100"),
    "21 columns": ([cells(1, 21)], "no more than 20"),
    "two tables": ([cells(1, 1), cells(1, 1)], "only 1 table"),
    "102 data rows": ([data_table(102)], "no more than 101"),
    "only a header": ([data_table(1)], "at least 2"),
    "no caption": ([{**data_table(2), "caption": ""}], "more than 0"),
    "page": ([data_table(2, page_size=101)], "between 1 and 100"),
    "seven segments": ([pie(1, 2, 3, 4, 5, 6, 7)], "no more than 6"),
    "empty segment": ([pie(0)], "more than 0"),
    "long chart title": ([pie(1, title="x" * 51)], "less than 51"),
    "three charts": ([pie(1), pie(1), pie(1)], "only 2 data_visualization"),
    "labels off the axis": ([bars("logs")], "must match axis_config"),
    "total": ([section(text=mrkdwn("x" * 2900)) for _ in range(5)], "msg_blocks_too_long"),
    "no list": ("words", "must be an array"),
}


@pytest.mark.parametrize("blocks", GOOD.values(), ids=GOOD)
def test_valid_blocks_have_no_problems(blocks: Any) -> None:
    assert validate_blocks(blocks, "message") == []


@pytest.mark.parametrize(("blocks", "words"), BAD.values(), ids=BAD)
def test_invalid_blocks_are_reported_with_their_place(blocks: Any, words: str) -> None:
    problems = validate_blocks(blocks, "message")
    assert any(words in problem and "[json-pointer:/" in problem for problem in problems), problems


@pytest.mark.parametrize("kind", ["modal", "home"])
def test_a_view_may_hold_a_hundred_blocks_and_no_container(kind: str) -> None:
    assert validate_blocks([section() for _ in range(100)], kind) == []
    assert validate_blocks([section() for _ in range(101)], kind)
    assert validate_blocks([CONTAINER], kind)


def test_an_alert_is_for_modals_only() -> None:
    assert validate_blocks([ALERT], "modal") == []
    assert validate_blocks([ALERT], "home")


def modal(**fields: Any) -> Block:
    text = field({"type": "plain_text_input", "action_id": "t", "max_length": 500})
    return {
        "type": "modal",
        "title": plain("Ask"),
        "submit": plain("Send"),
        "blocks": [text],
        **fields,
    }


VIEWS = {
    "long title": (modal(title=plain("x" * 25)), "less than 25"),
    "long submit": (modal(submit=plain("x" * 25)), "less than 25"),
    "metadata": (modal(private_metadata="x" * 3001), "less than 3001"),
    "callback": (modal(callback_id="x" * 256), "less than 256"),
    "no title": (
        {key: value for key, value in modal().items() if key != "title"},
        "required field: title",
    ),
    "input without submit": (modal(submit=None), "submit"),
    "element": (modal(blocks=[field(button())]), "unsupported element type"),
    "max_length": (
        modal(blocks=[field({"type": "plain_text_input", "max_length": 3001})]),
        "between 1 and 3000",
    ),
    "unknown kind": ({"type": "drawer"}, "unsupported type"),
    "home with a title": (
        {"type": "home", "title": plain("x"), "blocks": []},
        "additional property: title",
    ),
}


@pytest.mark.parametrize(("view", "words"), VIEWS.values(), ids=VIEWS)
def test_a_bad_view_is_refused(view: Block, words: str) -> None:
    assert any(words in problem for problem in validate_view(view)), validate_view(view)


ELEMENTS = [
    {"type": "plain_text_input", "multiline": True, "min_length": 1, "max_length": 3000},
    {"type": "multi_static_select", "options": [option()], "max_selected_items": 2},
    {"type": "external_select", "min_query_length": 0},
    {"type": "checkboxes", "options": [option()]},
    {"type": "radio_buttons", "options": [option()]},
    {"type": "datetimepicker", "initial_date_time": 1_800_000_000},
    {"type": "datepicker", "initial_date": "2026-11-22"},
    {"type": "timepicker", "initial_time": "10:00"},
    {"type": "users_select", "initial_user": "U1"},
    {"type": "conversations_select", "filter": {"include": ["public"]}},
    {"type": "number_input", "is_decimal_allowed": False, "min_value": "1"},
    {"type": "multi_users_select"},
]


@pytest.mark.parametrize("element", ELEMENTS, ids=[item["type"] for item in ELEMENTS])
def test_every_kind_of_input_is_known(element: Block) -> None:
    assert validate_view(modal(blocks=[field({**element, "action_id": "e"})])) == []


def test_a_message_needs_words_and_not_too_many() -> None:
    assert "no_text" in validate_message({})[0]
    assert "msg_too_long" in validate_message({"text": "x" * 40_001})[0]
    assert validate_message({"text": "x" * 40_000, "blocks": [section()]}) == []


ACTING = {
    "channel": ({"text": "<!channel> look"}, ["<!channel>"]),
    "user": ({"text": "hi <@U123>"}, ["<@U123>"]),
    "group": ({"text": "<!subteam^S1>"}, ["<!subteam^S1>"]),
    "link": ({"text": "<https://evil.example|bank>"}, ["<https://evil.example|bank>"]),
    "bare address": ({"text": "see https://evil.example/x"}, ["https://evil.example/x"]),
    "mrkdwn block": ({"text": "x", "blocks": [section(text=mrkdwn("<!here>"))]}, ["<!here>"]),
    "broadcast element": ({"blocks": [rich({"type": "broadcast", "range": "here"})]}, ["<!here>"]),
    "mention element": ({"blocks": [rich({"type": "user", "user_id": "U1"})]}, ["<@U1>"]),
}
INERT = {
    "escaped": {"text": "&lt;!channel&gt; &lt;@U123&gt;"},
    "date": {"text": "<!date^1^{date}|d>"},
    "plain text": {
        "blocks": [{"type": "header", "text": plain("<!channel> https://evil.example")}]
    },
    "rich text": {"blocks": [rich({"type": "text", "text": "<!channel> https://evil.example"})]},
    "verbatim": {"blocks": [section(text={**mrkdwn("https://evil.example"), "verbatim": True})]},
    "cell": {"blocks": [{"type": "table", "rows": [[{"type": "raw_text", "text": "<!channel>"}]]}]},
}


@pytest.mark.parametrize(("message", "found"), ACTING.values(), ids=ACTING)
def test_text_that_slack_would_act_on_is_found(message: Block, found: list[str]) -> None:
    assert notifications(message) == found


@pytest.mark.parametrize("message", INERT.values(), ids=INERT)
def test_inert_text_is_left_alone(message: Block) -> None:
    assert notifications(message) == []


SUGGESTED: dict[str, tuple[Block, bool]] = {
    "none": ({"options": []}, True),
    "a hundred": ({"options": [option()] * 100}, True),
    "groups": ({"option_groups": [{"label": plain("All"), "options": [option()]}]}, True),
    "one too many": ({"options": [option()] * 101}, False),
    "a long text": ({"options": [option("x" * 76)]}, False),
    "a long value": ({"options": [option(value="x" * 151)]}, False),
    "markdown": ({"options": [{"text": mrkdwn("x"), "value": "1"}]}, False),
    "both": ({"options": [], "option_groups": []}, False),
    "neither": ({}, False),
    "no list": ({"options": {}}, False),
}


@pytest.mark.parametrize(("answer", "good"), SUGGESTED.values(), ids=SUGGESTED)
def test_an_answer_with_options_is_within_slacks_limits(answer: Block, good: bool) -> None:
    assert (validate_suggestions(answer) == []) is good
