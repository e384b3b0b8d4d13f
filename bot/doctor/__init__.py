"""Asks everything that the bot depends on whether it is as it must be: environment, roles.toml, database, Slack, and
every connected system. It changes nothing anywhere, and says with every failure what to do about it.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bot.app import build_base, build_systems, slack_client
from bot.aside import Aside
from bot.connectors import Systems, installed, judge
from bot.connectors.base import Checks
from bot.core.durations import format_duration
from bot.core.errors import AccessBotError, ConfigError, SchemaMismatch, StorageUnavailable
from bot.core.model import Source
from bot.core.policy import Policy, load_policy
from bot.doctor.files import files
from bot.doctor.findings import Finding, Patient, State, fail, ok, warn
from bot.doctor.slack import slack
from bot.operations.check_storage import check_head, check_writing
from bot.operations.continue_time import USUAL, newest_record
from bot.settings import NEEDS, load_settings

PATIENCE = 30.0
"""Seconds for which all connected systems together are waited for."""


def examine(wall: Callable[[], float] = time.time) -> Iterator[Finding]:
    """One finding after the other, as they are found. What is wrong in the configuration ends it: nothing else would
    mean anything."""
    wrong = [Finding(State.FAIL, *_split(str(problem)), 2) for problem in _problems()]
    if wrong:
        yield from wrong
        return
    settings = load_settings(need=NEEDS["doctor"])
    patient = Patient(build_base(settings, Source.CLI), slack_client(settings, timeout=10), wall)
    yield ok("environment", f"complete, for {_MODES[settings.slack_mode]}")
    policy = patient.policy
    yield ok(policy.file, f"valid, {len(policy.roles)} roles on {len(policy.systems)} systems")
    for check in CHECKS:
        yield from check(patient)
    patient.base.db.close()


def _problems() -> list[object]:
    """Of the environment and of roles.toml together, so that one round of editing is enough."""
    found: list[object] = []
    try:
        load_settings(need=NEEDS["doctor"])
    except ConfigError as error:
        found += error.problems
    try:
        settings = load_settings()
        load_policy(settings.roles_path, settings.environ, installed(), judge)
    except ConfigError as error:
        found += [problem for problem in error.problems if problem not in found]
    return found


def _split(problem: str) -> tuple[str, str]:
    subject, _, said = problem.partition(": ")
    return subject, said


def bolt_environment(patient: Patient) -> Iterator[Finding]:
    names = [name for name in ("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET") if patient.settings.environ.get(name)]
    if len(names) == 2:
        yield warn("environment", f"{' and '.join(names)} are set: Slack's library takes them for OAuth; unset them")


def systems(patient: Patient) -> Iterator[Finding]:
    """All at once, and none for long: one that hangs must not keep the others from being looked at."""
    known, connectors = patient.policy.systems, build_systems(patient.base.world)
    answers = Aside().ask({name: partial(_wrong, patient.policy, connectors, name) for name in known}, PATIENCE)
    if silent := [name for name, answer in answers.items() if answer is None]:
        yield ok("systems", f"{', '.join(silent)}: they ask us, or can't be asked; there is nothing live to ask them")
    for name, answer in answers.items():
        subject, kind = f"system {name}", known[name].connector
        if isinstance(answer, AccessBotError):
            yield fail(subject, f"{kind}: {answer}")
        elif answer is not None:
            yield from (fail(subject, f"{kind}: {problem}") for problem in answer)
            if not answer:
                yield ok(subject, f"{kind}, answers, and can give what its roles need")


def _wrong(policy: Policy, connectors: Systems, name: str) -> list[str] | None:
    """What is wrong with a system as it is, None where nothing can be asked."""
    connector = connectors.of(name, policy.systems[name].connector)
    roles = {role.name: role.actions for role in policy.roles.values() if name in role.systems}
    return [*connector.check(roles)] if isinstance(connector, Checks) else None


def database(patient: Patient) -> Iterator[Finding]:
    base, url = patient.base, patient.settings.database_url
    path = Path(url.removeprefix("sqlite:///"))
    if base.db.is_sqlite and not path.exists():
        if path.parent.is_dir():
            yield warn("database", f"{path} is not there yet: `access-bot run` or `access-bot migrate` makes it")
        else:
            yield fail("database", f"there is no directory {path.parent} to make it in: create it")
        return
    try:
        base.db.check_schema()
        check_writing(base.world)
        yield ok(
            "database", f"{'SQLite' if base.db.is_sqlite else 'PostgreSQL'} answers, takes writes, schema is right"
        )
        if (behind := newest_record(base.world) - int(patient.wall())) > USUAL:
            yield fail("clock", f"{format_duration(behind)} behind the newest record: set it, and turn NTP on")
        number, trouble = check_head(base.world)
        told = f"record {number} is sealed by our keys" if number else "no records yet"
        yield fail("audit log", f"{trouble}; see `access-bot audit verify`") if trouble else ok("audit log", told)
    except SchemaMismatch as error:
        yield fail("database", str(error)) if error.newer else warn("database", str(error))
    except StorageUnavailable as error:
        yield fail("database", f"{error}: check DATABASE_URL, and that the server runs and may be written to")


_MODES = {"socket": "Socket Mode", "http": "HTTP mode"}
CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    bolt_environment,
    files,
    systems,
    database,
    slack,
)
