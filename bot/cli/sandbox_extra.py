"""Runs a command again with the extra `sandbox`, or says how to install that extra."""

import json
import os
import shlex
import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from bot.cli.errors import Wrong

RESTARTED = "ACCESS_BOT_RESTARTED_WITH_EXTRA"
"""Set in the process that uv started again, so that it does not do so a second time."""


def require_sandbox_extra() -> None:
    """Returns if the extra is installed. A process that uv started is replaced by one with it."""
    if find_spec("websockets") is not None:
        return
    uv = os.environ.get("UV")  # uv sets it in each process that it starts
    origin = _origin()
    # A copy of an editable installation would not follow its files.
    if not uv or RESTARTED in os.environ or origin.get("dir_info", {}).get("editable"):
        raise Wrong(f"The sandbox needs more packages: {_installation(origin)}")
    extra = _requirement(origin)
    click.echo(f"The sandbox needs more packages: starting again with '{extra}'", err=True)
    command = [uv, "tool", "run", "--python", sys.executable, "--from", extra, "access-bot"]
    try:
        os.execve(uv, [*command, *sys.argv[1:]], {**os.environ, RESTARTED: "1"})
    except OSError as error:
        advice = _installation(origin)
        raise Wrong(f"{uv} does not start: {error.strerror}. Instead: {advice}") from None


def _installation(origin: dict[str, Any]) -> str:
    """The command that adds the extra to this installation."""
    if Path(sys.prefix, "pipx_metadata.json").exists():
        return f"pipx install --force {shlex.quote(_requirement(origin))}"
    if Path(sys.prefix, "uv-receipt.toml").exists():
        return f"uv tool install {shlex.quote(_requirement(origin))}"
    return "pip install 'access-bot[sandbox]'"


def _requirement(origin: dict[str, Any]) -> str:
    """This distribution with the extra: the same version, or the same file, folder or commit."""
    if not origin:
        return f"access-bot[sandbox]=={distribution('access-bot').version}"
    url, vcs = origin["url"], origin.get("vcs_info")
    return "access-bot[sandbox] @ " + (f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url)


def _origin() -> dict[str, Any]:
    """The file, folder or commit that this installation came from (PEP 610). Empty for a package
    index."""
    recorded = distribution("access-bot").read_text("direct_url.json")
    origin: dict[str, Any] = json.loads(recorded or "{}")
    return origin
