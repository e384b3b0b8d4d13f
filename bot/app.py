"""Builds the world: the only place that knows every part and hands each what it needs, by name.

It decides nothing; what a part does is said in the part.
"""

import logging
import signal
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Protocol

from prometheus_client import CollectorRegistry
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier

from bot.clock import Clock
from bot.connectors import Systems
from bot.connectors.base import Certifies, Tools
from bot.core.effects import Queue
from bot.core.errors import StorageUnavailable, SystemRefused
from bot.core.model import Source
from bot.core.policy import Policy
from bot.core.policy_lint import warnings
from bot.core.use import LOOK_EVERY
from bot.delivery import Delivery
from bot.health import Health
from bot.jobs import Every, Jobs
from bot.metrics import watch
from bot.operations._unit import World
from bot.operations.check_storage import begin_log
from bot.operations.continue_time import accept_clock, check_start, mark_time, tell_behind
from bot.operations.count_usage import UsageMeter
from bot.operations.find_unresolved import unresolved_at_all
from bot.operations.keep_certificates import StoredCertificates
from bot.operations.keep_channels import look_up_channels, look_up_channels_in_turn
from bot.operations.keep_gates import StoredGates
from bot.operations.keep_marks import StoredMarks
from bot.operations.keep_pins import StoredPins
from bot.operations.private_answers import forget_answers
from bot.operations.reconcile_nightly import reconcile_nightly
from bot.operations.record_people import (
    people_to_check,
    record_people,
    refresh_old_groups,
    save_refresh,
    warn_of_old_groups,
)
from bot.operations.record_policy import record_loaded, record_rejected
from bot.operations.record_repeats import record_repeats
from bot.operations.sound_alarms import watch_ends
from bot.operations.take_work import free_claims
from bot.outage import OutageWatch
from bot.roles_file import RolesFile
from bot.roles_watch import RolesWatch
from bot.session_watch import SessionWatch
from bot.settings import Settings
from bot.slack.direct_post import DirectPost
from bot.slack.greeting import Greeting
from bot.slack.identity import Identity
from bot.slack.listeners import Desk, register
from bot.slack.messenger import Messenger
from bot.slack.people import SlackPeople
from bot.slack.receiver import Receiver
from bot.slack.socket import Socket
from bot.tokens import Signer
from bot.unwritten_ends import UnwrittenMarks, UnwrittenRevocations
from bot.watch import Commits, Watch
from bot.ways import Ways
from bot.web import build_web, serve_config
from bot.web.bounds import raise_descriptor_limit
from bot.web.ops import NO_ANSWER, STARTING, Ready, Said
from bot.web.server import Server
from bot.web.slack_events import SlackEvents
from bot.web.slack_signatures import Signatures
from bot.write_watch import WriteWatch
from storage import audit
from storage.database import Database

log = logging.getLogger(__name__)

LISTENERS = 32
"""Threads that handle what people do in Slack; each is busy for milliseconds."""

CHECK_HOLDERS_EVERY = 10
"""Seconds; with `record_people.WITHIN`, so that every holder is looked up once a minute."""

ASK_SYSTEMS_EVERY = 120
"""Seconds between two questions to every connected system whether it is well."""

PATIENCE = 2.5
"""Seconds to wait for a locked database: who typed a command must hear within Slack's three that it can't be done."""


Looks = dict[str, Callable[[], object]]


@dataclass(frozen=True, slots=True)
class Base:
    """What every verb needs, the command line included: rows, roles, keys and a clock."""

    settings: Settings
    roles: RolesFile
    db: Database
    signer: Signer
    clock: Clock
    world: World
    bell: "Bell"


class Bell:
    """Rings for whoever has been told to listen, when a commit left work or set a deadline."""

    def __init__(self) -> None:
        self._heard: list[Callable[[frozenset[Queue], int | None], None]] = []

    def add(self, heard: Callable[[frozenset[Queue], int | None], None]) -> None:
        self._heard.append(heard)

    def ring(self, queues: frozenset[Queue], due: int | None) -> None:
        for heard in self._heard:
            heard(queues, due)


def build_base(settings: Settings, source: Source, *, only_ending: bool = False, clock: Clock | None = None) -> Base:
    """Opens nothing yet. Raises ConfigError when roles.toml can't be read, unless access is only to be ended.

    Only `bot/in_sandbox.py` brings a clock of its own; every other process goes by the machine's.
    """
    roles = RolesFile(settings.roles_path, settings.environ, only_ending)
    db, signer, bell = Database(settings.database_url, PATIENCE), Signer(settings.secret_keys), Bell()
    clock = clock or Clock()
    world = World(db, clock, roles.current, audit.Chain(signer), signer.sign_token, bell.ring, source)
    return Base(settings, roles, db, signer, clock, world, bell)


