"""The text of a roles.toml for the audit log, without the secrets in it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from bot.config.roles.redact import SHOWN
from bot.config.roles.redact import redacted_text as redacted_of
from bot.config.roles.toml_lines import scalars
from bot.connectors import KINDS

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


SETTINGS = {name for kind in KINDS.values() for name in kind.shown}
SYSTEMS = dict.fromkeys(
    [*tomllib.loads(EXAMPLE)["systems"], "a", "b", "secret", "secrets", *SHOWN, *SETTINGS, "meant"],
    SETTINGS,
)
"""Each of these systems has all settings that the audit log shows for some kind."""


def redacted_text(text: str) -> tuple[str, int]:
    return redacted_of(text, SYSTEMS)


def flat(
    value: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flat(each, (*path, key))
    else:
        yield path, value


@pytest.mark.parametrize("text", [EXAMPLE, ODD], ids=["the example", "odd"])
def test_the_place_of_every_value_is_found(text: str) -> None:
    found = {
        each.path: tomllib.loads(f"it = {text[each.start : each.end]}")["it"]
        for each in scalars(text)
    }
    assert found == dict(flat(tomllib.loads(text)))


def test_the_example_is_kept_as_it_is() -> None:
    assert redacted_text(EXAMPLE) == (EXAMPLE, 0)


PRIVATE_KEY = """-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rhunter2ZXktdjEAAAAABG5vbmUAAAA
QhunterAAAEbm9uZhunter2QAAAAAAAAABAAAAMwAA
-----END OPENSSH PRIVATE KEY-----
"""

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
    "below the environment": 'env = { region = "hunter2" }',
    "below a setting that is shown": 'url.kind = "hunter2"',
    "a table in a list that is shown": 'argv = [{ server = "hunter2" }]',
    "a header": 'argv = ["curl", "-H", "X-Api-Key: hunter2"]',
    "a header without a space": 'argv = ["curl", "-H", "X-Api-Key:hunter2"]',
    "a header with a scheme": 'argv = ["curl", "-H", "X-Auth-Token: Bearer hunter2"]',
    "a header of several words": 'argv = ["curl", "-H", "Authorization: Digest a hunter2"]',
    "an option of several words": 'argv = ["/bin/lab", "--passphrase=the word hunter2"]',
    "JSON": """argv = ["curl", "-d", '{"a": 1, "password": "hunter2"}']""",
    "a comment with a colon": "# token: hunter2",
    "a comment with a quoted value after a colon": "# the 'token': 'hunter2'",
    "a comment with a name of two words": "# API key: hunter2, until May",
    "a comment with JSON": r'# argv = ["-d", "{\"password\": \"hunter2\"}"]',
    "a comment with a header": "# Authorization: Token hunter2",
    "a comment with an assignment of Go": "# token := hunter2",
    "a word alone after a colon": "# of old:\n# password: hunter2hunter",
    "a reason": 'meant.x = "the password is password: hunter2"',
    "a private key": f'ca = """\n{PRIVATE_KEY}"""',
    "a private key without its end": f'ca = """\n{PRIVATE_KEY.partition("-----END")[0]}"""',
    "a private key as an identifier": f'ca_key = """\n{PRIVATE_KEY}"""',
    "a private key of PGP": f'ca = """\n{PRIVATE_KEY.replace("Y-----", "Y BLOCK-----")}"""',
    "a private key in a comment": indent(PRIVATE_KEY, "# "),
    "a private key that a comment gives to a name": (
        "# private_key: " + indent(PRIVATE_KEY, "  # ").strip("# ")
    ),
    "a private key behind a value": "private = true # " + indent(PRIVATE_KEY, "#").strip("#"),
    "a private key without its end in a comment": indent(
        PRIVATE_KEY.partition("-----END")[0], "# "
    ),
}


@pytest.mark.parametrize("lines", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("before", ["[systems.a]\n", "\ufeff[tickets]\n", "[[stream]]\r\n"])
def test_a_literal_secret_is_redacted(before: str, lines: str) -> None:
    kept, count = redacted_text(before + lines)
    assert count and "hunter2" not in kept and "7462562" not in kept and kept.startswith(before)
    assert tomllib.loads(kept.removeprefix("\ufeff"))


def test_the_key_of_a_time_stamp_authority_is_redacted() -> None:
    text = '[workspace]\ntsa_url = "https://tsa.example/tsr?key={}"\nanchor_file = "/mnt/a"\n'
    assert redacted_text(text.format("hunter2")) == (text.replace("key={}", "[redacted]"), 1)


@pytest.mark.parametrize("name", [*sorted(SHOWN), *sorted(SETTINGS), "meant"])
@pytest.mark.parametrize(
    "table", ["[systems.{}]", "[oncall.{}]", "[[oncall.{}]]", "[tickets.{}]", "[[stream.{}]]"]
)
def test_the_name_of_a_table_does_not_show_its_secret(table: str, name: str) -> None:
    before = table.format(name)
    assert redacted_text(f'{before}\nsecret = "hunter2"') == (f'{before}\nsecret = "[redacted]"', 1)


TABLES = {
    "[systems.secret]": 'server = "https://db"\nargv = ["/bin/lab"]\nregion = "eu"\n',
    **dict.fromkeys(
        ["[oncall.token]", "[[oncall.x]]", "[tickets]", "[[stream]]"],
        'url = "https://db"\nkind = "eu"\n',
    ),
}


@pytest.mark.parametrize(("table", "lines"), TABLES.items(), ids=TABLES)
def test_a_setting_that_is_shown_is_kept_in_every_table(table: str, lines: str) -> None:
    text = f"{table}\n{lines}"
    assert redacted_text(text) == (text, 0)


def test_a_private_key_takes_no_other_line_with_it() -> None:
    text = f'# before\n{indent(PRIVATE_KEY, "# ")}# after\n[systems.a]\nregion = "eu" # too\n'
    assert (
        redacted_text(text)[0]
        == '# before\n# [redacted]\n# after\n[systems.a]\nregion = "eu" # too\n'
    )


def test_a_text_without_its_secrets_has_none() -> None:
    for lines in SECRETS.values():
        kept, _ = redacted_text(f"[systems.a]\n{lines}")
        assert redacted_text(kept) == (kept, 0)


def test_a_secret_in_an_inline_table_is_redacted() -> None:
    text = 'systems = { a = { connector = "gateway", secret = "hunter2" } }'
    assert redacted_text(text) == (text.replace("hunter2", "[redacted]"), 1)


KEPT = {
    "a reference": 'secret = "${NAME}"',
    "a reference in a URL": 'url = "postgresql://bot:${PASSWORD}@db/orders"',
    "settings": (
        'connector = "ssh"\nprincipals = ["deploy"]\nca_key = "/etc/ca"\nprivate = true\ntimeout ='
        ' "10s"'
    ),
    "an ARN": 'instance_arn = "arn:aws:sso:::instance/ssoins-1234567890abcdef"',
    "a path": 'url = "https://hooks.example.com/a-path-of-words/v1"',
    "a long path": 'url = "https://hooks.example.com/a-long-path-of-many-words/v1"',
    "prose": "# its secret of at least 16 characters",
    "a reason": 'meant.secret-in-file = "It is no secret."',
    "prose after a colon": "# token: see docs/running.md, line 12",
    "a sentence after a colon": "# The secret: Members, and nothing else.",
    "a command after a colon": "# its API key: `access-bot keys new` prints one",
    "a colon at the end of a line": "# token:\n# the one of the team",
    "a reason with a colon": 'meant.open = "its token: nobody has one"',
    "a reference in a header": (
        'argv = ["curl", "-H", "X-Api-Key: ${KEY}", "-H", "X-Auth-Token: Bearer ${KEY}"]'
    ),
    "a reference in a comment": "# token: ${NAME}",
    "a user who is called token": 'url = "postgresql://token:${PASSWORD}@db/orders"',
    "a certificate": f'ca = """\n{PRIVATE_KEY.replace("OPENSSH PRIVATE KEY", "CERTIFICATE")}"""',
}


@pytest.mark.parametrize("lines", KEPT.values(), ids=KEPT)
def test_everything_else_is_kept(lines: str) -> None:
    text = f"[systems.a]\n{lines}\n"
    assert redacted_text(text) == (text, 0)


@pytest.mark.parametrize("name", ["a", "secrets"])
@pytest.mark.parametrize("line", ['env = { STAGE = "production" }', "# token: production"])
def test_a_word_that_is_no_secret_elsewhere_stays_there(name: str, line: str) -> None:
    text = f'[systems.{name}]\n{line}\n[roles.a]\ntitle = "Deploy to production"\n'
    kept, count = redacted_text(text)
    assert "Deploy to production" in kept and count == 1


LONG = {
    "letters": "a" * 500_000,
    "names of secrets": "secret-" * 70_000,
    "beginnings of URLs": "a://" * 100_000,
    "beginnings of tokens": "eyJ" * 150_000,
    "hyphens": "a-" * 200_000,
    "names with colons": "secret: " * 60_000,
    "names with words": "token: see-" * 50_000,
    "words in names": "secret: a-" + "a-" * 200_000,
    "the beginning of a private key": "-----BEGIN " + "PRIVATE KEY " * 40_000,
    "private keys without an end": "-----BEGIN PRIVATE KEY-----" * 20_000,
}


@pytest.mark.parametrize("words", LONG.values(), ids=LONG)
def test_the_time_for_a_text_grows_in_proportion_to_its_length(words: str) -> None:
    """Quadratic time would be longer than any test may take."""
    assert len(redacted_text(f'[systems.a]\nurl = "https://h/{words}"\n# {words}\n')[0]) > 50


def test_every_setting_is_either_shown_or_known_to_hold_secrets() -> None:
    for kind in KINDS.values():
        assert set(kind.table.model_fields) - kind.shown <= {"secret", "token", "env"}
        assert not kind.shown & {"secret", "token", "env"}


def test_a_setting_is_kept_only_where_its_own_kind_shows_it() -> None:
    text = '[systems.a]\nplace = "south"\n[systems.b]\nplace = "north"\n'
    kept, _ = redacted_of(text, {"a": {"place"}})
    assert kept == text.replace("north", "[redacted]")


@pytest.mark.parametrize(
    "word", ["correcthorse", "CorrectHorse of old", "correcthorsebatterystaple of old"]
)
def test_a_value_of_letters_in_a_comment_is_redacted(word: str) -> None:
    kept, count = redacted_text(f"# password: {word}\n")
    assert (kept, count) == (f"# password: [redacted]{word[len(word.split()[0]) :]}\n", 1)
