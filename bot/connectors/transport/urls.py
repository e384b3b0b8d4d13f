"""Checks whether URLs of roles.toml can be called."""

import ipaddress
import re
import socket
from urllib.parse import SplitResult, urlsplit

SCHEMES = {"http": 80, "https": 443}

_URL = re.compile(r"[\x21-\x7e]+")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def checked_url(url: str, *, allow_private: bool) -> SplitResult:
    """The parts of a URL that can be called. Raises ValueError with a sentence that does not quote
    the URL."""
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
        raise ValueError(
            "the URL must begin with https://; http:// is only for private addresses, when allowed"
        )
    return parts


def checked_base(url: str) -> None:
    """Raises ValueError with a sentence if the URL of an API can't be used."""
    parts = checked_url(url, allow_private=True)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("its URL must begin with https://; http:// is only for this machine")
    if parts.query or parts.fragment:
        raise ValueError("its URL must not have a ? or a #")


def is_metadata(host: str) -> bool:
    """Whether this is a cloud's metadata address, which returns this machine's credentials."""
    if host.rstrip(".") in _METADATA:
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(host))  # 169.254 as one number
        except OSError:
            return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_link_local or str(address) in _METADATA


_METADATA = frozenset(
    {"metadata.google.internal", "instance-data", "fd00:ec2::254", "100.100.100.200"}
)
"""The metadata addresses of clouds besides 169.254.169.254."""
