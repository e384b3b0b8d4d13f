"""Checks the whole audit log: its chain, its seal, its anchors, and whether it agrees with the rows
that it is about."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import islice

from bot.core.anchors import AnchorCheck, AnchorSource, CheckStamp
from bot.core.audit import GENESIS, Break, Event, check_links, marked_break, parsed_detail
from bot.core.audit_ramps import RampRecord, ramp_difference
from bot.core.audit_story import Difference, Story, differences
from bot.core.plurals import counted
from bot.core.retention import Archived, beginning
from bot.operations._unit_of_work import Context
from bot.operations.audit.changed_flags import changed_flags
from bot.operations.audit.changed_paths import changed_paths
from bot.operations.audit.changed_reviews import changed_reviews
from bot.operations.audit.invented_api_tokens import invented_api_tokens
from bot.operations.process.forget_old import MONTH
from storage import anchors, archives, audit, delegations, preapprovals, ramps
from storage.audit_stories import stories
from storage.database import Reads

STEP = 5000
MOST_LISTED = 20
"""The number of differences that are listed; the others are counted."""

LONGEST_LINE = 400
"""Characters of a difference that are shown."""

INTERRUPTED = "an archive is under way, or was interrupted; `access-bot audit archive` completes it"

CLOCKS_DIFFER = 86400
"""Seconds by which clocks of replicas may differ when one of them deletes old rows."""


@dataclass(frozen=True, slots=True)
class Outside:
    """The anchors outside of the database. Time stamps are not checked without `check_stamp`."""

    sources: Sequence[AnchorSource] = ()
    check_stamp: CheckStamp | None = None

    @property
    def problem(self) -> str:
        """The reason why not all anchors could be read, or ""."""
        return next((each.problem for each in self.sources if each.problem), "")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken` is the first broken place, or None. `records` counts the valid records, `head` is
    the hash of the last of them. `differing` counts the differences between log and rows, and
    `differences` has the first of them. `unchecked` says why an intact chain proves nothing, or is
    "". `anchors` counts the anchors that the log agrees with. Records up to `archived` are in
    bundles."""

    records: int
    head: str
    broken: Break | None
    differences: tuple[Difference, ...] = ()
    differing: int = 0
    unchecked: str = ""
    anchors: int = 0
    archived: int = 0

    @property
    def is_intact(self) -> bool:
        return self.broken is None and not self.unchecked


def verdict_text(verdict: Verdict) -> str:
    """Formats the verdict for people: one line, and one for each listed difference."""
    if verdict.broken is not None:
        why = _one_line(verdict.broken.why)
        lines = [f"The audit log is BROKEN at record {verdict.broken.seq}: {why}."]
        if verdict.differing > 1:
            lines += [f"{verdict.differing:,} differences in all; by record:"]
            lines += [f"- {each.seq}: {_one_line(each.what)}" for each in verdict.differences]
        if (more := verdict.differing - len(verdict.differences)) > 0:
            lines.append(f"and {more:,} more.")
        return "\n".join(lines)
    if verdict.unchecked:
        held = f"Its chain of {counted(verdict.records, 'record')} is complete"
        return f"The audit log could not be checked: {verdict.unchecked}. {held}."
    agrees = "There is no anchor to compare it with"
    if verdict.anchors:
        agrees = f"It agrees with {counted(verdict.anchors, 'anchor')}"
    here = counted(verdict.records - verdict.archived, "record")
    if verdict.archived:
        here += f" after {verdict.archived:,} that were archived"
    return f"The audit log is intact: {here}, head {verdict.head}. {agrees}."


def _one_line(text: str) -> str:
    """The text without control characters: a forger chose the values in it, and must not rewrite
    the verdict on a terminal."""
    short = text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + "…"
    return "".join(char if char.isprintable() else "?" for char in short)


def verify_audit(
    world: Context,
    progress: Callable[[int, int], None] | None = None,
    outside: Outside = Outside(),
) -> Verdict:
    """Finds an edited, deleted, inserted, reordered or cut-off record, a log that was changed
    before more was written, and requests, votes, delegations, pre-approvals, open onboardings,
    grants, leases, tokens, active API tokens, browser sessions and certificates that differ from
    it; also a log, or a whole database, that was put back to a copy older than an anchor. Raises
    StorageUnavailable.

    Reads everything as it was at one moment, and blocks no writer.
    """
    newest = world.chain.newest()
    with world.db.snapshot() as view:
        head = audit.head(view)
        if head is None:
            return Verdict(0, GENESIS, Break(1, "the head of the chain is missing"))
        kept = AnchorSource("the database", anchors.every(view))
        anchored = AnchorCheck([*outside.sources, kept], outside.check_stamp or (lambda anchor: ""))
        here, archived = archives.span(view), archives.newest(view)
        if here and (wrong := beginning(here.first, here.prev, archived)) is not None:
            return Verdict(here.first - 1, here.prev, wrong)
        start = (here.first - 1, here.prev) if here and here.first > 1 else (0, GENESIS)
        broken, records, digest = _walk(world, view, head, anchored, start, progress)
        broken, unchecked = broken or anchored.beyond(records), outside.problem
        if broken is None:
            broken, unsealed = _head_problem(world, head, newest)
            unchecked = unchecked or unsealed
        if broken is not None:
            return Verdict(records, digest, broken)
        verdict = Verdict(records, digest, None, (), 0, unchecked, anchored.compared, start[0])
        if archived is not None and start[0] < archived.last:
            return replace(verdict, unchecked=unchecked or INTERRUPTED)
        return _compared(verdict, view, world.now(), archived)


