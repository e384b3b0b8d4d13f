"""What a lead is asked before somebody's access is ended: each grant with a Revoke button, which asks once more.
It decides nothing; the press is checked again.
"""

from collections.abc import Mapping, Sequence

from bot.core.model import Grant
from bot.slack.blocks import (
    Message,
    actions,
    bold,
    context,
    message,
    paragraph,
    who,
    who_text,
)
from bot.slack.views._fit import MESSAGE_BLOCKS, fit
from bot.slack.views._parts import revoke, state_now


def render(grants: Sequence[Grant], person: str, now: int, titles: Mapping[str, str] | None = None) -> Message:
    """The grants of `person` (a Slack id); `titles` gives a role's title by its name."""
    if not grants:
        return message(
            f"{who_text(person)} has no access right now.",
            paragraph([who(person), " has no access right now, so there is nothing to revoke."]),
        )
    named = titles or {}
    rows = [
        [
            paragraph([bold(named.get(grant.role, grant.role), 75)], state_now(grant, now)),
            actions(revoke(grant, named.get(grant.role, grant.role), grant.id)),
        ]
        for grant in grants
    ]
    shown, missing = fit(rows, MESSAGE_BLOCKS - 2, 11_500)
    more = [context(f"And {missing} more. Revoke these first, then ask again.")] if missing else []
    return message(
        f"What {who_text(person)} has, to revoke.",
        paragraph(["Which access of ", who(person), " shall end now?"]),
        *shown,
        *more,
    )
