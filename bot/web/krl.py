"""Encodes OpenSSH's key revocation list (its PROTOCOL.krl, sections 1, 2 and 2.1)."""

import struct
from base64 import b64decode
from collections.abc import Mapping, Sequence

_MAGIC = b"SSHKRL\n\0"
_FORMAT_VERSION = 1
_CERTIFICATES, _SERIAL_LIST = b"\x01", b"\x20"


def encode_krl(at: int, serials: Mapping[str, Sequence[int]]) -> bytes:
    """The list that revokes these serial numbers (1 to 2**64 - 1), by the public key of their CA in
    base 64. `at` (UTC seconds) is its date and its version, which must grow."""
    header = _MAGIC + struct.pack(">IQQQ", _FORMAT_VERSION, at, at, 0) + _string(b"") + _string(b"")
    return header + b"".join(
        _CERTIFICATES + _string(_of_one_ca(*each)) for each in sorted(serials.items()) if each[1]
    )


def _of_one_ca(authority: str, serials: Sequence[int]) -> bytes:
    numbers = struct.pack(f">{len(serials)}Q", *serials)
    return (
        _string(b64decode(authority, validate=True))
        + _string(b"")
        + _SERIAL_LIST
        + _string(numbers)
    )


def _string(data: bytes) -> bytes:
    """RFC 4251 section 5."""
    return struct.pack(">I", len(data)) + data
