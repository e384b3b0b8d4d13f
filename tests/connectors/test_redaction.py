"""The value of a `${…}` of a system is repeated nowhere, in whatever form the system answers it."""

from __future__ import annotations

import base64
import json
import logging
import re
import sqlite3
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest

from bot.app import build_systems
from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS, AnyTable, make
from bot.connectors.base import (
    Checks,
    Connector,
    ConnectorDeps,
    ConnectorKind,
    EndsTogether,
    Extends,
    Lists,
    Located,
    ObservedAccess,
    Prompt,
    Shows,
    Watches,
)
from bot.connectors.redaction import redacting
from bot.core.effects import Queue
from bot.core.errors import AccessBotError, SystemRefused, SystemUnavailable
from bot.core.model import GrantState, ProvisionOrder
from bot.core.roles import Policy, System
from bot.operations.usage.count_usage import UsageMeter
from bot.worker.dispatcher import Dispatcher
from tests.builders import ENVIRON, SYSTEMS, policy_text
from tests.connectors.hooks import A_GRANT
from tests.connectors.raw_server import answering, raw_server
from tests.factories import make_world
from tests.fakes import FakeMessenger, FakePeople

SECRET = 'p@ss/w0rd+"hidden"=='
TOOLS: Any = ConnectorDeps(*[cast(Any, None)] * 4)


def a_policy_with(system: str, action: str = "open", **environ: str) -> Policy:
    """A valid roles.toml with one more system, called `it`, and a role on it."""
    role = (
        f'system = "it"\nactions = ["{action}"]\nrequesters = ["everyone"]\napprovers ='
        ' ["@db-leads"]'
    )
    text = policy_text(systems=f"{SYSTEMS}\n[systems.it]\n{system}", it=role)
    return parse_policy(text, "roles.toml", {**ENVIRON, **environ}, KINDS)


def program(folder: Path, text: str) -> Path:
    place = folder / "program"
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
    return place


# --- everywhere that words of a system go


def test_a_secret_of_argv_that_the_program_prints_is_repeated_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not in the audit log, the outbox, a message to people, or the bot's log."""
    caplog.set_level(logging.DEBUG)
    place = program(tmp_path, 'echo "usage: open --token $2: no such token" >&2; exit 3')
    argv = f'connector = "command"\nargv = ["{place}", "--token", "${{LAB_TOKEN}}"]'
    made = make_world(tmp_path, policy=a_policy_with(argv, LAB_TOKEN=SECRET))
    messenger: Any = FakeMessenger()
    people: Any = FakePeople()
    with closing(made.world.db):
        delivery = Dispatcher(
            made.world, build_systems(made.world), messenger, people, UsageMeter(made.world)
        )
        grant = made.a_started(made.a_request("it"))
        delivery.drain(Queue.START)
        delivery.drain(Queue.SLACK)
        assert made.grant(grant.id).state is GrantState.FAILED
    with closing(sqlite3.connect(tmp_path / "access.db")) as database:
        rows = "\n".join(database.iterdump())
    assert "open --token [LAB_TOKEN]: no such token" in rows
    for words in (rows, caplog.text, repr(messenger.sent)):
        assert "hidden" not in words and "p@ss" not in words


# --- the answers of each kind of connector


def error_text(call: Any, *arguments: object) -> str:
    """The error of this call, with everything that a log would show of it."""
    with pytest.raises(AccessBotError) as caught:
        call(*arguments)
    error = caught.value
    return "".join([*traceback.format_exception(error), repr(error), repr(vars(error))])


def test_a_token_in_the_answer_of_a_rest_system_is_not_repeated() -> None:
    """The place where the answer is cut off is in the middle of the token."""
    token = "ghp_" + "t0ken" * 8
    body = json.dumps({"message": "x" * 180 + f" {token} is bad"}).encode()
    with raw_server(answering("403 No", body)) as server:
        settings = (
            f'connector = "github"\norg = "acme"\nurl = "{server.url}"\ntoken = "${{GITHUB_TOKEN}}"'
        )
        it = make(a_policy_with(settings, GITHUB_TOKEN=token).systems["it"], TOOLS)
        assert isinstance(it, Checks)
        words = "\n".join(it.check({"it": ["team"]}))
    assert "[GITHUB_TOKEN" in words and "t0ken" not in words and "ghp_" not in words


def test_an_unreachable_database_does_not_show_the_password_of_its_url() -> None:
    url = 'connector = "postgres"\nurl = "postgresql://bot:${PG_PASSWORD}@127.0.0.1:1/${PG_NAME}"'
    it = make(
        a_policy_with(
            url, "SELECT ON orders", PG_PASSWORD="hunter%2Fhunter", PG_NAME="crown-jewels"
        ).systems["it"],
        TOOLS,
    )
    words = error_text(it.read_back, A_GRANT)
    assert "hunter/hunter" not in words and "hunter%2Fhunter" not in words


def test_settings_that_a_connector_refuses_are_not_repeated() -> None:
    def refuse(system: System, _: object) -> Connector:
        raise ValueError(f"what is {system.settings['token']}?")

    kinds = {"picky": ConnectorKind(make=refuse, table=AnyTable)}
    words = error_text(
        make, System("it", "picky", {"token": SECRET}, secrets={"TOKEN": SECRET}), TOOLS, kinds
    )
    assert "what is [TOKEN]?" in words and "hidden" not in words


