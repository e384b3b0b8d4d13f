"""Asks an ssh-agent for a public key and for a signature (draft-ietf-sshm-ssh-agent)."""

import os
import socket
import struct
from types import TracebackType

from bot.connectors.ssh.keys import fingerprint_of
from bot.connectors.ssh.wire import string, strings
from bot.core.errors import SystemUnavailable

_REQUEST_IDENTITIES, _IDENTITIES, _SIGN_REQUEST, _SIGNATURE = 11, 12, 13, 14
_RSA_SHA2_512 = 4
LARGEST = 256 * 1024
WAIT = 10.0
"""Seconds to wait for one answer."""


class Agent:
    """A connection to the agent at SSH_AUTH_SOCK. All methods raise SystemUnavailable."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(WAIT)

    def __enter__(self) -> "Agent":
        path = os.environ.get("SSH_AUTH_SOCK", "")
        try:
            if not path:
                raise SystemUnavailable("ca_key is in an ssh-agent, but SSH_AUTH_SOCK is not set")
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise SystemUnavailable(
                f"the ssh-agent can't be reached: {error.strerror or 'time out'}"
            ) from None
        except SystemUnavailable:
            self._socket.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def find(self, fingerprint: str) -> bytes:
        """The public key with that fingerprint, in wire format."""
        fields = strings(self._ask(bytes([_REQUEST_IDENTITIES]), _IDENTITIES)[4:])
        for blob, _comment in zip(fields, fields, strict=False):
            if fingerprint_of(blob) == fingerprint:
                return blob
        raise SystemUnavailable("the ssh-agent does not have the key of ca_key, or is locked")

    def sign(self, blob: bytes, data: bytes) -> bytes:
        """A signature by the key with this public key, in wire format."""
        flags = _RSA_SHA2_512 if blob.startswith(string(b"ssh-rsa")) else 0
        request = bytes([_SIGN_REQUEST]) + string(blob) + string(data) + struct.pack(">I", flags)
        return next(strings(self._ask(request, _SIGNATURE)), b"")

    def _ask(self, request: bytes, expected: int) -> bytes:
        try:
            self._socket.sendall(string(request))
            (length,) = struct.unpack(">I", self._take(4))
            if not 0 < length <= LARGEST:
                raise SystemUnavailable("the ssh-agent gave an unknown answer")
            answer = self._take(length)
        except OSError as error:
            raise SystemUnavailable(
                f"the ssh-agent does not answer: {error.strerror or 'time out'}"
            ) from None
        if answer[0] != expected:
            raise SystemUnavailable("the ssh-agent refuses")
        return answer[1:]

    def _take(self, length: int) -> bytes:
        taken = b""
        while len(taken) < length:
            part = self._socket.recv(length - len(taken))
            if not part:
                raise SystemUnavailable("the ssh-agent hung up")
            taken += part
        return taken
