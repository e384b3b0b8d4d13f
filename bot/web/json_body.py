"""Reads JSON bodies strictly: one object, in UTF-8, with each key once."""

import json
from collections.abc import Iterable
from typing import Any


class Wrong(Exception):
    """The problem of the body, as the end of a sentence."""


def read_object(body: bytes, known: Iterable[str]) -> dict[str, Any]:
    """The object in a body, which may have the `known` keys only. Raises Wrong for any other."""
    try:
        found = json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Wrong("the body is not JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise Wrong("the body must be one JSON object")
    if unknown := sorted(found.keys() - set(known)):
        raise Wrong(f"unknown keys: {', '.join(json.dumps(key[:40]) for key in unknown[:5])}")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Wrong("a key is there twice")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON")
