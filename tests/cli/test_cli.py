"""Help, errors, prompts and the actor, as all commands have them, and the commands that set up the
bot."""

from __future__ import annotations

import ast
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest

from bot import doctor
from bot.cli import cli, common
from bot.cli.lazy import LazyCommand, loaded
from bot.config.roles.parse import REPORTED
from bot.core.audit import COLUMNS
from storage.database import Database
from tests.builders import policy_text
from tests.cli.conftest import Shop, run, run_process
from tests.factories import ANA

ROLE = (
    'system = "reports"\nactions = ["reports:read"]\nrequesters = ["everyone"]\napprovers ='
    ' ["@db-leads"]\n'
)
HEAVY = (
    "slack_sdk",
    "slack_bolt",
    "peewee",
    "pydantic",
    "uvicorn",
    "starlette",
    "apscheduler",
    "itsdangerous",
    "dotenv",
)


def verbs(
    group: click.Group = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), (verb := loaded(command))
        if isinstance(verb, click.Group):
            yield from verbs(verb, (*path, name))


# --- every verb


@pytest.mark.parametrize("path", [path for path, _ in verbs()], ids=" ".join)
def test_every_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    shown = run(*path, "--help")
    assert shown.exit_code == 0
    assert re.search(rf"Example:.*access-bot {path[0]}", shown.output, re.S)


def test_the_commands_are_those_that_scripts_depend_on() -> None:
    assert {" ".join(path) for path, verb in verbs() if not isinstance(verb, click.Group)} == {
        *(
            "init",
            "run",
            "web",
            "worker",
            "migrate",
            "check",
            "doctor",
            "keys new",
            "manifest",
            "panic",
            "resume",
        ),
        *(
            "systems list",
            "systems drift",
            "systems confirm-target",
            "accounts list",
            "accounts unlink",
        ),
        *("demo", "sandbox", "emergency", "policy explain", "policy diff"),
        *(f"onboarding {verb}" for verb in ("list", "start", "pause", "resume", "end")),
        *("grants list", "grants revoke", "requests list", "requests approve", "requests deny"),
        *("audit list", "audit export", "audit verify", "audit archive", "usage list"),
        *("backup", "restore", "people pseudonymise", "evidence", "flags list", "flags replay"),
        *(f"api-tokens {verb}" for verb in ("new", "list", "revoke")),
        *(f"reviews {verb}" for verb in ("list", "start", "show", "decide")),
    }


