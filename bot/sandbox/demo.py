"""Plays one lifecycle of access: people of the sandbox use the unmodified bot, which runs in its
own process.

It uses only the bot's command, its environment, Slack's protocols and the gate. A step fails if its
result did not happen.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.sandbox.demo_environment import DemoEnvironment, running_demo
from bot.sandbox.http_client import SandboxError
from bot.sandbox.process import PATIENCE, DemoFailed

Json = dict[str, Any]

DURATION = "8s"
REASON = "Customer 4711 waits for a refund & <b>writes</b> to *everybody* <!channel>"
OUTAGE = "Checkout fails for all customers since 14:02"
CONCLUSION = "It was right: nobody else was awake, and the refunds could not wait."
FOLDER = Path(".demo")
KEEP_SECONDS, OPENING_SECONDS = 2.0, 20.0
PAUSE, UNHURRIED = 2.0, 4
PLAYING = "The demo is playing a lifecycle. You can use the clock and the faults when it is over."


class Demo:
    """The demo: its people, and the page behind the gate."""

    def __init__(self, on: DemoEnvironment) -> None:
        self.page, self.bot, self.command = on.page, on.bot, on.command
        self.ana, self.ben, self.chiara, self.emi = (
            on.sandbox.person(name) for name in ("ana", "ben", "chiara", "emi")
        )
        self.token, self.ends_at = "", 0
        self.message: Json = {}

    def refused_first(self) -> None:
        status, _ = self.page.visit()
        _expect(status == 401, f"the page answered {status} without a token")
        _print("the page", "401: nobody gets in without a token")

    def ask(self) -> None:
        outcome = self.ana.command(self.command, f"request shop-admin {DURATION} {REASON}")
        _expect(outcome.ok and bool(outcome.messages), f"no answer to the command: {outcome}")
        _print("Ana, visible only to her", outcome.text)

    def see(self) -> None:
        self.message = self.ben.wait_message("#access-approvals", "Ana Souza", timeout=PATIENCE)
        _print("#access-approvals", self.ben.plain(self.message))

    def approve(self) -> None:
        outcome = self.ben.click(self.message, "Approve")
        _expect(outcome.ok, f"the click failed: {outcome}")
        self.ana.wait_dm("Show credentials", timeout=PATIENCE)
        changed = self.ben.wait_for(self._decided, PATIENCE)
        _print("#access-approvals, in place", self.ben.plain(changed))
        _print("Ana, by direct message", self.ana.plain(self.ana.dms()[-1]))

    def _decided(self) -> Json | None:
        now = next(
            m for m in self.ben.messages("#access-approvals") if m["ts"] == self.message["ts"]
        )
        has_buttons = any(block["type"] == "actions" for block in now["blocks"])
        return None if has_buttons else now

    def enter(self) -> None:
        self.token = self._show()
        status, text = self.page.visit(self.token)
        _expect(status == 200, f"the page answered {status} to a valid token")
        _print("the page", f"200: {text}")

    def _show(self) -> str:
        """Opens the credentials from the newest message with the button."""
        offer = next(m for m in reversed(self.ana.dms()) if "Show credentials" in self.ana.plain(m))
        outcome = self.ana.click(offer, "Show credentials")
        _expect(outcome.ok, f"no credentials: {outcome}")
        view = self.ana.wait_view(timeout=PATIENCE)
        token, self.ends_at = _preformatted(view), _date(view)
        shown = self.ana.plain(view).replace(token, token[:12] + "…")
        self.ana.close_view()
        _print("Ana, in a modal", shown)
        return token

    def remind(self) -> None:
        reminder = self.ana.wait_dm("Renew", timeout=PATIENCE)
        reminder = self.ana.wait_for(self._reminder, PATIENCE)
        _print("Ana, by direct message", self.ana.plain(reminder))
        outcome = self.ana.click(reminder, "Renew")
        _expect(outcome.ok, f"the renewal failed: {outcome}")
        renewed = self.ana.wait_dm("enewed", timeout=PATIENCE)
        _print("Ana, by direct message", self.ana.plain(renewed))

    def _reminder(self) -> Json | None:
        """Its buttons are Renew and I'm done, and no credentials."""
        found = (m for m in self.ana.dms() if "Show credentials" not in self.ana.plain(m))
        return next((m for m in found if "Renew" in self.ana.plain(m)), None)

    def enter_again(self) -> None:
        self.enter()

    def end(self) -> None:
        """Polls the page until it closes, and compares the time with the end that Ana was shown."""
        ends_at = self.ends_at
        while self.page.visit(self.token)[0] == 200:
            _expect(time.time() < ends_at + 2, "the page is still open two seconds after the end")
            time.sleep(0.02)
        late = time.time() - ends_at
        _expect(-1 < late < 1.5, f"the page closed {late:+.2f} s from the end")
        _print(
            "the page",
            f"401: closed {abs(late) * 1000:.0f} ms {'after' if late >= 0 else 'before'} the end",
        )
        ended = self.ana.wait_dm("ended", timeout=PATIENCE)
        _print("Ana, by direct message", self.ana.plain(ended))
        message = self.ben.wait_message("#access-approvals", "Ended", timeout=PATIENCE)
        _print("#access-approvals, the same message", self.ben.plain(message))

    def break_glass(self) -> None:
        outcome = self.emi.command(self.command, f"emergency shop-admin 15m {OUTAGE}")
        _expect(outcome.ok, f"no answer to the command: {outcome}")
        _print("Emi, visible only to her", outcome.text)
        offer = self.emi.wait_dm("Show credentials", timeout=PATIENCE)
        _print("Emi, by direct message", self.emi.plain(offer))
        self.message = self.chiara.wait_message("#access-security", OUTAGE, timeout=PATIENCE)
        _print("#access-security", self.chiara.plain(self.message))
        skipped = self.ben.wait_dm("without approval", timeout=PATIENCE)
        _print("Ben, an approver whom nobody asked", self.ben.plain(skipped))

    def review(self) -> None:
        outcome = self.chiara.click(self.message, "Sign review")
        _expect(outcome.ok, f"the click failed: {outcome}")
        self.chiara.wait_view("Conclusion", timeout=PATIENCE)
        outcome = self.chiara.fill_and_submit({"Conclusion": CONCLUSION})
        _expect(outcome.ok, f"the review was not signed: {outcome}")
        signed = self.chiara.wait_message("#access-security", CONCLUSION, timeout=PATIENCE)
        _print("#access-security, in place", self.chiara.plain(signed))
        ended = self.emi.wait_dm("the emergency was closed", timeout=PATIENCE)
        _print("Emi, by direct message", self.emi.plain(ended))

    def audit(self) -> None:
        outcome = self.chiara.command(self.command, "audit @ana since:1h")
        _expect(
            "grant:access:ended" in outcome.text, f"the end is not in the audit log: {outcome.text}"
        )
        _print("Chiara, a lead, visible only to her", outcome.text)
        _print("access-bot audit verify", self._command("audit", "verify"))

    def _command(self, *words: str) -> str:
        run = self.bot.command(*words)
        _expect(run.returncode == 0, f"access-bot {' '.join(words)}: {run.stdout}{run.stderr}")
        return run.stdout.strip()


