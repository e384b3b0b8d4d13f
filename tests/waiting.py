"""Waits for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(look: Callable[[], Found | None], timeout: float = 60, every: float = 0.02) -> Found:
    """Calls `look` until it returns something true. Raises TimeoutError."""
    give_up = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"not so within {timeout:g} s")
        time.sleep(every)
    return found
