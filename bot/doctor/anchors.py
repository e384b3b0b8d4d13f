"""Checks that the anchors of the audit log can be written and read."""

import os
from collections.abc import Iterator
from pathlib import Path

from bot.doctor.findings import Deployment, Finding, fail, ok
from bot.worker.anchors import outside


def anchors(deployment: Deployment) -> Iterator[Finding]:
    workspace = deployment.policy.workspace
    if not workspace.anchor_file and not workspace.tsa_url:
        return
    problem = outside(workspace).problem or _unwritable(workspace.anchor_file)
    yield fail("anchors", problem) if problem else ok("anchors", "can be written and read")


def _unwritable(path: str) -> str:
    """The reason why this account can't append to the file, or "". Writes nothing."""
    if not path:
        return ""
    place = Path(path) if Path(path).exists() else Path(path).parent
    return "" if os.access(place, os.W_OK) else f"{place} can't be written by this account"
