"""`audit` and `usage`: the log as a table and as a file, whether it is whole, and what was really
used."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import pty
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bot.core.audit import COLUMNS
from bot.core.retention import YEAR
from bot.operations.grants.release_grant import release_grant
from bot.operations.requests.deny_request import deny_request
from bot.operations.usage.count_usage import sum_usage
from bot.operations.usage.report_session import Report, report_use
from storage import audit, usage
from tests.builders import policy_text
from tests.cli.conftest import Shop, run
from tests.factories import ANA, BEN, a_person


def test_usage_is_listed_by_minute(shop: Shop) -> None:
    grant, now = shop.made.a_grant(), shop.made.clock.at
    minute = now - now % 60
    db = shop.made.world.db
    with db.transaction():
        usage.add(
            db,
            [usage.Count(grant.id, "shop-admin", "192.0.2.7", minute, "allowed", "token", 3, now)],
        )
    assert re.search(
        rf"{grant.id}  shop-admin  192\.0\.2\.7  .* UTC  allowed  token  3$",
        run("usage", "list").stdout,
        re.M,
    )
    (line,) = run("usage", "list", "--grant", grant.id, "--json").stdout.splitlines()
    assert json.loads(line)["checks"] == 3
    assert run("usage", "list", "--grant", "gother").stdout == "No usage recorded.\n"


def test_json_on_a_terminal_is_ascii(shop: Shop) -> None:
    request = shop.made.a_request()
    deny_request(shop.made.world, request.id, a_person(BEN), "no \x9b2J \u202e")
    for what in ([], [request.id]):
        shown = run("audit", "list", *what, "--json").stdout
        assert "\\u202e" in shown and shown.isascii()


def test_a_grant_has_one_timeline_of_checks_and_sessions(shop: Shop) -> None:
    grant, now, world = shop.made.a_grant(), shop.made.clock.at, shop.made.world
    minute = now - now % 60
    assert run("usage", "list", "--grant", grant.id).stdout.splitlines() == [
        f"{grant.id} of {grant.person}, shop-admin: never used.",
        "  shop-admin: 0 checks, 0 sessions",
    ]
    with world.db.transaction():
        usage.add(
            world.db,
            [usage.Count(grant.id, "shop-admin", "192.0.2.7", minute, "allowed", "token", 3, now)],
        )
    for name in ("a", "b\x1b[31m"):
        report_use(world, "shop-admin", Report(grant.id, "opened", name, "198.51.100.1"))
    report_use(world, "shop-admin", Report(grant.id, "closed", "a"))
    said = run("usage", "list", "--grant", grant.id).stdout
    whole, shop_admin, _, *rows = said.splitlines()
    assert whole.startswith(f"{grant.id} of {grant.person}, shop-admin: used 5 times, first ")
    assert shop_admin == "  shop-admin: 3 checks, 2 sessions (1 open), from 192.0.2.7, 198.51.100.1"
    assert len(rows) == 3 and "session b?[31m, open" in said and "session a, closed " in said
    lines = [json.loads(line) for line in run("usage", "list", "--json").stdout.splitlines()]
    assert sorted(line.get("session", "") for line in lines) == ["", "a", "b\x1b[31m"]
    assert {line["closed_at"] is None for line in lines if "session" in line} == {True, False}


def test_the_audit_log_is_read_page_by_page_and_the_looking_is_in_it(shop: Shop) -> None:
    shop.made.a_grant()
    first = run("audit", "list", "--limit", "2", "--json")
    newest = [json.loads(line)["seq"] for line in first.stdout.splitlines()]
    assert newest == [newest[0], newest[0] - 1]
    assert first.stderr == f"For older records: --before {newest[-1]}\n"
    older = run("audit", "list", "--limit", "2", "--json", "--before", str(newest[-1]))
    assert [json.loads(line)["seq"] for line in older.stdout.splitlines()] == [
        newest[0] - 2,
        newest[0] - 3,
    ]
    assert shop.recorded("audit:log:read")


FILTERS = {
    "user by id": (("--user", BEN), {"request:vote:given", "request:approval:given"}),
    "user by e-mail": (
        ("--user", "U0BEN@example.com"),
        {"request:vote:given", "request:approval:given"},
    ),
    "system": (("--user", "system"), {"grant:access:started"}),
    "event": (("--event", "grant:access:started"), {"grant:access:started"}),
    "beginning of events": (("--event", "request:v"), {"request:vote:given"}),
    "role": (("--role", "nothing"), set()),
    "since": (("--since", "1h", "--event", "grant"), {"grant:access:started"}),
    "until": (("--until", "1h"), set()),
    "a day": (("--until", "2020-01-01"), set()),
    "request": (("--request", "rother"), set()),
    "grant": (("--grant", "gother"), set()),
}


@pytest.mark.parametrize(("words", "events"), FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("verb", [("list", "--json"), ("export",)], ids=["list", "export"])
def test_the_audit_log_can_be_filtered(
    verb: tuple[str, ...], words: tuple[str, ...], events: set[str], shop: Shop
) -> None:
    shop.made.a_grant()
    shown = run("audit", *verb, *words)
    found = {
        json.loads(line)["event"] for line in shown.stdout.splitlines() if line.startswith("{")
    }
    assert shown.exit_code == 0
    assert found == events


WRONG = {
    "event": ("--event", "grants", "Unknown event “grants”"),
    "since": ("--since", "yesterday", "`yesterday` is not a time"),
    "week": ("--until", "2026-W48", "`2026-W48` is not a time"),
    "until": ("--until", "-1h", "`-1h` is not a duration"),
    "user": ("--user", "x@example.com", "No member with the e-mail"),
}


@pytest.mark.parametrize(("option", "value", "said"), WRONG.values(), ids=WRONG)
def test_a_filter_that_can_mean_nothing_is_refused(
    option: str, value: str, said: str, shop: Shop
) -> None:
    shown = run("audit", "list", option, value)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.startswith(said)


def test_a_number_that_no_record_can_have_is_no_page(shop: Shop) -> None:
    listed = run("audit", "list", "--before", str(2**63))
    assert (listed.exit_code, "--before" in listed.stderr) == (2, True)


def test_an_export_is_the_whole_log_oldest_first_in_either_format(shop: Shop) -> None:
    shop.ask(reason='=HYPERLINK("x") ü')
    lines = [json.loads(line) for line in run("audit", "export").stdout.splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert list(lines[0]) == COLUMNS
    rows = list(
        csv.DictReader(io.StringIO(run("audit", "export", "--format", "csv").stdout, newline=""))
    )
    assert len(rows) == len(lines) + 1  # the first export is in the second
    reason = COLUMNS.index("reason")
    assert lines[0][COLUMNS[reason]] == '=HYPERLINK("x") ü'
    assert rows[0]["reason"] == '\'=HYPERLINK("x") ü'
    assert shop.recorded("audit:log:exported")


def test_an_export_as_a_process_is_utf_8_and_silent_whatever_the_locale_is(shop: Shop) -> None:
    shop.ask(reason="für Grüße")
    shown = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-m", "bot", "audit", "export"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert "für Grüße" in shown.stdout.decode()


@pytest.mark.parametrize("verb", [("export",), ("verify",)], ids=" ".join)
def test_progress_is_told_on_a_terminal_only(verb: tuple[str, ...], shop: Shop) -> None:
    shop.ask()
    ours, theirs = pty.openpty()
    shown = subprocess.run(
        [sys.executable, "-m", "bot", "audit", *verb],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    assert shown.returncode == 0 and "\r" not in shown.stdout
    assert re.search(r"1 record  \[#+\]  100%.*\r\n", os.read(ours, 10_000).decode())
    os.close(ours)


def test_an_intact_chain_is_0_and_that_it_was_checked_is_on_record(shop: Shop) -> None:
    shop.made.a_grant()
    shown = run("audit", "verify")
    assert shown.exit_code == 0
    assert re.match(r"The audit log is intact: \d+ records, head [0-9a-f]{64}\.", shown.stdout)
    assert shop.recorded("audit:log:verified")


def test_a_broken_chain_is_1_and_names_the_first_record(shop: Shop) -> None:
    shop.made.a_grant()
    db = shop.made.world.db
    with db.transaction():
        for (name,) in db.rows(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
        ):
            db.run(f"DROP TRIGGER {name}")
        db.run("UPDATE audit SET actor = 'U0EVE' WHERE seq = 2")
    before = len(shop.events())
    shown = run("audit", "verify")
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert shown.stderr.startswith("The audit log is BROKEN at record 2: ")
    assert len(shop.events()) == before


def test_a_chain_that_cant_be_read_is_2(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    db = shop.made.world.db
    with db.transaction():
        db.run("ALTER TABLE audit_head RENAME TO elsewhere")
    shown = run("audit", "verify")
    assert shown.exit_code == 2
    assert "Traceback" not in shown.output


def test_one_grant_is_told_from_its_request_on(shop: Shop) -> None:
    grant = shop.made.a_grant()
    told = run("audit", "list", grant.id).stdout.splitlines()
    assert told[0] == f"Request {grant.request}, grant {grant.id}"
    assert told[1].endswith("  1  U0Ana asked for shop-admin on shop-admin for 1h: “because”")
    assert told[2] == "    met: 1h is within the role's maximum, 4h"
    rows = run("audit", "list", grant.request, "--json").stdout.splitlines()
    assert [json.loads(row)["seq"] for row in rows] == [1, 2, 3, 4]
    assert run("audit", "list", "g0000000000z").exit_code == 1


def test_old_records_are_archived_and_the_bundle_is_intact(shop: Shop, configured: Path) -> None:
    made, file = shop.made, configured / "old.zip"
    made.clock.at -= 2 * YEAR
    grant = made.a_grant()
    release_grant(made.world, grant.id, ANA)
    made.close_gates(grant)
    sum_usage(made.world, [grant.id])
    last = audit.last(made.world.db)
    made.clock.at += 2 * YEAR
    shop.ask()
    assert run("audit", "archive", str(file), "--yes").exit_code == 1, "everything is kept"
    (configured / "roles.toml").write_text(policy_text() + '[retention]\nlog = "1y"\n')
    nowhere = run("audit", "archive", str(configured / "none" / "old.zip"), "--yes")
    assert (nowhere.exit_code, "old.zip can't be written: No" in nowhere.stderr) == (2, True)
    shown = run("audit", "archive", str(file), "--yes")
    assert shown.exit_code == 0, shown.output
    assert f"Records 1 to {last} are in {file} and no longer in the log." in shown.stdout
    with zipfile.ZipFile(file) as bundle:
        digest = hashlib.sha256(bundle.read("records.jsonl")).hexdigest()
    assert f"SHA-256 of the records in it: {digest}" in shown.stdout
    shown = run("audit", "verify")
    assert shown.exit_code == 0 and f"after {last} that were archived" in shown.stdout
    assert shop.recorded("audit:log:archived")
