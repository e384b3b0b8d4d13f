"""Asks a time-stamp authority (RFC 3161) to stamp an anchor, and checks its stamps."""

import base64
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bot.connectors.transport.http import call
from bot.core.anchors import Anchor, late_stamp, stamped_text
from bot.core.errors import SystemUnavailable

MISSING = "time stamps need the extra `tsa`: pip install 'access-bot[tsa]'"

TIMEOUT = 15.0
"""Seconds for one call."""

LARGEST = 64 * 1024
"""Bytes of an answer: a signature with its certificates."""


def stamp(url: str, ca: str, anchor: Anchor) -> str:
    """The time stamp of an anchor in base64, checked. Raises SystemUnavailable."""
    roots = _roots(ca)
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    asked = TimestampRequestBuilder(
        data=stamped_text(anchor), hash_algorithm=HashAlgorithm.SHA256
    ).build()
    answer = call(
        "POST",
        url,
        headers={"Content-Type": "application/timestamp-query"},
        body=asked.as_bytes(),
        timeout=TIMEOUT,
        allow_private=True,
        limit=LARGEST,
    )
    if answer.status != 200:
        raise SystemUnavailable(f"{answer.host} answered {answer.status}", answer.retry_after)
    if problem := _problem(answer.body, roots, anchor, asked.nonce):
        raise SystemUnavailable(f"the time stamp of {answer.host} {problem}")
    return base64.b64encode(answer.body).decode()


class StampCheck:
    """Checks the time stamps of anchors against the certificates of the authority in the file
    `ca`. Raises SystemUnavailable if they can't be read."""

    def __init__(self, ca: str) -> None:
        self._roots = _roots(ca)

    def __call__(self, anchor: Anchor) -> str:
        """The problem of this anchor's time stamp, or ""."""
        try:
            token = base64.b64decode(anchor.token, validate=True)
        except ValueError:
            return "is not base64"
        return _problem(token, self._roots, anchor, None)


def _roots(ca: str) -> list[Any]:
    """The certificates in a file. Raises SystemUnavailable, also without the extra `tsa`."""
    if find_spec("rfc3161_client") is None:
        raise SystemUnavailable(MISSING)
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(Path(ca).read_bytes())
    except OSError as error:
        raise SystemUnavailable(f"tsa_ca {ca} can't be read: {error.strerror}") from None
    except ValueError:
        raise SystemUnavailable(f"tsa_ca {ca} has no certificate in PEM") from None


def _problem(token: bytes, roots: list[Any], anchor: Anchor, nonce: int | None) -> str:
    """The problem of the authority's answer about this anchor, or ""."""
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

    verifier = VerifierBuilder(roots=list(roots), nonce=nonce).build()
    try:
        found = decode_timestamp_response(token)
        verifier.verify_message(found, stamped_text(anchor))
    except (VerificationError, ValueError) as error:
        return f"is not valid: {str(error)[:200]}"
    return late_stamp(anchor, int(found.tst_info.gen_time.timestamp()))
