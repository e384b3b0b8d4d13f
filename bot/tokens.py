"""Signs and reads access tokens, and seals the head of the audit chain. It decides whether a text
was signed with one of our keys, and knows neither what the time is nor whether a grant lives.
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
"""Characters; ours have about 110. Anything longer is refused before a signature is computed over
it."""

MOST_KNOWN = 4096
"""Tokens whose signature is remembered as good, by their hash; when there are more, it starts
again."""

_SHAPE = re.compile(
    r"\.?[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}"
)  # payload, dot, HMAC-SHA256 in base64url
_SEAL = re.compile(r"[0-9a-f]{8}\.[A-Za-z0-9_-]{43}")
_JTI = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class ForeignToken:
    """It doesn't look like a token of ours at all: somebody else's, or junk."""

    why: str = "not ours"


@dataclass(frozen=True, slots=True)
class BadSignature:
    """It looks like one of ours, but none of our keys signed it, or what was signed is no token."""

    why: str = "bad signature"


class Signer:
    """Signs with the last of `keys` and verifies with all of them, so that keys can be changed
    without a gap.

    Raises ValueError without a key, because an empty list would sign nothing.
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
        """A token of that id that is good until `exp` (UTC seconds, itself excluded)."""
        return self._tokens.dumps({"jti": jti, "exp": exp})

    def read_token(self, token: str) -> Claims | ForeignToken | BadSignature:
        """What the token says, if we signed it. Never raises, whatever it is given.

        What was signed once stays signed, so a token that comes with every request of a page is
        verified once; whether it still opens anything is never remembered.
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
        """The seal of the audit record of that number and hash, when it is the newest: the id of
        the key, a dot, the signature. The id says nothing about the key."""
        return f"{self._key_ids[-1]}.{self._seals.get_signature(f'{seq}:{digest}').decode()}"

    def check_seal(self, seal: str, seq: int, digest: str) -> SealCheck:
        """Whether one of our keys made this seal for that record."""
        if not _SEAL.fullmatch(seal) or not digest.isascii():
            return SealCheck.FALSE
        key_id, _, signature = seal.partition(".")
        if key_id not in self._key_ids:
            return SealCheck.OTHER_KEY
        is_ours = self._seals.verify_signature(f"{seq}:{digest}", signature)
        return SealCheck.OURS if is_ours else SealCheck.FALSE


class _Derived(itsdangerous.Signer):
    """Derives each key once: it is the same every time, and a seal is made in every transaction."""

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
    """Names a key without saying anything about it, so that a missing key is told from a forged
    seal."""
    return hmac.new(derived, b"key id", hashlib.sha256).hexdigest()[:8]


def _claims(payload: Any, digest: str) -> Claims | None:
    if not isinstance(payload, dict):
        return None
    jti, exp = payload.get("jti"), payload.get("exp")
    if not isinstance(jti, str) or not _JTI.fullmatch(jti) or type(exp) is not int:
        return None
    return Claims(jti, exp, digest)
