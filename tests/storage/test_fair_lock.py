"""The lock of SQLite's writers: in order, with a time limit, and without a lost turn."""

from __future__ import annotations

import threading

import pytest

from storage.fair_lock import FairLock
from tests.waiting import until

ENOUGH = 60.0


def waiting(lock: FairLock) -> int:
    return len(lock._waiting)  # noqa: SLF001 - no public way shows that a thread waits


def test_waiters_get_the_lock_in_order() -> None:
    lock, came = FairLock(), list[int]()
    assert lock.acquire(ENOUGH)

    def wait(number: int) -> None:
        assert lock.acquire(ENOUGH)
        came.append(number)
        lock.release()

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(20)]
    for number, thread in enumerate(threads):
        thread.start()
        until(lambda number=number: waiting(lock) == number + 1)
    lock.release()
    for thread in threads:
        thread.join()
    assert came == [*range(20)]


def test_a_holder_that_asks_again_waits_behind_the_others() -> None:
    lock, came = FairLock(), list[str]()
    assert lock.acquire(ENOUGH)

    def wait() -> None:
        assert lock.acquire(ENOUGH)
        came.append("waiter")
        lock.release()

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: waiting(lock) == 1)
    lock.release()
    assert lock.acquire(ENOUGH)
    came.append("holder")
    thread.join()
    assert came == ["waiter", "holder"]


def test_a_waiter_gives_up_after_its_time_limit_and_leaves_the_line() -> None:
    lock = FairLock()
    assert lock.acquire(ENOUGH)
    assert not lock.acquire(0.01)
    assert waiting(lock) == 0
    lock.release()
    assert lock.acquire(0)


@pytest.mark.parametrize("handed_over", [False, True])
def test_an_interrupted_waiter_loses_no_turn(
    monkeypatch: pytest.MonkeyPatch, handed_over: bool
) -> None:
    lock = FairLock()
    assert lock.acquire(ENOUGH)

    def interrupt(turn: threading.Event, timeout: float | None = None) -> bool:
        if handed_over:
            lock.release()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Event, "wait", interrupt)
        with pytest.raises(KeyboardInterrupt):
            lock.acquire(ENOUGH)
    if not handed_over:
        lock.release()
    assert lock.acquire(0)
