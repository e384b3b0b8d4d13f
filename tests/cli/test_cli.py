"""The verbs without Slack, on a real database: what they do, what they say, and how they end."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bot.cli import cli, common
from bot.connectors.gateway import Gateway
from bot.core.audit import COLUMNS
from bot.core.effects import Queue
from bot.core.model import GrantState, RequestState
from bot.operations.take_work import take_work
from storage import usage
from storage.database import Database
from tests.cli.conftest import Shop, run, run_process
from tests.worlds import ANA, BEN

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


def verbs(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, verb in group.commands.items():
        yield (*path, name), verb
        if isinstance(verb, click.Group):
            yield from verbs(verb, (*path, name))


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody is there to be asked."""
    for module in ("bot.cli.common", "bot.cli.requests"):
        monkeypatch.setattr(f"{module}.on_terminal", lambda: True)


# --- every verb


@pytest.mark.parametrize("path", [path for path, _ in verbs()], ids=" ".join)
def test_every_verb_explains_itself_with_an_example(path: tuple[str, ...]) -> None:
    shown = run(*path, "--help")
    assert shown.exit_code == 0
    assert re.search(rf"Example:.*access-bot {path[0]}", shown.output, re.S)


def test_help_imports_nothing_heavy_so_that_it_answers_at_once() -> None:
    script = f"import sys, bot.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_the_module_and_its_version_can_be_run_as_a_process() -> None:
    shown = run_process("--version")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("access-bot ")


