"""Every check runs once a second, whatever happens in the other checks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from bot.clock import Clock
from bot.core.errors import StorageUnavailable
from bot.worker.ticker import CommitWatcher, Ticker
from tests.waiting import until


@dataclass
class Check:
    """A check that counts its runs, and raises the exceptions that a test gives."""

    at: list[float] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def __call__(self) -> None:
        self.at.append(time.time())
        if self.errors:
            raise self.errors.pop()


@pytest.fixture
def watching() -> Iterator[Callable[..., Ticker]]:
    started: list[Ticker] = []

    def watch(**checks: Callable[[], object]) -> Ticker:
        started.append(Ticker(Clock().exact, checks))
        started[-1].start()
        return started[-1]

    yield watch
    for each in started:
        each.stop()


class Pauses(threading.Event):
    """Replaces waiting: each pause moves the clock by its length, and by `held_up` seconds."""

    def __init__(self, *held_up: float) -> None:
        super().__init__()
        self.at, self.held_up = 1000.4, list(held_up)

    def wait(self, timeout: float | None = None) -> bool:
        if not self.held_up:
            return True
        self.at += (timeout or 0) + self.held_up.pop(0)
        return False


def test_checks_run_once_in_every_second_right_after_its_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also after a delay: the next check is on time again."""
    pauses, seen = Pauses(0, 0, 0.7, 0, 2.2, 0), list[float]()
    watch = Ticker(lambda: pauses.at, {"look": lambda: seen.append(pauses.at)})
    monkeypatch.setattr(watch, "_stopping", pauses)
    watch.start()
    watch.stop()
    assert seen == pytest.approx([1001.05, 1002.05, 1003.75, 1004.05, 1007.25, 1008.05])


def test_a_check_that_fails_runs_again_and_delays_no_other(
    watching: Callable[..., Ticker],
) -> None:
    bad, good = Check(errors=[RuntimeError("a bug"), StorageUnavailable("locked")]), Check()
    watch = watching(bad=bad, good=good)
    until(lambda: len(bad.at) >= 3)
    assert len(good.at) >= 2 and watch.well()


def test_a_ticker_that_hangs_or_was_stopped_is_unwell(
    watching: Callable[..., Ticker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.worker.ticker.WELL", 1.5)
    go_on = threading.Event()
    watch = watching(hangs=lambda: go_on.wait(30))
    assert watch.well()
    until(lambda: not watch.well())
    go_on.set()
    until(watch.well)
    watch.stop()
    assert not watch.well()


class TestCommits:
    def test_the_rows_are_read_once_for_all_commits_since(self) -> None:
        version, check = [7], Check()
        commits = CommitWatcher(lambda: version[0], [check])
        for _ in range(3):
            commits.check()
        assert len(check.at) == 1
        version[0] += 2
        commits.check()
        commits.check()
        assert len(check.at) == 2

    def test_if_commits_cannot_be_seen_every_check_reads_the_rows(self) -> None:
        check = Check()
        commits = CommitWatcher(lambda: 0, [check])
        commits.check()
        commits.check()
        assert len(check.at) == 2

    def test_a_failed_read_is_repeated_without_a_new_commit(self) -> None:
        check, after = Check(errors=[StorageUnavailable("locked")]), Check()
        commits = CommitWatcher(lambda: 7, [check, after])
        with pytest.raises(StorageUnavailable):
            commits.check()
        commits.check()
        assert (len(check.at), len(after.at)) == (2, 1)

    def test_after_a_failure_the_version_may_be_of_another_connection(self) -> None:
        answers: list[int | Exception] = [7, StorageUnavailable("gone"), 7]

        def version() -> int:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        check = Check()
        commits = CommitWatcher(version, [check])
        commits.check()
        with pytest.raises(StorageUnavailable):
            commits.check()
        commits.check()
        assert len(check.at) == 2
