"""Leaves a private answer for whoever pressed a button, which Slack's own reply to a press can't
carry."""

from bot.core import effects
from bot.operations._unit import World, unit


def leave_answer(world: World, person: str, channel: str, note: str, **facts: object) -> None:
    """`channel` is where they pressed, "" inside a modal or Home; `note` and `facts` as
    `views/answers.py` has them."""
    with unit(world) as u:
        u.do(effects.answer(person, channel, note, **facts))
