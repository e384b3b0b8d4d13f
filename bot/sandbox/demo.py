"""One lifecycle of access, played by people of the stand-in against the real bot, unmodified, in a process of its own.

It knows the bot only from outside: its command, its environment, Slack's protocols and the gate. Every step fails
loudly when what it shows did not happen.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import secrets
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bot.sandbox import Sandbox, running_sandbox
from bot.sandbox.gateway import Page, free_port, guarded_page

Json = dict[str, Any]

DURATION = "8s"
REASON = "Customer 4711 waits for a refund & <b>writes</b> to *everybody* <!channel>"
PATIENCE = 15.0


class DemoFailed(Exception):
    """A step did not happen; the text says which, and what was seen instead."""


class Demo:
    """The stage: people, the page behind the gate, and where it is all told."""

    def __init__(self, sandbox: Sandbox, page: Page, environment: dict[str, str]) -> None:
        self.page, self.environment = page, environment
        self.ana, self.ben, self.chiara = (sandbox.person(name) for name in ("ana", "ben", "chiara"))
        self.token = ""
        self.message: Json = {}

    def refused_first(self) -> None:
        status, _ = self.page.visit()
        _expect(status == 401, f"the page answered {status} without a token")
        _tell("the page", "401: nobody gets in without a token")

    def ask(self) -> None:
        outcome = self.ana.command("/access", f"request shop-admin {DURATION} {REASON}")
        _expect(outcome.ok and bool(outcome.messages), f"no answer to the command: {outcome}")
        _tell("Ana, only she", outcome.text)

    def see(self) -> None:
        self.message = self.ben.wait_message("#access-approvals", "Ana Souza", timeout=PATIENCE)
        _tell("#access-approvals", self.ben.plain(self.message))

    def approve(self) -> None:
        outcome = self.ben.click(self.message, "Approve")
        _expect(outcome.ok, f"the click was not taken: {outcome}")
        self.ana.wait_dm("Show credentials", timeout=PATIENCE)
        changed = self.ben.wait_for(self._decided, PATIENCE)
        _tell("#access-approvals, in place", self.ben.plain(changed))
        _tell("Ana, by direct message", self.ana.plain(self.ana.dms()[-1]))

    def _decided(self) -> Json | None:
        now = next(m for m in self.ben.messages("#access-approvals") if m["ts"] == self.message["ts"])
        has_buttons = any(block["type"] == "actions" for block in now["blocks"])
        return None if has_buttons else now

    def enter(self) -> None:
        self.token = self._show()
        status, text = self.page.visit(self.token)
        _expect(status == 200, f"the page answered {status} to a good token")
        _tell("the page", f"200: {text}")

    def _show(self) -> str:
        """Opens the credentials from the newest message that offers them."""
        offer = next(m for m in reversed(self.ana.dms()) if "Show credentials" in self.ana.plain(m))
        outcome = self.ana.click(offer, "Show credentials")
        _expect(outcome.ok, f"no credentials: {outcome}")
        view = self.ana.wait_view(timeout=PATIENCE)
        token = _preformatted(view)
        shown = self.ana.plain(view).replace(token, token[:12] + "…")
        self.ana.close_view()
        _tell("Ana, in a modal", shown)
        return token

    def remind(self) -> None:
        reminder = self.ana.wait_dm("Renew", timeout=PATIENCE)
        reminder = self.ana.wait_for(self._reminder, PATIENCE)
        _tell("Ana, by direct message", self.ana.plain(reminder))
        outcome = self.ana.click(reminder, "Renew")
        _expect(outcome.ok, f"the renewal was not taken: {outcome}")
        renewed = self.ana.wait_dm("enewed", timeout=PATIENCE)
        _tell("Ana, by direct message", self.ana.plain(renewed))

    def _reminder(self) -> Json | None:
        """Its buttons are Renew and I'm done, and no credentials."""
        found = (m for m in self.ana.dms() if "Show credentials" not in self.ana.plain(m))
        return next((m for m in found if "Renew" in self.ana.plain(m)), None)

    def enter_again(self) -> None:
        self.enter()

    def end(self) -> None:
        """Asks the page until it closes, and compares with the end that the gate named."""
        ends_at = self._ends_at()
        while self.page.visit(self.token)[0] == 200:
            _expect(time.time() < ends_at + 2, "the page is still open two seconds after the end")
            time.sleep(0.02)
        late = time.time() - ends_at
        _expect(-1 < late < 1.5, f"the page closed {late:+.2f} s from the end")
        _tell("the page", f"401: closed {abs(late) * 1000:.0f} ms {'after' if late >= 0 else 'before'} the end")
        ended = self.ana.wait_dm("ended", timeout=PATIENCE)
        _tell("Ana, by direct message", self.ana.plain(ended))
        thread = self.ben.wait_message("#access-approvals", "Ended", thread=self.message["ts"], timeout=PATIENCE)
        _tell("#access-approvals, in the thread", self.ben.plain(thread))

    def _ends_at(self) -> float:
        listed = self._command("grants", "list", "--json")
        return dt.datetime.fromisoformat(json.loads(listed.splitlines()[0])["ends_at"]).timestamp()

    def audit(self) -> None:
        outcome = self.chiara.command("/access", "audit @ana since:1h")
        _expect("grant:access:ended" in outcome.text, f"the end is not in the audit log: {outcome.text}")
        _tell("Chiara, a lead, only she", outcome.text)
        _tell("access-bot audit verify", self._command("audit", "verify"))

    def _command(self, *words: str) -> str:
        run = subprocess.run(
            [sys.executable, "-m", "bot", *words], env=self.environment, capture_output=True, text=True, check=False
        )
        _expect(run.returncode == 0, f"access-bot {' '.join(words)}: {run.stdout}{run.stderr}")
        return run.stdout.strip()


