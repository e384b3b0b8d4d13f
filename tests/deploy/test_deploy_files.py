"""The files for deployment start the bot: their commands exist, their variables are complete, and
the image has what it needs."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from bot.cli import cli
from bot.config.roles.parse import load_policy
from bot.config.settings import NEEDS, load_settings
from bot.connectors import KINDS
from tests.deploy.processes import (
    ROOT,
    VALUES,
    Process,
    image_environment,
    instructions,
    of_compose,
    of_fly,
    of_heroku,
    of_kubernetes,
    of_render,
    of_systemd,
    read_yaml,
)

PROCESSES = [*of_compose(), *of_render(), *of_heroku(), *of_fly(), *of_systemd(), *of_kubernetes()]


@pytest.mark.parametrize("process", PROCESSES, ids=[each.name for each in PROCESSES])
def test_each_process_has_a_command_and_all_of_its_variables(
    process: Process, tmp_path: Path
) -> None:
    assert process.verb in cli.commands
    settings = load_settings(
        process.environment(tmp_path), None, NEEDS.get(process.verb, frozenset())
    )
    assert settings.database_url.startswith("sqlite:////") == (process.verb == "run")
    if process.verb != "migrate":
        load_policy(str(ROOT / "roles.toml"), settings.environ, KINDS)


def test_a_platform_has_a_web_process_a_worker_and_a_migration_before_them() -> None:
    for processes in (of_compose(), of_render(), of_heroku(), of_fly(), of_kubernetes()):
        assert {each.verb for each in processes} == {"web", "worker", "migrate"}


def test_compose_gives_a_service_exactly_the_secrets_that_it_reads() -> None:
    compose = read_yaml("compose.yaml")
    for name, service in compose["services"].items():
        paths = [path for key, path in service["environment"].items() if key.endswith("_FILE")]
        assert paths == [f"/run/secrets/{secret}" for secret in service["secrets"]], name
        assert set(service["secrets"]) <= set(compose["secrets"])
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def pins(path: str) -> dict[str, tuple[str, set[str]]]:
    """Each package of a lock file with its version and hashes."""
    found = re.findall(r"^([\w.-]+)==(\S+)(.*?)(?=\n\S|\Z)", (ROOT / path).read_text(), re.M | re.S)
    return {name: (version, set(re.findall(r"sha256:\w+", rest))) for name, version, rest in found}


def test_the_files_for_production_have_the_versions_and_hashes_of_the_lock() -> None:
    locked = pins("requirements.lock")
    for path in ("requirements.txt", "requirements-build.txt"):
        different = {name for name, pin in pins(path).items() if pin != locked[name] or not pin[1]}
        assert not different, f"{path}: run `make lock`"
    assert {"psycopg", "boto3", "cryptography"} < set(pins("requirements.txt"))
    assert not {"pytest", "websockets", "hatchling"} & set(pins("requirements.txt"))


def copied() -> set[str]:
    """The files and folders of the repository that the image is built from."""
    return {
        name
        for verb, arguments in instructions()[0]
        if verb == "COPY"
        for name in arguments.split()[:-1]
    }


def test_the_build_context_has_exactly_the_files_that_the_image_needs() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == copied()


def test_those_files_are_enough_to_build_the_wheel_as_the_image_does(tmp_path: Path) -> None:
    for name in copied():
        here, there = ROOT / name, tmp_path / "src" / name
        there.parent.mkdir(exist_ok=True)
        if here.is_dir():
            shutil.copytree(here, there, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(here, there)
    (step,) = [text for name, text in instructions()[0] if name == "RUN" and "pip wheel" in text]
    for there, here in {
        "/opt/build/bin/pip": f"{sys.executable} -m pip",
        "/opt/wheel": str(tmp_path / "wheel"),
    }.items():
        assert there in step
        step = step.replace(there, here)
    subprocess.run(["sh", "-euc", step], cwd=tmp_path / "src", env={"VERSION": "1.2.3"}, check=True)
    (wheel,) = (tmp_path / "wheel").iterdir()
    assert wheel.name == "access_bot-1.2.3-py3-none-any.whl"
    packed = set(zipfile.ZipFile(wheel).namelist())
    tracked = [path for room in ("bot", "storage") for path in (tmp_path / "src" / room).rglob("*")]
    assert {str(path.relative_to(tmp_path / "src")) for path in tracked if path.is_file()} <= packed


def test_the_image_runs_as_an_account_of_its_own_and_sets_variables_of_the_bot() -> None:
    last = dict(instructions()[-1])
    assert (last["USER"], json.loads(last["CMD"])) == ("10001:10001", ["access-bot", "run"])
    settings = load_settings({**VALUES, **image_environment()}, None, NEEDS["run"])
    assert (settings.roles_path, settings.host) == ("/etc/access-bot/roles.toml", "0.0.0.0")


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_of_the_image_asks_the_process(status: int, code: int) -> None:
    asked = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Prints nothing."""

    check = dict(instructions()[-1])["HEALTHCHECK"]
    command = json.loads(check[check.index("[") :])
    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        done = subprocess.run(
            [sys.executable, *command[1:]], env={"PORT": str(server.server_port)}, check=False
        )
    assert (done.returncode, asked) == (code, ["/healthz"])
