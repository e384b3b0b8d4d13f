"""The tables of the parts of blocks: text objects, options, interactive elements, rich text, cells.

`blocks.py` combines them. Figures: docs.slack.dev/reference/block-kit.
"""

from __future__ import annotations

from bot.sandbox.checks import (
    Check,
    anything,
    array,
    at_least_one,
    boolean,
    both,
    choice,
    integer,
    number,
    shape,
    shown,
    string,
    typed,
)

ID = string(255)
KIND: dict[str, Check] = {"type!": anything}


def text(most: int, plain: bool = False, least: int = 1) -> Check:
    """A text object; `plain` refuses mrkdwn."""
    words = shown(most, least)
    kinds = {"plain_text": shape({**KIND, "text!": words, "emoji": boolean})}
    if not plain:
        kinds["mrkdwn"] = shape({**KIND, "text!": words, "verbatim": boolean})
    return typed(kinds, "text type")


def plain(most: int) -> Check:
    """A plain_text object."""
    return text(most, plain=True)


CONFIRM = shape(
    {
        "title!": plain(100),
        "text!": text(300),
        "confirm!": plain(30),
        "deny!": plain(30),
        "style": choice("primary", "danger"),
    }
)
OPTION = shape(
    {"text!": text(75), "value!": string(150), "description": text(75), "url": string(3000)}
)
PLAIN_OPTION = shape(
    {"text!": plain(75), "value!": string(150), "description": plain(75), "url": string(3000)}
)
GROUP = shape({"label!": plain(75), "options!": array(PLAIN_OPTION, 100)})
OPTIONS = array(PLAIN_OPTION, 100)
GROUPS = array(GROUP, 100)
FILTER = shape(
    {
        "include": array(choice("im", "mpim", "private", "public")),
        "exclude_external_shared_channels": boolean,
        "exclude_bot_users": boolean,
    }
)
DISPATCH = shape(
    {"trigger_actions_on": array(choice("on_enter_pressed", "on_character_entered"), 2)}
)
IMAGE_SOURCE = {"image_url": string(3000), "slack_file": anything, "alt_text!": shown(2000)}
IMAGE = both(shape({**KIND, **IMAGE_SOURCE}), at_least_one("image_url", "slack_file"))

ACTION: dict[str, Check] = {**KIND, "action_id": ID, "confirm": CONFIRM}
FIELD: dict[str, Check] = {**ACTION, "placeholder": plain(150), "focus_on_load": boolean}
MULTI: dict[str, Check] = {**FIELD, "max_selected_items": integer(1)}
STATIC = at_least_one("options", "option_groups")
TYPED_INPUT: dict[str, Check] = {
    **KIND,
    "action_id": ID,
    "placeholder": plain(150),
    "focus_on_load": boolean,
    "dispatch_action_config": DISPATCH,
}
RESPOND: dict[str, Check] = {"response_url_enabled": boolean}
CHOSEN = string(255)
MANY = array(string(255))


def _select(
    name: str, single: dict[str, Check], several: dict[str, Check], rule: Check
) -> dict[str, Check]:
    """A select and its multi twin."""
    return {
        f"{name}_select": both(shape({**FIELD, **single}), rule),
        f"multi_{name}_select": both(shape({**MULTI, **several}), rule),
    }


