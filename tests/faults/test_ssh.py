"""From a click in Slack to a real login on a real host, and to one that fails when the access has
ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox import Person
from tests.connectors.hosts import MISSING, NO_SSHD, USER, Host, a_pair, keygen
from tests.faults.running_bot import ROLES, Company, parts, running_company
from tests.waiting import until

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{NO_SSHD}: {', '.join(MISSING)}")

HOSTS = """
[systems.it]
connector = "ssh"
ca_key = "{ca}"
principals = ["deploy"]
address = "{user}@127.0.0.1:{port}"

[roles.host]
title = "The host"
system = "it"
requesters = ["everyone"]
approvers = ["@db-leads"]
default_duration = "1h"

[roles.host-brief]
title = "The host, for a moment"
system = "it"
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "1h"
default_duration = "6s"
reminders = []
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with Host(tmp_path_factory.mktemp("host")).running() as host:
        yield host


@pytest.fixture(scope="module")
def company(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("company")
    a_pair(folder / "ca_key")
    with running_company(folder, environment={"LOG_LEVEL": "DEBUG"}) as company:
        company.roles.write_text(
            ROLES + HOSTS.format(ca=folder / "ca_key", user=USER, port=host.port)
        )
        company.start()
        host.fetch(company.bot.url)  # without any list, a host lets nobody in
        yield company
        assert company.complaints() == []


def asked_for_key(company: Company, who: Person, role: str) -> str:
    """Opens the window, and returns the content of its input."""
    assert who.click(company.about(who, role), "Show credentials").ok
    view = who.wait_view("Public key")
    (given,) = [
        block["element"].get("initial_value", "")
        for block in view["blocks"]
        if block["type"] == "input"
    ]
    return str(given)


def certificate(who: Person, key: str) -> str:
    """The certificate that the window shows once it has the key."""
    assert who.fill_and_submit({"Public key": key}).ok

    def shown() -> str | None:
        texts = [str(part.get("text", "")) for part in parts(who.wait_view())]
        return next(
            (text for text in texts if text.startswith("ssh-ed25519-cert-v01@openssh.com ")), None
        )

    found = until(shown)
    who.close_view()
    return found


def test_a_click_gives_a_login_on_the_host_and_done_removes_it(
    company: Company, host: Host
) -> None:
    grant = company.hold(company.ana, "host", "1h look at the disk")
    assert asked_for_key(company, company.ana, "host") == ""
    shown = certificate(company.ana, host.public)
    host.fetch(company.bot.url)
    assert host.lets_in(shown)
    assert f"{grant} (serial " in host.log.read_text()
    company.access(company.ana, "done host")
    until(lambda: company.grant(company.ana, "host")[1] == "ended")
    host.fetch(company.bot.url)
    assert "revoked" in host.why_not(shown)
    company.quiet()
    assert any(
        "once they have fetched the list again" in str(call)
        for call in company.sandbox.inspector.calls()
    )
    assert company.rows("SELECT COUNT(*) FROM ssh_certificates WHERE grant_id = ?", grant) == [(1,)]
    assert [place for place, content in left_behind(company) if shown.split()[1] in content] == []


def test_access_ends_on_time_whatever_list_the_host_has(company: Company, host: Host) -> None:
    who = company.newcomer()
    grant = company.hold(who, "host-brief", "9s a look")
    asked_for_key(company, who, "host-brief")
    shown = certificate(who, host.public)
    (host.place / "certificate.pub").write_text(shown)
    until(lambda: company.grant(who, "host-brief")[1] == "ended", 20)
    ((ends_at,),) = company.rows("SELECT ends_at FROM grants WHERE id = ?", grant)
    until(lambda: time.time() >= ends_at)
    assert "expired" in host.why_not(shown)


def test_a_private_key_is_refused_and_the_stored_key_is_offered_again(
    company: Company, host: Host, tmp_path: Path
) -> None:
    who = company.newcomer()
    company.hold(who, "host", "1h twice")
    a_pair(tmp_path / "mine")
    private = (tmp_path / "mine").read_text()
    asked_for_key(company, who, "host")
    assert who.fill_and_submit({"Public key": private}).ok
    assert "This is a private key" in who.plain(who.wait_view("private key"))
    public = keygen("-y", "-f", tmp_path / "mine").strip()
    certificate(who, public)
    assert asked_for_key(company, who, "host") == " ".join(public.split()[:2])
    who.close_view()
    company.quiet()
    assert [
        place for place, content in left_behind(company) if private.splitlines()[2] in content
    ] == []


def left_behind(company: Company) -> Iterator[tuple[str, str]]:
    """Everything that the bot wrote, and its messages in Slack except that one window."""
    yield "log", company.bot.output
    for path in sorted(Path(company.folder).glob("access.db*")):
        yield path.name, path.read_bytes().decode("latin-1")
    for call in company.sandbox.inspector.calls():
        if not call["method"].startswith("views."):
            yield call["method"], str(call)
