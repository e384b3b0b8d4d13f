"""Slack's Block Kit blocks as a table, and the pure validators of messages and views that read it.

Tokens, scopes and methods are in `rules.py`. Figures: docs.slack.dev/reference/block-kit.
"""

from __future__ import annotations

from typing import Any

from bot.sandbox.checks import (
    Check,
    Inspection,
    Json,
    anything,
    array,
    at_least_one,
    boolean,
    both,
    choice,
    counted,
    integer,
    number,
    shape,
    shown,
    string,
    typed,
    unique,
)
from bot.sandbox.elements import (
    ACCESSORIES,
    ACTION_ELEMENTS,
    BLOCK,
    BUTTON,
    CELLS,
    IMAGE,
    IMAGE_SOURCE,
    INPUT_ELEMENTS,
    KIND,
    PLAIN_OPTION,
    RICH_TEXT,
    plain,
    text,
)

MAX_BLOCKS = {"message": 50, "modal": 100, "home": 100}
MAX_TOTAL = 13_200
MAX_TEXT = 40_000
ALL = frozenset({"message", "modal", "home"})


def same_width(value: Any, path: str, seen: Inspection) -> None:
    """Every row has as many cells as the first."""
    widths = (
        {len(row) for row in value if isinstance(row, list)} if isinstance(value, list) else set()
    )
    if len(widths) > 1:
        seen.wrong("all rows must have the same number of cells", path)


def plain_header(value: Any, path: str, seen: Inspection) -> None:
    """The header row of a data table holds no rich text."""
    header = value[0] if isinstance(value, list) and value else []
    for index, cell in enumerate(header if isinstance(header, list) else []):
        if isinstance(cell, dict) and cell.get("type") == "rich_text":
            seen.wrong("rich_text is not allowed in the header", f"{path}/0/{index}")


def ten_thousand(check: Check) -> Check:
    """At most 10,000 characters in the cells of one table."""

    def limited(value: Any, path: str, seen: Inspection) -> None:
        before = seen.characters
        check(value, path, seen)
        if seen.characters - before > 10_000:
            seen.wrong("a table can't have more than 10000 characters", path)

    return limited


ROW = array(typed(CELLS, "cell type"), 20)
COLUMN = shape({"align": choice("left", "center", "right"), "is_wrapped": boolean})


def column(value: Any, path: str, seen: Inspection) -> None:
    """A column's setting; null skips the column."""
    if value is not None:
        COLUMN(value, path, seen)


def positive(value: Any, path: str, seen: Inspection) -> None:
    """A pie segment is larger than zero."""
    number(value, path, seen)
    if isinstance(value, int | float) and value <= 0:
        seen.wrong("must be more than 0", path)


SERIES = array(
    shape(
        {
            "name!": shown(20),
            "data!": array(shape({"label!": shown(20), "value!": number}), 20),
        }
    ),
    6,
)
AXIS = shape({"categories!": array(string(20), 20), "x_label": shown(50), "y_label": shown(50)})


def matching_categories(value: Any, path: str, seen: Inspection) -> None:
    """Each series has one value per category, under the category's label."""
    categories = value.get("axis_config", {}).get("categories") if isinstance(value, dict) else None
    for index, series in enumerate((value.get("series") or []) if isinstance(value, dict) else []):
        if {point.get("label") for point in series.get("data", [])} != set(categories or []):
            seen.wrong("labels must match axis_config categories", f"{path}/series/{index}/data")


