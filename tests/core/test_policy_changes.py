"""The reported differences between two roles.toml, and those that loosen the rules."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.core.policy_changes import changes, summary
from bot.core.roles import Workspace
from bot.core.streams import MIB, FileStream, Stream, SyslogStream, WebhookStream
from bot.core.weekly import parse_weekly
from bot.core.working_hours import parse_daily
from bot.operations.policy.record_policy import RECORDED
from tests.builders import ENVIRON, SYSTEMS, WORKSPACE, policy_text

BASE = """
approvals = 2
max_duration = "4h"
max_renewals = 2
max_total = "8h"
renewal_approval = true
pending_timeout = "8h"
ticket = '^A-\\d+$'
risk = "medium"
approvers = ["@db-leads", "@sre"]
requesters = ["@engineers"]
"""

ROLE = {
    "fewer approvals": ("approvals = 1", "approvals: was 2, is 1", True),
    "more approvals": ("approvals = 3", "approvals: was 2, is 3", False),
    "another approver": (
        'approvers = ["@db-leads", "@sre", "@new"]',
        "approvers: added @new",
        True,
    ),
    "another approver instead": (
        'approvers = ["@new", "@sre"]',
        "approvers: added @new; removed @db-leads",
        True,
    ),
    "an approver less": ('approvers = ["@sre"]', "approvers: removed @db-leads", False),
    "everybody may ask": (
        'requesters = ["everyone"]',
        "requesters: added everyone; removed @engineers",
        True,
    ),
    "an action more": (
        'actions = ["orders:read", "orders:refund", "orders:write"]',
        "actions: added orders:write",
        True,
    ),
    "an action less": ('actions = ["orders:read"]', "actions: removed orders:refund", False),
    "another system": (
        'systems = ["shop-admin", "reports"]\nsystem = "x"',
        "systems: added reports",
        True,
    ),
    "a longer maximum": ('max_duration = "5h"', "max_duration: was 4h, is 5h", True),
    "a shorter maximum": ('max_duration = "3h"', "max_duration: was 4h, is 3h", False),
    "a longer total": ('max_total = "9h"', "max_total: was 8h, is 9h", True),
    "more renewals": ("max_renewals = 3", "max_renewals: was 2, is 3", True),
    "renewals alone": ("renewal_approval = false", "renewal_approval: was true, is false", True),
    "no ticket": ("ticket = '.*'", r"ticket: was ^A-\d+$, is .*", True),
    "a lower risk": ('risk = "low"', "risk: was medium, is low", True),
    "a longer wait": ('pending_timeout = "9h"', "pending_timeout: was 8h, is 9h", True),
    "another channel": ('channel = "#c"', "channel: was #access-approvals, is #c", False),
    "another default": ('default_duration = "2h"', "default_duration: was 1h, is 2h", False),
}


def compared(
    before: str, after: str, environ: dict[str, str] | None = None
) -> list[tuple[str, bool]]:
    """The changes that are found if the first of the two was stored as JSON."""
    old = summary(parse_policy(before, "roles.toml", ENVIRON, KINDS))
    new = summary(parse_policy(after, "roles.toml", environ or ENVIRON, KINDS))
    return [(str(each), each.loosens) for each in changes(json.loads(json.dumps(old)), new)]


@pytest.mark.parametrize(("line", "text", "loosens"), ROLE.values(), ids=ROLE)
def test_a_change_of_a_role_is_reported_as_looser_or_not(
    line: str, text: str, loosens: bool
) -> None:
    key = line.partition(" ")[0]
    kept = "\n".join(each for each in BASE.splitlines() if each.partition(" ")[0] != key)
    after = policy_text(shop_admin=f"{kept}\n{line}").replace('system = "x"\n', "")
    found = compared(policy_text(shop_admin=BASE), after)
    assert found == [(f"roles.shop-admin.{text}", loosens)]


def test_a_ticket_that_is_no_longer_needed_is_looser_and_a_new_one_is_not() -> None:
    without, asked = policy_text(), policy_text(shop_admin="ticket = 'A'")
    assert compared(asked, without) == [("roles.shop-admin.ticket: was A, is none", True)]
    assert compared(without, asked) == [("roles.shop-admin.ticket: was none, is A", False)]


def test_a_group_in_the_place_of_everyone_is_not_looser() -> None:
    everyone, group = (
        policy_text(reports_read=f'requesters = ["{each}"]') for each in ("everyone", "@sre")
    )
    change = "roles.reports-read.requesters: added {}; removed {}"
    assert compared(everyone, group) == [(change.format("@sre", "everyone"), False)]
    assert compared(group, everyone) == [(change.format("everyone", "@sre"), True)]


def test_looser_changes_come_first() -> None:
    after = policy_text(
        shop_admin='channel = "#c"', reports_read='approvers = ["@db-leads", "@new"]'
    )
    assert [loosens for _, loosens in compared(policy_text(), after)] == [True, False]


def test_flagged_changes_are_not_cut_off_after_many_others() -> None:
    def many(timeout: str, approvals: int) -> str:
        waits = f'pending_timeout = "{timeout}"\n'
        roles = "".join(
            f'[roles.r{n}]\nsystem = "shop-admin"\nactions = ["a"]\napprovers = ["@db-leads"]\n'
            f'requesters = ["@engineers"]\nmax_duration = "1h"\n{waits}'
            for n in range(RECORDED + 1)
        )
        return f"{policy_text()}\n{roles}risk = 'medium'\napprovals = {approvals}\n"

    assert compared(many("1h", 2), many("2h", 1))[0] == (
        f"roles.r{RECORDED}.approvals: was 2, is 1",
        True,
    )


def test_a_change_of_words_or_order_is_not_reported() -> None:
    before = policy_text(shop_admin='approvers = ["@a", "@b"]')
    assert (
        compared(
            before, "# more\n" + policy_text(shop_admin='title = "T"\napprovers = ["@b", "@a"]')
        )
        == []
    )


def test_a_new_role_is_looser_and_says_for_whom_and_a_removed_one_is_not() -> None:
    role = (
        '\n[roles.new]\nsystem = "reports"\nactions = ["a"]\nrequesters = ["everyone"]\napprovers ='
        ' ["@sre"]\n'
    )
    after = policy_text() + role + 'max_duration = "2h"\n'
    assert compared(policy_text(), after) == [
        ("roles.new: is new, for everyone; 1 approval from @sre, at most 2h", True)
    ]
    assert compared(after, policy_text()) == [("roles.new: was removed", False)]


WORKSPACES = {
    "a lead more": (
        'leads = ["@platform-leads"]',
        'leads = ["@platform-leads", "U0EVE"]',
        "leads: added U0EVE",
        True,
    ),
    "watched elsewhere": (
        "#access-security",
        "#quiet",
        "security_channel: was #access-security, is #quiet",
        True,
    ),
    "asked elsewhere": ("Europe/Berlin", "UTC", "timezone: was Europe/Berlin, is UTC", False),
}


@pytest.mark.parametrize(("old", "new", "text", "loosens"), WORKSPACES.values(), ids=WORKSPACES)
def test_a_change_of_the_workspace_is_reported_as_looser_or_not(
    old: str, new: str, text: str, loosens: bool
) -> None:
    found = compared(policy_text(), policy_text(workspace=WORKSPACE.replace(old, new)))
    assert found == [(f"workspace.{text}", loosens)]


HOURS = {
    "of an approval": '[[roles.{}.auto_approve]]\nname = "r"\nhours = "Mon 08:00-19:00"\n',
    "of a denial": '[[roles.{}.deny]]\nname = "r"\nhours = "Mon 08:00-19:00"\nreason = "No."\n',
    "of no rule": '[[roles.{}.auto_approve]]\nname = "r"\nmembers = ["@sre"]\n',
}


@pytest.mark.parametrize("rule", HOURS)
def test_another_timezone_loosens_where_rules_have_hours(rule: str) -> None:
    role = HOURS[rule].format("shop-admin")
    before = policy_text(shop_admin=role)
    after = policy_text(WORKSPACE.replace("Europe/Berlin", "UTC"), shop_admin=role)
    moves = ", which moves the hours of rules" if rule != "of no rule" else ""
    text = f"workspace.timezone: was Europe/Berlin, is UTC{moves}"
    assert compared(before, after) == [(text, bool(moves))]


DB = '[systems.db]\nconnector = "postgres"\nurl = "${URL}"\naddress = "a"\nsecret = "${SECRET}"\n'
LEADS_ELSEWHERE = "systems.db: has other settings: access may be on another system, or wider there"
SYSTEM = {
    "a new password": ({"URL": "postgresql://bot:new@db:5432/orders"}, DB, []),
    "a new secret": ({"SECRET": "another-secret-0123456789"}, DB, []),
    "a secret from elsewhere": ({}, DB.replace("${SECRET}", "${OTHER}"), []),
    "another host": (
        {"URL": "postgresql://bot:old@evil:5432/orders"},
        DB,
        [(LEADS_ELSEWHERE, True)],
    ),
    "another database": (
        {"URL": "postgresql://bot:old@db:5432/prod"},
        DB,
        [(LEADS_ELSEWHERE, True)],
    ),
    "another variable": (
        {"OTHER": "postgresql://bot:old@db:5432/orders"},
        DB.replace("${URL}", "${OTHER}"),
        ...,
    ),
    "another address": ({}, DB.replace('"a"', '"b"'), [(LEADS_ELSEWHERE, True)]),
    "removed": ({}, "", [("systems.db: was removed", False)]),
    "another connector": (
        {},
        '[systems.db]\nconnector = "okta"\nurl = "https://x.okta.com"\ntoken = "t"\n',
        [("systems.db: connector was postgres, is okta", True)],
    ),
}


@pytest.mark.parametrize(("environ", "system", "expected"), SYSTEM.values(), ids=SYSTEM)
def test_a_change_of_a_system_is_reported_unless_only_its_password_is_new(
    environ: dict[str, str], system: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {
        "URL": "postgresql://bot:old@db:5432/orders",
        "SECRET": "a-secret-of-the-db-0123",
        "OTHER": "o" * 20,
    }
    for name, value in first.items():
        monkeypatch.setitem(ENVIRON, name, value)  # type: ignore[arg-type]
    before, after = policy_text(systems=SYSTEMS + DB), policy_text(systems=SYSTEMS + system)
    wanted = [(LEADS_ELSEWHERE, True)] if expected is ... else expected
    assert compared(before, after, {**ENVIRON, **environ}) == wanted


def test_another_account_of_a_person_is_looser() -> None:
    pinned = '\n[people."ana@example.com"]\ngithub = "{}"\n'
    found = compared(policy_text() + pinned.format("ana"), policy_text() + pinned.format("eve"))
    assert found == [('people."ana@example.com": was github ana, is github eve', True)]


AUTO = '[[roles.shop-admin.auto_approve]]\nname = "short"\nmax_duration = "{}"\n'
DENY = '[[roles.shop-admin.deny]]\nname = "night"\nhours = "{}"\nreason = "No."\n'
TIER = '[[roles.t.tiers]]\nname = "{}"\napprovers = ["@a"]\n'
T = '[roles.t]\nsystem = "reports"\nactions = ["a"]\nrequesters = ["everyone"]\n'
ESCALATION = '[roles.shop-admin.escalation]\nafter = "{}"\napprovers = ["@b"]\n'
EMERGENCY = '[roles.shop-admin.emergency]\nmembers = ["@sre"]\nmax_duration = "{}"\n'
QUOTA = T.replace("roles.t", "roles.q") + 'approvers = ["@a"]\n'
BY_SYSTEM = QUOTA + "[roles.q.actions]\nreports = {}\n"
BUNDLE = (
    '[bundles.b]\ntitle = "B"\n[[bundles.b.stages]]\nafter = "1d"\nroles = ["shop-admin"]\n'
    'duration = "{}"\n'
)
TICKETS = '[tickets]\nkind = "jira"\nurl = "https://a.example"\nopen = {}\n'
RULES = {
    "an auto-approval": ("", AUTO.format("1h"), "auto_approve: added short: at most 1h", True),
    "an auto-approval less": (AUTO.format("1h"), "", "auto_approve: removed short: at most", False),
    "an auto-approval for longer": (
        AUTO.format("1h"),
        AUTO.format("2h"),
        "auto_approve: added short: at most 2h; removed short: at most 1h",
        True,
    ),
    "a denial": ("", DENY.format("Mon 01:00-02:00"), "deny: added night: Mon 01:00-02:00", False),
    "a denial less": (DENY.format("Mon 01:00-02:00"), "", "deny: removed night", True),
    "a tier less": (
        T + TIER.format("x") + TIER.format("y"),
        T + TIER.format("x"),
        "tiers: removed y: 1 of @a",
        True,
    ),
    "tiers in another order": (
        T + TIER.format("x") + TIER.format("y"),
        T + TIER.format("y") + TIER.format("x"),
        "tiers: the order is y: 1 of @a, x: 1 of @a now",
        True,
    ),
    "an escalation": ("", ESCALATION.format("1h"), "escalation: was none, is @b after 1h", True),
    "no escalation": (ESCALATION.format("1h"), "", "escalation: was @b after 1h, is none", False),
    "an emergency": ("", EMERGENCY.format("1h"), "emergency: was none, is @sre, at most 1h", True),
    "a renewal quota": (
        QUOTA,
        QUOTA + 'renewal_quota = "3/week"',
        "renewal_quota: was none, is 3/week",
        False,
    ),
    "no renewal quota": (
        QUOTA + 'renewal_quota = "3/week"',
        QUOTA,
        "renewal_quota: was 3/week, is none",
        True,
    ),
    "an action on a system": (
        BY_SYSTEM.format('["a"]').replace('actions = ["a"]\n', ""),
        BY_SYSTEM.format('["a", "b"]').replace('actions = ["a"]\n', ""),
        "system_actions: added reports: b",
        True,
    ),
    "on call": (
        '[oncall.o]\ngroup = "@x"',
        '[oncall.o]\ngroup = "@y"',
        "oncall: added o: @y; removed o: @x",
        True,
    ),
    "tickets that may be closed": (
        TICKETS.format("true"),
        TICKETS.format("false"),
        "tickets: was jira https://a.example: open, is jira https://a.example: found",
        True,
    ),
    "a stream less": (
        '[[stream]]\nkind = "file"\npath = "a"\n[[stream]]\nkind = "file"\nname = "b"\npath = "b"',
        '[[stream]]\nkind = "file"\npath = "a"',
        "stream: removed b (file to b, rotated at 100 MB, 10 kept)",
        True,
    ),
    "a stream more": (
        "",
        '[[stream]]\nkind = "file"\npath = "a"',
        "stream: added file (file to a, rotated at 100 MB, 10 kept)",
        False,
    ),
    "a stream to another place": (
        '[[stream]]\nkind = "syslog"\naddress = "siem.example:6514"',
        '[[stream]]\nkind = "syslog"\naddress = "elsewhere.example:6514"\ntls = false',
        "stream: added syslog (syslog to elsewhere.example:6514 without TLS); removed",
        True,
    ),
    "a log that is kept for a time": (
        "",
        '[retention]\nlog = "1y"',
        "retention: was none, is log 366d",
        True,
    ),
    "everything is kept again": (
        '[retention]\nusage = "90d"',
        "",
        "retention: was usage 90d, is none",
        False,
    ),
    "a longer stage": (
        BUNDLE.format("1h"),
        BUNDLE.format("2h"),
        "bundles: added b: after 1d shop-admin for 2h; ends after 90d; removed",
        True,
    ),
}


@pytest.mark.parametrize(("before", "after", "text", "loosens"), RULES.values(), ids=RULES)
def test_a_change_of_a_rule_is_told_and_judged(
    before: str, after: str, text: str, loosens: bool
) -> None:
    found = compared(policy_text() + "\n" + before, policy_text() + "\n" + after)
    assert [so for words, so in found if text in words] == [loosens], found


WORKSPACE_KEYS: dict[str, object] = {
    "leads": ("@new",),
    "timezone": "Asia/Tokyo",
    "quiet_hours": parse_daily("19:00-08:00"),
    "digest": parse_weekly("Mon 09:00"),
}
STREAMS: tuple[Stream, ...] = (
    WebhookStream("webhook", "https://siem.example/in?key=hunter2", "secret"),
    FileStream("file", "/var/log/a", 100 * MIB, 10),
    SyslogStream("syslog", "siem.example", 6514, True, "/etc/ca.pem"),
)
STREAM_KEYS: dict[str, object] = {
    "url": "https://siem.example/out?key=hunter2",
    "max_bytes": MIB,
    "keep": 1,
    "port": 514,
    "tls": False,
    "close_notify": False,
}


def test_every_key_of_the_workspace_and_of_streams_is_reported() -> None:
    policy = replace(parse_policy(policy_text(), "roles.toml", ENVIRON, KINDS), streams=STREAMS)
    before = summary(policy)
    for key in fields(Workspace):
        value = WORKSPACE_KEYS.get(key.name, "another")
        workspace = replace(policy.workspace, **{key.name: value})
        (change,) = changes(before, summary(replace(policy, workspace=workspace)))
        assert change.where == f"workspace.{key.name}"
    for stream in STREAMS:
        for key in fields(stream):
            if key.name not in ("kind", "secret"):
                other = replace(stream, **{key.name: STREAM_KEYS.get(key.name, "another")})
                (change,) = changes(before, summary(replace(policy, streams=(other, *STREAMS))))
                assert change.where == "stream" and "hunter2" not in str(change)


def test_anchors_that_go_elsewhere_or_nowhere_are_looser() -> None:
    def to(path: str) -> str:
        return policy_text().replace("[workspace]\n", f'[workspace]\nanchor_file = "{path}"\n')

    where = "workspace.anchor_file"
    assert compared(to("/a"), policy_text()) == [(f"{where}: was /a, is none", True)]
    assert compared(to("/a"), to("/b")) == [(f"{where}: was /a, is /b", True)]
    assert compared(policy_text(), to("/a")) == [(f"{where}: was none, is /a", False)]