STEPS: tuple[tuple[str, Callable[[Demo], None]], ...] = (
    ("The shop's admin page is closed", Demo.refused_first),
    (f"Ana asks: COMMAND request shop-admin {DURATION} …", Demo.ask),
    ("The managers see it, with all they need to decide", Demo.see),
    ("Ben presses Approve", Demo.approve),
    ("Ana looks at her credentials and opens the page", Demo.enter),
    ("The end comes near: a reminder, and one click renews", Demo.remind),
    ("The renewed access has a new token, which replaces the first", Demo.enter_again),
    ("The access ends automatically, on time", Demo.end),
    ("An outage: Emi, who is on call, takes the role at once", Demo.break_glass),
    ("Chiara, a lead, signs the review, which ends the access", Demo.review),
    ("Chiara reads what happened", Demo.audit),
)


def main(roles: Path, ends: bool = True, fresh: bool = False, port: int = 0) -> int:
    """Plays all steps with the rules in `roles`, and returns the exit code.

    With `ends` it stops then, and uses a temporary folder. Otherwise it stays up until it is
    interrupted, and continues the last demo unless `fresh` is set.
    """
    for ending in (signal.SIGTERM, signal.SIGHUP):  # so that the bot and nginx are stopped, too
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    try:
        with running_demo(None if ends else FOLDER, port, fresh, roles) as on:
            print(
                f"The workspace: {on.sandbox.base_url}/\nThe protected system: {on.page.address}",
                flush=True,
            )
            if on.fresh:
                on.sandbox.admin.close_tools(PLAYING)
                pause = 0.0 if ends else _wait_for_somebody(on)
                _play(Demo(on), pause)
                on.sandbox.admin.close_tools()
            if not ends:
                _stay(on)
    except (DemoFailed, SandboxError, TimeoutError, StopIteration, OSError) as error:
        print(f"\nThe demo FAILED: {error or type(error).__name__}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0


def _wait_for_somebody(on: DemoEnvironment) -> float:
    """Gives people time to open the page, and returns the seconds between the first steps."""
    print(
        f"Open the workspace now to watch. The demo starts in {OPENING_SECONDS:.0f} s at most.",
        flush=True,
    )
    until = time.monotonic() + OPENING_SECONDS
    while time.monotonic() < until:
        if on.sandbox.inspector.viewers():
            time.sleep(PAUSE)
            return PAUSE
        time.sleep(0.2)
    return 0.0


def _play(demo: Demo, pause: float) -> None:
    """Plays all steps, with `pause` seconds before each of the first ones, until the time of the
    access runs."""
    began = time.monotonic()
    for number, (title, step) in enumerate(STEPS, 1):
        time.sleep(pause if number <= UNHURRIED else 0)
        print(f"\n[{number}/{len(STEPS)}] {title.replace('COMMAND', demo.command)}", flush=True)
        step(demo)
    print(
        f"\nDone in {time.monotonic() - began:.0f} s: asked, approved, used, reminded, renewed,"
        " ended, taken in an emergency and reviewed, on record."
    )


def _stay(on: DemoEnvironment) -> None:
    """Stays up until it is interrupted, and saves the workspace."""
    how = "" if on.fresh else "It continues where you left it; --fresh starts over. "
    print(f"\n{how}Try it yourself: {on.sandbox.base_url}/  (Ctrl+C ends it)", flush=True)
    version = 0
    try:
        while True:
            on.keep()
            version = on.sandbox.call("changes", after=version, wait=30)["version"]
            time.sleep(KEEP_SECONDS)
    finally:
        with contextlib.suppress(OSError):
            on.keep()


def _preformatted(thing: Any) -> str:
    """The text of the first preformatted block: the credential."""
    if isinstance(thing, list):
        return next((found for part in thing if (found := _preformatted(part))), "")
    if not isinstance(thing, dict):
        return ""
    if thing.get("type") == "rich_text_preformatted":
        return "".join(str(part.get("text", "")) for part in thing["elements"])
    return _preformatted(thing.get("blocks") or thing.get("elements") or [])


def _date(view: Json) -> int:
    """The first date in a modal, in UTC seconds."""
    found = re.search(r'"type": "date", "timestamp": ([0-9]+)', json.dumps(view))
    return int(found[1]) if found else 0


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise DemoFailed(otherwise)


def _print(where: str, text: str) -> None:
    """Prints the view of one person, or of everybody in a channel."""
    print(f"  {where}:")
    print(textwrap.indent(text.strip(), "    │ "), flush=True)
