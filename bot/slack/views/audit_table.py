"""One page of the audit log as a table, the newest record first. It doesn't know how it was filtered, and says only
what it is told about that.
"""

from collections.abc import Sequence

from bot.core.audit import Record
from bot.slack.blocks import (
    Block,
    Element,
    Message,
    Part,
    actions,
    button,
    clean,
    context,
    date,
    escape,
    message,
    paragraph,
    section,
    typed,
    utc,
    who,
)
from bot.slack.ids import Action

PAGE = 20
COLUMNS = ("No.", "When", "Event", "Who", "Whose", "Role", "System", "Reason", "Request, grant")


def render(records: Sequence[Record], filters: str, older: str | None, now: int) -> Message:
    """At most 20 records. `filters` is what was looked for, as it was typed; `older` the value of the button for the
    next page, None on the last."""
    page = list(records[:PAGE])
    if not page:
        return message(
            "No audit records match.", paragraph(["No audit records match ", typed(filters or "that", 300), "."])
        )
    return message(
        _twin(page),
        paragraph(["Audit log, newest first", *_filtered(filters), "."]),
        _table(page),
        *([actions(button("Older", Action.AUDIT_OLDER, older, "audit records"))] if older else []),
        context("`/access audit export` sends every matching record as CSV; that you looked is on record."),
    )


def _filtered(filters: str) -> list[Part]:
    return [": ", typed(filters, 300)] if filters else []


def _table(page: Sequence[Record]) -> Block:
    rows = [[_cell(title) for title in COLUMNS], *map(_row, page)]
    return {"type": "table", "rows": rows, "column_settings": [{"align": "right"}]}


def _row(record: Record) -> list[Element]:
    ids = " ".join(each for each in (record.request, record.grant) if each)
    return [
        _cell(str(record.seq)),
        _rich(date(record.at)),
        _cell(record.event),
        _rich(who(record.actor)),
        _rich(who(record.subject)) if record.subject else _cell(""),
        _cell(record.role),
        _cell(record.system),
        _cell(record.reason, 120),
        _cell(ids),
    ]


def _cell(text: str, limit: int = 63) -> Element:
    return {"type": "raw_text", "text": clean(text, limit) or "–"}


def _rich(element: Element) -> Element:
    return {"type": "rich_text", "elements": [section(element)]}


def _twin(page: Sequence[Record]) -> str:
    """The page for who can't see tables; what was typed is left to the table, where it is inert."""
    lines = [
        f"{record.seq} · {utc(record.at)} · {record.event} · {escape(clean(record.actor, 40))}"
        f" · {escape(clean(record.role, 63)) or '–'}"
        for record in page
    ]
    return "\n".join(["Audit log, newest first", *lines])