@pytest.mark.parametrize("verb", ["run", "worker", "doctor"])
def test_without_any_settings_each_problem_is_one_line_and_the_exit_code_is_2(verb: str) -> None:
    shown = run(verb)
    assert shown.exit_code == 2
    lines = [line for line in shown.output.splitlines() if "environment" in line]
    assert [word for line in lines for word in ("SLACK_BOT_TOKEN", "ACCESS_SECRET_KEYS") if word in line] == [
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
def test_without_keys_a_verb_says_so(words: tuple[str, ...], configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCESS_SECRET_KEYS")
    shown = run(*words)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.startswith("environment ACCESS_SECRET_KEYS: is not set")


@pytest.mark.parametrize("words", WRITING, ids=" ".join)
def test_a_database_that_is_not_there_is_named_and_not_made(words: tuple[str, ...], configured: Path) -> None:
    shown = run(*words)
    assert shown.exit_code == 2
    assert "there is no database access.db: `access-bot migrate` makes one" in shown.stderr
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


def test_check_needs_no_keys_and_shows_the_roles(configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCESS_SECRET_KEYS")
    shown = run("check")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0] == "roles.toml is valid: 3 roles, 2 systems."
    assert re.split(r"  +", lines[3]) == ["shop-deploy", "shop-admin", "@engineers", "2 of @platform-leads, @sre", "4h"]


def test_check_tells_every_problem_with_its_line(configured: Path) -> None:
    path = configured / "roles.toml"
    path.write_text(path.read_text().replace("approvals = 2", "aprovals = 2").replace('["@db-leads"]', "[]"))
    shown = run("check")
    assert (shown.exit_code, shown.stdout) == (2, "")
    problems = shown.stderr.splitlines()
    assert len(problems) == 3
    assert all(re.match(r"roles\.toml:\d+ roles\.", problem) for problem in problems)


def test_check_without_a_file_is_one_line() -> None:
    shown = run("check")
    assert (shown.exit_code, shown.stderr) == (2, "roles.toml: can't be read: No such file or directory\n")


def test_migrate_brings_the_schema_up_once(configured: Path) -> None:
    first, second = run("migrate"), run("migrate")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout.startswith("Applied 0001_initial")
    assert second.stdout == "The schema is up to date.\n"
    assert run("grants", "list").stdout == "Nobody has any access.\n"


def test_a_new_key_is_long_and_another_one_each_time(configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (run("keys", "new").stdout.strip() for _ in range(2))
    assert len(first) >= 43 and first != second
    monkeypatch.setenv("ACCESS_SECRET_KEYS", f"{first},{second}")
    assert "ACCESS_SECRET_KEYS" not in run("grants", "list").stderr


def test_the_manifest_is_json_for_either_mode() -> None:
    socket = json.loads(run("manifest", "--mode", "socket").stdout)
    http = json.loads(run("manifest", "--mode", "http", "--url", "https://access.example.com").stdout)
    assert socket["settings"]["socket_mode_enabled"] and not http["settings"]["socket_mode_enabled"]
    assert "https://access.example.com/slack/events" in json.dumps(http)


@pytest.mark.parametrize("words", [(), ("--mode", "http"), ("--mode", "http", "--url", "http://x"), ("--mode", "web")])
def test_a_manifest_that_slack_would_refuse_is_not_printed(words: tuple[str, ...]) -> None:
    shown = run("manifest", *words)
    assert (shown.exit_code, shown.stdout) == (2, "")


# --- grants


def test_grants_are_listed_with_what_is_left(shop: Shop) -> None:
    grant = shop.made.a_grant(duration=1800 + 30)
    titles, row = run("grants", "list").stdout.splitlines()
    assert titles.split() == ["GRANT", "PERSON", "NAME", "ROLE", "SYSTEMS", "STATE", "STARTS", "ENDS", "LEFT"]
    assert row.startswith(f"{grant.id}  {ANA}")
    assert re.search(r"active .* UTC  in (29|30) min$", row)
    assert titles.index("LEFT") == row.rindex("in ")


def test_a_list_for_scripts_is_one_object_a_line(shop: Shop) -> None:
    grants = {shop.made.a_grant(role).id for role in ("shop-admin", "reports-read")}
    found = [json.loads(line) for line in run("grants", "list", "--json").stdout.splitlines()]
    assert {each["grant"] for each in found} == grants
    assert found[0]["state"] == "active" and re.fullmatch(r"[\d-]+T[\d:]+Z", found[0]["ends_at"])


def test_a_list_that_is_cut_says_so(shop: Shop) -> None:
    shop.made.a_grant("shop-admin"), shop.made.a_grant("reports-read")
    shown = run("grants", "list", "--limit", "1")
    assert len(shown.stdout.splitlines()) == 2
    assert shown.stderr == "These are the first 1; pass --limit for more.\n"


def test_revoke_ends_the_access_really_and_at_once(shop: Shop) -> None:
    grant = shop.made.a_grant()
    shown = run("grants", "revoke", grant.id, "--yes")
    assert (shown.exit_code, shown.stdout) == (0, f"{grant.id} ended on shop-admin.\n")
    ended = shop.made.grant(grant.id)
    assert (ended.state, ended.end_reason) == (GrantState.ENDED, "revoked")
    assert ended.end_by == common.actor()
    assert shop.said("grant:end:asked")


def test_revoke_says_which_system_has_not_confirmed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.cli.hands.PATIENCE", 0)
    monkeypatch.setattr(Gateway, "read_back", lambda self, order: True)
    grant = shop.made.a_grant()
    shown = run("grants", "revoke", grant.id, "--yes")
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"{grant.id} asked; shop-admin has not confirmed yet (shop-admin still has")
    assert shop.made.grant(grant.id).state is GrantState.ENDING


def test_revoke_waits_for_a_running_bot_that_has_the_end_in_hand(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot takes the row the moment it is committed, and finishes it while the command line waits."""
    grant, world = shop.made.a_grant(), shop.made.world

    def taken_by_the_bot(base: object) -> object:
        take_work(world, Queue.END, "the bot", 60, 10)
        return type("Hands", (), {"drain": lambda self, queue: 0})()

    monkeypatch.setattr("bot.cli.hands.build_hands", taken_by_the_bot)
    monkeypatch.setattr("time.sleep", lambda seconds: shop.made.close_gates(grant))
    assert run("grants", "revoke", grant.id, "--yes").stdout == f"{grant.id} ended on shop-admin.\n"


def test_a_start_that_waits_is_overtaken_by_its_end(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("bot.cli.hands.PATIENCE", 0)
        patch.setattr(Gateway, "read_back", lambda self, order: False)
        asked = shop.ask()
        shown = run("requests", "approve", asked.id, "--yes")
    assert "starting; shop-admin has not confirmed yet" in shown.stdout
    (line,) = run("grants", "list", "--json").stdout.splitlines()
    grant = json.loads(line)["grant"]
    assert run("grants", "revoke", grant, "--yes").stdout == f"{grant} ended on shop-admin.\n"


def test_what_is_not_held_cant_be_revoked(shop: Shop) -> None:
    shown = run("grants", "revoke", "gnothing")
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert "nothing to end" in shown.stderr
    assert shop.said("request:action:refused")


# --- questions

QUESTIONS = [("panic",), ("resume",), ("grants", "revoke", "GRANT"), ("requests", "approve", "REQUEST")]


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_without_a_terminal_nothing_is_asked_and_nothing_done(words: tuple[str, ...], shop: Shop) -> None:
    grant, request = shop.made.a_grant(), shop.ask("reports-read")
    before = shop.events()
    shown = run(*({"GRANT": grant.id, "REQUEST": request.id}.get(word, word) for word in words), typed="y\n")
    assert shown.exit_code == 2
    assert "--yes" in shown.stderr
    assert shop.events() == before


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
@pytest.mark.parametrize(("typed", "code"), [("n\n", 1), ("\n", 1), ("", 130)], ids=["no", "enter", "end of input"])
def test_only_yes_is_a_yes(words: tuple[str, ...], typed: str, code: int, shop: Shop, at_terminal: None) -> None:
    grant, request = shop.made.a_grant(), shop.ask("reports-read")
    before = shop.events()
    shown = run(*({"GRANT": grant.id, "REQUEST": request.id}.get(word, word) for word in words), typed=typed)
    assert shown.exit_code == code
    assert shop.events() == before


def test_a_yes_on_a_real_terminal_is_enough(shop: Shop) -> None:
    grant = shop.made.a_grant()
    ours, theirs = pty.openpty()
    bot = subprocess.Popen(
        [sys.executable, "-m", "bot", "grants", "revoke", grant.id],
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.write(ours, b"y\n")
    out, err = bot.communicate(timeout=60)
    os.close(ours), os.close(theirs)
    assert (bot.returncode, out) == (0, f"{grant.id} ended on shop-admin.\n")
    assert "has shop-admin until" in err and "End it now?" in err


# --- requests


def test_pending_requests_are_listed_with_what_was_typed_made_harmless(shop: Shop) -> None:
    request = shop.ask(reason="fix\x1b[2J \u202enow\nsecond line")
    shown = run("requests", "list").stdout
    assert shown.splitlines()[1].startswith(request.id)
    assert "fix?[2J ?now second line" in shown
    assert not {"\x1b", "\u202e"} & set(shown)


def test_requests_are_listed_by_state(shop: Shop) -> None:
    denied, pending = shop.ask("shop-admin"), shop.ask("reports-read")
    run("requests", "deny", denied.id, "--reason", "not today", "--yes")

    def listed(*words: str) -> set[str]:
        return {json.loads(line)["request"] for line in run("requests", "list", "--json", *words).stdout.splitlines()}

    assert listed() == {pending.id}
    assert listed("--state", "denied") == {denied.id}
    assert listed("--state", "all") == {denied.id, pending.id}
    assert run("requests", "list", "--state", "lapsed").stdout == "No request is lapsed.\n"
    assert run("requests", "list", "--state", "gone").exit_code == 2


def test_approve_gives_the_access_really(shop: Shop) -> None:
    request = shop.ask()
    shown = run("requests", "approve", request.id, "--yes")
    assert shown.exit_code == 0
    assert re.search(r"^Approved: g\w+, shop-admin for U0Ana, is active until .* UTC \(in (59|1)", shown.stdout)
    approved = shop.request(request.id)
    assert (approved.state, approved.decided_by) == (RequestState.APPROVED, common.actor())
    assert shop.said("request:vote:given", "request:approval:given")


def test_approve_tells_how_many_more_are_needed(shop: Shop) -> None:
    request = shop.ask("shop-deploy")
    shown = run("requests", "approve", request.id, "--yes")
    assert (shown.exit_code, shown.stdout) == (0, "Your approval counts: 1 of 2, 1 more needed.\n")
    assert shop.request(request.id).state is RequestState.PENDING


def test_approve_says_when_the_start_failed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.core.errors import SystemRefused

    def refuse(self: object, order: object) -> None:
        raise SystemRefused("no_such_shop")

    monkeypatch.setattr(Gateway, "grant", refuse)
    shown = run("requests", "approve", shop.ask().id, "--yes")
    assert shown.exit_code == 1
    assert "failed to start" in shown.stderr


def test_deny_needs_a_reason(shop: Shop) -> None:
    request = shop.ask()
    shown = run("requests", "deny", request.id, "--yes")
    assert (shown.exit_code, "--reason" in shown.stderr) == (2, True)
    assert shop.request(request.id).state is RequestState.PENDING


def test_deny_asks_for_the_reason_on_a_terminal(shop: Shop, at_terminal: None) -> None:
    request = shop.ask()
    shown = run("requests", "deny", request.id, typed="y\nuse the replica\n")
    assert shown.exit_code == 0
    denied = shop.request(request.id)
    assert (denied.state, denied.decision_reason) == (RequestState.DENIED, "use the replica")


@pytest.mark.parametrize("words", [("approve", "ID"), ("deny", "ID", "--reason", "no")], ids=["approve", "deny"])
def test_what_is_decided_stays_decided(words: tuple[str, ...], shop: Shop) -> None:
    request = shop.ask()
    run("requests", "deny", request.id, "--reason", "no", "--yes")
    shown = run("requests", *(request.id if word == "ID" else word for word in words), "--yes")
    assert shown.exit_code == 1
    assert shown.stderr.startswith(f"{request.id} is denied already, by {common.actor()} on ")


@pytest.mark.parametrize("words", [("approve", "rnone"), ("deny", "rnone", "--reason", "no")], ids=["approve", "deny"])
def test_a_request_that_does_not_exist_is_refused(words: tuple[str, ...], shop: Shop) -> None:
    shown = run("requests", *words)
    assert (shown.exit_code, shown.stderr) == (1, "This request does not exist.\n")


# --- panic


def test_panic_ends_everything_and_gives_nothing_new_until_resumed(shop: Shop) -> None:
    grants = [shop.made.a_grant("shop-admin"), shop.made.a_grant("reports-read")]
    waiting = shop.ask("shop-deploy")
    shown = run("panic", "--yes")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        "The panic switch is on for everything; it ended 2 grants.",
        "Nothing new is given until: access-bot resume",
    ]
    assert {shop.made.grant(grant.id).state for grant in grants} == {GrantState.ENDED}
    refused = run("requests", "approve", waiting.id, "--yes")
    assert (refused.exit_code, "panic switch" in refused.stderr) == (1, True)
    assert run("resume", "--yes").stdout == "The panic switch is off for everything.\n"
    assert run("requests", "approve", waiting.id, "--yes").exit_code == 0
    assert shop.said("panic:switch:on", "panic:switch:off")


@pytest.mark.parametrize("words", [("--role", "shop-admin"), ("--user", ANA), ("--user", "u0ana@example.com")])
def test_panic_can_be_for_one_role_or_one_person(words: tuple[str, str], shop: Shop) -> None:
    hit = shop.made.a_grant("shop-admin", ANA)
    spared = shop.made.a_grant("reports-read", BEN if words[0] == "--user" else ANA) if words[0] == "--role" else None
    shown = run("panic", *words, "--yes")
    assert shown.stdout.splitlines()[-1] == f"Nothing new is given until: access-bot resume {' '.join(words)}"
    assert shop.made.grant(hit.id).state is GrantState.ENDED
    assert spared is None or shop.made.grant(spared.id).state is GrantState.ACTIVE
    assert run("resume", *words, "--yes").exit_code == 0


def test_panic_names_what_has_not_confirmed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.cli.hands.PATIENCE", 0)
    monkeypatch.setattr(Gateway, "read_back", lambda self, order: True)
    grant = shop.made.a_grant()
    shown = run("panic", "--yes")
    assert shown.exit_code == 0
    assert f"{grant.id} asked; shop-admin has not confirmed yet" in shown.stdout


UNKNOWN = {
    "role": (("--role", "shop-amdin"), "There is no role “shop-amdin”; did you mean"),
    "id": (("--user", "U0NOBODY"), "Nobody with the Slack id U0NOBODY is known here"),
    "e-mail": (("--user", "x@example.com"), "Nobody with the e-mail x@example.com is known here"),
    "name": (("--user", "ana"), "“ana” is nobody: give a Slack id"),
    "handle": (("--user", "@ana"), "“@ana” is nobody: give a Slack id"),
}


@pytest.mark.parametrize(("words", "said"), UNKNOWN.values(), ids=UNKNOWN)
def test_panic_for_somebody_unknown_is_refused_instead_of_ending_nothing(
    words: tuple[str, str], said: str, shop: Shop
) -> None:
    shown = run("panic", *words, "--yes")
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.startswith(said)


def test_resume_of_what_is_not_on_is_told(shop: Shop) -> None:
    shown = run("resume", "--role", "shop-admin", "--yes")
    assert (shown.exit_code, shown.stderr.startswith("No panic switch is on for everything of role shop")) == (1, True)


def test_everything_is_the_same_on_postgresql(shop_on_postgresql: Shop) -> None:
    shop = shop_on_postgresql
    first, request = shop.made.a_grant(), shop.ask("reports-read")
    assert run("migrate").stdout == "The schema is up to date.\n"
    assert run("grants", "revoke", first.id, "--yes").stdout == f"{first.id} ended on shop-admin.\n"
    assert " is active until " in run("requests", "approve", request.id, "--yes").stdout
    assert "it ended 1 grant." in run("panic", "--user", ANA, "--yes").stdout
    assert run("grants", "list").stdout == "Nobody has any access.\n"
    assert len(run("requests", "list", "--state", "all", "--json").stdout.splitlines()) == 2
    assert run("usage", "list").exit_code == 0
    seqs = [json.loads(line)["seq"] for line in run("audit", "export").stdout.splitlines()]
    assert seqs == list(range(1, len(seqs) + 1))
    assert run("audit", "verify").exit_code == 0


# --- usage and audit


def test_usage_is_listed_by_minute(shop: Shop) -> None:
    grant, now = shop.made.a_grant(), shop.made.clock.at
    db = shop.made.world.db
    with db.transaction():
        usage.add(db, [usage.Count(grant.id, "shop-admin", "192.0.2.7", now - now % 60, "allowed", 3, now)])
    assert re.search(rf"{grant.id}  shop-admin  192\.0\.2\.7  .* UTC  allowed  3$", run("usage", "list").stdout, re.M)
    (line,) = run("usage", "list", "--grant", grant.id, "--json").stdout.splitlines()
    assert json.loads(line)["checks"] == 3
    assert run("usage", "list", "--grant", "gother").stdout == "Nothing was used.\n"


def test_the_audit_log_is_read_page_by_page_and_the_looking_is_in_it(shop: Shop) -> None:
    shop.made.a_grant()
    first = run("audit", "list", "--limit", "2", "--json")
    newest = [json.loads(line)["seq"] for line in first.stdout.splitlines()]
    assert newest == [newest[0], newest[0] - 1]
    assert first.stderr == f"There are older ones: --before {newest[-1]}\n"
    older = run("audit", "list", "--limit", "2", "--json", "--before", str(newest[-1]))
    assert [json.loads(line)["seq"] for line in older.stdout.splitlines()] == [newest[0] - 2, newest[0] - 3]
    assert shop.said("audit:log:read")


FILTERS = {
    "user by id": (("--user", BEN), {"request:vote:given", "request:approval:given"}),
    "user by e-mail": (("--user", "U0BEN@example.com"), {"request:vote:given", "request:approval:given"}),
    "system": (("--user", "system"), {"grant:access:started"}),
    "event": (("--event", "grant:access:started"), {"grant:access:started"}),
    "beginning of events": (("--event", "request:v"), {"request:vote:given"}),
    "role": (("--role", "nothing"), set()),
    "since": (("--since", "1h", "--event", "grant"), {"grant:access:started"}),
    "until": (("--until", "1h"), set()),
    "a day": (("--until", "2020-01-01"), set()),
    "request": (("--request", "rother"), set()),
    "grant": (("--grant", "gother"), set()),
}


@pytest.mark.parametrize(("words", "events"), FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("verb", [("list", "--json"), ("export",)], ids=["list", "export"])
def test_the_audit_log_can_be_filtered(
    verb: tuple[str, ...], words: tuple[str, ...], events: set[str], shop: Shop
) -> None:
    shop.made.a_grant()
    shown = run("audit", *verb, *words)
    found = {json.loads(line)["event"] for line in shown.stdout.splitlines() if line.startswith("{")}
    assert shown.exit_code == 0
    assert found == events


WRONG = {
    "event": ("--event", "grants", "No event is called “grants”"),
    "since": ("--since", "yesterday", "`yesterday` is no moment"),
    "until": ("--until", "-1h", "`-1h` is not a duration"),
    "user": ("--user", "x@example.com", "Nobody with the e-mail"),
}


@pytest.mark.parametrize(("option", "value", "said"), WRONG.values(), ids=WRONG)
def test_a_filter_that_can_mean_nothing_is_refused(option: str, value: str, said: str, shop: Shop) -> None:
    shown = run("audit", "list", option, value)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.startswith(said)


def test_an_export_is_the_whole_log_oldest_first_in_either_format(shop: Shop) -> None:
    shop.ask(reason='=HYPERLINK("x") ü')
    lines = [json.loads(line) for line in run("audit", "export").stdout.splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert list(lines[0]) == COLUMNS
    rows = list(csv.DictReader(io.StringIO(run("audit", "export", "--format", "csv").stdout, newline="")))
    assert len(rows) == len(lines) + 1  # the first export is in the second
    reason = COLUMNS.index("reason")
    assert lines[0][COLUMNS[reason]] == '=HYPERLINK("x") ü'
    assert rows[0]["reason"] == '\'=HYPERLINK("x") ü'
    assert shop.said("audit:log:exported")


def test_an_export_as_a_process_is_utf_8_and_silent_whatever_the_locale_is(shop: Shop) -> None:
    shop.ask(reason="für Grüße")
    shown = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-m", "bot", "audit", "export"],
        capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert "für Grüße" in shown.stdout.decode()


@pytest.mark.parametrize("verb", [("export",), ("verify",)], ids=" ".join)
def test_progress_is_told_on_a_terminal_only(verb: tuple[str, ...], shop: Shop) -> None:
    shop.ask()
    ours, theirs = pty.openpty()
    shown = subprocess.run(
        [sys.executable, "-m", "bot", "audit", *verb], stdout=subprocess.PIPE, stderr=theirs, text=True
    )
    os.close(theirs)
    assert shown.returncode == 0 and "\r" not in shown.stdout
    assert re.search(r"\r\d of \d records\r\n$", os.read(ours, 1000).decode())
    os.close(ours)


def test_a_terminal_that_cant_show_a_name_still_shows_the_list(shop: Shop) -> None:
    request = shop.ask(reason="more than 10 Ω")
    shown = run_process("requests", "list", env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert (shown.returncode, shown.stderr) == (0, "")
    assert request.id in shown.stdout and "more than 10 ?" in shown.stdout


def test_an_intact_chain_is_0_and_that_it_was_checked_is_on_record(shop: Shop) -> None:
    shop.made.a_grant()
    shown = run("audit", "verify")
    assert shown.exit_code == 0
    assert re.match(r"The audit log is intact: \d+ records, head [0-9a-f]{64}\.", shown.stdout)
    assert shop.said("audit:log:verified")


def test_a_broken_chain_is_1_and_names_the_first_record(shop: Shop) -> None:
    shop.made.a_grant()
    db = shop.made.world.db
    with db.transaction():
        for (name,) in db.rows("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"):
            db.run(f"DROP TRIGGER {name}")
        db.run("UPDATE audit SET actor = 'U0EVE' WHERE seq = 2")
    before = len(shop.events())
    shown = run("audit", "verify")
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert shown.stderr.startswith("The audit log is BROKEN at record 2: ")
    assert len(shop.events()) == before


def test_a_chain_that_cant_be_read_is_2(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    db = shop.made.world.db
    with db.transaction():
        db.run("ALTER TABLE audit_head RENAME TO elsewhere")
    shown = run("audit", "verify")
    assert shown.exit_code == 2
    assert "Traceback" not in shown.output


def test_the_actor_is_the_account_of_the_process_whatever_user_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("LOGNAME", "somebody-else")
    assert re.fullmatch(r"os:[\w.@-]+", common.actor())
    assert common.actor() != "os:somebody-else"


def test_an_account_with_a_strange_name_cant_write_anything_strange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "_account", lambda: "a b\n\x1b[31m" + "x" * 99)
    assert re.fullmatch(r"os:[\w.@-]{1,64}", common.actor())
