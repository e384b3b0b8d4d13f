"""The tables of the folder of evidence, its sample, and its README.md."""

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from heapq import heappush, heappushpop
from textwrap import fill
from typing import Any

from bot.core.audit import parsed_detail, rfc3339
from bot.core.plurals import counted


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` until before `end`, in UTC seconds."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{rfc3339(self.start)} to {rfc3339(self.end)}"


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file, with the auditor's question that it answers, the way it answers it, and its
    gaps."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Sequence[object]]
    question: str
    answer: str
    missing: str = ""


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A roles.toml and the time for which it was in force; `until` is None for the present one."""

    seq: int
    start: int
    until: int | None
    sha256: str
    revision: str
    text: str

    @property
    def file(self) -> str:
        return f"policies/record-{self.seq:08}.toml"


def policies_of(rows: Iterable[Sequence[Any]], period: Period) -> Iterator[PolicyText]:
    """The texts that were in force in the period, from number, time and detail of the records of
    every roles.toml, oldest first, also of later ones. A record without a text is about the
    environment only."""
    last: tuple[int, int, Mapping[str, Any]] | None = None
    for seq, at, detail in rows:
        found = parsed_detail(detail)
        if "text" not in found or (last is not None and last[1] >= period.end):
            continue
        if last is not None and at > period.start:
            yield _policy(*last, at)
        last = (seq, at, found)
    if last is not None and last[1] < period.end:
        yield _policy(*last, None)


def _policy(seq: int, at: int, detail: Mapping[str, Any], until: int | None) -> PolicyText:
    digest, revision = str(detail.get("sha256", "")), str(detail.get("revision", ""))
    return PolicyText(seq, at, until, digest, revision, str(detail["text"]))


def high_risk_roles(text: str) -> set[str]:
    """The roles of a roles.toml whose risk is high."""
    try:
        roles = tomllib.loads(text).get("roles", {})
    except tomllib.TOMLDecodeError:
        return set()
    found = roles.items() if isinstance(roles, dict) else ()
    return {name for name, role in found if isinstance(role, dict) and role.get("risk") == "high"}


class Sample:
    """The grants whose SHA-256 of `SEED:GRANT` is lowest, so that anybody can draw them again."""

    def __init__(self, size: int, seed: str) -> None:
        self.size, self.seed = size, seed
        self._found: list[tuple[int, str, str]] = []

    def offer(self, grant: str, request: str) -> None:
        digest = int(sha256(f"{self.seed}:{grant}".encode()).hexdigest(), 16)
        entry = (-digest, grant, request)
        if len(self._found) < self.size:
            heappush(self._found, entry)
        elif self.size:
            heappushpop(self._found, entry)

    def drawn(self) -> list[tuple[str, str]]:
        """Grant and request of each, lowest digest first."""
        return [(grant, request) for _, grant, request in sorted(self._found, reverse=True)]


@lru_cache(maxsize=1024)
def listed(text: str) -> str:
    """The values of a list that is stored as JSON, for a cell. Cached, because hundreds of
    thousands of rows name the same few systems and actions."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return ", ".join(map(str, found)) if isinstance(found, list) else text


@lru_cache(maxsize=128)
def pairs(text: str) -> str:
    """The names and values of a table that is stored as JSON, for a cell. Cached like `listed`."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return ", ".join(f"{k}={v}" for k, v in found.items()) if isinstance(found, dict) else text


def moment(at: int | None) -> str:
    """RFC 3339 in UTC; empty for None."""
    return "" if at is None else rfc3339(at)


@dataclass(frozen=True, slots=True)
class Lateness:
    """The time at which an end was due, the time at which it was confirmed (None: not yet), and the
    seconds between."""

    due: int
    confirmed: int | None
    seconds: int


def lateness(
    asked_at: int, planned: int, confirmed: int | None, recorded: int | None, now: int
) -> Lateness:
    """The lateness of an end. An end is due at its planned time, or when it was asked for, if that
    was earlier. `confirmed` is the system's time of the end, `recorded` that of the record."""
    due, at = min(asked_at, planned), confirmed if confirmed is not None else recorded
    return Lateness(due, at, max(0, (now if at is None else at) - due))


@dataclass(frozen=True, slots=True)
class Written:
    """A file of the folder: its digest, bytes and rows (None for a file that is no table)."""

    name: str
    sha256: str
    size: int
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Cover:
    """The facts of a folder: the period and its records, the time, user and version that made it,
    the sample, the head of the log, and the result of its verification in one word and in full.
    Records up to `archived` were moved out of the database before."""

    period: Period
    records: int
    first: int
    last: int
    written_at: int
    by: str
    version: str
    sample: Sample
    head: int
    hash: str
    result: str
    report: str
    operator_votes: int
    archived: int


def readme(cover: Cover, tables: Sequence[Table], files: Mapping[str, Written]) -> str:
    """README.md, for a reader who has never seen this program."""
    blocks = [*_intro(cover), *_answers(tables, files), *_limits(cover)]
    return "\n\n".join(map(_wrapped, blocks)) + "\n"


def _wrapped(block: str) -> str:
    if block.startswith(("#", ">")):
        return block
    indent = "  " if block.startswith("- ") else ""
    return fill(
        *(block, 100),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _records(cover: Cover) -> str:
    if not cover.records:
        return "The log has no records of the period."
    numbers = f"from {cover.first:,} to {cover.last:,}"
    return f"The log has {counted(cover.records, 'record')} of the period, with numbers {numbers}."


def _intro(cover: Cover) -> Iterator[str]:
    yield f"# Evidence of temporary access, {cover.period}"
    yield (
        "Access Bot gives people access to production systems for a limited time. A person asks for"
        " a role, somebody who is entitled to decide approves or denies it, the access is made on"
        " the system, and it ends at a set time. Each step is one record of an audit log."
    )
    yield (
        f"This folder was written at {rfc3339(cover.written_at)} by {cover.by}, with Access Bot"
        f" {cover.version}. All times are UTC. The period includes its first moment and excludes"
        f" its last. {_records(cover)}"
    )
    yield "## Can this folder be trusted?"
    yield (
        "Each record of the log has a SHA-256 that covers its content and the SHA-256 of the record"
        " before, so a record can't be changed, removed or inserted without a trace. The whole log"
        " was verified before this folder was written. The result:"
    )
    yield "\n".join(f"> {line}" for line in cover.report.splitlines())
    yield (
        f"The folder shows the log up to record {cover.head:,}, with the SHA-256 `{cover.hash}`."
        " `manifest.json` has the SHA-256 of every file here, and the log has the SHA-256 of"
        " `manifest.json` in its record `evidence:folder:written`. The script `verify_audit.py` in"
        " the documents of Access Bot verifies an export of the log, and compares it with anchors"
        " that are kept outside of the database. It does not need Access Bot."
    )


def _answers(tables: Sequence[Table], files: Mapping[str, Written]) -> Iterator[str]:
    yield "## Questions and answers"
    for table in tables:
        rows = files[table.name].rows or 0
        yield f"### {table.question}"
        yield f"`{table.name}`, {counted(rows, 'row')}. {table.answer}"
        if table.missing:
            yield f"Not shown: {table.missing}"


def _limits(cover: Cover) -> Iterator[str]:
    yield "## What this folder does not show"
    yield (
        "- Access that people have on a system without Access Bot. Access Bot compares the systems"
        " with its grants every night, and records what it finds as `system:access:found`."
    )
    yield (
        "- What people did with the access, beyond how often it was used and, where a system"
        " records them, the paths of requests. The rest is in the logs of the systems."
    )
    yield (
        "- Who decided on the command line. Votes of the period that were given there:"
        f" {cover.operator_votes:,}. The log has the account of that machine (`os:NAME`), not a"
        " person in Slack, so it can't be compared with the requester."
    )
    if cover.archived:
        yield (
            "- Requests, grants and earlier versions of roles.toml whose records were archived:"
            f" records 1 to {cover.archived:,} of the log are in bundles of `access-bot audit"
            " archive`, and no longer in the database."
        )
    yield (
        "- In CSV files, a cell that a spreadsheet would take for a formula begins with an"
        " apostrophe. The export of the log as JSON lines is exact."
    )


def manifest(cover: Cover, files: Sequence[Written]) -> str:
    """manifest.json."""
    sample, period = cover.sample, cover.period
    found = {
        "tool": "access-bot",
        "version": cover.version,
        "written_at": rfc3339(cover.written_at),
        "written_by": cover.by,
        "period": {"from": rfc3339(period.start), "to": rfc3339(period.end)},
        "records": {"count": cover.records, "first": cover.first, "last": cover.last},
        "archived": cover.archived,
        "head": {"seq": cover.head, "hash": cover.hash},
        "verify": {"result": cover.result, "report": cover.report},
        "sample": {
            "size": sample.size,
            "seed": sample.seed,
            "method": "lowest SHA-256 of SEED:GRANT over population-grants.csv",
        },
        "files": {
            each.name: {
                "sha256": each.sha256,
                "bytes": each.size,
                **({} if each.rows is None else {"rows": each.rows}),
            }
            for each in files
        },
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
