"""Compares the recorded paths of grants with their digests in the audit log."""

from collections.abc import Iterator
from typing import NamedTuple

from bot.core.audit import parsed_detail
from bot.core.audit_story import Difference
from bot.core.recorded_paths import paths_digest
from bot.operations.usage.prune_usage import SUMMED
from storage import recorded_paths
from storage.database import Reads


class PathsRecord(NamedTuple):
    """The content of record `seq` about the used paths of a grant on a system: their digest, and
    the number of allowed checks."""

    seq: int
    digest: str
    checks: int


def changed_paths(view: Reads) -> Iterator[Difference]:
    """Yields the grants whose paths were edited or deleted after they were summed up. More checks
    than the record has are no difference: a process may have written its last counts late."""
    latest: dict[tuple[str, str], PathsRecord] = {}
    for seq, grant, system, text in recorded_paths.summed(view):
        if (record := paths_record(seq, text)) is not None:
            latest[grant, system] = record
    for (grant, system), record in latest.items():
        used = recorded_paths.used(view, grant, system)
        if not used and not recorded_paths.are_kept(view, grant, SUMMED):
            continue
        checks = sum(allowed for *_, allowed in used)
        if checks <= record.checks and paths_digest(used) != record.digest:
            yield Difference(record.seq, f"grant {grant}: other paths on {system} were recorded")


def paths_record(seq: int, text: str) -> PathsRecord | None:
    """Reads the detail of a record that sums up use; None where no paths were recorded."""
    detail = parsed_detail(text)
    digest, methods = detail.get("paths"), detail.get("methods")
    if not isinstance(digest, str) or not isinstance(methods, dict):
        return None
    checks = [count for count in methods.values() if isinstance(count, int)]
    return PathsRecord(seq, digest, sum(checks))
