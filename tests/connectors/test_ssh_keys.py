"""Public keys that holders may paste, and the sources of the key that signs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from bot.connectors.base import ConnectorDeps
from bot.connectors.ssh.ca import AgentKey, Authority, FileKey, authority_of
from bot.connectors.ssh.connector import Ssh
from bot.connectors.ssh.keys import ON_TOKENS, Given, fingerprint_of, read_key
from bot.connectors.ssh.wire import Content, certificate, is_signed, string
from bot.core.errors import SystemUnavailable
from bot.core.roles import System
from tests.connectors.hosts import MISSING, NO_SSHD, a_pair, keygen
from tests.connectors.ssh_token import Token

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{NO_SSHD}: {', '.join(MISSING)}")

GOOD = {
    "ed25519": ("ed25519",),
    "ecdsa 256": ("ecdsa", "-b", "256"),
    "ecdsa 521": ("ecdsa", "-b", "521"),
    "rsa 3072": ("rsa", "-b", "3072"),
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair of each kind."""
    place = tmp_path_factory.mktemp("keys")
    for name, kind in GOOD.items():
        a_pair(place / name, *kind)
    a_pair(place / "rsa 2048", "rsa", "-b", "2048")
    return place


@pytest.mark.parametrize("name", GOOD)
def test_a_good_key_is_taken_without_its_comment(keys: Path, name: str) -> None:
    pasted = (keys / f"{name}.pub").read_text()
    given = read_key(f"\n  {pasted}\t")
    assert isinstance(given, Given)
    assert given.line == " ".join(pasted.split()[:2])
    assert given.fingerprint == keygen("-l", "-f", keys / f"{name}.pub").split()[1]


ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"
COMPRESSED = string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(b"\2" + b"\1" * 32)
BAD = {
    "": "not a public key",
    "hello": "not a public key",
    "ssh-ed25519": "damaged",
    f"{ED25519}": "damaged",
    "ssh-ed25519 ????": "damaged",
    "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIGFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh": "damaged",
    "ssh-ed25519 ключ": "damaged",
    "ssh-dss AAAAB3NzaC1kc3MAAACBAP": "too weak",
    "sk-ssh-ed25519@openssh.com AAAAGnNr": "damaged",
    "ecdsa-sha2-nistp256 " + b64encode(COMPRESSED).decode(): "damaged",
    "sk-ssh-ed25519-cert-v01@openssh.com AAAAI3Nr": "certificate, not a key",
    "ssh-ed25519-cert-v01@openssh.com AAAAIHNz": "certificate, not a key",
    f'command="sh" {ED25519}': "not a public key",
    f"{ED25519}\n{ED25519}": "not a public key",
    "ssh-ed25519 " + "A" * 10_000: "not a public key",
    "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA": "another format",
    "-----BEGIN PUBLIC KEY-----\nMCow": "another format",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA": "private key",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE": "private key",
    "-----begin encrypted private key-----": "private key",
    "PuTTY-User-Key-File-3: ssh-ed25519": "private key",
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE": "private key",
    f"{ED25519} -----BEGIN OPENSSH PRIVATE KEY-----": "private key",
}


@pytest.mark.parametrize("pasted", BAD, ids=range(len(BAD)))
def test_what_is_no_good_key_is_told_and_not_repeated(pasted: str) -> None:
    wrong = read_key(pasted)
    assert isinstance(wrong, str) and BAD[pasted] in wrong
    assert pasted[-20:] == "" or pasted[-20:] not in wrong


@pytest.mark.parametrize("kind", ON_TOKENS)
def test_a_key_on_a_security_token_is_taken_and_certified(
    keys: Path, tmp_path: Path, kind: str
) -> None:
    token = Token(kind)
    given = read_key(f"{token.line} ana@laptop\n")
    assert isinstance(given, Given)
    (tmp_path / "token.pub").write_text(token.line)
    assert (given.line, given.fingerprint) == (
        token.line,
        keygen("-l", "-f", tmp_path / "token.pub").split()[1],
    )
    said = seen(signed(FileKey(str(keys / "ed25519")), token.line), tmp_path)
    certified = kind.replace("@", "-cert-v01@")
    assert (
        f"Type: {certified} user certificate\n" in said
        and given.fingerprint in said.split("Signing CA")[0]
    )


def test_a_ca_key_may_not_be_on_a_security_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = Token(ON_TOKENS[0])
    with token.plugged_in(tmp_path / "agent"):
        monkeypatch.setenv("SSH_AUTH_SOCK", f"{tmp_path}/agent")
        with pytest.raises(SystemUnavailable, match=f"can't be used: {token.kind}"):
            AgentKey(fingerprint_of(token.blob)).open()