class Worker:
    """Delivery, the clock and, in Socket Mode, the Slack socket of one process."""

    def __init__(self, base: Base, identity: Identity, meter: UsageMeter, registry: CollectorRegistry) -> None:
        settings, clock_world = base.settings, base.world.via(Source.CLOCK)
        patient = slack_client(settings, timeout=10)
        self._base, self.greeting = base, Greeting(identity, self._meet_slack)
        self.people = SlackPeople(slack_client(settings, timeout=3), clock_world, identity.team)
        self.delivery = _delivery(base, clock_world, patient, self.people, meter)
        self.jobs = Jobs(clock_world, base.clock.exact, self._others(clock_world), ending=self.delivery.ends_held)
        self.socket = _socket(base, identity, registry) if settings.slack_mode == "socket" else None
        self._watch = Watch(base.clock.exact, self._looks())
        revocations = build_revocations(clock_world, self.delivery.health)
        self._outage = OutageWatch(clock_world, revocations, DirectPost(patient))
        self._world, self._started, self._stopping = clock_world, clock_world.now(), threading.Event()

    def start(self) -> None:
        """Ends that are overdue come before anything that needs Slack."""
        if self._base.db.is_sqlite:
            free_claims(self._world)
        self._base.bell.add(self._heard)
        self.jobs.start()
        self.delivery.start()
        self._watch.start()
        self._outage.start()
        threading.Thread(target=self._listen, name="notices", daemon=True).start()
        self.greeting.start()

    def stop(self) -> None:
        """Takes nothing new from Slack, finishes what is in hand, and leaves the rest in the outbox."""
        self._stopping.set()
        self.greeting.stop()
        self.delivery.begin_stop()
        self._watch.stop()
        self._outage.stop()
        if self.socket is not None:
            self.socket.close()
        self.jobs.stop()
        self.delivery.stop()

    def ready(self) -> list[tuple[str, bool, str]]:
        """What this process needs, whether it is well, and what is wrong."""
        parts = [
            ("clock", self.jobs.well(), "the sweep has not run lately"),
            ("delivery", self.delivery.well() and self._watch.well(), "a queue is not worked any more"),
            ("ends", self._outage.well(), "due ends can't be recorded"),
        ]
        if self.socket is not None:
            parts.append(("socket", self.socket.well(), "no live connection to Slack"))
        return parts

    def systems(self) -> Mapping[str, str]:
        """How each connected system is, as far as this process has seen."""
        return self.delivery.health.said(self._world.policy().systems)

    def _heard(self, queues: frozenset[Queue], due: int | None) -> None:
        self.delivery.wake(queues)
        self.jobs.expect(due)

    def _listen(self) -> None:
        """Hears what other processes commit; on SQLite the watch looks for it."""
        while not self._base.db.is_sqlite and not self._stopping.is_set():
            try:
                self._base.db.listen(self._told, self._stopping.is_set)
            except StorageUnavailable as error:
                log.warning("notices of other processes come late: %s", error)
            except Exception:  # a notice of a newer version, say: what it tells is found by looking, a second later
                log.exception("a notice of another process was not understood")
            self._stopping.wait(1)

    def _told(self, queues: list[str], due: int | None) -> None:
        """An empty notice means that some may have been missed."""
        self._heard(frozenset(map(Queue, queues)) or frozenset(Queue), due)

    def _meet_slack(self) -> None:
        save_refresh(self._world, ["groups", "people"])
        look_up_channels(self._world)
        if self.socket is not None:
            self.socket.start()

    def _looks(self) -> Looks:
        looks: Looks = {
            "the clock": self.jobs.look,
            "the database": Commits(self._base.db.data_version, [self.jobs.find_due, self.delivery.find_due]).look,
            "the outbox": self.delivery.wake_due,
            **_roles_looks(self._base),
            "writing": WriteWatch(self._base.world).look,
        }
        return looks if self.socket is None else {**looks, "Slack's socket": self.socket.look}

    def _others(self, world: World) -> dict[str, Every]:
        return {
            "holders": Every(CHECK_HOLDERS_EVERY, self._check_holders),
            "groups": Every(10, lambda: refresh_old_groups(world)),
            "unread_groups": Every(60, lambda: warn_of_old_groups(world, self._started)),
            "systems": Every(ASK_SYSTEMS_EVERY, self.delivery.ask_systems),
            "unheard_ends": Every(60, lambda: watch_ends(world)),
            "reconcile": Every(60, lambda: reconcile_nightly(world)),
            "sessions": Every(LOOK_EVERY, SessionWatch(world, build_systems(world)).look),
            "channels": Every(60, lambda: look_up_channels_in_turn(world)),
            "time": Every(60, lambda: mark_time(world)),
            "answers": Every(60, lambda: forget_answers(world)),
            "repeats": Every(10, lambda: record_repeats(world)),
            "people": Every(6 * 3600, lambda: save_refresh(world, ["people"])),
        }

    def _check_holders(self) -> None:
        """Looks at who has, or waits for, something: a deactivated account loses everything within a minute."""
        for person in people_to_check(self._world, self._started, CHECK_HOLDERS_EVERY):
            if self._stopping.is_set():
                return
            try:
                record_people(self._world, [self.people.look_up(person)])
            except SystemRefused as error:  # about this one alone: the others have to be looked at all the same
                log.warning("Slack does not say who %s is: %s", person, error)


