"""The deciders of a request, and the reasons why they are asked: lines of its message, the direct
message to one person, and the note that mentions the people who are asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from bot.core.authority import Right, right_of
from bot.core.durations import format_duration
from bot.core.model import Delegation
from bot.operations._pings import ESCALATED, QUIET, TIER
from bot.operations.requests.describe_request import RequestCard
from bot.slack.blocks import (
    Block,
    Message,
    Part,
    bold,
    date,
    listing,
    mentions,
    message,
    paragraph,
    typed,
    who,
)
from bot.slack.views._parts import role_parts, title_text

TIER_ROOM = 60
NAME_ROOM = 80
REFERENCES_ROOM = 200
MOST_ABSENT = 5


def asked_lines(card: RequestCard) -> Iterator[list[Part]]:
    """The people who are asked now, the approvals so far, and the delegates."""
    yield from _approvals(card)
    for each in card.stand_ins:
        delegate, absent = (card.names.get(one, one) for one in (each.delegate, each.giver))
        decides: list[Part] = [typed(delegate, NAME_ROOM), " decides for "]
        if each.delegate == card.request.requester:
            decides = ["The requester can't decide for "]
        yield [*decides, typed(absent, NAME_ROOM), *_away(each)]
    if (waited := _waited(card)) is not None and card.role and card.role.escalation:
        backups = listing(card.role.escalation.approvers, REFERENCES_ROOM, "bold")
        yield [f"Nobody had decided after {waited}, so the backups can too: ", *backups]
    if card.quiet_until is not None:
        yield ["Quiet hours: nobody is pinged until ", date(card.quiet_until)]


def _approvals(card: RequestCard) -> Iterator[list[Part]]:
    counted, role = card.counted, card.role
    if role is not None and role.tiers and counted is not None and counted.tier is not None:
        step = f" (step {counted.place + 1} of {len(role.tiers)}): "
        have = f"{len(card.have)} of {card.need} approvals"
        named = bold(f"“{counted.tier.name}”", TIER_ROOM)
        yield ["Asked now: ", named, step, have, *_people(card.have)]
        if counted.earlier:
            done = listing([tier.name for tier in role.tiers[: counted.place]], REFERENCES_ROOM)
            yield ["Approved already as ", *done, *_people(counted.earlier)]


def _people(ids: Sequence[str]) -> list[Part]:
    names: list[Part] = [part for voter in ids for part in (", ", who(voter))][1:]
    return [" (", *names, ")"] if names else []


def _away(absent: Delegation) -> list[Part]:
    return [", who is away until ", date(absent.ends_at)]


def _waited(card: RequestCard) -> str | None:
    """The time after which the backups were asked, in words; None if they were not."""
    is_escalated = card.authority is not None and card.authority.escalated
    escalation = card.role.escalation if card.role and is_escalated else None
    return format_duration(escalation.after) if escalation else None


def absence_lines(
    away: Delegation | None, decides_for: Sequence[Delegation], names: Mapping[str, str]
) -> list[list[Part]]:
    """The delegate of a reader who is away, and the people for whom the reader decides."""
    lines: list[list[Part]] = []
    if away is not None:
        delegate = bold(names.get(away.delegate, away.delegate), NAME_ROOM)
        lines.append(
            ["You are away until ", date(away.ends_at), ". ", delegate, " decides in your place."]
        )
    for each in decides_for[:MOST_ABSENT]:
        giver = bold(names.get(each.giver, each.giver), NAME_ROOM)
        lines.append(["You decide in the place of ", giver, *_away(each), "."])
    if (more := len(decides_for) - MOST_ABSENT) > 0:
        lines.append([f"And in the place of {more} more."])
    return lines


def right_line(right: Right | None, reader: str, names: Mapping[str, str]) -> list[Part]:
    """The reason why somebody decides on a request who is not its approver in their own right."""
    if right is None or (right.seat == reader and not right.backup):
        return []
    if right.seat != reader:
        return [
            "You decide in the place of ",
            bold(names.get(right.seat, right.seat), NAME_ROOM),
            ".",
        ]
    return ["You are a backup for this role, and nobody had decided in time."]


# --- to one person


def why_you(card: RequestCard, reader: str) -> list[Part]:
    """The reason why this person is asked, as a sentence; empty for somebody who can't decide."""
    right = _right(card, reader)
    if right is None:
        return []
    absence = next((each for each in card.stand_ins if each.giver == right.seat), None)
    if right.seat != reader and absence is not None:
        absent = typed(card.names.get(right.seat, right.seat), NAME_ROOM)
        return ["You are asked because you decide in the place of ", absent, *_away(absence), "."]
    if right.backup:
        waited = _waited(card)
        return [
            f"You are asked because nobody had decided after {waited}, and you are a backup for"
            " this role."
        ]
    if right.tier:
        return ["You are asked because you approve this role as ", bold(right.tier), "."]
    return ["You are asked because you approve this role."]


def _right(card: RequestCard, reader: str) -> Right | None:
    if card.role is None or card.authority is None or not reader:
        return None
    tier = card.counted.tier if card.counted else None
    return right_of(card.role, card.request.requester, reader, card.authority, tier)


def asked_directly(card: RequestCard, reader: str) -> Block:
    """The reason why somebody gets this as a direct message."""
    right = _right(card, reader)
    if right is not None and right.backup:
        return paragraph([bold("You can decide here."), " ", *why_you(card, reader)])
    words = "The channel for these requests takes no messages now, so I ask you directly."
    because = why_you(card, reader) if right is not None and right.seat != reader else []
    return paragraph([bold("You can decide here."), f" {words}"], because)


# --- to those who are asked, in the thread


def ping(card: RequestCard, why: str, pinged: Sequence[str]) -> Message:
    """Mentions those who are asked now. `why` is one of `operations/_pings.py`."""
    request = card.request
    waits: list[Part] = [typed(card.requester.name, NAME_ROOM), " waits for "]
    since: list[Part] = [" since ", date(request.created_at), "."]
    return message(
        f"{title_text(card.role, request.role)} waits for a decision.",
        paragraph(_WHY[why](card), [*waits, *role_parts(card.role, request.role), *since]),
        *mentions(pinged, "please decide, in the message above."),
    )


def _next_tier(card: RequestCard) -> list[Part]:
    counted, role = card.counted, card.role
    if counted is None or counted.tier is None or role is None:
        return ["Another approval is needed."]
    step = f"step {counted.place + 1} of {len(role.tiers)}"
    return [bold(f"“{counted.tier.name}” is asked now", TIER_ROOM), f" ({step})."]


def _escalated(card: RequestCard) -> list[Part]:
    waited = _waited(card)
    after = f" after {waited}" if waited else ""
    return [bold(f"Nobody had decided{after}."), " The backups can decide now, too."]


_WHY: Mapping[str, Callable[[RequestCard], list[Part]]] = {
    QUIET: lambda card: [bold("Quiet hours are over.")],
    TIER: _next_tier,
    ESCALATED: _escalated,
}
