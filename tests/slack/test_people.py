"""Which accounts of Slack count as full members."""

from __future__ import annotations

from typing import Any

import pytest

from bot.slack.people import person_from
from tests.worlds import ANA, START

UNFIT: dict[str, dict[str, Any]] = {
    "deactivated": {"deleted": True},
    "a bot": {"is_bot": True},
    "a guest": {"is_restricted": True},
    "a guest of one channel": {"is_ultra_restricted": True},
    "from a shared channel": {"is_stranger": True},
    "of another workspace": {"team_id": "T0OTHER"},
    "only invited": {"is_invited_user": True},
    "an e-mail that is not confirmed": {"is_email_confirmed": False},
}


@pytest.mark.parametrize("fields", UNFIT.values(), ids=UNFIT)
def test_who_is_no_full_member_neither_asks_nor_decides(fields: dict[str, Any]) -> None:
    user = {"id": ANA, "team_id": "T1", "profile": {"email": "ana@example.com"}}
    assert person_from({**user, **fields}, START, "T1").unfit() is not None


@pytest.mark.parametrize("fields", [{}, {"is_email_confirmed": True}, {"is_invited_user": False}], ids=str)
def test_a_full_member_does(fields: dict[str, Any]) -> None:
    user = {"id": ANA, "team_id": "T1", "profile": {"email": "ana@example.com"}}
    assert person_from({**user, **fields}, START, "T1").unfit() is None
