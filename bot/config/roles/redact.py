"""Redacts the secrets in the text of a roles.toml, so that the audit log may keep it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping

from bot.config.roles.toml_lines import Path, comments, scalars
from bot.core.written_policy import REDACTED

SECTIONS = frozenset({"systems", "oncall", "tickets", "stream"})
"""The tables that may hold secrets. The other tables may be shown in Slack anyway."""

_TIME_STAMPS: Path = ("workspace", "tsa_url")
"""The one setting of another table that is not shown anywhere else, and may have a key in its
query."""

SHOWN = frozenset({"connector", "group", "kind", "url"})
"""Keys of those tables whose values are kept, except for secrets inside them. The kind of a system
may name more. The values of all other keys are redacted."""

_SHOWN_BELOW: Mapping[str | int, Collection[str]] = {
    "stream": frozenset({"name", "path", "address", "max_mb", "keep", "ca", "tls", "close_notify"}),
    "workspace": frozenset({"tsa_url"}),
}
"""More of such keys, by the table that they are in."""

LEAST_REPEATED = 6
"""A redacted value of at least this many characters is redacted in the rest of the file, too, such
as in a comment."""

LEAST_UNNAMED = 16
"""Like LEAST_REPEATED, for a value whose key does not name a secret, such as "production" in
`env`."""


def redacted_text(text: str, shown: Mapping[str, Collection[str]]) -> tuple[str, int]:
    """A valid roles.toml without its literal secrets, and the number of redacted ones. `${NAME}`
    stays. `shown` has the keys that may be kept, by the system's name."""
    if text.startswith("\ufeff"):
        kept, count = redacted_text(text[1:], shown)
        return "\ufeff" + kept, count
    hide = _Hide()
    parts, done = [], 0
    for start, end, new in sorted([*_values(text, shown, hide), *_comments(text, hide)]):
        parts += [text[done:start], new]
        done = end
    kept = "".join([*parts, text[done:]])
    for value in sorted(hide.repeated, key=len, reverse=True):
        kept = kept.replace(value, REDACTED)
    return kept, hide.count


class _Hide:
    """Redacts one literal, and collects the values to redact in the whole file."""

    def __init__(self) -> None:
        self.count = 0
        self.least = LEAST_REPEATED
        self.repeated: set[str] = set()

    def __call__(self, literal: str) -> str:
        if literal.strip("….") == "":  # a placeholder for a password, as in documentation
            return literal
        self.count += 1
        if len(literal) >= self.least:
            self.repeated.add(literal)
        return REDACTED


Replacement = tuple[int, int, str]
"""Start, end, and the new text."""


def secret_name(name: str) -> bool:
    """Whether this is the name of a secret."""
    return _NAME.search(name) is not None


def _values(text: str, shown: Mapping[str, Collection[str]], hide: _Hide) -> Iterator[Replacement]:
    before: tuple[Path, str] = ((), "")
    for scalar in scalars(text):
        value = tomllib.loads(f"it = {text[scalar.start : scalar.end]}")["it"]
        hidden = scalar.path[0] in SECTIONS or scalar.path == _TIME_STAMPS
        if hidden and not isinstance(value, bool):
            after = before[1] if before[0] == scalar.path[:-1] else ""
            new = _kept(scalar.path, str(value), after, _may_show(scalar.path, shown), hide)
            if new != str(value):
                yield scalar.start, scalar.end, _quoted(new)
        before = (scalar.path[:-1], str(value))


def _may_show(path: Path, shown: Mapping[str, Collection[str]]) -> bool:
    """Whether the key at `path` is one whose value is kept."""
    setting = _setting(path)
    more = shown.get(str(path[1]), ()) if path[0] == "systems" else _SHOWN_BELOW.get(path[0], ())
    return len(setting) == 1 and (setting[0] in SHOWN or setting[0] in more)


def _kept(path: Path, value: str, before: str, may_show: bool, hide: _Hide) -> str:
    """The value at `path` without secrets; `before` is the previous entry of the same list."""
    setting = _setting(path)
    explained = path[0] == "systems" and len(setting) == 2 and setting[0] == "meant"
    shown = explained or may_show
    if not shown or _SECRET_OPTION.fullmatch(before):
        named = shown or any(secret_name(key) for key in setting)
        hide.least = LEAST_REPEATED if named else LEAST_UNNAMED
        return _without_literals(value, hide)
    if explained:
        return _scrubbed(value, hide, _GIVEN_IN_PROSE)
    if given := _GIVEN_ALONE.fullmatch(value):
        return given[1] + _value_given(given, hide)
    return _scrubbed(value, hide, _GIVEN)


def _setting(path: Path) -> list[str]:
    """The key of the setting and the keys below it, without the name of the table, which may be any
    word."""
    keys = [part for part in path if isinstance(part, str)]
    return keys[2 if path[0] in ("systems", "oncall") else 1 :]


