"""Words about the duration of a request: the way it was read, or the words to type instead."""

from bot.core.durations import BadDuration, format_duration
from bot.core.model import Request
from bot.core.spans import named_time
from bot.slack.blocks import Part, bold, date

_LONGEST_COPY = 200
"""The most characters of a command that a person is asked to copy; a longer reason is written as
REASON."""


def duration_parts(request: Request) -> list[Part]:
    """The duration of a request, and its end in the reader's zone."""
    lasts: list[Part] = [" for ", bold(format_duration(request.duration))]
    if request.start_at is not None:
        return [*lasts, ", until ", date(request.start_at + request.duration), "."]
    return [*lasts, ", until ", date(request.created_at + request.duration), " if it starts now."]


def default_note(reason: str, used: str = "the role's default") -> str:
    """Says that no duration was given, and quotes a time in the reason that was not read as one."""
    named = named_time(reason)
    note = f"You gave no duration, so this is {used}."
    if not named:
        return note
    return (
        f"{note} `{named}` was read as part of the reason; to ask for another duration, put it"
        " before the reason."
    )


def advice(bad: BadDuration, command: str, text: str, default: int) -> str:
    """A refusal with a command to copy; `command` is the part before `text`."""
    if not bad.likely:
        return str(bad)
    refusal = f"{bad} Then write: `{command} {bad.likely} {_copied(bad.rest)}`."
    if bad.sure:
        return refusal
    other = f"{command} {format_duration(default).replace(' ', '')}: {_copied(text)}"
    return f"{refusal} If it is part of the reason, put the duration first: `{other}`."


def _copied(reason: str) -> str:
    usable = reason and len(reason) <= _LONGEST_COPY and reason.isprintable() and "`" not in reason
    return reason if usable else "REASON"
