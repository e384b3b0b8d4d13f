"""`python -m bench trace` counts the files, functions, calls and transactions of one click."""

from __future__ import annotations

import functools
import http.client
import os
import runpy
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from bench.gate import token_of
from bench.lifecycle import Office, an_office
from bench.place import ROOT, a_folder

OURS = tuple(str(ROOT / room) + os.sep for room in ("bot", "storage"))
NOT_OURS = str(ROOT / "bot" / "sandbox") + os.sep
RESUMES = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR
IN_A_FUNCTION = 0x1  # CO_OPTIMIZED: neither a module nor the body of a class
COMMIT = "COMMIT"
PEOPLE = ("ana", "dev", "emi", "farid", "gwen")
RUNS = len(PEOPLE) - 1

DEFINED = """\
Measured in one process (Socket Mode, SQLite) over all its threads, with everything warm: the run
with the fewest calls out of {runs}, because jobs that run every second fall into some of them.
Files and functions are those of bot/ and storage/ that were called, without bot/sandbox. A call is
one start of a function, method or lambda; a generator that continues is not called again, and
comprehensions, modules and class bodies are not counted. A transaction is one COMMIT."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call, or one statement for the database when `file` is empty."""

    at: float
    thread: str
    depth: int
    file: str
    function: str


@dataclass(frozen=True, slots=True)
class Row:
    """The calls of the bot in one window of time."""

    what: str
    calls: list[Call]

    @property
    def ours(self) -> list[Call]:
        return [call for call in self.calls if call.file]

    @property
    def files(self) -> int:
        return len({call.file for call in self.ours})

    @property
    def functions(self) -> int:
        return len({(call.file, call.function) for call in self.ours})

    @property
    def statements(self) -> int:
        return len(self.calls) - len(self.ours)

    @property
    def transactions(self) -> int:
        return sum(call.function == COMMIT for call in self.calls if not call.file)


CHECKS = 5
"""Each lasts a millisecond, in which another thread may also be at work; the least counts."""


def measure(runs: int) -> list[Row]:
    """One row for each thing that is measured; a first run of each warms up and is thrown away."""
    with a_folder() as folder:
        path = folder / "calls"
        path.touch()
        with an_office("bench.trace", {"BENCH_TRACE": str(path)}) as office:
            found = [_lifecycle(office, path, person) for person in PEOPLE[: runs + 1]][1:]
            token = _token(office)
            checks = [_check(office, path, token) for _ in range(CHECKS + 1)][1:]
    return [*map(_least, zip(*found, strict=True)), _least(checks)]


def _least(rows: Any) -> Row:
    return min(rows, key=lambda row: len(row.ours))  # type: ignore[no-any-return]


def _lifecycle(office: Office, path: Path, person: str) -> list[Row]:
    """Somebody requests a role, Ben approves, and another grant of theirs ends at its time."""
    office.sandbox.inspector.forget()
    asked_at = time.time()
    request = office.ask(person, "shop-admin")
    office.card(request)
    office.quiet()
    asked_until = time.time()
    pressed_at = office.approve(request)
    office.grant(request, "active")
    office.quiet()
    approved_until = time.time()
    updated_at = max(
        call["at"]
        for call in office.sandbox.inspector.calls()
        if call["method"] == "chat.update" and pressed_at < call["at"] < approved_until
    )
    ends_at, ended_until = _end(office, person)
    calls = list(_read(path))
    return [
        _row(calls, "a request, until nothing is left to do", asked_at, asked_until),
        _row(calls, "Approve, until the message is updated", pressed_at, updated_at),
        _row(calls, "Approve, until nothing is left to do", pressed_at, approved_until),
        _row(calls, "an end by the clock, until nothing is left to do", ends_at, ended_until),
    ]


def _end(office: Office, person: str) -> tuple[float, float]:
    """The end of a grant, and the time when all its work was done."""
    request = office.ask(person, "brief")
    office.approve(request)
    grant = office.grant(request, "ended")
    office.quiet()
    done_at = time.time()
    return float(office.place.rows("SELECT ends_at FROM grants WHERE id = ?", grant)[0][0]), done_at


def _token(office: Office) -> str:
    grant, person = office.place.rows("SELECT id, person FROM grants WHERE state = 'active'")[0]
    return token_of(office.place, str(grant), str(person))