XY = both(
    shape({**KIND, "series!": both(SERIES, unique("name")), "axis_config!": AXIS}),
    matching_categories,
)
CHARTS: dict[str, Check] = {
    "pie": shape({**KIND, "segments!": array(shape({"label!": shown(20), "value!": positive}), 6)}),
    "bar": XY,
    "line": XY,
    "area": XY,
}
INPUT = shape(
    {
        **BLOCK,
        "label!": plain(2000),
        "element!": typed(INPUT_ELEMENTS, "element type"),
        "hint": plain(2000),
        "optional": boolean,
        "dispatch_action": boolean,
    }
)
CARD = both(
    shape(
        {
            **BLOCK,
            "hero_image": IMAGE,
            "icon": IMAGE,
            "title": text(150),
            "subtitle": text(150),
            "body": text(200),
            "actions": array(BUTTON, 5),
        }
    ),
    at_least_one("hero_image", "title", "body", "actions"),
)
TASK = shape(
    {
        **BLOCK,
        "task_id!": string(),
        "title!": shown(),
        "details": RICH_TEXT,
        "output": RICH_TEXT,
        "sources": array(anything),
        "status": choice("pending", "in_progress", "complete", "error"),
    }
)
MESSAGE = frozenset({"message"})
BLOCKS: dict[str, tuple[frozenset[str], Check]] = {
    "section": (
        ALL,
        both(
            shape(
                {
                    **BLOCK,
                    "text": text(3000),
                    "fields": array(text(2000), 10),
                    "accessory": typed(ACCESSORIES, "element type"),
                    "expand": boolean,
                }
            ),
            at_least_one("text", "fields"),
        ),
    ),
    "header": (ALL, shape({**BLOCK, "text!": plain(150), "level": integer(1, 4)})),
    "divider": (ALL, shape(BLOCK)),
    "image": (ALL, shape({**BLOCK, **IMAGE_SOURCE, "title": plain(2000)})),
    "context": (
        ALL,
        shape(
            {
                **BLOCK,
                "elements!": array(
                    typed({"plain_text": text(2000), "mrkdwn": text(2000), "image": IMAGE}), 10
                ),
            }
        ),
    ),
    "actions": (
        ALL,
        shape(
            {
                **BLOCK,
                "elements!": both(
                    array(typed(ACTION_ELEMENTS, "element type"), 25), unique("action_id")
                ),
            }
        ),
    ),
    "input": (ALL, INPUT),
    "rich_text": (ALL, RICH_TEXT),
    "markdown": (MESSAGE, shape({**BLOCK, "text!": shown(12_000)})),
    "table": (
        MESSAGE,
        counted(
            "table",
            1,
            shape(
                {
                    **BLOCK,
                    "rows!": ten_thousand(array(ROW, 100)),
                    "column_settings": array(column, 20, 0),
                }
            ),
        ),
    ),
    "data_table": (
        MESSAGE,
        shape(
            {
                **BLOCK,
                "caption!": shown(),
                "rows!": both(ten_thousand(array(ROW, 101, 2)), same_width, plain_header),
                "page_size": integer(1, 100),
                "row_header_column_index": integer(0, 19),
            }
        ),
    ),
    "data_visualization": (
        MESSAGE,
        counted(
            "data_visualization", 2, shape({**BLOCK, "title!": shown(50), "chart!": typed(CHARTS)})
        ),
    ),
    "alert": (
        frozenset({"modal"}),
        shape(
            {
                **BLOCK,
                "text!": text(200),
                "level": choice("default", "info", "warning", "error", "success"),
            }
        ),
    ),
    "card": (ALL, CARD),
    "carousel": (
        frozenset({"message", "home"}),
        shape({**BLOCK, "elements!": array(typed({"card": CARD}), 10)}),
    ),
    "task_card": (MESSAGE, TASK),
    "plan": (
        MESSAGE,
        shape({**BLOCK, "title!": shown(), "tasks": array(typed({"task_card": TASK}))}),
    ),
    "context_actions": (
        MESSAGE,
        shape(
            {
                **BLOCK,
                "elements!": array(
                    typed({"feedback_buttons": anything, "icon_button": anything}), 5
                ),
            }
        ),
    ),
}


SUGGESTIONS: dict[str, Check] = {
    "options": array(PLAIN_OPTION, 100, 0),
    "option_groups": array(
        shape({"label!": plain(75), "options!": array(PLAIN_OPTION, 100, 0)}), 100, 0
    ),
}


