"""Runs one process: starts its parts in order, serves HTTP, and stops the parts in order."""

import logging
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from prometheus_client import CollectorRegistry

from bot.app import (
    Services,
    build_delivery,
    build_revocations,
    build_server,
    build_slack_events,
    build_socket,
    build_systems,
    slack_client,
)
from bot.config.roles.lint import warnings
from bot.core.effects import Queue
from bot.core.errors import StorageUnavailable, SystemRefused
from bot.core.model import Source
from bot.core.roles import Policy
from bot.core.usage import POLL_EVERY
from bot.doctor.nightly import NightlyCheckup
from bot.operations._unit_of_work import Context
from bot.operations.audit.anchor_head import anchor_daily
from bot.operations.audit.record_repeats import record_repeats
from bot.operations.claim_work import free_claims
from bot.operations.digest.send_due_digest import send_due_digest
from bot.operations.messages.keep_channels import look_up_channels, look_up_channels_in_turn
from bot.operations.messages.private_answers import forget_answers
from bot.operations.onboarding.sweep_ramps import sweep_ramps
from bot.operations.people.record_people import (
    people_to_check,
    record_people,
    refresh_old_groups,
    save_refresh,
    warn_of_old_groups,
)
from bot.operations.policy.find_unresolved import unresolved_at_all
from bot.operations.policy.record_policy import record_loaded, record_rejected
from bot.operations.process.check_storage import begin_log, refuse_copy
from bot.operations.process.continue_time import (
    accept_clock,
    check_start,
    mark_time,
    report_clock_behind,
)
from bot.operations.reviews.sweep_campaigns import sweep_campaigns
from bot.operations.systems.alert_due import watch_ends
from bot.operations.systems.reconcile_nightly import reconcile_nightly
from bot.operations.usage.count_usage import UsageMeter
from bot.operations.usage.prune_usage import prune_usage
from bot.slack.api import patient as waits_for_slack
from bot.slack.connect import ConnectLoop
from bot.slack.direct_post import DirectPost
from bot.slack.identity import Identity
from bot.slack.people import SlackPeople
from bot.web.health import NO_ANSWER, STARTING
from bot.web.request_limits import raise_descriptor_limit
from bot.web.server import Server
from bot.web.slack_events import SlackEvents
from bot.worker.calendar_poller import CHECK_EVERY as CALENDARS_EVERY
from bot.worker.calendar_poller import CalendarPoller
from bot.worker.flag_watch import FlagWatch
from bot.worker.outage import OutageWatch
from bot.worker.process_metrics import WorkerMetrics
from bot.worker.roles_watch import RolesWatch
from bot.worker.scheduler import PeriodicJob, Scheduler
from bot.worker.session_poller import SessionPoller
from bot.worker.stream_sender import StreamSender
from bot.worker.ticker import CommitWatcher, Ticker
from bot.worker.write_watch import WriteWatch

log = logging.getLogger(__name__)

CHECK_HOLDERS_EVERY = 10
"""Seconds; with `record_people.WITHIN` every holder is looked up once a minute."""

ASK_SYSTEMS_EVERY = 120
"""Seconds between two health checks of every connected system."""

ANCHOR_EVERY = 300
"""Seconds between two looks whether the head of the log was anchored this day."""

Checks = dict[str, Callable[[], object]]


