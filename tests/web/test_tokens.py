"""Our tokens, and strings that only look like one."""

from __future__ import annotations

import hashlib
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from bot.core.audit import SealCheck
from bot.core.model import Claims
from bot.tokens import LONGEST, MOST_KNOWN, BadSignature, ForeignToken, Signer

OLD, NEW = "old-key-" * 5, "new-key-" * 5
signer = Signer([OLD])
GOOD = signer.sign_token("an-id_1", 1_790_000_000)


def test_a_token_has_the_signed_claims() -> None:
    claims = signer.read_token(GOOD)
    assert isinstance(claims, Claims)
    assert (claims.jti, claims.exp) == ("an-id_1", 1_790_000_000)
    assert signer.read_token(GOOD) == claims, "also the second time, from memory"


@given(st.text() | st.text(string.ascii_letters + string.digits + "-_.", max_size=200))
@example("")
@example("\x00" * 5000)
@example("a" * 10_000_000)
@example("\ud800.\udfff")
@example(GOOD + "\n")
@example(" " + GOOD)
@example("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U")
@example("." + "A" * 200 + "." + "A" * 43)
def test_junk_is_never_a_token_and_never_an_exception(junk: str) -> None:
    assert isinstance(signer.read_token(junk), ForeignToken | BadSignature)


@given(st.integers(0, len(GOOD) - 1), st.characters())
def test_a_token_with_another_character_is_another_token(place: int, character: str) -> None:
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    read = signer.read_token(changed)
    if changed != GOOD and isinstance(
        read, Claims
    ):  # base64 has spare bits at its end: the hash tells them apart
        assert place in (len(GOOD) - 1, GOOD.index(".") - 1)
        original = signer.read_token(GOOD)
        assert isinstance(original, Claims)
        assert read.digest != original.digest


STRANGE = [
    pytest.param("hello", ForeignToken(), id="a word"),
    pytest.param("a.b.c", ForeignToken(), id="a JWT has three parts"),
    pytest.param("x" * (LONGEST + 1), ForeignToken(), id="too long to look at"),
    pytest.param(
        Signer([NEW]).sign_token("an-id", 1), BadSignature(), id="signed with another key"
    ),
    pytest.param(GOOD.partition(".")[0] + "." + "A" * 43, BadSignature(), id="a made-up signature"),
]


@pytest.mark.parametrize(("token", "kind"), STRANGE)
def test_a_foreign_token_differs_from_a_bad_one_of_ours(
    token: str, kind: ForeignToken | BadSignature
) -> None:
    assert signer.read_token(token) == kind


@pytest.mark.parametrize(
    "payload",
    [
        [],
        "text",
        None,
        {},
        {"jti": 1, "exp": 1},
        {"jti": "a", "exp": "1"},
        {"jti": "a", "exp": True},
        {"jti": "a" * 65, "exp": 1},
        {"jti": "ä", "exp": 1},
        {"jti": "a", "exp": 1.5},
    ],
)
def test_a_signed_payload_that_is_no_token_is_bad(payload: object) -> None:
    signed = _serializer("access-token").dumps(payload)
    assert isinstance(signer.read_token(signed), BadSignature)


def _serializer(salt: str) -> URLSafeSerializer:
    return URLSafeSerializer(
        OLD, salt=salt, signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256}
    )


def test_a_signature_for_another_purpose_is_no_token() -> None:
    payload = {"jti": "an-id", "exp": 1}
    assert isinstance(signer.read_token(_serializer("access-token").dumps(payload)), Claims)
    assert isinstance(signer.read_token(_serializer("audit-head").dumps(payload)), BadSignature)


def test_keys_are_rotated_without_a_gap() -> None:
    before, both, after = Signer([OLD]), Signer([OLD, NEW]), Signer([NEW])
    old_token, new_token = before.sign_token("a", 1), both.sign_token("b", 1)
    assert isinstance(both.read_token(old_token), Claims)
    assert isinstance(after.read_token(new_token), Claims), "the last key signs"
    assert isinstance(after.read_token(old_token), BadSignature), "a key that is gone opens nothing"
    old_seal, new_seal = before.seal(1, "ab"), both.seal(1, "ab")
    assert both.check_seal(old_seal, 1, "ab") is SealCheck.OURS
    assert after.check_seal(new_seal, 1, "ab") is SealCheck.OURS
    assert after.check_seal(old_seal, 1, "ab") is SealCheck.OTHER_KEY


@pytest.mark.parametrize("keys", [[], [""], [OLD, ""]])
def test_without_a_key_nothing_is_signed(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="key"):
        Signer(keys)


@given(st.text(), st.integers(), st.text())
@example("", 0, "")
@example("ä", 1, "ab")
@example("\ud800", 1, "\ud800")
def test_only_a_record_s_own_seal_is_good(seal: str, seq: int, digest: str) -> None:
    assert signer.check_seal(seal, seq, digest) is not SealCheck.OURS


def test_a_seal_is_good_for_one_number_and_one_hash() -> None:
    seal = signer.seal(7, "ab")
    assert signer.check_seal(seal, 7, "ab") is SealCheck.OURS
    assert signer.check_seal(seal, 8, "ab") is SealCheck.FALSE
    assert signer.check_seal(seal, 7, "ac") is SealCheck.FALSE


def test_a_seal_names_its_key_and_reveals_nothing_of_it() -> None:
    key_id, _, signature = signer.seal(7, "ab").partition(".")
    assert (
        key_id
        == signer.seal(8, "ac").partition(".")[0]
        != Signer([NEW]).seal(7, "ab").partition(".")[0]
    )
    assert signer.check_seal(f"00000000.{signature}", 7, "ab") is SealCheck.OTHER_KEY
    assert signer.check_seal(signature, 7, "ab") is SealCheck.FALSE


def test_a_signer_shows_no_key_and_no_token() -> None:
    signer.read_token(GOOD)
    assert repr(signer) == "Signer()"


def test_the_cache_is_bounded() -> None:
    fresh = Signer([OLD])
    for number in range(MOST_KNOWN + 10):
        assert isinstance(fresh.read_token(fresh.sign_token(str(number), 1)), Claims)
    assert len(fresh._known) <= MOST_KNOWN  # noqa: SLF001, as memory is seen nowhere else
