"""Reads a secret from the file that a variable NAME_FILE names."""

from __future__ import annotations

from pathlib import Path

LARGEST_FILE = 64 * 1024
"""Bytes of a file with a secret; a larger one is something else, such as a log."""


def read_secret(path: str) -> str:
    """The text of the file without white space around it. Raises ValueError with the reason, never
    with the content."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if not content.strip():
            raise ValueError("it is empty")
        if len(content) > LARGEST_FILE:
            raise ValueError("it is too large for a secret")
        return content.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except OSError as error:
        raise ValueError(error.strerror or "unknown reason") from None
