"""The problems of an invalid roles.toml, and their lines."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bot.config.roles.parse import load_policy, parse_policy
from bot.config.roles.toml_lines import key_lines, line_of
from bot.connectors import KINDS, OURS
from bot.core.errors import ConfigError
from tests.builders import ENVIRON, REPORTS_SECRET, SYSTEMS, policy_text
from tests.connectors.folder import FOLDER


def error_of(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_policy(text, "roles.toml", ENVIRON, KINDS)
    return str(caught.value)


ROLE_PROBLEMS = {
    "unknown key": (
        'approvrs = ["@x"]',
        'shop-admin.approvrs: unknown key; did you mean "approvers"?',
    ),
    "no requesters": ("requesters = []", "shop-admin.requesters: must not be empty"),
    "no approvers": ("approvers = []", "shop-admin.approvers: must not be empty"),
    "anybody decides": (
        'approvers = ["everyone"]',
        'approvers[0]: "everyone" is not allowed here',
    ),
    "anybody is pinged": ('notify = ["everyone"]', 'notify[0]: "everyone" is not allowed here'),
    "nobody": (
        'approvers = ["@sre", "ana"]',
        'shop-admin.approvers[1]: "ana" is not a person or group',
    ),
    "approvers is no list": ('approvers = "@sre"', "shop-admin.approvers: must be a list"),
    "unknown system": (
        'system = "shop-admn"',
        'there is no system "shop-admn"; did you mean "shop-admin"?',
    ),
    "both system and systems": ('systems = ["reports"]', "give exactly one of system and systems"),
    "no actions": ("actions = []", "shop-admin.actions: is required and must not be empty"),
    "an empty action": ('actions = [""]', "shop-admin.actions[0]: must not be empty"),
    "a long action": (
        f'actions = ["{"a" * 201}"]',
        "must have at most 200 characters, this has 201",
    ),
    "51 actions": (f"actions = {['a'] * 51}", "has too many entries: at most 50"),
    "a scope with a space": ('actions = ["orders read"]', '"orders read" is not a scope'),
    "a scope with a quote": ("actions = ['a\"b']", "is not a scope"),
    "no approvals": ("approvals = 0", "shop-admin.approvals: must be at least 1"),
    "eleven approvals": ("approvals = 11", "shop-admin.approvals: must be at most 10"),
    "approvals in quotes": ('approvals = "2"', "must be a whole number without quotes"),
    "approvals yes": ("approvals = true", "must be a whole number without quotes"),
    "a number as duration": (
        "max_duration = 3600",
        "shop-admin.max_duration: must be text in quotes",
    ),
    "a bad duration": ('max_duration = "-1h"', '"-1h" is not a duration; write for example 30m'),
    "no time": ('max_duration = "0m"', '"0m" is zero'),
    "over a year": ('max_duration = "366d"', '"366d" is longer than a year'),
    "absurd": ('pending_timeout = "999999h"', '"999999h" is too long'),
    "default above maximum": (
        'default_duration = "5h"',
        "shop-admin.default_duration: must not be longer than",
    ),
    "maximum above total": (
        'max_total = "3h"',
        "shop-admin.max_total: must not be shorter than max_duration",
    ),
    "a reminder too early": (
        'reminders = ["5m", "4h"]',
        "shop-admin.reminders[1]: must be shorter than",
    ),
    "not a regular expression": (
        "ticket = '(a'",
        'shop-admin.ticket: "(a" is not a regular expression',
    ),
    "an unbalanced one": ("ticket = 'a)|(b'", "is not a regular expression"),
    "look-ahead": ("ticket = '(?=a)a'", "look-around are not supported"),
    "a long ticket pattern": (
        f"ticket = '{'a' * 201}'",
        "shop-admin.ticket: must have at most 200 characters",
    ),
    "a long title": (f'title = "{"a" * 76}"', "shop-admin.title: must have at most 75 characters"),
    "a title of two lines": (r'title = "a\nb"', "shop-admin.title: must be one line"),
    "a reversing title": (r'title = "a\u202eb"', "shop-admin.title: must be one line"),
    "channel without #": ('channel = "general"', '"general" is not a channel'),
    "unknown risk": ('risk = "lo"', "shop-admin.risk: must be 'low', 'medium' or 'high'"),
    "renewal_approval in quotes": (
        'renewal_approval = "yes"',
        "must be true or false, without quotes",
    ),
}


@pytest.mark.parametrize(("lines", "problem"), ROLE_PROBLEMS.values(), ids=ROLE_PROBLEMS)
def test_a_wrong_role_is_told_with_file_line_and_key(lines: str, problem: str) -> None:
    text = policy_text(shop_admin=lines)
    found = error_of(text)
    assert problem in found
    assert len(found.splitlines()) == 1, found
    line = int(re.match(r"roles\.toml:(\d+) roles\.shop-admin", found).group(1))  # type: ignore[union-attr]
    key = lines.partition(" ")[0]
    assert text.splitlines()[line - 1].startswith((key, "[roles.shop-admin]", "system"))


REQUIRED = ["system", "actions", "requesters", "approvers"]


@pytest.mark.parametrize("key", REQUIRED)
def test_a_role_without_a_required_key_is_refused_at_its_table(key: str) -> None:
    text = "\n".join(line for line in policy_text().splitlines() if not line.startswith(f"{key} ="))
    found = error_of(text).splitlines()
    assert len(found) == 3
    assert all(
        f".{key}: " in line and ("required" in line or "exactly one" in line) for line in found
    )


FILE_PROBLEMS = {
    "empty": ("", "roles.toml: is empty"),
    "blank": (" \n\n", "roles.toml: is empty"),
    "only a comment": ("# nothing\n", "the [workspace] table is required"),
    "not TOML": ("[workspace]\nleads = [\n", "roles.toml: is not TOML"),
    "not TOML, with its line": ("[workspace]\nleads\n", "roles.toml:2: is not TOML: Expected '='"),
    "a key twice": ("[workspace]\n[workspace]\n", "roles.toml:2: is not TOML: Cannot declare"),
    "too big": ("#" * (1024 * 1024 + 1), "roles.toml: is too large: at most 1024 KiB"),
    "nested without end": ("a = " + "[" * 100_000, "roles.toml: is nested too deeply"),
    "a key of many parts": ("a" + ".a" * 3000 + " = 1", "roles.toml: is nested too deeply"),
    "a huge number": ("a = " + "9" * 5000, "roles.toml: is not TOML"),
    "no roles": ('[workspace]\nleads = ["@a"]\n', "roles.toml:1 roles: there are no roles"),
    "roles is a number": ("roles = 3", "roles.toml:1 roles: must be a table"),
    "a role is a number": ("[roles]\na = 3", "roles.toml:2 roles.a: must be a table"),
    "a system is a list": ("[systems]\na = [1]", "roles.toml:2 systems.a: must be a table"),
    "unknown table": (
        "[workspce]\n",
        'roles.toml:1 workspce: unknown key; did you mean "workspace"?',
    ),
    "a bad role name": ("[roles.Shop_Admin]\n", '"Shop_Admin" is not a name'),
    "a bad system name": (
        '[systems."a b"]\nconnector="gateway"',
        'systems."a b": "a b" is not a name',
    ),
    "no connector": (
        "[systems.a]\nsecret='x'",
        "systems.a.connector: is required: one of gateway, postgres",
    ),
    "unknown connector": (
        "[systems.a]\nconnector='gatway'",
        'a connector; did you mean "gateway"?',
    ),
    "no secret": ("[systems.a]\nconnector='gateway'", "roles.toml:1 systems.a.secret: is required"),
    "a time-stamp authority without its certificates": (
        '[workspace]\ntsa_url = "https://tsa.example.com"',
        "workspace.tsa_ca: is required beside tsa_url",
    ),
    "no leads": ("[workspace]\nleads = []", "workspace.leads: must not be empty"),
    "everybody leads": (
        "[workspace]\nleads = ['everyone']",
        'leads[0]: "everyone" is not allowed here',
    ),
    "unknown zone": ("[workspace]\ntimezone = 'Europe/Berln'", '"Europe/Berln" is not a time zone'),
    "a person without an address": ("[people.ana]\ngithub = 'ana'", '"ana" is not a person'),
    "an account of two people": (
        "[people.'a@b.cd']\ngithub = 'ana'\n[people.'b@b.cd']\ngithub = 'Ana'",
        '."b@b.cd".github: is another person\'s already',
    ),
    "a name that no connector reads": (
        "[people.'a@b.cd']\nokta = 'ana'",
        'roles.toml:2 people."a@b.cd".okta: no connector reads this name: github, kubernetes do',
    ),
    "a name elsewhere that is a number": (
        "[people.'a@b.cd']\ngithub = 3",
        '."a@b.cd".github: must be text',
    ),
}


@pytest.mark.parametrize(("text", "problem"), FILE_PROBLEMS.values(), ids=FILE_PROBLEMS)
def test_a_wrong_file_is_told_in_one_clear_line(text: str, problem: str) -> None:
    assert problem in error_of(text)


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    found = error_of(
        policy_text(
            shop_admin="approvals = 0", shop_deploy='riks = "low"', reports_read='system = "x"'
        )
    )
    places = [int(line.split(":")[1].split()[0]) for line in found.splitlines()]
    assert len(places) == 3 and places == sorted(places)


def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"[workspace]\n# caf\xe9\n")
    (tmp_path / "huge").write_bytes(b"\xe9" * (1024 * 1024 + 1))
    expected = {
        "missing": ": can't be read: No such file or directory",
        "": ": can't be read: Is a directory",
        "latin": ":2: is not UTF-8",
        "huge": ": is too large: at most 1024 KiB",
        "nul\0": ": can't be read: not a path",
    }
    for name, problem in expected.items():
        with pytest.raises(ConfigError) as caught:
            load_policy(str(tmp_path / name), ENVIRON, KINDS)
        assert str(caught.value).endswith(problem)


def test_a_huge_file_of_errors_is_told_shortly_and_soon() -> None:
    role = (
        "systm = 'x'\nsystem = 'y'\nrequesters = ['everyone']\napprovers = [\n '@a', # [\n"
        " '''[''',\n]\n"
    )
    text = "[workspace]\n" + "".join(f"[roles.r{number}]\n{role}" for number in range(9000))
    started = time.thread_time()
    problems = error_of(text).splitlines()
    assert len(problems) == 51
    assert re.fullmatch(r"roles\.toml: and \d+ more problems", problems[-1])
    assert time.thread_time() - started < 30


# --- settings of each kind of system


LATER = {
    "postgres": 'url = "postgresql://x"\naddress = "db"',
    "ssh": 'ca_key = "/k"\nprincipals = ["deploy"]\nforce_command = "x"',
    "aws": 'region = "r"\ninstance_arn = "a"\nidentity_store_id = "d"\naccount_id = "123456789012"',
    "webhook": 'url = "https://x"\nsecret = "0123456789abcdef"\ntimeout = "5s"',
    "command": 'argv = ["/bin/x"]\ntimeout = "5s"\nenv = { A = "b" }',
    "github": 'org = "o"\ntoken = "t"',
    "okta": 'url = "https://u"\ntoken = "t"',
    "kubernetes": 'server = "https://s"\ntoken = "t"\nca = "c"',
}

SETTINGS = {
    "a hook by http": (
        "webhook",
        'url = "http://x"\nsecret = "0123456789abcdef"',
        "url: the URL must begin with https",
    ),
    "a hook with a password": (
        "webhook",
        'url = "https://a:pa55word@x"\nsecret = "0123456789abcdef"',
        "url: the URL must not hold a user name or password",
    ),
    "a hook without a host": (
        "webhook",
        'url = "https:///x"\nsecret = "0123456789abcdef"',
        "url: the URL must begin",
    ),
    "a hook that may take an hour": (
        "webhook",
        'url = "https://x"\nsecret = "0123456789abcdef"\ntimeout = "1h"',
        "timeout: timeout must be at most 5m",
    ),
    "a relative program": (
        "command",
        'argv = ["bin/door"]',
        "argv: the first of argv must be an absolute path",
    ),
    "a variable that is two": (
        "command",
        'argv = ["/d"]\nenv = { "A=B" = "c" }',
        "env: a name in env must not",
    ),
    "a program with a NUL": (
        "command",
        'argv = ["/d", "\\u0000"]',
        "argv: argv and env must not hold a NUL",
    ),
    "an organisation's address": (
        "github",
        'org = "github.com/o"\ntoken = "t"',
        "org: org must be the organisation's",
    ),
    "a GitHub by http": (
        "github",
        'org = "o"\ntoken = "t"\nurl = "http://x"',
        "url: its URL must begin with https",
    ),
    "a token of two lines": (
        "github",
        'org = "o"\ntoken = "t\\nu"',
        "token: token must be visible ASCII",
    ),
    "an Okta without https": (
        "okta",
        'url = "x.okta.com"\ntoken = "t"',
        "url: the URL must begin with https",
    ),
    "a cluster with a query": (
        "kubernetes",
        'server = "https://s?x"\ntoken = "t"\nca = "c"',
        "server: its URL must",
    ),
    "a certificate for a path": (
        "kubernetes",
        'server = "https://s"\ntoken = "t"\nca = "-----BEGIN"',
        "ca: ca must be the path of a file",
    ),
    "a namespace with a space": (
        "kubernetes",
        'server = "https://s"\ntoken = "t"\nca = "c"\nnamespace = "a b"',
        "namespace: namespace must be",
    ),
    "a database by https": (
        "postgres",
        'url = "https://x"',
        "url: url has to begin with postgresql://",
    ),
}


@pytest.mark.parametrize(("connector", "settings", "problem"), SETTINGS.values(), ids=SETTINGS)
def test_settings_that_alone_are_wrong_are_told_with_their_place(
    connector: str, settings: str, problem: str
) -> None:
    found = error_of(
        policy_text(systems=f'{SYSTEMS}[systems.it]\nconnector = "{connector}"\n{settings}\n')
    )
    assert re.search(rf"^roles\.toml:\d+ systems\.it\.{re.escape(problem)}", found, re.MULTILINE), (
        found
    )
    assert "pa55word" not in found


NOT_READ = "${ is read only below [systems], [oncall], [tickets] and [[stream]]"
FILLED = {
    "title": ('title = "a ${REPORTS_SECRET}"', "shop-admin.title"),
    "description": ('description = """\n${REPORTS_SECRET}"""', "shop-admin.description"),
    "channel": ('channel = "#${REPORTS_SECRET}"', "shop-admin.channel"),
    "action": ('actions = ["a", "${REPORTS_SECRET}"]', "shop-admin.actions[1]"),
    "requester": ('requesters = ["${REPORTS_SECRET}"]', "shop-admin.requesters[0]"),
    "ticket": ("ticket = '^${REPORTS_SECRET}$'", "shop-admin.ticket"),
    "reason": ('risk_reason = "${REPORTS_SECRET}"', "shop-admin.risk_reason"),
    "name of a rule": (
        'auto_approve = [{name = "${REPORTS_SECRET}"}]',
        "shop-admin.auto_approve[0].name",
    ),
    "unset": ('title = "${NOPE}"', "shop-admin.title"),
    "the bot's own": ('title = "${ACCESS_SECRET_KEYS}"', "shop-admin.title"),
    "no name": ('title = "${a b}"', "shop-admin.title"),
    "open": ('title = "${NOPE"', "shop-admin.title"),
    "beside an escaped one": ('title = "$${A} ${NOPE}"', "shop-admin.title"),
}


@pytest.mark.parametrize(("line", "key"), FILLED.values(), ids=FILLED)
def test_a_role_can_t_show_what_the_environment_holds(line: str, key: str) -> None:
    text = policy_text(shop_admin=line)
    found = error_of(text)
    place = text.splitlines().index(line.partition("\n")[0]) + 1
    assert f"roles.toml:{place} roles.{key}: {NOT_READ}" in found
    assert REPORTS_SECRET not in found and found.count(f"roles.{key}:") == 1


ELSEWHERE = {
    "workspace": ('[workspace]\nsecurity_channel = "#${A}"', "workspace.security_channel", True),
    "people": (
        '[people."ana@example.com"]\ngithub = "${A}"',
        'people."ana@example.com".github',
        True,
    ),
    "bundles": ('[bundles.b]\ntitle = "${A}"', "bundles.b.title", True),
    "retention": ('[retention]\nlog = "${A}"', "retention.log", True),
    "systems": ('[systems.a]\nurl = "${A}"', "systems.a.url", False),
    "oncall": ('[oncall.b]\nical = "${A}"', "oncall.b.ical", False),
    "tickets": ('[tickets]\ntoken = "${A}"', "tickets.token", False),
    "stream": ('[[stream]]\nsecret = "${A}"', "stream[0].secret", False),
}


@pytest.mark.parametrize(("text", "key", "refused"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_the_environment_is_read_only_where_connections_are_set_up(
    text: str, key: str, refused: bool
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_policy(text, "roles.toml", {"A": "a"}, KINDS)
    assert (f"roles.toml:2 {key}: {NOT_READ}" in str(caught.value)) is refused


def test_a_key_is_never_filled_in() -> None:
    env = (
        '[systems.lab]\nconnector = "command"\nargv = ["/lab"]\nenv = { "${REPORTS_SECRET}" ='
        ' "x" }\n'
    )
    found = error_of(policy_text(systems=SYSTEMS + env))
    assert 'systems.lab.env."${REPORTS_SECRET}": ${ is not read in a key' in found


SETTING = {
    "a secret of ours": ("${ACCESS_SECRET_KEYS}", "ACCESS_SECRET_KEYS is the bot's own secret"),
    "unset variable": ("${NOPE}", "the environment variable NOPE is not set; a running bot reads"),
    "not a variable": ("${a b}", "${ needs the name of a variable and }"),
    "an open ${": ("${NOPE", "${ needs the name of a variable and }"),
}


@pytest.mark.parametrize(("value", "problem"), SETTING.values(), ids=SETTING)
def test_a_setting_that_can_t_be_filled_in_is_told(value: str, problem: str) -> None:
    okta = f'[systems.it]\nconnector = "okta"\nurl = "https://x"\ntoken = "{value}"\n'
    found = error_of(policy_text(systems=SYSTEMS + okta))
    assert f"systems.it.token: {problem}" in found


def test_a_secret_of_the_environment_is_in_no_problem_of_settings() -> None:
    text = policy_text(
        systems=SYSTEMS + '[systems.it]\nconnector = "okta"\nurl = "${U}"\ntoken = "t"\n'
    )
    with pytest.raises(ConfigError) as caught:
        parse_policy(text, "roles.toml", {**ENVIRON, "U": "s3cret.example.com"}, KINDS)
    assert "systems.it.url: the URL must begin" in str(caught.value) and "s3cret" not in str(
        caught.value
    )


def test_what_a_package_says_of_its_settings_has_its_line_beside_everything_else() -> None:
    def wrong(settings: Mapping[str, object]) -> list[tuple[str, str]]:
        return [("folder", "must be an absolute path")] if settings["folder"] == "here" else []

    lab = replace(FOLDER, wrong_settings=wrong)
    text = policy_text(
        systems=SYSTEMS + '[systems.it]\nconnector = "lab"\nfolder = "here"\n', s="approvals = 0"
    )
    with pytest.raises(ConfigError) as caught:
        parse_policy(text, "roles.toml", ENVIRON, {**KINDS, "lab": lab})
    assert "systems.it.folder: must be an absolute path" in str(
        caught.value
    ) and "approvals" in str(caught.value)


SSH = f'[systems.s]\nconnector = "ssh"\n{LATER["ssh"]}\n'
SSH_PROBLEMS = {
    "no principals": (SSH.replace('"deploy"', ""), "principals: must not be empty"),
    "a principal that is a list": (SSH.replace("deploy", "a,b"), '"a,b" is not a principal'),
    "a principal that is an option": (
        SSH.replace("deploy", "-oProxyCommand=x"),
        "is not a principal",
    ),
    "a key for a path": (
        SSH.replace('"/k"', "'-----BEGIN OPENSSH PRIVATE KEY-----'"),
        "never the key itself",
    ),
    "half a fingerprint": (SSH.replace("/k", "agent:SHA256:x"), "needs the whole fingerprint"),
    "an address that is an option": (SSH + 'address = "-oProxyCommand=x"', "is not an address"),
    "an address that is two": (SSH + 'address = "a b"', "is not an address"),
    "a command of two lines": (SSH.replace('"x"', '"x\\ny"'), "must be one line"),
    "a network with bits behind its mask": (
        SSH + 'source_address = "10.1.2.3/8"',
        "is not a list of addresses",
    ),
    "a source that is a name": (SSH + 'source_address = "office"', "is not a list of addresses"),
}


@pytest.mark.parametrize(("system", "problem"), SSH_PROBLEMS.values(), ids=SSH_PROBLEMS)
def test_a_wrong_ssh_system_is_told(system: str, problem: str) -> None:
    assert problem in error_of(policy_text(systems=SYSTEMS + system))


def test_the_actions_of_an_ssh_role_are_extensions_and_none_are_fine() -> None:
    role = 'system = "s"\nrequesters = ["everyone"]\napprovers = ["@a"]\n'
    systems = SYSTEMS + SSH.replace(
        '"x"', '"x"\nsource_address = "10.0.0.0/8, 192.0.2.7, 2001:db8::/32"'
    )
    policy = parse_policy(policy_text(systems=systems, s=role), "roles.toml", ENVIRON, KINDS)
    assert policy.roles["s"].actions == ()
    assert policy.systems["s"].settings["source_address"] == "10.0.0.0/8,192.0.2.7/32,2001:db8::/32"
    assert (
        parse_policy(
            policy_text(systems=systems, s=role + 'actions = ["pty"]'), "f", ENVIRON, KINDS
        )
        .roles["s"]
        .actions
    )
    wrong = error_of(policy_text(systems=systems, s=role + 'actions = ["PTY"]'))
    assert '"PTY" is not an extension of an SSH certificate' in wrong


def test_every_connector_has_an_example_here() -> None:
    assert set(LATER) | {"gateway"} == set(OURS)


@pytest.mark.parametrize("connector", LATER)
def test_a_valid_system_is_taken(connector: str) -> None:
    systems = SYSTEMS + f'\n[systems.new]\nconnector = "{connector}"\n{LATER[connector]}\n'
    policy = parse_policy(policy_text(systems=systems), "roles.toml", ENVIRON, KINDS)
    assert policy.systems["new"].connector == connector


ROLE = "[roles.reports-read"
RULE = "[[roles.reports-read.auto_approve]]\n"
DENY = "[[roles.reports-read.deny]]\n"
TIER = '[[roles.t.tiers]]\nname = "{}"\napprovers = ["@leads"]\n'
TIERED = '[roles.t]\nsystem = "reports"\nactions = ["a"]\nrequesters = ["everyone"]\n'
BUNDLE = '[bundles.b]\ntitle = "B"\nmax = "60d"\n[[bundles.b.stages]]\nafter = "0d"\n'
COMING_WRONG = {
    "a rule without a condition": (RULE + 'name = "r"', "auto_approve[0]: has no condition"),
    "a rule for everyone": (RULE + 'name = "r"\nmembers = ["everyone"]', "is not allowed here"),
    "a rule with a typo": (
        RULE + 'name = "r"\nquta = "3/week"',
        'quta: unknown key; did you mean "quota"?',
    ),
    "two rules of one name": (
        2 * (RULE + 'name = "r"\nquota = "3/week"\n'),
        "auto_approve[1].name: is the name of an earlier rule",
    ),
    "a rule for an unknown duty": (
        '[oncall.backend]\ngroup = "@o"\n' + RULE + 'name = "r"\non_call = "backed"',
        'there is no [oncall.backed]; did you mean "backend"?',
    ),
    "a rule for tickets that nobody looks up": (
        RULE + 'name = "r"\nticket = true',
        "needs a [tickets] table",
    ),
    "a rule without a ticket": (RULE + 'name = "r"\nticket = false', "must be True"),
    "a bad quota": (RULE + 'name = "r"\nquota = "0/week"', '"0/week" is not a quota'),
    "bad hours": (RULE + 'name = "r"\nhours = "Mon-Fri 8-19"', "is not hours like"),
    "hours without days": (RULE + 'name = "r"\nhours = "08:00-19:00"', "is not hours like"),
    "hours of no length": (RULE + 'name = "r"\nhours = "Mon 08:00-08:00"', "is not hours like"),
    "hours of 25": (RULE + 'name = "r"\nhours = "Mon 08:00-25:00"', "is not hours like"),
    "a denial without a condition": (
        DENY + 'name = "r"\nreason = "No."',
        "deny[0]: has no condition: give at least one of hours, members",
    ),
    "a denial without a reason": (DENY + 'name = "r"\nmembers = ["@c"]', "reason: is required"),
    "tiers beside approvers": (
        TIERED + 'approvers = ["@a"]\n' + TIER.format("a"),
        "roles.t.approvers: is given by each tier",
    ),
    "neither tiers nor approvers": (TIERED, "roles.t.approvers: is required"),
    "two tiers of one name": (
        TIERED + 2 * TIER.format("a"),
        "tiers[1].name: is the name of an earlier tier",
    ),
    "an escalation to everyone": (
        ROLE + '.escalation]\nafter = "1h"\napprovers = ["everyone"]',
        "is not allowed here",
    ),
    "an emergency for nobody": (
        "[roles.reports-read.emergency]\nmembers = []",
        "members: must not be empty",
    ),
    "an emergency without end": (
        '[roles.reports-read.emergency]\nmembers = ["@s"]',
        "max_duration: is required",
    ),
    "an emergency that is longer than the role": (
        '[roles.reports-read.emergency]\nmembers = ["@s"]\nmax_duration = "5w"',
        "must not be longer than the role's max_duration",
    ),
    "on call by nothing": ("[oncall.backend]", "give exactly one of group and ical"),
    "on call by two": (
        '[oncall.backend]\ngroup = "@o"\nical = "https://c.example.com"',
        "give exactly one of group and ical",
    ),
    "tickets of nobody's repositories": (
        '[tickets]\nkind = "github"\nurl = "https://github.com"',
        "tickets.url: must name the owner",
    ),
    "tickets behind a webhook without a secret": (
        '[tickets]\nkind = "webhook"\nurl = "https://hooks.example.com"',
        "tickets.token: is required",
    ),
    "a calendar without TLS": (
        '[oncall.backend]\nical = "http://cal.example.com/secret"',
        "oncall.backend.ical: must be an address that begins with https://",
    ),
    "a calendar over another protocol": (
        '[oncall.backend]\nical = "ftp://cal.example.com/secret"',
        "oncall.backend.ical: must be an address that begins with https://",
    ),
    "a log that is kept too short": (
        '[retention]\nlog = "90d"',
        'retention.log: "90d" is too short: at least 1y',
    ),
    "usage that is kept too short": ('[retention]\nusage = "1w"', "too short: at least 30d"),
    "a span in other years": ('[retention]\nusage = "six y"', '"six y" is not a duration'),
    "an unknown kind of data": (
        '[retention]\nusages = "6y"',
        "retention.usages: unknown key; did you",
    ),
    "one bracket around a stream": ('[stream]\nkind = "file"', "stream: must be written as [[str"),
    "a stream of an unknown kind": (
        '[[stream]]\nkind = "webhok"',
        'stream[0].kind: must be one of webhook, file, syslog; did you mean "webhook"?',
    ),
    "a stream without a secret": (
        '[[stream]]\nkind = "webhook"\nurl = "https://a.example"',
        "stream[0].secret: is required",
    ),
    "a stream in the clear": (
        '[[stream]]\nkind = "webhook"\nurl = "http://a.example"\nsecret = "0123456789abcdef"',
        "stream[0].url: must be an address that begins with https://",
    ),
    "a key of another kind of stream": (
        '[[stream]]\nkind = "file"\npath = "a"\nurl = "https://a.example"',
        "stream[0].url: unknown key",
    ),
    "a syslog stream without a port": (
        '[[stream]]\nkind = "syslog"\naddress = "siem.example.com"',
        "stream[0].address: must be a host and a port",
    ),
    "a certificate without TLS": (
        '[[stream]]\nkind = "syslog"\naddress = "siem:514"\ntls = false\nca = "ca.pem"',
        "stream[0].ca: is for TLS, which tls = false switches off",
    ),
    "two streams of one name": (
        '[[stream]]\nkind = "file"\npath = "a"\n[[stream]]\nkind = "file"\npath = "b"',
        "stream[1].name: is the name of an earlier stream",
    ),
    "no calendar": ('[oncall.backend]\nical = ""', "oncall.backend.ical: must not be empty"),
    "on call by a person": ('[oncall.backend]\ngroup = "U0ANN"', "must be a user group"),
    "tickets at an open address": (
        '[tickets]\nkind = "jira"\nurl = "http://acme.example.com"',
        "must be an address that begins with https://",
    ),
    "tickets of an unknown kind": ('[tickets]\nkind = "paper"\nurl = "https://a.example"', "kind"),
    "actions for a system that the role does not have": (
        TIERED.replace('actions = ["a"]', 'approvers = ["@a"]')
        + '[roles.t.actions]\nreports = ["a"]\nshop = ["b"]',
        "roles.t.actions.shop: is not a system of this role",
    ),
    "actions for some systems": (
        TIERED.replace('actions = ["a"]', 'approvers = ["@a"]').replace(
            'system = "reports"', 'systems = ["reports", "shop-admin"]'
        )
        + '[roles.t.actions]\nreports = ["a"]',
        'roles.t.actions: has no actions for "shop-admin"',
    ),
    "a bundle of an unknown role": (
        BUNDLE + 'roles = ["report-read"]\nduration = "1d"',
        'stages[0].roles[0]: there is no role "report-read"; did you mean "reports-read"?',
    ),
    "a bundle without stages": ('[bundles.b]\ntitle = "B"', "bundles.b.stages: is required"),
    "a stage of no length": (
        BUNDLE + 'roles = ["reports-read"]\nduration = "0d"',
        "is zero",
    ),
    "a stage without a length": (
        BUNDLE + 'roles = ["reports-read"]',
        "stages[0].duration: is required",
    ),
    "a stage of nothing": (BUNDLE, "gives nothing: it needs roles, may_ask or both"),
    "a stage after the end of the ramp": (
        BUNDLE.replace('"0d"', '"60d"') + 'may_ask = ["reports-read"]',
        "stages[0].after: must be before the ramp's end: max is 60d",
    ),
    "a stage that is longer than its role": (
        BUNDLE + 'roles = ["shop-admin"]\nduration = "5w"',
        "which is its max_duration",
    ),
    "a stage of high risk": (
        BUNDLE
        + 'roles = ["t"]\nduration = "1h"\n'
        + TIERED
        + 'approvers = ["@a"]\napprovals = 2\nrisk = "high"',
        "has a high risk, so a stage can't give it",
    ),
    "a stage of a role with a ticket": (
        BUNDLE
        + 'roles = ["t"]\nduration = "1h"\n'
        + TIERED
        + "approvers = [\"@a\"]\nticket = '^[A-Z]+-[0-9]+$'",
        "asks for a ticket, which a stage does not have",
    ),
}


def test_a_calendar_needs_the_packages_that_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.config.roles.rules.find_spec", lambda name: None)
    found = error_of(policy_text() + '\n[oncall.backend]\nical = "/srv/duty.ics"')
    assert "oncall.backend.ical: needs packages that are missing" in found


@pytest.mark.parametrize(("lines", "problem"), COMING_WRONG.values(), ids=COMING_WRONG)
def test_later_features_are_checked_in_full_already(lines: str, problem: str) -> None:
    assert problem in error_of(policy_text() + "\n" + lines)


# --- lines


LINES = r'''# a comment with ] and """
[a] # one
"quoted.key" = 1
b.c = [
  "x]", # [
  'y',
]
text = """
[not.a.table]
key = "no"
"""
literal = \'\'\'
z = 1\'\'\'\'
[[a.list]]
x = 1
[a.list.sub]
y = { p = 1, q = [1, 2] }
[[a.list]]
x = 2
[ "d" . 'e' ]
f = "\" # ["
g = 1'''.replace("\\'", "'")

PLACES = {
    ("a",): 2,
    ("a", "quoted.key"): 3,
    ("a", "b"): 4,
    ("a", "b", "c", 1): 4,
    ("a", "text"): 8,
    ("a", "literal"): 12,
    ("a", "list"): 14,
    ("a", "list", 0, "x"): 15,
    ("a", "list", 0, "sub", "y", "q", 1): 17,
    ("a", "list", 1): 18,
    ("a", "list", 1, "x"): 19,
    ("d", "e", "f"): 21,
    ("d", "e", "g"): 22,
    ("d", "e", "missing"): 20,
    ("missing",): 1,
}


@pytest.mark.parametrize(("path", "line"), PLACES.items(), ids=map(str, PLACES))
def test_a_key_is_found_on_the_line_where_it_is_written(
    path: tuple[str | int, ...], line: int
) -> None:
    assert line_of(path, key_lines(LINES)) == line
