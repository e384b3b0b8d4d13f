"""Anchors the head of the audit log: sends its number and hash to where the database is not."""

from datetime import datetime
from zoneinfo import ZoneInfo

from bot.core import effects
from bot.core.anchors import Anchor
from bot.core.audit import Event
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork, unit
from storage import anchors, audit, key_values


def anchor_daily(world: Context) -> bool:
    """Anchors the head, unless a process has done it this day. Raises StorageUnavailable."""
    local = datetime.fromtimestamp(world.now(), ZoneInfo(world.policy().workspace.timezone))
    with unit(world) as u:
        if not key_values.claim_key(u.db, f"anchor:{local:%Y-%m-%d}", u.now):
            return False
        head = audit.head(u.db)
        if head is None or head.seq == 0:
            return False
        anchor_head(u, Anchor(head.seq, head.hash, u.now), SYSTEM, "daily")
    return True


def anchor_head(u: UnitOfWork, anchor: Anchor, actor: str, why: str) -> None:
    """Stores the anchor, posts it to the security channel, and queues it for the anchor file and
    the time-stamp authority."""
    if not anchors.add(u.db, anchor):
        return
    workspace = u.policy.workspace
    file = {"file": workspace.anchor_file} if workspace.anchor_file else {}
    u.note(Event.HEAD_ANCHORED, actor, seq=anchor.seq, hash=anchor.hash, why=why, **file)
    u.notify_leads("head_anchored", seq=anchor.seq, hash=anchor.hash, at=anchor.at)
    if workspace.anchor_file:
        u.do(effects.write_anchor(anchor.seq, anchor.hash, anchor.at))
    if workspace.tsa_url:
        u.do(effects.stamp_anchor(anchor.seq, anchor.hash, anchor.at))


def record_stamp(world: Context, anchor: Anchor) -> None:
    """Stores the time stamp of an anchor, and queues it for the anchor file."""
    with unit(world) as u:
        anchors.set_token(u.db, anchor)
        if u.policy.workspace.anchor_file:
            u.do(effects.write_anchor(anchor.seq, anchor.hash, anchor.at, anchor.token))