def _block(value: Any, path: str, seen: Inspection) -> None:
    """One block: known, allowed on this surface, with an id of its own."""
    kind = value.get("type") if isinstance(value, dict) else None
    surfaces, check = BLOCKS.get(str(kind), (frozenset[str](), anything))
    if seen.surface not in surfaces:
        seen.wrong(f"unsupported type: {kind}", f"{path}/type")
        return
    block_id = value.get("block_id")
    if block_id is not None and block_id in seen.block_ids:
        seen.wrong(f"`block_id` {block_id} already exists", f"{path}/block_id")
    seen.block_ids.add(block_id)
    check(value, path, seen)


CHILDREN = array(_block, 10)
BLOCKS["container"] = (
    MESSAGE,
    both(
        shape(
            {
                **BLOCK,
                "title": plain(150),
                "rich_text_title": RICH_TEXT,
                "subtitle": text(150),
                "child_blocks!": CHILDREN,
                "width": choice("narrow", "standard", "wide", "full"),
                "icon": IMAGE,
                "is_collapsible": boolean,
                "default_collapsed": boolean,
                "has_header_divider": boolean,
            }
        ),
        at_least_one("title", "rich_text_title"),
    ),
)
VIEW_FIELDS: dict[str, Check] = {
    **KIND,
    "blocks!": anything,
    "private_metadata": string(3000, 0),
    "callback_id": string(255, 0),
    "external_id": string(255, 0),
}
VIEWS: dict[str, Check] = {
    "home": shape(VIEW_FIELDS),
    "modal": shape(
        {
            **VIEW_FIELDS,
            "title!": plain(24),
            "submit": plain(24),
            "close": plain(24),
            "clear_on_close": boolean,
            "notify_on_close": boolean,
            "submit_disabled": boolean,
        }
    ),
}


def inspect_blocks(blocks: Any, surface: str, path: str = "/blocks") -> Inspection:
    """The whole walk over the blocks of a message, modal or home view."""
    seen = Inspection(surface)
    array(_block, MAX_BLOCKS[surface], 0)(blocks, path, seen)
    return seen


def validate_blocks(blocks: Any, surface: str = "message") -> list[str]:
    """The problems that Slack would report for `blocks` on `surface` (message, modal, home), or
    []."""
    seen = inspect_blocks(blocks, surface)
    if seen.characters > MAX_TOTAL:
        seen.wrong(f"msg_blocks_too_long: {seen.characters} of {MAX_TOTAL} characters", "/blocks")
    return seen.problems


def validate_view(view: Any) -> list[str]:
    """The problems that Slack would report for a modal or home view, or []."""
    kind = view.get("type") if isinstance(view, dict) else None
    if kind not in VIEWS:
        return [f"[ERROR] unsupported type: {kind} [json-pointer:/view/type]"]
    seen = Inspection(str(kind))
    VIEWS[str(kind)](view, "/view", seen)
    if kind == "modal" and not view.get("submit") and _has_input(view.get("blocks")):
        seen.wrong("missing required field: submit", "/view")
    return (
        seen.problems + inspect_blocks(view.get("blocks", []), str(kind), "/view/blocks").problems
    )


def validate_suggestions(ack: Json) -> list[str]:
    """The problems that Slack would report for an app's answer to `block_suggestion`, or []."""
    seen = Inspection("modal")
    given = [name for name in SUGGESTIONS if name in ack]
    if len(given) != 1:
        seen.wrong("must have either options or option_groups", "")
    for name in given:
        SUGGESTIONS[name](ack[name], f"/{name}", seen)
    return seen.problems


def _has_input(blocks: Any) -> bool:
    return any(isinstance(block, dict) and block.get("type") == "input" for block in blocks or [])


def validate_message(message: Json) -> list[str]:
    """The problems of a whole message: its text and its blocks."""
    words, blocks = str(message.get("text") or ""), message.get("blocks") or []
    missing = [] if words or blocks else ["[ERROR] no_text [json-pointer:/text]"]
    long = [f"[ERROR] msg_too_long: {len(words)} characters [json-pointer:/text]"] * (
        len(words) > MAX_TEXT
    )
    return missing + long + validate_blocks(blocks, "message")
