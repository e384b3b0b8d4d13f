"""Slack's charts and sortable tables, as plain dicts
(https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block,
https://docs.slack.dev/reference/block-kit/blocks/data-table-block).

Old clients do not show these blocks: a message with one has the same numbers in its words.
"""

from collections.abc import Mapping, Sequence

from bot.slack.blocks import Block, Element, Part, clean, cut, section

MOST_SEGMENTS, MOST_CATEGORIES, LABEL, TITLE = 6, 20, 20, 50
MOST_ROWS, TABLE_CHARACTERS = 100, 9_500
"""Slack's limit is 10,000 characters in the cells of a table; the others are Slack's."""


def pie(title: str, parts: Mapping[str, int]) -> list[Block]:
    """A pie of up to six parts, without those that are zero; nothing if all are."""
    segments = [{"label": cut(name, LABEL), "value": n} for name, n in parts.items() if n > 0]
    return (
        [_chart(title, {"type": "pie", "segments": segments[:MOST_SEGMENTS]})] if segments else []
    )


def bars(title: str, categories: Sequence[str], series: Mapping[str, Sequence[int]]) -> list[Block]:
    """Bars of each series beside each other; nothing if all are zero."""
    if not any(any(values) for values in series.values()):
        return []
    names = [cut(name, LABEL) for name in categories][:MOST_CATEGORIES]
    data = [
        {
            "name": cut(name, LABEL),
            "data": [_point(*each) for each in zip(names, values, strict=True)],
        }
        for name, values in series.items()
    ]
    chart = {"type": "bar", "series": data, "axis_config": {"categories": names}}
    return [_chart(title, chart)]


def _point(label: str, value: int) -> Element:
    return {"label": label, "value": value}


def _chart(title: str, chart: Element) -> Block:
    return {"type": "data_visualization", "title": cut(title, TITLE), "chart": chart}


def data_table(caption: str, header: Sequence[str], rows: Sequence[Sequence[Element]]) -> Block:
    """A table that readers sort and filter; the first column names the rows."""
    return {
        "type": "data_table",
        "caption": caption,
        "rows": [[raw(name) for name in header], *([*row] for row in rows)],
        "page_size": 10,
        "row_header_column_index": 0,
    }


def raw(text: str, limit: int = 63) -> Element:
    """A cell of a table in which nothing is interpreted."""
    return {"type": "raw_text", "text": clean(text, limit) or "–"}


def rich_cell(*parts: Part) -> Element:
    return {"type": "rich_text", "elements": [section(*parts)]}
