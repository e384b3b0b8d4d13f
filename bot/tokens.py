"""Signs and reads access tokens, and seals the head of the audit chain. It checks only signatures,
not the end of a token or its grant.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import itsdangerous
from itsdangerous import BadData, URLSafeSerializer

from bot.core.audit import SealCheck
from bot.core.model import Claims

LONGEST = 2048
"""The most characters of a token; ours have about 110. A longer text is refused before a signature
is computed."""

MOST_KNOWN = 4096
"""The most verified tokens that are remembered, by their hash. Beyond it, all are forgotten."""

# Payload, dot, HMAC-SHA256 in base64url.
_SHAPE = re.compile(r"\.?[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")
_SEAL = re.compile(r"[0-9a-f]{8}\.[A-Za-z0-9_-]{43}")
_JTI = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class ForeignToken:
    """The text does not have the form of our tokens."""

    why: str = "not ours"


@dataclass(frozen=True, slots=True)
class BadSignature:
    """The text has the form of our tokens, but none of our keys signed it, or its content is not a
    token."""

    why: str = "bad signature"


class Signer:
    """Signs with the last of `keys` and verifies with all of them, so that keys can be rotated.

    Raises ValueError without a key.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys or not all(keys):
            raise ValueError("at least one key is needed, and none may be empty")
        self._tokens = _Serializer(_Derived(list(keys), "access-token"))
        self._seals = _Derived(list(keys), "audit-head")
        self._key_ids = [_key_id(self._seals.derive_key(key)) for key in keys]
        self._known: dict[str, Claims] = {}

    def __repr__(self) -> str:
        return "Signer()"

    def sign_token(self, jti: str, exp: int) -> str:
        """A token with that id that is valid until just before `exp` (UTC seconds)."""
        return self._tokens.dumps({"jti": jti, "exp": exp})

    def read_token(self, token: str) -> Claims | ForeignToken | BadSignature:
        """The claims of a token that we signed. Never raises.

        A verified signature is remembered, because a page sends its token with every request.
        Whether the token still works is checked each time.
        """
        if len(token) > LONGEST or not _SHAPE.fullmatch(token):
            return ForeignToken()
        digest = hashlib.sha256(token.encode()).hexdigest()
        if (known := self._known.get(digest)) is not None:
            return known
        try:
            claims = _claims(self._tokens.loads(token), digest)
        except BadData:
            return BadSignature()
        return self._remember(claims) if claims is not None else BadSignature()

    def _remember(self, claims: Claims) -> Claims:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[claims.digest] = claims
        return claims

    def seal(self, seq: int, digest: str) -> str:
        """The seal of the newest audit record with that number and hash: the id of the key, a dot,
        the signature. The id reveals nothing about the key."""
        return f"{self._key_ids[-1]}.{self._seals.get_signature(f'{seq}:{digest}').decode()}"

    def check_seal(self, seal: str, seq: int, digest: str) -> SealCheck:
        """Checks whether one of our keys made this seal for that record."""
        if not _SEAL.fullmatch(seal) or not digest.isascii():
            return SealCheck.FALSE
        key_id, _, signature = seal.partition(".")
        if key_id not in self._key_ids:
            return SealCheck.OTHER_KEY
        is_ours = self._seals.verify_signature(f"{seq}:{digest}", signature)
        return SealCheck.OURS if is_ours else SealCheck.FALSE


class _Derived(itsdangerous.Signer):
    """Derives each key once, because a seal is made in every transaction."""

    def __init__(self, keys: list[str], salt: str) -> None:
        super().__init__(keys, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
        self._derived = {key: super(_Derived, self).derive_key(key) for key in self.secret_keys}

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        return self._derived[
            self.secret_keys[-1] if secret_key is None else itsdangerous.want_bytes(secret_key)
        ]


class _Serializer(URLSafeSerializer):
    """Keeps its one signer instead of making a new one for every token."""

    def __init__(self, signer: _Derived) -> None:
        super().__init__(signer.secret_keys)
        self._signer = signer

    def make_signer(self, salt: str | bytes | None = None) -> itsdangerous.Signer:
        return self._signer


def _key_id(derived: bytes) -> str:
    """The id of a key, which reveals nothing about it. It distinguishes a missing key from a forged
    seal."""
    return hmac.new(derived, b"key id", hashlib.sha256).hexdigest()[:8]


def _claims(payload: Any, digest: str) -> Claims | None:
    if not isinstance(payload, dict):
        return None
    jti, exp = payload.get("jti"), payload.get("exp")
    if not isinstance(jti, str) or not _JTI.fullmatch(jti) or type(exp) is not int:
        return None
    return Claims(jti, exp, digest)
