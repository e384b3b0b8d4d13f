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
"""Bytes of an answer's body at most; a bigger one is no answer."""

LONGEST_WAIT = 900
"""Seconds for which a system may put us off at most: an end is never forgotten because a server
said "next year"."""

_HEADER = re.compile(
    r"[\x20-\x7e]*"
)  # visible ASCII and spaces of RFC 9110 section 5.5; no line breaks
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, whatever the status. Header names are in small letters; `host` is who
    answered."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    host: str = "the server"

    @property
    def retry_after(self) -> int | None:
        """Seconds to wait, of RFC 9110 section 10.2.3 (a number or a date), at most LONGEST_WAIT;
        None for none."""
        text = self.headers.get("retry-after", "").strip()
        if re.fullmatch("[0-9]{1,9}", text):
            return min(int(text), LONGEST_WAIT)
        try:
            wait = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
        return min(max(0, round(wait)), LONGEST_WAIT)

    def json(self) -> Any:
        """The body as JSON. Raises SystemUnavailable when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise SystemUnavailable(
                f"{self.host} answered {self.status} with what is not JSON"
            ) from None

    def raise_if_passing(self) -> None:
        """Raises SystemUnavailable for what says nothing about the question: trouble of the
        server's own (5xx), too many calls (429), too slow (408), and a redirect, because it is not
        followed."""
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
    """Sends one request and gives the answer, whatever its status; `timeout` is seconds for all of
    it, except that looking up the host's address takes as long as the machine's resolver lets it.

    `cafile` is a file of certificates that are trusted instead of the machine's. Without
    `allow_private` a host that has any address inside a private network, on this machine or of
    another special kind is not called; plain http is only spoken to such addresses. Raises
    NotCalled when nothing was sent, OutcomeUnknown when the server may have read the request, and
    ValueError for a URL as `checked_url` does. No message holds a part of the URL but its host, nor
    anything of headers, body or answer.
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
            # The last for chunks of less than nothing.
            raise OutcomeUnknown(
                f"{parts.hostname} gave no whole answer: {_words(error)}"
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
        if response.length:  # bytes that were announced and never came
            raise http.client.HTTPException("it broke off")
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, found, str(parts.hostname))


def _host_of(parts: SplitResult) -> str:
    """The Host header: the host as the URL has it, with its port when that is not the scheme's
    own."""
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
    return host if parts.port in (None, SCHEMES[parts.scheme]) else f"{host}:{parts.port}"


# --- connecting to an address that was looked at


def _connect(
    parts: SplitResult, deadline: float, cafile: str | None, allow_private: bool
) -> socket.socket:
    """A connection to one of the host's addresses, which were all checked and are not looked up a
    second time, so that a name can't lead elsewhere in between. Its certificate is checked against
    the host's name."""
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
            f"{parts.hostname} has a private address, and those are not allowed for this system"
        )
    if public and parts.scheme == "http":
        raise NotCalled(f"{parts.hostname} has a public address, which is only called by https://")


def is_public(address: Address) -> bool:
    """Whether this is an address of the internet; one that carries an IPv4 address is judged by
    that."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address.is_site_local:  # deprecated by RFC 3879, and still routed in some networks
            return False
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _first_of(found: list[Any], deadline: float) -> socket.socket:
    """A connection to the first of these addresses that takes one. Every one gets its share of the
    time left."""
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
    """When the file was last written. Raises SystemUnavailable when it is not there."""
    try:
        return Path(cafile).stat().st_mtime_ns if cafile else 0
    except OSError as error:
        raise SystemUnavailable(
            f"the certificates in {cafile} can't be read: {error.strerror}"
        ) from None


@lru_cache(maxsize=64)
def _context(cafile: str | None, _changed: int) -> ssl.SSLContext:
    """Kept, because reading all certificates takes longer than a call; a file that has changed is
    read again."""
    return ssl.create_default_context(cafile=cafile)


# --- ending in time


def _left(deadline: float) -> float:
    """Seconds until the deadline. Raises TimeoutError when there are none."""
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left


class _Line:
    """A socket as http.client wants it, whose every read and write ends at the deadline: a socket's
    own timeout would begin again with each byte that a slow server drips."""

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
        """The socket is closed by who opened it."""


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
    """What went wrong, in words that hold nothing of what was sent or received."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
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
"""In this order; the empty words are for the operating system's own."""
