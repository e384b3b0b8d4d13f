"""P13 to P16: writing a request with its audit record, and reading, exporting and verifying a long
audit log. The limit is the driver alone: the same rows in, the same rows out.
"""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench import replay
from bench.acks import spent_text
from bench.measure import (
    Line,
    Scale,
    Spent,
    Watch,
    interleave,
    median,
    memory_of,
    middle,
    ms,
    paired,
)
from bench.place import LEA, Place, a_child, a_place, answer, jobs, postgres, someone
from bot.core.audit import COLUMNS, GENESIS, Event, link_hash
from bot.core.eligibility import Ask
from bot.operations.audit.read_audit import Filters, export_csv
from bot.operations.audit.verify_audit import verify_audit
from bot.operations.idempotency import do_once
from bot.operations.requests.request_access import Submitted, request_access
from storage import audit
from storage.database import Database

ROWS = f"SELECT {audit.COLUMN_LIST} FROM audit ORDER BY seq"
PAGE = 20


def writing(scale: Scale) -> Iterator[Line]:
    """P13"""
    yield from _writing("SQLite", "", scale)
    if (server := postgres()) is not None:
        with server.database() as url:
            yield from _writing("PostgreSQL", url, scale)


def asking(place: Place, people: int) -> Callable[[Database], int]:
    """Returns a function in which many people request a role, once each."""
    place.company(people)

    def ask(db: Database) -> int:
        world = place.world_on(db)
        for person in map(someone, range(people)):
            asked = Ask(person, "shop-admin", "because the benchmark asks", 3600)
            act = partial(request_access, ask=asked)
            assert isinstance(do_once(world, f"command:{person}", act), Submitted)
        return people

    return ask


QUESTIONS = (
    "the limit only writes; before we write we ask who, what is held, what is pending, what is"
    " stopped and where the chain ends, and on PostgreSQL each of these is a round trip"
)


def _writing(kind: str, url: str, scale: Scale) -> Iterator[Line]:
    with a_place(url) as place:
        ask = asking(place, scale.loads)
        rows = replay.changes(replay.record(place, ask))
        found = interleave(
            scale.rounds,
            {
                "ours": lambda: replay.ours(place, ask),
                "bare": lambda: replay.theirs(place, rows, scale.loads),
            },
        )
    value = paired(found, "ours", "bare", lambda s: s.rate)
    what = f"request + audit + chain + outbox, {kind}"
    note = QUESTIONS if url else ""
    yield Line(
        what,
        spent_text(found["ours"]),
        spent_text(found["bare"]),
        value,
        0.5,
        least=True,
        note=note,
    )


# --- a long log


STORY = (
    Event.REQUEST_ASKED,
    Event.VOTE_GIVEN,
    Event.APPROVAL_GIVEN,
    Event.GRANT_STARTED,
    Event.REMINDER_SENT,
    Event.END_ASKED,
    Event.GRANT_ENDED,
    Event.USE_SUMMED,
)
"""The records that a grant leaves in the log, from the request on."""


