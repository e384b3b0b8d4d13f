"""Checks a pasted SSH public key. A private key is refused without repeating it."""

import hashlib
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from bot.connectors.ssh.wire import SshKey

LEAST_RSA, MOST_RSA = 3072, 16384
"""Bits. NIST SP 800-57 part 1 counts shorter keys as too weak from 2031 on; OpenSSH refuses longer
ones."""

TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)
ON_TOKENS = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")
"""Keys in a security token (OpenSSH's PROTOCOL.u2f): holders may use them, a CA may not."""

LONGEST = 6000
"""Characters. The longest accepted RSA key needs half of it."""

_PRIVATE = re.compile(
    r"PRIVATE KEY|PuTTY-User-Key-File|Private-Lines:|b3BlbnNzaC1rZXktdjE", re.IGNORECASE
)
_OTHER_FORMAT = re.compile(r"-----? ?BEGIN")

PRIVATE = (
    "This is a private key! It was not kept, but it has left your machine: make a new pair with"
    " ssh-keygen, put the new one in place of the old one everywhere, and paste only the line of"
    " the file that ends in .pub."
)
ONE_LINE = (
    "Paste the one line of your .pub file: it begins with ssh-ed25519, ecdsa-sha2-…, ssh-rsa or"
    " sk-…."
)


@dataclass(frozen=True, slots=True)
class Given:
    """A valid public key: its wire format (RFC 4253 section 6.6), its line without the comment, and
    its fingerprint as ssh-keygen prints it."""

    blob: bytes
    line: str
    fingerprint: str


def read_key(pasted: str) -> Given | str:
    """The key, or a sentence about the fault of the pasted text."""
    text = pasted.strip()
    if _PRIVATE.search(text):
        return PRIVATE
    kind, blob, *_ = [*text.split(maxsplit=2), "", ""]
    return _wrong_form(text, kind) or _loaded(kind, blob)


def _wrong_form(text: str, kind: str) -> str:
    for is_so, words in (
        (_OTHER_FORMAT.match(text), "This is a public key in another format. " + ONE_LINE),
        ("-cert-v0" in kind, "This is a certificate, not a key. " + ONE_LINE),
        (
            kind in ("ssh-dss", "ssh-dsa"),
            "DSA keys are too weak: make one with ssh-keygen -t ed25519.",
        ),
        (
            kind not in TYPES + ON_TOKENS or "\n" in text or len(text) > LONGEST,
            "This is not a public key. " + ONE_LINE,
        ),
    ):
        if is_so:
            return words
    return ""


def _loaded(kind: str, text: str) -> Given | str:
    try:
        key = load_ssh_public_key(f"{kind} {text}".encode())
    except (ValueError, UnsupportedAlgorithm, NotImplementedError):
        return "This public key is damaged: copy the whole line once more."
    if not isinstance(key, SshKey):
        return "This is not a public key. " + ONE_LINE
    if isinstance(key, RSAPublicKey) and not LEAST_RSA <= key.key_size <= MOST_RSA:
        return (
            f"RSA keys need {LEAST_RSA} to {MOST_RSA} bits, this has {key.key_size}: try ssh-keygen"
            " -t ed25519."
        )
    # The library drops the fields of a token's key; their encoding is unique, so the text serves as
    # well.
    line = f"{kind} {b64encode(b64decode(text)).decode()}" if kind in ON_TOKENS else line_of(key)
    blob = b64decode(line.split()[1])
    return Given(blob, line, fingerprint_of(blob))


def line_of(key: SshKey) -> str:
    """The key as in a .pub file, without the comment."""
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def fingerprint_of(blob: bytes) -> str:
    return "SHA256:" + b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
