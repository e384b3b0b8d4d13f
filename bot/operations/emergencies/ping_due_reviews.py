"""Pings the leads for reviews of emergencies that are not signed yet. A ping that was missed while
no process ran is sent once."""

from bot.core.emergency import EmergencyReview, next_ping
from bot.operations._batches import in_batches
from bot.operations._unit_of_work import Context, UnitOfWork
from storage import emergencies

BATCH = 100


def ping_due_reviews(world: Context) -> int:
    """Queues a ping for every review that is due for one; returns their number."""
    return in_batches(world, BATCH, _ping)


def _ping(u: UnitOfWork, limit: int) -> list[EmergencyReview]:
    due = emergencies.due(u.db, u.now, limit)
    leads = u.world.directory(however_old=True).named(u.policy.workspace.leads) if due else ()
    for review in due:
        next_at = next_ping(review.started_at, u.now)
        emergencies.set_ping(u.db, review.request, next_at)
        u.expect(next_at)
        u.notify_leads(
            "review_open",
            role=review.role,
            person=review.person,
            started_at=review.started_at,
            leads=list(leads),
            **review.urgency.as_detail(),
        )
    return due
