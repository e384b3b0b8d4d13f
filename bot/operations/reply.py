"""Queues a private reply to a press, because Slack's own reply to a press can't carry text."""

from bot.core import effects
from bot.operations._unit_of_work import Context, unit


def queue_reply(world: Context, person: str, channel: str, note: str, **facts: object) -> None:
    """`channel` is the place of the press, "" in a modal or in Home; `note` and `facts` are those
    of `views/answers.py`."""
    with unit(world) as u:
        u.do(effects.answer(person, channel, note, **facts))
