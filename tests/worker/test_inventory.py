"""Compares the access on a small real system with the database."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import bot.connectors
import bot.worker.inventory
from bot.app import build_systems
from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.core.approval import Refused
from bot.core.drift import Finding, What
from bot.core.effects import Queue
from bot.core.model import Grant, GrantState, ProvisionOrder
from bot.operations._end_alert import AFTER_LEADS
from bot.operations._unit_of_work import SYSTEM
from bot.operations.grants.release_grant import release_grant
from bot.operations.systems.reconcile import ask_reconcile, read_findings, reconcile
from bot.operations.systems.reconcile_nightly import reconcile_nightly
from bot.operations.systems.remove_orphan import ask_removal, record_removed
from bot.operations.usage.count_usage import UsageMeter
from bot.worker.dispatcher import Dispatcher
from bot.worker.inventory import InventoryScan
from storage.database import Database
from tests.builders import WORKSPACE
from tests.connectors import folder
from tests.factories import ANA, CARA, DAN, LEA, Made, make_world
from tests.fakes import FakeMessenger, FakePeople

DAY = 86400


class Place:
    """A world with two folders for systems: `files` can list what is there, `dark` can't."""

    def __init__(self, made: Made, tmp_path: Path) -> None:
        self.made, self.folders = made, {name: tmp_path / name for name in ("files", "dark")}
        self.systems = build_systems(made.world)
        self.inventory = InventoryScan(made.world, self.systems, patience=20)
        self.slack = FakeMessenger()
        people = FakePeople()
        self.delivery = Dispatcher(
            made.world, self.systems, self.slack, people, UsageMeter(made.world)
        )  # type: ignore[arg-type]

    def hold(self, role: str = "files", person: str = ANA) -> Grant:
        """An active grant, made by the real delivery."""
        grant = self.made.a_started(self.made.a_request(role, person))
        self.delivery.drain(Queue.START)
        return self.made.grant(grant.id)

    def over(self, role: str = "files", person: str = ANA) -> Grant:
        """A grant that has ended, and the folder says so."""
        grant = self.hold(role, person)
        release_grant(self.made.world, grant.id, person)
        self.delivery.drain(Queue.END)
        assert self.made.grant(grant.id).state is GrantState.ENDED
        return grant

    def put(self, name: str, system: str = "files") -> Path:
        file = self.folders[system] / name
        file.write_text("somebody")
        return file

    def scan(self, by: str = LEA) -> list[Finding]:
        return reconcile(self.made.world, self.inventory.scan(), by)

    def problems(self) -> dict[str, str]:
        return {one.system: one.problem for one in self.inventory.scan() if one.problem}

    def sent_notes(self) -> list[str]:
        """The notes to people and to the security channel, once they were all sent."""
        self.delivery.drain(Queue.SLACK)
        return self.slack.notes()

    def whats(self) -> list[tuple[What, str]]:
        return [(each.what, each.name or each.grant) for each in self.scan()]


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Iterator[Place]:
    tables = ""
    for name, kind in (("files", "folder"), ("dark", "blind")):
        (tmp_path / name).mkdir()
        tables += folder.settings(name, tmp_path / name, kind)
    with folder.installed(tmp_path / "packages"):
        policy = parse_policy(WORKSPACE + tables, "roles.toml", {}, KINDS)
        made = make_world(tmp_path, policy=policy, db=database)
        made.forget_work()
        yield Place(made, tmp_path)
    for each in tmp_path.glob("*/.hang"):
        each.unlink()
    for asking in [each for each in threading.enumerate() if each.name.startswith("ask-")]:
        asking.join(10)  # or it would use the database when that is closed


# --- looking


def test_nothing_is_found_where_rows_and_systems_agree(place: Place) -> None:
    place.hold()
    place.over(person=CARA)
    place.hold("dark")
    assert place.scan() == [] and place.problems() == {}
    ((actor, detail),) = place.made.log("system:access:verified", "actor, detail")
    assert (actor, json.loads(detail)["found"], json.loads(detail)["unasked"]) == (LEA, 0, [])


