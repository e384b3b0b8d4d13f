"""Builds all parts with their dependencies."""

import logging
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial

from prometheus_client import CollectorRegistry
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier

from bot.clock import Clock
from bot.config.roles.file import RolesFile
from bot.config.settings import Settings
from bot.connectors import KINDS, Systems
from bot.connectors.base import Certifies, ConnectorDeps
from bot.connectors.credentials import CredentialService
from bot.connectors.health import Health
from bot.core.effects import Queue
from bot.core.model import Source
from bot.core.names import use_names
from bot.operations._unit_of_work import Context
from bot.operations.systems.account_links import StoredPins
from bot.operations.systems.certificates import StoredCertificates
from bot.operations.systems.gates import StoredGates
from bot.operations.systems.memberships import StoredMemberships
from bot.operations.usage.count_usage import UsageMeter
from bot.slack.call_metrics import CALLS
from bot.slack.identity import Identity
from bot.slack.listeners import ListenerContext, register
from bot.slack.messenger import Messenger
from bot.slack.people import SlackPeople
from bot.slack.receiver import Receiver
from bot.slack.socket import Socket
from bot.tokens import Signer
from bot.web import build_web, serve_config
from bot.web.health import Ready, SystemHealth
from bot.web.server import Server
from bot.web.slack_events import SlackEvents
from bot.web.slack_signatures import Signatures
from bot.web.state_metrics import watch
from bot.worker.dispatcher import Dispatcher
from bot.worker.unwritten_ends import UnwrittenMemberships, UnwrittenRevocations
from storage import audit
from storage.database import Database

LISTENERS = 32
"""Threads that run Slack's listeners; each is busy for milliseconds."""

PATIENCE = 2.5
"""Seconds to wait for a locked database, so that a command is answered within Slack's three
seconds."""


@dataclass(frozen=True, slots=True)
class Services:
    """The services that every command needs, also on the command line."""

    settings: Settings
    roles: RolesFile
    db: Database
    signer: Signer
    clock: Clock
    world: Context
    wake_ups: "WakeUps"


class WakeUps:
    """Calls its subscribers after a commit that queued work or set a deadline."""

    def __init__(self) -> None:
        self._subscribers: list[Callable[[frozenset[Queue], int | None], None]] = []

    def add(self, heard: Callable[[frozenset[Queue], int | None], None]) -> None:
        self._subscribers.append(heard)

    def wake(self, queues: frozenset[Queue], due: int | None) -> None:
        for heard in self._subscribers:
            heard(queues, due)


def build_base(
    settings: Settings, source: Source, *, only_ending: bool = False, clock: Clock | None = None
) -> Services:
    """Opens nothing yet.

    Raises ConfigError if roles.toml can't be read, unless the command only ends access
    (`only_ending`). Only `bot/cli/demo_bot.py` passes its own clock.
    """
    use_names(settings.command, settings.app_name)
    roles = RolesFile(settings.roles_path, settings.environ, KINDS, only_ending)
    db, signer, wake_ups = (
        Database(settings.database_url, PATIENCE),
        Signer(settings.secret_keys),
        WakeUps(),
    )
    clock = clock or Clock()
    world = Context(
        db, clock, roles.current, audit.Chain(signer), signer.sign_token, wake_ups.wake, source
    )
    return Services(settings, roles, db, signer, clock, world, wake_ups)


def build_socket(base: Services, identity: Identity, registry: CollectorRegistry) -> Socket:
    bolt, client = build_bolt(base, identity), slack_client(base.settings, timeout=10)
    receiver = Receiver(bolt.dispatch, registry, identity.app)
    return Socket(bolt, base.settings.slack_app_token, client, receiver=receiver)


def build_delivery(
    base: Services, world: Context, client: WebClient, people: SlackPeople, meter: UsageMeter
) -> Dispatcher:
    return Dispatcher(world, build_systems(base.world), Messenger(client, world), people, meter)


