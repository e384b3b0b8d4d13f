"""Measures figures: the legs of a comparison interleaved over several rounds, their median, and CPU
time beside wall time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

__all__ = [
    "FULL",
    "QUICK",
    "TINY",
    "Line",
    "Scale",
    "Spent",
    "Watch",
    "cpu_of",
    "interleave",
    "median",
    "paired",
]


@dataclass(frozen=True, slots=True)
class Scale:
    """The amounts: rounds of each comparison, requests in each leg, grants that end at once, audit
    records, lifecycles, and seconds of watching a process."""

    name: str
    rounds: int
    loads: int
    many: int
    rows: int
    lives: int
    seconds: float


FULL = Scale("full", rounds=5, loads=320, many=10_000, rows=1_000_000, lives=16, seconds=20)
QUICK = Scale("quick", rounds=3, loads=128, many=1_000, rows=100_000, lives=6, seconds=5)
TINY = Scale("tiny", rounds=1, loads=8, many=30, rows=300, lives=1, seconds=0.3)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table. `value` is compared with `goal`; with `least` more is better; `note`
    explains the number to a reader."""

    what: str
    ours: str
    limit: str
    value: float
    goal: float
    least: bool = False
    unit: str = "×"
    note: str = ""

    @property
    def reached(self) -> bool:
        return self.value >= self.goal if self.least else self.value <= self.goal

    @property
    def value_text(self) -> str:
        return _figure(self.value, self.unit)

    @property
    def wanted(self) -> str:
        return ("≥ " if self.least else "≤ ") + _figure(self.goal, self.unit)


def _figure(value: float, unit: str) -> str:
    if unit == "×":
        return f"{value:.2f} ×" if value >= 0.1 else f"{value:.3f} ×"
    return (f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}").strip()


@dataclass(frozen=True, slots=True)
class Spent:
    """The result of one leg: seconds, CPU seconds of the measured process, the number of items, and
    the seconds of each."""

    wall: float
    cpu: float
    count: int = 1
    each: Sequence[float] = field(default=(), repr=False)

    @property
    def rate(self) -> float:
        return self.count / self.wall

    @property
    def p50(self) -> float:
        return median(self.each)

    def quantile(self, share: float) -> float:
        ordered = sorted(self.each)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


Leg = Callable[[], Spent]


def interleave(rounds: int, legs: Mapping[str, Leg], warm: bool = True) -> dict[str, list[Spent]]:
    """Runs every leg once in each round, in turning order, so that a disturbance affects all legs
    alike. With `warm` a first round is thrown away."""
    found: dict[str, list[Spent]] = {name: [] for name in legs}
    for number in range(-1 if warm and rounds > 1 else 0, rounds):
        order = list(legs.items())
        for name, leg in order if number % 2 else reversed(order):
            spent = leg()
            if number >= 0:
                found[name].append(spent)
    return found


def paired(
    found: Mapping[str, Sequence[Spent]], a: str, b: str, by: Callable[[Spent], float]
) -> float:
    """The median over the rounds of `a` divided by `b`, both of the same round."""
    return median([by(x) / by(y) for x, y in zip(found[a], found[b], strict=True)])


def middle(found: Iterable[Spent], by: Callable[[Spent], float]) -> float:
    return median([by(spent) for spent in found])


class Watch:
    """Wall and CPU time of this process since the object was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def spent(self, count: int = 1, each: Sequence[float] = ()) -> Spent:
        return Spent(time.perf_counter() - self._wall, time.process_time() - self._cpu, count, each)


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and all its threads, as exact as the system reports them (Linux:
    nanoseconds)."""
    total = 0.0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((thread / "schedstat").read_text().split()[0]) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            continue  # this thread has just ended
    return total


def memory_of(pid: int, what: str = "VmRSS") -> float:
    """MiB of memory: VmRSS is resident now, VmHWM is the maximum so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) / 1024
    raise LookupError(what)


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
