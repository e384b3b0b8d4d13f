"""Decides which URLs of roles.toml can be called. It calls none, and knows no host."""

import re
from urllib.parse import SplitResult, urlsplit

SCHEMES = {"http": 80, "https": 443}

_URL = re.compile(r"[\x21-\x7e]+")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def checked_url(url: str, *, allow_private: bool) -> SplitResult:
    """The parts of a URL that can be called. Raises ValueError, with a sentence that doesn't repeat the URL."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("the URL can't be read") from None
    if parts.scheme not in SCHEMES or not host or not _URL.fullmatch(url):
        raise ValueError("the URL must begin with https:// and a host, and be ASCII without spaces")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL must not hold a user name or password")
    if parts.scheme == "http" and not allow_private:
        raise ValueError("the URL must begin with https://; http:// is only for private addresses, when allowed")
    return parts


def checked_base(url: str) -> None:
    """Raises ValueError, with a sentence, for a URL of an API that can't be used."""
    parts = checked_url(url, allow_private=True)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("its URL must begin with https://; http:// is only for this machine")
    if parts.query or parts.fragment:
        raise ValueError("its URL must not have a ? or a #")
