"""Records that a folder of evidence was written."""

from bot.core.audit import Event
from bot.core.evidence import Period
from bot.operations._unit_of_work import Context, unit


def record_evidence(world: Context, by: str, period: Period, files: int, digest: str) -> None:
    """Records the folder by the SHA-256 of its manifest.json. Raises StorageUnavailable."""
    with unit(world) as u:
        u.note(
            Event.EVIDENCE_WRITTEN,
            by,
            start=period.start,
            end=period.end,
            files=files,
            manifest=digest,
        )