class Worker:
    """The delivery, the clock and, in Socket Mode, the Slack socket of one process."""

    def __init__(
        self, base: Services, identity: Identity, meter: UsageMeter, registry: CollectorRegistry
    ) -> None:
        settings, clock_world = base.settings, base.world.via(Source.CLOCK)
        patient = slack_client(settings, timeout=10)
        self._base, self.connect_loop = base, ConnectLoop(identity, self._meet_slack)
        self.people = SlackPeople(slack_client(settings, timeout=3), clock_world, identity.team)
        self._checkup = NightlyCheckup(base, waits_for_slack(patient), base.clock.wall)
        self.delivery = build_delivery(base, clock_world, patient, self.people, meter)
        self.jobs = Scheduler(
            clock_world, base.clock.exact, self._others(clock_world), ending=self.delivery.ends_held
        )
        self.socket = (
            build_socket(base, identity, registry) if settings.slack_mode == "socket" else None
        )
        self.streams = StreamSender(clock_world)
        registry.register(WorkerMetrics(self.jobs, self.socket, self.systems))
        self._watch = Ticker(base.clock.exact, self._checks())
        revocations = build_revocations(clock_world, self.delivery.health)
        self._outage = OutageWatch(clock_world, revocations, DirectPost(patient))
        self._flags = FlagWatch(clock_world)
        self._world, self._started, self._stopping = (
            clock_world,
            clock_world.now(),
            threading.Event(),
        )

    def start(self) -> None:
        """Overdue revocations start before anything that needs Slack."""
        if self._base.db.is_sqlite:
            free_claims(self._world)
        self._base.wake_ups.add(self._wake)
        self.jobs.start()
        self.delivery.start()
        self._watch.start()
        self._outage.start()
        self._flags.start()
        threading.Thread(target=self._listen, name="notices", daemon=True).start()
        self.connect_loop.start()

    def stop(self) -> None:
        """Takes no new payloads from Slack, finishes the running work, and leaves the rest in the
        outbox."""
        self._stopping.set()
        self.connect_loop.stop()
        self.delivery.begin_stop()
        self._watch.stop()
        self.streams.stop()
        self._outage.stop()
        self._flags.stop()
        if self.socket is not None:
            self.socket.close()
        self.jobs.stop()
        self.delivery.stop()

    def ready(self) -> list[tuple[str, bool, str]]:
        """Each part of this process: its name, whether it works, and the problem."""
        parts = [
            ("clock", self.jobs.well(), "the sweep has not run lately"),
            ("delivery", self.delivery.well() and self._watch.well(), "a queue has stopped"),
            ("ends", self._outage.well(), "due ends can't be recorded"),
        ]
        if self.socket is not None:
            parts.append(("socket", self.socket.well(), "no live connection to Slack"))
        return parts

    def systems(self) -> Mapping[str, str]:
        """The last known health of each connected system."""
        return self.delivery.health.describe(self._world.policy().systems)

    def _wake(self, queues: frozenset[Queue], due: int | None) -> None:
        self.delivery.wake(queues)
        self.jobs.expect(due)

    def _listen(self) -> None:
        """Receives the commits of other processes from PostgreSQL; on SQLite the watch polls for
        them."""
        while not self._base.db.is_sqlite and not self._stopping.is_set():
            try:
                self._base.db.listen(self._notice, self._stopping.is_set)
            except StorageUnavailable as error:
                log.warning("notices of other processes come late: %s", error)
            except Exception:
                # Such as a notice of a newer version; polling finds its work a second later.
                log.exception("a notice of another process was not understood")
            self._stopping.wait(1)

    def _notice(self, queues: list[str], due: int | None) -> None:
        """An empty notice means that notices may have been missed."""
        self._wake(frozenset(map(Queue, queues)) or frozenset(Queue), due)

    def _meet_slack(self) -> None:
        save_refresh(self._world, ["groups", "people"])
        look_up_channels(self._world)
        if self.socket is not None:
            self.socket.start()

    def _checks(self) -> Checks:
        checks: Checks = {
            "the clock": self.jobs.check,
            "the database": CommitWatcher(
                self._base.db.data_version, [self.jobs.find_due, self.delivery.find_due]
            ).check,
            "the outbox": self.delivery.wake_due,
            "streams": self.streams.send_due,
            **_roles_checks(self._base),
            "writing": WriteWatch(self._base.world).check,
        }
        return checks if self.socket is None else {**checks, "Slack's socket": self.socket.check}

    def _others(self, world: Context) -> dict[str, PeriodicJob]:
        return {
            "holders": PeriodicJob(CHECK_HOLDERS_EVERY, self._check_holders),
            "groups": PeriodicJob(10, lambda: refresh_old_groups(world)),
            "unread_groups": PeriodicJob(60, lambda: warn_of_old_groups(world, self._started)),
            "systems": PeriodicJob(ASK_SYSTEMS_EVERY, self.delivery.ask_systems),
            "unconfirmed_ends": PeriodicJob(60, lambda: watch_ends(world)),
            "reconcile": PeriodicJob(60, lambda: reconcile_nightly(world)),
            "checkup": PeriodicJob(60, self._checkup.check),
            "sessions": PeriodicJob(POLL_EVERY, SessionPoller(world, build_systems(world)).poll),
            "calendars": PeriodicJob(CALENDARS_EVERY, CalendarPoller(world).poll),
            "tickets": PeriodicJob(30, self.delivery.tickets.watch),
            "channels": PeriodicJob(60, lambda: look_up_channels_in_turn(world)),
            "digest": PeriodicJob(10, lambda: send_due_digest(world)),
            "onboarding": PeriodicJob(10, lambda: sweep_ramps(world)),
            "reviews": PeriodicJob(10, lambda: sweep_campaigns(world)),
            "time": PeriodicJob(60, lambda: mark_time(world)),
            "answers": PeriodicJob(60, lambda: forget_answers(world)),
            "anchor": PeriodicJob(ANCHOR_EVERY, lambda: anchor_daily(world)),
            "repeats": PeriodicJob(10, lambda: record_repeats(world)),
            "retention": PeriodicJob(6 * 3600, lambda: prune_usage(world)),
            "people": PeriodicJob(6 * 3600, lambda: save_refresh(world, ["people"])),
        }

    def _check_holders(self) -> None:
        """Looks up every person with a grant or a request: a deactivated account loses everything
        within a minute."""
        for person in people_to_check(self._world, self._started, CHECK_HOLDERS_EVERY):
            if self._stopping.is_set():
                return
            try:
                record_people(self._world, [self.people.look_up(person)])
            except SystemRefused as error:  # about this person only, so go on with the others
                log.warning("Slack does not say who %s is: %s", person, error)