def _comments(text: str, hide: _Hide) -> Iterator[Replacement]:
    for start, end in _blocks(text):
        old = text[start:end]
        if (new := _scrubbed(old, hide, _GIVEN_IN_PROSE)) != old:
            yield start, end, new


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of the comments. Comments on adjacent lines are one, because a private key
    takes many lines."""
    block: tuple[int, int] | None = None
    for start, end in comments(text):
        if block and not text[block[1] : start].strip():
            block = block[0], end
            continue
        if block:
            yield block
        block = start, end
    if block:
        yield block


def _scrubbed(text: str, hide: _Hide, given: re.Pattern[str]) -> str:
    """`text` without private keys, logins of URLs, well-known tokens, and values after the name of
    a secret (`given`)."""
    hide.least = LEAST_REPEATED
    text = _PRIVATE_KEY.sub(lambda match: hide(match.group()), text)
    text = _URL.sub(lambda match: _bare_url(match, hide), text)
    text = _TOKEN.sub(lambda match: hide(match.group()), text)
    return given.sub(lambda match: match[1] + _value_given(match, hide), text)


def _value_given(given: re.Match[str], hide: _Hide) -> str:
    """A plain word after a colon may not be a secret, so it stays in the rest of the file."""
    doubtful = ":" in given[1] and _PLAIN_WORD.fullmatch(given[2])
    hide.least = LEAST_UNNAMED if doubtful else LEAST_REPEATED
    return _in_quotes(given[2], hide)


def _bare_url(url: re.Match[str], hide: _Hide) -> str:
    scheme, login, host, path, query, fragment = url.groups("")
    user, colon, _ = login.partition(":")
    shown = user + colon if scheme.startswith("postgres") and colon else ""
    login = shown + _without_literals(login[len(shown) : -1], hide) + login[-1:]
    path = _SEGMENT.sub(lambda match: _without_random(match.group(), hide), path)
    tail = [part[:1] + _without_literals(part[1:], hide) for part in (query, fragment)]
    return "".join([scheme, login, host, path, *tail])


def _without_random(segment: str, hide: _Hide) -> str:
    """A long part of a path with letters and digits may be a secret."""
    letters, digits = re.search("[A-Za-z]", segment), re.search("[0-9]", segment)
    return hide(segment) if letters and digits else segment


def _in_quotes(text: str, hide: _Hide) -> str:
    quote = text[0] if text[0] in "\"'" else ""
    inner = text.removeprefix(quote).removesuffix(quote) if quote else text
    return f"{quote}{_without_literals(inner, hide)}{quote}"


def _without_literals(text: str, hide: _Hide) -> str:
    """`text` with everything redacted except references to the environment."""
    pieces = _REFERENCE.split(text)
    return "".join(
        piece if place % 2 else hide(piece) for place, piece in enumerate(pieces) if piece
    )


def _quoted(value: str) -> str:
    """`value` as a basic string of TOML."""
    return '"' + "".join(_ESCAPED.get(char) or _escape(char) for char in value) + '"'


def _escape(char: str) -> str:
    return char if char.isprintable() else f"\\U{ord(char):08x}"


_ESCAPED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_REFERENCE = re.compile(r"((?<!\$)\$\{[A-Za-z_][A-Za-z0-9_]*\}|\[redacted\])")
_NAMED = r"(?:secret|token|passw|passphrase|pwd|credential|(?:api|private|access)[ _-]?key)"
_NAME = re.compile(_NAMED, re.IGNORECASE)
_SECRET_OPTION = re.compile(rf"-{{1,2}}[\w-]*{_NAMED}[\w-]*", re.IGNORECASE)
_GAP = r"[^\S\n]{0,20}"
_NAME_BEFORE = (
    rf"""(?<![\w-])(?<!://)[\w-]{{0,60}}?(?:{_NAMED}|authorization)[\w-]{{0,60}}\\?["'`]?{_GAP}"""
)
_SCHEME = r"(?:(?:bearer|basic|token)[^\S\n]{1,20})?"
_WORD = r"[`(*]?[A-Za-z][a-z]{0,15}(?:[-'/.][a-z]{1,16})*[`)*,.;:!?]{0,3}"
_PLAIN_WORD = re.compile(_WORD, re.IGNORECASE)
_SENTENCE = rf"(?-i:{_WORD})[^\S\n]{{1,20}}\S"
_VALUE = r"""("[^"\n]+"|'[^'\n]+'|(?!["'\s])\S+)"""
_EQUALS = r"(?:=[=>]?|:=)"
_GIVEN = re.compile(rf"({_NAME_BEFORE}(?:{_EQUALS}|:){_GAP}{_SCHEME}){_VALUE}", re.IGNORECASE)
_GIVEN_IN_PROSE = re.compile(
    rf"({_NAME_BEFORE}(?:{_EQUALS}{_GAP}{_SCHEME}|:{_GAP}{_SCHEME}(?!{_SENTENCE}))){_VALUE}",
    re.IGNORECASE,
)
"""Like `_GIVEN`, where people write sentences: "token: see the wiki" holds no secret."""
_GIVEN_ALONE = re.compile(
    rf"({_NAME_BEFORE}(?:{_EQUALS}|:){_GAP}{_SCHEME})(\S.*)", re.IGNORECASE | re.DOTALL
)
"""A header or an option, whose value extends to the end."""
_URL = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)([^\s\"'<>]*@)?([^\s\"'<>/?#]*)([^\s\"'<>?#]*)(\?[^\s\"'<>#]*)?(#[^\s\"'<>]*)?"
)
_SEGMENT = re.compile(r"[\w-]{20,}", re.ASCII)
_TOKEN = re.compile(
    r"xox[a-z]-[\w-]+|xapp-[\w-]+|gh[a-z]_\w{20,}|github_pat_\w+|(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]+"
    r"|(?i:bearer|basic)\s{1,20}[\w.~+/=-]{8,}",
    re.ASCII,
)
"""Tokens with a known prefix, such as those of Slack and GitHub, and JSON Web Tokens."""
_PRIVATE_KEY = re.compile(
    r"-{4,5} ?BEGIN [^-\n]{0,40}PRIVATE KEY[^-\n]{0,40}----.*?"
    r"(?:-{4,5} ?END [^-\n]{0,40}PRIVATE KEY[^-\n]{0,40}-{4,5}|\Z)",
    re.DOTALL,
)
"""A private key to its END line, or to the end of the text."""
