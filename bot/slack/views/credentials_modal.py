"""The one place where credentials are shown: a modal that the holder opened. Nothing here is kept or logged.
It knows the gateway's token; other connectors bring other words.
"""

from bot.operations.describe_grant import GrantView
from bot.operations.show_credentials import Credentials
from bot.slack.blocks import Part, View, bold, code, date, listing, modal, paragraph, rich
from bot.slack.ids import Modal
from bot.slack.views._parts import role_parts


def render(shown: Credentials, view: GrantView) -> View:
    """The token alone in a block of its own, how to use it, and until when. The token is never changed or cut."""
    grant = shown.grant
    token = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": shown.token}]}
    blocks = [
        paragraph(["Your token for ", *role_parts(view.role, grant.role), ". Only you can see it; do not share it."]),
        rich(token),
        paragraph(
            [
                "Send it with every call, in the header ",
                code("Authorization: Bearer …"),
                " with the token for the dots.",
            ],
            ["It opens ", *listing(grant.systems, 600, "bold"), " until ", date(grant.ends_at), "."],
            _replaced(shown.replaces),
        ),
    ]
    return modal(Modal.CREDENTIALS, "Credentials", blocks, close="Close")


def _replaced(replaces: bool) -> list[Part]:
    if replaces:
        return [bold("The token you were shown before stops working now."), " Use this one."]
    return ["We keep no copy: Show credentials makes a new one, and this one stops working then."]
