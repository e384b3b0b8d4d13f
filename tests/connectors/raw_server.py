"""Servers that misbehave as a test wants: each connection is passed to a function of the test. They
know sockets and nothing of HTTP."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

Serve = Callable[[socket.socket, threading.Event], None]
"""Handles one connection; the event is set when the test is over."""


@dataclass
class RawServer:
    """A listening socket on the loopback. `taken` counts connections; `over` is set at the end."""

    serve: Serve
    tls: ssl.SSLContext | None = None
    taken: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._sock.getsockname()[1]
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def _listen(self) -> None:
        while not self.over.is_set():
            with suppress(OSError):
                line, _ = self._sock.accept()
                self.taken += 1
                self._threads.append(threading.Thread(target=self._one, args=[line]))
                self._threads[-1].start()

    def _one(self, line: socket.socket) -> None:
        with line, suppress(OSError):
            line.settimeout(20)
            if self.tls is None:
                self.serve(line, self.over)
            else:
                with self.tls.wrap_socket(line, server_side=True) as safe:
                    self.serve(safe, self.over)

    def close(self) -> None:
        self.over.set()
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        for thread in self._threads:
            thread.join(20)


@contextmanager
def raw_server(serve: Serve, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    server = RawServer(serve, tls)
    try:
        yield server
    finally:
        server.close()


def read_request(line: socket.socket) -> bytes:
    """Reads a whole request: its head, and the body of the announced length."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += _more(line)
    head, _, body = got.partition(b"\r\n\r\n")
    announced = [
        each for each in head.lower().split(b"\r\n") if each.startswith(b"content-length:")
    ]
    while announced and len(body) < int(announced[0].split(b":")[1]):
        body += _more(line)
    return head + b"\r\n\r\n" + body


def _more(line: socket.socket) -> bytes:
    if not (part := line.recv(65536)):
        raise ConnectionResetError
    return part


def answering(status: str, body: bytes = b"", *headers: str) -> Serve:
    """Reads the request and sends this answer."""
    head = "".join(
        f"{each}\r\n" for each in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
    )

    def serve(line: socket.socket, _over: threading.Event) -> None:
        read_request(line)
        line.sendall(head.encode() + b"\r\n" + body)

    return serve


def saying(*parts: bytes) -> Serve:
    """Reads the request, sends these bytes and hangs up."""

    def serve(line: socket.socket, _over: threading.Event) -> None:
        read_request(line)
        for part in parts:
            line.sendall(part)

    return serve


def silent(line: socket.socket, over: threading.Event) -> None:
    """Reads the request and never answers."""
    read_request(line)
    over.wait(30)


def dripping(start: bytes) -> Serve:
    """Sends this much, and then one byte after another without end."""

    def serve(line: socket.socket, over: threading.Event) -> None:
        read_request(line)
        line.sendall(start)
        while not over.wait(0.05):
            line.sendall(b" ")

    return serve


def endless(line: socket.socket, over: threading.Event) -> None:
    """Answers 200, and then sends bytes as fast as the client reads them."""
    read_request(line)
    line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not over.is_set():
        line.sendall(b" " * 65536)


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, str]:
    """For a server called `name`: its TLS context, and the file in which clients trust its
    certificate."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, who = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
    )
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(7)
    )
    made = made.not_valid_before(now - day).not_valid_after(now + day)
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    both = folder / f"{name}.pem"
    both.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + (public := made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    )
    trusted = folder / f"{name}.crt"
    trusted.write_bytes(public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, str(trusted)
