"""The worker takes anchors to the anchor file, and verifies the log for a lead."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.anchors import STAMPED_WITHIN, Anchor
from bot.core.effects import Queue
from bot.core.errors import SystemUnavailable
from bot.operations.audit.anchor_head import anchor_daily
from bot.operations.audit.ask_verify import ask_verify
from bot.operations.audit.verify_audit import verdict_text, verify_audit
from bot.sources import anchor_file
from bot.worker.anchors import outside
from tests.builders import WORKSPACE
from tests.delivery_harness import DeliveryHarness
from tests.factories import LEA


def _keeps(harness: DeliveryHarness, path: Path) -> None:
    harness.made.set_policy(workspace=WORKSPACE + f'anchor_file = "{path}"\n')
    harness.active()


def test_a_log_that_a_lead_verified_is_anchored_in_the_file(
    harness: DeliveryHarness, tmp_path: Path
) -> None:
    _keeps(harness, tmp_path / "anchors")
    ask_verify(harness.made.world, LEA, "C0OPS")
    harness.delivery.drain(Queue.SLACK)
    harness.delivery.drain(Queue.DECIDE)
    (anchor,) = anchor_file.read(str(tmp_path / "anchors")).anchors
    assert harness.rows("SELECT seq, hash FROM anchors") == [(anchor.seq, anchor.hash)]
    (answer,) = harness.slack.texts
    assert answer.startswith(f"The audit log is intact: {anchor.seq} records")


def test_a_time_stamp_is_stored_and_follows_in_the_file(
    harness: DeliveryHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = f'anchor_file = "{tmp_path / "anchors"}"\ntsa_url = "https://tsa.example.com"\n'
    harness.made.set_policy(workspace=f'{WORKSPACE}{keys}tsa_ca = "{tmp_path / "ca.pem"}"\n')
    harness.active()
    monkeypatch.setattr("bot.worker.anchors.stamp", lambda url, ca, anchor: "MIIB")
    anchor_daily(harness.made.world)
    harness.turn(Queue.DECIDE, times=3)
    assert harness.rows("SELECT token FROM anchors") == [("MIIB",)]
    found = anchor_file.read(str(tmp_path / "anchors")).anchors
    assert [anchor.token for anchor in found] == ["", "MIIB"] and found[0].seq == found[1].seq


def test_an_anchor_waits_for_a_file_that_can_t_be_written(
    harness: DeliveryHarness, tmp_path: Path
) -> None:
    folder = tmp_path / "mount"
    _keeps(harness, folder / "anchors")
    anchor_daily(harness.made.world)
    harness.turn(Queue.DECIDE)
    assert [kind for kind, *_ in harness.waiting(Queue.DECIDE)] == ["write_anchor"]
    folder.mkdir()
    harness.turn(Queue.DECIDE)
    assert len(outside(harness.made.world).sources[0].anchors) == 1


def test_a_file_that_lost_anchors_is_a_problem_until_it_is_another_one(
    harness: DeliveryHarness, tmp_path: Path
) -> None:
    path, world = tmp_path / "anchors", harness.made.world
    _keeps(harness, path)
    anchor_daily(world)
    assert outside(world).problem == ""  # it waits to be appended
    harness.turn(Queue.DECIDE)
    assert outside(world).problem == ""
    path.write_text("")
    verdict = verify_audit(world, outside=outside(world))
    assert (verdict.broken, verdict.is_intact) == (None, False)
    assert "anchors was deleted, emptied or shortened: it lacks 1 of 1 anchor" in verdict_text(
        verdict
    )
    harness.made.set_policy(workspace=WORKSPACE + f'anchor_file = "{tmp_path / "new"}"\n')
    assert outside(world).problem == ""


def test_a_line_that_was_cut_off_does_not_take_the_next_one_with_it(tmp_path: Path) -> None:
    path = tmp_path / "anchors"
    path.write_text("2026-11-29T09:00:04Z 48213 9f2c")
    for seq in (48_300, 48_400):
        anchor_file.append(str(path), Anchor(seq, "a" * 64, 1_790_000_000))
    found = anchor_file.read(str(path))
    assert [anchor.seq for anchor in found.anchors] == [48_300, 48_400]
    assert found.problem.startswith("line 1 of"), found.problem


def test_a_time_stamp_is_given_up_after_a_day(
    harness: DeliveryHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = f'tsa_url = "https://tsa.example.com"\ntsa_ca = "{tmp_path / "ca.pem"}"\n'
    harness.made.set_policy(workspace=WORKSPACE + keys)
    harness.active()

    def silent(url: str, ca: str, anchor: Anchor) -> str:
        raise SystemUnavailable("tsa.example.com did not answer")

    monkeypatch.setattr("bot.worker.anchors.stamp", silent)
    anchor_daily(harness.made.world)
    harness.turn(Queue.DECIDE)
    assert "stamp_anchor" in [kind for kind, *_ in harness.waiting(Queue.DECIDE)]
    harness.made.clock.at += STAMPED_WITHIN + 1
    harness.turn(Queue.DECIDE, times=2)
    assert "stamp_anchor" not in [kind for kind, *_ in harness.waiting(Queue.DECIDE)]
    assert harness.rows("SELECT token FROM anchors") == [("",)]
