"""The stage of the demo: a workspace, the real bot in a process of its own, and nginx in front of a page.

It knows the bot only from outside: its command and its environment. What is played on it stands in `demo.py`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.sandbox.checks import Json
from bot.sandbox.client import Sandbox
from bot.sandbox.company import company, talk
from bot.sandbox.gateway import Page, free_port, guarded_page
from bot.sandbox.keeping import restore
from bot.sandbox.server import running_sandbox

PATIENCE = 15.0
SYSTEM, LINK = "shop-admin", "The protected system"
SECRETS, WORKSPACE, LOCK = "secrets.json", "workspace.json", "lock"


class DemoFailed(Exception):
    """A step did not happen; the text says which, and what was seen instead."""


class Bot:
    """The bot as a process, which can be ended, killed and started again."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.environment, self.log = environment, log
        self.address = f"127.0.0.1:{environment['PORT']}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it is ready. Raises DemoFailed."""
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", "bot", "run"]
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=output, stderr=output, start_new_session=True
            )
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if (code := self.process.poll()) is not None:
                raise DemoFailed(f"the bot ended with exit code {code}")
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://{self.address}/readyz", timeout=2).close()
                return
            time.sleep(0.1)
        raise DemoFailed("the bot did not become ready")

    def stop(self) -> None:
        """Lets it end in its own time, ten seconds at most."""
        if self.process is not None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.kill()

    def kill(self) -> None:
        """Ends it in the middle of whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs one of its verbs beside it."""
        call = [sys.executable, "-m", "bot", *words]
        return subprocess.run(call, env=self.environment, capture_output=True, text=True, check=False)

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])


@dataclass
class Stage:
    """What stands on it. `fresh` is false when an earlier demo goes on."""

    sandbox: Sandbox
    bot: Bot
    page: Page
    folder: Path
    fresh: bool

    def keep(self) -> None:
        """Writes the workspace down, so that the next demo can go on from here."""
        found = self.sandbox.call("kept")
        part = self.folder / f"{WORKSPACE}.part"
        part.write_text(json.dumps(found))
        part.replace(self.folder / WORKSPACE)


@contextlib.contextmanager
def stage(folder: Path | None = None, port: int = 0, anew: bool = False) -> Iterator[Stage]:
    """Everything up, in `folder` if given, where it stays; else in one that is gone afterwards.

    With `anew` nothing of what lies in the folder is kept. Raises DemoFailed.
    """
    if not Path("roles.toml").exists():
        raise DemoFailed("there is no roles.toml here; run the demo in the checkout of Access Bot")
    with _home(folder, anew) as home:
        workspace, fresh = company(_manifest()), not (home / WORKSPACE).exists()
        if fresh:
            talk(workspace)
        else:
            restore(workspace, json.loads((home / WORKSPACE).read_text()))
        with running_sandbox(workspace=workspace, port=port) as sandbox:
            bot = Bot({**os.environ, **sandbox.environment, **_settings(home)}, home / "bot.log")
            with _played(bot), guarded_page(home, bot.address, SYSTEM, _host(sandbox)) as page:
                sandbox.admin.show_link(LINK, page.address)
                yield Stage(sandbox, bot, page, home, fresh)


def _host(sandbox: Sandbox) -> str:
    return sandbox.base_url.removeprefix("http://")


@contextlib.contextmanager
def _home(folder: Path | None, anew: bool) -> Iterator[Path]:
    """A folder that only its owner can read, as keys lie in it, and that only one demo uses at a time."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="access-bot-demo-") as name:
            yield Path(name)
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    home = folder.resolve()
    with (home / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailed("a demo is up already in this checkout") from None
        if anew or not (home / WORKSPACE).exists():  # a database without its workspace is of no use
            _empty(home)
        yield home


def _empty(home: Path) -> None:
    for path in home.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


@contextlib.contextmanager
def _played(bot: Bot) -> Iterator[None]:
    """Runs the bot until the block ends; what it logged is shown when something failed."""
    try:
        bot.start()
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException:
        print(f"\nThe end of the bot's log:\n{bot.last_words()}", file=sys.stderr)
        raise
    finally:
        bot.stop()


def _settings(home: Path) -> dict[str, str]:
    """Keys and secrets of this demo only; the next one on the same folder has the same."""
    return {
        "DATABASE_URL": f"sqlite:///{home}/access.db",
        "ACCESS_ROLES": "roles.toml",
        **_secrets(home / SECRETS),
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "LOG_LEVEL": "INFO",
    }


def _secrets(path: Path) -> dict[str, str]:
    if not path.exists():
        names = ("ACCESS_SECRET_KEYS", "SHOP_ADMIN_SECRET", "REPORTS_SECRET")
        path.touch(mode=0o600)
        path.write_text(json.dumps({name: secrets.token_urlsafe(48) for name in names}))
    found: dict[str, str] = json.loads(path.read_text())
    return found


def _manifest() -> Json:
    """The app is installed as its own manifest says: no more scopes and events than that."""
    command = [sys.executable, "-m", "bot", "manifest", "--mode", "socket"]
    found: Json = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found
