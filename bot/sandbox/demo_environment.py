"""The environment of the demo: a workspace, the real bot as a process, and nginx in front of a
page.

It uses only the bot's command and its environment. `demo.py` has the steps.
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
import threading
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.sandbox.checks import Json
from bot.sandbox.client import Sandbox
from bot.sandbox.gateway import Page, free_port, guarded_page
from bot.sandbox.process import STARTING, Bot, DemoFailed
from bot.sandbox.seed_data import company, talk
from bot.sandbox.server import running_sandbox
from bot.sandbox.snapshot import restore

SYSTEM, LINK = "shop-admin", "The protected system"
SECRETS, WORKSPACE, LOCK, PORT = "secrets.json", "workspace.json", "lock", "port"
SNAPSHOT_LOCK = threading.Lock()


@dataclass
class Behind:
    """The bot that people on the page control; `starting` until it exists."""

    bot: Bot | None = None
    keep: Callable[[], None] = lambda: None

    @property
    def state(self) -> str:
        """`running`, `starting` or `dead`."""
        return self.bot.state if self.bot else STARTING

    def kill(self) -> None:
        """Asks it for the next events, then sends SIGKILL."""
        if self.bot:
            self.bot.coming()
            self.bot.kill()

    def start(self) -> None:
        """Starts it again. Raises DemoFailed."""
        if self.bot:
            self.bot.start()

    def follow(self, ahead: float) -> None:
        """Saves the workspace before the bot gets the new time, so that no later demo begins before
        it."""
        self.keep()
        if self.bot:
            self.bot.follow(ahead)

    def coming(self) -> Json | None:
        """The next reminder and end, as the bot reports them."""
        return self.bot.coming() if self.bot else None


@dataclass
class DemoEnvironment:
    """The parts of a running demo. `fresh` is false if it continues an earlier one."""

    sandbox: Sandbox
    bot: Bot
    page: Page
    folder: Path
    fresh: bool
    command: str

    def keep(self) -> None:
        """Saves the workspace, so that the next demo can continue from here."""
        found = self.sandbox.call("kept")
        with SNAPSHOT_LOCK:
            part = self.folder / f"{WORKSPACE}.part"
            part.write_text(json.dumps(found))
            part.replace(self.folder / WORKSPACE)


@contextlib.contextmanager
def running_demo(
    folder: Path | None = None,
    port: int = 0,
    from_scratch: bool = False,
    roles: Path = Path("roles.toml"),
) -> Iterator[DemoEnvironment]:
    """Starts everything, in `folder` if given, which stays, else in a temporary folder.

    The bot reads `roles`. With `from_scratch` the content of the folder is deleted first. Raises
    DemoFailed.
    """
    with _home(folder, from_scratch) as home:
        workspace, fresh = company(_manifest(home)), not (home / WORKSPACE).exists()
        if fresh:
            talk(workspace)
        else:
            restore(workspace, json.loads((home / WORKSPACE).read_text()))
        behind = Behind()
        with running_sandbox(workspace=workspace, port=port, app_process=behind) as sandbox:
            door = _port(home)
            environment = _environment(home, sandbox.environment, roles, door)
            bot = behind.bot = Bot(environment, home / "bot.log", workspace.clock_offset)
            gate = guarded_page(home, bot.address, SYSTEM, _host(sandbox), door)
            with _played(bot), gate as page:
                sandbox.admin.show_link(LINK, page.address)
                on = DemoEnvironment(sandbox, bot, page, home, fresh, workspace.app.command)
                behind.keep = on.keep
                yield on


def _host(sandbox: Sandbox) -> str:
    return sandbox.base_url.removeprefix("http://")


@contextlib.contextmanager
def _home(folder: Path | None, from_scratch: bool) -> Iterator[Path]:
    """A folder that only its owner can read, because it holds keys, and that one demo uses at a
    time."""
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
            raise DemoFailed("a demo already runs in this folder") from None
        if (
            from_scratch or not (home / WORKSPACE).exists()
        ):  # a database without its workspace is useless
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
    """Runs the bot until the block ends; shows its log if something failed."""
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


def _port(home: Path) -> int:
    """The port of the protected page: the one of this folder's last demo if it is free, because
    another address would be another system for the access that is still active."""
    kept = home / PORT
    port = free_port(int(kept.read_text()) if kept.exists() else 0)
    kept.write_text(str(port))
    return port


def with_browser(roles: str) -> str:
    """The text of a roles.toml, in which the protected page takes browsers at `SHOP_ADMIN_URL`."""
    table = f"[systems.{SYSTEM}]\n"
    lines = 'browser = true\nurl = "${SHOP_ADMIN_URL}"\n'
    known = tomllib.loads(roles).get("systems", {}).get(SYSTEM, {})
    return roles if "browser" in known else roles.replace(table, table + lines, 1)


def _environment(home: Path, slack: dict[str, str], roles: Path, door: int) -> dict[str, str]:
    """The environment of the README for Socket Mode, with the address of the stand-in and a free
    port; `door` is the port of the protected page. The bot runs in `home`, so its database is
    there, and it reads a copy of `roles` and nobody's `.env`. Keys and secrets belong to this
    demo's folder."""
    copy = home / "roles.toml"
    copy.unlink(missing_ok=True)
    copy.write_text(with_browser(roles.read_text()))
    machine = _from_machine("PATH", "HOME", "ACCESS_COMMAND", "ACCESS_APP_NAME")
    tokens = {name: slack[name] for name in ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_API_URL")}
    address = {"HOST": "127.0.0.1", "PORT": str(free_port())}
    address["SHOP_ADMIN_URL"] = f"http://127.0.0.1:{door}"
    return {**machine, **tokens, **_secrets(home / SECRETS), **address}


def _from_machine(*names: str) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _secrets(path: Path) -> dict[str, str]:
    if not path.exists():
        names = ("ACCESS_SECRET_KEYS", "SHOP_ADMIN_SECRET", "REPORTS_SECRET")
        path.touch(mode=0o600)
        path.write_text(json.dumps({name: secrets.token_urlsafe(48) for name in names}))
    found: dict[str, str] = json.loads(path.read_text())
    return found


def _manifest(home: Path) -> Json:
    """Installs the app with exactly the names, scopes and events of its manifest, and without the
    `.env` of this folder."""
    command = [sys.executable, "-m", "bot", "manifest", "--mode", "socket"]
    found: Json = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True, cwd=home).stdout
    )
    return found
