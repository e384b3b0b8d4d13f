"""Queues the weekly digest once for each week, and the monthly suggestions once for each month,
however many processes run."""

from collections import Counter
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from bot.core import effects
from bot.core.audit import Event
from bot.core.digest import Digest, Report
from bot.core.weekly import Period, month_of, week_of
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork, reading, unit
from bot.operations.digest.describe_right_sizing import RightSizing
from storage import audit, key_values

_SENT = "{report} of {when}"
"""The key that is stored once a week, or a month, has its report."""


def send_due_digest(world: Context) -> bool:
    """Queues the digest of the last week, and with the first digest of a month the suggestions for
    roles.toml, unless a process has queued them.

    A digest that was missed while no process ran is made up for; one of a week in which there was
    no log yet is not. Raises StorageUnavailable.
    """
    workspace = world.policy().workspace
    if workspace.digest is None:
        return False
    zone = ZoneInfo(workspace.timezone)
    period = workspace.digest.last_week(world.now(), zone)
    week = _SENT.format(report=Report.WEEKLY, when=week_of(period.until, zone))
    month = _SENT.format(report=Report.RIGHT_SIZING, when=month_of(period.until, zone))
    with reading(world) as reader:
        began = audit.began_at(reader.db)
        if began is None or began >= period.until or key_values.get(reader.db, week):
            return False
    with unit(world) as u:
        if u.outdated or not key_values.bind(u.db, week, str(u.now)):
            return False
        _queue(u, Report.WEEKLY, period)
        if key_values.bind(u.db, month, str(u.now)):
            _queue(u, Report.RIGHT_SIZING, period)
    return True


def _queue(u: UnitOfWork, report: Report, period: Period) -> None:
    channel = u.policy.workspace.security_channel
    u.do(effects.send_digest(channel, report, period.since, period.until))


def record_digest_sent(world: Context, to: str, sent: Digest) -> None:
    """Records that Slack accepted a digest. Raises StorageUnavailable."""
    counts = {"held": len(sent.held), "started": len(sent.started), "ended": len(sent.ended)}
    _record(world, to, Report.WEEKLY, sent.period, counts)


def record_right_sizing_sent(world: Context, to: str, sent: RightSizing) -> None:
    """Records that Slack accepted suggestions for roles.toml. Raises StorageUnavailable."""
    counts = Counter(str(each.change) for each in sent.suggestions)
    _record(world, to, Report.RIGHT_SIZING, sent.period, counts)


def _record(
    world: Context, to: str, report: Report, period: Period, counts: Mapping[str, int]
) -> None:
    with unit(world) as u:
        u.note(
            Event.DIGEST_SENT,
            SYSTEM,
            report=report,
            to=to,
            since=period.since,
            until=period.until,
            counts=dict(counts),
        )
