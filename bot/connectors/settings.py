"""Tables, values and checks that several connectors use for their settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from bot.connectors.transport.urls import checked_base
from bot.core.roles import Settings, Wrong
from bot.core.values import seconds, text

LONGEST_TIMEOUT = 300
"""The longest timeout in seconds for one answer."""

Text = Annotated[str, BeforeValidator(text(4000))]
Secret = Annotated[str, BeforeValidator(text(4000, least=16))]
Span = Annotated[int, BeforeValidator(seconds)]

Check = Callable[[object, Settings], None]
"""Takes one setting and all of them. Raises ValueError with a sentence that quotes no value."""


class SystemTable(BaseModel):
    """The base of every connector's table: any system may have a secret, which it sends to our
    endpoints."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    secret: Secret | None = None


def checking(checks: Mapping[str, Check]) -> Callable[[Settings], Wrong]:
    """Applies a check to each of these settings that is set."""

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
    """A value for a header."""
    if not re.fullmatch(r"[\x21-\x7e]+", str(token)):
        raise ValueError("token must be visible ASCII on one line, without spaces")
