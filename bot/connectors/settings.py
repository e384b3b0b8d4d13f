"""Tables, values and checks that the settings of several connectors have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from bot.connectors.transport.urls import checked_base
from bot.core.roles import Settings, Wrong
from bot.core.values import seconds, text

LONGEST_TIMEOUT = 300
"""Seconds that a system may be given for one answer at most."""

Text = Annotated[str, BeforeValidator(text(4000))]
Secret = Annotated[str, BeforeValidator(text(4000, least=16))]
Span = Annotated[int, BeforeValidator(seconds)]

Check = Callable[[object, Settings], None]
"""Takes one setting and all of them. Raises ValueError, with a sentence that repeats no value."""


class SystemTable(BaseModel):
    """What the table of every connector inherits: any system may have a secret, with which it
    proves itself at our endpoints."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    secret: Secret | None = None


def checking(checks: Mapping[str, Check]) -> Callable[[Settings], Wrong]:
    """Applies a check to each of these settings that is given."""

    def wrong(settings: Settings) -> Iterator[tuple[str, str]]:
        for key, check in checks.items():
            if settings.get(key) is not None:
                try:
                    check(settings[key], settings)
                except ValueError as error:
                    yield key, str(error)

    return wrong


def refuse_wrong(wrong: Wrong) -> None:
    """Raises ValueError with the first of these sentences."""
    for _, words in wrong:
        raise ValueError(words)


def api_url(url: object, _: Settings) -> None:
    checked_base(str(url))


def timeout(seconds: object, _: Settings) -> None:
    if float(str(seconds)) > LONGEST_TIMEOUT:
        raise ValueError(f"timeout must be at most {LONGEST_TIMEOUT // 60}m")


def token(token: object, _: Settings) -> None:
    """What can stand in a header."""
    if not re.fullmatch(r"[\x21-\x7e]+", str(token)):
        raise ValueError("token must be visible ASCII on one line, without spaces")
