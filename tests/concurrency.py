"""Runs things at once: threads that start at the same moment, and separate processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from storage.database import Database

T = TypeVar("T")
ROOT = Path(__file__).parent.parent


def together(db: Database, calls: Sequence[Callable[[], T]]) -> list[T]:
    """Runs each call in a thread, all started at once; returns their results in order."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        try:
            gate.wait()
            return call()
        finally:
            if db.is_sqlite:
                db.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def processes(number: int, script: str, *arguments: str) -> list[str]:
    """Runs the script in this number of Python processes in parallel and returns their outputs. One
    that fails fails the test, with its output."""
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    running = [
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(number)
    ]
    said = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0] * number, said
    return [output.strip() for output, _ in said]
