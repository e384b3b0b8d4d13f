"""A roles.toml without the secrets that somebody wrote into it in clear, for the audit log."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.core import policy_schema as schema
from bot.core.policy_text import SHOWN, redacted_text
from bot.core.toml_lines import scalars

EXAMPLE = (Path(__file__).parents[2] / "roles.toml").read_text()

ODD = r'''a.b."c d" = 1 # "x"
'q' = """a
"b" # no
"""
d = 1979-05-27 07:32:00
e = [ [1,2], # c ]
 { x = "]", y.z = 'a\' },
]
[ t . "u" ]
k = {}
l = []
m = inf
[[ z ]]
a = 1
[[z]]
a = 2
[z.b]
c = """x"""""
f = \'\'\'it's\'\'\'\'
[crlf]
'''.replace("\\'", "'").replace("[crlf]\n", "[crlf]\r\na = 1 # x\r\nb = [\r\n2]\r\n")


def flat(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flat(each, (*path, key))
    else:
        yield path, value


@pytest.mark.parametrize("text", [EXAMPLE, ODD], ids=["the example", "odd"])
def test_the_place_of_every_value_is_found(text: str) -> None:
    found = {each.path: tomllib.loads(f"it = {text[each.start : each.end]}")["it"] for each in scalars(text)}
    assert found == dict(flat(tomllib.loads(text)))


def test_the_example_is_kept_as_it_is() -> None:
    assert redacted_text(EXAMPLE) == (EXAMPLE, 0)


SECRETS = {
    "a secret": 'secret = "hunter2-hunter2-1"',
    "a token with escapes": r'token = "hunter2\u0021\t"',
    "in a multi-line string": 'token = """\nhunter2"""',
    "beside a reference": 'token = "hunter2${NAME}hunter2"',
    "an escaped reference": 'token = "$${hunter2}"',
    "the environment of a program": 'env = { A = "hunter2", "B C" = \'hunter2\' }',
    "the password of a URL": 'url = "postgresql://bot:hunter2@db/orders"',
    "a password with a slash": 'url = "postgresql://bot:hun/hunter2@db/orders"',
    "a user that is a token": 'url = "https://hunter2@example.com/"',
    "the query of a URL": 'url = "postgresql://db/orders?password=hunter2"',
    "a long random path": 'url = "https://hooks.example.com/hunter2aaaaaaaaaaaaaaaa"',
    "an option of a program": 'argv = ["/bin/lab", "--token=hunter2"]',
    "the value after an option": 'argv = ["/bin/lab", "--api-key", "hunter2"]',
    "a setting of an installed connector": 'pin.code = "hunter2"',
    "a list of them": 'pins = [["hunter2"], [1, "hunter2"]]',
    "a number": "pin = 7462562",
    "a comment": '# token = "hunter2"',
    "a comment that repeats it": 'token = "hunter2" # hunter2',
    "a token known by its beginning": "# it was xoxb-1-hunter2",
    "behind a table's header": '[systems.b] # secret="hunter2"',
}


@pytest.mark.parametrize("lines", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("before", ["[systems.a]\n", "\ufeff[tickets]\n", "[[stream]]\r\n"])
def test_a_literal_secret_is_redacted(before: str, lines: str) -> None:
    kept, count = redacted_text(before + lines)
    assert count and "hunter2" not in kept and "7462562" not in kept and kept.startswith(before)
    assert tomllib.loads(kept.removeprefix("\ufeff"))


def test_a_secret_in_an_inline_table_is_redacted() -> None:
    text = 'systems = { a = { connector = "gateway", secret = "hunter2" } }'
    assert redacted_text(text) == (text.replace("hunter2", "[redacted]"), 1)


KEPT = {
    "a reference": 'secret = "${NAME}"',
    "a reference in a URL": 'url = "postgresql://bot:${PASSWORD}@db/orders"',
    "settings": 'connector = "ssh"\nprincipals = ["deploy"]\nca_key = "/etc/ca"\nprivate = true\ntimeout = "10s"',
    "an ARN": 'instance_arn = "arn:aws:sso:::instance/ssoins-1234567890abcdef"',
    "a path": 'url = "https://hooks.example.com/a-path-of-words/v1"',
    "a long path": 'url = "https://hooks.example.com/a-long-path-of-many-words/v1"',
    "prose": "# its secret of at least 16 characters",
}


@pytest.mark.parametrize("lines", KEPT.values(), ids=KEPT)
def test_everything_else_is_kept(lines: str) -> None:
    text = f"[systems.a]\n{lines}\n"
    assert redacted_text(text) == (text, 0)


def test_a_word_of_env_that_is_no_secret_elsewhere_stays_there() -> None:
    text = '[systems.a]\nenv = { STAGE = "production" }\n[roles.a]\ntitle = "Deploy to production"\n'
    assert "Deploy to production" in redacted_text(text)[0]


LONG = {
    "letters": "a" * 500_000,
    "names of secrets": "secret-" * 70_000,
    "beginnings of URLs": "a://" * 100_000,
    "beginnings of tokens": "eyJ" * 150_000,
    "hyphens": "a-" * 200_000,
}


@pytest.mark.parametrize("words", LONG.values(), ids=LONG)
def test_a_long_text_takes_time_in_proportion(words: str) -> None:
    """Twice the square of this would take longer than any test may."""
    assert len(redacted_text(f'[systems.a]\nurl = "https://h/{words}"\n# {words}\n')[0]) > 100


def test_every_setting_is_either_shown_or_known_to_hold_secrets() -> None:
    settings = {key for table in schema.CONNECTORS.values() for key in table.model_fields}
    assert settings - SHOWN == {"secret", "token", "env"}
