"""The monthly suggestions as Slack shows them."""

from __future__ import annotations

import pytest

from bot.core.right_sizing import Change, Suggestion
from bot.core.weekly import Period
from bot.operations.digest.describe_right_sizing import RightSizing
from bot.sandbox.blocks import validate_message
from bot.slack.views import right_sizing_message
from tests.slack.views_samples import NASTY, NOW, interpreted, words


def found(*suggestions: Suggestion) -> RightSizing:
    return RightSizing(Period(NOW - 90 * 86400, NOW), suggestions, 3, 40, 31)


@pytest.mark.parametrize("change", list(Change))
def test_each_suggestion_has_its_numbers_and_the_lines_to_copy(change: Change) -> None:
    toml = '[roles.orders-read]\ndefault_duration = "30m"'
    each = Suggestion(change, "orders-read", "Nine of ten needed 20m.", toml)
    message = right_sizing_message.render(found(each))
    assert validate_message(message) == []
    assert toml in words(message)
    assert "Nine of ten needed 20m." in words(message)
    assert "orders-read: " in message["text"] and "Nine of ten needed 20m." in message["text"]
    assert "3 roles, 40 requests and 31 grants" in message["text"]


def test_without_a_suggestion_it_is_said() -> None:
    message = right_sizing_message.render(found())
    assert validate_message(message) == []
    assert "nothing to suggest" in message["text"] and "nothing to suggest" in words(message)


@pytest.mark.parametrize("typed", NASTY.values(), ids=NASTY)
def test_many_long_ones_are_within_slacks_limits(typed: str) -> None:
    every = [Suggestion(Change.RULE, f"r{n}" + "x" * 60, typed, typed) for n in range(80)]
    message = right_sizing_message.render(found(*every))
    assert validate_message(message) == []
    assert "<" not in interpreted(message)
    assert "more. They follow" in words(message)
