"""Anchors of the audit log: copies of its head that are kept outside of the log, and their text.

An anchor is one line, `AT SEQ HASH` or `AT SEQ HASH TOKEN`, separated by spaces. `AT` is RFC 3339,
`TOKEN` the answer of a time-stamp authority (RFC 3161, DER in base64) about `stamped_text`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.audit import Break, rfc3339
from bot.core.plurals import counted

_LINE = re.compile(r"(\S+) ([1-9][0-9]{0,18}) ([0-9a-f]{64})(?: ([A-Za-z0-9+/=]+))?")


STAMPED_WITHIN = 86400
"""Seconds after an anchor in which the bot gets its time stamp."""

CLOCKS_DIFFER = 86400
"""Seconds by which the clock of the authority may differ."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Number and hash of the newest record at UTC second `at`. `token` is a time stamp, or ""."""

    seq: int
    hash: str
    at: int
    token: str = ""


@dataclass(frozen=True, slots=True)
class AnchorSource:
    """The anchors of one place. `problem` says why they could not all be read, or is ""."""

    name: str
    anchors: Sequence[Anchor] = ()
    problem: str = ""


CheckStamp = Callable[[Anchor], str]
"""Returns the problem of an anchor's time stamp, or ""."""


def anchor_line(anchor: Anchor) -> str:
    """The line of an anchor, without its end."""
    token = f" {anchor.token}" if anchor.token else ""
    return f"{rfc3339(anchor.at)} {anchor.seq} {anchor.hash}{token}"


def stamped_text(anchor: Anchor) -> bytes:
    """The text of which a time-stamp authority gets the SHA-256."""
    return f"{anchor.seq} {anchor.hash}\n".encode()


def late_stamp(anchor: Anchor, stamped_at: int) -> str:
    """Returns a sentence about a stamp that came too late, or "". A forger who writes the log again
    can get new stamps for the old anchors, but only later ones."""
    if stamped_at <= anchor.at + STAMPED_WITHIN + CLOCKS_DIFFER:
        return ""
    return f"was made only on {rfc3339(stamped_at)}, so it does not prove the time of the anchor"


def parse_anchors(name: str, lines: Iterable[str]) -> AnchorSource:
    """The anchors in these lines. Empty lines, and lines that begin with `#`, are skipped."""
    found, problem = [], ""
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        try:
            found.append(_parsed(line))
        except ValueError:
            problem = problem or f"line {number} of {name} is not an anchor"
    return AnchorSource(name, found, problem)


def _parsed(line: str) -> Anchor:
    matched = _LINE.fullmatch(line)
    if matched is None:
        raise ValueError(line)
    at, seq, digest, token = matched.groups()
    return Anchor(int(seq), digest, int(datetime.fromisoformat(at).timestamp()), token or "")


def without_gaps(source: AnchorSource, written: Sequence[Anchor]) -> AnchorSource:
    """The source, with a problem if it lacks an anchor that was written to it."""
    has = {(anchor.seq, anchor.hash) for anchor in source.anchors}
    lost = [anchor for anchor in written if (anchor.seq, anchor.hash) not in has]
    if source.problem or not lost:
        return source
    problem = (
        f"{source.name} was deleted, emptied or shortened: it lacks {len(lost):,} of"
        f" {counted(len(written), 'anchor')} that the log has for it, first that of record"
        f" {lost[0].seq}"
    )
    return replace(source, problem=problem)


class AnchorCheck:
    """Compares records with the anchors of all sources, while the log is read from its start."""

    def __init__(self, sources: Sequence[AnchorSource], check_stamp: CheckStamp) -> None:
        self.compared = 0
        self._check_stamp = check_stamp
        self._of: dict[int, list[tuple[Anchor, str]]] = {}
        for source in sources:
            for anchor in source.anchors:
                self._of.setdefault(anchor.seq, []).append((anchor, source.name))

    def compare(self, hashes: Sequence[str], first: int) -> Break | None:
        """Compares records from number `first` on, given by their hashes."""
        for seq in sorted(self._of.keys() & range(first, first + len(hashes))):
            for anchor, name in self._of.pop(seq):
                if anchor.hash != hashes[seq - first]:
                    return Break(seq, f"it is not the record that {_named(anchor, name)} has")
                if anchor.token and (problem := self._check_stamp(anchor)):
                    return Break(seq, f"the time stamp of {_named(anchor, name)} {problem}")
                self.compared += 1
        return None

    def beyond(self, last: int) -> Break | None:
        """The break of a log that ends at record `last`, before a record that was anchored."""
        later = [each for seq, anchors in self._of.items() if seq > last for each in anchors]
        if not later:
            return None
        anchor, name = max(later, key=lambda each: each[0].seq)
        return Break(
            last + 1,
            f"the log ends at record {last}, and {_named(anchor, name)} has record {anchor.seq}:"
            " the log, or the whole database, was put back to an older copy",
        )


def _named(anchor: Anchor, source: str) -> str:
    return f"the anchor of {rfc3339(anchor.at)} in {source}"
