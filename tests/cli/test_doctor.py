"""`access-bot doctor` against a workspace that is as it should be, and one for everything that can
be wrong."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

from bot import connectors, doctor
from bot.doctor.slack import SKEW
from bot.sandbox import Sandbox, running_sandbox
from bot.slack.manifest import OPTIONAL, SCOPES
from storage import times
from storage.database import Database
from tests.bot_environment import bot_environment
from tests.builders import WORKSPACE, policy_text
from tests.cli.conftest import run, run_process
from tests.connectors import folder

LINE = re.compile(r"(ok   |warn |FAIL ) \S.*: \S.+")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(rate_limits=False) as running:
        yield running


@pytest.fixture
def installed(configured: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything is as it should be: settings, roles.toml, an up-to-date database, the app in its
    channels."""
    for name, value in bot_environment(sandbox.environment).items():
        monkeypatch.setenv(name, value)
    db = Database("sqlite:///access.db")
    db.migrate()
    db.close()
    (configured / "access.db").chmod(0o600)
    return configured


def bad(shown: Result) -> list[str]:
    """The findings that are not ok, after a check of the form of every line."""
    lines = shown.stdout.splitlines()
    assert all(LINE.fullmatch(line) for line in lines), shown.output
    assert shown.stderr == ""
    return [line for line in lines if not line.startswith("ok")]


def test_all_is_well_and_nothing_was_changed(installed: Path, sandbox: Sandbox) -> None:
    shown = run("doctor")
    assert (shown.exit_code, bad(shown)) == (0, [])
    for subject in (
        "environment",
        "roles.toml",
        "database",
        "audit log",
        "SLACK_BOT_TOKEN",
        "scopes",
        "channels",
    ):
        assert f"ok    {subject}: " in shown.stdout
    assert {call["method"] for call in sandbox.inspector.calls()} <= {
        "auth.test",
        "apps.connections.open",
        "conversations.list",
        "usergroups.list",
        "users.info",
        "users.list",
    }


def test_without_optional_scopes_it_says_what_to_do_instead(
    installed: Path, sandbox: Sandbox
) -> None:
    sandbox.admin.grant_scopes([scope for scope in SCOPES if scope not in OPTIONAL])
    text = (installed / "roles.toml").read_text().replace('"#access-security"', '"G0SECURITY"')
    (installed / "roles.toml").write_text(text)
    shown = run("doctor")
    (warning,) = bad(shown)
    assert warning.startswith("warn  channel G0SECURITY: can't be looked up: type /invite @access")
    assert "ok    scopes: files:write is optional and not granted: export the audit" in shown.stdout
    assert shown.exit_code == 0


