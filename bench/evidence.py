"""P22: the folder of evidence over a long log, with its verification. Nothing does the same work
without the bot, so there is no limit beside it."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator

from bench.log import long_log
from bench.measure import Line, Scale, memory_of, ms
from bench.place import LEA, Place, a_child, a_place, answer, jobs
from bot.cli.evidence import write_folder
from bot.core.evidence import Period, Sample
from bot.operations.audit.verify_audit import verify_audit

SECONDS, MEMORY = 60.0, 100.0


def evidence(scale: Scale) -> Iterator[Line]:
    """P22"""
    for kind in ("SQLite", "PostgreSQL"):
        with long_log(kind, scale) as place:
            if place is None:
                continue
            with a_child("bench.evidence", place.url) as child:
                before = memory_of(child.pid)
                took = float(child.ask()["wall"])
                grown = memory_of(child.pid, "VmHWM") - before
        what = f"evidence over {scale.rows:,} records, {kind}"
        yield Line(what, ms(took), "–", took, SECONDS, unit="s")
        yield Line(f"{what}: memory", f"{grown:.0f} MiB", "–", grown, MEMORY, unit="MiB")


FIGURES = {"P22": evidence}

# --- the process that writes the folder


def _write(place: Place) -> None:
    """All of the log, with a sample of 25."""
    out = place.folder / "evidence"
    period = Period(0, int(time.time()))
    write_folder(place.world, LEA, period, Sample(25, "bench"), verify_audit(place.world), out)
    shutil.rmtree(out)


def _child() -> None:
    with a_place() as place:
        place.url = sys.argv[1]
        with place.world.db.reading():
            place.world.db.row("SELECT 1")
        answer(ready=True)
        for _ in jobs():
            began = time.perf_counter()
            _write(place)
            answer(wall=time.perf_counter() - began)


if __name__ == "__main__":
    _child()
