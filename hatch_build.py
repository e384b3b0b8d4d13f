"""Adds the URLs of the project to the metadata of a build.

They come from the variables that GitHub's runners set. Without them the build has no URLs.
"""

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Urls(MetadataHookInterface):
    """Derives the URLs from the repository that the build runs in."""

    def update(self, metadata: dict[str, Any]) -> None:
        server = os.environ.get("GITHUB_SERVER_URL")
        repository = os.environ.get("GITHUB_REPOSITORY")
        if server and repository:
            home = f"{server}/{repository}"
            metadata["urls"] = {
                "Homepage": home,
                "Documentation": f"{home}/tree/HEAD/docs",
                "Changelog": f"{home}/blob/HEAD/CHANGELOG.md",
                "Issues": f"{home}/issues",
            }
