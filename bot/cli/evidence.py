"""Implements `access-bot evidence`: writes the auditor's folder."""

import csv
import shutil
from collections.abc import Iterable, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from bot.app import Services
from bot.cli.common import actor, opened
from bot.cli.errors import Refusal, Wrong
from bot.cli.output import progress
from bot.core.audit_export import cells
from bot.core.durations import BadDuration
from bot.core.evidence import Period, PolicyText, Sample, Table, Written, manifest, moment, readme
from bot.core.time_filters import parse_moment
from bot.operations._unit_of_work import Context
from bot.operations.audit.verify_audit import Verdict, verdict_text, verify_audit
from bot.operations.evidence.collect_evidence import Evidence, collect_evidence
from bot.operations.evidence.record_evidence import record_evidence
from bot.worker.anchors import outside

POLICY_INDEX = "policies/index.csv"
_POLICY_COLUMNS = ("file", "from", "to", "sha256", "revision", "seq")
_REVIEWS = Table(
    "reviews.csv",
    (),
    (),
    "Was access reviewed, and did the access end that reviewers ended?",
    "Every review campaign that ran in the period: the list as it was before, each decision with"
    " its reason, whether the access is still there, and whether it was to end and is still there.",
)
_POLICIES = Table(
    POLICY_INDEX,
    _POLICY_COLUMNS,
    (),
    "Which rules were in force, and when?",
    "Every roles.toml that was in force in the period is in `policies/`, with the time from which"
    " and until which it was in force; an empty `to` means that it still is.",
    "secrets, which are in the environment, or replaced by `[redacted]`.",
)


@click.command(
    epilog="Example: access-bot evidence --from 2026-07-01 --to 2026-09-30 --out q3 --sample 25"
)
@click.option("--from", "begin", required=True, help="First day (2026-07-01) or time, in UTC.")
@click.option("--to", "until", required=True, help="Last day, which is included, or time, in UTC.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.option(
    "--sample",
    "size",
    type=click.IntRange(0, 1000),
    default=25,
    show_default=True,
    help="Grants in sample.csv.",
)
@click.option("--seed", help="Text that draws the sample; default: the period.")
def evidence(begin: str, until: str, out: Path, size: int, seed: str | None) -> None:
    """Write a folder of evidence for an auditor.

    The folder shows requests, decisions, access and its ends, with the proof of each. It must not
    exist yet. The audit log records the command.

    Exit code 0: written. 1: written, but the audit log is broken. 2: not written, or the audit log
    could not be checked.
    """
    if out.exists():
        raise Wrong(f"{out} exists: give a folder that does not exist yet")
    with opened("audit") as base:
        period = _period(base, begin, until)
        sample = Sample(size, seed if seed is not None else str(period))
        verdict = _verified(base)
        write_folder(base.world, actor(), period, sample, verdict, out)
        click.echo(f"Wrote {out}: start with {out / 'README.md'}.")
        if verdict.broken is not None:
            raise Refusal(verdict_text(verdict))
        if verdict.unchecked:
            raise Wrong(verdict_text(verdict))


def _period(base: Services, begin: str, until: str) -> Period:
    now = base.world.now()
    try:
        start = parse_moment(begin, now, "UTC")
        end = min(now, parse_moment(until, now, "UTC", closing=True))
    except BadDuration as error:
        raise Wrong(str(error)) from None
    if start >= end:
        raise Wrong("--from must be before --to, and in the past")
    return Period(start, end)


def _verified(base: Services) -> Verdict:
    with progress("Verifying", 0, step=1) as bar:

        def advance(done: int, count: int) -> None:
            bar.length = max(done, count)
            bar.update(done - bar.pos)

        return verify_audit(base.world, advance, outside(base.world))


def write_folder(
    world: Context, by: str, period: Period, sample: Sample, verdict: Verdict, out: Path
) -> None:
    """Writes to a folder beside `out` first, so that `out` is whole or not there, and records it.
    `verdict` is that of the log now."""
    partial = out.with_name(f"{out.name}.partial")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise Wrong(f"{partial} can't be made: {error.strerror}") from None
    try:
        with world.db.snapshot() as view:
            found = collect_evidence(
                *(world, view, period, sample, verdict, by, version("access-bot"))
            )
            files = _files(partial, found)
        digest = _manifest(partial, found, files)
        record_evidence(world, by, period, len(files) + 1, digest)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _files(folder: Path, found: Evidence) -> list[Written]:
    tables = [*found.tables, _REVIEWS, _POLICIES]
    files = [*_policies(folder, found.policies)]  # first, because they say which roles are risky
    with progress("Writing", len(tables), step=1) as bar:
        for table in found.tables:
            bar.label = table.name
            files.append(_table(folder, table.name, table.columns, table.rows))
            bar.update(1)
        files.append(_reviews(folder, found.reviews))
        bar.update(2)
    text = readme(found.cover, tables, {each.name: each for each in files})
    return [_text(folder, "README.md", text), *files]


def _policies(folder: Path, policies: Iterable[PolicyText]) -> Iterable[Written]:
    (folder / "policies").mkdir()
    rows = []
    for policy in policies:
        yield _text(folder, policy.file, policy.text)
        span = (moment(policy.start), moment(policy.until))
        rows.append((policy.file, *span, policy.sha256, policy.revision, policy.seq))
    yield _table(folder, POLICY_INDEX, _POLICY_COLUMNS, rows)


def _reviews(folder: Path, lines: Iterable[str]) -> Written:
    """Each line is one row, after that of the columns; a row may contain line breaks."""
    rows = -1
    with (folder / _REVIEWS.name).open("w", encoding="utf-8", newline="") as file:
        for line in lines:
            file.write(line)
            rows += 1
    return _written(folder, _REVIEWS.name, rows)


def _table(
    folder: Path, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> Written:
    count = 0
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(file).writerow
        write(columns)
        for row in rows:
            write(cells(row))
            count += 1
    return _written(folder, name, count)


def _text(folder: Path, name: str, text: str) -> Written:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return _written(folder, name)


def _written(folder: Path, name: str, rows: int | None = None) -> Written:
    digest = sha256()
    with (folder / name).open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return Written(name, digest.hexdigest(), (folder / name).stat().st_size, rows)


def _manifest(folder: Path, found: Evidence, files: Sequence[Written]) -> str:
    return _text(folder, "manifest.json", manifest(found.cover, files)).sha256
