"""Queues the weekly digest once for each week, however many processes run."""

from zoneinfo import ZoneInfo

from bot.core import effects
from bot.core.audit import Event
from bot.core.digest import Digest
from bot.core.weekly import Period, week_of
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork, reading, unit
from storage import audit, key_values

WEEKLY = "digest of "
"""Prefix of the key that is stored once a week has its digest."""


def send_due_digest(world: Context) -> bool:
    """Queues the digest of the last week, unless a process has queued it. A digest that was missed
    while no process ran is made up for; one of a week in which there was no log yet is not. Raises
    StorageUnavailable."""
    workspace = world.policy().workspace
    if workspace.digest is None:
        return False
    zone = ZoneInfo(workspace.timezone)
    period = workspace.digest.last_week(world.now(), zone)
    key = WEEKLY + week_of(period.until, zone)
    with reading(world) as reader:
        began = audit.began_at(reader.db)
        if began is None or began >= period.until or key_values.get(reader.db, key):
            return False
    with unit(world) as u:
        if u.outdated or not key_values.bind(u.db, key, str(u.now)):
            return False
        _queue(u, period)
    return True


def _queue(u: UnitOfWork, period: Period) -> None:
    channel = u.policy.workspace.security_channel
    u.do(effects.send_digest(channel, period.since, period.until))


def record_digest_sent(world: Context, to: str, sent: Digest) -> None:
    """Records that Slack accepted a digest. Raises StorageUnavailable."""
    with unit(world) as u:
        u.note(
            Event.DIGEST_SENT,
            SYSTEM,
            to=to,
            since=sent.period.since,
            until=sent.period.until,
            held=len(sent.held),
            started=len(sent.started),
            ended=len(sent.ended),
        )
