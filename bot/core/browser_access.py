"""The lifetime of the one-time codes for browsers, and the words when one is refused."""

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


def refusal_words(is_at_its_system: bool, used_at: int | None) -> str:
    """The reason why a code was refused. It was shown at its system or at another one; `used_at` is
    when it was used, None if it was not."""
    if not is_at_its_system:
        return OTHER_SYSTEM
    if used_at is not None:
        return f"This link was used already. It works once. {AGAIN}"
    return f"This link is older than a minute. {AGAIN}"
