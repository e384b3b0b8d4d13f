"""Serves the page's files, with headers that allow only them to run or load."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def known() -> dict[str, Path]:
    """The files that are served, by name: only those in the folder."""
    return {path.name: path for path in FOLDER.iterdir() if path.suffix in TYPES}


async def index(request: Request) -> Response:
    """The page."""
    return _sent(known()["index.html"])


async def static(request: Request) -> Response:
    """A file of the page."""
    path = known().get(request.path_params["name"])
    return _sent(path) if path else PlainTextResponse("There is no such file.", 404, SAFE)


def _sent(path: Path) -> Response:
    return Response(path.read_bytes(), headers={**SAFE, "Content-Type": TYPES[path.suffix]})
