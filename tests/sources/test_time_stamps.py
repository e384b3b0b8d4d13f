"""Time stamps of anchors, from a real time-stamp authority: that of OpenSSL, behind HTTP."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bot.core.anchors import Anchor
from bot.core.errors import SystemUnavailable
from bot.sources.time_stamps import StampCheck, stamp

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing")

ANCHOR = Anchor(41, "a" * 64, int(time.time()))

CONFIG = """
[req]
distinguished_name = name
prompt = no
x509_extensions = ca
[name]
CN = {name}
[ca]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[tsa]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[ts]
default_tsa = authority
[authority]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
"""


@dataclass
class Authority:
    """An authority in a folder; `answer` replaces what it answers."""

    folder: Path
    answer: bytes | None = None
    url: str = ""

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")

    def openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def make(self) -> None:
        self.folder.mkdir()
        text = CONFIG.format(folder=self.folder, name=self.folder.name)
        (self.folder / "conf").write_text(text)
        (self.folder / "serial").write_text("01")
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        new = ("req", "-config", "conf", *key)
        self.openssl(*new, "-x509", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem")
        self.openssl(*new, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=tsa")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-set_serial", "7")
        extensions = ("-extfile", "conf", "-extensions", "tsa")
        self.openssl("x509", "-req", "-in", "tsa.csr", *signed, *extensions, "-out", "tsa.pem")

    def reply(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        self.openssl(
            *("ts", "-reply", "-config", "conf", "-section", "authority"),
            *("-queryfile", "query", "-out", "reply"),
        )
        return self.answer or (self.folder / "reply").read_bytes()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    made = Authority(tmp_path_factory.mktemp("tsa") / "authority")
    made.make()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = made.reply(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/tsr"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def stamped(authority: Authority) -> Anchor:
    authority.answer = None
    return replace(ANCHOR, token=stamp(authority.url, authority.ca, ANCHOR))


def test_a_stamp_of_the_authority_holds_for_its_anchor_only(
    authority: Authority, stamped: Anchor
) -> None:
    check = StampCheck(authority.ca)
    assert check(stamped) == ""
    for other in (
        replace(stamped, seq=42),
        replace(stamped, hash="b" * 64),
        replace(stamped, token="%"),
    ):
        assert check(other)


def test_a_stamp_that_was_made_days_later_does_not_prove_its_anchor(
    authority: Authority, stamped: Anchor
) -> None:
    """A log that was written again gets new stamps from any authority, but no old ones."""
    old = replace(stamped, at=ANCHOR.at - 3 * 86_400)
    assert StampCheck(authority.ca)(old).startswith("was made only on")
    with pytest.raises(SystemUnavailable, match="was made only on"):
        stamp(authority.url, authority.ca, old)


def test_a_stamp_of_another_authority_is_not_valid(tmp_path: Path, stamped: Anchor) -> None:
    other = Authority(tmp_path / "other")
    other.make()
    assert StampCheck(other.ca)(stamped).startswith("is not valid")


def test_an_answer_to_another_question_is_refused(authority: Authority, stamped: Anchor) -> None:
    authority.answer = (authority.folder / "reply").read_bytes()
    with pytest.raises(SystemUnavailable, match="is not valid"):
        stamp(authority.url, authority.ca, ANCHOR)  # the nonce is that of the first question


def test_certificates_that_cant_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(SystemUnavailable, match="can't be read"):
        StampCheck(str(tmp_path / "missing.pem"))
