"""Finds the duration or end that people type with a request, and separates it from the reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.durations import BadDuration, format_duration
from bot.core.end_times import names_clock, names_day, read_end
from bot.core.time_tokens import CLOSE, OPEN, Token, at, shown, tokens_of
from bot.core.typed_durations import NOT_ONE, Length, is_length, read_length

_UNTIL = frozenset({"until", "till", "til", "untill"})
_LEADING = _UNTIL | {"for"}
_SEPARATORS = frozenset(",;:.!")
_DASHES = frozenset("-–—")
_BETWEEN = frozenset({"to", "or", "and", *_DASHES})
_BOTH = "names two times; give one of the two, for example `2h` or `until 18:00`"
_MORE = "has more than a duration in it"
_LATER = "is in the reason"
_POLITE = frozenset({"please", "pls", "thanks", "thx", "only", "max"})
_MOST_WORDS = 20
_MOST_HINTS = 3
_MOST_QUOTES = 5
_OTHER_MEANING = frozenset(
    {"after", "ago", "at", "before", "by", "each", "every", "from", "in", "last", "longer", "of"}
    | {"over", "past", "per", "since", "than", "the", "took", "within"}
)
"""Words before a duration at the end of a reason that make it something else: "alerts every 5m"."""


@dataclass(frozen=True, slots=True)
class _Span:
    """`likely` is the span itself, to copy; `open` says that a quotation mark before it is not
    closed."""

    seconds: int
    beyond: int
    likely: str
    is_end: bool
    open: bool


def take_span(text: str, now: int, tz: str) -> tuple[int | None, str]:
    """Splits `[DURATION] reason…` into seconds from `now` (None: not given) and the reason, byte
    for byte.

    `now` is UTC epoch seconds, `tz` the person's IANA zone. Raises BadDuration for a beginning that
    looks like a time but is not one, for two times, and for a reason that contains "for 2h" or
    "until 18:00" without a duration before it, because the role's default must not be used silently
    then.
    """
    try:
        return _take(text, now, tz)
    except BadDuration as bad:
        raise _with_usable_hint(bad, now, tz) from None


def _take(text: str, now: int, tz: str) -> tuple[int | None, str]:
    tokens = tokens_of(text)
    try:
        span = _span(tokens, 0, now, tz)
    except BadDuration as bad:
        raise bad.leaving(text[tokens[_reach(tokens, 0, bad) - 1].end :]) from None
    if span is None:
        _refuse_day(text, tokens)
        _refuse_later(text, tokens, now, tz)
        return None, text.strip()
    beyond = _separated(tokens, span.beyond)
    _refuse_second(text, tokens, span, beyond, now, tz)
    rest = text[tokens[beyond - 1].end :].strip()
    return span.seconds, rest[:-1].rstrip() if span.open and rest[-1:] in CLOSE else rest


def parse_span(text: str, now: int, tz: str) -> int:
    """Seconds from `now` of a text that is only one duration or end. Raises BadDuration."""
    try:
        return _parse(text, now, tz)
    except BadDuration as bad:
        raise _with_usable_hint(bad, now, tz) from None


def _parse(text: str, now: int, tz: str) -> int:
    tokens = tokens_of(text)
    span = _span(tokens, 0, now, tz)
    if span is None:
        raise BadDuration(text)
    beyond = _separated(tokens, span.beyond)
    _refuse_second(text, tokens, span, beyond, now, tz)
    if beyond < len(tokens):
        raise BadDuration(text, _MORE, likely=span.likely)
    return span.seconds


def _with_usable_hint(bad: BadDuration, now: int, tz: str) -> BadDuration:
    """Replaces a suggestion that would itself be refused with the suggestion of that refusal."""
    likely = bad.likely
    for _ in range(_MOST_HINTS):
        if not likely:
            break
        try:
            _parse(likely, now, tz)
            break
        except BadDuration as worse:
            likely = worse.likely
    else:
        likely = ""
    if likely == bad.likely:
        return bad
    why = bad.why if likely else f"{bad.why}; write for example 2h or until 18:00"
    return BadDuration(bad.text, why, likely=likely, sure=bad.sure).leaving(bad.rest)


def named_time(text: str) -> str:
    """The first words in a reason that name a time of day, a date or a duration, or ""."""
    tokens = tokens_of(text)
    for place, token in enumerate(tokens):
        if token.kind in ("clock", "date"):
            return token.raw
        if token.kind == "number" and (is_length(tokens, place) or names_clock(tokens, place)):
            return shown(tokens, place, place + 2)
    return ""


def _span(tokens: Sequence[Token], place: int, now: int, tz: str) -> _Span | None:
    """The duration or end that begins here, with the quotes and brackets around it."""
    first = _opened(tokens, place)
    word = at(tokens, first).text
    inner = _opened(tokens, first + 1) if word in _LEADING else first
    opened = inner - place - (word in _LEADING)
    if word in _UNTIL:
        end = read_end(tokens, inner, now, tz)
        likely = f"until {shown(tokens, inner, end.beyond)}"
        return _bounded(tokens, place, end, opened, likely, is_end=True)
    length = read_length(tokens, inner)
    if length is None:
        return None
    return _bounded(tokens, place, length, opened, format_duration(length.seconds), is_end=False)


def _opened(tokens: Sequence[Token], place: int) -> int:
    """The place after a few quotes and brackets; a duration does not follow more of them."""
    for beyond in range(place, place + _MOST_QUOTES):
        if at(tokens, beyond).kind != "other" or at(tokens, beyond).text not in OPEN:
            return beyond
    return place


def _bounded(
    tokens: Sequence[Token], first: int, found: Length, opened: int, likely: str, *, is_end: bool
) -> _Span:
    """Includes the closing quotes. Raises BadDuration if other characters follow the span
    directly."""
    beyond = found.beyond
    while opened and at(tokens, beyond).kind == "other" and at(tokens, beyond).text in CLOSE:
        beyond, opened = beyond + 1, opened - 1
    after = at(tokens, beyond)
    if after.gap or after.text in _SEPARATORS or (after.kind == "other" and after.text in CLOSE):
        return _Span(found.seconds, beyond, likely, is_end, opened > 0)
    second = _second(tokens, beyond + 1)
    if second is not None and second.seconds > found.seconds:
        likely = format_duration(second.seconds)
    typed = shown(tokens, first, second.beyond if second else _word_end(tokens, beyond))
    raise BadDuration(typed, NOT_ONE, likely=likely)


def _second(tokens: Sequence[Token], place: int) -> Length | None:
    """The second duration of `1h-2h`."""
    try:
        return read_length(tokens, place)
    except BadDuration:
        return None


def _word_end(tokens: Sequence[Token], place: int) -> int:
    while not at(tokens, place).gap:
        place += 1
    return place


def _reach(tokens: Sequence[Token], place: int, bad: BadDuration) -> int:
    """The place after the words that were refused."""
    refused = bad.text.removeprefix("until ").lower()  # "till" is shown as "until"
    for beyond in range(place + 1, min(len(tokens), place + _MOST_WORDS) + 1):
        if shown(tokens, place, beyond).lower().endswith(refused):
            return beyond
    return place + 1


def _separated(tokens: Sequence[Token], place: int) -> int:
    """Skips the comma, colon or dash between a duration and the reason."""
    token, following = at(tokens, place), at(tokens, place + 1)
    is_dash = token.text in _DASHES and token.gap and following.gap
    return place + 1 if is_dash or (token.kind == "other" and token.text in _SEPARATORS) else place


def _refuse_second(
    text: str, tokens: Sequence[Token], span: _Span, place: int, now: int, tz: str
) -> None:
    """Refuses `1h to 2h` and `2h until 18:00`; the longer duration is the likely one."""
    place = place + 1 if at(tokens, place).text in _BETWEEN else place
    likely = span.likely
    try:
        second = _span(tokens, place, now, tz)
        if second is None:
            return
        beyond = second.beyond
        if not (span.is_end or second.is_end) and second.seconds > span.seconds:
            likely = second.likely
    except BadDuration as bad:
        if not bad.sure:
            return
        beyond = _reach(tokens, place, bad)
    raise BadDuration(shown(tokens, 0, beyond), _BOTH, likely=likely).leaving(
        text[tokens[min(beyond, len(tokens)) - 1].end :]
    )


def _refuse_day(text: str, tokens: Sequence[Token]) -> None:
    """Refuses a reason that begins with a day and a time, or with "by" a time: an end without
    "until"."""
    first = 1 if at(tokens, 0).text == "by" else 0
    day = names_day(at(tokens, first))
    clock = first + 1 if day else first
    if names_clock(tokens, clock) and (day or first):
        beyond = clock + (1 if at(tokens, clock).kind == "clock" else 2)
        likely = f"until {shown(tokens, first, beyond)}"
        bad = BadDuration(shown(tokens, 0, beyond), NOT_ONE, likely=likely, sure=False)
        raise bad.leaving(text[tokens[beyond - 1].end :])


def _refuse_later(text: str, tokens: Sequence[Token], now: int, tz: str) -> None:
    """Refuses a reason that contains "for 2h" or "until 18:00", or ends with a duration."""
    for place in range(1, len(tokens)):
        if (found := _later(tokens, place, now, tz)) is not None:
            likely, beyond = found
            before, after = text[: tokens[place].start], text[tokens[beyond - 1].end :]
            rest = " ".join(filter(None, (before.rstrip(" ,;-–—"), after.strip(" .,;!"))))
            words = shown(tokens, place, beyond)
            raise BadDuration(words, _LATER, likely=likely, sure=False).leaving(rest)


def _later(tokens: Sequence[Token], place: int, now: int, tz: str) -> tuple[str, int] | None:
    token = at(tokens, place)
    if token.text in _UNTIL or token.text == "for":
        try:
            span = _span(tokens, place, now, tz)
        except BadDuration as bad:
            sure = bad.sure or at(tokens, place + 1).kind == "word"
            return (bad.likely, _reach(tokens, place, bad)) if sure and bad.likely else None
        return (span.likely, span.beyond) if span else None
    is_start = token.gap and at(tokens, _opened(tokens, place)).kind == "number"
    if not is_start or tokens[place - 1].text in _OTHER_MEANING:
        return None
    try:
        span = _span(tokens, place, now, tz)
    except BadDuration:
        return None
    return (span.likely, span.beyond) if span and _ends(tokens, span.beyond) else None


def _ends(tokens: Sequence[Token], place: int) -> bool:
    rest = (at(tokens, later) for later in range(place, len(tokens)))
    return all(token.kind == "other" or token.text in _POLITE for token in rest)
