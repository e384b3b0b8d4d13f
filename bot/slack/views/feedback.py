"""Asks a holder at the end of a grant whether they needed it, and shows their answer."""

from collections.abc import Mapping

from bot.core.feedback import Feedback, may_be_asked
from bot.operations.grants.describe_grant import GrantView
from bot.slack.blocks import Block, actions, bold, button, paragraph
from bot.slack.ids import Action
from bot.slack.views._parts import title_of

ANSWERS: Mapping[Feedback, tuple[Action, str]] = {
    Feedback.USED: (Action.FEEDBACK_USED, "Used it"),
    Feedback.UNNEEDED: (Action.FEEDBACK_UNNEEDED, "Did not need it"),
    Feedback.MORE: (Action.FEEDBACK_MORE, "Needed more"),
}
"""The button of each answer."""


def feedback_asked(view: GrantView) -> list[Block]:
    """The question with its buttons, or the answer."""
    if view.feedback is not None:
        return [paragraph(["You answered: ", bold(ANSWERS[view.feedback][1]), ". Thank you."])]
    if not may_be_asked(view.grant):
        return []
    title = title_of(view.role, view.grant.role)
    return [
        paragraph(["Did you need it? Your answer helps to fit the role to the work."]),
        actions(*(button(label, name, view.grant.id, title) for name, label in ANSWERS.values())),
    ]


def feedback_text(answer: Feedback) -> str:
    """The answer that counts, for a press that no message shows."""
    return f"Thank you. Your answer is on record: {ANSWERS[answer][1]}."
