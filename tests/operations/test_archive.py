"""Old records are moved into a bundle, and everything that is changed afterwards is still found."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from bot.cli.evidence import write_folder
from bot.core.approval import Refused
from bot.core.audit import link_hash, rfc3339
from bot.core.audit_export import json_lines
from bot.core.evidence import Period, Sample
from bot.core.model import Grant
from bot.core.onboarding import Ramp
from bot.core.retention import YEAR
from bot.operations.audit import archive_log as archiving
from bot.operations.audit.archive_log import (
    BadBundle,
    Bundle,
    archive_log,
    check_bundle,
    finish_archive,
)
from bot.operations.audit.verify_audit import INTERRUPTED, verdict_text
from bot.operations.browser.open_session import BrowserSession, open_session
from bot.operations.grants.release_grant import release_grant
from bot.operations.grants.show_credentials import Credentials, show_credentials
from bot.operations.onboarding.start_ramp import Start, start_ramp
from bot.operations.policy.compare_policies import compare_policies
from bot.operations.policy.record_policy import record_loaded
from bot.operations.usage.count_usage import sum_usage
from storage import audit, recorded_paths
from storage.recorded_paths import PathCount
from tests.builders import a_policy, browser_systems
from tests.factories import ANA, BEN, CARA, DAN, LEA, START, Made
from tests.full_disk import SmallDisk
from tests.ramps import BUNDLES, see_all, set_bundles

DAY = 86400
EVE = "os:eve"
KEPT = browser_systems() + '[retention]\nlog = "1y"\n'
VERIFIER = Path(__file__).parent.parent.parent / "docs/verify_audit.py"


def a_past_grant(made: Made, person: str, pause: int = 0) -> Grant:
    """Opened in a browser where that is allowed, and ended `pause` seconds later."""
    grant = made.a_grant(person=person)
    shown = show_credentials(made.world, grant.id, person)
    assert isinstance(shown, Credentials)
    for system, link in shown.links.items():
        code = link.partition("code=")[2]
        assert isinstance(open_session(made.world, code, system, ""), BrowserSession)
    made.clock.at += pause
    release_grant(made.world, grant.id, person)
    made.close_gates(grant)
    with made.world.db.transaction():
        path = PathCount(grant.id, "shop-admin", "GET", "/orders", 1, 0, START, START)
        recorded_paths.add(made.world.db, [path], 500)
    sum_usage(made.world, [grant.id])
    return made.grant(grant.id)


@pytest.fixture
def old(made: Made) -> tuple[Grant, Grant]:
    """A year later, so that the first grant is older than that, and the second one in part."""
    made.set_policy(systems=KEPT)
    first = a_past_grant(made, ANA)
    made.clock.at += 10 * DAY
    second = a_past_grant(made, CARA, pause=1800)
    made.clock.at = START + 10 * DAY + 900 + YEAR
    made.a_grant(person=DAN)
    return first, second


def archived(made: Made, file: Path) -> Bundle:
    done = archive_log(made.world, EVE, file)
    assert isinstance(done, Bundle), done
    return done


def seqs(made: Made) -> list[int]:
    return [int(str(seq)) for (seq,) in made.rows("SELECT seq FROM audit ORDER BY seq")]


def standalone(made: Made, *bundles: Path) -> tuple[int, str]:
    """The result of the documented verifier for an export."""
    export = made.path.parent / "export.jsonl"
    export.write_text("".join(json_lines(audit.walk(made.world.db))))
    return verified(*bundles, export)


def verified(*files: Path) -> tuple[int, str]:
    """The result of the documented verifier for these bundles and exports."""
    command = [sys.executable, "-I", str(VERIFIER), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_old_records_are_in_the_bundle_and_the_log_is_still_intact(
    made: Made, old: tuple[Grant, Grant], tmp_path: Path
) -> None:
    before, file = seqs(made), tmp_path / "first.zip"
    bundle = archived(made, file)
    assert bundle.first == 1 and 1 < bundle.last < before[-1]
    assert seqs(made) == [*range(bundle.last + 1, before[-1] + 2)]
    with zipfile.ZipFile(file) as content:
        lines = content.read("records.jsonl").decode().splitlines()
        assert [json.loads(line)["seq"] for line in lines] == [*range(1, bundle.last + 1)]
    for grant in old:
        assert made.count("grants", f"id = '{grant.id}'") == 0
        assert made.count("requests", f"id = '{grant.request}'") == 0
    assert made.count("grants") == 1
    verdict = made.verdict()
    assert verdict.is_intact and verdict.archived == bundle.last
    assert f"after {bundle.last} that were archived" in verdict_text(verdict)
    assert standalone(made)[0] == standalone(made, file)[0] == 0


def test_the_verifier_finds_what_was_added_to_lines_and_another_archived_part(
    made: Made, old: tuple[Grant, Grant], tmp_path: Path
) -> None:
    bundle = archived(made, tmp_path / "first.zip")
    lines, forged = [*json_lines(audit.walk(made.world.db))], tmp_path / "forged.jsonl"
    for extra in ('"reason": "forged", ', '"approved_by": "U0EVE", ', '"seq": "\\u001b[2J", '):
        forged.write_text("".join([*lines[:-1], lines[-1].replace("{", "{" + extra, 1)]))
        code, said = verified(forged)
        assert (code, said.strip().isprintable()) == (1, True), said
    forged.write_text("".join(lines).replace('"seq": 20,', '"seq": "\\u001b[2J",'))
    assert verified(forged)[1].strip().isprintable()
    anchors = tmp_path / "anchors"
    for digest, code in ((bundle.hash, 0), ("a" * 64, 1)):
        anchors.write_text(f"2026-11-29T09:00:04Z {bundle.last} {digest}\n")
        forged.write_text("".join(lines))
        assert verified(forged, Path("--anchors"), anchors)[0] == code
    rows = [list(row) for row in audit.walk(made.world.db)]
    rows[0][11] = "b" * 64
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        row[12] = link_hash(tuple(row[:12]))
        if after is not None:
            after[11] = row[12]
    forged.write_text("".join(json_lines(map(tuple, rows))))
    assert verified(forged)[0] == 1


def test_the_next_bundle_follows_the_first(
    made: Made, old: tuple[Grant, Grant], tmp_path: Path
) -> None:
    first = archived(made, tmp_path / "first.zip")
    ((grant,),) = made.rows("SELECT id FROM grants")
    release_grant(made.world, str(grant), DAN)
    made.close_gates(made.grant(str(grant)))
    made.clock.at += 2 * YEAR
    second = archived(made, tmp_path / "second.zip")
    assert (second.first, second.prev) == (first.last + 1, first.hash)
    assert made.verdict().is_intact
    bundles = [tmp_path / "first.zip", tmp_path / "second.zip"]
    assert standalone(made, *bundles)[0] == 0
    assert standalone(made, bundles[1])[0] == 0
    assert standalone(made, bundles[0])[0] == 1, "the second bundle is missing"
    assert [verified(bundle)[0] for bundle in bundles] == [0, 0]


def test_what_was_not_archived_can_not_be_deleted(
    made: Made, old: tuple[Grant, Grant], tmp_path: Path
) -> None:
    archived(made, tmp_path / "first.zip")
    left = seqs(made)
    for statement in (
        f"DELETE FROM audit WHERE seq = {left[0]}",
        f"UPDATE audit SET reason = 'x' WHERE seq = {left[0]}",
    ):
        with pytest.raises(Exception, match="append-only"), made.world.db.transaction():
            made.world.db.run(statement)
    assert seqs(made) == left


def _unguarded(made: Made, *statements: str) -> None:
    """As the owner of the tables may."""
    db, made.forged = made.world.db, True
    with db.transaction():
        if db.is_sqlite:
            for (name,) in db.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
                db.run(f"DROP TRIGGER {name}")
        else:
            db.run("ALTER TABLE audit DISABLE TRIGGER ALL")
        for statement in statements:
            db.run(statement)


def _more_deleted(made: Made) -> str:
    return f"DELETE FROM audit WHERE seq = {seqs(made)[0]}"


def _edited(made: Made) -> str:
    return f"UPDATE audit SET reason = 'x' WHERE seq = {seqs(made)[0]}"


def _widened(_made: Made) -> str:
    return (
        "UPDATE audit SET detail = replace(detail, '\"last\":', '\"last\":1')"
        " WHERE event = 'audit:log:archived'"
    )


def _record_removed(_made: Made) -> str:
    return "DELETE FROM audit WHERE event = 'audit:log:archived'"


@pytest.mark.parametrize(
    "forge", [_more_deleted, _edited, _widened, _record_removed], ids=lambda forge: forge.__name__
)
def test_tampering_after_an_archive_is_found(
    made: Made, old: tuple[Grant, Grant], tmp_path: Path, forge: Callable[[Made], str]
) -> None:
    archived(made, tmp_path / "first.zip")
    _unguarded(made, forge(made))
    assert made.verdict().broken is not None
    assert standalone(made)[0] == 1


def test_a_log_whose_beginning_was_deleted_is_broken_without_an_archive(
    made: Made, old: tuple[Grant, Grant]
) -> None:
    _unguarded(made, "DELETE FROM audit WHERE seq <= 3")
    verdict = made.verdict()
    assert verdict.broken is not None and verdict.broken.seq == 1
    assert standalone(made)[0] == 1


def test_a_request_that_was_archived_in_part_does_not_come_back(
    made: Made, old: tuple[Grant, Grant], tmp_path: Path
) -> None:
    _, second = old
    ((systems, actions, at),) = made.rows(
        "SELECT systems, actions, created_at FROM requests WHERE id = ?", second.request
    )
    archived(made, tmp_path / "first.zip")
    made.forged = True
    with made.world.db.transaction():
        made.world.db.run(
            "INSERT INTO requests (id, requester, role, systems, actions, fingerprint, duration,"
            " reason, ticket, state, created_at, lapses_at, decision_reason) VALUES"
            " (?, ?, 'shop-admin', ?, ?, '', 3600, '', '', 'approved', ?, ?, '')",
            *(second.request, CARA, systems, actions, at, at),
        )
    verdict = made.verdict()
    assert verdict.broken is not None and "is there again" in verdict.broken.why


def test_an_interrupted_archive_is_completed(
    made: Made, old: tuple[Grant, Grant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "BATCH", 2)

    class Killed(BaseException):
        pass

    def killed(done: int, _number: int) -> None:
        if done >= 4:
            raise Killed

    with suppress(Killed):
        archive_log(made.world, EVE, tmp_path / "first.zip", killed)
    assert made.verdict().unchecked == INTERRUPTED
    finish_archive(made.world)
    assert made.verdict().is_intact


def test_access_that_is_not_over_is_not_archived(made: Made, tmp_path: Path) -> None:
    made.set_policy(systems=KEPT)
    a_past_grant(made, CARA)
    active = made.a_grant(person=ANA)
    made.clock.at += 2 * YEAR
    bundle = archived(made, tmp_path / "first.zip")
    ((first,),) = made.rows("SELECT MIN(seq) FROM audit WHERE request = ?", active.request)
    assert bundle.last == int(str(first)) - 1
    assert made.verdict().is_intact
    again = archive_log(made.world, EVE, tmp_path / "second.zip")
    assert isinstance(again, Refused) and "not over" in again.reason
    assert not (tmp_path / "second.zip").exists()


def test_an_onboarding_that_is_not_over_is_not_archived(made: Made, tmp_path: Path) -> None:
    set_bundles(made, BUNDLES + '[retention]\nlog = "1y"\n')
    a_past_grant(made, CARA)
    see_all(made)
    made.clock.at += DAY
    see_all(made)
    made.set_groups()
    planned = start_ramp(made.world, LEA, Start("engineer", email="ola@example.com", mentor=BEN))
    assert isinstance(planned, Ramp), planned
    made.clock.at += 2 * YEAR
    bundle = archived(made, tmp_path / "first.zip")
    ((first,),) = made.rows("SELECT MIN(seq) FROM audit WHERE event = 'onboarding:ramp:planned'")
    assert bundle.last == int(str(first)) - 1
    assert made.verdict().is_intact


def test_records_that_a_stream_has_not_sent_are_not_archived(
    made: Made, old: tuple[Grant, Grant], tmp_path: Path
) -> None:
    made.set_policy(systems=KEPT + '[[stream]]\nkind = "file"\npath = "a.jsonl"\n')
    done = archive_log(made.world, EVE, tmp_path / "first.zip")
    assert isinstance(done, Refused) and "The stream file has sent only record 0" in done.reason


def test_without_retention_nothing_is_archived(made: Made, tmp_path: Path) -> None:
    made.a_grant()
    made.clock.at += 20 * YEAR
    done = archive_log(made.world, EVE, tmp_path / "first.zip")
    assert isinstance(done, Refused) and "no [retention] log" in done.reason


def _first_digit(data: bytes) -> bytes:
    return data.replace(b"1", b"2", 1)


def _cut_off(data: bytes) -> bytes:
    return data[: data[:-1].rindex(b"\n") + 1]


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("records.jsonl", _first_digit),
        ("records.jsonl", _cut_off),
        ("manifest.json", _first_digit),
        ("manifest.json", lambda _data: b"{}"),
    ],
)
def test_a_changed_bundle_is_found(
    made: Made,
    old: tuple[Grant, Grant],
    tmp_path: Path,
    member: str,
    change: Callable[[bytes], bytes],
) -> None:
    file, forged = tmp_path / "first.zip", tmp_path / "forged.zip"
    archived(made, file)
    with zipfile.ZipFile(file) as content, zipfile.ZipFile(forged, "w") as changed:
        for name in content.namelist():
            data = content.read(name)
            changed.writestr(name, change(data) if name == member else data)
    with pytest.raises(BadBundle):
        check_bundle(forged)


def test_a_full_disk_leaves_no_half_bundle(
    made: Made, old: tuple[Grant, Grant], small_disk: SmallDisk
) -> None:
    before, file = seqs(made), small_disk.folder / "first.zip"
    with small_disk.full(), pytest.raises(OSError):
        archive_log(made.world, EVE, file)
    assert seqs(made) == before and not file.exists()
    archived(made, file)


def test_the_rules_in_force_stay_known(made: Made, tmp_path: Path) -> None:
    risky = 'risk = "high"\nrisk_reason = "two people are on call"'
    made.set_policy(systems=KEPT, shop_admin=risky)
    record_loaded(made.world, made.world.policy())
    for days in (0, 200, YEAR // DAY, YEAR // DAY + 200):
        made.clock.at = START + days * DAY + 1
        a_past_grant(made, DAN)
        if days < YEAR // DAY:
            continue
        archived(made, tmp_path / f"{days}.zip")
        out, now = tmp_path / f"folder-{days}", made.clock.at
        period = Period(now - DAY, now + 1)
        write_folder(made.world, EVE, period, Sample(5, "s"), made.verdict(), out)
        with (out / "policies/index.csv").open() as file:
            (rules,) = csv.DictReader(file)
        assert (out / rules["file"]).read_text() == made.world.policy().redacted()[0]
        assert (rules["from"], rules["to"]) == (rfc3339(START), "")
        assert "shop-admin" in (out / "privileged.csv").read_text()
        fewer = a_policy(systems=KEPT, shop_admin="approvals = 1")
        compared = compare_policies(made.world, made.world.policy(), fewer, now - DAY)
        assert compared.compared and not compared.is_unsure