STEPS: tuple[tuple[str, Callable[[Demo], None]], ...] = (
    ("The shop's admin page is closed", Demo.refused_first),
    (f"Ana asks: /access request shop-admin {DURATION} …", Demo.ask),
    ("The managers see it, with all they need to decide", Demo.see),
    ("Ben presses Approve", Demo.approve),
    ("Ana looks at her credentials and opens the page", Demo.enter),
    ("The end comes near: a reminder, and one click renews", Demo.remind),
    ("The renewed access has a new token, which replaces the first", Demo.enter_again),
    ("The access ends by itself, on time", Demo.end),
    ("Chiara, a lead, reads what happened", Demo.audit),
)


def main() -> int:
    """Plays all steps and gives the exit code."""
    began = time.monotonic()
    try:
        with stage() as demo:
            for number, (title, step) in enumerate(STEPS, 1):
                print(f"\n[{number}/{len(STEPS)}] {title}", flush=True)
                step(demo)
    except (DemoFailed, TimeoutError, StopIteration, OSError) as error:
        print(f"\nThe demo FAILED: {error or type(error).__name__}", file=sys.stderr)
        return 1
    print(f"\nDone in {time.monotonic() - began:.0f} s: asked, approved, used, reminded, renewed, ended, on record.")
    return 0


@contextlib.contextmanager
def stage() -> Iterator[Demo]:
    """A workspace, the bot in a process of its own, and nginx in front of a page; all gone afterwards."""
    if not Path("roles.toml").exists():
        raise DemoFailed("there is no roles.toml here; run the demo in the checkout of Access Bot")
    with tempfile.TemporaryDirectory(prefix="access-bot-demo-") as name:
        folder, manifest = Path(name), _manifest()
        with running_sandbox(manifest=manifest) as sandbox:
            environment = {**os.environ, **sandbox.environment, **_settings(folder)}
            address = f"127.0.0.1:{environment['PORT']}"
            with _bot(environment, folder / "bot.log", address), guarded_page(folder, address, "shop-admin") as page:
                print(f"A workspace on {sandbox.base_url}, the bot on http://{address}, nginx before the page.")
                yield Demo(sandbox, page, environment)


def _settings(folder: Path) -> dict[str, str]:
    """Keys and secrets of this run only."""
    return {
        "DATABASE_URL": f"sqlite:///{folder}/access.db",
        "ACCESS_ROLES": "roles.toml",
        "ACCESS_SECRET_KEYS": secrets.token_urlsafe(48),
        "SHOP_ADMIN_SECRET": secrets.token_urlsafe(24),
        "REPORTS_SECRET": secrets.token_urlsafe(24),
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "LOG_LEVEL": "INFO",
    }


def _manifest() -> Json:
    """The app is installed as its own manifest says: no more scopes and events than that."""
    command = [sys.executable, "-m", "bot", "manifest", "--mode", "socket"]
    found: Json = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


@contextlib.contextmanager
def _bot(environment: dict[str, str], log: Path, address: str) -> Iterator[None]:
    """Runs the bot until the block ends; what it logged is shown when something failed."""
    with log.open("w") as output:
        bot = subprocess.Popen([sys.executable, "-m", "bot", "run"], env=environment, stdout=output, stderr=output)
        try:
            _wait_ready(bot, address)
            yield
        except BaseException:
            print(f"\nThe end of the bot's log:\n{_tail(log)}", file=sys.stderr)
            raise
        finally:
            bot.terminate()
            bot.wait(10)


def _wait_ready(bot: subprocess.Popen[bytes], address: str) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if bot.poll() is not None:
            raise DemoFailed(f"the bot ended with exit code {bot.returncode}")
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://{address}/readyz", timeout=2).close()
            return
        time.sleep(0.1)
    raise DemoFailed("the bot did not become ready")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])


def _preformatted(thing: Any) -> str:
    """The text of the first preformatted block: the credential, alone."""
    if isinstance(thing, list):
        return next((found for part in thing if (found := _preformatted(part))), "")
    if not isinstance(thing, dict):
        return ""
    if thing.get("type") == "rich_text_preformatted":
        return "".join(str(part.get("text", "")) for part in thing["elements"])
    return _preformatted(thing.get("blocks") or thing.get("elements") or [])


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise DemoFailed(otherwise)


def _tell(where: str, text: str) -> None:
    """What one person, or everybody in a channel, sees."""
    print(f"  {where}:")
    print(textwrap.indent(text.strip(), "    │ "), flush=True)
