"""Checks that a caller is a lead of roles.toml or an operator on the command line."""

from bot.core.approval import Refused
from bot.core.authority import OPERATOR
from bot.core.model import is_recent
from bot.operations._unit_of_work import Snapshot

PERSON_LASTS = 60
"""Seconds for which an account that Slack confirmed may act as a lead or send a request."""


def leads_only(u: Snapshot, by: str) -> Refused | None:
    """Refuses everybody except the command line and leads that Slack described within the last
    minute."""
    if (refused := seen_as_lead(u, by)) is not None or by.startswith(OPERATOR):
        return refused
    if is_recent(u.person(by).checked_at, u.now, PERSON_LASTS):
        return None
    return Refused(
        "Slack did not confirm in the last minute that you are still a lead. Try again in a few"
        " seconds."
    )


def seen_as_lead(u: Snapshot, by: str) -> Refused | None:
    """Like `leads_only`, but however long ago Slack confirmed the account: enough to show things
    and to notify."""
    leads = u.policy.workspace.leads
    if by.startswith(OPERATOR) or by in u.directory.resolve(leads):
        return None
    if unknown := u.directory.unresolved(leads):
        names = ", ".join(u.directory.called(unknown))
        return Refused(
            f"Slack has not said yet who the leads are ({names}). Try again in a few seconds."
        )
    return Refused(
        f"Only leads ({', '.join(u.directory.called(leads))}) can do this. Ask one of them."
    )
