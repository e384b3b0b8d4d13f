"""A security token in software, behind an ssh-agent as ssh expects one: it signs as OpenSSH's
PROTOCOL.u2f specifies. It needs no hardware and no touch, and sshd can't see the difference."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bot.connectors.ssh.wire import _mpint, string, strings

APPLICATION = b"ssh:"
TOUCHED, COUNTER = 1, 7


class Token:
    """With an Ed25519 key, or with one on NIST's curve of 256 bits."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._key = (
            Ed25519PrivateKey.generate() if "ed25519" in kind else generate_private_key(SECP256R1())
        )
        self.blob = string(kind.encode()) + self._public() + string(APPLICATION)
        self.line = f"{kind} {b64encode(self.blob).decode()}"

    def _public(self) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return string(self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return string(b"nistp256") + string(point)

    def sign(self, data: bytes) -> bytes:
        tail = struct.pack(">BI", TOUCHED, COUNTER)
        signed = hashlib.sha256(APPLICATION).digest() + tail + hashlib.sha256(data).digest()
        if isinstance(self._key, Ed25519PrivateKey):
            made = self._key.sign(signed)
        else:
            r, s = decode_dss_signature(self._key.sign(signed, ECDSA(SHA256())))
            made = _mpint(r) + _mpint(s)
        return string(self.kind.encode()) + string(made) + tail

    def answer(self, request: bytes) -> bytes:
        if request[0] == 11:
            return b"\x0c" + struct.pack(">I", 1) + string(self.blob) + string(b"token")
        if request[0] == 13:
            _blob, data = list(strings(request[1:]))[:2]
            return b"\x0e" + string(self.sign(data))
        return b"\x05"

    @contextmanager
    def plugged_in(self, path: Path) -> Iterator[list[str]]:
        """The options of ssh that use the token."""
        Path(f"{path}.pub").write_text(self.line + "\n")
        with closing(socket.socket(socket.AF_UNIX)) as listener:
            listener.bind(str(path))
            listener.listen()
            threading.Thread(target=self._serve, args=(listener,), daemon=True).start()
            yield ["-o", f"IdentityAgent={path}", "-i", f"{path}.pub"]
            listener.shutdown(socket.SHUT_RDWR)
        path.unlink()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                line = listener.accept()[0]
            except OSError:
                return
            with closing(line), line.makefile("rwb") as stream:
                while len(length := stream.read(4)) == 4:
                    stream.write(string(self.answer(stream.read(int.from_bytes(length, "big")))))
                    stream.flush()
