"""The requests of Slack and gateways, as bytes that are ready for the wire."""

from __future__ import annotations

import base64
import json
import time
from itertools import count
from pathlib import Path
from typing import Any

from bench.place import BEN, CHANNEL, SIGNING, TEAM, someone
from bot.sandbox.event_delivery import as_form, as_payload, signature

_numbers = count(1)


def command(person: int, text: str) -> dict[str, Any]:
    number = next(_numbers)
    return {
        "token": "unused",
        "team_id": TEAM,
        "team_domain": "example",
        "channel_id": CHANNEL,
        "channel_name": "ops",
        "user_id": someone(person),
        "user_name": "someone",
        "command": "/access",
        "text": text,
        "api_app_id": "A1",
        "is_enterprise_install": "false",
        "response_url": "https://hooks.example.com/1",
        "trigger_id": f"{time.time_ns()}.{number}",
    }


def click(request: str) -> dict[str, Any]:
    """Ben's press on Approve on the message of that request."""
    number, ts = next(_numbers), f"1700000000.{next(_numbers):06d}"
    action = {
        "type": "button",
        "action_id": "approve",
        "block_id": "b",
        "value": request,
        "action_ts": str(number),
    }
    return {
        "type": "block_actions",
        "user": {"id": BEN, "username": "ben", "name": "ben", "team_id": TEAM},
        "team": {"id": TEAM, "domain": "example"},
        "api_app_id": "A1",
        "token": "unused",
        "enterprise": None,
        "is_enterprise_install": False,
        "trigger_id": f"{time.time_ns()}.{number}",
        "actions": [action],
        "container": {
            "type": "message",
            "message_ts": ts,
            "channel_id": CHANNEL,
            "is_ephemeral": False,
        },
        "channel": {"id": CHANNEL, "name": "ops"},
        "message": {"ts": ts},
    }


def signed(payload: dict[str, Any]) -> bytes:
    """The POST with which Slack delivers the payload over HTTP."""
    kind, body = as_payload(payload) if "actions" in payload else as_form(payload)
    headers = {
        "Content-Type": kind,
        "Content-Length": str(len(body)),
        **signature(SIGNING, body, time.time()),
    }
    return _http("POST", "/slack/events", headers) + body


def check(
    token: str, path: str = "/auth", system: str = "shop-admin", asked: str = "/orders"
) -> bytes:
    """A proxy's request to check a token, for a client's request to `asked`."""
    return _check({"Authorization": f"Bearer {token}"}, path, system, asked)


def check_cookie(secret: str, system: str) -> bytes:
    """A proxy's request to check the cookie of a browser session, at a system on plain http."""
    return _check({"Cookie": f"access={secret}"}, "/auth", system, "/orders")


def _check(proof: dict[str, str], path: str, system: str, asked: str) -> bytes:
    headers = {
        **proof,
        "X-Access-System": system,
        "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": asked,
    }
    return _http("GET", path, headers)


def _http(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def keep(folder: Path, requests: list[bytes]) -> str:
    """Writes a file that the load generator reads."""
    path = folder / f"load-{next(_numbers)}"
    path.write_bytes(b"\n".join(map(base64.b64encode, requests)))
    return str(path)


def envelope(payload: dict[str, Any]) -> str:
    """The payload as an envelope of Socket Mode."""
    number = next(_numbers)
    kind = "interactive" if "actions" in payload else "slash_commands"
    return json.dumps(
        {
            "type": kind,
            "envelope_id": f"e{number}",
            "payload": payload,
            "accepts_response_payload": True,
        }
    )


__all__ = ["check", "click", "command", "envelope", "keep", "signed"]
