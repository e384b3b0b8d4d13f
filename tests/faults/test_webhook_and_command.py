"""From a press in Slack to a door that really opens, and closes at the end: systems behind a
webhook, behind an executable, behind both at once, and behind a connector of a package."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.sandbox import Person
from tests.connectors.example import ROOT, install
from tests.connectors.gates_client import Gates
from tests.connectors.receiver import SECRET, Receiver, running_receiver
from tests.connectors.third_party import lets_in
from tests.faults.running_bot import ROLES, Company, parts, running_company
from tests.waiting import until

ROLE = """
[roles.{name}]
title = "{title}"
systems = {systems}
actions = ["enter"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "4h"
default_duration = "1h"
"""


@dataclass
class Place:
    """A company with two doors: the receiver of docs/connectors/webhook.md, and the executable of
    command.md."""

    company: Company
    receiver: Receiver
    gates: Gates

    def lets_in(self, code: str) -> bool:
        return self.receiver.lets_in(code) or self.gates.open_by(code)

    def codes(self, who: Person, role: str, count: int = 1) -> list[str]:
        """Presses Show credentials and reads the codes from the modal, once all are there."""

        def found() -> list[str] | None:
            texts = [str(part.get("text", "")) for part in parts(who.view())]
            codes = [text for text in texts if re.fullmatch("[0-9a-f]{12}", text)]
            return codes if len(codes) == count else None

        assert who.click(self.company.about(who, role), "Show credentials").ok
        codes = who.wait_for(found)
        who.close_view()
        return codes


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folders = [
        tmp_path_factory.mktemp(name) for name in ("company", "receiver", "doors", "package")
    ]
    install(folders[3])
    environment = {"PYTHONPATH": f"{ROOT}:{folders[3]}"}
    with (
        running_receiver(folders[1]) as receiver,
        running_company(folders[0], environment=environment) as company,
    ):
        gates = Gates(folders[2])
        company.roles.write_text(ROLES + systems(receiver, gates.folder))
        company.start()
        yield Place(company, receiver, gates)
        assert company.complaints() == []
        assert company.reactions() == []


def systems(receiver: Receiver, gates: Path) -> str:
    argv = json.dumps([sys.executable, "-I", str(gates / "run")])
    tables = (
        (
            f'\n[systems.warehouse]\nconnector = "webhook"\nurl = "{receiver.url}"\nsecret ='
            f' "{SECRET}"\nprivate = true\n'
        ),
        f'\n[systems.lab]\nconnector = "command"\nargv = {argv}\nenv = {{ DOORS = "{gates}" }}\n',
        f'\n[systems.moody]\nconnector = "command"\nargv = ["/bin/sh", "{gates}/moody"]\n',
        f'\n[systems.vpn]\nconnector = "allowlist"\nfolder = "{gates}/vpn"\n',
    )
    (gates / "vpn").mkdir()
    (gates / "moody").write_text(
        "printf '<!channel> \\033[31mthe \\342\\200\\256door is stuck' >&2; exit 3"
    )
    names = {
        "Warehouse": ["warehouse"],
        "Laboratory": ["lab"],
        "Rounds": ["warehouse", "lab"],
        "Moody": ["moody"],
        "Vpn": ["vpn"],
    }
    roles = (
        ROLE.format(name=title.lower(), title=title, systems=its) for title, its in names.items()
    )
    return "".join((*tables, *roles))


def give_back(place: Place, who: Person, role: str, _grant: str) -> None:
    assert who.click(place.company.about(who, role), "I'm done").ok


def revoke(place: Place, who: Person, _role: str, _grant: str) -> None:
    lead = place.company.chiara
    shown = place.company.access(lead, f"revoke @{who.name} all").messages[-1]
    button = next(part for part in parts(shown) if part.get("action_id") == "revoke")
    assert lead.click(shown, action_id=button["action_id"]).ok


@pytest.mark.parametrize(("role", "gates"), [("warehouse", 1), ("laboratory", 1), ("rounds", 2)])
@pytest.mark.parametrize("end", [give_back, revoke])
def test_a_press_in_slack_opens_the_door_and_the_end_closes_it(
    place: Place, role: str, gates: int, end: Callable[[Place, Person, str, str], None]
) -> None:
    company, who = place.company, place.company.newcomer()
    grant = company.hold(who, role)
    codes = place.codes(who, role, gates)
    assert all(map(place.lets_in, codes))
    end(place, who, role, grant)
    who.wait_dm("has ended")
    assert not any(map(place.lets_in, codes))
    assert company.grant(who, role)[1] == "ended"
    said = company.bot.output + "".join(
        str(row) for table in ("audit", "outbox") for row in company.rows(f"SELECT * FROM {table}")
    )
    assert not any(code in said for code in codes)


def test_a_connector_of_a_package_gives_access_until_the_end(place: Place) -> None:
    company, who, folder = place.company, place.company.newcomer(), place.gates.folder / "vpn"
    grant = company.hold(who, "vpn")
    (email,) = company.rows("SELECT email FROM people WHERE id = ?", who.id)[0]
    assert email and lets_in(folder, email)
    give_back(place, who, "vpn", grant)
    who.wait_dm("has ended")
    assert not lets_in(folder, email)


def test_a_renewal_moves_the_end_on_both_systems(place: Place) -> None:
    company, who = place.company, place.company.newcomer()
    grant = company.hold(who, "rounds", "1h rounds")
    before = (place.gates.folder / f"{grant}.json").read_text()
    company.renew(who, "rounds 1h")
    until(lambda: (place.gates.folder / f"{grant}.json").read_text() != before)
    (ends_at,) = company.rows("SELECT ends_at FROM grants WHERE id = ?", grant)[0]
    assert json.loads((place.gates.folder / f"{grant}.json").read_text())["ends_at"] == ends_at
    assert all(map(place.lets_in, place.codes(who, "rounds", 2)))


def test_a_receiver_that_is_down_at_the_end_is_called_when_it_is_back(place: Place) -> None:
    company, who = place.company, place.company.newcomer()
    grant = company.hold(who, "warehouse")
    (code,) = place.codes(who, "warehouse")
    place.receiver.kill()
    try:
        assert who.click(company.about(who, "warehouse"), "I'm done").ok
        until(lambda: "grant:end:failed" in company.events(grant=grant))
        assert company.grant(who, "warehouse") == (grant, "ending")
    finally:
        place.receiver.start()
    who.wait_dm("has ended", timeout=30)
    assert not place.lets_in(code)


def test_a_refused_start_is_reported_and_its_text_has_no_effect(place: Place) -> None:
    company, who = place.company, place.company.newcomer()
    company.expect("start_grant can't be done: moody exited with 3", "moody")
    request = company.ask(who, "moody")
    assert company.ben.click(company.card(request), "Approve").ok
    until(lambda: company.grant(who, "moody")[1] in ("failed", "ending"))
    who.wait_dm("could not be set up")
    lead = company.chiara
    said = lead.plain(lead.wait_message("#access-security", "moody exited"))
    assert "moody exited with 3: <!channel> the door is stuck" in said
    assert "grant:access:failed" in company.events(grant=company.grant(who, "moody")[0])
