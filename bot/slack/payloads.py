"""Turns payloads of Slack into typed input, from the fields of the payload only."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.core.errors import AccessBotError

Json = Mapping[str, Any]


class BadPayload(AccessBotError):
    """The payload lacks a field, or has characters that can't be stored; the text is for the
    sender."""


class NotUnderstood(Exception):
    """Bolt failed on a payload before one of our listeners ran."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__} {ascii(str(error))[:80]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The fields of every payload. `team` is the sender's own workspace, `place` the one where it
    happened, `enterprise` its organisation ("" for none); `key` is the same for every delivery of
    this payload."""

    person: str
    team: str
    place: str
    enterprise: str
    key: str
    channel: str = ""
    trigger: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Payload):
    """`text` is as Slack sends it, with people and channels as `<@U…|name>` and `&`, `<`, `>`
    escaped, `name` the command with its slash. The answer can be changed through `response_url`."""

    text: str
    name: str = ""
    response_url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Click(Payload):
    """A press or a choice. `value` is the button's value or the chosen option, `at` Slack's time of
    it; `ts` is set on a message, `view` and `hash` in a modal or Home, where `texts` are the values
    of the inputs by block id. `ephemeral` is a message that only this person sees."""

    action: str
    value: str
    at: str
    ts: str = ""
    view: str = ""
    view_type: str = ""
    hash: str = ""
    ephemeral: bool = False
    response_url: str = field(default="", repr=False)
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission(Payload):
    """A submitted modal and the id of its view (`window`). `texts` has the typed or chosen values
    and `choices` the ticked boxes, both by block id; `fields` are its input blocks in their
    order."""

    window: str
    modal: str
    metadata: str
    texts: Mapping[str, str]
    choices: Mapping[str, tuple[str, ...]]
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut(Payload):
    """`quote` is the text of the message that it was called on, with a link to it; "" for a global
    one."""

    shortcut: str
    quote: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion(Payload):
    """The text typed so far into a searched menu."""

    action: str
    typed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackEvent(Payload):
    """An event of the Events API; `tab` only for an opened App Home."""

    event: str
    tab: str = ""


def command_from(body: Json) -> Command:
    """A slash command (https://docs.slack.dev/interactivity/implementing-slash-commands)."""
    team = _text(body, "team_id")
    trigger = _text(body, "trigger_id")
    return Command(
        person=_needed(body, "user_id"),
        team=team,
        place=team,
        enterprise=_text(body, "enterprise_id"),
        channel=_text(body, "channel_id"),
        trigger=trigger,
        key=f"command:{trigger or _digest(body)}",
        text=_text(body, "text"),
        name=_text(body, "command"),
        response_url=_text(body, "response_url"),
    )


def click_from(body: Json) -> Click:
    """A `block_actions` payload
    (https://docs.slack.dev/reference/interaction-payloads/block_actions-payload)."""
    action = _first(body.get("actions"))
    container, view = _part(body, "container"), _part(body, "view")
    channel = _text(_part(body, "channel"), "id") or _text(container, "channel_id")
    ts = _text(container, "message_ts") or _text(_part(body, "message"), "ts")
    name, value, at, where = (
        _needed(action, "action_id"),
        _chosen(action),
        _text(action, "action_ts"),
        _text(view, "id") or f"{channel}:{ts}",
    )
    sender = _who(body)
    return Click(
        **sender,
        channel=channel,
        trigger=_text(body, "trigger_id"),
        key=f"action:{where}:{name}:{_digest(value)}:{sender['person']}:{at}",
        action=name,
        value=value,
        at=at,
        ts=ts,
        view=_text(view, "id"),
        view_type=_text(view, "type"),
        hash=_text(view, "hash"),
        ephemeral=container.get("is_ephemeral") is True,
        response_url=_text(body, "response_url"),
        texts=_texts(view),
    )


def submission_from(body: Json) -> Submission:
    """A `view_submission` payload. Its key changes with every try, because a refused modal is sent
    again."""
    view = _part(body, "view")
    trigger = _text(body, "trigger_id")
    return Submission(
        **_who(body),
        trigger=trigger,
        key=f"view:{_needed(view, 'id')}:{trigger or _digest(_part(view, 'state'))}",
        window=_needed(view, "id"),
        modal=_needed(view, "callback_id"),
        metadata=_text(view, "private_metadata"),
        texts=_texts(view),
        choices={
            block: ticked for block, state in _state(view) if (ticked := _ticked(state)) is not None
        },
        fields=tuple(
            _text(block, "block_id")
            for block in _list(view.get("blocks"))
            if isinstance(block, Mapping) and block.get("type") == "input"
        ),
    )


def shortcut_from(body: Json) -> Shortcut:
    """A `shortcut` or `message_action` payload."""
    return Shortcut(
        **_who(body),
        channel=_text(_part(body, "channel"), "id"),
        trigger=_text(body, "trigger_id"),
        key=f"shortcut:{_text(body, 'trigger_id')}",
        shortcut=_needed(body, "callback_id"),
        quote=_quote(body) if "message" in body else "",
    )


def suggestion_from(body: Json) -> Suggestion:
    """A `block_suggestion` payload
    (https://docs.slack.dev/reference/interaction-payloads/block_suggestion-payload). Characters
    that no database can store are left out: the words are only compared."""
    typed = body.get("value")
    return Suggestion(
        **_who(body),
        key="",
        action=_needed(body, "action_id"),
        typed=_storable(typed) if isinstance(typed, str) else "",
    )


def event_from(body: Json) -> SlackEvent:
    """An `event_callback` payload; `person` is its subject, "" for an event about nobody."""
    event = _part(body, "event")
    user = event.get("user")
    person = _text(user, "id") if isinstance(user, Mapping) else _text(event, "user")
    team = _text(body, "team_id")
    return SlackEvent(
        person=person,
        team=team,
        place=team,
        enterprise=_text(body, "enterprise_id"),
        key=f"event:{_needed(body, 'event_id')}",
        event=_needed(event, "type"),
        tab=_text(event, "tab"),
    )


def input_in(body: Json) -> str:
    """The block id of the first input of a submitted modal, or "", however malformed the payload
    is."""
    blocks = _list(_part(body, "view").get("blocks"))
    inputs = [
        block.get("block_id")
        for block in blocks
        if isinstance(block, Mapping) and block.get("type") == "input"
    ]
    return next((block for block in inputs if isinstance(block, str)), "")


def trigger_in(body: Json) -> str:
    """The trigger of a payload, or "", however malformed the payload is."""
    trigger = body.get("trigger_id")
    return trigger if isinstance(trigger, str) else ""


def sender_in(body: Json) -> str:
    """The id of the sender of a payload, or "", however malformed the payload is."""
    user = _part(body, "user").get("id") or body.get("user_id")
    return _storable(user) if isinstance(user, str) else ""


_LINK = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")
_PERSON = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>|([UW][A-Z0-9]{5,})")


def unescape(text: str) -> str:
    """The typed text, as far as Slack passes it on: `<@U1|ana>` is `@ana`, `<#C1|ops>` is `#ops`,
    `&amp;` is `&`."""
    plain = _LINK.sub(_typed, text)
    return plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def mentioned(word: str) -> str | None:
    """The id of the person that a word of a command names, by mention or by id."""
    match = _PERSON.fullmatch(word)
    return (match[1] or match[2]) if match else None


def _typed(match: re.Match[str]) -> str:
    kind, target, label = match[1], match[2], match[3] or ""
    if kind in ("@", "#"):
        return kind + (label or target)
    if kind == "!":
        return "@" + (label.removeprefix("@") or target.partition("^")[2] or target)
    return label or target.removeprefix("mailto:")


def _quote(body: Json) -> str:
    """The permalink is made here, because asking Slack for it could cost the trigger's three
    seconds."""
    message, channel = _part(body, "message"), _text(_part(body, "channel"), "id")
    domain = _text(_part(body, "team"), "domain")
    ts = _text(message, "ts") or _text(body, "message_ts")
    typed = message.get("text")
    words = unescape(_storable(typed)).strip() if isinstance(typed, str) else ""
    link = (
        f"https://{domain}.slack.com/archives/{channel}/p{ts.replace('.', '')}"
        if domain and ts
        else ""
    )
    room = QUOTED - len(link)
    quoted = f"“{words if len(words) <= room else words[: room - 1] + '…'}”" if words else ""
    return " ".join(part for part in (quoted, link) if part)


QUOTED = 2500
"""Characters of a quotation: the rest of Slack's 3,000 of an input is for the person's own
words."""


def _who(body: Json) -> dict[str, str]:
    user, place = _part(body, "user"), _text(_part(body, "team"), "id")
    home = _text(user, "team_id") or place
    organisation = _text(_part(body, "enterprise"), "id")
    return {
        "person": _sender(body),
        "team": home,
        "place": place or home,
        "enterprise": organisation,
    }


def _sender(body: Json) -> str:
    return _needed(_part(body, "user"), "id")


def _state(view: Json) -> list[tuple[str, Json]]:
    """Each input's block id with the state of its element."""
    values = _part(_part(view, "state"), "values")
    return [
        (str(block), state)
        for block, inputs in values.items()
        if isinstance(inputs, Mapping)
        for state in inputs.values()
        if isinstance(state, Mapping)
    ]


def _texts(view: Json) -> dict[str, str]:
    return {block: _chosen(state) for block, state in _state(view) if _ticked(state) is None}


def _ticked(state: Json) -> tuple[str, ...] | None:
    """The values of ticked boxes, or None for an element without boxes."""
    if "selected_options" not in state:
        return None
    options = _list(state["selected_options"])
    return tuple(_text(option, "value") for option in options if isinstance(option, Mapping))


def _chosen(element: Json) -> str:
    """The value of an element: of a button, a text, a chosen option, a chosen person or a chosen
    time."""
    option = element.get("selected_option")
    if isinstance(option, Mapping):
        return _text(option, "value")
    if isinstance(element.get("selected_user"), str):
        return _text(element, "selected_user")
    picked = element.get("selected_date_time")
    return str(picked) if isinstance(picked, int) else _text(element, "value")


def _part(body: Json, name: str) -> Json:
    found = body.get(name)
    return found if isinstance(found, Mapping) else {}


def _list(found: object) -> list[Any]:
    return found if isinstance(found, list) else []


def _first(found: object) -> Json:
    first = next(iter(_list(found)), None)
    return first if isinstance(first, Mapping) else {}


def _needed(body: Json, name: str) -> str:
    if not (found := _text(body, name)):
        raise BadPayload("Slack sent something that the bot can't read. Nothing was changed.")
    return found


def _text(body: Json, name: str) -> str:
    """A text field, "" if it is missing. Text that no database can store is refused, never
    shortened."""
    found = body.get(name)
    if not isinstance(found, str):
        return ""
    if _UNSTORABLE.search(found):
        raise BadPayload(
            "Your text has characters that can't be stored. Type it instead of pasting it."
        )
    return found


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _storable(text: str) -> str:
    return _UNSTORABLE.sub("", text)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
