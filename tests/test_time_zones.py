"""Nothing depends on the machine's time zone, nor on its wall clock at a change of daylight
saving."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.concurrency import ROOT

TIMES = [
    "tests/core/test_durations.py",
    "tests/core/test_lifecycle.py",
    "tests/operations/test_holding.py",
]
PLACES = {
    "half an hour off": {"TZ": "Asia/Kolkata"},
    "summer time begins in half an hour": {"TZ": "Europe/Berlin", "TEST_START": "1774744200"},
    "summer time ends in half an hour": {"TZ": "Europe/Berlin", "TEST_START": "1792888200"},
}


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_the_rules_of_time_hold_in_any_time_zone(place: dict[str, str]) -> None:
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "pytest",
        "-q",
        "-n0",
        "-p",
        "no:cacheprovider",
        "-k",
        "not postgresql",
    ]
    found = subprocess.run(
        [*command, *TIMES], cwd=ROOT, env={**os.environ, **place}, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-1000:]