def reload_roles(base: Services) -> None:
    """Reads roles.toml again if its file has changed, and looks up its new groups and addresses in
    Slack."""

    def loaded(policy: Policy) -> None:
        _record_roles(base)
        _log_warnings(policy)
        save_refresh(base.world, ["groups", "people"])
        look_up_channels(base.world)

    base.roles.reload(loaded, partial(record_rejected, base.world))


def _roles_checks(base: Services) -> Checks:
    checks: Checks = {"roles.toml": partial(reload_roles, base)}
    if base.db.is_sqlite:  # there is one process, so there is one file
        return checks
    return {**checks, "the roles.toml of others": RolesWatch(base.world, base.clock).check}


def _record_roles(base: Services, revision: str = "") -> None:
    for change in record_loaded(base.world, base.roles.policy, revision):
        log.log(
            logging.WARNING if change.loosens else logging.INFO,
            "roles.toml was changed: %s",
            change,
        )


def _log_warnings(policy: Policy) -> None:
    if found := [each.name for each in warnings(policy)]:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(Counter(found).items()))
        log.warning("access-bot check warns of the new roles.toml: %s", names)


def serve(
    base: Services, *, web: bool, work: bool, migrate: bool, clock_accepted_by: str = ""
) -> None:
    """Runs until SIGTERM or SIGINT, then finishes the running work. `clock_accepted_by` names the
    operator who confirmed that the machine's clock is right and the records are not, or is "".

    Raises SchemaMismatch, DatabaseIsCopy, ClockBehind and StorageUnavailable before anything was
    started.
    """
    settings = base.settings
    raise_descriptor_limit()
    base.db.migrate() if migrate else base.db.check_schema()
    _check_before_start(base, clock_accepted_by)
    meter = UsageMeter(base.world.via(Source.HTTP))
    takes_events = web and settings.slack_mode == "http"
    worker: Worker | None = None
    slack: SlackEvents | None = None
    registry = CollectorRegistry()
    parts: list[Component] = []
    if work or takes_events:
        identity = Identity(slack_client(settings, timeout=5), base.world)
        worker = Worker(base, identity, meter, registry) if work else None
        parts.append(worker or ConnectLoop(identity, lambda: None))
        slack = build_slack_events(base, identity, registry) if takes_events else None
    if worker is None:
        parts.append(
            Ticker(
                base.clock.exact, {**_roles_checks(base), "writing": WriteWatch(base.world).check}
            )
        )
    health = worker.systems if worker is not None else dict
    server = build_server(
        base, meter, partial(_ready, base, worker, slack), health, slack, registry
    )
    _run(base, meter, server, parts)


def _check_before_start(base: Services, clock_accepted_by: str) -> None:
    """Checks the database and the clock, and records the start and the loaded roles.toml."""
    refuse_copy(base.world)
    begin_log(base.world)
    if clock_accepted_by:
        accept_clock(base.world, clock_accepted_by)
    report_clock_behind(base.world, base.clock.go_on_from(check_start(base.world)))
    mark_time(base.world)
    _record_roles(base, base.settings.policy_revision)


class Component(Protocol):
    """A part that runs beside the web server."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def _run(base: Services, meter: UsageMeter, server: Server, parts: Sequence[Component]) -> None:
    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn replaces these handlers while it serves and raises the signal again afterwards, when
    # our parts still have to finish. A signal before it serves must not be lost either.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    for part in parts:
        part.start()
    try:
        server.run()
    finally:
        log.info("stopping: finishing the work under way")
        for part in parts:
            part.stop()
        _flush(meter)
        _mark(base)
        base.db.close()


def _flush(meter: UsageMeter) -> None:
    try:
        meter.flush()
    except StorageUnavailable as error:
        log.error("the last counts of token checks are lost: %s", error)


def _mark(base: Services) -> None:
    try:
        mark_time(base.world)
    except StorageUnavailable as error:
        # The next start may count a minute too little.
        log.warning("the time of the stop is not kept: %s", error)


def _ready(
    base: Services, worker: Worker | None, slack: SlackEvents | None
) -> list[tuple[str, bool, str]]:
    parts = worker.ready() if worker is not None else []
    if slack is not None:
        parts.append(("slack", *slack.state()))
    return [
        ("database", *_database_answers(base)),
        ("people", _people_known(base), STARTING),
        *parts,
    ]


def _people_known(base: Services) -> bool:
    """Whether every reference of roles.toml was looked up; before that, a request looks up its
    own."""
    try:
        return not base.settings.slack_bot_token or not unresolved_at_all(base.world)
    except StorageUnavailable:
        return False


def _database_answers(base: Services) -> tuple[bool, str]:
    try:
        with base.db.reading():
            base.db.row("SELECT 1")
    except StorageUnavailable as error:  # its text names hosts and users, and /readyz is public
        log.warning("not ready: %s", error)
        return False, NO_ANSWER
    if problem := base.db.writes.problem:
        log.warning("not ready, the last write failed: %s", problem)
        return False, "takes no writes"
    return True, ""
