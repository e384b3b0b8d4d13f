"""Makes one HTTP call with a limit on time and size. It follows no redirect, uses no proxy, keeps
no connection, and connects only to the address that was checked.
"""

import http.client
import io
import ipaddress
import json
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult

from bot.connectors.transport.urls import SCHEMES, checked_url
from bot.core.errors import NotCalled, OutcomeUnknown, SystemUnavailable

LARGEST = 1024 * 1024
"""The most bytes of a response body; a larger one is an error."""

LONGEST_WAIT = 900
"""The longest Retry-After in seconds that we accept: a server that says "next year" must not delay
a revocation."""

# Visible ASCII and spaces of RFC 9110 section 5.5; no line breaks.
_HEADER = re.compile(r"[\x20-\x7e]*")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's response, with any status. Header names are in lower case; `host` is the
    server."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    host: str = "the server"

    @property
    def retry_after(self) -> int | None:
        """The seconds of Retry-After (RFC 9110 section 10.2.3: a number or a date), at most
        LONGEST_WAIT, or None."""
        text = self.headers.get("retry-after", "").strip()
        if re.fullmatch("[0-9]{1,9}", text):
            return min(int(text), LONGEST_WAIT)
        try:
            wait = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
        return min(max(0, round(wait)), LONGEST_WAIT)

    def json(self) -> Any:
        """The body as JSON. Raises SystemUnavailable if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise SystemUnavailable(
                f"{self.host} answered {self.status}, but the body is not JSON"
            ) from None

    def raise_if_passing(self) -> None:
        """Raises SystemUnavailable for a status that does not answer the request: a server error
        (5xx), too many calls (429), a timeout (408), or a redirect, because it is not followed."""
        if 300 <= self.status < 400:
            raise SystemUnavailable(
                f"{self.host} answered {self.status}, a redirect, which is not followed"
            )
        if self.status >= 500 or self.status in (408, 429):
            raise SystemUnavailable(f"{self.host} answered {self.status}", self.retry_after)


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    timeout: float,
    cafile: str | None = None,
    allow_private: bool,
    limit: int = LARGEST,
) -> Answer:
    """Sends one request and returns the response, also one with an error status.

    `timeout` is seconds for all of it, except for the DNS lookup, which the machine's resolver
    limits. `cafile` is a file of certificates that are trusted instead of the machine's. Without
    `allow_private` a host is not called if any of its addresses is private, on this machine or
    special; plain http is used only for such addresses.

    Raises NotCalled if nothing was sent, OutcomeUnknown if the server may have read the request,
    and ValueError for a URL as `checked_url` does. A message names only the host, and quotes
    nothing of headers, body or response.
    """
    parts, deadline = checked_url(url, allow_private=allow_private), time.monotonic() + timeout
    if not all(_HEADER.fullmatch(f"{name}{value}") for name, value in headers.items()):
        raise NotCalled(
            f"{parts.hostname} was not called: a header has a line break or is not ASCII"
        )
    try:
        sock = _connect(parts, deadline, cafile, allow_private)
    except (OSError, UnicodeError) as error:
        raise NotCalled(f"{parts.hostname} can't be reached: {_words(error)}") from None
    with sock:
        try:
            return _ask(sock, parts, method, headers, body, deadline, limit)
        except (OSError, http.client.HTTPException, ValueError) as error:
            # ValueError is raised for chunks of negative size.
            raise OutcomeUnknown(
                f"{parts.hostname} did not answer completely: {_words(error)}"
            ) from None


def _ask(
    sock: socket.socket,
    parts: SplitResult,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    deadline: float,
    limit: int,
) -> Answer:
    """The exchange on an open connection. Raises OSError and HTTPException."""
    line = http.client.HTTPConnection("unused")
    line.sock = _Line(sock, deadline)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    line.request(method, target, body, {"Host": _host_of(parts), "Connection": "close", **headers})
    with line.getresponse() as response:
        found = response.read(limit + 1)
        if len(found) > limit:
            raise http.client.HTTPException(f"it is bigger than {limit} bytes")
        if response.length:  # fewer bytes came than were announced
            raise http.client.HTTPException("it broke off")
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, found, str(parts.hostname))


def _host_of(parts: SplitResult) -> str:
    """The Host header: the host as in the URL, with its port unless it is the scheme's default."""
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
    return host if parts.port in (None, SCHEMES[parts.scheme]) else f"{host}:{parts.port}"