def test_a_short_rsa_key_is_too_weak(keys: Path) -> None:
    wrong = read_key((keys / "rsa 2048.pub").read_text())
    assert isinstance(wrong, str) and "this has 2048" in wrong


def test_every_private_key_is_known_for_one(keys: Path, tmp_path: Path) -> None:
    for name in GOOD:
        for form in ("RFC4716", "PEM", "PKCS8"):
            shutil.copy(keys / name, tmp_path / "key")
            keygen("-q", "-p", "-N", "", "-m", form, "-f", tmp_path / "key")
            wrong = read_key((tmp_path / "key").read_text())
            assert isinstance(wrong, str) and "private key" in wrong, (name, form)


# --- the CA


def signed(authority: Authority, public: str) -> str:
    """A certificate for this key."""
    given, signer = read_key(public), authority.open()
    assert isinstance(given, Given)
    content = Content(
        key=given.blob,
        serial=7,
        key_id="ana g1",
        principals=["deploy"],
        valid_after=1_790_000_000,
        valid_before=1_790_003_600,
        critical={},
        extensions=[],
    )
    return certificate(content, signer.blob, signer.sign)


def seen(line: str, place: Path) -> str:
    (place / "certificate").write_text(line)
    return keygen("-L", "-f", place / "certificate")


@pytest.mark.parametrize("name", GOOD)
def test_a_ca_key_in_a_file_signs(keys: Path, tmp_path: Path, name: str) -> None:
    authority = authority_of(str(keys / name))
    assert authority.open().line == " ".join((keys / f"{name}.pub").read_text().split()[:2])
    said = seen(signed(authority, (keys / "rsa 3072.pub").read_text()), tmp_path)
    assert keygen("-l", "-f", keys / f"{name}.pub").split()[1] in said and "Serial: 7\n" in said