def _check(office: Office, path: Path, token: str) -> Row:
    headers = {"Authorization": f"Bearer {token}", "X-Access-System": "shop-admin"}
    with closing(http.client.HTTPConnection("127.0.0.1", office.bot.port, timeout=10)) as line:
        began = time.time()
        line.request("GET", "/auth", headers=headers)
        answer = line.getresponse()
        answer.read()
        ended = time.time()
    if answer.status != 200:
        raise RuntimeError(f"GET /auth was answered with {answer.status}")
    return _row(list(_read(path)), "GET /auth", began, ended)


def _row(calls: list[Call], what: str, since: float, to: float) -> Row:
    return Row(what, [call for call in calls if since <= call.at <= to])


def _read(path: Path) -> Iterator[Call]:
    for line in path.read_text(encoding="utf-8").splitlines():
        at, thread, depth, file, function = line.split("\t")
        yield Call(float(at), thread, int(depth), file, function)


def show(runs: int, in_order: bool = False) -> None:
    """Prints the table; with `in_order` also every call of each row, indented by its caller."""
    rows = measure(runs)
    print(f"{'':50}  files  functions  calls  transactions  statements")
    for row in rows:
        print(
            f"{row.what:50}{row.files:7}{row.functions:11}{len(row.ours):7}{row.transactions:14}{row.statements:12}"
        )
    print(DEFINED.format(runs=runs))
    for row in rows if in_order else ():
        print(f"\n{row.what}")
        for line in _in_order(row):
            print(line)


def _in_order(row: Row) -> Iterator[str]:
    """The calls of each thread one after another, because threads take turns."""
    for thread in dict.fromkeys(call.thread for call in row.calls):
        yield f"  thread {thread}"
        for call in row.calls:
            if call.thread == thread:
                yield f"    {'  ' * call.depth}{call.function}  {call.file}".rstrip()
    yield "  functions by calls"
    for (file, function), number in Counter((c.file, c.function) for c in row.ours).most_common():
        yield f"    {number:5}  {function}  {file}"


class Tracer:
    """Writes every call of our code, in every thread that starts from now on, to the file
    `path`."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._entry: dict[CodeType, int] = {}
        threading.setprofile(self._called)
        sys.setprofile(self._called)
        for module in (sqlite3, sqlite3.dbapi2):
            module.connect = self._traced(module.connect)

    def _called(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or not (name := _name(frame.f_code)):
            return
        if frame.f_code.co_flags & RESUMES:
            first = self._entry.setdefault(frame.f_code, frame.f_lasti)
            if frame.f_lasti != first:
                return
        self._write(_depth(frame), name)

    def _traced(
        self, connect: Callable[..., sqlite3.Connection]
    ) -> Callable[..., sqlite3.Connection]:
        def traced(*given: Any, **named: Any) -> sqlite3.Connection:
            connection = connect(*given, **named)
            connection.set_trace_callback(self._sent)
            return connection

        return traced

    def _sent(self, statement: str) -> None:
        self._write(_depth(sys._getframe(1)), "\t" + " ".join(statement.split())[:80])

    def _write(self, depth: int, name: str) -> None:
        line = f"{time.time():.6f}\t{threading.get_ident()}\t{depth}\t{name}\n"
        os.write(self._file, line.encode())


@functools.cache
def _name(code: CodeType) -> str:
    """`file<TAB>function` if the code is one of our functions, else ""."""
    path = code.co_filename
    is_ours = path.startswith(OURS) and not path.startswith(NOT_OURS)
    is_function = code.co_flags & IN_A_FUNCTION and (
        code.co_name == "<lambda>" or code.co_name[0] != "<"
    )
    if not is_ours or not is_function:
        return ""
    function = (
        code.co_qualname
        if code.co_name != "<lambda>"
        else f"{code.co_qualname}:{code.co_firstlineno}"
    )
    return f"{Path(path).relative_to(ROOT)}\t{function}"


def _depth(frame: FrameType | None) -> int:
    """The number of our functions between this frame and the start of the thread."""
    depth = 0
    while frame is not None and (frame := frame.f_back) is not None:
        depth += bool(_name(frame.f_code))
    return depth


def main() -> None:
    """The bot as a process under the tracer; the command line is that of the bot."""
    Tracer(Path(os.environ["BENCH_TRACE"]))
    runpy.run_module("bot", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
