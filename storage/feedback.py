"""Stores the answers of holders at the end of their grants."""

from collections.abc import Sequence

from bot.core.feedback import Feedback
from storage.database import Database


def give(db: Database, grant: str, feedback: Feedback, at: int) -> bool:
    """Stores the answer about this grant; returns False if there is one."""
    sql = (
        "INSERT INTO feedback (grant_id, answer, at) VALUES (?, ?, ?) ON CONFLICT (grant_id) DO"
        " NOTHING"
    )
    return db.run(sql, grant, feedback, at) == 1


def of_grants(db: Database, grants: Sequence[str]) -> dict[str, Feedback]:
    """Returns the answers about those of these grants that have one."""
    marks = ", ".join("?" * len(grants))
    sql = f"SELECT grant_id, answer FROM feedback WHERE grant_id IN ({marks})"
    return (
        {str(grant): Feedback(answer) for grant, answer in db.rows(sql, *grants)} if grants else {}
    )
