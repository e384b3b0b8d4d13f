"""Deletes rows that can no longer have an effect."""

from bot.operations._unit_of_work import Context, unit
from bot.operations.messages.shown_choices import forget_choices
from storage import (
    alerts,
    browser_access,
    direct_notes,
    key_values,
    places,
    private_answers,
    ramps,
    renewals,
    requests,
    reviews,
    ssh,
    tickets,
    tokens,
)

DAY, WEEK, MONTH = 86400, 7 * 86400, 30 * 86400


def forget_old(world: Context) -> None:
    """Deletes idempotency keys after a week. After a month: dead tokens, browser sessions and
    certificates, resolved alerts, and the approval messages of access that is over. Codes for
    browsers, answers about tickets, choices in modals, and direct messages that will not change,
    go after a day. All other direct messages go after three months, and so do the renewals that a
    quota counted and the places in which a person was not seen since.
    Raises StorageUnavailable."""
    with unit(world) as u:
        key_values.forget_keys(u.db, u.now - WEEK)
        tokens.forget(u.db, u.now - MONTH)
        browser_access.forget(u.db, u.now - DAY, u.now - MONTH)
        ssh.forget(u.db, u.now - MONTH)
        alerts.forget(u.db, u.now - MONTH)
        requests.forget_messages(u.db, u.now - MONTH)
        direct_notes.forget(u.db, u.now - DAY, u.now - 3 * MONTH)
        renewals.forget(u.db, u.now - 3 * MONTH)
        private_answers.forget_homes(u.db, u.now - DAY)
        tickets.forget(u.db, u.now - DAY)
        places.forget(u.db, u.now - 3 * MONTH)
        forget_choices(u, u.now - DAY)
        ramps.forget_messages(u.db, u.now - MONTH)
        reviews.forget_messages(u.db, u.now - MONTH)
