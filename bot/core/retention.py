"""How long the bot keeps what it recorded."""

from dataclasses import dataclass

YEAR = 366 * 86400
"""Seconds of a year of `[retention]`: never shorter than any calendar year."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Seconds; None keeps everything. `usage` is for the details of use: addresses, sessions and
    paths."""

    usage: int | None = None
