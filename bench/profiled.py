"""Runs the real bot with every thread under Python's profiler, by CPU time: `python -m
bench.profiled VERB`. At its end it writes where its time went since SIGUSR1 into the file
BENCH_PROFILE (seconds by part, as JSON). With BENCH_RECORD it is the bot of `bench.recorded`."""

from __future__ import annotations

import cProfile
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

Function = tuple[str, int, str]
Stats = Mapping[Function, Any]
"""As in `pstats`: `(calls, calls without recursion, own seconds, all seconds, callers)` of each
function."""

PROFILER = "the profiler"
PARTS: tuple[tuple[str, str], ...] = (
    ("cProfile", PROFILER),
    ("_lsprof", PROFILER),
    ("'execute' of 'sqlite3.Cursor'", "SQLite: begin and commit"),
    ("'sqlite3.", "SQLite: statements"),
    ("psycopg", "psycopg"),
    ("slack_bolt", "Bolt"),
    ("slack_sdk", "slack_sdk"),
    ("uvicorn", "HTTP server"),
    ("starlette", "HTTP server"),
    ("anyio", "HTTP server"),
    ("/asyncio/", "HTTP server"),
    ("itsdangerous", "signatures"),
    ("peewee", "peewee"),
    ("/storage/", "ours: storage"),
    ("/bot/core/", "ours: decisions"),
    ("/bot/operations/", "ours: decisions"),
    ("/bot/slack/", "ours: Slack"),
    ("/bot/web/", "ours: HTTP"),
    ("/bot/", "ours: delivery and clock"),
)
"""A part of a function's or file's name, and the part of the work that it belongs to; the first
match counts."""

REST = "Python's library"
DEEP = 8
WAITING = ("'select.", "time.sleep", "'_thread.", "_queue")
"""Functions that only wait: they use hardly any CPU, but the profiler's own cost is counted
there."""


def by_part(stats: Stats) -> dict[str, float]:
    """Seconds of CPU by part; time in Python's library counts for the caller."""
    works_for = {function: {_part(function): 1.0} for function in stats}
    for _ in range(DEEP):
        works_for = {function: _for_callers(function, stats, works_for) for function in stats}
    found: Counter[str] = Counter()
    for function, (_, _, own, _, _) in stats.items():
        if not any(word in function[2] for word in WAITING):
            for part, share in works_for[function].items():
                found[part] += own * share
    found.pop(PROFILER, None)
    return dict(found)


def since(stats: Stats, before: Stats) -> Stats:
    """The time spent after `before` was taken; callers at the start are ignored."""
    spent: dict[Function, Any] = {}
    for function, (calls, simple, own, whole, callers) in stats.items():
        _, _, own_before, _, callers_before = before.get(function, (0, 0, 0.0, 0.0, {}))
        left = {
            caller: (*rest, each - callers_before.get(caller, (0, 0, 0.0, 0.0))[2], through)
            for caller, (*rest, each, through) in callers.items()
        }
        spent[function] = (calls, simple, own - own_before, whole, left)
    return spent


def _for_callers(
    function: Function, stats: Stats, known: Mapping[Function, dict[str, float]]
) -> dict[str, float]:
    """The parts for which a function works, with their shares: its own part, or those of its
    callers."""
    callers = {
        caller: own for caller, (_, _, own, _) in stats[function][4].items() if caller in known
    }
    whole = sum(callers.values())
    if _part(function) != REST or not whole:
        return known[function]
    found: Counter[str] = Counter()
    for caller, own in callers.items():
        for part, share in known[caller].items():
            found[part] += share * own / whole
    return found


def _part(function: Function) -> str:
    name = f"{function[0]} {function[2]}"
    return next((part for words, part in PARTS if words in name), REST)


def shares(parts: Mapping[str, float], least: float = 0.02) -> str:
    """`Bolt 31 %, SQLite: statements 20 %, …`, the largest first."""
    total = sum(parts.values()) or 1
    largest = sorted(parts.items(), key=lambda item: -item[1])
    return ", ".join(
        f"{part} {seconds / total:.0%}" for part, seconds in largest if seconds / total >= least
    )


class Profiled:
    """Profiles this thread, and every thread from now on."""

    def __init__(self) -> None:
        self._made: list[cProfile.Profile] = []
        self._before: list[Stats] = []
        threading.setprofile(self._begin)
        self._begin()

    def _begin(self, *_: object) -> None:
        profiler = cProfile.Profile(time.thread_time)
        self._made.append(profiler)
        profiler.enable()

    def _taken(self) -> list[Stats]:
        for profiler in (made := list(self._made)):
            profiler.snapshot_stats()  # type: ignore[attr-defined]  # typeshed leaves it out
        return [profiler.stats for profiler in made]  # type: ignore[attr-defined]

    def forget(self, *_: object) -> None:
        """Discards the time until now, above all that of the start."""
        self._before = self._taken()

    def write(self, path: Path) -> None:
        spent = (
            by_part(since(stats, before))
            for stats, before in zip_longest(self._taken(), self._before, fillvalue={})
        )
        path.write_text(json.dumps(sum(map(Counter, spent), Counter[str]())))


def main() -> None:
    from bot import cli

    if "BENCH_RECORD" in os.environ:
        from bench.recorded import record

        record()
    profiled, leave = Profiled(), os._exit

    def write_and_leave(code: int) -> None:
        profiled.write(Path(os.environ["BENCH_PROFILE"]))
        leave(code)

    signal.signal(signal.SIGUSR1, profiled.forget)
    os._exit = write_and_leave  # type: ignore[assignment]  # which is how a bot that serves ends
    cli.main()


if __name__ == "__main__":
    main()
