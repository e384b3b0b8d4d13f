"""The scripts of the documentation on a host: the one that fetches the list, and the hook that
reports logins."""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.connectors.base import Connector
from bot.connectors.ssh.ca import FileKey
from bot.connectors.ssh.connector import Place, _content
from bot.connectors.ssh.keys import Given, read_key
from bot.connectors.ssh.wire import certificate as signed
from bot.connectors.ssh.wire import string
from bot.core.model import Certificate, Person, ProvisionOrder
from bot.web.krl import encode_krl
from tests.connectors.contract import Contract, Rig, well
from tests.connectors.hosts import MISSING, NO_SSHD, Host, keygen, script
from tests.connectors.ssh_rig import GatedSite, Holder, certificate, settings
from tests.factories import ANA, Made
from tests.waiting import until

ON_LINUX = Path("/proc/self/stat").exists()
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"{NO_SSHD}: {', '.join(MISSING)}"),
    pytest.mark.skipif(not ON_LINUX, reason="the scripts are for Linux"),
]
SECRET = "bastion-secret-0123456789"


class TestHost(GatedSite):
    made, it, order = Contract.made, Contract.it, Contract.order

    @pytest.fixture
    def rig(self, ca_file: Path, bearer: Holder) -> Rig:
        return Rig(settings(ca_file, f"secret = '{SECRET}'"), [], bearer.gets_in, well)

    @pytest.fixture
    def asked(self, it: Connector, order: Callable[..., ProvisionOrder]) -> ProvisionOrder:
        asked = order()
        it.grant(asked)
        return asked

    def fetch(self, bearer: Holder, place: Path, url: str = "") -> int:
        """Runs the script once, as a timer does."""
        words = [
            script("access-krl", place),
            url or f"{bearer.url}/ssh/krl",
            place / "krl",
            place / "sessions",
        ]
        return subprocess.run(words, capture_output=True).returncode

    @contextmanager
    def a_session(
        self, bearer: Holder, place: Path, line: str, event: str = "open_session"
    ) -> Iterator[subprocess.Popen[bytes]]:
        """The call of PAM at the start of a session of sshd, which is a waiting shell here."""
        (place / "usage.curl").write_text(f'url = "{bearer.url}/usage"\nuser = "it:{SECRET}"\n')
        hook = f"{script('access-session', place)} {place}/usage.curl {place}/sessions"
        steps = f"PAM_TYPE={event} {hook}; echo in; read _; echo out"
        env = {
            **os.environ,
            "PAM_RHOST": "192.0.2.7",
            "PAM_USER": "deploy",
            "SSH_AUTH_INFO_0": f"publickey {line}\n",
        }
        process = subprocess.Popen(
            ["sh", "-c", steps], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with process:
            assert process.stdout is not None and process.stdout.readline() == b"in\n"
            yield process
            process.kill()

    def test_the_script_fetches_the_list_in_one_step(
        self, it: Connector, asked: ProvisionOrder, bearer: Holder, host: Host, tmp_path: Path
    ) -> None:
        shown = certificate(it, asked, host)
        (tmp_path / "c-cert.pub").write_text(shown)
        assert self.fetch(bearer, tmp_path) == 0
        keygen("-Q", "-f", tmp_path / "krl", tmp_path / "c-cert.pub")
        it.revoke(asked)
        assert self.fetch(bearer, tmp_path) == 0
        with pytest.raises(subprocess.CalledProcessError):
            keygen("-Q", "-f", tmp_path / "krl", tmp_path / "c-cert.pub")
        assert (tmp_path / "krl").stat().st_mode & 0o777 == 0o644
        assert {path.name for path in tmp_path.glob("krl*")} == {"krl"}

    @pytest.mark.parametrize(
        "answer", ["nobody there", "not found", "another file", "an empty file"]
    )
    def test_an_answer_that_is_no_list_changes_nothing(
        self, bearer: Holder, tmp_path: Path, answer: str
    ) -> None:
        assert self.fetch(bearer, tmp_path) == 0
        before = (tmp_path / "krl").read_bytes()
        (tmp_path / "other").write_text("hello" if answer == "another file" else "")
        urls = {
            "nobody there": "http://127.0.0.1:9/ssh/krl",
            "not found": f"{bearer.url}/ssh/other",
        }
        assert self.fetch(bearer, tmp_path, urls.get(answer, f"file://{tmp_path}/other")) == 1
        assert (tmp_path / "krl").read_bytes() == before
        assert {path.name for path in tmp_path.glob("krl*")} == {"krl"}

    def test_a_list_that_is_too_large_is_cut_off_and_ignored(
        self, bearer: Holder, tmp_path: Path
    ) -> None:
        assert self.fetch(bearer, tmp_path) == 0
        before = (tmp_path / "krl").read_bytes()
        authority = b64encode(string(b"ssh-ed25519") + string(b"\0" * 32)).decode()
        (tmp_path / "huge").write_bytes(encode_krl(1, {authority: range(1, 3_000_000)}))
        assert self.fetch(bearer, tmp_path, f"file://{tmp_path}/huge") == 1
        assert (tmp_path / "krl").read_bytes() == before and len(list(tmp_path.glob("krl*"))) == 1

    def test_the_hook_reports_a_login_and_its_end(
        self,
        made: Made,
        it: Connector,
        asked: ProvisionOrder,
        bearer: Holder,
        host: Host,
        tmp_path: Path,
    ) -> None:
        with self.a_session(bearer, tmp_path, certificate(it, asked, host)) as session:
            columns = "grant_id, system, source, closed_at IS NULL"
            until(lambda: made.count("sessions"))
            assert made.rows(f"SELECT {columns} FROM sessions") == [
                (asked.grant, "it", "192.0.2.7", 1)
            ]
            (noted,) = (tmp_path / "sessions").iterdir()
            assert noted.stat().st_mode & 0o777 == 0o600
            assert session.communicate(b"\n")[0] == b"out\n"
        until(lambda: made.count("sessions", "closed_at IS NOT NULL"))
        assert made.count("sessions") == 1 and not noted.exists()

    def test_the_hook_does_nothing_when_a_session_is_closed(
        self, it: Connector, asked: ProvisionOrder, bearer: Holder, host: Host, tmp_path: Path
    ) -> None:
        """The account's owner can control the environment of that moment."""
        with self.a_session(bearer, tmp_path, certificate(it, asked, host), "close_session"):
            assert not (tmp_path / "sessions").exists()

    def test_a_login_without_our_certificate_is_not_reported(
        self, made: Made, bearer: Holder, host: Host, tmp_path: Path
    ) -> None:
        (tmp_path / "id.pub").write_text(host.public)
        keygen(
            "-q",
            "-s",
            host.place / "id",
            "-I",
            "somebody else",
            "-n",
            "deploy",
            "-V",
            "+1h",
            tmp_path / "id.pub",
        )
        line = (tmp_path / "id-cert.pub").read_text().strip()
        for shown in (line, " ".join(host.public.split()[:2])):
            with self.a_session(bearer, tmp_path, shown) as session:
                assert not (tmp_path / "sessions").exists() or not list(
                    (tmp_path / "sessions").iterdir()
                )
                assert session.communicate(b"\n")[0] == b"out\n"

    def test_an_open_session_is_ended_when_its_certificate_is_revoked(
        self, it: Connector, asked: ProvisionOrder, bearer: Holder, host: Host, tmp_path: Path
    ) -> None:
        with self.a_session(bearer, tmp_path, certificate(it, asked, host)) as session:
            assert self.fetch(bearer, tmp_path) == 0 and session.poll() is None
            it.revoke(asked)
            assert self.fetch(bearer, tmp_path) == 0
            assert session.wait(10) < 0
        assert self.fetch(bearer, tmp_path) == 0
        assert list((tmp_path / "sessions").iterdir()) == []  # notes of ended sessions are removed

    def test_an_open_session_is_ended_when_its_certificate_runs_out_even_without_the_bot(
        self, ca_file: Path, bearer: Holder, host: Host, tmp_path: Path
    ) -> None:
        assert self.fetch(bearer, tmp_path) == 0
        nobody = "http://127.0.0.1:9/"
        with self.a_session(bearer, tmp_path, made_by_hand(ca_file, host, 2**33)) as session:
            assert self.fetch(bearer, tmp_path, nobody) == 1 and session.poll() is None
        with self.a_session(
            bearer, tmp_path, made_by_hand(ca_file, host, 1_790_000_000)
        ) as session:
            assert self.fetch(bearer, tmp_path, nobody) == 1
            assert session.wait(10) < 0


def made_by_hand(ca_file: Path, host: Host, expires_at: int) -> str:
    """A valid certificate that was never recorded."""
    person = Person(ANA, "Ana", "ana@example.com", "UTC", "T1", 0)
    order = ProvisionOrder("g4k2m9p0q1rs", "it", "ssh", person, "it", (), 0, expires_at)
    key, signer = read_key(host.public), FileKey(str(ca_file)).open()
    assert isinstance(key, Given)
    place = Place(["deploy"], "deploy", "HOST", "", "", "")
    content = _content(order, key, Certificate(7, 1_700_000_000, expires_at), place)
    return signed(content, signer.blob, signer.sign)
