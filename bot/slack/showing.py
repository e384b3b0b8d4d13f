"""Show credentials: the one window with secrets in it. A token is there at once; what other systems make is fetched
while the window says so, because Slack waits three seconds and a system may take ten. Nothing of it is kept.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from functools import partial
from typing import Any

from bot.core.reality import Question, Way
from bot.operations.describe_grant import GrantView, describe_grant
from bot.operations.show_credentials import Credentials, confirm_shown, discard_credentials, show_credentials
from bot.slack.desk import Desk, open_window, update_view
from bot.slack.payloads import Submission
from bot.slack.views import credentials_modal, request_modal

Fetched = Future[dict[str, Way | Question | str]]

AT_ONCE = 2.0
"""Seconds that a sent window waits for its answer; Slack gives up after three."""

ACKED = 1.0
"""Seconds after which Slack has surely taken the answer to a sent window: a later change must not come before it."""


def show_window(desk: Desk, trigger: str, shown: Credentials) -> bool:
    """Opens the window for credentials that were just made; False when Slack would not. What the systems add comes
    into it later. A token that could not be shown never works."""
    try:
        view = describe_grant(desk.world, shown.grant.id)
        window = open_window(desk, trigger, credentials_modal.render(shown, view, {})) if view else None
    except Exception:
        discard_credentials(desk.world, shown)
        raise
    if view is None or window is None:
        discard_credentials(desk.world, shown)
        return False
    confirm_shown(desk.world, shown)
    if shown.orders:
        desk.ask_systems(shown.orders, {}).add_done_callback(partial(_update, desk, window, shown, view, 0.0))
    return True


def answer_window(desk: Desk, form: Submission) -> dict[str, Any]:
    """The holder has sent what a system asked for: everything is made anew with it. Gives the answer for Slack."""
    shown = show_credentials(desk.world, form.metadata, form.person)
    view = describe_grant(desk.world, form.metadata)
    if not isinstance(shown, Credentials) or view is None:
        why = "There is no such access." if isinstance(shown, Credentials) else shown.reason
        return {"response_action": "update", "view": request_modal.notice("Not possible", why)}
    confirm_shown(desk.world, shown)
    fetched = desk.ask_systems(shown.orders, _given(form))
    ways: Mapping[str, Way | Question | str] = {}
    try:
        ways = fetched.result(AT_ONCE)
    except Late:
        fetched.add_done_callback(partial(_update, desk, form.window, shown, view, ACKED))
    return {"response_action": "update", "view": credentials_modal.render(shown, view, ways)}


def _given(form: Submission) -> dict[str, str]:
    return {name.removeprefix(credentials_modal.FIELD): text.strip() for name, text in form.texts.items()}


def _update(desk: Desk, window: str, shown: Credentials, view: GrantView, pause: float, fetched: Fetched) -> None:
    time.sleep(pause)
    update_view(desk, window, "", credentials_modal.render(shown, view, fetched.result()))
