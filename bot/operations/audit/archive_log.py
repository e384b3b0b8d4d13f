"""Moves the oldest part of the audit log into a bundle, and leaves a record that stands for it."""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from bot.core.approval import Refused
from bot.core.audit import Event, check_links, rfc3339
from bot.core.audit_export import json_lines, rows_of
from bot.core.errors import AccessBotError
from bot.operations._unit_of_work import Context, reading, unit
from bot.operations.audit.verify_audit import verdict_text, verify_audit
from storage import archives, streams
from storage.database import Reads

RECORDS, MANIFEST = "records.jsonl", "manifest.json"
BATCH = 200
"""Records that are deleted in one transaction, so that no decision waits for long."""

LATELY = 90 * 86400
"""Seconds for which the records of a request are kept after its last one: cards and flags look back
that far."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Bundle:
    """The records from `first` to `last`: the hash before them, that of the last, and the SHA-256
    of the file with the records."""

    first: int
    last: int
    prev: str
    hash: str
    sha256: str


class BadBundle(AccessBotError):
    """The content of the file does not match its manifest."""


def archive_log(
    world: Context, by: str, file: Path, progress: Progress | None = None
) -> Bundle | Refused:
    """Writes the records that are older than `[retention] log` to `file`, reads them back, and only
    then deletes them. Raises StorageUnavailable, OSError and BadBundle."""
    kept = world.policy().retention.log
    if kept is None:
        return Refused("roles.toml has no [retention] log, so every record is kept.")
    if file.exists():
        return Refused(f"{file} exists already: give another name.")
    finish_archive(world, progress)
    verdict = verify_audit(world)
    if not verdict.is_intact:
        return Refused(f"Only an intact log is archived. {verdict_text(verdict)}")
    with world.db.snapshot() as view:
        cut = _cut(world, view, world.now() - kept)
        if isinstance(cut, Refused):
            return cut
        before, head = archives.newest(view), archives.span(view)
        earlier = sorted(before.begun) if before else ()
        begun = {
            *archives.begun(view, cut.last),
            *archives.still_named(view, earlier, cut.last),
        }
        bundle = _written(world, view, by, cut, file)
    refused = _record(world, by, file, bundle, begun, head.last if head else 0)
    if refused is None:
        finish_archive(world, progress)
    return refused or bundle


def finish_archive(world: Context, progress: Progress | None = None) -> None:
    """Deletes the records that are on record as archived; also those that an interrupted archive
    left. Raises StorageUnavailable."""
    with reading(world) as u:
        archived, here = archives.newest(u.db), archives.span(u.db)
    if archived is None or here is None or here.first > archived.last:
        return
    done, number = 0, archived.last - here.first + 1
    while True:
        with world.db.transaction():
            deleted = archives.delete_some(world.db, archived.last, BATCH)
        if not deleted:
            return
        done += deleted
        if progress:
            progress(done, number)


def _cut(world: Context, view: Reads, before: int) -> archives.Span | Refused:
    """The records to archive."""
    here = archives.span(view)
    last = archives.last_before(view, before)
    reason = f"No record is older than {rfc3339(before)}."
    if here is not None and last >= here.first:
        needed = archives.first_needed(view, last, world.now() - LATELY)
        if needed is not None and needed <= last:
            last = needed - 1
            reason = f"Record {needed} is about access that is not over, or was over lately."
        for stream in world.policy().streams:
            cursor = streams.cursor(view, stream.name)
            sent = cursor.seq if cursor else 0
            if sent < last:
                last, reason = sent, f"The stream {stream.name} has sent only record {sent}."
    if here is None or last < here.first:
        return Refused(f"There is nothing to archive. {reason}")
    return here._replace(last=last)


def _written(world: Context, view: Reads, by: str, cut: archives.Span, file: Path) -> Bundle:
    """The bundle in `file`, read back. Where that fails, nothing is left."""
    try:
        bundle = _write(world, view, by, cut, file)
        if check_bundle(file) != bundle:
            raise BadBundle(f"{file} does not hold what was written to it")
    except FileExistsError:  # of another archive at this moment
        raise
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return bundle


def _write(world: Context, view: Reads, by: str, cut: archives.Span, file: Path) -> Bundle:
    digest, head = hashlib.sha256(), [cut.prev]

    def lines(rows: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
        def seen() -> Iterator[tuple[Any, ...]]:
            for row in rows:
                head[0] = str(row[12])
                yield row

        for line in json_lines(seen()):
            data = line.encode()
            digest.update(data)
            yield data

    place = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(place, "w+b") as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as bundle:
        with bundle.open(RECORDS, "w", force_zip64=True) as stream:
            for data in lines(archives.records(view, cut.last)):
                stream.write(data)
        found = Bundle(cut.first, cut.last, cut.prev, head[0], digest.hexdigest())
        about = {**asdict(found), "written_at": rfc3339(world.now()), "by": by}
        bundle.writestr(MANIFEST, json.dumps(about, indent=2) + "\n")
        bundle.close()
        raw.flush()
        os.fsync(raw.fileno())
    return found


def check_bundle(file: Path) -> Bundle:
    """Reads a bundle, and checks every record and its manifest. Raises BadBundle and OSError."""
    try:
        with zipfile.ZipFile(file) as bundle:
            about = json.loads(bundle.read(MANIFEST))
            manifest = Bundle(**{name: about[name] for name in Bundle.__dataclass_fields__})
            digest = hashlib.sha256()
            with bundle.open(RECORDS) as stream:
                while chunk := stream.read(1024 * 1024):
                    digest.update(chunk)
            with bundle.open(RECORDS) as stream:
                lines = TextIOWrapper(stream, "utf-8", newline="\n")
                broken, last, head = check_links(rows_of(lines), manifest.first - 1, manifest.prev)
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise BadBundle(f"{file} is not a bundle of the audit log") from error
    if broken is not None:
        raise BadBundle(f"{file} is BROKEN at record {broken.seq}: {broken.why}")
    found = Bundle(manifest.first, last, manifest.prev, head, digest.hexdigest())
    if found != manifest:
        raise BadBundle(f"{file} does not hold what its manifest says")
    return found


def _record(
    world: Context, by: str, file: Path, bundle: Bundle, begun: set[str], head: int
) -> Refused | None:
    """Leaves the record that stands for the archived ones. `begun` was read when record `head` was
    the newest."""
    with unit(world) as u:
        u.db.lock("archive of the audit log")
        here = archives.span(u.db)
        if here is None or (here.first, here.prev) != (bundle.first, bundle.prev):
            return Refused("Another archive was written meanwhile. Run the command again.")
        u.note(
            Event.AUDIT_ARCHIVED,
            by,
            file=file.name,
            first=bundle.first,
            last=bundle.last,
            hash=bundle.hash,
            sha256=bundle.sha256,
            begun=sorted(begun | {*archives.begun_since(u.db, bundle.last, head)}),
            policy=archives.policy_at(u.db, bundle.last),
        )
    return None