def test_tokens_of_two_apps_are_reported(
    installed: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.call("set_app", id="A0OTHER")
    assert bad(run("doctor")) == [
        "FAIL  SLACK_APP_TOKEN: belongs to the app A0SANDBOX, but SLACK_BOT_TOKEN to A0OTHER: copy"
        " both from one app"
    ]


def test_it_is_the_same_as_a_process(installed: Path) -> None:
    shown = run_process("doctor")
    assert (shown.returncode, shown.stderr) == (0, "")


def test_every_connected_system_is_asked_and_named(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their connector comes with an installed package, and one of them hangs."""
    names = ("fine", "down", "hangs", "broad", "wrong")
    tables = "".join(folder.settings(name, tmp_path / name) for name in names)
    tables = tables.replace(f'"{tmp_path / "wrong"}"', '"relative"')
    tables += (
        tables[tables.index("[roles.broad]") :]
        .partition("[systems")[0]
        .replace(".broad]", ".more]")
    )
    (installed / "roles.toml").write_text(
        policy_text() + tables.replace('["in"]', '["out"]').replace("out", "in", 3)
    )
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / "down" / ".down").touch()
    (tmp_path / "hangs" / ".hang").touch()
    folder.install(tmp_path / "packages")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.setattr(doctor, "PATIENCE", 1.0)
    connectors.installed.cache_clear()
    try:
        shown = run("doctor")
    finally:
        (tmp_path / "hangs" / ".hang").unlink()
        monkeypatch.undo()
        connectors.installed.cache_clear()
    assert shown.exit_code == 1
    assert "ok    system fine: folder: answers, and can grant what its roles need" in shown.stdout
    assert bad(shown) == [
        "FAIL  system down: folder: the folder is locked",
        "FAIL  system hangs: folder: it has not answered within 1 s",
        "FAIL  system broad: folder: broad: out is nothing here",
        "FAIL  system broad: folder: more: out is nothing here",
        "FAIL  system wrong: folder: wrong can't be used: folder must be an absolute path",
    ]


def test_calendars_and_tickets_are_asked_and_named(installed: Path, tmp_path: Path) -> None:
    head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//EN\r\n"
    (tmp_path / "empty.ics").write_text(head + "END:VCALENDAR\r\n")
    shift = "BEGIN:VEVENT\r\nUID:1\r\nDTSTART:20200101T000000Z\r\nDURATION:P9000D\r\n"
    shift += "SUMMARY:ana@example.com\r\nEND:VEVENT\r\n"
    (tmp_path / "duty.ics").write_text(head + shift + "END:VCALENDAR\r\n")
    (tmp_path / "page.ics").write_text("<html>")
    names = ("duty", "empty", "page", "none")
    tables = "".join(f'[oncall.{name}]\nical = "{tmp_path / name}.ics"\n' for name in names)
    tickets = '[tickets]\nkind = "jira"\nurl = "http://127.0.0.1:1"\ntoken = "s3cret"\n'
    (installed / "roles.toml").write_text(f"{policy_text()}\n{tables}{tickets}")
    shown = run("doctor")
    assert (
        "ok    oncall.duty: the calendar can be read, and somebody is on call now" in shown.stdout
    )
    assert [line.partition(": ")[0] for line in bad(shown)] == [
        "warn  oncall.empty",
        "FAIL  oncall.page",
        "FAIL  oncall.none",
        "FAIL  tickets",
    ]
    assert "s3cret" not in shown.stdout


@pytest.mark.parametrize(
    ("folder", "said"),
    [(".", "ok    anchors: "), ("none", "FAIL  anchors: the folder {} does not exist")],
)
def test_an_anchor_file_that_can_t_be_written_is_named(
    installed: Path, tmp_path: Path, folder: str, said: str
) -> None:
    line = f'anchor_file = "{tmp_path / folder / "anchors"}"\n'
    (installed / "roles.toml").write_text(policy_text(workspace=WORKSPACE + line))
    assert said.format(tmp_path / folder) in run("doctor").stdout


def test_an_anchor_file_that_lost_anchors_is_named(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(installed / "anchors")
    workspace = WORKSPACE + f'anchor_file = "{path}"\n'
    (installed / "roles.toml").write_text(policy_text(workspace=workspace))
    lost = [(0, json.dumps({"seq": 7, "hash": "a" * 64, "why": "daily", "file": path}))]
    monkeypatch.setattr("storage.anchors.recorded", lambda _db: lost)
    shown = run("doctor")
    assert "FAIL  anchors: " in shown.stdout and shown.exit_code == 1
    assert "was deleted, emptied or shortened: it lacks 1 of 1 anchor" in shown.stdout


def test_http_mode_is_examined_too(
    installed: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLACK_APP_TOKEN")
    monkeypatch.setenv("SLACK_SIGNING_SECRET", sandbox.environment["SLACK_SIGNING_SECRET"])
    shown = run("doctor")
    assert (shown.exit_code, bad(shown)) == (0, [])
    assert "complete for HTTP mode" in shown.stdout


def nobody_counts(sandbox: Sandbox, leaver: str, guest: str) -> None:
    sandbox.admin.deactivate(sandbox.person(leaver).id)
    sandbox.admin.make_guest(sandbox.person(guest).id)


Break = Callable[[Sandbox], object]


def replace_channel(sandbox: Sandbox, archive: bool = False) -> str:
    """Gives #access-approvals another name, and a new channel its name."""
    if archive:
        sandbox.admin.archive("#access-approvals")
    sandbox.admin.rename("#access-approvals", "approvals-old")
    return sandbox.admin.create_channel("access-approvals", ["U0ACCESSBOT"])


TROUBLE: dict[str, tuple[Break, list[str]]] = {
    "missing scope": (
        lambda s: s.admin.grant_scopes([scope for scope in SCOPES if scope != "im:write"]),
        ["FAIL  scopes: im:write is missing; the bot needs it to send people direct messages"],
    ),
    "scope too many": (
        lambda s: s.admin.grant_scopes([*SCOPES, "channels:history"]),
        ["warn  scopes: channels:history: not needed"],
    ),
    "scope that the check itself needs": (
        lambda s: s.admin.grant_scopes([scope for scope in SCOPES if scope != "channels:read"]),
        [
            "FAIL  scopes: channels:read is missing",
            "FAIL  channels: could not be checked: it needs channels:read (missing_scope)",
        ],
    ),
    "private channel by name without the scope for it": (
        lambda s: s.admin.grant_scopes([scope for scope in SCOPES if scope not in OPTIONAL]),
        [
            "FAIL  channel #access-security: not found: create it, or name it by its id if it is"
            " private, because of groups:read"
        ],
    ),
    "not in a public channel": (
        lambda s: s.admin.remove_from_channel("#access-approvals"),
        ["FAIL  channel #access-approvals: the bot is not in it: type /invite @access there"],
    ),
    "not in a private channel": (
        lambda s: s.admin.remove_from_channel("#access-security"),
        [
            "FAIL  channel #access-security: not found: create it, or type /invite @access there if"
            " it is private"
        ],
    ),
    "archived channel": (
        lambda s: s.admin.archive("#access-approvals"),
        ["FAIL  channel #access-approvals: archived"],
    ),
    "archived channel that another one has replaced": (
        lambda s: replace_channel(s, archive=True),
        [],
    ),
    "channel that is to be shared": (
        lambda s: s.admin.set_channel("#access-approvals", is_ext_shared=True, is_archived=True),
        [
            "FAIL  channel #access-approvals: archived",
            "warn  channel #access-approvals: shared with another",
        ],
    ),
    "shared channel": (
        lambda s: s.admin.set_channel("#access-approvals", is_ext_shared=True),
        ["warn  channel #access-approvals: shared with another company"],
    ),
    "empty approver group": (
        lambda s: s.admin.set_group("@db-leads", []),
        [
            (
                "FAIL  roles.shop-admin.approvers: @db-leads: full members found: 0, needed: 1; no"
                " request can be approved"
            ),
            "FAIL  roles.reports-read.approvers: @db-leads: full members found: 0",
            "warn  people: @db-leads: no full member of the workspace",
        ],
    ),
    "approvers who don't count": (
        lambda s: nobody_counts(s, "ben", "gwen"),
        [
            "FAIL  roles.shop-admin.approvers: @db-leads: full members found: 0",
            "FAIL  roles.reports-read.approvers: @db-leads: full members found: 0",
            "warn  people: @db-leads",
        ],
    ),
    "fewer approvers than approvals": (
        lambda s: s.admin.set_group("@sre", [s.person("chiara").id]),
        [
            "FAIL  roles.shop-deploy.approvers: @platform-leads, @sre: full members found: 1,"
            " needed: 2"
        ],
    ),
    "group switched off": (
        lambda s: s.admin.disable_group("@platform-leads"),
        [
            "FAIL  workspace.leads: @platform-leads: no full member, so nobody can revoke",
            "FAIL  roles.shop-deploy.approvers: @platform-leads, @sre: full members found: 1",
            "warn  people: @platform-leads",
        ],
    ),
    "nobody may ask": (
        lambda s: s.admin.set_group("@engineers", []),
        [
            "warn  roles.shop-deploy.requesters: @engineers: nobody can request the role",
            "warn  people: @engineers",
        ],
    ),
    "token revoked": (
        lambda s: s.admin.revoke_tokens(s.environment["SLACK_BOT_TOKEN"]),
        ["FAIL  SLACK_BOT_TOKEN: Slack rejects it (token_revoked)"],
    ),
    "app token revoked": (
        lambda s: s.admin.revoke_tokens(s.environment["SLACK_APP_TOKEN"]),
        ["FAIL  SLACK_APP_TOKEN: Slack rejects it (token_revoked)"],
    ),
    "Slack is unwell": (
        lambda s: s.faults.http("*", 503),
        ["FAIL  Slack: Slack is unwell (503"],
    ),
    "Slack loses answers": (
        lambda s: s.faults.lost_answer("users.list"),
        ["FAIL  people: could not be checked: Slack's answer to users.list was lost"],
    ),
}


def test_ids_are_printed_for_what_roles_toml_names_otherwise(installed: Path) -> None:
    roles = installed / "roles.toml"
    roles.write_text(
        roles.read_text().replace('["@engineers"]', '["Ana@example.com", "S0ENGINEER"]')
    )
    (line,) = [line for line in run("doctor").stdout.splitlines() if line.startswith("ok    ids: ")]
    assert "@db-leads is S0DBLEADS, " in line and "Ana@example.com is U0ANASOUZA" in line
    assert "S0ENGINEER is" not in line


def test_a_handle_that_leads_to_another_group_is_named_and_its_new_id_is_not_recommended(
    installed: Path,
) -> None:
    with closing(Database("sqlite:///access.db")) as db, db.transaction():
        db.run("INSERT INTO key_values (key, value) VALUES ('bound @db-leads', 'S0EARLIER')")
    shown = run("doctor")
    (line,) = bad(shown)
    assert line.startswith(
        "FAIL  @db-leads: leads to S0DBLEADS now, but is bound to S0EARLIER: it gives nobody"
        " authority"
    )
    assert "@db-leads is" not in shown.stdout


def test_a_group_that_is_named_by_its_id_is_told_by_its_handle(
    installed: Path, sandbox: Sandbox
) -> None:
    roles = installed / "roles.toml"
    roles.write_text(roles.read_text().replace('["@engineers"]', '["S0ENGINEER"]'))
    sandbox.admin.set_group("@engineers", [])
    assert (
        "roles.shop-deploy.requesters: @engineers: nobody can request the role"
        in bad(run("doctor"))[0]
    )


def test_a_channel_that_the_bot_still_posts_to_although_another_has_its_name_is_named(
    installed: Path, sandbox: Sandbox
) -> None:
    with closing(Database("sqlite:///access.db")) as db, db.transaction():
        db.run(
            "INSERT INTO key_values (key, value) VALUES ('channel #access-approvals', 'C0APPROVAL')"
        )
    assert bad(run("doctor")) == []
    new = replace_channel(sandbox)
    shown = run("doctor")
    (line,) = bad(shown)
    assert line.startswith(
        f"FAIL  channel #access-approvals: is {new} now, but the bot still posts to C0APPROVAL: "
    )
    assert shown.exit_code == 1


def test_a_name_that_leads_nowhere_is_named_with_the_channel_still_in_use(
    installed: Path, sandbox: Sandbox
) -> None:
    with closing(Database("sqlite:///access.db")) as db, db.transaction():
        db.run(
            "INSERT INTO key_values (key, value) VALUES ('channel #access-approvals', 'C0APPROVAL')"
        )
    sandbox.admin.rename("#access-approvals", "renamed")
    (line,) = bad(run("doctor"))
    assert line.startswith("FAIL  channel #access-approvals: not found")
    assert line.endswith("(the bot still uses C0APPROVAL)")


@pytest.mark.parametrize(("break_it", "expected"), TROUBLE.values(), ids=TROUBLE)
def test_what_is_wrong_in_slack_is_named_with_what_to_do(
    break_it: Break, expected: list[str], installed: Path, sandbox: Sandbox
) -> None:
    break_it(sandbox)
    shown = run("doctor")
    found = bad(shown)
    assert [line[: len(start)] for line, start in zip(found, expected, strict=True)] == expected
    assert shown.exit_code == int(any(line.startswith("FAIL") for line in expected))


def test_a_pause_that_slack_asks_for_is_made(installed: Path, sandbox: Sandbox) -> None:
    sandbox.faults.rate_limited("users.list", retry_after=1, count=1)
    shown = run("doctor")
    assert (shown.exit_code, bad(shown)) == (0, [])


def test_slack_out_of_reach_is_one_line(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_API_URL", "http://127.0.0.1:1/api/")
    shown = run("doctor")
    (line,) = bad(shown)
    assert line.startswith("FAIL  Slack: Slack can't be reached")
    assert shown.exit_code == 1


def test_references_by_id_and_e_mail_are_looked_up_as_the_bot_does(
    installed: Path, sandbox: Sandbox
) -> None:
    ben, jon = sandbox.person("ben"), sandbox.person("jon")
    text = policy_text(
        workspace=WORKSPACE.replace('"#access-approvals"', '"C0APPROVAL"'),
        shop_admin=(
            f'approvers = ["{ben.id}", "S0DBLEADS", "Ben@Example.com"]\nnotify = ["{jon.id}",'
            ' "no@example.com"]'
        ),
    )
    (installed / "roles.toml").write_text(text)
    (line,) = bad(run("doctor"))
    assert line.startswith(
        f"warn  people: {jon.id}, no@example.com: no full member of the workspace"
    )


def test_a_channel_id_that_does_not_exist_is_named(installed: Path) -> None:
    (installed / "roles.toml").write_text(policy_text(shop_admin='channel = "C0NOWHERE"'))
    (line,) = bad(run("doctor"))
    assert line.startswith("FAIL  channel C0NOWHERE: not found")


@pytest.mark.parametrize(("skew", "way"), [(60, "ahead of"), (-60, "behind")])
def test_a_clock_that_is_off_is_told(
    skew: int, way: str, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [str(each) for each in doctor.examine(wall=lambda: time.time() + skew)]
    (line,) = [line for line in found if not line.startswith("ok")]
    assert re.match(rf"warn  clock: (59|60|61) s {way} Slack's", line)
    assert abs(skew) > SKEW


def test_a_clock_behind_the_newest_record_is_told(installed: Path) -> None:
    with closing(Database("sqlite:///access.db")) as db, db.transaction():
        times.mark(db, int(time.time()) + 2 * 3600 + 30)
    (line,) = bad(run("doctor"))
    assert re.match(
        r"FAIL  clock: 2h.* behind the newest record: set the clock and turn NTP on", line
    )


def test_bolts_own_variables_are_warned_of(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_CLIENT_ID", "1.2")
    monkeypatch.setenv("SLACK_CLIENT_SECRET", "hush-hush")
    shown = run("doctor")
    (line,) = bad(shown)
    assert line.startswith("warn  environment: SLACK_CLIENT_ID and SLACK_CLIENT_SECRET are set")
    assert "hush-hush" not in shown.output and shown.exit_code == 0


# --- database and configuration


def test_before_the_first_start_the_database_is_only_a_warning(installed: Path) -> None:
    (installed / "access.db").unlink()
    shown = run("doctor")
    (line,) = bad(shown)
    assert line.startswith("warn  database: access.db does not exist yet: `access-bot run`")
    assert shown.exit_code == 0 and not (installed / "access.db").exists()


def test_a_schema_that_is_behind_is_a_warning(installed: Path) -> None:
    (installed / "access.db").write_bytes(b"")
    (line,) = bad(run("doctor"))
    assert line.startswith("warn  database: The database is behind")


DATABASES = {
    "no directory": (
        "sqlite:////nowhere/access.db",
        "FAIL  database: the directory /nowhere does not exist",
    ),
    "no server": (
        "postgresql://bot:hunter2@127.0.0.1:1/access",
        "FAIL  database: The database does not answer",
    ),
}


@pytest.mark.parametrize(("url", "expected"), DATABASES.values(), ids=DATABASES)
def test_a_database_out_of_reach_fails(
    url: str, expected: str, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    shown = run("doctor")
    (line,) = bad(shown)
    assert line.startswith(expected) and "hunter2" not in line
    assert shown.exit_code == 1


def test_a_database_that_can_only_be_read_fails(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object) -> None:
        from bot.core.errors import StorageUnavailable

        raise StorageUnavailable("attempt to write a readonly database")

    monkeypatch.setattr(doctor, "check_writing", read_only)
    (line,) = bad(run("doctor"))
    assert line.startswith(
        "FAIL  database: The database does not answer (attempt to write a readonly database)"
    )


MODES = {
    "database": (
        "access.db",
        0o644,
        "warn  database: every account on this machine can read access.db (mode 0644)",
        0,
    ),
    "group": ("access.db", 0o660, "warn  database: its group can change access.db (mode 0660)", 0),
    "anybody's": (
        "access.db",
        0o666,
        "FAIL  database: every account on this machine can change access.db",
        1,
    ),
    "log": (
        "access.db-wal",
        0o604,
        "warn  database: every account on this machine can read access.db-wal",
        0,
    ),
    "environment": (
        ".env",
        0o644,
        "warn  .env: every account on this machine can read .env (mode 0644)",
        0,
    ),
    "key": (
        "keys",
        0o644,
        "warn  ACCESS_SECRET_KEYS_FILE: every account on this machine can read keys",
        0,
    ),
    "secret of a system": (
        "shop",
        0o644,
        "warn  SHOP_ADMIN_SECRET_FILE: every account on this machine can read shop",
        0,
    ),
    "roles": (
        "roles.toml",
        0o646,
        "FAIL  roles.toml: every account on this machine can change roles.toml",
        1,
    ),
}


@pytest.mark.parametrize(("name", "mode", "told", "code"), MODES.values(), ids=MODES)
def test_a_file_that_other_accounts_may_read_or_change_is_told_with_what_to_do(
    name: str, mode: int, told: str, code: int, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, file in (("ACCESS_SECRET_KEYS", "keys"), ("SHOP_ADMIN_SECRET", "shop")):
        (installed / file).write_text(os.environ[variable])
        (installed / file).chmod(0o640)  # its group may read it
        monkeypatch.delenv(variable)
        monkeypatch.setenv(f"{variable}_FILE", file)
    (installed / name).touch()
    (installed / name).chmod(mode)
    shown = run("doctor")
    (line,) = bad(shown)
    assert (
        line.startswith(told)
        and f"chmod {'o-w' if name == 'roles.toml' else '0600'} {name}" in line
    )
    assert shown.exit_code == code


def test_a_log_that_other_keys_have_sealed_fails(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("audit", "list").exit_code == 0
    assert "the newest record, 1, is sealed with one of the keys" in run("doctor").stdout
    monkeypatch.setenv("ACCESS_SECRET_KEYS", "another-key-0123456789-0123456789-0123")
    (line,) = bad(run("doctor"))
    assert line.startswith(
        "FAIL  audit log: the head, record 1, was sealed with a key that is not in"
    )


def test_the_doctor_leaves_nothing_in_the_database(installed: Path) -> None:
    run("doctor")
    db = Database("sqlite:///access.db")
    with db.reading():
        assert db.row("SELECT COUNT(*) FROM key_values WHERE key = 'doctor'") == (0,)
        assert db.row("SELECT COUNT(*) FROM audit") == (0,)
    db.close()


def test_configuration_errors_are_all_told_and_end_it_with_2(
    installed: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxp-not-a-bot")
    path = installed / "roles.toml"
    path.write_text(path.read_text().replace("approvals = 2", "aprovals = 2"))
    shown = run("doctor")
    first, second = bad(shown)
    assert first.startswith("FAIL  environment SLACK_BOT_TOKEN: must begin with xoxb-")
    assert re.match(r"FAIL  roles\.toml:\d+ roles\.shop-deploy\.aprovals: ", second)
    assert shown.exit_code == 2
    assert sandbox.inspector.calls() == []
