"""The limits, as a process: the same server or socket client as the bot's, with none of its code.
Run as `python -m bench.bare KIND FOLDER`; `bolt` answers Slack with a no-op listener, `gate` checks
a token with one look-up, `empty` answers 204; `socket-bare` and `socket-ours` answer over Socket
Mode."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn
from slack_bolt import Ack, App
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier

from bench.place import KEY, SIGNING, TEAM, answer, jobs
from bot.core.model import Claims
from bot.slack.receiver import Receiver
from bot.tokens import Signer
from bot.web import listening, serve_config
from bot.web.responses import Answer, header_values, send_answer
from bot.web.slack_events import SlackEvents
from bot.web.slack_signatures import Signatures
from storage import tokens


def bolt() -> App:
    """Bolt with the bot's settings, and listeners that only acknowledge."""
    app = App(
        logger=logging.getLogger("slack_bolt"),
        client=WebClient(token="xoxb-bench"),
        authorize=lambda context: AuthorizeResult(
            enterprise_id=None,
            team_id=TEAM,
            bot_token="xoxb-bench",
            bot_id="B0BOT",
            bot_user_id="U0BOT",
        ),
        signing_secret=SIGNING,
        request_verification_enabled=False,
        process_before_response=True,
        listener_executor=ThreadPoolExecutor(32),
    )

    def nothing(ack: Ack) -> None:
        ack()

    app.command("/access")(nothing)
    app.block_action("approve")(nothing)
    return app


class Bolt:
    """The bot's endpoint (`bot/web/slack_events.py`), with the bare Bolt behind it."""

    def __init__(self, folder: Path) -> None:
        signatures = Signatures(SignatureVerifier(SIGNING))
        self._events = SlackEvents(Receiver(bolt().dispatch), signatures)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send_answer(send, await self._events(scope, receive))


class Gate:
    """The bot's signature check and the bot's statement, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self._signer = Signer([KEY])
        self._db = sqlite3.connect(folder / "access.db", check_same_thread=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        token = header_values(scope, b"authorization")[0].removeprefix("Bearer ")
        claims = self._signer.read_token(token)
        found = None
        if isinstance(claims, Claims):
            found = self._db.execute(tokens._CHECK, ("shop-admin", claims.jti)).fetchone()
        await send_answer(send, Answer(200 if found and found[5] == "active" else 401))


class Empty:
    def __init__(self, folder: Path) -> None:
        pass

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def serve(make: Any, folder: Path) -> None:
    app = make(folder)
    listener = listening("127.0.0.1", 0)
    config = serve_config(app, "127.0.0.1", 0)
    config.lifespan = "off"
    server = uvicorn.Server(config)
    threading.Thread(target=asyncio.run, args=(server.serve([listener]),), daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    answer(port=listener.getsockname()[1])
    for _ in jobs():
        answer()


def keep_connection(ours: bool) -> None:
    """Keeps one Socket Mode connection, as the worker does, without delivery."""
    from bot.app import build_base, build_bolt, slack_client
    from bot.config.settings import NEEDS, load_settings
    from bot.core.model import Source
    from bot.slack.identity import Identity
    from bot.slack.socket import Socket

    base = build_base(load_settings(dotenv=None, need=NEEDS["web"]), Source.SLACK)
    client = slack_client(base.settings, timeout=10)
    app = build_bolt(base, Identity(client, base.world)) if ours else bolt()
    connection = Socket(app, "xapp-bench", client)
    connection.start()
    answer(ready=True)
    for _ in jobs():
        answer()


KINDS = {"bolt": Bolt, "gate": Gate, "empty": Empty}

if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    kind, where = sys.argv[1], Path(sys.argv[2])
    if kind in KINDS:
        serve(KINDS[kind], where)
    else:
        keep_connection(ours=kind == "socket-ours")