@pytest.mark.parametrize("system", ["files", "dark"])
def test_what_has_ended_and_is_still_there_is_found(place: Place, system: str) -> None:
    grant = place.over(system)
    file = place.put(f"access-{grant.id}", system)
    (found,) = place.scan()
    assert (found.system, found.what, found.grant) == (system, What.LINGERING, grant.id)
    assert found.name == (file.name if system == "files" else "")
    assert place.made.log("system:access:found", 'subject, system, "grant"') == [
        (ANA, system, grant.id)
    ]
    assert place.scan() == [found]
    assert place.made.events("system:access:found") == 1
    file.unlink()
    assert place.scan() == []
    assert place.made.count("findings") == 0


def test_what_lists_its_own_is_not_asked_about_each_end(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds of calls of a system far away would take longer than it is waited for, every
    night."""
    for _ in range(3):
        place.over()
    asked = _asked(monkeypatch)
    assert place.problems() == {} and asked == []


@pytest.mark.parametrize("system", ["files", "dark"])
def test_a_slow_system_says_how_much_was_not_looked_at_and_what_was_found_is_kept(
    place: Place, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    """Each grant is looked up alone when a listing lacks its access, or when the system cannot
    list."""
    for person in (ANA, CARA, DAN):
        grant = place.hold(system, person) if system == "files" else place.over(system, person)
        file = place.folders[system] / f"access-{grant.id}"
        file.unlink() if system == "files" else file.touch()
    assert len(place.scan()) == 3
    monkeypatch.setattr(bot.worker.inventory, "ROOM", 0.0)
    asked = _asked(monkeypatch)
    assert place.problems() == {system: "it is slow: not checked: 3 grants of 3"} and asked == []
    place.scan()
    assert place.made.count("findings") == 3


def _asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The grants that folders are asked about from now on."""
    asked: list[str] = []
    real = folder.Blind.read_back

    def read_back(self: folder.Blind, order: ProvisionOrder) -> bool:
        asked.append(order.grant)
        return real(self, order)

    monkeypatch.setattr(folder.Blind, "read_back", read_back)
    return asked


@pytest.mark.parametrize(("system", "found"), [("files", 1), ("dark", 0)])
def test_how_far_back_it_looks(place: Place, system: str, found: int) -> None:
    """A system that lists what is there keeps showing it; one that can't is asked for what ended
    lately."""
    grant = place.over(system)
    place.put(f"access-{grant.id}", system)
    place.made.clock.at += 29 * DAY
    assert len(place.scan()) == 1
    place.made.clock.at += 2 * DAY
    assert len(place.scan()) == found


def test_what_is_there_without_a_grant_is_found_whatever_it_is_called(place: Place) -> None:
    place.hold()
    place.put("access-by-hand")
    place.put("access-g00000000000")
    place.put("something-else")
    assert place.whats() == [
        (What.UNMANAGED, "access-by-hand"),
        (What.UNMANAGED, "access-g00000000000"),
    ]


def test_what_is_being_ended_is_listed_as_that(place: Place) -> None:
    grant = place.hold()
    place.put(".keeps")
    release_grant(place.made.world, grant.id, ANA)
    place.delivery.drain(Queue.END)
    assert place.whats() == [(What.ENDING, f"access-{grant.id}")]
    assert place.made.events("system:access:found") == 0


def test_what_vanished_is_told_to_the_holder_and_the_leads_once_and_not_made_again(
    place: Place,
) -> None:
    grant = place.hold()
    file = place.folders["files"] / f"access-{grant.id}"
    place.sent_notes()
    place.slack.sent.clear()
    file.unlink()
    assert place.whats() == [(What.MISSING, grant.id)]
    assert place.whats() == [(What.MISSING, grant.id)]
    assert place.sent_notes() == ["missing"], (
        "the leads first, so that the holder reads whether they know"
    )
    place.made.clock.at += AFTER_LEADS
    assert place.sent_notes() == ["missing", "missing"]
    assert place.made.log("grant:access:missing", 'actor, subject, system, "grant"') == [
        (SYSTEM, ANA, "files", grant.id)
    ]
    assert not file.exists() and place.made.grant(grant.id).state is GrantState.ACTIVE
    place.put(file.name)
    assert place.whats() == []
    file.unlink()
    place.scan()
    assert place.made.events("grant:access:missing") == 2


def test_a_system_that_can_not_be_asked_is_named_and_what_was_found_there_is_kept(
    place: Place,
) -> None:
    place.put("access-by-hand")
    place.scan()
    down = place.put(".down")
    assert place.problems() == {"files": "the folder is locked"}
    assert place.scan() == []
    left = read_findings(place.made.world, LEA)
    assert isinstance(left, list) and len(left) == 1
    details = [
        json.loads(detail) for (detail,) in place.made.log("system:access:verified", "detail")
    ]
    assert details[-1]["unasked"] == ["files"]
    down.unlink()
    assert len(place.scan()) == 1


def test_a_system_that_is_in_no_roles_toml_any_more_is_named_as_long_as_something_may_be_there(
    place: Place,
) -> None:
    place.hold()
    place.made.set_policy()
    assert "add it back" in place.problems()["files"]


def test_a_system_that_hangs_keeps_no_other_from_being_asked_and_gets_one_thread(
    place: Place,
) -> None:
    grant = place.over("dark")
    place.put(f"access-{grant.id}", "dark")
    hang = place.put(".hang")
    inventory = InventoryScan(place.made.world, place.systems, patience=0.3)
    first = {one.system: one for one in inventory.scan()}
    assert "has not answered within 0.3 s" in first["files"].problem
    assert [each.what for each in first["dark"].findings] == [What.LINGERING]
    assert "earlier call" in {one.system: one.problem for one in inventory.scan()}["files"]
    hang.unlink()


def test_a_stop_waits_for_no_system(place: Place) -> None:
    place.put(".hang")
    assert ask_reconcile(place.made.world, LEA, "C1") is None
    place.delivery.begin_stop()
    place.delivery.drain(Queue.DECIDE)
    assert place.made.work() == ["reconcile"]  # for whoever comes next
    assert place.made.events("system:access:verified") == 0


def test_an_end_under_way_while_it_looks_is_no_finding(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is listed; then the grant ends, everywhere; then the rows are read."""
    grant = place.hold()
    listed = folder.Folder.list_active

    def list_then_end(self: folder.Folder) -> list[object]:
        found = list(listed(self))
        monkeypatch.setattr(folder.Folder, "list_active", listed)
        release_grant(place.made.world, grant.id, ANA)
        place.delivery.drain(Queue.END)
        return list(found)

    monkeypatch.setattr(folder.Folder, "list_active", list_then_end)
    assert place.scan() == []
    assert place.made.grant(grant.id).state is GrantState.ENDED


def test_an_end_between_looking_and_writing_it_down_is_no_finding(place: Place) -> None:
    grant = place.hold()
    (place.folders["files"] / f"access-{grant.id}").unlink()
    seen = place.inventory.scan()
    assert [each.what for one in seen for each in one.findings] == [What.MISSING]
    release_grant(place.made.world, grant.id, ANA)
    assert reconcile(place.made.world, seen, LEA) == []
    assert place.made.events("grant:access:missing") == 0


# --- removing


def one_stray(place: Place) -> Finding:
    place.put("access-by-hand")
    (found,) = place.scan()
    return found


def test_only_what_a_lead_confirms_is_removed_and_both_are_on_record(place: Place) -> None:
    found, other = one_stray(place), place.put("access-other")
    place.scan()
    assert ask_removal(place.made.world, LEA, found.id, "C1") == found
    assert (place.folders["files"] / found.name).exists()
    place.delivery.drain(Queue.DECIDE)
    assert not (place.folders["files"] / found.name).exists() and other.exists()
    for event in ("system:removal:asked", "system:access:removed"):
        ((actor, system, detail),) = place.made.log(event, "actor, system, detail")
        assert (actor, system, json.loads(detail)["name"]) == (LEA, "files", "access-by-hand")
    assert [data["text"] for message in _sent(place) for _, data in message] == [
        "Removed: access-by-hand on files."
    ]
    assert [each.name for each in place.scan()] == ["access-other"]


def _sent(place: Place) -> list[list[tuple[object, dict[str, object]]]]:
    place.delivery.drain(Queue.SLACK)
    return place.slack.sent  # type: ignore[return-value]


def test_what_only_says_so_when_asked_is_ended_there(place: Place) -> None:
    grant = place.over("dark")
    file = place.put(f"access-{grant.id}", "dark")
    (found,) = place.scan()
    ask_removal(place.made.world, LEA, found.id, "C1")
    place.delivery.drain(Queue.DECIDE)
    assert not file.exists()
    assert place.made.log("system:access:removed", 'actor, "grant"') == [(LEA, grant.id)]


def test_others_are_refused_and_on_record(place: Place) -> None:
    found = one_stray(place)
    refused = ask_removal(place.made.world, ANA, found.id, "C1")
    assert isinstance(refused, Refused) and "Only leads" in refused.reason
    place.made.clock.at += 60
    assert isinstance(ask_reconcile(place.made.world, ANA, "C1"), Refused)
    place.made.clock.at += 60
    assert isinstance(read_findings(place.made.world, ANA), Refused)
    assert place.made.events("request:action:refused") == 3
    assert "remove_orphan" not in place.made.work()


@pytest.mark.parametrize("forged", ["", "f0", "access-by-hand"])
def test_what_was_not_found_is_not_removed(place: Place, forged: str) -> None:
    one_stray(place)
    refused = ask_removal(place.made.world, LEA, forged, "C1")
    assert isinstance(refused, Refused) and "/access drift" in refused.reason


def test_what_a_grant_says_should_be_there_is_not_removed_here(place: Place) -> None:
    grant = place.hold()
    (place.folders["files"] / f"access-{grant.id}").unlink()
    (missing,) = place.scan()
    assert isinstance(ask_removal(place.made.world, LEA, missing.id, "C1"), Refused)


def test_what_the_system_keeps_is_told_and_still_known(place: Place) -> None:
    found = one_stray(place)
    place.put(".keeps")
    ask_removal(place.made.world, LEA, found.id, "C1")
    place.delivery.drain(Queue.DECIDE)
    (said,) = [data["text"] for message in _sent(place) for _, data in message]
    assert said == "access-by-hand on files could not be removed: files still has it"
    assert place.made.events("system:access:removed") == 0
    assert place.scan() == [found]


def test_access_that_disappeared_meanwhile_counts_as_removed(place: Place) -> None:
    found = one_stray(place)
    (place.folders["files"] / found.name).unlink()
    removal = place.inventory.remove(found.id)
    assert removal is not None and removal.error == ""
    record_removed(place.made.world, removal, "os:eve")
    assert place.inventory.remove(found.id) is None


# --- at night, and when a lead asks


def test_a_lead_who_asks_gets_an_answer(place: Place) -> None:
    place.put("access-by-hand")
    place.put(".down", "dark")
    assert ask_reconcile(place.made.world, LEA, "C1") is None
    place.delivery.drain(Queue.DECIDE)
    ((message,),) = _sent(place)
    assert message[1]["note"] == "findings" and message[1]["asked"] == 2


def test_every_night_is_reconciled_once_by_whichever_worker_after_three_local_time(
    place: Place,
) -> None:
    midnight = int(datetime(2026, 9, 21, 22, 0, tzinfo=UTC).timestamp())  # in Berlin
    asked = []
    for half_hour in range(2 * 48):
        place.made.clock.at = midnight + half_hour * 1800
        asked += [half_hour / 2 for _ in range(3) if reconcile_nightly(place.made.world)]
    assert asked == [3.0, 27.0]
    assert place.made.work() == ["reconcile", "reconcile"]


def test_the_leads_hear_of_a_night_that_found_something_and_of_no_other(place: Place) -> None:
    reconcile(place.made.world, place.inventory.scan(), SYSTEM)
    assert place.sent_notes() == []
    place.put("access-by-hand")
    place.put(".down", "dark")
    grant = place.hold()
    place.sent_notes()
    place.slack.sent.clear()
    seen = place.inventory.scan()
    reconcile(place.made.world, seen, SYSTEM)
    assert place.sent_notes() == ["reconciled"]
    facts = place.slack.sent[-1][0][1]
    assert (facts["excess"], facts["missing"], facts["places"]) == (1, 0, ["files"])
    # Nothing is known to be in the dark, so nothing had to be asked there.
    assert facts["unasked"] == []
    assert place.made.grant(grant.id).state is GrantState.ACTIVE
