"""The modal in which a reviewer keeps or ends one or several items at once."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from bot.core.eligibility import REASON_LIMIT
from bot.core.names import slash
from bot.core.review import END, EVERYONE, KEEP, Item, ItemKind
from bot.operations.reviews.waiting import WaitingPage
from bot.slack.blocks import (
    Block,
    Element,
    Part,
    View,
    actions,
    bold,
    button,
    clean,
    code,
    context,
    date,
    input_block,
    left,
    modal,
    paragraph,
    plain,
    spoken,
    text_input,
)
from bot.slack.ids import Action, Field, Modal
from bot.slack.payloads import BadPayload
from bot.slack.views._fit import REPLY_BYTES
from bot.slack.views._parts import gives_within, role_parts, used_text

TITLE = "Review of access"
CHECKBOXES, LINE = 10, 75
"""Slack's limits: options of one group of checkboxes, and characters of an option's texts."""

SYSTEMS_ROOM, ACTIONS_ROOM = 300, 600
_MOST_NAMED = 3


def render(page: WaitingPage, now: int, result: str = "") -> View:
    """One page of the items that wait for the reader. `result` is that of the last decision.
    The actions of the roles are left out if the reply to a form would not fit into a frame of
    Socket Mode."""
    full = _view(page, now, result)
    if len(json.dumps(full)) <= REPLY_BYTES:
        return full
    return _view(replace(page, roles={}), now, result)


def _view(page: WaitingPage, now: int, result: str) -> View:
    campaign, first = page.view.campaign, page.items[0].number
    about: list[Part] = [bold(str(campaign.scope), 100), ", due ", date(campaign.due_at), ". "]
    progress = f"Answered: {page.view.answered:,} of {page.view.total:,}."
    blocks = [
        *([paragraph(spoken(result))] if result else []),
        paragraph(["Review of ", *about, progress]),
        *_choices(page, now),
        _every(page),
        _decision(),
        text_input(
            Field.REASON,
            "Reason",
            "It is kept for the auditor. A holder whose access ends reads it.",
            multiline=True,
            max_length=REASON_LIMIT,
        ),
        *_pager(page, first),
    ]
    numbers = ",".join(str(item.number) for item in page.items)
    made = modal(Modal.REVIEW, TITLE, blocks, "Decide", close="Close")
    return {**made, "private_metadata": f"{campaign.id}:{numbers}"}


def from_metadata(text: str) -> tuple[str, list[int]]:
    """The campaign and the numbers of the page that was shown. Raises BadPayload."""
    campaign, _, numbers = text.partition(":")
    if not all(_is_number(each) for each in numbers.split(",")):
        raise BadPayload(f"This form is broken. Type {slash()} review again.")
    return campaign, [int(each) for each in numbers.split(",")]


def from_button(value: str) -> tuple[str, int]:
    """The campaign of a button, and the number of the item after which a page begins. Raises
    BadPayload."""
    campaign, _, after = value.partition(":")
    if after and not _is_number(after):
        raise BadPayload(f"This button is broken. Type {slash()} review again.")
    return campaign, int(after or 0)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9


def chosen(choices: Mapping[str, Sequence[str]], shown: Sequence[int]) -> list[int]:
    """The ticked items, or all that were shown if that is ticked."""
    if any(some for block, some in choices.items() if block.startswith(Field.EVERY)):
        return list(shown)
    ticked = [v for block, some in choices.items() if block.startswith(Field.ITEMS) for v in some]
    return sorted({int(each) for each in ticked if _is_number(each)})


def _choices(page: WaitingPage, now: int) -> Iterator[Block]:
    for role, items in groupby(page.items, key=lambda item: item.role):
        some = list(items)
        yield paragraph(_about(page, role), [_default(some[0])])
        for begin in range(0, len(some), CHECKBOXES):
            yield _group(page, some[begin : begin + CHECKBOXES], now)


def _about(page: WaitingPage, name: str) -> list[Part]:
    role = page.roles.get(name)
    if not name:
        return [bold("Onboardings")]
    if role is None:
        return [
            *role_parts(None, name),
            " (",
            code(f"{slash()} roles"),
            " shows what a role gives)",
        ]
    gives = gives_within(role, SYSTEMS_ROOM, ACTIONS_ROOM, f"`{slash()} roles`")
    return [*role_parts(role, name), ": ", *gives]


def _default(item: Item) -> str:
    ends = "end" if item.by_default == END else "stay"
    return f"Items without an answer by the due date {ends}."


def _group(page: WaitingPage, items: Sequence[Item], now: int) -> Block:
    name = _block(Field.ITEMS, page, items[0])
    options = [_option(page, item, now) for item in items]
    element: Element = {"type": "checkboxes", "action_id": name, "options": options}
    first, last = items[0].number, items[-1].number
    label = f"Item {first}" if first == last else f"Items {first} to {last}"
    return input_block(name, label, element, "", True)


def _option(page: WaitingPage, item: Item, now: int) -> Element:
    title, more = _TEXTS[item.kind](page, item, now)
    return {
        "text": plain(title, LINE),
        "description": plain(more, LINE),
        "value": str(item.number),
    }


def _grant(page: WaitingPage, item: Item, now: int) -> tuple[str, str]:
    used = page.used.get(item.about)
    parts = [
        f"{left(max(0, int(item.facts['until']) - now))} left",
        *([used_text(used)] if used else []),
        *([f"approved by {_name(page, item.facts['decided_by'])}"]),
    ]
    return _people(page, item), ", ".join(parts)


def _requester(page: WaitingPage, item: Item, now: int) -> tuple[str, str]:
    return f"May request it: {_reference(page, item)}", _members(page, item)


def _approver(page: WaitingPage, item: Item, now: int) -> tuple[str, str]:
    return f"May approve it: {_reference(page, item)}", _members(page, item)


def _onboarding(page: WaitingPage, item: Item, now: int) -> tuple[str, str]:
    ramp = page.ramps.get(item.about)
    who = _people(page, item) or str(item.facts["email"])
    state = f", {ramp.state}" if ramp else ""
    return f"Onboarding of {who}", f"{item.facts['bundle']}{state}: {_roles(item)}"


_TEXTS = {
    ItemKind.GRANT: _grant,
    ItemKind.REQUESTER: _requester,
    ItemKind.APPROVER: _approver,
    ItemKind.ONBOARDING: _onboarding,
}


def _roles(item: Item) -> str:
    return ", ".join(item.facts["roles"])


def _reference(page: WaitingPage, item: Item) -> str:
    """The reference of roles.toml; a person or a group by name."""
    return _name(page, item.about)


def _members(page: WaitingPage, item: Item) -> str:
    if item.about == EVERYONE:
        return "every full member of the workspace"
    count = len(item.holders)
    return f"{'1 person' if count == 1 else f'{count} people'}: {_people(page, item)}"


def _people(page: WaitingPage, item: Item) -> str:
    more = len(item.holders) - _MOST_NAMED
    names = ", ".join(_name(page, each) for each in item.holders[:_MOST_NAMED])
    return names + (f" and {more} more" if more > 0 else "")


def _name(page: WaitingPage, person: str) -> str:
    return clean(page.names.get(person, person), 40)


def _block(field: Field, page: WaitingPage, first: Item) -> str:
    """The name of an input, another one after each decision: Slack keeps the ticks of an input
    whose name stays."""
    return f"{field}{first.number}-{page.view.answered}"


def _every(page: WaitingPage) -> Block:
    name = _block(Field.EVERY, page, page.items[0])
    options = [{"text": plain("Every item on this page", LINE), "value": "every"}]
    element: Element = {"type": "checkboxes", "action_id": name, "options": options}
    return input_block(name, "Or", element, "", optional=True)


def _decision() -> Block:
    options = [
        {"text": plain("Keep", LINE), "value": KEEP},
        {"text": plain("End now", LINE), "value": END},
    ]
    element: Element = {
        "type": "radio_buttons",
        "action_id": str(Field.DECISION),
        "options": options,
    }
    return input_block(Field.DECISION, "Decision", element)


def _pager(page: WaitingPage, first: int) -> list[Block]:
    """Buttons for other pages. Ticks on this page are lost then."""
    campaign, last = page.view.campaign.id, page.items[-1].number
    about = f"items {first} to {last}"
    buttons = []
    if page.more:
        buttons.append(button("Next page", Action.REVIEW_PAGE, f"{campaign}:{last}", about))
    if page.skipped:
        buttons.append(button("First page", Action.REVIEW_FIRST, f"{campaign}:0", about))
    return [context("Turning the page decides nothing."), actions(*buttons)] if buttons else []
