"""The names by which people in Slack know this bot: its slash command and the name of its app. Each
process sets them once, from its settings; a text asks for them each time it is made.
"""

from dataclasses import dataclass

COMMAND, APP = "/access", "Access"
"""The names of a bot whose settings have none."""


@dataclass(slots=True)
class _Names:
    command: str = COMMAND
    app: str = APP


_names = _Names()


def use_names(command: str = COMMAND, app: str = APP) -> None:
    """Sets the names for all texts that are made from now on."""
    _names.command, _names.app = command, app


def slash() -> str:
    """The slash command with its slash, such as `/access`."""
    return _names.command


def app_name() -> str:
    """The name that Slack shows beside the bot's messages."""
    return _names.app