def _socket(base: Base, identity: Identity, registry: CollectorRegistry) -> Socket:
    bolt, client = build_bolt(base, identity), slack_client(base.settings, timeout=10)
    receiver = Receiver(bolt.dispatch, registry)
    return Socket(bolt, base.settings.slack_app_token, client, receiver=receiver)


def _delivery(base: Base, world: World, client: WebClient, people: SlackPeople, meter: UsageMeter) -> Delivery:
    return Delivery(world, build_systems(base.world), Messenger(client, world), people, meter)


def build_revocations(world: World, health: Health) -> UnwrittenRevocations:
    """For ends that can't be written: their connectors forget nothing for good."""
    tools = build_tools(world)
    marks = UnwrittenMarks(tools.marks)
    systems = build_systems(world, replace(tools, marks=marks))
    return UnwrittenRevocations(world, systems, marks, health)


def build_systems(world: World, tools: Tools | None = None) -> Systems:
    """The connectors of all systems, as roles.toml has them at each moment."""
    return Systems(lambda name: world.policy().systems.get(name), tools or build_tools(world))


def build_tools(world: World) -> Tools:
    return Tools(StoredGates(world), StoredPins(world), StoredCertificates(world), StoredMarks(world))


def ca_keys(world: World, systems: Systems, wanted: str = "") -> list[tuple[str, str]]:
    """The ssh systems, or the `wanted` one, each with the line of its CA's public key. Raises SystemUnavailable and
    SystemRefused."""
    names = [each.name for each in world.policy().systems.values() if each.connector == "ssh"]
    connectors = ((name, systems.of(name, "ssh")) for name in names if wanted in ("", name))
    return [(name, it.public_key()) for name, it in connectors if isinstance(it, Certifies)]


def build_hands(base: Base) -> Delivery:
    """Delivery for a process without Slack and without threads: of its queues only END and START may be drained."""
    client = slack_client(base.settings, timeout=1)
    people = SlackPeople(client, base.world, lambda: "")
    return _delivery(base, base.world, client, people, UsageMeter(base.world))


def _roles_looks(base: Base) -> Looks:
    looks: Looks = {"roles.toml": partial(reload_roles, base)}
    if base.db.is_sqlite:  # one process, and so one file
        return looks
    return {**looks, "the roles.toml of others": RolesWatch(base.world, base.clock).look}


def reload_roles(base: Base) -> None:
    """Reads roles.toml again if it was saved; groups and addresses that are new in it are asked of Slack."""

    def loaded(policy: Policy) -> None:
        _record_roles(base)
        _log_warnings(policy)
        save_refresh(base.world, ["groups", "people"])
        look_up_channels(base.world)

    base.roles.reload(loaded, partial(record_rejected, base.world))


def _record_roles(base: Base, revision: str = "") -> None:
    for change in record_loaded(base.world, base.roles.policy, revision):
        log.log(logging.WARNING if change.loosens else logging.INFO, "roles.toml was changed: %s", change)


def _log_warnings(policy: Policy) -> None:
    if found := [each.name for each in warnings(policy)]:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(Counter(found).items()))
        log.warning("access-bot check warns of the new roles.toml: %s", names)


def slack_client(settings: Settings, timeout: int) -> WebClient:
    """A client of ours: it never retries by itself, because only delivery knows what may be repeated."""
    url = settings.slack_api_url
    tls = _tls() if url.startswith("https:") else None
    return WebClient(token=settings.slack_bot_token, base_url=url, timeout=timeout, ssl=tls, retry_handlers=[])


@cache
def _tls() -> ssl.SSLContext:
    """Made once, because reading all certificates takes longer than the call they are for."""
    return ssl.create_default_context()


