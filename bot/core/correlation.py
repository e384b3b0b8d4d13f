"""Carries one id from a click or a job to all work that follows from it, so that the log lines
about it can be found together.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_CURRENT: ContextVar[str] = ContextVar("correlation", default="")


def current() -> str:
    """Returns the id of the click or job that this thread works for, or ""."""
    return _CURRENT.get()


@contextmanager
def correlated(id: str = "") -> Iterator[str]:
    """A scope with this id, or with a new one."""
    id = id or secrets.token_hex(4)
    before = _CURRENT.set(id)
    try:
        yield id
    finally:
        _CURRENT.reset(before)