SELECTS: dict[str, Check] = {
    **_select(
        "static",
        {"options": OPTIONS, "option_groups": GROUPS, "initial_option": PLAIN_OPTION},
        {"options": OPTIONS, "option_groups": GROUPS, "initial_options": OPTIONS},
        STATIC,
    ),
    **_select(
        "external",
        {"initial_option": PLAIN_OPTION, "min_query_length": integer(0)},
        {"initial_options": OPTIONS, "min_query_length": integer(0)},
        anything,
    ),
    **_select("users", {"initial_user": CHOSEN}, {"initial_users": MANY}, anything),
    **_select(
        "conversations",
        {
            "initial_conversation": CHOSEN,
            "default_to_current_conversation": boolean,
            "filter": FILTER,
            **RESPOND,
        },
        {
            "initial_conversations": MANY,
            "default_to_current_conversation": boolean,
            "filter": FILTER,
        },
        anything,
    ),
    **_select(
        "channels", {"initial_channel": CHOSEN, **RESPOND}, {"initial_channels": MANY}, anything
    ),
}
PICKERS: dict[str, Check] = {
    "datepicker": shape({**FIELD, "initial_date": string(10)}),
    "timepicker": shape({**FIELD, "initial_time": string(5), "timezone": string()}),
    "datetimepicker": shape(
        {**ACTION, "focus_on_load": boolean, "initial_date_time": integer(1_000_000_000)}
    ),
}
CHOICES: dict[str, Check] = {
    "checkboxes": shape(
        {
            **ACTION,
            "options!": array(OPTION, 10),
            "initial_options": array(OPTION, 10),
            "focus_on_load": boolean,
        }
    ),
    "radio_buttons": shape(
        {
            **ACTION,
            "options!": array(OPTION, 10),
            "initial_option": OPTION,
            "focus_on_load": boolean,
        }
    ),
}
BUTTON = shape(
    {
        **ACTION,
        "text!": plain(75),
        "value": string(2000, 0),
        "url": string(3000),
        "style": choice("primary", "danger"),
        "accessibility_label": shown(75),
    }
)
BUTTONS: dict[str, Check] = {
    "button": BUTTON,
    "workflow_button": shape(
        {
            **KIND,
            "action_id": ID,
            "text!": plain(75),
            "workflow!": anything,
            "style": choice("primary", "danger"),
            "accessibility_label": shown(75),
        }
    ),
    "overflow": shape({**ACTION, "options!": array(PLAIN_OPTION, 5)}),
}
WRITTEN: dict[str, Check] = {
    "plain_text_input": shape(
        {
            **TYPED_INPUT,
            "initial_value": shown(None, 0),
            "multiline": boolean,
            "min_length": integer(0, 3000),
            "max_length": integer(1, 3000),
        }
    ),
    "number_input": shape(
        {
            **TYPED_INPUT,
            "is_decimal_allowed!": boolean,
            "initial_value": string(),
            "min_value": string(),
            "max_value": string(),
        }
    ),
    "email_text_input": shape({**TYPED_INPUT, "initial_value": string()}),
    "url_text_input": shape({**TYPED_INPUT, "initial_value": string()}),
}
FREE: dict[str, Check] = {
    "rich_text_input": shape({**TYPED_INPUT, "initial_value": anything}),
    "file_input": shape(
        {**KIND, "action_id": ID, "filetypes": array(string()), "max_files": integer(1, 10)}
    ),
}
IMAGES: dict[str, Check] = {"image": IMAGE}
INPUT_ELEMENTS = {**SELECTS, **PICKERS, **CHOICES, **WRITTEN, **FREE}
ACTION_ELEMENTS = {
    **BUTTONS,
    **SELECTS,
    **PICKERS,
    **CHOICES,
    "rich_text_input": FREE["rich_text_input"],
    "plain_text_input": WRITTEN["plain_text_input"],
}
ACCESSORIES = {**ACTION_ELEMENTS, **IMAGES}

STYLES = (
    "bold",
    "italic",
    "strike",
    "code",
    "underline",
    "highlight",
    "client_highlight",
    "unlink",
)
STYLE = shape(dict.fromkeys(STYLES, boolean))
RICH_PARTS: dict[str, Check] = {
    "text": shape({**KIND, "text!": shown(), "style": STYLE}),
    "link": shape(
        {**KIND, "url!": string(3000), "text": shown(), "unsafe": boolean, "style": STYLE}
    ),
    "emoji": shape(
        {**KIND, "name!": string(), "unicode": string(), "skin_tone": integer(1, 6), "style": STYLE}
    ),
    "user": shape({**KIND, "user_id!": string(), "style": STYLE}),
    "usergroup": shape({**KIND, "usergroup_id!": string(), "style": STYLE}),
    "channel": shape({**KIND, "channel_id!": string(), "style": STYLE}),
    "broadcast": shape({**KIND, "range!": choice("here", "channel", "everyone"), "style": STYLE}),
    "date": shape(
        {
            **KIND,
            "timestamp!": integer(0),
            "format!": string(),
            "url": string(),
            "fallback": string(),
            "style": STYLE,
        }
    ),
    "color": shape({**KIND, "value!": string(), "style": STYLE}),
}
PARTS = array(typed(RICH_PARTS, "rich text element"), least=0)
SECTION_ONLY: dict[str, Check] = {"rich_text_section": shape({**KIND, "elements!": PARTS})}
RICH: dict[str, Check] = {
    **SECTION_ONLY,
    "rich_text_list": shape(
        {
            **KIND,
            "style!": choice("bullet", "ordered"),
            "elements!": array(typed(SECTION_ONLY, "list element")),
            "indent": integer(0, 8),
            "offset": integer(0),
            "border": integer(0, 1),
        }
    ),
    "rich_text_preformatted": shape(
        {**KIND, "elements!": PARTS, "border": integer(0, 1), "language": string()}
    ),
    "rich_text_quote": shape({**KIND, "elements!": PARTS, "border": integer(0, 1)}),
}
BLOCK: dict[str, Check] = {**KIND, "block_id": ID}
RICH_TEXT = shape({**BLOCK, "elements!": array(typed(RICH, "rich text element"))})
CELLS: dict[str, Check] = {
    "raw_text": shape({**KIND, "text!": shown()}),
    "raw_number": shape({**KIND, "value!": number, "text": shown()}),
    "rich_text": RICH_TEXT,
}
