"""Decides when deciders are mentioned in Slack: not in quiet hours, and again after growing
pauses."""

from zoneinfo import ZoneInfo

from bot.core.roles import Role, Workspace

HIGH = "high"
"""The risk for which quiet hours don't count."""


def quiet_until(workspace: Workspace, role: Role, now: int) -> int | None:
    """The end of the quiet hours in which nobody is mentioned for this role, as UTC seconds; None
    outside of them."""
    if workspace.quiet_hours is None or role.risk == HIGH:
        return None
    return workspace.quiet_hours.end_after(now, ZoneInfo(workspace.timezone))


def next_escalation(after: int, sent: int, now: int) -> int:
    """UTC seconds of the next mention of the backups, after `sent` times: each pause is twice the
    one before."""
    return now + (after << sent)
