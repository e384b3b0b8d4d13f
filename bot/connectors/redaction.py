"""Redacts the values that `${…}` gave a system's settings from everything that the system returns,
in every encoding in which it may repeat them.
"""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from html import escape
from typing import Any, cast
from urllib.parse import quote, quote_plus, unquote, urlsplit

from bot.connectors.base import Connector, ObservedAccess, Prompt, Session
from bot.core.errors import AccessBotError, SystemUnavailable
from bot.core.roles import System

LEAST_SECRET = 6
"""Only values of at least this many characters are redacted: a shorter one would match harmless
words, and so be revealed."""

LEAST_LINE = 16
"""The least characters of a line of a value, or of a part of its base64, that is redacted on its
own."""

_PERCENT = re.compile("%[0-9A-F]{2}")
_CURRENT: ContextVar["Redaction | None"] = ContextVar("redaction", default=None)


def redacted(text: str) -> str:
    """`text` without the secrets of the system that this thread is calling. Call it before you cut
    a text, because half a secret can't be found afterwards."""
    current = _CURRENT.get()
    return current.clean(text) if current else text


def redacting(connector: Connector, system: System) -> Connector:
    """The connector with the same protocols, and with this system's secrets redacted from its
    errors and results."""
    redaction = Redaction(system)
    if not redaction:
        return connector
    members: dict[str, object] = {}
    for names, wrapped in ((_CALLS, _call), (_LISTS, _list), (_VALUES, _value)):
        members |= {
            name: wrapped(connector, name, redaction) for name in names if hasattr(connector, name)
        }
    return cast(Connector, type(f"Redacting{type(connector).__name__}", (), members)())


class Redaction:
    """The secrets of one system."""

    def __init__(self, system: System) -> None:
        self._system = system.name
        self._names: dict[str, str] = {}
        for name, value in system.secrets.items():
            for form in _forms(value):
                if form not in system.name:
                    self._names.setdefault(form, f"[{name}]")
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def __bool__(self) -> bool:
        return bool(self._names)

    def clean(self, text: str) -> str:
        return self._pattern.sub(lambda match: self._names[match.group()], text)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Redacts errors raised inside, and drops their causes, because a log would show these,
        too."""
        token = _CURRENT.set(self)
        try:
            yield
        except AccessBotError as error:
            self._clean_error(error)
            raise error from None
        except Exception as error:
            if not self._is_dirty(error):
                raise
            words = f"{self._system}: unexpected {type(error).__name__}, whose words hold a secret"
            raise SystemUnavailable(words) from None
        finally:
            _CURRENT.reset(token)

    def clean_result(self, result: Any) -> Any:
        """Redacts the result of a method, except a holder's credentials and the names that identify
        things."""
        match result:
            case str():
                return self.clean(result)
            case Prompt():
                return replace(result, hint=self.clean(result.hint), wrong=self.clean(result.wrong))
            case ObservedAccess():
                return replace(
                    result,
                    detail=self.clean(result.detail),
                    lacks=tuple(map(self.clean, result.lacks)),
                )
            case Session():
                return replace(result, source=self.clean(result.source))
        return result

    def _clean_error(self, error: BaseException) -> None:
        error.args = tuple(
            self.clean(each) if isinstance(each, str) else each for each in error.args
        )
        for name, value in vars(error).items():
            if isinstance(value, str):
                setattr(error, name, self.clean(value))

    def _is_dirty(self, error: BaseException | None) -> bool:
        while error is not None:
            text = "\n".join([str(error), repr(error), *getattr(error, "__notes__", ())])
            if self._pattern.search(text) or self._pattern.search(text.replace("\\", "")):
                return True
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return False


def _forms(value: str) -> set[str]:
    """The encodings of a value that are redacted."""
    plain = {value, unquote(value), " ".join(value.split()), *_parts_of_url(value)}
    plain |= {line.strip() for line in value.splitlines() if len(line.strip()) >= LEAST_LINE}
    found: set[str] = set()
    for each in (each for each in plain if len(each) >= LEAST_SECRET):
        quotes = {quote(each), quote(each, safe=""), quote_plus(each)}
        quotes |= {_PERCENT.sub(lambda match: match.group().lower(), form) for form in quotes}
        as_json = {
            json.dumps(each)[1:-1],
            json.dumps(each, ensure_ascii=False)[1:-1],
            repr(each)[1:-1],
        }
        data = each.encode()
        found |= {
            each,
            *quotes,
            *as_json,
            escape(each),
            data.hex(),
            data.hex().upper(),
            *_base64_of(data),
        }
    return found


def _parts_of_url(value: str) -> set[str]:
    """The secret parts of a URL: its password, and everything after its host."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return set()
    if not parts.scheme or not parts.netloc:
        return set()
    login, _, _ = parts.netloc.rpartition("@")
    password = login.partition(":")[2]
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return {password, unquote(password), path, parts.query}


def _base64_of(data: bytes) -> Iterator[str]:
    """The part that the base64 of every text with `data` has in common, at each of three
    offsets."""
    for before in range(3):
        padded = b"\0" * before + data
        first, last = -(-before * 8 // 6), len(padded) * 8 // 6
        for encode in (b64encode, urlsafe_b64encode):
            if len(form := encode(padded).decode()[first:last]) >= LEAST_LINE // 2:
                yield form


# --- a connector's members, by their results

_CALLS = (
    "grant",
    "extend",
    "revoke",
    "revoke_all",
    "read_back",
    "remove",
    "credentials",
    "public_key",
)
_LISTS = ("check", "list_active", "sessions")
_VALUES = ("shares", "target")


def _call(connector: Connector, name: str, redaction: Redaction) -> Callable[..., Any]:
    method = getattr(connector, name)

    def call(_: object, *args: object, **named: object) -> Any:
        with redaction.calling():
            result = method(*args, **named)
        return redaction.clean_result(result)

    return call


def _list(connector: Connector, name: str, redaction: Redaction) -> Callable[..., Iterator[Any]]:
    method = getattr(connector, name)

    def call(_: object, *args: object, **named: object) -> Iterator[Any]:
        with redaction.calling():
            result = method(*args, **named)
        return each_of(result)

    def each_of(result: Iterable[Any]) -> Iterator[Any]:
        rest = iter(result)
        while True:
            with redaction.calling():
                found = next(rest, _END)
            if found is _END:
                return
            yield redaction.clean_result(found)

    return call


def _value(connector: Connector, name: str, redaction: Redaction) -> property:
    return property(lambda _: getattr(connector, name))


_END = object()
