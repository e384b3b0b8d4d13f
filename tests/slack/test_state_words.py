"""Each state and each end has one word, in the model, in messages, on the command line and in
docs/lifecycle.md."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest

from bot.cli.requests import STATES
from bot.core.model import EndReason, GrantState, RequestState
from bot.slack.views import answers, approval_message
from bot.slack.views._parts import ended_because, state_parts, why_words
from tests.slack.views_samples import NOW, a_card, a_grant, a_request, words

PAGE = (Path(__file__).parents[2] / "docs/lifecycle.md").read_text()


def text_of(parts: list[object]) -> str:
    return " ".join(
        str(part.get("text", "") if isinstance(part, dict) else part) for part in parts
    ).lower()


@pytest.mark.parametrize("state", GrantState)
def test_a_grant_s_state_has_its_own_word(state: GrantState) -> None:
    grant = a_grant(state=state, end_reason=EndReason.EXPIRED, ended_at=NOW)
    assert text_of([*state_parts(grant)]).startswith(state)


@pytest.mark.parametrize("reason", EndReason)
def test_the_reason_of_an_end_has_its_own_words(reason: EndReason) -> None:
    grant = a_grant(state=GrantState.ENDED, end_reason=reason, ended_at=NOW, end_by="U0LEA")
    for text in (
        why_words(reason),
        text_of(ended_because(grant)),
        text_of(ended_because(grant, to_holder=True)),
    ):
        assert all(word in text for word in reason.split("_"))


@pytest.mark.parametrize("state", RequestState)
def test_a_request_s_state_has_its_own_word(state: RequestState) -> None:
    card = a_card(request=a_request(state=state, decided_by="U0BEN", decided_at=NOW))
    told = answers.render("already_decided", {"request": "r1"}, card, NOW)
    assert state in words(told).lower()
    if state is not RequestState.PENDING:
        message = approval_message.render(card, NOW)
        assert state in message["text"] and state in words(message).lower()


def test_the_command_line_lists_requests_by_the_same_words() -> None:
    assert (*RequestState, "all") == STATES


@pytest.mark.parametrize(
    ("of", "kind"), [("a request", RequestState), ("a grant", GrantState), ("an end", EndReason)]
)
def test_the_documents_have_the_same_words(of: str, kind: type[StrEnum]) -> None:
    (row,) = re.findall(rf"^\| {of} \| (.*) \|$", PAGE, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == list(kind)
