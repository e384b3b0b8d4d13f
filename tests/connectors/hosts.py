"""A host with a real sshd that accepts certificates, and a person who logs in there with the real
ssh."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2

from tests.waiting import until

NO_SSHD = "OpenSSH's server and client are not installed"
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
TOOLS = ("ssh", "ssh-keygen", "ssh-agent", "ssh-add", "curl")
MISSING = [name for name in TOOLS if shutil.which(name) is None] + ([] if SSHD else ["sshd"])
USER = getpass.getuser()

CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {place}/host_key
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
LogLevel VERBOSE
AuthorizedKeysFile none
TrustedUserCAKeys {place}/ca.pub
RevokedKeys {place}/krl
AuthorizedPrincipalsFile {place}/principals
"""


DOCS = Path(__file__).parents[2] / "docs" / "connectors" / "ssh.md"


def script(name: str, place: Path) -> Path:
    """A script of the documentation, as an operator saves it."""
    found = re.search(
        rf"<!-- file: {name} -->\n( *)```sh\n(.*?)\n *```", DOCS.read_text(), re.DOTALL
    )
    assert found, name
    file = place / name
    file.write_text("".join(f"{line.removeprefix(found[1])}\n" for line in found[2].split("\n")))
    file.chmod(0o755)
    return file


def keygen(*arguments: str | Path) -> str:
    """The output of ssh-keygen; raises CalledProcessError."""
    return subprocess.run(
        ["ssh-keygen", *map(str, arguments)], check=True, capture_output=True, text=True
    ).stdout


def a_pair(file: Path, kind: str = "ed25519", *more: str) -> str:
    """Makes a new key pair; returns the public line."""
    keygen("-q", "-N", "", "-C", "ana@laptop", "-t", kind, *more, "-f", file)
    return Path(f"{file}.pub").read_text().strip()


class Host:
    """Its files are in `place`, and sshd reads them at every login."""

    def __init__(self, place: Path) -> None:
        self.place = place
        a_pair(place / "host_key")
        self.public = a_pair(place / "id")
        self.principals("deploy")
        self.port = 0
        self.log = place / "log"

    def principals(self, *names: str) -> None:
        """The principals that may log in as the only user."""
        (self.place / "principals").write_text("".join(f"{name}\n" for name in names))

    def fetch(self, url: str) -> None:
        """Fetches the revocation list, as a host does every minute, and the CA keys too."""
        for name, path in (("krl", "/ssh/krl"), ("ca.pub", "/ssh/ca.pub?system=it")):
            answer = httpx2.get(url + path).raise_for_status()
            (self.place / "new").write_bytes(answer.content)
            (self.place / "new").replace(self.place / name)

    def log_in(
        self, certificate: str, *command: str, options: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        file = self.place / "certificate"
        file.write_text(certificate + "\n")
        given = ["-F", "none", "-i", self.place / "id", "-p", self.port, *options]
        for option in (
            f"CertificateFile={file}",
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
        ):
            given += ["-o", option]
        words = ["ssh", *map(str, given), f"{USER}@127.0.0.1", *(command or ("true",))]
        return subprocess.run(
            words, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
        )

    def lets_in(self, certificate: str) -> bool:
        return self.log_in(certificate).returncode == 0

    def why_not(self, certificate: str) -> str:
        """The lines of sshd's log about a login that it refused."""
        written = self.log.stat().st_size
        assert not self.lets_in(certificate)
        return self.log.read_bytes()[written:].decode()

    @contextmanager
    def running(self) -> Iterator[Host]:
        if os.getuid() == 0:
            # sshd needs this folder to separate privileges; otherwise it is made at boot.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with self.log.open("wb") as log:
            process = self._start(log.fileno())
        try:
            until(lambda: "Server listening" in self.log.read_text() or process.poll() is not None)
            assert process.poll() is None, self.log.read_text()
            yield self
        finally:
            process.terminate()
            process.wait()

    def _start(self, log: int) -> subprocess.Popen[bytes]:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = self.place / "sshd_config"
        config.write_text(CONFIG.format(port=self.port, place=self.place))
        return subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(config)], stderr=log)
