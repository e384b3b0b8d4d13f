"""Systems reached by an executable of the operator: it gets a JSON document on standard input,
without a shell. document.py has the format of the document and of its answer.
"""

import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bot.connectors.actions import fill_encoded
from bot.connectors.base import ConnectorDeps, ConnectorKind, fingerprint
from bot.connectors.redaction import LEAST_SECRET, redacted
from bot.connectors.settings import Span, SystemTable, Text, checking, refuse_wrong, timeout
from bot.connectors.transport.document import (
    Do,
    DocumentConnector,
    Reply,
    document,
    key_of,
    read_reply,
)
from bot.connectors.transport.process import Ran, run
from bot.core.errors import OutcomeUnknown, SystemRefused, SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.core.roles import Settings, System, Warned, Written
from bot.core.values import quoted

TRY_AGAIN = 75
"""EX_TEMPFAIL of sysexits.h."""

MOST_WORDS = 300
"""The number of the last characters of standard error that are recorded."""

_HANDED_ON: Mapping[str, str] = {"PATH": os.defpath, "HOME": "/", "LANG": "C.UTF-8"}
"""The variables of our environment that the executable gets, with defaults for those that we don't
have."""

# ECMA-48 section 5.4: colours, and moves of the cursor.
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class Command(DocumentConnector):
    """Settings: `argv`, `timeout`, and `env`, which is added to the environment."""

    def __init__(self, system: System, _tools: ConnectorDeps) -> None:
        refuse_wrong(_wrong_settings(system.settings))
        super().__init__(system, self._run)
        argv, env = system.settings["argv"], system.settings.get("env")
        self._argv = [str(word) for word in argv] if isinstance(argv, list) else []
        self.target = fingerprint(*self._argv)
        self._more = more = (
            {str(name): str(value) for name, value in env.items()} if isinstance(env, dict) else {}
        )
        self._env = {
            name: os.environ.get(name) or usual for name, usual in _HANDED_ON.items()
        } | more

    def check(self, roles: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Also checks that the executable exists and that nobody else may change it."""
        found = shutil.which(self._argv[0], path=self._env["PATH"])
        if found is None:
            yield f"{self._name}: {self._argv[0]} does not exist, or is not executable"
            return
        if Path(found).stat().st_mode & stat.S_IWOTH:
            yield (
                f"{self._name}: everybody on this machine may write to {found}, and so change what"
                " it does"
            )
        yield from super().check(roles)

    def _run(self, do: Do, order: ProvisionOrder, timeout: float) -> Reply:
        try:
            ran = run(self._argv, document(do, key_of(do, order), order), self._env, timeout)
        except SystemUnavailable as error:
            raise type(error)(f"{self._name}: {error}") from None
        if ran.code == 0:
            return self._read(ran)
        stderr = _stderr(ran.errors, self._more)
        words = f"{self._name} exited with {ran.code}{stderr}"
        if ran.code < 0:
            raise OutcomeUnknown(f"{self._name} was ended by signal {-ran.code}{stderr}")
        if do == "grant" and ran.code != TRY_AGAIN:
            raise SystemRefused(words)
        raise SystemUnavailable(words)

    def _read(self, ran: Ran) -> Reply:
        """The reply on standard output. An empty output means that it is done."""
        if not ran.out.strip():
            return Reply(None)
        try:
            return read_reply(json.loads(ran.out), self._name)
        except (ValueError, RecursionError):
            raise SystemUnavailable(
                f"{self._name} did not write JSON to its standard output"
            ) from None


def _stderr(errors: bytes, env: Mapping[str, str]) -> str:
    """Its standard error as one short line, without control sequences, and with the values of
    `env`, which may be secrets, replaced by their names."""
    text = redacted(_ESCAPE.sub("", errors.decode(errors="replace")))
    for name, value in sorted(env.items(), key=lambda pair: -len(pair[1])):
        text = text.replace(value, f"[{name}]") if len(value) >= LEAST_SECRET else text
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return f": {line if len(line) <= MOST_WORDS else '…' + line[-MOST_WORDS + 1 :]}" if line else ""


class CommandTable(SystemTable):
    argv: Annotated[list[Text], Field(min_length=1)]
    timeout: Span = 30
    env: dict[str, Text] = Field(default={})


def _argv(argv: object, _: Settings) -> None:
    """Raises ValueError for an executable that can't be run, or that depends on our working
    directory."""
    words = [str(word) for word in argv] if isinstance(argv, list) else []
    if not words or ("/" in words[0] and not words[0].startswith("/")):
        raise ValueError(
            "the first of argv must be an absolute path, or a name that is found in PATH"
        )
    _without_nul(words)


def _env(env: object, _: Settings) -> None:
    pairs = {str(name): str(value) for name, value in env.items()} if isinstance(env, dict) else {}
    if any(not name or "=" in name for name in pairs):
        raise ValueError("a name in env must not be empty or hold an equals sign")
    _without_nul([*pairs, *pairs.values()])


def _without_nul(words: list[str]) -> None:
    if any("\0" in word for word in words):
        raise ValueError("argv and env must not hold a NUL character")


def _lint(systems: Sequence[Written]) -> Iterator[Warned]:
    """Warns of values of the environment in the arguments of the executable."""
    for each in systems:
        for place, word in enumerate(each.table.get("argv", ())):
            if "${" in word.replace("$${", ""):
                words = (
                    "is visible in this machine's list of processes: if it is a secret, pass it"
                    " in env"
                )
                yield "secret-in-argv", (each.system.name, "argv", place), f"{quoted(word)} {words}"


_wrong_settings = checking({"argv": _argv, "timeout": timeout, "env": _env})

KIND = ConnectorKind(
    make=Command,
    table=CommandTable,
    wrong_settings=_wrong_settings,
    fill=fill_encoded,
    shown=frozenset({"argv", "timeout"}),
    warnings=("secret-in-argv",),
    lint=_lint,
)
