"""Decides whether a one-time code lets a browser in."""

CODE_LASTS = 60
"""Seconds for which a code is good after it was shown."""

AGAIN = "In Slack, press Show credentials, and then Open in browser."
UNKNOWN = f"This link is not known. {AGAIN}"
OTHER_SYSTEM = "This link is for another system."
OTHER_PERSON = (
    "This browser is signed in with the access of another person. If you pressed Open in browser in"
    " Slack yourself, sign out here first, and then press it again. If somebody sent you this link,"
    " do not use it."
)


def short_hash(digest: str) -> str:
    """The part of a hash that names a code or a session in the audit log."""
    return digest[:16]


def code_refusal(
    system: str, expires_at: int, used_at: int | None, at: str, now: int
) -> str | None:
    """The reason why a code for `system`, shown at the system `at`, is refused; None if it is good.
    Times are UTC seconds."""
    if system != at:
        return OTHER_SYSTEM
    if used_at is not None:
        return f"This link was used already. It works once. {AGAIN}"
    if now >= expires_at:
        return f"This link is older than a minute. {AGAIN}"
    return None