# --- connecting to an address that was looked at


def _connect(
    parts: SplitResult, deadline: float, cafile: str | None, allow_private: bool
) -> socket.socket:
    """A connection to one of the host's checked addresses. There is no second DNS lookup, so that
    the name can't change in between. The certificate is checked against the host's name."""
    host, port = str(parts.hostname), parts.port or SCHEMES[parts.scheme]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, where in found:
        _refuse(parts, ipaddress.ip_address(where[0]), allow_private)
    sock = _first_of(found, deadline)
    if parts.scheme == "http":
        return sock
    try:
        sock.settimeout(_left(deadline))
        return _context(cafile, _changed(cafile)).wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


def _refuse(parts: SplitResult, address: Address, allow_private: bool) -> None:
    public = is_public(address)
    if not public and not allow_private:
        raise NotCalled(
            f"{parts.hostname} has a private address, which is not allowed for this system"
        )
    if public and parts.scheme == "http":
        raise NotCalled(
            f"{parts.hostname} has a public address, which is called only with https://"
        )


def is_public(address: Address) -> bool:
    """Whether this is a public address. An address that embeds an IPv4 address is judged by
    that."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address.is_site_local:  # deprecated by RFC 3879, but still routed in some networks
            return False
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _first_of(found: list[Any], deadline: float) -> socket.socket:
    """A connection to the first of these addresses that accepts one. Each gets its share of the
    remaining time."""
    trouble: OSError = OSError("it has no address")
    for place, (*kind, _, where) in enumerate(found):
        try:
            return _opened(kind, where, _left(deadline) / (len(found) - place))
        except OSError as error:
            trouble = error
    raise trouble


def _opened(kind: list[int], where: Any, timeout: float) -> socket.socket:
    sock = socket.socket(*kind)
    try:
        sock.settimeout(timeout)
        sock.connect(where)
        return sock
    except BaseException:
        sock.close()
        raise


def _changed(cafile: str | None) -> int:
    """The time of the last change of the file. Raises SystemUnavailable if it does not exist."""
    try:
        return Path(cafile).stat().st_mtime_ns if cafile else 0
    except OSError as error:
        raise SystemUnavailable(
            f"the certificates in {cafile} can't be read: {error.strerror}"
        ) from None


@lru_cache(maxsize=64)
def _context(cafile: str | None, _changed: int) -> ssl.SSLContext:
    """Cached, because reading all certificates takes longer than a call. A changed file is read
    again."""
    return ssl.create_default_context(cafile=cafile)


# --- ending in time


def _left(deadline: float) -> float:
    """Seconds until the deadline. Raises TimeoutError if it has passed."""
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left


class _Line:
    """A socket for http.client whose reads and writes all end at the deadline. A socket's own
    timeout would restart with each byte that a slow server sends."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(_left(self._deadline))
            rest = rest[self._sock.send(rest) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._sock, self._deadline))

    def close(self) -> None:
        """Does nothing: the function that opened the socket closes it."""


class _Incoming(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(buffer)


# --- foreign errors


def _words(error: Exception) -> str:
    """The error in words that quote nothing that was sent or received."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if type(error) is http.client.HTTPException:
        return str(error)  # one of ours
    return next(
        (words for kind, words in _WORDS.items() if isinstance(error, kind)), ""
    ) or _system_words(error)


def _system_words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or "it broke off")


_WORDS: Mapping[type[Exception], str] = {
    socket.gaierror: "its name has no address",
    UnicodeError: "its name is no host name",
    TimeoutError: "the time was over",
    ssl.SSLEOFError: "it broke off",
    ssl.SSLError: "TLS failed",
    http.client.RemoteDisconnected: "it broke off",
    http.client.IncompleteRead: "it broke off",
    http.client.HTTPException: "it is not HTTP",
    ValueError: "it is not HTTP",
    OSError: "",
}
"""The first match counts. An empty text stands for the operating system's own words."""
