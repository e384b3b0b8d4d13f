"""The grants that a lead may revoke, each with a Revoke button, which asks for confirmation."""

from collections.abc import Mapping, Sequence

from bot.core.emergency import marked
from bot.core.model import Grant
from bot.slack.blocks import (
    Message,
    actions,
    bold,
    message,
    paragraph,
    who,
    who_text,
)
from bot.slack.views._fit import FIRST, MESSAGE_BLOCKS, Place, Row, one_page
from bot.slack.views._parts import revoke, state_now


def render(
    grants: Sequence[Grant],
    person: str,
    now: int,
    titles: Mapping[str, str] | None = None,
    *,
    role: str = "",
    place: Place = FIRST,
) -> Message:
    """The grants of `person` (a Slack id); `titles` gives a role's title by its name. `role` is the
    role that the lead named."""
    if not grants:
        return message(
            f"{who_text(person)} has no access right now.",
            paragraph([who(person), " has no access right now, so there is nothing to revoke."]),
        )

    def title(grant: Grant) -> str:
        return marked(grant.urgency, (titles or {}).get(grant.role, grant.role))

    rows: list[Row] = [
        (
            grant.id,
            [
                paragraph([bold(title(grant), 90)], state_now(grant, now)),
                actions(revoke(grant, title(grant), grant.id)),
            ],
        )
        for grant in grants
    ]
    words = {"person": person, "role": role}
    return message(
        f"Access of {who_text(person)} that you can revoke.",
        paragraph(["Which access of ", who(person), " should end now?"]),
        *one_page(rows, place, "revoke", "what they have", words, blocks=MESSAGE_BLOCKS - 1),
    )
