"""Prints the section of one version in CHANGELOG.md, for the notes of its release.

Fails if there is none, or if its part *Upgrading* does not say whether the manifest of the Slack
app and its scopes changed.
"""

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
SAID = ("Manifest", "Scopes")


def notes(changelog: str, version: str) -> str:
    """The section of `version` without its heading. Raises ValueError with what is missing."""
    heading = rf"^## {re.escape(version)}(?: [^\n]*)?\n"
    found = re.search(heading + r"(.*?)(?=^## |\Z)", changelog, re.M | re.S)
    if not found:
        raise ValueError(f"CHANGELOG.md has no section {version}")
    upgrading = re.search(r"^### Upgrading\n(.*?)(?=^### |\Z)", found[1], re.M | re.S)
    for subject in SAID:
        if not upgrading or not re.search(rf"^- {subject}: \S", upgrading[1], re.M):
            raise ValueError(f"{version}: Upgrading in CHANGELOG.md needs a line `- {subject}: …`")
    return found[1].strip() + "\n"


if __name__ == "__main__":
    try:
        sys.stdout.write(notes(CHANGELOG.read_text(encoding="utf-8"), sys.argv[1]))
    except ValueError as error:
        sys.exit(str(error))
