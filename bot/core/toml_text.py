"""Writes values as TOML, for changes of roles.toml that people copy."""

import json
from collections.abc import Sequence

from bot.core.durations import format_duration


def toml_text(value: str | Sequence[str]) -> str:
    """A text or a list of texts, which TOML writes as JSON does."""
    given = value if isinstance(value, str) else list(value)
    return json.dumps(given, ensure_ascii=False)


def toml_span(seconds: int) -> str:
    """A duration; none is `0d`."""
    return toml_text(format_duration(seconds).replace(" ", "") if seconds else "0d")
