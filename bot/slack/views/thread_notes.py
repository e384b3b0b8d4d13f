"""Notes in the thread of an approval message after the decision, or for many requests as one
message in the channel.
"""

from collections.abc import Callable, Mapping, Sequence

from bot.core.model import Grant
from bot.operations.requests.describe_request import RequestCard
from bot.slack.blocks import (
    Message,
    Part,
    bold,
    date,
    listing,
    message,
    paragraph,
    rich,
    section,
    typed,
    who,
)
from bot.slack.views._fit import MESSAGE_CHARACTERS, fit
from bot.slack.views._parts import (
    SILENT_ROOM,
    ended_because,
    role_parts,
    title_text,
    used_parts,
    why_words,
)

Facts = Mapping[str, object]


def render(note: str, facts: Facts, card: RequestCard) -> Message:
    """One later event: renewed {by, ends_at}, not_started {why} or ended {grant, why}."""
    title = title_text(card.role, card.request.role)
    return message(f"{title}: {_SHORT[note]}.", paragraph([*_NOTES[note](facts, card), "."]))


def digest(notes: Sequence[tuple[str, Facts, RequestCard]]) -> Message:
    """Many later events at once, as one message."""
    each: list[list[Part]] = [
        [
            typed(card.requester.name, 60),
            ", ",
            *role_parts(card.role, card.request.role),
            ": ",
            *_NOTES[note](facts, card),
        ]
        for note, facts, card in notes
    ]
    lines, missing = fit([[section(*line)] for line in each], len(each), MESSAGE_CHARACTERS - 500)
    if missing:
        lines.append(section(f"and {missing} more: the approval message of each says the same"))
    counted = f"{len(notes)} changes of access in this channel"
    listed = {"type": "rich_text_list", "style": "bullet", "elements": lines}
    return message(f"{counted}.", rich(section(bold(counted)), listed))


def _renewed(facts: Facts, card: RequestCard) -> list[Part]:
    return ["Renewed by ", who(str(facts["by"])), " until ", date(int(str(facts["ends_at"])))]


def _ended(facts: Facts, card: RequestCard) -> list[Part]:
    grant = card.grant
    if grant is None or grant.end_reason is None:
        return ["Ended: ", why_words(str(facts["why"]))]
    when: list[Part] = [" ", date(grant.ended_at)] if grant.ended_at else []
    used = (
        ["; ", *used_parts(card.used)]
        if card.used is not None and grant.started_at is not None
        else []
    )
    return [
        "Ended",
        *when,
        ": ",
        *ended_because(grant),
        *used,
        *_not_fetched_yet(grant, card.certified),
    ]


def _not_fetched_yet(grant: Grant, systems: Sequence[str]) -> list[Part]:
    """Access with certificates ends when hosts fetch the list of revoked certificates; hosts don't
    report that."""
    early = (
        grant.started_at is not None
        and grant.ended_at is not None
        and grant.ended_at < grant.ends_at
    )
    if not systems or not early:
        return []
    return [
        "; hosts of ",
        *listing(systems, SILENT_ROOM, "bold"),
        " refuse it once they have fetched the list again",
    ]


_NOTES: Mapping[str, Callable[[Facts, RequestCard], list[Part]]] = {
    "renewed": _renewed,
    "not_started": lambda facts, card: ["Does not start: ", str(facts["why"]).rstrip(".")],
    "ended": _ended,
}
_SHORT: Mapping[str, str] = {
    "renewed": "the access was renewed",
    "not_started": "it does not start",
    "ended": "the access has ended",
}
