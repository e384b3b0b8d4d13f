"""One page of the audit log as a table, the newest record first."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.core.audit import Event, Record
from bot.core.names import slash
from bot.core.usage import GrantUsage, Known
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
    is_slack_id,
    message,
    paragraph,
    section,
    typed,
    utc,
    who,
)
from bot.slack.ids import Action
from bot.slack.views._parts import used_parts

PAGE = 20
COLUMNS = (
    "No.",
    "When",
    "Event",
    "Who",
    "Whose",
    "Role",
    "System",
    "Reason, use",
    "Request, grant",
)


def render(
    records: Sequence[Record], filters: Sequence[str], older: str | None, now: int
) -> Message:
    """A page of at most 20 records. `filters` are the filters as typed; `older` is the value of the
    button for the next page, None on the last."""
    page = list(records[:PAGE])
    if not page:
        return message(
            "No audit records match.",
            paragraph(["No audit records match", *_filtered(filters or ["that"]), "."]),
        )
    return message(
        _twin(page),
        paragraph(
            ["Audit log, newest first", *([":"] if filters else []), *_filtered(filters), "."]
        ),
        _table(page),
        *([actions(button("Older", Action.AUDIT_OLDER, older, "audit records"))] if older else []),
        context(
            f"`{slash()} audit export` sends every matching record as CSV; that you looked is on"
            " record."
        ),
    )


def _filtered(filters: Sequence[str]) -> list[Part]:
    """The filters, each after a space, with people by their names."""
    parts: list[Part] = []
    for word in filters:
        name, _, value = word.partition(":")
        parts += [" ", who(value) if name == "person" and is_slack_id(value) else typed(word, 150)]
    return parts


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
        _why(record),
        _cell(ids),
    ]


def _why(record: Record) -> Element:
    """The reason of a record; for a record of use, the use; for repeats, their number."""
    use = _USE.get(record.event)
    if use is None and '"repeated":' not in record.detail:
        return _cell(record.reason, 120)
    try:
        detail = json.loads(record.detail)
        shown = use(detail) if use else [typed(record.reason, 120)] if record.reason else []
        more = [f"repeated {int(detail['repeated'])} times"] if "repeated" in detail else []
        return _rich(*shown, *([" · "] if shown and more else []), *more)
    except (ValueError, KeyError, TypeError, AttributeError):  # for example, from a newer version
        return _cell("" if use else record.reason, 120)


def _first(detail: Mapping[str, Any]) -> list[Part]:
    source = detail.get("source_address")
    return ["used from ", typed(str(source), 100)] if source else ["used"]


def _summed(detail: Mapping[str, Any]) -> list[Part]:
    times = int(detail["allowed"]) + int(detail.get("sessions", 0))
    if times:
        return used_parts(GrantUsage(times=times, last=detail["last"]))
    return [_UNUSED.get(str(detail.get("known")), "never used")]


def _session_after_end(detail: Mapping[str, Any]) -> list[Part]:
    return [
        "beyond the end: session ",
        typed(str(detail["session"]), 100),
        ", opened ",
        date(int(detail["opened_at"])),
    ]


_UNUSED: Mapping[str, str] = {
    Known.UNREPORTED: "its use is not reported",
    Known.OBSERVED: "not seen in use",
}
_USE: Mapping[str, Callable[[Mapping[str, Any]], list[Part]]] = {
    Event.USE_FIRST: _first,
    Event.USE_SUMMED: _summed,
    Event.USE_AFTER_END: _session_after_end,
}


def _cell(text: str, limit: int = 63) -> Element:
    return {"type": "raw_text", "text": clean(text, limit) or "–"}


def _rich(*parts: Part) -> Element:
    return {"type": "rich_text", "elements": [section(*parts)]}


def _twin(page: Sequence[Record]) -> str:
    """The page for clients without tables. Typed text is only in the table, which does not
    interpret it."""
    lines = [
        f"{record.seq} · {utc(record.at)} · {record.event} · {escape(clean(record.actor, 40))}"
        f" · {escape(clean(record.role, 63)) or '–'}"
        for record in page
    ]
    return "\n".join(["Audit log, newest first", *lines])
