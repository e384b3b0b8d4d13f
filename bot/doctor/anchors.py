"""Checks that the anchors of the audit log can be written and read, and that none was lost."""

import os
from collections.abc import Iterator
from pathlib import Path

from bot.core.anchors import Anchor
from bot.core.errors import StorageUnavailable
from bot.doctor.findings import Deployment, Finding, fail, ok
from bot.operations.audit.written_anchors import written_anchors
from bot.worker.anchors import outside_of


def anchors(deployment: Deployment) -> Iterator[Finding]:
    workspace = deployment.policy.workspace
    if not workspace.anchor_file and not workspace.tsa_url:
        return
    places = outside_of(workspace, _written(deployment))
    problem = places.problem or _unwritable(workspace.anchor_file)
    yield fail("anchors", problem) if problem else ok("anchors", "can be written and read")


def _written(deployment: Deployment) -> list[Anchor]:
    """The expected content of the anchor file; nothing where the log can't be read, which another
    check reports."""
    if not deployment.has_database:
        return []
    try:
        return written_anchors(deployment.base.world, deployment.policy.workspace.anchor_file)
    except StorageUnavailable:
        return []


def _unwritable(path: str) -> str:
    """The reason why this account can't append to the file, or "". Writes nothing."""
    if not path:
        return ""
    place = Path(path) if Path(path).exists() else Path(path).parent
    if not place.exists():
        return f"the folder {place} does not exist"
    return "" if os.access(place, os.W_OK) else f"{place} can't be written by this account"