class _Story:
    """The records and the rows of one grant, as a busy company has them: 300 people, 40 roles, 12
    systems."""

    def __init__(self, n: int, at: int) -> None:
        self.request, self.grant, self.at = f"r{n:08d}", f"g{n:08d}", at
        self.person, self.approver = someone(n * 7919 % 300), someone(n // 7 % 300)
        self.role, self.system, self.reason = (
            f"role-{n % 40}",
            f"system-{n % 12}",
            f"because of incident {n}, as agreed",
        )

    def record(self, seq: int, prev: str) -> tuple[Any, ...]:
        step = (seq - 1) % len(STORY)
        actor = (self.person, self.approver, self.approver)[step] if step < 3 else "system"
        detail: dict[str, object] = {"source": "slack", "duration": 3600, "actions": ["read"]}
        if step > 2:
            detail = {"source": "slack", "ends_at": self.at + 3600, "why": "expired"}
        elif step == 2:
            detail["approvers"] = [self.approver]
        return (
            seq,
            self.at + step,
            str(STORY[step]),
            actor,
            self.person,
            self.role,
            self.system,
            self.request,
            self.grant if step > 2 else "",
            self.reason,
            json.dumps(detail, separators=(",", ":"), sort_keys=True),
            prev,
        )

    def row(self, table: str) -> tuple[Any, ...]:
        systems, actions = json.dumps([self.system]), json.dumps(["read"])
        return {
            "requests": (
                self.request,
                self.person,
                self.role,
                systems,
                actions,
                "fingerprint",
                3600,
                self.reason,
                "",
                None,
                "approved",
                self.at,
                self.at + 28800,
                None,
                self.at + 2,
                self.approver,
                "",
            ),
            "votes": (self.request, self.approver, self.at + 1, 3600, actions),
            "grants": (
                self.grant,
                self.request,
                self.person,
                self.role,
                systems,
                actions,
                "ended",
                3600,
                self.at,
                self.at + 3600,
                self.at + 36000,
                self.at + 3,
                0,
                None,
                "expired",
                "system",
                self.at + 6,
                2,
            ),
            "leases": (self.grant, self.system, "gateway", "ended", "", "", "", '["read"]'),
        }[table]


def _records(
    stories: list[_Story], sealed: Callable[[int, str], None]
) -> Iterator[tuple[Any, ...]]:
    """A chain of the records of these grants, a second between two."""
    prev, count = GENESIS, len(stories) * len(STORY)
    for seq in range(1, count + 1):
        row = stories[(seq - 1) // len(STORY)].record(seq, prev)
        prev = link_hash(row)
        yield (*row, prev)
    sealed(count, prev)


_FILLED = {
    "requests": "id, requester, role, systems, actions, fingerprint, duration, reason, ticket,"
    " start_at, state, created_at, lapses_at, renews, decided_at, decided_by, decision_reason",
    "votes": "request_id, voter, at, duration, actions",
    "grants": "id, request_id, person, role, systems, actions, state, duration, starts_at, ends_at,"
    " latest_end, started_at, renewals, remind_at, end_reason, end_by, ended_at, clock",
    "leases": "grant_id, system, connector, state, error, target, reach, actions",
}
"""The columns of each table that a story fills."""


def _fill(place: Place, count: int) -> None:
    """Fills the tables without indexes, which are made afterwards, because that is quicker."""
    head: list[Any] = []
    began = int(time.time()) - count
    stories = [_Story(n, began + n * len(STORY)) for n in range(count // len(STORY))]
    fill = _fill_sqlite if place.world.db.is_sqlite else _fill_postgres
    fill(place, _records(stories, lambda seq, digest: head.extend((seq, digest))))
    with place.world.db.transaction():
        for table in ("requests", "votes", "grants", "leases"):
            rows = [story.row(table) for story in stories]
            marks = ", ".join("?" * len(rows[0]))
            place.world.db.run_many(
                f"INSERT INTO {table} ({_FILLED[table]}) VALUES ({marks})", rows
            )
        seal = place.signer.seal(*head)
        place.world.db.run(
            "UPDATE audit_head SET seq = ?, hash = ?, seal = ? WHERE id = 1", *head, seal
        )


def _fill_sqlite(place: Place, rows: Iterator[tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(place.folder / "access.db", isolation_level=None)) as connection:
        for pragma in ("synchronous = off", "cache_size = -200000"):
            connection.execute(f"PRAGMA {pragma}")
        kinds = (
            "SELECT name, sql, type FROM sqlite_master WHERE tbl_name = 'audit' AND type <> 'table'"
            " AND sql <> ''"
        )
        made = connection.execute(kinds).fetchall()
        for name, _, kind in made:
            connection.execute(f"DROP {kind} {name}")
        connection.execute("BEGIN")
        connection.executemany(
            f"INSERT INTO audit ({audit.COLUMN_LIST}) VALUES ({audit._MARKS})", rows
        )
        for _, sql, _ in made:
            connection.execute(sql)
        connection.execute("COMMIT")


def _fill_postgres(place: Place, rows: Iterator[tuple[Any, ...]]) -> None:
    import psycopg

    with psycopg.connect(place.url, autocommit=True) as connection, connection.cursor() as cursor:
        kinds = (
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'audit' AND indexname <>"
            " 'audit_pkey'"
        )
        made = cursor.execute(kinds).fetchall()
        for name, _ in made:
            cursor.execute(f'DROP INDEX "{name}"'.encode())
        with cursor.copy(f"COPY audit ({audit.COLUMN_LIST}) FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)
        for _, sql in made:
            cursor.execute(sql.encode())
        cursor.execute("VACUUM ANALYZE audit")


@contextmanager
def long_log(kind: str, scale: Scale) -> Iterator[Place | None]:
    """A place with a long log on SQLite or PostgreSQL; kept for the other figures of the same
    run."""
    if (found := _kept.get(kind)) is None:
        url = ""
        if kind == "PostgreSQL":
            if (server := postgres()) is None:
                yield None
                return
            made = server.database()
            url = made.__enter__()
            _closing.append(made)
        context = a_place(url)
        found = _kept[kind] = context.__enter__()
        _closing.append(context)
        found.company(300)
        _fill(found, scale.rows)
    yield found


_kept: dict[str, Place] = {}
_closing: list[Any] = []


def forget() -> None:
    """Frees the disk space of the long logs."""
    while _closing:
        _closing.pop().__exit__(None, None, None)
    _kept.clear()


def searching(scale: Scale) -> Iterator[Line]:
    """P14"""
    for kind in ("SQLite", "PostgreSQL"):
        with long_log(kind, scale) as place:
            if place is not None:
                yield _searching(kind, place, scale, "one filter and a time", _filters(scale))
                yield _searching(kind, place, scale, "two filters", _pairs())
                yield _searching(kind, place, scale, "three filters", _triples())


def _searching(
    kind: str, place: Place, scale: Scale, what: str, filters: dict[str, Filters]
) -> Line:
    worst = ("", 0.0, 0.0)
    with closing(replay.Recording(place.url)) as db:
        for name, wanted in filters.items():
            for before in (None, scale.rows // 2, scale.rows // 50)[: scale.rounds]:
                took, sent = _pages(db, wanted, before, 20 if worst[1] < 0.01 else 5)
                p50 = median(took)
                if p50 > worst[1]:
                    bare = median(
                        [replay.again(place.url, sent).wall / len(took) for _ in range(3)]
                    )
                    worst = (
                        f"{name}, {'first page' if before is None else f'before {before:,}'}",
                        p50,
                        bare,
                    )
    title = f"search {scale.rows:,} records, {what}, {kind}; slowest: {worst[0]}"
    return Line(
        title, f"p50 {ms(worst[1])}", f"driver {ms(worst[2])}", worst[1] * 1000, 1.0, unit="ms"
    )


def _pages(
    db: replay.Recording, filters: Filters, before: int | None, times: int
) -> tuple[list[float], list[replay.Sent]]:
    took = []
    db.sent.clear()
    with db.reading():
        for _ in range(times):
            began = time.perf_counter()
            audit.page(db, filters, before, PAGE)
            took.append(time.perf_counter() - began)
    return took, list(db.sent)


def _filters(scale: Scale) -> dict[str, Filters]:
    now = int(time.time())
    middle = now - scale.rows // 2
    return {
        "no filter": Filters(),
        "person": Filters(person=someone(7)),
        "role": Filters(role="role-7"),
        "system": Filters(system="system-7"),
        "event": Filters(event=str(Event.GRANT_STARTED)),
        "kind of event": Filters(event="grant:"),
        "since": Filters(since=now - scale.rows // 10),
        "until": Filters(until=middle),
        "a day": Filters(since=middle, until=middle + 86400),
        "person, a week": Filters(person=someone(7), since=middle, until=middle + 7 * 86400),
        "kind of event, a day": Filters(since=middle, until=middle + 86400, event="request:"),
        "nobody": Filters(person="U0NOBODY"),
    }


def _pairs() -> dict[str, Filters]:
    return {
        "person, role": Filters(person=someone(7), role="role-7"),
        "person, system": Filters(person=someone(7), system="system-7"),
        "person, event": Filters(person=someone(7), event=str(Event.GRANT_STARTED)),
        "role, event": Filters(role="role-7", event=str(Event.GRANT_STARTED)),
        "role, kind of event": Filters(role="role-7", event="grant:"),
        "role, nobody": Filters(role="role-7", person="U0NOBODY"),
        "role, system": Filters(role="role-7", system="system-7"),
        "role, another's system": Filters(role="role-7", system="system-4"),
        "system, event": Filters(system="system-7", event=str(Event.GRANT_STARTED)),
    }


def _triples() -> dict[str, Filters]:
    """Searches by three filters; many find nothing, which takes the longest."""
    started = str(Event.GRANT_STARTED)
    return {
        "person, role, system": Filters(person=someone(7), role="role-7", system="system-7"),
        "person, role, event": Filters(person=someone(7), role="role-7", event=started),
        "person, system, kind of event": Filters(
            person=someone(7), system="system-7", event="grant:"
        ),
        "role, system, event": Filters(role="role-7", system="system-7", event=started),
        "role, another's system, kind of event": Filters(
            role="role-7", system="system-4", event="grant:"
        ),
    }


WITH = {"SQLite": "csv of the rows", "PostgreSQL": "COPY"}
"""The work by the driver alone, for comparison."""


def exporting(scale: Scale) -> Iterator[Line]:
    """P15"""
    for kind in ("SQLite", "PostgreSQL"):
        with long_log(kind, scale) as place:
            if place is None:
                continue
            with a_child("bench.log", place.url) as child:

                def leg(how: str, child: Any = child) -> Spent:
                    reply = child.ask(how=how)
                    return Spent(reply["wall"], reply["cpu"], scale.rows)

                before = memory_of(child.pid)
                child.ask(how="export")
                grown = memory_of(child.pid, "VmHWM") - before
                found = interleave(
                    min(scale.rounds, 2),
                    {"ours": lambda: leg("export"), "bare": lambda: leg("bare")},
                    warm=False,
                )
            rate = middle(found["ours"], lambda s: s.rate)
            what = f"export {scale.rows:,} records as CSV, {kind} ({WITH[kind]})"
            yield Line(
                what,
                spent_text(found["ours"]),
                spent_text(found["bare"]),
                rate,
                50_000,
                least=True,
                unit="/s",
            )
            yield Line(
                f"memory growth of that, {kind}", f"{grown:.1f} MiB", "–", grown, 16, unit="MiB"
            )


def verifying(scale: Scale) -> Iterator[Line]:
    """P16: the chain; the note has the whole command, which also compares the log with the rows
    that it is about."""
    whole: list[Spent] = []
    with long_log("SQLite", scale) as place:
        assert place is not None

        def verify() -> Spent:
            watch, chain = Watch(), []

            def progress(seq: int, last: int) -> None:
                if seq == last:
                    chain.append(watch.spent(scale.rows))

            verdict = verify_audit(place.world, progress)
            assert verdict.broken is None, verdict
            whole.append(watch.spent(scale.rows))
            return chain[0]

        legs = {"ours": verify, "bare": lambda: _read_and_hash(place, scale)}
        found = interleave(min(scale.rounds, 2), legs, warm=False)
    value = paired(found, "ours", "bare", lambda s: s.wall)
    most = paired({"ours": whole, "bare": found["bare"]}, "ours", "bare", lambda s: s.wall)
    yield Line(
        f"verify the chain of {scale.rows:,} records",
        spent_text(found["ours"]),
        spent_text(found["bare"]),
        value,
        1.3,
        note=f"with the comparison of the rows that the log is about it takes {most:.2f} ×",
    )


def _read_and_hash(place: Place, scale: Scale) -> Spent:
    """Reads every row with the driver, makes it JSON and hashes it, and compares nothing."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    watch = Watch()
    with closing(sqlite3.connect(place.folder / "access.db")) as connection:
        for row in connection.execute(ROWS):
            sha256(encode(row).encode()).hexdigest()
    return watch.spent(scale.rows)


FIGURES = {"P13": writing, "P14": searching, "P15": exporting, "P16": verifying}

# --- the process that exports


def export(place: Place, file: Path) -> None:
    with file.open("wb") as out:
        out.writelines(export_csv(place.world, LEA, Filters()))


def _bare(place: Place, file: Path) -> None:
    (_bare_sqlite if place.world.db.is_sqlite else _bare_postgres)(place.url, file)


def _bare_sqlite(url: str, file: Path) -> None:
    path = url.removeprefix("sqlite:///")
    with (
        closing(sqlite3.connect(path)) as connection,
        file.open("w", encoding="utf-8", newline="") as out,
    ):
        write = csv.writer(out)
        write.writerow(COLUMNS)
        write.writerows(connection.execute(ROWS))


def _bare_postgres(url: str, file: Path) -> None:
    import psycopg

    sql = f"COPY ({ROWS}) TO STDOUT WITH (FORMAT csv, HEADER)".encode()
    with (
        psycopg.connect(url) as connection,
        connection.cursor().copy(sql) as copy,
        file.open("wb") as out,
    ):
        out.writelines(copy)


def _child() -> None:
    with a_place() as place:
        place.url = sys.argv[1]
        with place.world.db.reading():
            place.world.db.row("SELECT 1")
        answer(ready=True)
        for job in jobs():
            watch = Watch()
            (export if job["how"] == "export" else _bare)(place, place.folder / "export.csv")
            spent = watch.spent()
            answer(wall=spent.wall, cpu=spent.cpu)


if __name__ == "__main__":
    _child()
