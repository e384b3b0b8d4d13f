"""Lines of anchors, and a log that is compared with them."""

from __future__ import annotations

import pytest

from bot.core.anchors import Anchor, AnchorCheck, AnchorSource, anchor_line, parse_anchors

A, B, C = "a" * 64, "b" * 64, "c" * 64
AT = 1_790_000_000
FILE = "anchors.txt"


@pytest.mark.parametrize("token", ["", "MIIB+/8="])
def test_a_line_is_read_as_it_was_written(token: str) -> None:
    anchor = Anchor(12, A, AT, token)
    assert parse_anchors(FILE, ["# kept by ana", "", anchor_line(anchor)]).anchors == [anchor]


WRONG = {
    "a hash that is too short": f"2026-09-21T14:13:20Z 1 {'a' * 63}",
    "a number that no record has": f"2026-09-21T14:13:20Z 0 {A}",
    "a time that is none": f"yesterday 1 {A}",
    "words after it": f"2026-09-21T14:13:20Z 1 {A} and more",
}


@pytest.mark.parametrize("line", WRONG.values(), ids=WRONG)
def test_a_line_that_is_not_an_anchor_is_a_problem(line: str) -> None:
    found = parse_anchors(FILE, [anchor_line(Anchor(1, A, AT)), line])
    assert found.problem == "line 2 of anchors.txt is not an anchor"
    assert len(found.anchors) == 1


def stamped(anchor: Anchor) -> str:
    return "is not valid" if anchor.token == "bad" else ""


CASES = {
    "no anchors": ([], None, 0),
    "they agree": ([Anchor(1, A, AT), Anchor(3, C, AT, "good")], None, 2),
    "another hash": ([Anchor(2, A, AT)], "it is not the record that the anchor of", 0),
    "the first that differs": ([Anchor(3, A, AT), Anchor(1, B, AT)], "of 2026-09-21", 0),
    "a stamp": ([Anchor(2, B, AT, "bad")], "the time stamp of the anchor of", 0),
    "the last record": ([Anchor(3, C, AT)], None, 1),
    "a record beyond the end": ([Anchor(4, C, AT)], "the log ends at record 3, and the anchor", 0),
}


@pytest.mark.parametrize(("anchors", "why", "agree"), CASES.values(), ids=CASES)
def test_records_are_compared_with_anchors(
    anchors: list[Anchor], why: str | None, agree: int
) -> None:
    check = AnchorCheck([AnchorSource(FILE, anchors)], stamped)
    found = check.compare([A, B], 1) or check.compare([C], 3) or check.beyond(3)
    assert (found is None) is (why is None) and (why or "") in (found.why if found else "")
    assert check.compared == agree
