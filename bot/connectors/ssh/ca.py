"""Loads the key that signs an SSH system's certificates, from a file or an ssh-agent. It is read
again for each certificate, so that it can be replaced and does not stay in memory.
"""

import os
import stat
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_ssh_private_key,
    load_ssh_public_key,
)

from bot.connectors.ssh.agent import Agent
from bot.connectors.ssh.keys import TYPES, line_of, read_key
from bot.connectors.ssh.kind import AGENT_KEY
from bot.connectors.ssh.wire import PrivateKey, SshKey, is_signed, signature
from bot.core.errors import SystemUnavailable

LARGEST = 64 * 1024
OTHERS = stat.S_IRWXO | stat.S_IWGRP
"""File modes that are refused. The group may read the file, because services often get keys this
way."""


@dataclass(frozen=True, slots=True)
class Signer:
    """The key as loaded: the recorded key is the one that signs, even if the file is replaced in
    between. `line` is the public key as in a .pub file; `sign` returns a signature in wire format,
    and raises SystemUnavailable."""

    line: str
    sign: Callable[[bytes], bytes]

    @property
    def blob(self) -> bytes:
        return b64decode(self.line.split()[1])


class Authority(Protocol):
    def open(self) -> Signer:
        """Raises SystemUnavailable with the fault of the key."""


def authority_of(ca_key: str) -> Authority:
    """The parsed setting `ca_key`: a path, or `agent:` and a fingerprint. Raises ValueError."""
    if "PRIVATE KEY" in ca_key:
        raise ValueError("ca_key is the path of a file, never the key itself")
    if not ca_key.startswith("agent:"):
        return FileKey(ca_key)
    if not (found := AGENT_KEY.fullmatch(ca_key)):
        raise ValueError(
            "ca_key = agent:SHA256:… needs the whole fingerprint, as ssh-add -l prints it"
        )
    return AgentKey(found[1])


class FileKey:
    def __init__(self, path: str) -> None:
        self._path = path

    def open(self) -> Signer:
        key = self._key()
        return Signer(line_of(key.public_key()), partial(signature, key))

    def _key(self) -> PrivateKey:
        data = _read(self._path)
        load = (
            load_ssh_private_key if b"BEGIN OPENSSH PRIVATE KEY" in data else load_pem_private_key
        )
        try:
            key = load(data, None)
            wrong = (
                read_key(line_of(key.public_key()))
                if isinstance(key, PrivateKey)
                else "not Ed25519, ECDSA or RSA"
            )
        except TypeError:
            raise SystemUnavailable(
                "the file of ca_key has a passphrase: put the key into an ssh-agent and write"
                " ca_key = agent:SHA256:…"
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            raise SystemUnavailable("the file of ca_key holds no readable private key") from None
        if not isinstance(key, PrivateKey) or isinstance(wrong, str):
            raise SystemUnavailable(f"the key of ca_key can't be used: {wrong}")
        return key


class AgentKey:
    """A key in the agent behind SSH_AUTH_SOCK, by its fingerprint."""

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint

    def open(self) -> Signer:
        with Agent() as agent:
            blob = agent.find(self._fingerprint)
        return Signer(_public_line(blob), partial(_signed_by_agent, blob))


def _signed_by_agent(blob: bytes, data: bytes) -> bytes:
    """Raises SystemUnavailable unless the signature is valid, so that nobody gets a useless
    certificate."""
    with Agent() as agent:
        signed = agent.sign(blob, data)
    key = load_ssh_public_key(_public_line(blob).encode())
    if not isinstance(key, SshKey) or not is_signed(key, signed, data):
        raise SystemUnavailable("the signature of the ssh-agent is not valid")
    return signed


def _public_line(blob: bytes) -> str:
    kind = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode("latin-1")
    line = f"{kind} {b64encode(blob).decode()}"
    if kind not in TYPES or isinstance(wrong := read_key(line), str):
        raise SystemUnavailable(
            f"the key of ca_key can't be used: {wrong if kind in TYPES else kind}"
        )
    return line


def _read(path: str) -> bytes:
    """The content of the file, unless others could read or change it. The check is on the opened
    file, so that nobody can replace it in between."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a path"
        raise SystemUnavailable(f"the file of ca_key can't be read: {why}") from None
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise SystemUnavailable("the file of ca_key is not a regular file")
        if mode & OTHERS:
            words = (
                "others than the owner may change the file of ca_key, or others than its group may"
                " read it"
            )
            raise SystemUnavailable(f"{words} (mode {stat.S_IMODE(mode):04o}): chmod 0600")
        return os.read(handle, LARGEST)
    finally:
        os.close(handle)