def test_help_imports_nothing_slow() -> None:
    script = (
        "import atexit, sys, bot.cli; sys.argv[1:] = ['--help']; atexit.register(lambda:"
        f" print([name for name in {HEAVY!r} if name in sys.modules])); bot.cli.main()"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    *help, imported = shown.stdout.splitlines()
    assert imported == "[]"
    assert [
        line.split()[0] for line in help[help.index("Commands:") + 1 :][: len(cli.commands)]
    ] == [*cli.commands]


ROOMS = [Path(common.__file__).parent, Path(doctor.__file__).parent]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_command_imports_at_the_top_of_its_module_and_nothing_of_storage(
    room: Path,
) -> None:
    for path in room.glob("*.py"):
        module = ast.parse(path.read_text())
        inner = [node for node in module.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        below = [each for node in inner for each in ast.walk(node)]
        assert not [each for each in below if isinstance(each, ast.Import | ast.ImportFrom)], path
        named = [each.module or "" for each in ast.walk(module) if isinstance(each, ast.ImportFrom)]
        assert not [name for name in named if name.split(".")[0] == "storage"], path


def test_the_list_of_commands_has_the_help_of_each() -> None:
    listed = {
        name: command for name, command in cli.commands.items() if isinstance(command, LazyCommand)
    }
    assert listed.keys() == cli.commands.keys()
    for name, command in listed.items():
        assert (command.load().help or "").startswith(command.help or "?"), name
    assert "..." not in run("--help").output.partition("Commands:")[2]


@pytest.mark.parametrize("words", [("usag",), ("systems", "drif")], ids=" ".join)
def test_a_mistyped_command_is_answered_with_the_right_one(words: tuple[str, ...]) -> None:
    shown = run(*words)
    assert shown.exit_code == 2
    assert f"Did you mean {'usage' if len(words) == 1 else 'drift'!r}?" in shown.stderr


def test_the_module_and_its_version_can_be_run_as_a_process() -> None:
    shown = run_process("--version")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("access-bot ")


@pytest.mark.parametrize("verb", ["run", "worker", "doctor"])
def test_without_any_settings_each_problem_is_one_line_and_the_exit_code_is_2(verb: str) -> None:
    shown = run(verb)
    assert shown.exit_code == 2
    lines = [line for line in shown.output.splitlines() if "environment" in line]
    assert [
        word for line in lines for word in ("SLACK_BOT_TOKEN", "ACCESS_SECRET_KEYS") if word in line
    ] == [
        "SLACK_BOT_TOKEN",
        "ACCESS_SECRET_KEYS",
    ]
    assert "Traceback" not in shown.output


WRITING = [
    ("grants", "list"),
    ("requests", "list"),
    ("usage", "list"),
    ("audit", "verify"),
    ("audit", "export"),
    ("panic", "--yes"),
    ("resume", "--yes"),
]


@pytest.mark.parametrize("words", WRITING, ids=" ".join)
def test_without_keys_a_command_says_so(
    words: tuple[str, ...], configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACCESS_SECRET_KEYS")
    shown = run(*words)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.startswith("environment ACCESS_SECRET_KEYS: is not set")
    assert ".env: is not in this folder" in shown.stderr
    (configured / ".env").touch()
    assert ".env" not in run(*words).stderr


@pytest.mark.parametrize("words", WRITING, ids=" ".join)
def test_a_missing_database_is_named_and_not_made(words: tuple[str, ...], configured: Path) -> None:
    shown = run(*words)
    assert shown.exit_code == 2
    assert (
        "the database access.db does not exist: create it with `access-bot migrate`" in shown.stderr
    )
    assert not (configured / "access.db").exists()


def test_a_schema_that_is_behind_is_refused(configured: Path) -> None:
    (configured / "access.db").touch()
    shown = run("grants", "list")
    assert shown.exit_code == 2
    assert "`access-bot migrate`" in shown.stderr


UNREACHABLE = {
    "no such server": "postgresql://bot:hunter2@127.0.0.1:1/access",
    "no such directory": "sqlite:////nowhere/at/all/access.db",
}


@pytest.mark.parametrize("url", UNREACHABLE.values(), ids=UNREACHABLE)
def test_a_database_out_of_reach_is_one_line_without_the_password(
    url: str, configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    for words in (("grants", "list"), ("migrate",), ("audit", "verify")):
        shown = run(*words)
        assert shown.exit_code == 2
        assert len(shown.stderr.splitlines()) == 1
        assert "hunter2" not in shown.output and "Traceback" not in shown.output


def test_a_bug_is_one_line_too(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("postgresql://bot:hunter2@db/access")

    monkeypatch.setattr(Database, "check_schema", broken)
    shown = run("grants", "list")
    assert shown.exit_code == 2
    assert shown.stderr.startswith("Unexpected RuntimeError: postgresql://[redacted]@db/access")


def test_an_interrupt_is_quiet_and_130(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Database, "check_schema", interrupted)
    shown = run("grants", "list")
    assert (shown.exit_code, shown.output) == (130, "")


def test_a_closed_pipe_is_quiet(shop: Shop) -> None:
    for _ in range(40):
        run("audit", "list")
    command = f"{sys.executable} -m bot audit export --format csv | head -1"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (shown.stdout.strip(), shown.stderr) == (",".join(COLUMNS), "")


# --- setting up


def test_check_needs_no_keys_and_shows_the_roles(
    configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACCESS_SECRET_KEYS")
    shown = run("check")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0] == "roles.toml is valid: 3 roles, 2 systems."
    assert re.split(r"  +", lines[3]) == [
        "shop-deploy",
        "shop-admin",
        "@engineers",
        "2 of @platform-leads, @sre",
        "4h",
    ]


def test_check_reports_every_problem_with_its_line(configured: Path) -> None:
    path = configured / "roles.toml"
    path.write_text(
        path.read_text().replace("approvals = 2", "aprovals = 2").replace('["@db-leads"]', "[]")
    )
    shown = run("check")
    assert (shown.exit_code, shown.stdout) == (2, "")
    problems = shown.stderr.splitlines()
    assert len(problems) == 3
    assert all(re.match(r"roles\.toml:\d+ roles\.", problem) for problem in problems)


def test_check_without_a_file_is_one_line() -> None:
    shown = run("check")
    assert (shown.exit_code, shown.stderr) == (
        2,
        "roles.toml: can't be read: No such file or directory\n",
    )


def test_migrate_brings_the_schema_up_once(configured: Path) -> None:
    first, second = run("migrate"), run("migrate")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout.startswith("Applied 0001_initial")
    assert second.stdout == "The schema is up to date.\n"
    assert run("grants", "list").stdout == "No grants.\n"


def test_no_other_account_may_read_a_database_that_the_bot_made(configured: Path) -> None:
    before = os.umask(0o022)
    try:
        assert run_process("migrate").returncode == 0
        with closing(Database("sqlite:///access.db")) as db, db.transaction():
            beside = {
                path.name: path.stat().st_mode & 0o777 for path in configured.glob("access.db*")
            }
    finally:
        os.umask(before)
    assert set(beside.values()) == {0o600} and len(beside) == 3, beside


def test_a_broad_role_is_a_warning_and_not_an_error(configured: Path) -> None:
    (configured / "roles.toml").write_text(
        policy_text(shop_admin='max_duration = "1h"\nactions = ["orders:*"]')
    )
    shown = run("check")
    assert shown.exit_code == 0
    (line,) = [
        line
        for line in shown.stdout.splitlines()
        if line.startswith("warning:") and "actions" in line
    ]
    wildcard = '"orders:*" is a wildcard: it also gives actions that are added later'
    assert f"roles.shop-admin.actions[0]: {wildcard}" in line
    assert line.endswith('(if meant: meant = { broad-action = "why" } in [roles.shop-admin])')


def test_of_many_warnings_check_shows_the_first_and_counts_the_others(configured: Path) -> None:
    roles = {f"role_{number}": f"{ROLE}max_renewals = 9" for number in range(60)}
    (configured / "roles.toml").write_text(policy_text(**roles))
    lines = run("check").stdout.splitlines()
    assert sum(line.startswith("warning:") for line in lines) == REPORTED
    assert re.fullmatch(r"and \d+ more warnings", lines[-1])


def test_a_new_key_is_long_and_different_each_time(
    configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (run("keys", "new").stdout.strip() for _ in range(2))
    assert len(first) >= 43 and first != second
    monkeypatch.setenv("ACCESS_SECRET_KEYS", f"{first},{second}")
    assert "ACCESS_SECRET_KEYS" not in run("grants", "list").stderr


def test_the_manifest_is_json_for_either_mode() -> None:
    socket = json.loads(run("manifest", "--mode", "socket").stdout)
    http = json.loads(
        run("manifest", "--mode", "http", "--url", "https://access.example.com").stdout
    )
    assert socket["settings"]["socket_mode_enabled"] and not http["settings"]["socket_mode_enabled"]
    assert "https://access.example.com/slack/events" in json.dumps(http)


@pytest.mark.parametrize(
    "words", [(), ("--mode", "http"), ("--mode", "http", "--url", "http://x"), ("--mode", "web")]
)
def test_a_manifest_that_slack_would_refuse_is_not_printed(words: tuple[str, ...]) -> None:
    shown = run("manifest", *words)
    assert (shown.exit_code, shown.stdout) == (2, "")


# --- questions

QUESTIONS = [
    ("panic",),
    ("resume",),
    ("grants", "revoke", "GRANT"),
    ("requests", "approve", "REQUEST"),
]


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_without_a_terminal_there_is_no_prompt_and_no_effect(
    words: tuple[str, ...], shop: Shop
) -> None:
    grant, request = shop.made.a_grant(), shop.ask("reports-read")
    before = shop.events()
    shown = run(
        *({"GRANT": grant.id, "REQUEST": request.id}.get(word, word) for word in words), typed="y\n"
    )
    assert shown.exit_code == 2
    assert "--yes" in shown.stderr
    assert shop.events() == before


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
@pytest.mark.parametrize(
    ("typed", "code"), [("n\n", 1), ("\n", 1), ("", 130)], ids=["no", "enter", "end of input"]
)
def test_only_yes_confirms(
    words: tuple[str, ...], typed: str, code: int, shop: Shop, at_terminal: None
) -> None:
    grant, request = shop.made.a_grant(), shop.ask("reports-read")
    before = shop.events()
    shown = run(
        *({"GRANT": grant.id, "REQUEST": request.id}.get(word, word) for word in words), typed=typed
    )
    assert shown.exit_code == code
    assert shop.events() == before


def test_a_yes_on_a_real_terminal_is_enough(shop: Shop) -> None:
    grant = shop.made.a_grant()
    ours, theirs = pty.openpty()
    bot = subprocess.Popen(
        [sys.executable, "-m", "bot", "grants", "revoke", grant.id],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(ours, b"y\n")
    out, err = bot.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert (bot.returncode, out) == (0, f"{grant.id} ended on shop-admin.\n")
    assert "has shop-admin until" in err and "Revoke it now?" in err


# --- the actor, and the limits of terminals


def test_the_actor_is_the_account_of_the_process_whatever_user_claims(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("LOGNAME", "somebody-else")
    assert re.fullmatch(r"os:[\w.@-]+", common.actor())
    assert common.actor() != "os:somebody-else"


def test_the_name_of_an_account_is_cleaned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(common, "_account", lambda: "a b\n\x1b[31m" + "x" * 99)
    assert re.fullmatch(r"os:[\w.@-]{1,64}", common.actor())


def test_a_terminal_that_cant_show_a_name_still_shows_the_list(shop: Shop) -> None:
    request = shop.ask(reason="more than 10 Ω")
    shown = run_process("requests", "list", env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert (shown.returncode, shown.stderr) == (0, "")
    assert request.id in shown.stdout and "more than 10 ?" in shown.stdout


def test_everything_is_the_same_on_postgresql(shop_on_postgresql: Shop) -> None:
    shop = shop_on_postgresql
    first, request = shop.made.a_grant(), shop.ask("reports-read")
    assert run("migrate").stdout == "The schema is up to date.\n"
    assert run("grants", "revoke", first.id, "--yes").stdout == f"{first.id} ended on shop-admin.\n"
    assert " is active until " in run("requests", "approve", request.id, "--yes").stdout
    assert "it ended 1 grant." in run("panic", "--user", ANA, "--yes").stdout
    assert run("grants", "list").stdout == "No grants.\n"
    assert len(run("requests", "list", "--state", "all", "--json").stdout.splitlines()) == 2
    assert run("usage", "list").exit_code == 0
    seqs = [json.loads(line)["seq"] for line in run("audit", "export").stdout.splitlines()]
    assert seqs == list(range(1, len(seqs) + 1))
    assert run("audit", "verify").exit_code == 0