def build_revocations(world: Context, health: Health) -> UnwrittenRevocations:
    """The revocations for an outage of the database; their connectors write nothing."""
    tools = build_tools(world)
    memberships = UnwrittenMemberships(tools.memberships)
    systems = build_systems(world, replace(tools, memberships=memberships))
    return UnwrittenRevocations(world, systems, memberships, health)


def build_systems(world: Context, tools: ConnectorDeps | None = None) -> Systems:
    """The connectors of all systems in the current roles.toml."""
    return Systems(lambda name: world.policy().systems.get(name), tools or build_tools(world))


def build_tools(world: Context) -> ConnectorDeps:
    return ConnectorDeps(
        StoredGates(world), StoredPins(world), StoredCertificates(world), StoredMemberships(world)
    )


def ca_keys(world: Context, systems: Systems, wanted: str = "") -> list[tuple[str, str]]:
    """The systems whose hosts trust a key of ours, or only `wanted`, each with the line of that
    key. Raises SystemUnavailable and SystemRefused."""
    known = world.policy().systems
    names = [each.name for each in known.values() if systems.abilities(each.connector).certifies]
    connectors = (
        (name, systems.of(name, known[name].connector)) for name in names if wanted in ("", name)
    )
    return [(name, it.public_key()) for name, it in connectors if isinstance(it, Certifies)]


def build_dispatcher(base: Services) -> Dispatcher:
    """A delivery without Slack and threads; only its queues END and START may be drained."""
    client = slack_client(base.settings, timeout=1)
    people = SlackPeople(client, base.world, lambda: "")
    return build_delivery(base, base.world, client, people, UsageMeter(base.world))


def slack_client(settings: Settings, timeout: int) -> WebClient:
    """A client that does not retry, because only the dispatcher knows which calls may be
    repeated."""
    url = settings.slack_api_url
    tls = _tls() if url.startswith("https:") else None
    return WebClient(
        token=settings.slack_bot_token, base_url=url, timeout=timeout, ssl=tls, retry_handlers=[]
    )


@cache
def _tls() -> ssl.SSLContext:
    """Made once, because loading the certificates takes longer than a call."""
    return ssl.create_default_context()


def build_bolt(base: Services, identity: Identity) -> App:
    """The Bolt app with all our listeners. Its settings are passed explicitly, not read from the
    environment."""
    quick = slack_client(base.settings, timeout=2)
    bolt = App(
        name="access-bot",
        logger=logging.getLogger("slack_bolt"),
        client=quick,
        authorize=lambda context: identity.authorized(),
        signing_secret=base.settings.slack_signing_secret or "unused in Socket Mode",
        # `bot/web/slack_events.py` has verified the signature before
        request_verification_enabled=False,
        process_before_response=True,
        listener_executor=ThreadPoolExecutor(LISTENERS, thread_name_prefix="listener"),
    )
    world = base.world.via(Source.SLACK)
    people, ways = (
        SlackPeople(quick, world, identity.team),
        CredentialService(build_systems(base.world)),
    )
    register(bolt, ListenerContext(world, people, quick, identity.team, ways.ask))
    return bolt


def build_slack_events(
    base: Services, identity: Identity, registry: CollectorRegistry
) -> SlackEvents:
    """For HTTP mode only, which has a signing secret."""
    receiver = Receiver(build_bolt(base, identity).dispatch, registry, identity.app)
    verifier = SignatureVerifier(base.settings.slack_signing_secret)
    return SlackEvents(receiver, Signatures(verifier, registry))


def build_server(
    base: Services,
    meter: UsageMeter,
    ready: Ready,
    systems: SystemHealth,
    slack: SlackEvents | None,
    registry: CollectorRegistry,
) -> Server:
    """The web server: token checks, health, metrics and, in HTTP mode, Slack's events."""
    watch(registry, base.world)
    registry.register(CALLS)
    world, keys = (
        base.world.via(Source.HTTP),
        partial(ca_keys, base.world, build_systems(base.world)),
    )
    app = build_web(
        world,
        base.signer,
        meter,
        ready=ready,
        registry=registry,
        slack=slack,
        systems=systems,
        ca_keys=keys,
    )
    return Server(serve_config(app, base.settings.host, base.settings.port))
