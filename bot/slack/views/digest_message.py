"""The weekly digest in the security channel: its numbers in words, two charts, and a table of
holders. People are named without a mention, so that the digest pings nobody."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from bot.core.digest import Digest, Outcome, Times
from bot.core.durations import format_duration
from bot.core.emergency import EmergencyReview
from bot.core.feedback import Feedback
from bot.core.model import Grant
from bot.core.names import slash
from bot.operations.digest.describe_digest import DigestView
from bot.operations.flags.count_answers import RuleCount
from bot.slack.blocks import (
    Block,
    Element,
    Message,
    Part,
    bold,
    bullets,
    clean,
    code,
    context,
    date,
    day,
    escape,
    header,
    message,
    paragraph,
    quote,
    rich,
    section,
    typed,
    utc,
)
from bot.slack.views._fit import MESSAGE_CHARACTERS, weight
from bot.slack.views._parts import why_words
from bot.slack.views.charts import (
    MOST_ROWS,
    TABLE_CHARACTERS,
    bars,
    data_table,
    pie,
    raw,
    rich_cell,
)

MOST_NAMED = 10
"""The number of grants or emergencies that one list names."""

CONCLUSION = 300
"""Characters of a conclusion; the message about the emergency has all of it."""

FRAME = 300
"""Characters for the parts around the rows of the table of holders."""

IN_TEXT = 15
"""The number of holders in the text for screen readers and old clients."""

PIE = {
    "Approved by people": (Outcome.BY_PEOPLE,),
    "Approved by a rule": (Outcome.BY_RULE,),
    "Approved in advance": (Outcome.IN_ADVANCE,),
    "By an onboarding": (Outcome.BY_PLAN,),
    "Denied": (Outcome.DENIED,),
    "Not decided": (Outcome.LAPSED, Outcome.WITHDRAWN),
}
"""The parts of the chart of requests. Slack shows at most six."""


def render(view: DigestView) -> Message:
    """The table of holders gets the room that all else leaves."""
    found = view.digest
    above = [
        header("Access digest"),
        paragraph(["From ", date(found.period.since), " to ", date(found.period.until), "."]),
        rich(bullets([section_parts(words) for words in _sentences(view)])),
        *pie("Requests", {name: _count(found, *kinds) for name, kinds in PIE.items()}),
        *_days(found),
    ]
    below = [
        *_emergencies(view),
        *_unused(view),
        *_flags(view),
        context(
            "The documentation says what each number means: “The weekly digest and right-sizing”."
        ),
    ]
    room = MESSAGE_CHARACTERS - FRAME - weight([*above, *below])
    return message(_twin(view), *above, *_holders(view, room), *below)


def section_parts(words: tuple[str, str]) -> list[Part]:
    label, rest = words
    return [bold(label), ": ", typed(rest, 1000)]


def _count(found: Digest, *outcomes: Outcome) -> int:
    return sum(found.outcomes.get(each, 0) for each in outcomes)


# --- the numbers in words


def _sentences(view: DigestView) -> list[tuple[str, str]]:
    """Each line of the digest: its subject, and the numbers."""
    found = view.digest
    lines = (
        ("Access", _access(found)),
        ("Requests", _requests(found)),
        (
            "Time to a decision",
            _took(found.to_decision, "decision by people", "decisions by people"),
        ),
        ("Time to access", _took(found.to_access, "start", "starts")),
        ("Use", _use(found)),
        ("Longest access", _longest(view)),
        ("Emergencies", _emergency_counts(found)),
        ("Flags", _flag_counts(view)),
    )
    return [(label, words) for label, words in lines if words]


def _access(found: Digest) -> str:
    people = len({grant.person for grant in found.held})
    held = f"{_grants(len(found.held))} held by {_counted(people, 'person', 'people')}"
    why = ", ".join(f"{n} {why_words(reason)}" for reason, n in sorted(found.ends.items()))
    ended = f"{len(found.ended)} ended" + (f" ({why})" if why else "")
    return f"{held}, {len(found.started)} started, {ended}."


def _requests(found: Digest) -> str:
    total = sum(found.outcomes.values())
    each = ", ".join(
        f"{found.outcomes[kind]} {_OUTCOMES[kind]}" for kind in Outcome if found.outcomes.get(kind)
    )
    parts = [f"{total} settled" + (f": {each}" if each else "")]
    if found.decided:
        auto = found.share(Outcome.BY_RULE, Outcome.IN_ADVANCE)
        denied = found.share(Outcome.DENIED)
        parts.append(f"{auto} % of the decisions needed no person, {denied} % were denials")
    if found.refused:
        parts.append(f"denial rules refused {_counted(found.refused, 'more', 'more')}")
    return ". ".join(_capital(part) for part in parts) + "."


_OUTCOMES = {
    Outcome.BY_PEOPLE: "approved by people",
    Outcome.BY_RULE: "approved by a rule",
    Outcome.IN_ADVANCE: "approved in advance",
    Outcome.BY_PLAN: "given by an onboarding",
    Outcome.DENIED: "denied",
    Outcome.LAPSED: "lapsed",
    Outcome.WITHDRAWN: "withdrawn",
}


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _took(took: Times | None, one: str, many: str) -> str:
    if took is None:
        return ""
    counted = _counted(took.count, one, many)
    return f"median {_span(took.median)}, nine of ten within {_span(took.most)} ({counted})."


def _span(seconds: int) -> str:
    """A duration without more precision than a reader needs."""
    unit = 1 if seconds < 120 else 60 if seconds < 86_400 else 3600
    return format_duration(seconds // unit * unit)


def _use(found: Digest) -> str:
    if not found.ended:
        return ""
    unknown = len(found.ended) - found.use_known
    words = f"{len(found.unused)} of {found.use_known} ended grants had no use."
    if unknown:
        words += f" The use of {unknown} more is not reported."
    answers = [f"{found.feedback[f]} “{word}”" for f, word in _ANSWERS if found.feedback.get(f)]
    return words + (f" Holders answered: {', '.join(answers)}." if answers else "")


_ANSWERS = (
    (Feedback.USED, "used it"),
    (Feedback.UNNEEDED, "did not need it"),
    (Feedback.MORE, "needed more"),
)


def _longest(view: DigestView) -> str:
    each = (
        f"{_name(view, one.grant)} {one.grant.role} {_span(one.seconds)}"
        for one in view.digest.longest
    )
    return ", ".join(each) + "." if view.digest.longest else ""


def _emergency_counts(found: Digest) -> str:
    started = sum(found.period.has(each.started_at) for each in found.emergencies)
    signed = sum(found.period.has(each.signed_at) for each in found.emergencies)
    waits = sum(each.signed_at is None for each in found.emergencies)
    if not found.emergencies:
        return "none."
    reviews = _counted(waits, "review", "reviews")
    return f"{started} started, {signed} signed, {reviews} open."


def _flag_counts(view: DigestView) -> str:
    if not view.flags:
        return "none."
    raised, waits = sum(each.raised for each in view.flags), sum(f.unanswered for f in view.flags)
    rules = _counted(len(view.flags), "rule", "rules")
    return f"{raised} raised by {rules}, {waits} without an answer."


def _grants(count: int) -> str:
    return _counted(count, "grant", "grants")


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _name(view: DigestView, grant: Grant | EmergencyReview) -> str:
    return clean(view.names.get(grant.person, grant.person), 40)


# --- blocks


def _days(found: Digest) -> list[Block]:
    names = [f"{each:%a %-d}" for each, _, _ in found.by_day]
    started = [begun for _, begun, _ in found.by_day]
    ended = [over for _, _, over in found.by_day]
    return bars("Access that started and ended", names, {"Started": started, "Ended": ended})


def _holders(view: DigestView, room: int) -> list[Block]:
    held = view.digest.held
    every = (_row(view, grant) for grant in held[:MOST_ROWS])
    rows = list(_within(every, min(room, TABLE_CHARACTERS)))
    if not rows:
        return []
    table = data_table("Access at the end of the week", ("Person", "Role", "Since", "Until"), rows)
    return [table, *_rest(len(held) - len(rows), "grants")]


def _row(view: DigestView, grant: Grant) -> list[Element]:
    since = grant.started_at or grant.starts_at
    return [
        raw(_name(view, grant)),
        raw(grant.role),
        rich_cell(date(since)),
        rich_cell(date(grant.ends_at)),
    ]


def _within(rows: Iterator[list[Element]], room: int) -> Iterator[list[Element]]:
    """The first rows whose cells fit into the room."""
    for row in rows:
        room -= weight(row)
        if room < 0:
            return
        yield row


def _emergencies(view: DigestView) -> list[Block]:
    found = view.digest.emergencies
    elements: list[Element] = []
    for each in found[:MOST_NAMED]:
        what: list[Part] = [bold(_name(view, each)), " took ", code(each.role), " "]
        signed = "" if each.signed_at is not None else " The review is open."
        elements.append(section(*what, date(each.started_at), f".{signed}"))
        if each.signed_at is not None:
            elements.append(quote(each.conclusion, CONCLUSION))
    if not elements:
        return []
    return [
        rich(section(bold("Emergencies and their conclusions")), *elements),
        *_rest(len(found) - MOST_NAMED, "emergencies"),
    ]


def _unused(view: DigestView) -> list[Block]:
    found = view.digest.unused
    if not found:
        return []
    items: list[Sequence[Part]] = [
        [_name(view, grant), ": ", code(grant.role), ", ended ", day(grant.ended_at or 0)]
        for grant in found[:MOST_NAMED]
    ]
    return [
        rich(section(bold("Never used")), bullets(items)),
        *_rest(len(found) - MOST_NAMED, "grants"),
    ]


def _flags(view: DigestView) -> list[Block]:
    rows = [[raw(each.rule), *(raw(words) for words in _counts_of(each))] for each in view.flags]
    if not rows:
        return []
    return [data_table("Flags of the week, by rule", ("Rule", *_FLAG_COLUMNS), rows[:MOST_ROWS])]


_FLAG_COLUMNS = ("Raised", "Expected", "Revoked", "No answer", "Investigated", "Expected share")


def _counts_of(each: RuleCount) -> Sequence[str]:
    share = each.expected_share
    counts = (each.raised, each.expected, each.revoked, each.unanswered, each.investigated)
    return (*map(str, counts), "–" if share is None else f"{round(100 * share)} %")


def _flag_line(each: RuleCount) -> str:
    named = zip(_FLAG_COLUMNS, _counts_of(each), strict=True)
    return f"{each.rule}: {', '.join(f'{name.lower()} {count}' for name, count in named)}"


def _rest(more: int, what: str) -> list[Block]:
    if more <= 0:
        return []
    return [context(f"and {more} more {what}: `{slash()} audit` has all of them.")]


def _twin(view: DigestView) -> str:
    """The numbers as text for clients without charts and tables, and for screen readers."""
    found = view.digest
    period = f"Access digest, {utc(found.period.since)} to {utc(found.period.until)}"
    lines = [period, *(f"{label}: {words}" for label, words in _sentences(view))]
    lines += _lines("Held now", found.held, lambda grant: _held_line(view, grant))
    lines += _lines("Never used", found.unused, lambda grant: f"{_name(view, grant)} {grant.role}")
    lines += [f"Flag {_flag_line(each)}." for each in view.flags]
    return "\n".join(escape(line) for line in lines)


def _held_line(view: DigestView, grant: Grant) -> str:
    return f"{_name(view, grant)} {grant.role} until {utc(grant.ends_at)}"


def _lines(label: str, found: Sequence[Grant], line: Callable[[Grant], str]) -> list[str]:
    named = "; ".join(line(grant) for grant in islice(found, IN_TEXT))
    more = f"; and {len(found) - IN_TEXT} more" if len(found) > IN_TEXT else ""
    return [f"{label}: {named}{more}."] if found else []
