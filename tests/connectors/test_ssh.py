"""The ssh connector on a real sshd, which asks the real web application what is revoked."""

from __future__ import annotations

import shlex
import shutil
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bot.app import build_systems, build_tools
from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.connectors.base import AccessInstructions, Connector, Prompt
from bot.connectors.ssh.connector import HINT, Ssh
from bot.connectors.ssh.keys import ON_TOKENS, fingerprint_of
from bot.core.errors import SystemRefused
from bot.core.model import Certificate, ProvisionOrder
from bot.core.roles import System
from bot.operations.systems.certificates import StoredCertificates
from tests.connectors.contract import Contract, Rig, well
from tests.connectors.hosts import MISSING, NO_SSHD, USER, Host, a_pair, keygen
from tests.connectors.ssh_rig import GatedSite, Holder, away, certificate, settings
from tests.connectors.ssh_token import Token
from tests.factories import ANA, CARA, Made

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{NO_SSHD}: {', '.join(MISSING)}")


class TestSsh(GatedSite, Contract):
    @pytest.fixture
    def rig(self, ca_file: Path, bearer: Holder, monkeypatch: pytest.MonkeyPatch) -> Rig:
        return Rig(settings(ca_file), [], bearer.gets_in, lambda: away(monkeypatch))


class TestOwn(GatedSite):
    """Rules that only ssh has. The `rig` of a test may have more settings or actions of its own."""

    made, it, order = Contract.made, Contract.it, Contract.order

    @pytest.fixture
    def rig(
        self,
        ca_file: Path,
        bearer: Holder,
        request: pytest.FixtureRequest,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Rig:
        more, actions = getattr(request, "param", ([], []))
        return Rig(settings(ca_file, *more), actions, bearer.gets_in, lambda: away(monkeypatch))

    @pytest.fixture
    def shown(
        self, it: Connector, order: Callable[..., ProvisionOrder], bearer: Holder, host: Host
    ) -> str:
        """The certificate of an access that is open, on a host that knows the newest list."""
        asked = order()
        it.grant(asked)
        bearer.host.fetch(bearer.url)
        return certificate(it, asked, host)

    def test_it_says_who_for_how_long_and_nothing_more(
        self, made: Made, shown: str, tmp_path: Path
    ) -> None:
        (tmp_path / "c").write_text(shown)
        said = keygen("-L", "-f", tmp_path / "c")
        ((grant, serial, ends_at, fingerprint),) = made.rows(
            "SELECT grant_id, serial, expires_at, fingerprint FROM ssh_certificates"
        )
        assert (
            f'Key ID: "{ANA.lower()}@example.com {grant}"' in said and f"Serial: {serial}\n" in said
        )
        assert f"Public key: ED25519-CERT {fingerprint}\n" in said
        assert "Critical Options: (none)" in said and "Extensions: (none)" in said
        assert [
            line.strip() for line in said.split("Principals:")[1].split("Critical")[0].split()
        ] == ["deploy"]
        assert made.grant(grant).ends_at == ends_at == made.clock.at + 3600

    def test_expired_it_lets_nobody_in(
        self,
        made: Made,
        it: Connector,
        order: Callable[..., ProvisionOrder],
        bearer: Holder,
        host: Host,
    ) -> None:
        made.clock.at -= 7200
        asked = order()
        it.grant(asked)
        host.fetch(bearer.url)
        assert "expired" in host.why_not(certificate(it, asked, host))

    def test_on_the_list_it_lets_nobody_in(
        self, made: Made, it: Connector, shown: str, bearer: Holder, host: Host
    ) -> None:
        assert host.lets_in(shown)
        ((grant,),) = made.rows("SELECT grant_id FROM ssh_access")
        StoredCertificates(made.world).end([(grant, "it")])
        assert host.lets_in(shown)  # until the host fetches the list
        host.fetch(bearer.url)
        assert "revoked" in host.why_not(shown)

    def test_the_same_key_may_come_back_and_what_ended_stays_ended(
        self, it: Connector, order: Callable[..., ProvisionOrder], bearer: Holder, host: Host
    ) -> None:
        first, again = order(), order(CARA)
        it.grant(first)
        old = certificate(it, first, host)
        it.revoke(first)
        it.grant(again)
        new = certificate(it, again, host)
        host.fetch(bearer.url)
        assert "revoked" in host.why_not(old) and host.lets_in(new)

    def test_other_principals_let_nobody_in(self, shown: str, host: Host) -> None:
        host.principals("admin")
        try:
            assert "authorized principal" in host.why_not(shown)
        finally:
            host.principals("deploy")

    @pytest.mark.parametrize(
        "rig",
        [(["force_command = 'echo only \"$USER\" this'"], [])],
        indirect=True,
        ids=["force_command"],
    )
    def test_a_forced_command_is_all_that_runs(self, shown: str, host: Host) -> None:
        assert host.log_in(shown, "echo", "anything").stdout == f"only {USER} this\n"

    @pytest.mark.parametrize(
        ("rig", "lets_in"),
        [
            ((["source_address = '127.0.0.0/8, 192.0.2.7'"], []), True),
            ((["source_address = '192.0.2.0/24,2001:db8::/32'"], []), False),
        ],
        indirect=["rig"],
        ids=["from there", "from elsewhere"],
    )
    def test_it_works_from_the_right_addresses_only(
        self, shown: str, host: Host, lets_in: bool
    ) -> None:
        assert host.lets_in(shown) if lets_in else "source address" in host.why_not(shown)

    @pytest.mark.parametrize(
        ("rig", "terminal", "forwarding"),
        [
            (([], []), False, False),
            (([], ["pty"]), True, False),
            (([], ["port-forwarding"]), False, True),
        ],
        indirect=["rig"],
        ids=["nothing", "pty", "port-forwarding"],
    )
    def test_actions_are_what_it_permits(
        self, shown: str, host: Host, terminal: bool, forwarding: bool
    ) -> None:
        asked = host.log_in(shown, "test -t 0 && echo a terminal", options=["-tt"])
        assert ("a terminal" in asked.stdout) == terminal
        through = host.log_in(shown, "", options=["-W", f"127.0.0.1:{host.port}"])
        assert ("SSH-2.0-OpenSSH" in through.stdout) == forwarding

    def test_a_renewal_gives_a_new_one_to_the_new_end(
        self, made: Made, it: Connector, order: Callable[..., ProvisionOrder], host: Host
    ) -> None:
        asked = order()
        it.grant(asked)
        first = certificate(it, asked, host)
        later = ProvisionOrder(
            *(getattr(asked, name) for name in ProvisionOrder.__slots__[:7]),
            ends_at=asked.ends_at + 60,
        )
        it.grant(later)
        assert certificate(it, later, host) != first
        ends = made.rows("SELECT expires_at FROM ssh_certificates ORDER BY expires_at")
        assert ends == [(asked.ends_at,), (later.ends_at,)]

    def test_the_key_on_file_is_offered_again_and_a_new_one_takes_its_place(
        self, it: Connector, order: Callable[..., ProvisionOrder], host: Host, tmp_path: Path
    ) -> None:
        assert isinstance(it, Ssh)
        asked = order()
        it.grant(asked)
        assert it.credentials(asked, "") == Prompt("Public key", HINT)
        for public in (host.public, a_pair(tmp_path / "second")):
            assert isinstance(it.credentials(asked, f" {public}\n"), AccessInstructions)
            question = it.credentials(asked, "  ")
            assert isinstance(question, Prompt) and question.given == " ".join(public.split()[:2])

    @pytest.mark.parametrize("kind", ON_TOKENS)
    def test_a_key_on_a_security_token_opens_the_host(
        self,
        it: Connector,
        order: Callable[..., ProvisionOrder],
        bearer: Holder,
        host: Host,
        tmp_path: Path,
        kind: str,
    ) -> None:
        assert isinstance(it, Ssh)
        asked, token = order(), Token(kind)
        it.grant(asked)
        host.fetch(bearer.url)
        way = it.credentials(asked, token.line)
        assert isinstance(way, AccessInstructions)
        with token.plugged_in(tmp_path / "agent") as options:
            assert (
                host.log_in(way.secrets["Certificate"], "echo", "in", options=options).stdout
                == "in\n"
            )
            it.revoke(asked)
            host.fetch(bearer.url)
            assert (
                host.log_in(way.secrets["Certificate"], "echo", "in", options=options).stdout == ""
            )

    def test_what_is_on_record_is_what_signs_although_the_file_is_replaced(
        self,
        made: Made,
        it: Connector,
        order: Callable[..., ProvisionOrder],
        ca_file: Path,
        host: Host,
        tmp_path: Path,
    ) -> None:
        class Replacing(StoredCertificates):
            """Somebody puts another key into the file at the worst moment."""

            def issue(self, *asked: Any) -> Certificate | None:
                a_pair(tmp_path / "other")
                (tmp_path / "other").replace(tmp_path / "ca_key")
                return super().issue(*asked)

        shutil.copy(ca_file, tmp_path / "ca_key")
        asked = order()
        it.grant(asked)
        tools = replace(build_tools(made.world), certificates=Replacing(made.world))
        it = Ssh(
            System("it", "ssh", {"ca_key": str(tmp_path / "ca_key"), "principals": ["deploy"]}),
            tools,
        )
        (tmp_path / "c").write_text(certificate(it, asked, host))
        ((authority,),) = made.rows("SELECT authority FROM ssh_certificates")
        assert (
            f"{fingerprint_of(b64decode(authority))} ("
            in keygen("-L", "-f", tmp_path / "c").split("Signing CA")[1]
        )

    def test_a_bad_key_changes_nothing_and_is_nowhere(
        self,
        made: Made,
        it: Connector,
        order: Callable[..., ProvisionOrder],
        host: Host,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        assert isinstance(it, Ssh)
        asked = order()
        it.grant(asked)
        private = (host.place / "id").read_text()
        question = it.credentials(asked, private)
        assert (
            isinstance(question, Prompt)
            and "private key" in question.wrong
            and question.given == ""
        )
        secret = private.splitlines()[2]
        assert secret not in repr(question) + caplog.text
        assert secret.encode() not in made.path.read_bytes() + Path(f"{made.path}-wal").read_bytes()
        assert made.count("ssh_certificates") == made.count("ssh_keys") == 0

    def test_without_access_there_is_no_certificate(
        self, it: Connector, order: Callable[..., ProvisionOrder], host: Host
    ) -> None:
        asked = order()
        with pytest.raises(SystemRefused, match="not active"):
            certificate(it, asked, host)

    @pytest.mark.parametrize(
        ("rig", "expected"),
        [
            (([], []), "deploy@HOST"),
            ((["address = 'bastion.example.com:2222'"], []), "-p 2222 deploy@bastion.example.com"),
            ((["address = 'root@[2001:db8::7]'"], []), "root@2001:db8::7"),
        ],
        indirect=["rig"],
        ids=["no address", "port", "user"],
    )
    def test_the_command_is_ready_to_copy(
        self, it: Connector, order: Callable[..., ProvisionOrder], host: Host, expected: str
    ) -> None:
        assert isinstance(it, Ssh)
        asked = order()
        it.grant(asked)
        way = it.credentials(asked, host.public)
        assert isinstance(way, AccessInstructions)
        words = shlex.split(way.secrets["Command"])
        file = f"~/.ssh/{asked.grant}-cert.pub"
        assert words == ["ssh", "-o", f"CertificateFile={file}", *expected.split()]
        assert file in way.how[0] and "deploy" in way.how[1]
        assert any("Replace HOST with" in line for line in way.how) == ("HOST" in expected)

    def test_an_end_needs_neither_the_ca_key_nor_roles_toml(
        self,
        made: Made,
        it: Connector,
        order: Callable[..., ProvisionOrder],
        bearer: Holder,
        host: Host,
    ) -> None:
        asked = order()
        it.grant(asked)
        shown = certificate(it, asked, host)
        host.fetch(bearer.url)
        assert host.lets_in(shown)
        text = Rig(
            "connector = 'gateway'\nsecret = '0123456789abcdef'", ["a"], bearer.gets_in, well
        ).roles_toml
        text = text.replace("it]", "other]").replace("'it'", "'other'")
        made.policies.append(parse_policy(text, "roles.toml", {}, KINDS))
        gone = build_systems(made.world).of("it", "ssh")
        gone.revoke(asked)
        assert not gone.read_back(asked)
        (host.place / "krl").write_bytes(httpx2.get(f"{bearer.url}/ssh/krl").content)
        assert "revoked" in host.why_not(shown)
        with pytest.raises(SystemRefused, match="not_in_roles"):
            certificate(gone, asked, host)
