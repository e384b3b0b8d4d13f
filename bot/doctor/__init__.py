"""Checks the environment, roles.toml, the database, Slack and every connected system, and changes
nothing."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bot.app import build_base, build_systems, slack_client
from bot.config.roles.parse import load_policy
from bot.config.settings import NEEDS, load_settings
from bot.connectors import KINDS, Systems
from bot.connectors.fan_out import FanOut
from bot.connectors.health import problems_of
from bot.core.durations import format_duration
from bot.core.errors import AccessBotError, ConfigError, SchemaMismatch, StorageUnavailable
from bot.core.model import Source
from bot.core.parameters import known_actions
from bot.core.plurals import counted
from bot.core.roles import Policy
from bot.doctor.anchors import anchors
from bot.doctor.files import files
from bot.doctor.findings import Deployment, Finding, State, fail, ok, warn
from bot.doctor.slack import slack
from bot.operations._unit_of_work import Context
from bot.operations.process.check_storage import check_head, check_writing
from bot.operations.process.continue_time import USUAL, newest_record
from bot.slack.api import patient
from bot.sources.calendars import read_shifts
from bot.sources.tickets import check as check_tickets

PATIENCE = 30.0
"""Seconds to wait for all connected systems together."""


def examine(wall: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Yields each finding at once. A wrong configuration ends the checks, because all others depend
    on it."""
    wrong = [Finding(State.FAIL, *_split(str(problem)), 2) for problem in _problems()]
    if wrong:
        yield from wrong
        return
    settings = load_settings(need=NEEDS["doctor"])
    deployment = Deployment(
        build_base(settings, Source.CLI), patient(slack_client(settings, timeout=10)), wall
    )
    yield ok("environment", f"complete for {_MODES[settings.slack_mode]}")
    policy = deployment.policy
    roles, systems = counted(len(policy.roles), "role"), counted(len(policy.systems), "system")
    yield ok(policy.file, f"valid: {roles} on {systems}")
    yield from check_deployment(deployment)
    deployment.base.db.close()


def check_deployment(deployment: Deployment) -> Iterator[Finding]:
    """Yields the findings about an installation whose settings and roles.toml are valid."""
    for check in CHECKS:
        yield from check(deployment)


def _problems() -> list[object]:
    """Lists the problems of the environment and of roles.toml, so that one round of editing fixes
    both."""
    found: list[object] = []
    try:
        load_settings(need=NEEDS["doctor"])
    except ConfigError as error:
        found += error.problems
    try:
        settings = load_settings()
        load_policy(settings.roles_path, settings.environ, KINDS)
    except ConfigError as error:
        found += [problem for problem in error.problems if problem not in found]
    return found


def _split(problem: str) -> tuple[str, str]:
    subject, _, text = problem.partition(": ")
    return subject, text


def bolt_environment(deployment: Deployment) -> Iterator[Finding]:
    names = [
        name
        for name in ("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET")
        if deployment.settings.environ.get(name)
    ]
    if len(names) == 2:
        yield warn(
            "environment",
            f"{' and '.join(names)} are set, which turns on OAuth in Slack's library: unset them",
        )


def systems(deployment: Deployment) -> Iterator[Finding]:
    """Checks all systems in parallel with a time limit, so that a system that hangs delays no
    other."""
    known, connectors = deployment.policy.systems, build_systems(deployment.base.world)
    answers = FanOut().ask(
        {name: partial(_wrong, deployment.policy, connectors, name) for name in known}, PATIENCE
    )
    if silent := [name for name, answer in answers.items() if answer is None]:
        yield ok(
            "systems",
            f"{', '.join(silent)}: no live check, because they call the bot or their connector has"
            " none",
        )
    for name, answer in answers.items():
        subject, kind = f"system {name}", known[name].connector
        if isinstance(answer, AccessBotError):
            yield fail(subject, f"{kind}: {answer}")
        elif answer is not None:
            yield from (fail(subject, f"{kind}: {problem}") for problem in answer)
            if not answer:
                yield ok(subject, f"{kind}: answers, and can grant what its roles need")


def _wrong(policy: Policy, connectors: Systems, name: str) -> list[str] | None:
    """Lists the problems of a system and of its roles; None if its connector has no live check."""
    using = [role for role in policy.roles.values() if name in role.systems]
    roles = {role.name: known_actions(role, name) for role in using}
    return problems_of(connectors, policy.systems[name], roles)


def calendars(deployment: Deployment) -> Iterator[Finding]:
    """Reads every on-call calendar."""
    zone, now = deployment.policy.workspace.timezone, int(deployment.wall())
    read = {
        duty.name: partial(read_shifts, duty.ical, zone, now)
        for duty in deployment.policy.on_call.values()
        if duty.ical
    }
    for name, answer in FanOut().ask(read, PATIENCE).items():
        if isinstance(answer, AccessBotError):
            yield fail(f"oncall.{name}", str(answer))
        elif not any(shift.starts_at <= now < shift.ends_at for shift in answer):
            yield warn(f"oncall.{name}", "the calendar can be read, and nobody is on call now")
        else:
            yield ok(f"oncall.{name}", "the calendar can be read, and somebody is on call now")


def tickets(deployment: Deployment) -> Iterator[Finding]:
    """Looks up a ticket that does not exist."""
    if (settings := deployment.policy.tickets) is None:
        return
    found = FanOut().ask({"tickets": lambda: [*check_tickets(settings)]}, PATIENCE)["tickets"]
    problems = [str(found)] if isinstance(found, AccessBotError) else found
    yield from (fail("tickets", f"{settings.kind}: {problem}") for problem in problems)
    if not problems:
        yield ok("tickets", f"{settings.kind}: answers a look-up")


def database(deployment: Deployment) -> Iterator[Finding]:
    base, url = deployment.base, deployment.settings.database_url
    path = Path(url.removeprefix("sqlite:///"))
    if not deployment.has_database:
        if path.parent.is_dir():
            yield warn(
                "database",
                f"{path} does not exist yet: `access-bot run` or `access-bot migrate` creates it",
            )
        else:
            yield fail("database", f"the directory {path.parent} does not exist: create it")
        return
    try:
        base.db.check_schema()
        check_writing(base.world)
        kind = "SQLite" if base.db.is_sqlite else "PostgreSQL"
        yield ok("database", f"{kind} answers and accepts writes; the schema is up to date")
        if (behind := newest_record(base.world) - int(deployment.wall())) > USUAL:
            yield fail(
                "clock",
                f"{format_duration(behind)} behind the newest record: set the clock and turn"
                " NTP on",
            )
        yield _head_of_log(base.world)
    except SchemaMismatch as error:
        yield fail("database", str(error)) if error.newer else warn("database", str(error))
    except StorageUnavailable as error:
        yield fail(
            "database", f"{error}: check DATABASE_URL, the server, and that the account may write"
        )


def _head_of_log(world: Context) -> Finding:
    number, trouble = check_head(world)
    if trouble:
        return fail("audit log", f"{trouble}: run `access-bot audit verify`")
    sealed = f"the newest record, {number}, is sealed with one of the keys"
    return ok("audit log", sealed if number else "no records yet")


_MODES = {"socket": "Socket Mode", "http": "HTTP mode"}
CHECKS: tuple[Callable[[Deployment], Iterator[Finding]], ...] = (
    bolt_environment,
    files,
    anchors,
    systems,
    calendars,
    tickets,
    database,
    slack,
)
