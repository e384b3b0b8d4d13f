"""Puts the audit records of one request or grant into sentences, from the request to its end."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.core.audit import Event, Record, parsed_detail, rfc3339
from bot.core.durations import format_duration
from bot.core.feedback import Feedback
from bot.core.plurals import counted
from bot.core.usage import Known

Detail = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One record as a sentence that `actor` begins. `people` are named in it by their ids, and
    `typed` is the text of a person, which the sentence leaves out. `more` are lines below it."""

    seq: int
    at: int
    event: str
    actor: str
    text: str
    typed: str = ""
    people: tuple[str, ...] = ()
    more: tuple[str, ...] = ()


def lines_of(records: Iterable[Record]) -> list[Line]:
    """The lines of these records, oldest first."""
    return [_line(record) for record in sorted(records, key=lambda each: each.seq)]


def _line(record: Record) -> Line:
    detail = parsed_detail(record.detail)
    say = _SAY.get(record.event)
    try:
        text = say(record, detail) if say else record.event
    except (ValueError, KeyError, TypeError, AttributeError):  # for example, from a newer version
        text = record.event
    return Line(
        record.seq,
        record.at,
        record.event,
        record.actor,
        text,
        record.reason,
        _people(detail),
        tuple(_criteria(detail)) if record.event in _JUDGED else (),
    )


def _people(detail: Detail) -> tuple[str, ...]:
    found = detail.get("approvers")
    named = [*found] if isinstance(found, list) else []
    return tuple(map(str, [*named, *([detail["for"]] if "for" in detail else [])]))


def _criteria(detail: Detail) -> Iterable[str]:
    """The card as it was: each criterion with its verdict."""
    for each in detail.get("criteria") or ():
        if isinstance(each, Mapping):
            yield f"{each.get('verdict', '?')}: {each.get('text', each.get('name', '?'))}"


def _asked(record: Record, detail: Detail) -> str:
    what = f"asked to renew {record.role}" if record.grant else f"asked for {record.role}"
    return f"{what} on {_systems(record, detail)} for {_span(detail['duration'])}"


def _vote(record: Record, detail: Detail) -> str:
    right = [f"in the tier {detail['tier']}"] if detail.get("tier") else []
    right += ["in the place of an absent approver"] if detail.get("for") else []
    right += ["as a backup after an escalation"] if detail.get("backup") else []
    given = f"approved it for {_span(detail['duration'])}"
    return ", ".join([given, *(right or [f"as an approver of {record.role}"])])


def _approved(record: Record, detail: Detail) -> str:
    by = len(detail.get("approvers") or ())
    votes = "1 approval" if by == 1 else f"{by} approvals"
    how = f"with {votes}" if by else "without a vote"
    return f"completed the decision: approved {how}, for {_span(detail['duration'])}"


def _rule(record: Record, detail: Detail) -> str:
    return f"approved it by the rule {detail['rule']}"


def _ended(record: Record, detail: Detail) -> str:
    return f"read back {record.system}: the access has ended there"


def _end_asked(record: Record, detail: Detail) -> str:
    because = f", because {detail['because']}" if detail.get("because") else ""
    planned = rfc3339(int(detail["ends_at"]))
    return f"began the end ({detail['why']}){because}; its planned end was {planned}"


def _summed(record: Record, detail: Detail) -> str:
    times = int(detail.get("allowed", 0)) + int(detail.get("sessions", 0))
    if not times:
        unused = _UNUSED.get(str(detail.get("known")), "never used")
        return f"summed up the use on {record.system}: {unused}"
    return f"summed up the use on {record.system}: used {counted(times, 'time')}"


def _first_use(record: Record, detail: Detail) -> str:
    source = detail.get("source_address")
    return f"used it on {record.system} for the first time{f', from {source}' if source else ''}"


def _moved(record: Record, detail: Detail) -> str:
    return f"used it on {record.system} from another place or program, {detail['source_address']}"


def _flag(record: Record, detail: Detail) -> str:
    return f"raised a flag ({detail['severity']}): {str(detail['sentence']).rstrip('.')}"


def _feedback(record: Record, detail: Detail) -> str:
    return f"answered {_FEEDBACK[str(detail['answer'])]}"


def _until(words: str) -> Callable[[Record, Detail], str]:
    return lambda record, detail: f"{words} until {rfc3339(int(detail['ends_at']))}"


def _on(words: str) -> Callable[[Record, Detail], str]:
    return lambda record, detail: f"{words} on {record.system or 'its systems'}"