def _head_problem(
    world: Context, head: audit.Head, newest: tuple[int, str]
) -> tuple[Break | None, str]:
    """Returns the break that the seal of the head shows, or the reason why it can't be checked."""
    why, key_missing = world.chain.problem(head, newest)
    if key_missing or not why:
        return None, why
    return Break(max(head.seq, 1), f"{why}: the log was rewritten, cut off or put back"), ""


def _walk(
    world: Context,
    view: Reads,
    head: audit.Head,
    anchored: AnchorCheck,
    start: tuple[int, str],
    progress: Callable[[int, int], None] | None,
) -> tuple[Break | None, int, str]:
    """Returns the first break of the chain itself, and number and hash of the last good record."""
    rows, (seq, digest), marked = audit.walk(view), start, None
    if seq and (differs := anchored.compare([digest], seq)) is not None:
        return differs, seq, digest
    while batch := list(islice(rows, STEP)):
        before = seq
        broken, seq, digest = check_links(batch, seq, digest)
        marked = marked or _marked(world, batch[: seq - before])
        if broken is not None:
            return marked or broken, seq, digest
        hashes = [str(row[12]) for row in batch]
        if before < head.seq <= seq and hashes[head.seq - before - 1] != head.hash:
            return marked or Break(head.seq, _NOT_SEALED), seq, digest
        if (differs := anchored.compare(hashes, before + 1)) is not None:
            return marked or differs, seq, digest
        if progress:
            progress(seq, head.seq)
    return marked or _wrong_end(head, seq), seq, digest


_NOT_SEALED = "it is not the record that was sealed as the newest"


def _wrong_end(head: audit.Head, seq: int) -> Break | None:
    """Returns the break where the last record is not the one that was sealed as the newest."""
    if seq < head.seq:
        return Break(seq + 1, f"records {seq + 1} to {head.seq} were cut off")
    if head.seq == 0 and head.hash != GENESIS:
        return Break(1, "the head of an empty log is not empty")
    if seq > head.seq:
        return Break(head.seq + 1, "it was added behind the sealed end")
    return None


def _marked(world: Context, batch: list[tuple[object, ...]]) -> Break | None:
    """Returns the first record that says that the log was found changed."""
    for row in batch:
        if row[2] == Event.HEAD_BROKEN:
            found = marked_break(int(str(row[0])), str(row[11]), str(row[10]), world.chain.seals)
            if found is not None:
                return found
    return None


def _invented_delegations(view: Reads, last: int) -> Iterator[Difference]:
    """Delegations without a record: they would let somebody decide."""
    for each in delegations.all_of(view):
        delegate, detail = delegations.recorded(view, each.giver)
        if (delegate, parsed_detail(detail).get("ends_at")) != (each.delegate, each.ends_at):
            yield Difference(
                last,
                f"delegation of {each.giver} to {each.delegate}: no record says that it was given",
            )


def _invented_preapprovals(view: Reads, last: int, now: int) -> Iterator[Difference]:
    """Pre-approvals without a record, or with a record of their end: they would approve
    requests."""
    for each in preapprovals.every(view, now):
        about = (
            (event, actor, detail)
            for event, actor, text in preapprovals.recorded(view, each)
            if (detail := parsed_detail(text)).get("preapproval") == each.id
        )
        event, actor, detail = next(about, ("", "", {}))
        terms = tuple(detail.get(name) for name in ("duration", "until", "fingerprint"))
        if (event, actor, terms) != (
            Event.PREAPPROVAL_GIVEN,
            each.giver,
            (each.duration, each.until, each.fingerprint),
        ):
            yield Difference(
                last,
                f"pre-approval of {each.role} for {each.person} by {each.giver}: no record says"
                " that it holds",
            )


def _of_story(
    story: Story, archived: Archived | None, last: int, kept_since: int
) -> Iterable[Difference]:
    """The differences of one request. Of one whose first records were archived, no row is left."""
    if archived is None or story.id not in archived.begun:
        return differences(story, last, kept_since)
    if not (story.requests or story.grants):
        return ()
    return [Difference(archived.seq, f"request {story.id} was archived, and is there again")]


def _invented_ramps(view: Reads, last: int) -> Iterator[Difference]:
    """Open onboardings that differ from their records: they would give access and rights."""
    of_ramp: dict[str, list[RampRecord]] = {}
    for event, subject, text in ramps.recorded(view):
        detail = parsed_detail(text)
        of_ramp.setdefault(str(detail.get("ramp")), []).append(RampRecord(event, subject, detail))
    for ramp in ramps.open_ramps(view):
        if what := ramp_difference(ramp, of_ramp.get(ramp.id, [])):
            yield Difference(last, what)


def _compared(verdict: Verdict, view: Reads, now: int, archived: Archived | None) -> Verdict:
    """Returns the verdict with all differences between log and rows; the first one is where the log
    is broken."""
    count = 0

    def found() -> Iterator[Difference]:
        nonlocal count
        for story in stories(view):
            kept_since = now - MONTH + CLOCKS_DIFFER
            for each in _of_story(story, archived, verdict.records, kept_since):
                count += 1
                yield each
        # Records may be archived whose rows stay.
        since = (audit.began_at(view) or 0) + CLOCKS_DIFFER if archived else 0
        rows = (
            *_invented_delegations(view, verdict.records),
            *_invented_preapprovals(view, verdict.records, now),
            *_invented_ramps(view, verdict.records),
            *changed_paths(view),
            *changed_reviews(view, verdict.records, since),
            *changed_flags(view, verdict.records, since),
            *invented_api_tokens(view, verdict.records, now),
        )
        for invented in rows:
            count += 1
            yield invented

    first = tuple(nsmallest(MOST_LISTED, found()))
    broken = (
        Break(first[0].seq, f"the log and the database differ: {first[0].what}") if first else None
    )
    return replace(verdict, broken=broken, differences=first, differing=count)
