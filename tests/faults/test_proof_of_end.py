"""Access on a system that does not end it, or has what nobody gave: what leads read in Slack, press
and prove, with the real bot and a system whose connector an installed package brings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.connectors import folder
from tests.faults.running_bot import ROLES, ROOT, Company, running_company
from tests.waiting import until

SECURITY = "#access-security"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is the system."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def company(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    packages = tmp_path_factory.mktemp("packages")
    folder.install(packages)
    path = {"PYTHONPATH": f"{ROOT}:{packages}"}
    with running_company(tmp_path_factory.mktemp("company"), environment=path) as found:
        found.roles.write_text(ROLES + folder.settings("files", files))
        found.start()
        yield found
        assert found.complaints() == []
        assert found.reactions() == []


def test_an_unconfirmed_end_is_alerted_acknowledged_by_a_lead_and_finally_confirmed(
    company: Company, files: Path
) -> None:
    who, lead = company.newcomer(), company.chiara
    grant = company.hold(who, "files")
    (files / ".keeps").touch()
    assert company.access(who, "done").ok
    alert = lead.wait_message(SECURITY, "Access may still exist")
    assert grant in lead.plain(alert) and "still has the access" in lead.plain(alert)
    who.wait_dm("is over, but files has not confirmed it yet")
    assert company.farid.click(alert, "Acknowledge").ok
    company.farid.wait_ephemeral("Only leads")
    assert company.events(grant=grant, event="request:action:refused") == ["request:action:refused"]
    assert lead.click(alert, "Acknowledge").ok
    shown = lead.wait_message(SECURITY, "Acknowledged by")
    assert shown["ts"] == alert["ts"] and "Acknowledged by @chiara" in lead.plain(shown)
    assert company.events(grant=grant, actor=lead.id) == ["grant:end:acknowledged"]
    (files / ".keeps").unlink()
    lead.wait_message(SECURITY, "Finally gone")
    until(lambda: "the system confirmed it" in lead.plain(_again(company, alert)))
    assert company.grant(who, "files")[1] == "ended"
    assert len([m for m in lead.messages(SECURITY) if "Finally gone" in lead.plain(m)]) == 1


def _again(company: Company, message: dict[str, str]) -> dict[str, str]:
    """The message as it is now."""
    return next(m for m in company.sandbox.inspector.messages(SECURITY) if m["ts"] == message["ts"])


def test_a_lead_sees_what_nobody_gave_and_has_it_removed(company: Company, files: Path) -> None:
    who, lead = company.newcomer(), company.chiara
    company.hold(who, "files")
    (files / "access-by-hand").write_text("<!channel>")
    assert "Only leads" in company.access(company.ben, "drift").text
    assert "Checking every system" in company.access(lead, "drift", channel=SECURITY).text
    found = lead.wait_ephemeral("access-by-hand")
    assert "files: access-by-hand is there without a grant" in lead.plain(found)
    assert "3 systems were checked. 1 thing differs" in lead.plain(found)
    assert lead.click(found, "Remove").ok
    lead.wait_ephemeral("Removed: access-by-hand on files.")
    assert [file.name for file in files.iterdir()] == [f"access-{company.grant(who, 'files')[0]}"]
    for event in ("system:removal:asked", "system:access:removed"):
        assert company.events(event=event, actor=lead.id) == [event]
    assert lead.click(found, "Remove").ok
    lead.wait_ephemeral("not found in the last check")


def test_access_that_vanished_is_told_to_its_holder_and_the_leads(
    company: Company, files: Path
) -> None:
    who, lead = company.newcomer(), company.chiara
    grant = company.hold(who, "files")
    (files / f"access-{grant}").unlink()
    company.access(lead, "drift")
    who.wait_dm("It was removed on the system, not by Access")
    assert grant in lead.plain(lead.wait_message(SECURITY, "Access is missing"))
    lead.wait_dm("is missing, or a part of it")
    assert company.events(event="grant:access:missing", grant=grant) == ["grant:access:missing"]
    assert company.grant(who, "files")[1] == "active"


def test_readiness_tells_which_system_is_unwell_and_stays_ready(
    company: Company, files: Path
) -> None:
    who = company.newcomer()
    company.hold(who, "files")
    (files / ".down").touch()
    company.access(who, "done")
    company.chiara.wait_message(SECURITY, "the folder is locked")
    status, body, _ = company.bot.get("/readyz")
    (files / ".down").unlink()
    assert status == 200
    assert json.loads(body)["systems"]["files"].startswith("unwell since ")
    until(lambda: json.loads(company.bot.get("/readyz")[1])["systems"]["files"] == "well")
