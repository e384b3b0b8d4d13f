"""Decides what the settings of a system must be, by the kind of its connector, as far as they alone show it.
It knows no system: whether one is there and takes them, `access-bot doctor` asks.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from bot.core.urls import checked_base, checked_url

LONGEST_TIMEOUT = 300
"""Seconds that a system may be given for one answer at most."""

Settings = Mapping[str, object]
Wrong = Iterator[tuple[str, str]]
"""Pairs of a key and a sentence that repeats no value, because values hold secrets."""

_ORG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123 label


def wrong_settings(kind: str, settings: Settings) -> Wrong:
    """What is wrong with settings that have the right types; nothing for a kind that is not known here."""
    for key, check in SETTINGS.get(kind, {}).items():
        if settings.get(key) is not None:
            try:
                check(settings[key], settings)
            except ValueError as error:
                yield key, str(error)


def refuse_wrong(kind: str, settings: Settings) -> None:
    """Raises ValueError with the first of these sentences."""
    for _, words in wrong_settings(kind, settings):
        raise ValueError(words)


# --- one function for each kind of value, which raises ValueError


def _hook(url: object, settings: Settings) -> None:
    checked_url(str(url), allow_private=settings.get("private") is True)


def _api(url: object, _: Settings) -> None:
    checked_base(str(url))


def _postgres_url(url: object, _: Settings) -> None:
    if not str(url).startswith(("postgresql://", "postgres://")):
        raise ValueError("url has to begin with postgresql://")


def _timeout(seconds: object, _: Settings) -> None:
    if float(str(seconds)) > LONGEST_TIMEOUT:
        raise ValueError(f"timeout must be at most {LONGEST_TIMEOUT // 60}m")


def _argv(argv: object, _: Settings) -> None:
    """What can't be run, or would depend on where we were started."""
    words = [str(word) for word in argv] if isinstance(argv, list) else []
    if not words or ("/" in words[0] and not words[0].startswith("/")):
        raise ValueError("the first of argv must be an absolute path, or a name that is found in PATH")
    _without_nul(words)


def _env(env: object, _: Settings) -> None:
    pairs = {str(name): str(value) for name, value in env.items()} if isinstance(env, dict) else {}
    if any(not name or "=" in name for name in pairs):
        raise ValueError("a name in env must not be empty or hold an equals sign")
    _without_nul([*pairs, *pairs.values()])


def _without_nul(words: list[str]) -> None:
    if any("\0" in word for word in words):
        raise ValueError("argv and env must not hold a NUL character")


def _token(token: object, _: Settings) -> None:
    """What can stand in a header."""
    if not re.fullmatch(r"[\x21-\x7e]+", str(token)):
        raise ValueError("token must be visible ASCII on one line, without spaces")


def _org(org: object, _: Settings) -> None:
    if not _ORG.fullmatch(str(org)):
        raise ValueError("org must be the organisation's name as it stands in its address")


def _namespace(namespace: object, _: Settings) -> None:
    if not _NAMESPACE.fullmatch(str(namespace)):
        raise ValueError("namespace must be the name of one namespace")


def _ca(ca: object, _: Settings) -> None:
    if "-----" in str(ca):
        raise ValueError("ca must be the path of a file with the cluster's certificate, not the certificate")


SETTINGS: Mapping[str, Mapping[str, Callable[[object, Settings], None]]] = {
    "aws": {"endpoint_url": _api},
    "command": {"argv": _argv, "timeout": _timeout, "env": _env},
    "github": {"org": _org, "url": _api, "token": _token},
    "kubernetes": {"server": _api, "ca": _ca, "namespace": _namespace, "token": _token},
    "okta": {"url": _api, "token": _token},
    "postgres": {"url": _postgres_url},
    "webhook": {"url": _hook, "timeout": _timeout},
}
