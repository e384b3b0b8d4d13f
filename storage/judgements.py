"""Stores the criteria of a request as they were when it was asked and when it was decided."""

import json
from collections.abc import Sequence
from typing import Any

from storage.database import Database

ASKED, DECIDED = "asked", "decided"


def keep(
    db: Database, request: str, moment: str, at: int, criteria: Sequence[dict[str, Any]]
) -> None:
    """Stores criteria of a request; the first of each moment stays."""
    sql = (
        "INSERT INTO judgements (request_id, moment, at, criteria) VALUES (?, ?, ?, ?) ON CONFLICT"
        " DO NOTHING"
    )
    db.run(sql, request, moment, at, json.dumps(criteria))


def of(db: Database, request: str) -> dict[str, list[dict[str, Any]]]:
    """Returns the criteria of this request by moment."""
    rows = db.rows("SELECT moment, criteria FROM judgements WHERE request_id = ?", request)
    return {str(moment): json.loads(criteria) for moment, criteria in rows}
