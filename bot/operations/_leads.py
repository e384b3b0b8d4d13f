"""Who may do what only leads may: the leads of roles.toml, and the operator on the command line."""

from bot.core.approval import OPERATOR, Refused
from bot.operations._unit import Unit


def leads_only(u: Unit, by: str) -> Refused | None:
    """Refuses everybody but the leads and the command line."""
    leads = u.policy.workspace.leads
    if by.startswith(OPERATOR) or by in u.directory.resolve(leads):
        return None
    if unknown := u.directory.unresolved(leads):
        names = ", ".join(unknown)
        return Refused(f"Slack has not said yet who the leads are ({names}). Try again in a few seconds.")
    return Refused(f"Only leads ({', '.join(leads)}) can do this. Ask one of them.")
