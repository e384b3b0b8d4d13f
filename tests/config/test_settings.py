"""Settings from the environment, the places of secrets, and the problems when something is missing
or wrong."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config.roles import parse
from bot.config.settings import NEEDS, VARIABLES, Need, Settings, load_settings
from bot.core.errors import ConfigError

REPOSITORY = Path(__file__).parents[2]
KEY = "k1-" + "x" * 32
SOCKET = {
    "SLACK_BOT_TOKEN": "xoxb-1-hunter",
    "SLACK_APP_TOKEN": "xapp-1-hunter",
    "ACCESS_SECRET_KEYS": KEY,
}
HTTP = {
    "SLACK_BOT_TOKEN": "xoxb-1-hunter",
    "SLACK_SIGNING_SECRET": "hunter" * 5,
    "ACCESS_SECRET_KEYS": KEY,
}


def load(environ: dict[str, str], verb: str = "run", dotenv: str | None = None) -> Settings:
    return load_settings(environ, dotenv, NEEDS.get(verb, frozenset()))


def errors_of(environ: dict[str, str], verb: str = "run", dotenv: str | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(environ, verb, dotenv)
    return str(caught.value).splitlines()


def test_what_is_not_set_has_the_documented_default() -> None:
    got = load(SOCKET)
    assert (got.host, got.port) == ("127.0.0.1", 3000)
    assert (got.log_level, got.log_format) == ("INFO", "text")
    assert (got.database_url, got.roles_path) == ("sqlite:///access.db", "roles.toml")
    assert got.slack_api_url == "https://slack.com/api/"
    assert got.secret_keys == (KEY,)


def test_an_app_token_means_socket_mode_and_a_signing_secret_alone_http_mode() -> None:
    assert load(SOCKET).slack_mode == "socket"
    assert load(SOCKET | HTTP).slack_mode == "socket"
    assert load(HTTP).slack_mode == "http"


NO_BOT = "environment SLACK_BOT_TOKEN: is not set"
NO_SIGNING = "environment SLACK_SIGNING_SECRET: is not set"
NO_KEYS = "environment ACCESS_SECRET_KEYS: is not set"
ONLY_KEYS = {"ACCESS_SECRET_KEYS": KEY}

MISSING = {
    "run with nothing": ("run", {}, [NO_BOT, NO_SIGNING, NO_KEYS]),
    "worker with nothing": ("worker", {}, [NO_BOT, NO_SIGNING, NO_KEYS]),
    "doctor with nothing": ("doctor", {}, [NO_BOT, NO_SIGNING, NO_KEYS]),
    "web with nothing": ("web", {}, [NO_KEYS]),
    "web without Slack": ("web", ONLY_KEYS, []),
    "web in socket mode": ("web", SOCKET, []),
    "web in HTTP mode": ("web", HTTP, []),
    "web that forgot the signing secret": (
        "web",
        ONLY_KEYS | {"SLACK_BOT_TOKEN": "xoxb-1"},
        [NO_SIGNING],
    ),
    "web that forgot the bot token": (
        "web",
        ONLY_KEYS | {"SLACK_SIGNING_SECRET": "s" * 32},
        [NO_BOT],
    ),
    "run without a signing secret": (
        "run",
        ONLY_KEYS | {"SLACK_BOT_TOKEN": "xoxb-1"},
        [NO_SIGNING],
    ),
    "run with an empty token": ("run", SOCKET | {"SLACK_BOT_TOKEN": " "}, [NO_BOT]),
    "run without keys": ("run", {**SOCKET, "ACCESS_SECRET_KEYS": ""}, [NO_KEYS]),
    "a verb on the database alone": ("migrate", {"ACCESS_SECRET_KEYS": "oops"}, []),
    "a verb without Slack": ("grants", {"ACCESS_SECRET_KEYS": KEY}, []),
    "a verb without Slack and without keys": ("panic", {}, [NO_KEYS]),
    "a verb without Slack and a broken token": (
        "panic",
        {"ACCESS_SECRET_KEYS": KEY, "SLACK_BOT_TOKEN": "oops", "PORT": "x"},
        [],
    ),
}


@pytest.mark.parametrize(("verb", "environ", "problems"), MISSING.values(), ids=MISSING)
def test_each_verb_is_refused_without_what_it_needs_and_only_that(
    verb: str, environ: dict[str, str], problems: list[str]
) -> None:
    if problems:
        found = errors_of(environ, verb)
        assert [line[: len(start)] for line, start in zip(found, problems, strict=True)] == problems
    else:
        assert isinstance(load(environ, verb), Settings)


WRONG = {
    "swapped tokens": (
        "SLACK_BOT_TOKEN",
        "xapp-1-hunter",
        "must begin with xoxb-; this is an app token",
    ),
    "swapped the other way": (
        "SLACK_APP_TOKEN",
        "xoxb-1-hunter",
        "must begin with xapp-; this is a bot token",
    ),
    "a user's token": (
        "SLACK_BOT_TOKEN",
        "xoxp-1-hunter",
        "must begin with xoxb-; this is a user's token",
    ),
    "no token": ("SLACK_BOT_TOKEN", "hunter", "must begin with xoxb-"),
    "a token with a line break": (
        "SLACK_BOT_TOKEN",
        "xoxb-hun\nter",
        "must not hold spaces or control",
    ),
    "a token as signing secret": (
        "SLACK_SIGNING_SECRET",
        "xoxb-1-hunter",
        "must be the Signing Secret",
    ),
    "a short signing secret": (
        "SLACK_SIGNING_SECRET",
        "hunter",
        "is too short for a Slack signing secret",
    ),
    "plain http": ("SLACK_API_URL", "http://slack.com/api/", "must be https"),
    "a host like loopback": ("SLACK_API_URL", "http://localhost.hunter.io/", "must be https"),
    "a user like loopback": ("SLACK_API_URL", "http://localhost@hunter.io/", "must be a plain URL"),
    "a backslash": ("SLACK_API_URL", "http://hunter.io\\@127.0.0.1/", "must be a plain URL"),
    "all interfaces": ("SLACK_API_URL", "http://0.0.0.0:1/", "must be https"),
    "another scheme": (
        "SLACK_API_URL",
        "ftp://hunter.io/",
        "must be a URL like https://slack.com/api/",
    ),
    "a broken host": (
        "SLACK_API_URL",
        "https://[hunter/",
        "must be a URL like https://slack.com/api/",
    ),
    "a port in words": (
        "SLACK_API_URL",
        "https://a:hunter/",
        "must be a URL like https://slack.com/api/",
    ),
    "a host that normalises": (
        "SLACK_API_URL",
        "https://hunter℀.io/",
        "must be a URL like https://slack.com/api/",
    ),
    "the dots of an example": ("SLACK_BOT_TOKEN", "xoxb-…", "was it copied in full?"),
    "the other dots": ("SLACK_APP_TOKEN", "xapp-hun…", "was it copied in full?"),
    "a signing secret with dots": (
        "SLACK_SIGNING_SECRET",
        "hunter" * 5 + "…",
        "was it copied in full?",
    ),
    "a path outside ASCII": (
        "SLACK_API_URL",
        "https://hunter.io/ä/",
        "must be a URL like https://slack.com/api/",
    ),
    "a host outside ASCII": ("HOST", "hünter", "must be ASCII only"),
    "bytes that are no text": ("ACCESS_SECRET_KEYS", "hun\udcff" * 20, "is not UTF-8"),
    "no database name": ("DATABASE_URL", "postgresql://u:hunter@h", "names no database"),
    "an unknown parameter": (
        "DATABASE_URL",
        "postgresql://u:p@h/d?hunter=1",
        "is each parameter after ? one of libpq's?",
    ),
    "a parameter of the pool": (
        "DATABASE_URL",
        "postgresql://h/d?max_connections=5",
        "one of libpq's?",
    ),
    "options of its own": (
        "DATABASE_URL",
        "postgresql://h/d?options=-c%20hunter",
        "must not set options",
    ),
    "a timeout in words": (
        "DATABASE_URL",
        "postgresql://h/d?connect_timeout=hunter",
        "not a whole number of seconds",
    ),
    "a broken escape": ("DATABASE_URL", "postgresql://u:%hunter@h/d", "is not a connection URI"),
    "SQLAlchemy's scheme": (
        "DATABASE_URL",
        "postgresql+psycopg://u:hunter@h/d",
        "as only SQLAlchemy does",
    ),
    "another database": (
        "DATABASE_URL",
        "mysql://u:hunter@h/d",
        "must be sqlite:///FILE or postgresql://",
    ),
    "a path": ("DATABASE_URL", "hunter.db", "must be sqlite:///FILE or postgresql://"),
    "no file": ("DATABASE_URL", "sqlite:///", "names no file"),
    "two slashes": ("DATABASE_URL", "sqlite://hunter.db", "needs three slashes"),
    "a password with a slash": (
        "DATABASE_URL",
        "postgresql://u:hun/ter@h/d",
        "write % and / of a password",
    ),
    "a short key": (
        "ACCESS_SECRET_KEYS",
        f"{KEY},hunter",
        "key 2 of 2 has fewer than 32 characters",
    ),
    "an empty key": ("ACCESS_SECRET_KEYS", f"{KEY},", "`access-bot keys new` prints a good one"),
    "a high port": ("PORT", "65536", "must be a number from 0 to 65535"),
    "a negative port": ("PORT", "-1", "must be a number from 0 to 65535"),
    "an Arabic port": ("PORT", "٣٠٠٠", "must be a number from 0 to 65535"),
    "a huge port": ("PORT", "9" * 5000, "must be a number from 0 to 65535"),
    "a host with a space": ("HOST", "a hunter", "must not hold spaces"),
    "a revision on two lines": (
        "ACCESS_POLICY_REVISION",
        "hun\nter",
        "must be one line of at most 200",
    ),
    "a command without a slash": (
        "ACCESS_COMMAND",
        "hunter",
        "must be a slash, then at most 31",
    ),
    "a command in capitals": ("ACCESS_COMMAND", "/Hunter", "must be a slash, then at most 31"),
    "a long command": ("ACCESS_COMMAND", "/" + "h" * 32, "must be a slash, then at most 31"),
    "a command of Slack": ("ACCESS_COMMAND", "/remind", "must not be a command that Slack keeps"),
    "a long name": ("ACCESS_APP_NAME", "h" * 36, "must be one line of at most 35 characters"),
    "a name that links": ("ACCESS_APP_NAME", "<hunter>", "must be one line of at most 35 charac"),
    "a long revision": ("ACCESS_POLICY_REVISION", "hunter" * 40, "must be one line of at most 200"),
    "an unknown level": (
        "LOG_LEVEL",
        "hunter",
        "must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL",
    ),
    "an unknown format": ("LOG_FORMAT", "hunter", "must be one of text, json"),
}


@pytest.mark.parametrize(("name", "value", "problem"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_told_in_one_line_that_does_not_show_it(
    name: str, value: str, problem: str
) -> None:
    (found,) = errors_of(SOCKET | {name: value})
    assert found.startswith(f"environment {name}: ")
    assert problem in found
    assert "hun" not in found


def test_all_problems_are_told_at_once() -> None:
    found = errors_of({"PORT": "x", "LOG_LEVEL": "x", "SLACK_APP_TOKEN": "x", "DATABASE_URL": "x"})
    assert len(found) == 6
    assert not any("SIGNING" in line for line in found), "the app token is already told"


RIGHT = {
    "loopback": (
        "SLACK_API_URL",
        "http://127.0.0.1:9/api",
        "slack_api_url",
        "http://127.0.0.1:9/api/",
    ),
    "loopback by name": (
        "SLACK_API_URL",
        "http://localhost:9/api/",
        "slack_api_url",
        "http://localhost:9/api/",
    ),
    "all of 127": ("SLACK_API_URL", "http://127.9.9.9/", "slack_api_url", "http://127.9.9.9/"),
    "IPv6 loopback": ("SLACK_API_URL", "http://[::1]:9", "slack_api_url", "http://[::1]:9/"),
    "another https": (
        "SLACK_API_URL",
        "https://slack.example/api",
        "slack_api_url",
        "https://slack.example/api/",
    ),
    "PostgreSQL": (
        "DATABASE_URL",
        "postgresql://u:p%40@h:5/d",
        "database_url",
        "postgresql://u:p%40@h:5/d",
    ),
    "PostgreSQL with TLS": (
        "DATABASE_URL",
        "postgresql://h/d?sslmode=require&connect_timeout=3",
        "database_url",
        "postgresql://h/d?sslmode=require&connect_timeout=3",
    ),
    "PostgreSQL, short": ("DATABASE_URL", "postgres:///d", "database_url", "postgres:///d"),
    "an absolute file": (
        "DATABASE_URL",
        "sqlite:////tmp/a b.db",
        "database_url",
        "sqlite:////tmp/a b.db",
    ),
    "any free port": ("PORT", "0", "port", 0),
    "the highest port": ("PORT", "65535", "port", 65535),
    "level in small letters": ("LOG_LEVEL", "debug", "log_level", "DEBUG"),
    "format in capitals": ("LOG_FORMAT", "JSON", "log_format", "json"),
    "two keys": ("ACCESS_SECRET_KEYS", f" {KEY} , {KEY}2 ", "secret_keys", (KEY, KEY + "2")),
    "an empty value is none": ("HOST", "", "host", "127.0.0.1"),
}


@pytest.mark.parametrize(("name", "value", "attribute", "expected"), RIGHT.values(), ids=RIGHT)
def test_a_right_value_is_taken(name: str, value: str, attribute: str, expected: object) -> None:
    assert getattr(load(SOCKET | {name: value}), attribute) == expected


def test_no_secret_is_shown_when_settings_are_printed() -> None:
    got = load(SOCKET | HTTP | {"DATABASE_URL": "postgresql://u:hunter@h/d"})
    assert "hunter" not in repr(got) and KEY not in repr(got) and "xox" not in str(got)


# --- secrets in files


@pytest.mark.parametrize("name", [name for name, variable in VARIABLES.items() if variable.secret])
def test_every_secret_may_come_from_a_file(name: str, tmp_path: Path) -> None:
    values = SOCKET | HTTP | {"DATABASE_URL": "postgresql://u:p@h/d"}
    (tmp_path / "secret").write_text(values[name] + "\r\n")
    from_file = {key: value for key, value in values.items() if key != name} | {
        f"{name}_FILE": str(tmp_path / "secret")
    }
    attribute = VARIABLES[name].field
    assert getattr(load(from_file), attribute) == getattr(load(values), attribute)


def test_a_secret_that_is_set_twice_is_refused(tmp_path: Path) -> None:
    (found,) = errors_of(SOCKET | {"SLACK_BOT_TOKEN_FILE": str(tmp_path / "token")})
    twice = "is set, and so is SLACK_BOT_TOKEN_FILE: set only one of them"
    assert found == f"environment SLACK_BOT_TOKEN: {twice}"


BAD_FILES = {
    "missing": (None, "No such file or directory"),
    "empty": (b" \n", "it is empty"),
    "not text": (b"\xff\xfe", "it is not UTF-8"),
    "too big": (b"x" * 70_000, "it is too large for a secret"),
}


@pytest.mark.parametrize(("content", "problem"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_holds_no_secret_is_told_once(
    content: bytes | None, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    environ = {key: value for key, value in SOCKET.items() if key != "SLACK_BOT_TOKEN"}
    (found,) = errors_of(environ | {"SLACK_BOT_TOKEN_FILE": str(file)})
    assert found == f"environment SLACK_BOT_TOKEN_FILE: names a file that can't be used: {problem}"


# --- .env


def test_the_environment_goes_before_dotenv_and_neither_changes_the_other(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        f'PORT=4000\nHOST="0.0.0.0"  # all\nACCESS_SECRET_KEYS={KEY}$${{HOME}}\nUNUSED\n'
    )
    before = dict(os.environ)
    environ = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "PORT": "5000", "HOST": ""}
    got = load(environ, dotenv=str(file))
    assert (got.port, got.host) == (5000, "0.0.0.0")
    assert got.secret_keys == (KEY + "$${HOME}",), "a dollar sign in a key is only a dollar sign"
    assert dict(os.environ) == before


def test_a_port_of_a_platform_opens_every_address_and_one_of_dotenv_does_not(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text("PORT=4000\n")
    (tmp_path / "host.env").write_text("HOST=127.0.0.1\n")
    own, host = str(tmp_path / ".env"), str(tmp_path / "host.env")
    assert load(SOCKET, dotenv=own).host == "127.0.0.1"
    assert load(SOCKET | {"PORT": " "}, dotenv=own).host == "127.0.0.1"
    assert load(SOCKET | {"PORT": "5000"}, dotenv=own).host == "0.0.0.0"
    assert load(SOCKET | {"PORT": "5000"}, dotenv=host).host == "127.0.0.1"
    assert load(SOCKET | {"PORT": "5000", "HOST": "::1"}, dotenv=own).host == "::1"


def test_a_secret_of_the_environment_replaces_the_file_named_in_dotenv(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SLACK_BOT_TOKEN_FILE=/nowhere\n")
    assert load(SOCKET, dotenv=str(file)).slack_bot_token == SOCKET["SLACK_BOT_TOKEN"]


def test_roles_may_read_what_dotenv_says(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SHOP_ADMIN_SECRET=0123456789abcdef\n")
    assert load(SOCKET, dotenv=str(file)).environ["SHOP_ADMIN_SECRET"] == "0123456789abcdef"


def test_a_dotenv_that_is_not_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"A=\xff\xfe\n")
    assert errors_of(SOCKET, dotenv=str(file)) == [f"{file}: can't be read: it is not UTF-8"]


def test_a_dotenv_that_begins_with_the_mark_of_an_editor_is_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xef\xbb\xbfPORT=4000\n")
    assert load(SOCKET, dotenv=str(file)).port == 4000


def test_a_missing_dotenv_is_none(tmp_path: Path) -> None:
    assert load(SOCKET, dotenv=str(tmp_path / ".env")) == load(SOCKET)


def test_without_arguments_the_environment_of_this_process_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOG_FORMAT", "json")
    assert load_settings().log_format == "json"


# --- anything at all, and the words around it


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from([*VARIABLES, "SLACK_BOT_TOKEN_FILE"]), st.text()),
    st.sampled_from([*NEEDS, "x"]),
)
def test_no_environment_does_anything_but_give_settings_or_a_refusal(
    environ: dict[str, str], verb: str
) -> None:
    try:
        load(environ, verb)
    except ConfigError as error:
        assert error.problems and all(problem.text for problem in error.problems)


def test_postgresql_without_its_driver_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    (line,) = errors_of(SOCKET | {"DATABASE_URL": "postgresql://bot:hunter2@db/access"})
    assert (
        line
        == "environment DATABASE_URL: needs PostgreSQL's driver: pip install 'access-bot[postgres]'"
    )


def test_every_need_is_somebodys() -> None:
    assert {need for needs in NEEDS.values() for need in needs} == set(Need)


def test_the_example_lists_every_variable_with_a_line_about_it_and_nothing_else() -> None:
    lines = (REPOSITORY / ".env.example").read_text().splitlines()
    names = [line.partition("=")[0] for line in lines if line and not line.startswith("#")]
    roles = re.findall(r"^\w+\s*= \"\$\{(\w+)\}", (REPOSITORY / "roles.toml").read_text(), re.M)
    assert names == [*VARIABLES, *roles]
    ours = lines.index(f"{names[len(VARIABLES)]}=")
    assert all(
        lines[n - 1].startswith("# ") for n, line in enumerate(lines[:ours]) if line[:1].isupper()
    )


def test_the_defaults_in_the_example_are_those_of_the_code() -> None:
    lines = dict(
        line.split("=", 1)
        for line in (REPOSITORY / ".env.example").read_text().splitlines()
        if line[:1].isupper()
    )
    assert {name: lines[name] for name in VARIABLES} == {
        name: each.default for name, each in VARIABLES.items()
    }


def test_roles_toml_can_read_no_secret_of_the_bot_itself() -> None:
    # As what reads roles.toml knows no settings.
    assert {name for name, variable in VARIABLES.items() if variable.secret} == parse._OURS  # noqa: SLF001
