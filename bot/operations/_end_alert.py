"""Alerts the leads, on a schedule, about revocations that a system does not confirm, until it
confirms or a lead acknowledges. The bot keeps retrying in any case."""

from collections.abc import Collection, Sequence

from bot.core import effects
from bot.core.audit import Event
from bot.core.lifecycle import next_alert
from bot.core.model import Grant
from bot.operations._unit_of_work import SYSTEM, UnitOfWork, new_id
from storage import alerts, grants, outbox
from storage.alerts import Alert

UNANSWERED = 60
"""Seconds after which a revocation that neither failed nor was confirmed is reported: its system
may hang."""


AFTER_LEADS = 3
"""Seconds that a message to the holder waits, so that it can say whether the leads were
notified."""


def watch_end(u: UnitOfWork, pairs: Sequence[tuple[str, str]]) -> None:
    """Starts watching these pairs of grant and system, and reports them unless they are confirmed
    soon."""
    for grant, system in pairs:
        alerts.watch(u.db, new_id("a"), grant, system, u.now, u.now + UNANSWERED)
    if pairs:
        u.expect(u.now + UNANSWERED)


def alert_failed_end(u: UnitOfWork, grant: Grant, system: str, error: str, attempts: int) -> None:
    """Reports a failed revocation, unless it is reported already."""
    alerts.watch(u.db, new_id("a"), grant.id, system, u.now, u.now)
    alerts.tried(u.db, grant.id, system, attempts)
    known = alerts.get(u.db, grant.id, system)
    if known is not None and not known.sent and known.acknowledged_at is None:
        send_alert(u, grant, known, error)


def send_alert(u: UnitOfWork, grant: Grant, known: Alert, error: str) -> None:
    """Alerts the leads, with an audit record, and schedules the next alert; notifies the holder
    once."""
    next_at = next_alert(known.since, u.now)
    alerts.record_sent(u.db, grant.id, known.system, next_at)
    u.record(
        Event.END_FAILED, SYSTEM, grant, system=known.system, error=error, attempts=known.attempts
    )
    if channel := u.policy.workspace.security_channel:
        u.do(effects.alert(channel, grant.id, known.system))
    if not known.sent:
        u.do(
            effects.later(
                effects.notify_person(grant.person, "end_delayed", grant=grant.id), AFTER_LEADS
            )
        )
    u.expect(next_at)


def resolve_alerts(u: UnitOfWork, gone: Collection[tuple[str, str]]) -> None:
    """Resolves the alerts about these pairs of grant and system, which are confirmed now."""
    known = alerts.open_of(u.db, sorted({grant for grant, _ in gone})) if gone else []
    over = [each for each in known if (each.grant, each.system) in gone]
    for each in over:
        alerts.gone(u.db, each.grant, each.system, u.now)
        if each.sent:
            grant = grants.get(u.db, each.grant)
            drill = grant.urgency.as_detail() if grant else {}
            about = {"grant": each.grant, "system": each.system, "since": each.since}
            u.notify_leads("end_confirmed", **about, **drill)
    update_alert_messages(u, *((each.grant, each.system) for each in over if each.sent))


def update_alert_messages(u: UnitOfWork, *pairs: tuple[str, str]) -> None:
    """Updates every message that shows these alerts; many changes of one message are one update."""
    messages = [each for grant, system in pairs for each in alerts.messages_of(u.db, grant, system)]
    for channel, ts in dict.fromkeys(messages):
        if not outbox.run_now(u.db, [effects.alert_key(channel, ts)], u.now):
            u.do(effects.update_alert(channel, ts))