def _why(words: str) -> Callable[[Record, Detail], str]:
    def say(record: Record, detail: Detail) -> str:
        why = detail.get("why") or detail.get("error")
        return f"{words}: {why}" if why else words

    return say


def _plain(words: str) -> Callable[[Record, Detail], str]:
    return lambda record, detail: words


def _systems(record: Record, detail: Detail) -> str:
    found = [record.system] if record.system else [*map(str, detail.get("systems") or ())]
    return ", ".join(found) or "its systems"


def _span(seconds: object) -> str:
    return format_duration(int(str(seconds)))


_UNUSED: Mapping[str, str] = {
    Known.UNREPORTED: "its use is not reported",
    Known.OBSERVED: "not seen in use",
}
_FEEDBACK: Mapping[str, str] = {
    Feedback.USED: "that it was used",
    Feedback.UNNEEDED: "that it was not needed",
    Feedback.MORE: "that more was needed",
}
_JUDGED = frozenset({Event.REQUEST_ASKED, Event.APPROVAL_GIVEN, Event.RULE_APPLIED})
_SAY: Mapping[str, Callable[[Record, Detail], str]] = {
    Event.REQUEST_ASKED: _asked,
    Event.VOTE_GIVEN: _vote,
    Event.APPROVAL_GIVEN: _approved,
    Event.RULE_APPLIED: _rule,
    Event.RULE_DENIED: _why("was refused by a rule"),
    Event.DENIAL_GIVEN: _plain("denied it"),
    Event.REQUEST_WITHDRAWN: _why("withdrew it"),
    Event.REQUEST_LAPSED: _plain("let it lapse: nobody had decided in time"),
    Event.ACTION_REFUSED: _why("was refused"),
    Event.ESCALATION_SENT: _plain("mentioned the backups"),
    Event.EMERGENCY_STARTED: _plain("took it as an emergency"),
    Event.REVIEW_SIGNED: _plain("signed the review of the emergency"),
    Event.GRANT_SCHEDULED: _until("scheduled the access"),
    Event.GRANT_STARTED: lambda r, d: _until(f"read back {r.system}: the access is there,")(r, d),
    Event.START_UNSURE: _on("got no clear answer to the start"),
    Event.GRANT_FAILED: _why("could not start it"),
    Event.START_UNDONE: _on("removed the rest of the failed start"),
    Event.GRANT_RENEWED: _until("renewed it"),
    Event.RENEWAL_FAILED: _why("got no confirmation of the renewal"),
    Event.RENEWAL_CONFIRMED: _on("read back the renewal"),
    Event.REMINDER_SENT: _plain("reminded the holder of the end"),
    Event.CREDENTIALS_SHOWN: _plain("was shown the credentials"),
    Event.CREDENTIALS_REVOKED: _plain("revoked credentials"),
    Event.BROWSER_OPENED: _on("opened in a browser"),
    Event.BROWSER_REFUSED: _why("was refused in a browser"),
    Event.BROWSER_CLOSED: _on("signed out in the browser"),
    Event.CERTIFICATE_ISSUED: _on("got a certificate"),
    Event.END_ASKED: _end_asked,
    Event.END_FAILED: _why("got no confirmation of the end"),
    Event.END_ACKNOWLEDGED: _on("acknowledged the alert about the end"),
    Event.GRANT_ENDED: _ended,
    Event.ACCESS_MISSING: _on("found the access missing"),
    Event.EXCESS_FOUND: _on("found unexpected access"),
    Event.REMOVAL_ASKED: _on("ordered the removal of unexpected access"),
    Event.ACCESS_REMOVED: _on("removed unexpected access"),
    Event.USE_FIRST: _first_use,
    Event.USE_MOVED: _moved,
    Event.USE_SUMMED: _summed,
    Event.USE_AFTER_END: _on("saw it used after its end"),
    Event.FEEDBACK_GIVEN: _feedback,
    Event.ITEM_DECIDED: lambda r, d: f"decided in the review {d['campaign']}: {d['decision']}",
    Event.FLAG_RAISED: _flag,
    Event.FLAG_ANSWERED: lambda r, d: f"answered the flag {d['rule']}: {d['answer']}",
}


def sentence(line: Line, name: Callable[[str], str]) -> str:
    """The line as plain text, with the typed text in quotation marks. `name` gives the words for a
    person, a rule or the bot."""
    words = f"{name(line.actor)} {line.text}"
    if line.people:
        words += f" ({', '.join(map(name, line.people))})"
    return f"{words}: “{line.typed}”" if line.typed else words
