"""Shows credentials in a modal: the token at once, and those of other systems as they answer,
because Slack waits three seconds and a system may take ten. Nothing in the modal is stored.
"""

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from functools import partial
from typing import Any

from bot.core.errors import OutcomeUnknown, SystemRefused, SystemUnavailable
from bot.core.observed import CredentialAnswer
from bot.operations.grants.describe_grant import GrantView, describe_grant
from bot.operations.grants.show_credentials import (
    Credentials,
    confirm_shown,
    discard_credentials,
    show_credentials,
)
from bot.slack.blocks import View
from bot.slack.context import (
    USUAL,
    ListenerContext,
    Opened,
    change_window,
    open_named_window,
    update_view,
)
from bot.slack.payloads import Submission
from bot.slack.views import credentials_modal, request_modal

log = logging.getLogger(__name__)

AT_ONCE = 2.0
"""Seconds that the answer to a submitted window waits for systems; Slack gives up after three."""

ACKED = 1.0
"""Seconds after which Slack has applied the answer to a submitted window, so that a change can't
overtake it."""

TRIES, PAUSE, LONGEST_PAUSE = 3, 1, 10
"""The number of tries of a change, and the shortest and longest pause between them in seconds: its
content is nowhere else."""

OVERTAKEN = "you pressed again: the newer window has the valid credentials."
NOT_TAKEN = (
    "Slack rejected what the systems returned; it may be too long. The bot's log has the reason:"
    " tell your leads."
)


def show_window(ctx: ListenerContext, trigger: str, shown: Credentials) -> bool:
    """Opens the window for new credentials; False when Slack refused. The credentials of systems
    are added later. A token that was not shown never works. If it is unknown whether the token was
    shown, it works beside the earlier one until the next that is shown replaces both."""
    try:
        view = describe_grant(ctx.world, shown.grant.id)
        opened = (
            open_named_window(ctx, trigger, credentials_modal.render(shown, view, {}))
            if view
            else None
        )
    except OutcomeUnknown as lost:
        log.warning("credentials of %s: %s", shown.grant.id, lost)
        return False
    except Exception:
        discard_credentials(ctx.world, shown)
        raise
    if view is None or opened is None:
        discard_credentials(ctx.world, shown)
        return False
    confirm_shown(ctx.world, shown, opened.id)
    CredentialsWindow(ctx, opened, shown, view, {}).await_all(ctx.ask_systems(shown.orders, {}))
    return True


def answer_window(ctx: ListenerContext, form: Submission) -> dict[str, Any]:
    """Makes all credentials again with the holder's input. Returns the answer for Slack."""
    shown = show_credentials(ctx.world, form.metadata, form.person)
    view = describe_grant(ctx.world, form.metadata)
    if not isinstance(shown, Credentials) or view is None:
        why = "There is no such access." if isinstance(shown, Credentials) else shown.reason
        return {"response_action": "update", "view": request_modal.notice("Not possible", why)}
    confirm_shown(ctx.world, shown, form.window)
    answers = ctx.ask_systems(shown.orders, _given(form))
    wait(answers.values(), AT_ONCE)
    known = {system: _finished(answer) for system, answer in answers.items() if answer.done()}
    if late := {system: answer for system, answer in answers.items() if system not in known}:
        window = CredentialsWindow(ctx, Opened(form.window, ""), shown, view, known)
        after = threading.Timer(ACKED, window.await_all, [late])
        after.daemon = True
        after.start()
    return {"response_action": "update", "view": credentials_modal.render(shown, view, known)}


def _given(form: Submission) -> dict[str, str]:
    return {
        name.removeprefix(credentials_modal.FIELD): text.strip()
        for name, text in form.texts.items()
    }


def _finished(answer: Future[CredentialAnswer]) -> CredentialAnswer:
    return OVERTAKEN if answer.cancelled() else answer.result()


class CredentialsWindow:
    """An open window, and the answers of the systems so far."""

    def __init__(
        self,
        ctx: ListenerContext,
        opened: Opened,
        shown: Credentials,
        view: GrantView,
        known: Mapping[str, CredentialAnswer],
    ) -> None:
        self._ctx, self._opened, self._shown, self._view = ctx, opened, shown, view
        self._known, self._seen = dict(known), len(known)
        self._lock, self._over = threading.Lock(), False

    def await_all(self, answers: Mapping[str, Future[CredentialAnswer]]) -> None:
        """Shows each answer when it arrives; answers that arrive at the same moment are shown
        together."""
        for system, answer in answers.items():
            answer.add_done_callback(partial(self._came, system))

    def _came(self, system: str, answer: Future[CredentialAnswer]) -> None:
        if answer.cancelled() and not self._opened.hash:
            return  # the holder submitted it again, so that answer is newer
        self._known[system] = _finished(answer)
        with self._lock:
            if len(self._known) > self._seen and not self._over:
                self._seen = len(self._known)
                self._show(credentials_modal.render(self._shown, self._view, dict(self._known)))

    def _show(self, view: View) -> None:
        """Changes the window, unless its hash shows that something else has changed it."""
        for _ in range(TRIES):
            try:
                self._opened = change_window(self._ctx, self._opened, view)
                break
            except SystemUnavailable as error:
                if isinstance(error, OutcomeUnknown):
                    # It may have been done, and the hash be another.
                    self._opened = Opened(self._opened.id, "")
                log.warning("the window for %s is not filled yet: %s", self._shown.grant.id, error)
                time.sleep(min(error.retry_after or PAUSE, LONGEST_PAUSE))
            except SystemRefused as refused:
                self._refused(refused)
                break

    def _refused(self, refused: SystemRefused) -> None:
        """Stops changing a window that was closed. If Slack rejects the view itself, a notice
        replaces it."""
        self._over = True
        if refused.code not in USUAL:
            log.error("Slack did not take the window for %s: %s", self._shown.grant.id, refused)
            update_view(self._ctx, self._opened.id, request_modal.notice("Not possible", NOT_TAKEN))
