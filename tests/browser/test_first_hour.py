"""The first hour of an operator: from the wheel in an empty folder to a page in a browser, and out
again, with the words of docs/deploy.md, the README and docs/gateways.md."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from bot.sandbox import Sandbox
from tests.browser.conftest import Open, opening
from tests.browser.test_open_in_browser import enter, is_refused, sees_the_page
from tests.readme import FIRST_HOUR, ROOT, Folder, an_empty_folder
from tests.test_readme import (
    PORTS,
    a_workspace,
    checked,
    documented_ports,
    examined,
    expected_warning,
    quiet,
    ready,
)
from tests.waiting import until
from tests.web.proxies import a_proxy, free_port

BROWSER = (ROOT / "docs/gateways.md").read_text().split("\n## A browser\n")[1].split("\n## ")[0]


def test_from_the_wheel_to_a_page_in_a_browser_and_out_again(
    tmp_path: Path,
    open_page: Callable[..., Page],
    record_property: Callable[[str, object], None],
) -> None:
    folder, packages = an_empty_folder(tmp_path, wheel=True)
    folder.install(packages, "install wheel")
    port = free_port()
    with documented_ports(), a_workspace(folder, "socket") as sandbox:
        browsers_may_enter(folder, f"http://127.0.0.1:{port}")
        checked(folder)
        examined(folder, expected_warning())
        with folder.start("run") as (process,):
            with folder.timed("run"):
                until(lambda: process.poll() is not None or ready(PORTS[0]))
            assert process.poll() is None, folder.logs()
            with a_proxy("nginx", PORTS[0], tmp_path, port):
                in_and_out(folder, sandbox, opening(open_page, sandbox), port)
            with folder.timed("Ctrl+C"):
                process.send_signal(signal.SIGINT)
                assert process.wait(20) == 0, folder.logs()
        quiet(folder)
    record_property(FIRST_HOUR, summary(folder))


def browsers_may_enter(folder: Folder, address: str) -> None:
    """Puts the table of docs/gateways.md in place of the one that `init` wrote; only the address is
    that of this machine."""
    (table,) = re.findall(r"^```toml\n(.*?)^```$", BROWSER, re.M | re.S)
    table, addresses = re.subn(r'"https://[^"]+"', f'"{address}"', table)
    roles = folder.at / "roles.toml"
    text, tables = re.subn(r"\[systems\.shop-admin\]\n(.+\n)+", lambda _: table, roles.read_text())
    assert (addresses, tables) == (1, 1)
    roles.write_text(text)


def in_and_out(folder: Folder, sandbox: Sandbox, window: Open, port: int) -> None:
    """One request, its approval, the page in a browser, and the end."""
    assert re.findall(r"\*\*([\w ]+)\*\*", BROWSER)[:3] == [
        "Show credentials",
        "Open in browser",
        "Continue",
    ], "enter() presses these"
    ana, ben = sandbox.person("ana"), sandbox.person("ben")
    with folder.timed("request and approval"):
        assert ana.command("/access", "request shop-admin 1h refund for SHOP-12").ok
        card = ben.wait_message("#access-approvals", "Ana Souza")
        assert ben.click(card, "Approve").ok
        ana.wait_dm("Show credentials")
    with folder.timed("page in the browser"):
        door = enter(window("ana", "Access").tab("Messages"))
        sees_the_page(door)
    with folder.timed("end"):
        assert ana.command("/access", "done shop-admin").ok
        ana.wait_dm("ended")
        is_refused(door, port)


def summary(folder: Folder) -> str:
    """The duration of each step, and of all."""
    steps = {**folder.seconds, "together": sum(folder.seconds.values())}
    return ", ".join(f"{step} {seconds:.1f} s" for step, seconds in steps.items())