@pytest.mark.parametrize("form", ["PEM", "PKCS8"])
def test_other_forms_of_key_files_are_read(keys: Path, tmp_path: Path, form: str) -> None:
    shutil.copy(keys / "ecdsa 256", tmp_path / "key")
    keygen("-q", "-p", "-N", "", "-m", form, "-f", tmp_path / "key")
    assert (
        FileKey(str(tmp_path / "key")).open().line == FileKey(str(keys / "ecdsa 256")).open().line
    )


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o666, 0o644, 0o601])
def test_a_file_that_others_may_read_is_refused(keys: Path, tmp_path: Path, mode: int) -> None:
    shutil.copy(keys / "ed25519", tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(SystemUnavailable, match=rf"mode {mode:04o}\): chmod 0600"):
        FileKey(str(tmp_path / "key")).open()


def test_a_group_may_read_the_file(keys: Path, tmp_path: Path) -> None:
    shutil.copy(keys / "ed25519", tmp_path / "key")
    (tmp_path / "key").chmod(0o440)
    assert FileKey(str(tmp_path / "key")).open()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("missing", "No such file"),
        ("directory", "not a regular file"),
        ("pipe", "not a regular file"),
        ("nul\0", "not a path"),
        ("garbage", "no readable private key"),
        ("public", "no readable private key"),
        ("secp256k1", "no readable private key|can't be used"),
        ("short", "this has 2048"),
        ("locked", "has a passphrase"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(
    keys: Path, tmp_path: Path, what: str, words: str
) -> None:
    path = tmp_path / what if "\0" not in what else what
    if what == "directory":
        Path(path).mkdir(mode=0o700)
    if what == "pipe":
        os.mkfifo(path, 0o600)
    if what == "locked":
        keygen("-q", "-t", "ed25519", "-N", "a passphrase", "-f", path)
    if what in ("garbage", "public", "short"):
        content = {"garbage": b"hello", "public": (keys / "ed25519.pub").read_bytes()}
        Path(path).write_bytes(content.get(what, (keys / "rsa 2048").read_bytes()))
        Path(path).chmod(0o600)
    if what == "secp256k1":
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, generate_private_key
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        key = generate_private_key(SECP256K1())
        Path(path).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        Path(path).chmod(0o600)
    with pytest.raises(SystemUnavailable, match=words):
        FileKey(str(path)).open()


@contextmanager
def an_agent(place: Path, *keys: Path) -> Iterator[str]:
    """A real ssh-agent that holds these keys, and where it listens."""
    path = f"{place}/agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline()
        for key in keys:
            subprocess.run(
                ["ssh-add", "-q", key], env={**os.environ, "SSH_AUTH_SOCK": path}, check=True
            )
        yield path
    finally:
        process.terminate()
        process.communicate()


def test_a_ca_key_in_an_agent_signs(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with an_agent(tmp_path, *(keys / name for name in GOOD)) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        for name in GOOD:
            fingerprint = keygen("-l", "-f", keys / f"{name}.pub").split()[1]
            authority = authority_of(f"agent:{fingerprint}")
            assert authority.open().line == FileKey(str(keys / name)).open().line
            for public in ("ed25519", "ecdsa 521", "rsa 3072"):
                said = seen(signed(authority, (keys / f"{public}.pub").read_text()), tmp_path)
                assert fingerprint in said.split("Signing CA")[1].splitlines()[0]
                assert 'Key ID: "ana g1"' in said and "deploy" in said


def test_an_agent_that_can_t_sign_is_told(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = AgentKey(keygen("-l", "-f", keys / "ed25519.pub").split()[1])
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(SystemUnavailable, match="SSH_AUTH_SOCK is not set"):
        authority.open()
    monkeypatch.setenv("SSH_AUTH_SOCK", f"{tmp_path}/nobody")
    with pytest.raises(SystemUnavailable, match="can't be reached: No such file"):
        authority.open()
    with an_agent(tmp_path, keys / "ecdsa 256") as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        with pytest.raises(SystemUnavailable, match="does not have the key"):
            signed(authority, (keys / "ed25519.pub").read_text())


@contextmanager
def answering(path: str, *answers: bytes) -> Iterator[None]:
    """Something at `path` that answers whatever it is asked with these, each on a line of its own,
    and then says nothing."""

    def serve() -> None:
        for answer in answers:
            with closing(listener.accept()[0]) as line:
                line.recv(65536)
                line.sendall(answer)
                line.recv(65536)

    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def test_an_agent_that_lies_is_not_believed(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = (keys / "ed25519.pub").read_text()
    blob = b64decode(line.split()[1])
    known = string(b"\x0c" + (1).to_bytes(4, "big") + string(blob) + string(b"ca"))
    authority = AgentKey(fingerprint_of(blob))
    told = {
        "no signature": (string(b"\x0e"), "not valid"),
        "another's": (
            string(b"\x0e" + string(string(b"ssh-ed25519") + string(b"\0" * 64))),
            "not valid",
        ),
        "refused": (string(b"\x05"), "refuses"),
        "endless": (b"\xff" * 4, "unknown answer"),
        "cut off": (b"\0\0\0\x09\x0e", "time out"),
    }
    for name, (answer, words) in told.items():
        path = f"{tmp_path}/{name}"
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        with answering(path, known, answer), pytest.raises(SystemUnavailable, match=words):
            if name == "cut off":
                monkeypatch.setattr("bot.connectors.ssh.agent.WAIT", 0.2)
            signed(authority, line)


@pytest.mark.parametrize(
    ("kind", "of"), [(b"rsa-sha2-512", SHA512), (b"rsa-sha2-256", SHA256), (b"ssh-rsa", SHA1)]
)
def test_a_signature_with_sha_1_is_none(keys: Path, kind: bytes, of: type[HashAlgorithm]) -> None:
    """sshd takes it no more, and an agent that is old makes no other."""
    key = load_ssh_private_key((keys / "rsa 3072").read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    made = string(kind) + string(key.sign(b"data", PKCS1v15(), of()))
    assert is_signed(key.public_key(), made, b"data") == (of is not SHA1)
    assert not is_signed(key.public_key(), made, b"other")


@pytest.mark.parametrize(
    "ca_key",
    ["agent:", "agent:SHA256:short", "agent:MD5:aa", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl"],
)
def test_a_setting_that_names_no_key_is_refused_without_being_repeated(ca_key: str) -> None:
    with pytest.raises(ValueError) as caught:
        authority_of(ca_key)
    assert "b3Bl" not in str(caught.value)


def test_check_says_whether_it_could_sign(keys: Path, tmp_path: Path) -> None:
    def wrong(path: Path, *actions: str) -> list[str]:
        settings = {"ca_key": str(path), "principals": ["deploy"]}
        tools = ConnectorDeps(*[None] * len(fields(ConnectorDeps)))  # type: ignore[arg-type]
        return list(Ssh(System("bastion", "ssh", settings), tools).check({"admin": actions}))

    assert wrong(keys / "ed25519", "pty") == []
    assert "No such file" in wrong(tmp_path / "missing")[0]
    assert wrong(keys / "ed25519", "shell")[0].startswith("admin: shell is not an extension")