# --- every spelling, in everything that a connector gives or raises

SPELLINGS = {
    "as it is": SECRET,
    "in a URL": quote(SECRET),
    "in a query": quote(SECRET, safe=""),
    "in a URL, in small letters": re.sub(
        "%..", lambda found: found.group().lower(), quote(SECRET, safe="")
    ),
    "in JSON": json.dumps(SECRET),
    "as Python shows it": repr([SECRET]),
    "in base64": base64.b64encode(SECRET.encode()).decode(),
    "in basic auth": base64.b64encode(f"bot:{SECRET}".encode()).decode(),
    "in basic auth, another name": base64.b64encode(f"robot:{SECRET}".encode()).decode(),
    "in basic auth, a third": base64.urlsafe_b64encode(f"ro:{SECRET}".encode()).decode(),
    "in hexadecimal": SECRET.encode().hex(),
}


class Talkative:
    """A system that answers `text` in every possible way."""

    target, shares = "place", True

    def __init__(self, text: str) -> None:
        self.text = text

    def grant(self, order: ProvisionOrder) -> None:
        try:
            raise KeyError(self.text)
        except KeyError as error:
            raise SystemRefused(
                f"code {self.text}", f"hint {self.text}", f"you {self.text}"
            ) from error

    def revoke(self, order: ProvisionOrder) -> None:
        raise SystemUnavailable(f"later {self.text}", 7, self.text)

    def read_back(self, order: ProvisionOrder) -> bool:
        raise RuntimeError(f"surprise {self.text}")

    def check(self, roles: object) -> Iterator[str]:
        yield f"wrong {self.text}"
        raise SystemUnavailable(self.text)

    def list_active(self) -> Iterable[ObservedAccess]:
        return [ObservedAccess("a", "b", self.text, (self.text,))]

    def remove(self, found: ObservedAccess) -> None:
        raise SystemUnavailable(self.text)

    def credentials(self, order: ProvisionOrder, given: str) -> Prompt:
        return Prompt("Key", self.text, self.text)


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_no_spelling_of_a_secret_is_in_a_result_or_an_error(spelling: str) -> None:
    it: Any = redacting(
        Talkative(spelling), System("it", "talkative", {}, secrets={"TOKEN": SECRET})
    )
    assert (
        "RuntimeError" in (surprise := error_text(it.read_back, A_GRANT))
        and spelling not in surprise
    )
    heard = [error_text(call, A_GRANT) for call in (it.grant, it.revoke, it.remove)]
    problems = it.check({})
    heard += [
        next(problems),
        error_text(next, problems),
        repr([*it.list_active()]),
        repr(it.credentials(A_GRANT, "")),
    ]
    for words in heard:
        shown = words.replace("\\", "")
        assert "[TOKEN]" in shown
        for hidden in (spelling, spelling[4:-6], "hidden", "p@ss"):
            assert hidden.replace("\\", "") not in shown


def test_a_redacted_connector_keeps_its_methods_and_the_facts_of_its_errors() -> None:
    it: Any = redacting(Talkative(SECRET), System("it", "talkative", {}, secrets={"TOKEN": SECRET}))
    assert all(isinstance(it, protocol) for protocol in (Checks, Lists, Located, Shows))
    assert not any(isinstance(it, protocol) for protocol in (EndsTogether, Extends, Watches))
    assert (it.target, it.shares) == ("place", True)
    with pytest.raises(SystemUnavailable) as caught:
        it.revoke(A_GRANT)
    assert (caught.value.what, caught.value.retry_after) == ("later [TOKEN]", 7)


def test_the_parts_of_a_secret_address_are_not_shown() -> None:
    url = "https://user:pass%2Fword@hooks.example.com/services/T0/B0/s3cret?key=abcdef"
    for part in ("/services/T0/B0/s3cret?key=abcdef", "pass/word", "pass%2Fword", "key=abcdef"):
        it: Any = redacting(
            Talkative(f"POST {part}: no"), System("it", "talkative", {}, secrets={"HOOK": url})
        )
        assert part not in error_text(it.revoke, A_GRANT)


ORDINARY: Sequence[dict[str, str]] = ({}, {"REGION": "eu"}, {"NAME": "it"}, {"EMPTY": ""})


@pytest.mark.parametrize("secrets", ORDINARY)
def test_short_values_and_the_system_s_own_name_are_left_alone(secrets: dict[str, str]) -> None:
    connector: Any = Talkative("it is in eu")
    assert redacting(connector, System("it", "talkative", {}, secrets=secrets)) is connector


def test_a_system_redacts_only_the_variables_of_its_own_table() -> None:
    hook = (
        'connector = "webhook"\nurl = "https://h.example.com/${PART}"\nsecret ='
        ' "${A_SECRET}-$${PLAIN}"'
    )
    policy = a_policy_with(hook, PART="abc", A_SECRET="s" * 20)
    assert policy.systems["it"].secrets == {"PART": "abc", "A_SECRET": "s" * 20}
    assert "s" * 20 not in repr(policy)
