"""The record, its canonical form and its hash: permanently fixed, because old chains are checked
with them."""

from __future__ import annotations

import hashlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.audit import (
    COLUMNS,
    GENESIS,
    Entry,
    Event,
    canonical_detail,
    chained,
    check_links,
    link_hash,
    rfc3339,
    without_unstorable,
)
from bot.core.audit_export import csv_lines, json_lines

AT = 1_790_000_000
ENTRY = Entry(
    Event.REQUEST_ASKED,
    "U1",
    "U2",
    "role",
    "system",
    "r1",
    "g1",
    'naïve "修复"\n',
    {"b": 1, "a": ["ü"]},
)
TEXT = st.text(st.characters(exclude_categories=[]), max_size=20)
ENTRIES = st.lists(
    st.builds(Entry, st.sampled_from(Event), TEXT.map(without_unstorable), reason=TEXT, role=TEXT),
    max_size=6,
)


def test_the_canonical_form_is_what_the_documentation_says() -> None:
    (row,) = chained([ENTRY], AT, 41, "f" * 64)
    text = (
        '[42,"2026-09-21T14:13:20Z","request:access:asked","U1","U2","role","system","r1","g1",'
        '"naïve \\"修复\\"\\n","{\\"a\\":[\\"ü\\"],\\"b\\":1}","' + "f" * 64 + '"]'
    )
    assert row[12] == hashlib.sha256(text.encode()).hexdigest()


def test_the_hash_of_a_known_record_never_changes() -> None:
    ((*_, digest),) = chained([Entry(Event.PANIC_ON, "os:root")], 0, 0, GENESIS)
    assert digest == "c644a8f80e40281ef472b7308e5bcf3513a54a4bfa4240473746de5b4cd95c5d"


def test_event_names_follow_one_grammar_and_are_never_removed() -> None:
    assert all(event.count(":") == 2 and event == event.lower() for event in Event)
    assert {
        "request:access:asked",
        "request:vote:given",
        "request:approval:given",
        "request:denial:given",
        "request:access:withdrawn",
        "request:access:lapsed",
        "request:action:refused",
        "grant:access:scheduled",
        "grant:access:started",
        "grant:access:failed",
        "grant:access:renewed",
        "grant:reminder:sent",
        "grant:credentials:shown",
        "grant:end:asked",
        "grant:end:failed",
        "grant:access:ended",
        "grant:use:first",
        "grant:use:summed",
        "policy:file:loaded",
        "policy:file:rejected",
        "audit:log:read",
        "audit:log:exported",
        "panic:switch:on",
        "panic:switch:off",
    } <= set(Event)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_792_890_000, "2026-10-25T01:00:00Z"),
        (1_774_746_000, "2026-03-29T01:00:00Z"),
    ],
)
def test_times_are_utc_in_any_time_zone_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, at: int, text: str
) -> None:
    for zone in ("Asia/Kolkata", "Europe/Berlin", "America/New_York"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert rfc3339(at) == text
    monkeypatch.undo()
    time.tzset()


@given(ENTRIES, ENTRIES)
def test_a_chain_can_be_checked_in_batches_of_any_size(
    first: list[Entry], second: list[Entry]
) -> None:
    rows = chained(first, AT, 0, GENESIS)
    seq, last = len(rows), str(rows[-1][12]) if rows else GENESIS
    more = chained(second, AT + 1, seq, last)
    assert check_links([*rows, *more])[:2] == (None, seq + len(more))
    assert check_links(more, *check_links(rows)[1:])[0] is None


@given(
    st.lists(
        st.builds(Entry, st.sampled_from(Event), st.just("U1"), reason=TEXT), min_size=2, max_size=5
    ),
    st.data(),
)
def test_any_change_of_a_record_is_found_at_that_record(
    entries: list[Entry], data: st.DataObject
) -> None:
    rows = [list(row) for row in chained(entries, AT, 0, GENESIS)]
    place = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(1, 12))
    rows[place][column] = (
        int(str(rows[place][1])) + 1 if column == 1 else str(rows[place][column]) + "x"
    )
    broken, good, _ = check_links([tuple(row) for row in rows])
    assert broken is not None
    assert (broken.seq, good) == (place + 1, place)


@pytest.mark.parametrize(
    "value",
    [None, b"bytes", 1.5, "text", 10**30, -(10**30)],
    ids=["null", "bytes", "float", "text", "late", "early"],
)
@pytest.mark.parametrize("column", ["at", "reason", "detail"])
def test_an_invalid_value_is_a_break_and_not_a_crash(column: str, value: object) -> None:
    (row,) = chained([ENTRY], AT, 0, GENESIS)
    forged = list(row)
    forged[COLUMNS.index(column)] = value
    broken, *_ = check_links([tuple(forged)])
    assert broken is not None


@given(TEXT)
def test_typed_text_is_stored_as_it_is_without_unstorable_characters(typed: str) -> None:
    kept = without_unstorable(typed)
    kept.encode()
    assert "\x00" not in kept
    if "\x00" not in typed and not any("\ud800" <= char <= "\udfff" for char in typed):
        assert kept == typed


def test_details_are_sorted_and_compact() -> None:
    assert (canonical_detail({"b": None, "a": "é"}), canonical_detail(None)) == (
        '{"a":"é","b":null}',
        "{}",
    )


class TestExport:
    def test_the_chain_of_a_jsonl_export_can_be_checked_without_this_program(self) -> None:
        rows = chained([ENTRY] * 3, AT, 0, GENESIS)
        prev = GENESIS
        for line in json_lines(rows):
            record = json.loads(line)
            assert list(record) == COLUMNS
            form = [record[name] for name in COLUMNS[:-1]]
            text = json.dumps(form, ensure_ascii=False, separators=(",", ":"))
            assert (record["prev"], record["hash"]) == (
                prev,
                hashlib.sha256(text.encode()).hexdigest(),
            )
            prev = record["hash"]

    @pytest.mark.parametrize(
        "typed",
        [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "＝1",
            "＋1",
            "－1",
            "＠1",
            '=HYPERLINK("http://x")',
        ],
    )
    def test_a_csv_cell_never_becomes_a_formula(self, typed: str) -> None:
        assert "'" + typed in self._reasons(typed)

    @pytest.mark.parametrize(
        "typed", ["plain", "a=b", "1-1", 'say "so", then\nleave', "", "'quoted'"]
    )
    def test_other_csv_cells_stay_what_they_are(self, typed: str) -> None:
        assert typed in self._reasons(typed)

    def _reasons(self, typed: str) -> list[str]:
        import csv
        import io

        rows = chained([Entry(Event.ACTION_REFUSED, "U1", reason=typed)], AT, 0, GENESIS)
        lines = list(csv.DictReader(io.StringIO("".join(csv_lines(rows)), newline="")))
        assert lines[0]["at"] == "2026-09-21T14:13:20Z"
        return [line["reason"] for line in lines]

    def test_a_large_export_comes_in_pieces_and_whole(self) -> None:
        rows = chained([ENTRY] * 1000, AT, 0, GENESIS)
        pieces = list(csv_lines(rows))
        assert len(pieces) > 2
        assert "".join(pieces).count("\r\n") == 1001

    def test_an_empty_export_is_a_header(self) -> None:
        assert "".join(csv_lines([])).strip().split(",") == COLUMNS
        assert list(json_lines([])) == []


def test_the_hash_covers_the_whole_record_without_the_hash() -> None:
    (row,) = chained([ENTRY], AT, 0, GENESIS)
    assert link_hash(row[:12]) == row[12]
