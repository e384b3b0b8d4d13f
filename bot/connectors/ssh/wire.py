"""Encodes SSH signatures and OpenSSH's user certificates as bytes."""

import os
import struct
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512

SshKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey

_USER = 1
_CURVES = {256: SHA256(), 384: SHA384(), 521: SHA512()}
"""RFC 5656 section 6.2.1."""

_RSA = {b"rsa-sha2-256": SHA256(), b"rsa-sha2-512": SHA512()}
"""RFC 8332; sshd no longer accepts `ssh-rsa` with SHA-1."""


def string(data: bytes) -> bytes:
    """RFC 4251 section 5."""
    return struct.pack(">I", len(data)) + data


def strings(data: bytes) -> Iterator[bytes]:
    """Its strings in order; an incomplete one at the end is left out."""
    while len(data) >= 4:
        end = 4 + int.from_bytes(data[:4], "big")
        if end > len(data):
            return
        yield data[4:end]
        data = data[end:]


# --- signatures (RFC 8709, 5656 and 8332)


def signature(key: PrivateKey, data: bytes) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return string(b"ssh-ed25519") + string(key.sign(data))
    if isinstance(key, RSAPrivateKey):
        return string(b"rsa-sha2-512") + string(key.sign(data, PKCS1v15(), SHA512()))
    r, s = decode_dss_signature(key.sign(data, ECDSA(_CURVES[key.key_size])))
    return string(_ecdsa(key.key_size)) + string(_mpint(r) + _mpint(s))


def is_signed(key: SshKey, signed: bytes, data: bytes) -> bool:
    """Whether the key made this signature of the data, in a form that sshd accepts."""
    try:
        kind, value = strings(signed)
        if isinstance(key, RSAPublicKey):
            key.verify(value, data, PKCS1v15(), _RSA[kind])
        elif isinstance(key, EllipticCurvePublicKey):
            r, s = (int.from_bytes(each, "big") for each in strings(value))
            key.verify(encode_dss_signature(r, s), data, ECDSA(_CURVES[key.key_size]))
            return kind == _ecdsa(key.key_size)
        else:
            key.verify(value, data)
            return kind == b"ssh-ed25519"
    except (ValueError, KeyError, InvalidSignature):
        return False
    return True


def _ecdsa(bits: int) -> bytes:
    return f"ecdsa-sha2-nistp{bits}".encode()


def _mpint(number: int) -> bytes:
    """A positive number, RFC 4251 section 5: its first bit is the sign."""
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


# --- certificates (OpenSSH's PROTOCOL.certkeys, and PROTOCOL.u2f for keys on security tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The content of a certificate. `key` is the holder's, in wire format. Times are UTC seconds:
    it is valid from `valid_after` until just before `valid_before`."""

    key: bytes
    serial: int
    key_id: str
    principals: Sequence[str]
    valid_after: int
    valid_before: int
    critical: Mapping[str, str]
    extensions: Collection[str]


def certificate(content: Content, authority: bytes, sign: Callable[[bytes], bytes]) -> str:
    """The certificate's line. `authority` is the CA's public key, and `sign` makes a signature,
    both in wire format. Raises ValueError without principals, because sshd would accept it for all
    of them."""
    if not content.principals:
        raise ValueError("a certificate without principals is good for every one")
    kind = next(strings(content.key))
    made = kind.removesuffix(b"@openssh.com") + b"-cert-v01@openssh.com"
    fields = content.key.removeprefix(string(kind))
    signed = (
        string(made) + string(os.urandom(32)) + fields + _certified(content) + string(authority)
    )
    return f"{made.decode()} {b64encode(signed + string(sign(signed))).decode()}"


def _certified(content: Content) -> bytes:
    """The fields between the holder's key and the authority's, with the empty reserved field."""
    critical = {name: string(value.encode()) for name, value in content.critical.items()}
    return (
        struct.pack(">QI", content.serial, _USER)
        + string(content.key_id.encode())
        + string(b"".join(string(each.encode()) for each in content.principals))
        + struct.pack(">QQ", content.valid_after, content.valid_before)
        + string(_options(critical))
        + string(_options(dict.fromkeys(content.extensions, b"")))
        + string(b"")
    )


def _options(values: Mapping[str, bytes]) -> bytes:
    return b"".join(string(name.encode()) + string(value) for name, value in sorted(values.items()))
