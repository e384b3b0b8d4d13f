"""The processes that the files for deployment start, each with its command and its environment."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]

VALUES = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "DATABASE_URL": "postgresql://access:p@database/access",
    "ACCESS_SECRET_KEYS": "a-signing-key-of-forty-characters-0000001",
    "SHOP_ADMIN_SECRET": "shop-system-secret-0123456789",
    "REPORTS_SECRET": "reports-system-secret-0123456789",
}
"""A value for each secret that an operator or a platform fills in."""


@dataclass(frozen=True)
class Process:
    """A command of `access-bot`, as `verb`, and its environment: plain values, and for a secret the
    place in the deployment that holds it, such as a file's path."""

    name: str
    verb: str
    environ: Mapping[str, str]

    def environment(self, folder: Path) -> dict[str, str]:
        """The environment with the secrets as files in `folder`."""
        found = {}
        for name, value in self.environ.items():
            if secret := name.removesuffix("_FILE") if name.endswith("_FILE") else "":
                value = str(folder / secret)
                Path(value).write_text(VALUES[secret])
            found[name] = value or VALUES[name]
        return found


def verb_of(command: str | list[str]) -> str:
    """The verb of a command `access-bot VERB`."""
    words = command.split() if isinstance(command, str) else command
    program, verb = words
    assert Path(program).name == "access-bot"
    return verb


def read_yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def of_compose() -> Iterator[Process]:
    for name, service in read_yaml("compose.yaml")["services"].items():
        if name != "database":
            yield Process(f"compose {name}", verb_of(service["command"]), service["environment"])


def of_render() -> Iterator[Process]:
    blueprint = read_yaml("render.yaml")
    groups = {group["name"]: group["envVars"] for group in blueprint["envVarGroups"]}
    for service in blueprint["services"]:
        given = [
            each for one in service["envVars"] for each in groups.get(one.get("fromGroup"), [one])
        ]
        environ = {each["key"]: str(each.get("value", "")) for each in given}
        for key in ("preDeployCommand", "startCommand"):
            yield Process(f"render {service['name']} {key}", verb_of(service[key]), environ)


def of_heroku() -> Iterator[Process]:
    app = json.loads((ROOT / "app.json").read_text())
    environ = {name: each.get("value", "") for name, each in app["env"].items()}
    for kind, command in re.findall(r"^(\w+): (.*)$", (ROOT / "Procfile").read_text(), re.M):
        environ = {**environ, "DATABASE_URL": ""}  # of the add-on
        yield Process(f"heroku {kind}", verb_of(command), environ)


def of_fly() -> Iterator[Process]:
    app = tomllib.loads((ROOT / "fly.toml").read_text())
    commands = {**app["processes"], "release": app["deploy"]["release_command"]}
    for kind, command in commands.items():
        yield Process(f"fly {kind}", verb_of(command), {**app["env"], **dict.fromkeys(VALUES, "")})


def unit(name: str) -> list[tuple[str, str]]:
    """The settings of a systemd unit, in order; a setting may be there more than once."""
    text = (ROOT / "deploy/systemd" / f"{name}.service").read_text()
    return re.findall(r"^(\w+)=(.*)$", text, re.M)


UNITS = ("access-bot", "access-bot-web", "access-bot-worker", "access-bot-migrate")


def of_systemd() -> Iterator[Process]:
    for name in UNITS:
        settings = unit(name)
        environ = dict(text.split("=", 1) for key, text in settings if key == "Environment")
        yield Process(f"systemd {name}", verb_of(dict(settings)["ExecStart"]), environ)


def instructions() -> list[list[tuple[str, str]]]:
    """The instructions of each stage of the Dockerfile, as pairs of name and arguments."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    stages: list[list[tuple[str, str]]] = [[]]
    for line in lines:
        name, _, arguments = line.partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, arguments))
    return stages[1:]


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    texts = [text for name, text in instructions()[-1] if name == "ENV"]
    return dict(pair.split("=", 1) for text in texts for pair in text.split())


def of_kubernetes() -> Iterator[Process]:
    literals = read_yaml(f"{EXAMPLE}/kustomization.yaml")["configMapGenerator"][1]["literals"]
    for pod in pods():
        (container,) = pod["containers"]
        environ = {each["name"]: each["value"] for each in container["env"]}
        if "envFrom" in container:
            environ |= dict(pair.split("=", 1) for pair in literals)
        yield Process(f"kubernetes {container['name']}", verb_of(container["command"]), environ)


BASE, EXAMPLE = "deploy/kubernetes/base", "deploy/kubernetes/example"


def objects() -> list[Any]:
    """Every object of the base."""
    names = read_yaml(f"{BASE}/kustomization.yaml")["resources"]
    texts = [(ROOT / BASE / name).read_text() for name in names]
    return [each for text in texts for each in yaml.safe_load_all(text)]


def pods() -> list[Any]:
    """The specification of the pod in each workload of the base."""
    workloads = [each for each in objects() if each["kind"] in ("Deployment", "Job")]
    return [each["spec"]["template"]["spec"] for each in workloads]
