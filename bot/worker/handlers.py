"""The handlers of outbox work: one row for each kind of work, in one table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.core.effects import Kind
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.operations.claim_work import Batch, Work
from bot.worker import anchors, lookups, maintenance, messages, provisioning
from bot.worker.deps import HandlerDeps

Run = Callable[[HandlerDeps, Work], None]
OnRetry = Callable[[HandlerDeps, Work, SystemUnavailable], None]
OnRefused = Callable[[HandlerDeps, Work, SystemRefused], None]


@dataclass(frozen=True, slots=True)
class Handler:
    """The functions for one kind of work. Each may raise StorageUnavailable."""

    run: Run
    """Runs the work and records its outcome with `work.finish`. Raises SystemUnavailable and
    SystemRefused."""
    on_retry: OnRetry | None = None
    """Called after an attempt that may be retried; gives the work up by finishing it."""
    on_refused: OnRefused | None = messages.report_undelivered
    """Finishes work that was refused permanently. None: the work is retried, because access would
    stay, or end too early."""
    batch: Batch | None = None
    """Kinds of work that one call can do together."""
    resend_safe: bool = True
    """False for a message that must not be posted twice."""
    paces_queue: bool = True
    """False if Slack limits this call separately, so that its pauses don't delay other updates."""


_DIRECT = Batch((Kind.NOTIFY_PERSON, Kind.REMIND), at_least=1, at_most=10)
_SECURITY = Batch((Kind.NOTIFY_SECURITY,), at_least=1, at_most=10)
_ALERTS = Batch((Kind.ALERT,), at_least=1, at_most=200)
_THREADS = Batch((Kind.THREAD_NOTE,), at_least=3, at_most=50)  # each is some 650 bytes of JSON

HANDLERS: Mapping[Kind, Handler] = {
    Kind.START_GRANT: Handler(
        provisioning.start_grant,
        on_retry=provisioning.delay_start,
        on_refused=provisioning.fail_start,
    ),
    Kind.EXTEND_LEASE: Handler(provisioning.extend_lease, on_refused=None),
    Kind.END_LEASE: Handler(
        provisioning.end_lease, on_retry=provisioning.delay_end, on_refused=None
    ),
    Kind.DECIDE: Handler(
        lookups.decide, on_retry=lookups.delay_decision, on_refused=lookups.refuse_decision
    ),
    Kind.ASK: Handler(lookups.ask, on_retry=lookups.delay_ask, on_refused=lookups.refuse_ask),
    Kind.LOOK_UP_PERSON: Handler(lookups.look_up_person),
    Kind.REFRESH_GROUPS: Handler(lookups.refresh_groups),
    Kind.REFRESH_PEOPLE: Handler(lookups.refresh_people),
    Kind.REFRESH_CHANNELS: Handler(lambda deps, work: deps.messenger.refresh_channels(work)),
    Kind.SUM_USAGE: Handler(maintenance.sum_usage),
    Kind.REFRESH_MESSAGES: Handler(maintenance.refresh_messages),
    Kind.RECONCILE: Handler(maintenance.reconcile),
    Kind.REMOVE_ORPHAN: Handler(maintenance.remove_orphan),
    Kind.POST_APPROVAL: Handler(
        lambda deps, work: deps.messenger.post_approval(work),
        on_refused=messages.report_unposted,
        resend_safe=False,
    ),
    Kind.UPDATE_APPROVAL: Handler(lambda deps, work: deps.messenger.update_approval(work)),
    Kind.THREAD_NOTE: Handler(
        messages.with_usage(lambda deps, work: deps.messenger.thread_notes(work)),
        batch=_THREADS,
        resend_safe=False,
    ),
    Kind.PING: Handler(lambda deps, work: deps.messenger.ping(work), resend_safe=False),
    Kind.NOTIFY_PERSON: Handler(
        messages.with_usage(lambda deps, work: deps.messenger.notify_person(work)),
        batch=_DIRECT,
        resend_safe=False,
    ),
    Kind.REMIND: Handler(
        messages.with_usage(lambda deps, work: deps.messenger.notify_person(work)),
        batch=_DIRECT,
        resend_safe=False,
    ),
    Kind.UPDATE_DIRECT: Handler(lambda deps, work: deps.messenger.update_direct(work)),
    Kind.NOTIFY_SECURITY: Handler(
        lambda deps, work: deps.messenger.notify_security(work),
        on_refused=messages.forward_refused,
        batch=_SECURITY,
        resend_safe=False,
    ),
    Kind.ALERT: Handler(
        lambda deps, work: deps.messenger.alerts(work),
        on_refused=messages.forward_refused,
        batch=_ALERTS,
        resend_safe=False,
    ),
    Kind.UPDATE_ALERT: Handler(lambda deps, work: deps.messenger.update_alert(work)),
    Kind.POST_FLAG: Handler(
        lambda deps, work: deps.messenger.post_flag(work),
        on_refused=messages.forward_refused,
        resend_safe=False,
    ),
    Kind.UPDATE_FLAG: Handler(lambda deps, work: deps.messenger.update_flag(work)),
    Kind.FLAG_THREAD: Handler(
        lambda deps, work: deps.messenger.flag_thread(work), resend_safe=False
    ),
    Kind.ANSWER: Handler(lambda deps, work: deps.messenger.answer(work), resend_safe=False),
    Kind.UPDATE_ANSWER: Handler(
        lambda deps, work: deps.messenger.update_answer(work), paces_queue=False
    ),
    Kind.CLEAR_WINDOW: Handler(lambda deps, work: deps.messenger.clear_window(work)),
    Kind.PUBLISH_HOME: Handler(lambda deps, work: deps.messenger.publish_home(work)),
    Kind.RAMP_NOTE: Handler(lambda deps, work: deps.messenger.ramp_note(work), resend_safe=False),
    Kind.SUGGEST_BUNDLE: Handler(
        lambda deps, work: deps.messenger.suggest_bundle(work), resend_safe=False
    ),
    Kind.UPDATE_RAMP_NOTE: Handler(lambda deps, work: deps.messenger.update_ramp_note(work)),
    Kind.SEND_DIGEST: Handler(
        lambda deps, work: deps.messenger.send_digest(work),
        on_refused=messages.forward_refused,
        resend_safe=False,
    ),
    Kind.REVIEW_NOTE: Handler(
        lambda deps, work: deps.messenger.review_note(work), resend_safe=False
    ),
    Kind.UPDATE_REVIEW_NOTE: Handler(lambda deps, work: deps.messenger.update_review_note(work)),
    Kind.SEND_EXPORT: Handler(lambda deps, work: deps.messenger.send_export(work)),
    Kind.VERIFY_AUDIT: Handler(anchors.verify_log),
    Kind.WRITE_ANCHOR: Handler(anchors.write_anchor, on_refused=None),
    Kind.STAMP_ANCHOR: Handler(anchors.stamp_anchor, on_refused=None),
}
