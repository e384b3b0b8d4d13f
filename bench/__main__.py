"""`python -m bench [P1 P9 …] [--quick]` measures, and prints every figure beside its goal and the
limit of the same run."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import textwrap
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

from bench import (
    acks,
    ends,
    evidence,
    flags,
    gate,
    lifecycle,
    log,
    policy,
    process,
    reviews,
    rules,
    slow,
    streams,
    trace,
    workspace,
)
from bench.acks import raw_file, transactions
from bench.measure import FULL, QUICK, Line, Scale, ms
from bench.place import a_folder, remove_postgres
from bench.why import WHY

FIGURES: Mapping[str, Callable[[Scale], Iterator[Line]]] = {
    **acks.FIGURES,
    **lifecycle.FIGURES,
    **ends.FIGURES,
    **gate.FIGURES,
    **log.FIGURES,
    **process.FIGURES,
    **rules.FIGURES,
    **policy.FIGURES,
    **flags.FIGURES,
    **evidence.FIGURES,
    **workspace.FIGURES,
    **reviews.FIGURES,
    **streams.FIGURES,
    **slow.FIGURES,
}
WIDTHS = (4, 42, 40, 40, 11, 11, 3)
HEAD = ("", "what", "ours", "limit", "figure", "goal", "")


def main() -> None:
    about = (
        "Measures and prints P1 to P24, S1 of the sandbox, and C6 to C11: P6 to P11 with slow"
        " systems."
    )
    parser = argparse.ArgumentParser(prog="python -m bench", description=about)
    parser.add_argument(
        "figures",
        nargs="*",
        metavar="P1",
        help=(
            f"which ones of {', '.join(FIGURES)}; default: all. `trace` alone counts instead what a"
            " request, Approve, an end and GET /auth run through: files, functions, calls and"
            " transactions"
        ),
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds and less data, for a rough look"
    )
    parser.add_argument(
        "--in-order",
        action="store_true",
        help="with `trace`: list every call, indented by its caller",
    )
    asked = parser.parse_args()
    if asked.figures == ["trace"]:
        trace.show(1 if asked.quick else trace.RUNS, asked.in_order)
        return
    if unknown := [name for name in asked.figures if name not in FIGURES]:
        parser.error(f"there is no figure {', '.join(unknown)}; there are {', '.join(FIGURES)}")
    sys.exit(run(asked.figures or list(FIGURES), QUICK if asked.quick else FULL))


def run(names: list[str], scale: Scale) -> int:
    """Prints the table; the exit code is 1 only when something could not be measured."""
    began, failed, lines, took = time.monotonic(), [], list[tuple[str, Line]](), dict[str, float]()
    # Of the sandbox, whose calls are cut off at the end of a figure.
    logging.disable(logging.CRITICAL)
    print(f"{scale.name}: {scale.rounds} rounds, medians, legs interleaved. {machine()}")
    show(HEAD)
    with ExitStack() as stack:
        stack.callback(remove_postgres)
        stack.callback(log.forget)
        for name in names:
            at = time.monotonic()
            progress(f"{name} … ({len(failed) + len({n for n, _ in lines})} of {len(names)} done)")
            try:
                for line in FIGURES[name](scale):
                    lines.append((name, line))
                    show(
                        (
                            name,
                            line.what,
                            line.ours,
                            line.limit,
                            line.value_text,
                            line.wanted,
                            "yes" if line.reached else "NO",
                        )
                    )
            except Exception:
                traceback.print_exc()
                failed.append(name)
            took[name] = time.monotonic() - at
    explain(list(dict.fromkeys(name for name, line in lines if not line.reached)), scale)
    for name, note in dict.fromkeys((name, line.note) for name, line in lines if line.note):
        print(f"{name}: {note}.")
    reached = sum(line.reached for _, line in lines)
    print(f"{reached} of {len(lines)} lines reach their goal; {time.monotonic() - began:.0f} s.")
    print("Seconds:", ", ".join(f"{name} {seconds:.0f}" for name, seconds in took.items()))
    if failed:
        print("Could not be measured:", ", ".join(failed))
    return 1 if failed else 0


def explain(missed: list[str], scale: Scale) -> None:
    """Prints where the time goes, for each figure that missed its goal."""
    if missed:
        print("Where the CPU time goes, under Python's profiler:")
    for name in missed:
        progress(f"{name}, profiled …")
        for line in WHY[name](scale) if name in WHY else ():
            progress("")
            print(textwrap.fill(f"{name}: {line}", 160, subsequent_indent="    "), flush=True)


def machine() -> str:
    """Describes the machine, on which the absolute numbers depend."""
    with a_folder() as folder, raw_file(folder) as connection:
        commit = transactions(connection, 50).p50
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{os.cpu_count()} cores{load}, Python {sys.version.split()[0]}, a durable commit takes"
        f" {ms(commit)}."
    )


def show(cells: tuple[str, ...]) -> None:
    progress("")
    wrapped = [
        textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, WIDTHS, strict=True)
    ]
    for number in range(max(map(len, wrapped))):
        row = [part[number] if number < len(part) else "" for part in wrapped]
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, WIDTHS, strict=True)).rstrip(),
            flush=True,
        )


def progress(words: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