def build_bolt(base: Base, identity: Identity) -> App:
    """The Bolt app with all our listeners. Everything is passed explicitly, nothing is read from the environment."""
    quick = slack_client(base.settings, timeout=2)
    bolt = App(
        name="access-bot",
        logger=logging.getLogger("slack_bolt"),
        client=quick,
        authorize=lambda context: identity.authorized(),
        signing_secret=base.settings.slack_signing_secret or "unused in Socket Mode",
        request_verification_enabled=False,  # `bot/web/slack_events.py` has verified what comes this far
        process_before_response=True,
        listener_executor=ThreadPoolExecutor(LISTENERS, thread_name_prefix="listener"),
    )
    world = base.world.via(Source.SLACK)
    people, ways = SlackPeople(quick, world, identity.team), Ways(build_systems(base.world))
    register(bolt, Desk(world, people, quick, identity.team, ways.ask))
    return bolt


def serve(base: Base, *, web: bool, work: bool, migrate: bool, clock_accepted_by: str = "") -> None:
    """Runs until SIGTERM or SIGINT, then finishes what is in hand. `clock_accepted_by` is who says that the machine's
    clock is right and the records are not, "" for nobody.

    Raises SchemaMismatch, ClockBehind and StorageUnavailable before anything was started.
    """
    settings = base.settings
    raise_descriptor_limit()
    base.db.migrate() if migrate else base.db.check_schema()
    begin_log(base.world)
    if clock_accepted_by:
        accept_clock(base.world, clock_accepted_by)
    tell_behind(base.world, base.clock.go_on_from(check_start(base.world)))
    mark_time(base.world)
    _record_roles(base, settings.policy_revision)
    meter = UsageMeter(base.world.via(Source.HTTP))
    takes_events = web and settings.slack_mode == "http"
    worker: Worker | None = None
    slack: SlackEvents | None = None
    registry = CollectorRegistry()
    parts: list[Part] = []
    if work or takes_events:
        identity = Identity(slack_client(settings, timeout=5), base.world)
        worker = Worker(base, identity, meter, registry) if work else None
        parts.append(worker or Greeting(identity, lambda: None))
        slack = _slack_events(base, identity, registry) if takes_events else None
    if worker is None:
        parts.append(Watch(base.clock.exact, {**_roles_looks(base), "writing": WriteWatch(base.world).look}))
    said = worker.systems if worker is not None else dict
    _serve(base, meter, parts, partial(_ready, base, worker, slack), said, slack, registry)


def _slack_events(base: Base, identity: Identity, registry: CollectorRegistry) -> SlackEvents:
    """For HTTP mode only: without a signing secret there is nothing to verify with."""
    receiver = Receiver(build_bolt(base, identity).dispatch, registry)
    verifier = SignatureVerifier(base.settings.slack_signing_secret)
    return SlackEvents(receiver, Signatures(verifier, registry))


class Part(Protocol):
    """Something that runs beside the server, for as long as it does."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def _serve(
    base: Base,
    meter: UsageMeter,
    parts: list[Part],
    ready: Ready,
    systems: Said,
    slack: SlackEvents | None,
    registry: CollectorRegistry,
) -> None:
    watch(registry, base.world)
    world, keys = base.world.via(Source.HTTP), partial(ca_keys, base.world, build_systems(base.world))
    app = build_web(
        world, base.signer, meter, ready=ready, registry=registry, slack=slack, systems=systems, ca_keys=keys
    )
    server = Server(serve_config(app, base.settings.host, base.settings.port))

    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn has handlers of its own while it serves, and raises the signal again afterwards, when our parts have yet
    # to finish; one that comes before it serves must not be lost.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    for part in parts:
        part.start()
    try:
        server.run()
    finally:
        log.info("stopping: finishing what is in hand")
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


def _mark(base: Base) -> None:
    try:
        mark_time(base.world)
    except StorageUnavailable as error:
        log.warning("the time of the stop is not kept: %s", error)  # the next start gains a minute at most


def _ready(base: Base, worker: Worker | None, slack: SlackEvents | None) -> list[tuple[str, bool, str]]:
    parts = worker.ready() if worker is not None else []
    if slack is not None:
        parts.append(("slack", *slack.state()))
    return [("database", *_database_answers(base)), ("people", _people_known(base), STARTING), *parts]


def _people_known(base: Base) -> bool:
    """Whether Slack has said for whom every reference of roles.toml stands; until then a request asks for its own."""
    try:
        return not base.settings.slack_bot_token or not unresolved_at_all(base.world)
    except StorageUnavailable:
        return False


def _database_answers(base: Base) -> tuple[bool, str]:
    try:
        with base.db.reading():
            base.db.row("SELECT 1")
    except StorageUnavailable as error:  # its words name hosts and users, and anybody may ask for readiness
        log.warning("not ready: %s", error)
        return False, NO_ANSWER
    if problem := base.db.writes.problem:
        log.warning("not ready, the last write failed: %s", problem)
        return False, "takes no writes"
    return True, ""
