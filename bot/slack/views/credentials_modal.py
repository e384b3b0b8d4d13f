"""The modal that shows credentials to their holder, the only place that does. Nothing in it is
stored or logged.
"""

from collections.abc import Iterator, Mapping

from bot.core.model import Grant
from bot.core.observed import AccessInstructions, CredentialAnswer, Prompt
from bot.operations.grants.describe_grant import GrantView
from bot.operations.grants.show_credentials import Credentials
from bot.slack.blocks import (
    Block,
    Element,
    Part,
    View,
    actions,
    bold,
    button,
    code,
    date,
    lines,
    listing,
    modal,
    paragraph,
    rich,
    section,
    spoken,
    text_input,
)
from bot.slack.ids import Action, Modal
from bot.slack.views._parts import UNBOUNDED, gives_in_full, role_parts

FIELD = "given "


def field(system: str) -> str:
    """The input for the holder's answer to the question of that system."""
    return f"{FIELD}{system}"


def render(shown: Credentials, view: GrantView, ways: Mapping[str, CredentialAnswer]) -> View:
    """The credentials, ready to copy, and their end. Secrets are never changed or cut. `ways` has
    the answers of systems other than gateways; a missing one has not answered yet."""
    grant = shown.grant
    blocks = [
        paragraph(
            [
                "Your way into ",
                *role_parts(view.role, grant.role),
                ". Only you can see it; do not share it.",
            ]
        ),
        *_token(shown),
        *_browsers(shown),
        *(block for order in shown.orders for block in _way(order.system, ways.get(order.system))),
        paragraph(
            _allows(grant),
            [
                "It is open until ",
                date(grant.ends_at),
                ". If the access ends before, it stops working then.",
            ],
            _replaced(shown.replaces) if shown.token else [],
        ),
    ]
    asks = any(isinstance(way, Prompt) for way in ways.values())
    made = modal(
        Modal.CREDENTIALS, "Credentials", blocks, submit="Continue" if asks else "", close="Close"
    )
    return {**made, "private_metadata": grant.id}


def _allows(grant: Grant) -> list[Part]:
    if not grant.actions:
        return []
    if grant.system_actions:
        return ["It allows on ", *gives_in_full(grant)]
    return ["It allows ", *listing(grant.actions, UNBOUNDED)]


def over() -> View:
    """Replaces credentials whose access ends."""
    words = ["This access has ended, or is about to. Stop using what was shown here."]
    return modal(Modal.NOTICE, "Credentials", [paragraph(words)], close="Close")


def _token(shown: Credentials) -> Iterator[Block]:
    if shown.token:
        yield rich(_secret(shown.token))
        yield paragraph(
            ["Your token for ", *listing(shown.gates, UNBOUNDED, "bold"), "."],
            [
                "Send it with every call, in the header ",
                code("Authorization: Bearer …"),
                " with the token for the dots.",
            ],
        )


def _browsers(shown: Credentials) -> Iterator[Block]:
    """The links, each with a code that works once."""
    for system, link in shown.links.items():
        if len(shown.links) > 1:
            yield paragraph([bold(system)])
        label = "Open in browser"
        yield actions(
            button(label, Action.OPEN_IN_BROWSER, shown.grant.id, system, "primary", url=link)
        )
    if shown.links:
        yield paragraph(
            [
                "Open in browser works once, within a minute. For another browser, press Show"
                " credentials again."
            ]
        )


def _way(system: str, way: CredentialAnswer | None) -> Iterator[Block]:
    if isinstance(way, Prompt):
        yield paragraph([bold(system)])
        hint = f"{way.wrong} {way.hint}".strip()
        yield text_input(field(system), way.label, hint, initial=way.given, multiline=True)
    elif isinstance(way, AccessInstructions):
        yield rich(*_shown(system, way))
    else:
        yield paragraph(
            [bold(system), ": ", *spoken(way or "is being asked; this takes a moment…")]
        )


def _shown(system: str, way: AccessInstructions) -> Iterator[Element]:
    """Everything in one block, because a window takes only a hundred."""
    for label, secret in way.secrets.items():
        yield section(bold(f"{system}, {label}" if label else system))
        yield _secret(secret)
    if not way.secrets:
        yield section(bold(system))
    if way.how:
        yield lines(*map(spoken, way.how))


def _secret(text: str) -> Element:
    return {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]}


def _replaced(replaces: bool) -> list[Part]:
    if replaces:
        return [bold("The token you were shown before stops working now."), " Use this one."]
    return ["We keep no copy: Show credentials makes a new one, and this one stops working then."]
