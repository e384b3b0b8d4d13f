"""`/access` and its verbs, sent through Bolt to a real database: what is answered, stored and left
to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.durations import format_duration
from bot.core.eligibility import Ask
from bot.core.spans import take_span
from bot.operations.grants.release_grant import release_grant
from bot.operations.requests.request_access import request_access
from bot.slack.commands import VERBS
from bot.slack.ids import Field, Modal
from bot.slack.views.help import LEAD_VERBS
from bot.slack.views.help import VERBS as HELP_VERBS
from tests.builders import SYSTEMS, a_policy
from tests.factories import ANA, BEN, LEA, START, a_person
from tests.slack.slack_driver import SlackDriver, a_command, words

# --- asking


def test_a_request_in_one_line_is_stored_as_typed_and_put_before_the_approvers(
    stored: SlackDriver,
) -> None:
    answer = stored.command(
        "request shop-admin 2h “refund” order 7 for <@U0BEN|ben> &amp; co &lt;now&gt;  *twice*"
    )
    assert stored.requests() == [
        (
            ANA,
            "shop-admin",
            7200,
            "“refund” order 7 for @ben & co <now>  *twice*",
            "",
            "pending",
            None,
        )
    ]
    assert "Your request for Shop admin" in answer["text"]
    assert [work["channel"] for work in stored.work("post_approval")] == ["#access-approvals"]


def test_without_a_duration_the_role_says_how_long(driver: SlackDriver) -> None:
    driver.command("request shop-admin fix the till")
    assert driver.requests()[0][2:4] == (3600, "fix the till")


def test_a_request_waits_for_slack_when_nobody_asked_for_a_minute_who_its_person_is(
    driver: SlackDriver,
) -> None:
    driver.made.clock.at += 61
    assert "I am asking Slack who you are" in words(
        driver.command("request shop-admin fix the till")
    )
    assert driver.requests() == [] and len(driver.work("ask")) == 1


@pytest.mark.parametrize("looked_up", [True, False])
def test_the_answer_mentions_the_ticket_only_where_one_is_looked_up(
    driver: SlackDriver, looked_up: bool
) -> None:
    jira = '[tickets]\nkind = "jira"\nurl = "https://acme.atlassian.net"\ntoken = "s3cret:x"\n'
    own = "ticket = '^OPS-[0-9]+$'" if looked_up else ""
    driver.made.set_policy(systems=SYSTEMS + jira, shop_admin=own)
    driver.made.clock.at += 61
    said = words(driver.command("request shop-admin OPS-1 fix the till"))
    assert "I am asking Slack who you are" in said
    assert ("look up the ticket" in said) is looked_up


def test_an_end_is_meant_in_the_zone_of_who_asks(driver: SlackDriver) -> None:
    driver.made.clock.at = 1_790_064_000  # 2026-09-22 10:00 in Berlin
    driver.made.know(replace(a_person(ANA), checked_at=driver.made.clock.at))
    driver.command("request shop-admin until 13:30 fix the till")
    assert driver.requests()[0][2:4] == (3 * 3600 + 1800, "fix the till")


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("for 2h refund", 7200),
        ("2 hours refund", 7200),
        ("“2h” refund", 7200),
        ("(90min) refund", 5400),
        ("1,5h: refund", 5400),
        ("till 1:30pm refund", 3 * 3600 + 1800),
    ],
)
def test_a_duration_as_people_type_it_is_understood_and_said(
    driver: SlackDriver, typed: str, seconds: int
) -> None:
    driver.made.clock.at = 1_790_064_000  # 2026-09-22 10:00 in Berlin
    driver.made.know(replace(a_person(ANA), checked_at=driver.made.clock.at))
    said = words(driver.command(f"request shop-admin {typed}"))
    assert driver.requests()[0][2:4] == (seconds, "refund")
    assert f"{format_duration(seconds)} True , until" in said and "You gave no duration" not in said


@pytest.mark.parametrize(
    ("typed", "copied"),
    [
        (
            "30 refunds",
            ["/access request shop-admin 30m refunds", "/access request shop-admin 1h: 30 refunds"],
        ),
        ("1h-2h fix", ["/access request shop-admin 2h fix"]),
        (
            "refund for 2h",
            [
                "/access request shop-admin 2h refund",
                "/access request shop-admin 1h: refund for 2h",
            ],
        ),
        ("till 9am fix", ["/access request shop-admin until tomorrow 09:00 fix"]),
        (
            "fix until 18",
            [
                "/access request shop-admin until 18 fix",
                "/access request shop-admin 1h: fix until 18",
            ],
        ),
    ],
)
def test_a_time_with_two_readings_is_refused_with_commands_that_work(
    driver: SlackDriver, typed: str, copied: list[str]
) -> None:
    driver.made.clock.at = 1_790_064_000
    said = words(driver.command(f"request shop-admin {typed}"))
    assert driver.requests() == [] and all(command in said for command in copied)
    for command in copied:
        take_span(
            command.removeprefix("/access request shop-admin "),
            driver.made.clock.at,
            "Europe/Berlin",
        )


def test_a_time_that_is_part_of_the_reason_is_named_in_the_answer(driver: SlackDriver) -> None:
    said = words(driver.command("request shop-admin fix 5xx since 14:00"))
    assert driver.requests()[0][2:4] == (3600, "fix 5xx since 14:00")
    assert (
        "You gave no duration, so this is the role's default." in said
        and "was read as part" in said
    )


def test_renew_understands_the_same_and_says_until_when(driver: SlackDriver) -> None:
    grant = driver.made.a_grant(duration=7200)
    driver.pass_time(3600)
    said = words(driver.command("renew shop-admin for 90 minutes still fixing"))
    assert driver.made.grant(grant.id).ends_at == driver.made.clock.at + 5400
    assert "Renewed: shop-admin for 1h 30m from now" in said
    refused = words(driver.command("renew shop-admin still fixing for 2h"))
    assert "/access renew shop-admin 2h still fixing" in refused


def test_the_ticket_is_found_in_the_reason_and_the_reason_keeps_it(driver: SlackDriver) -> None:
    driver.command("request reports-read 1h see OPS-17, quarter end")
    assert driver.requests()[0][3:5] == ("see OPS-17, quarter end", "OPS-17")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        pytest.param("request shop-admn fix it", "Did you mean shop-admin?", id="unknown role"),
        pytest.param(
            "request nothing-like-it fix it", "/access roles lists", id="unknown role like no other"
        ),
        pytest.param("request shop-admin", "Say why", id="no reason"),
        pytest.param("request shop-admin 2h", "Say why", id="no reason after a duration"),
        pytest.param("request shop-admin -1h fix", "`-1h` is not a duration", id="negative"),
        pytest.param("request shop-admin 0m fix", "`0m` is zero", id="nothing"),
        pytest.param("request shop-admin 999999h fix", "too long", id="longer than anything"),
        pytest.param("request shop-admin 30d fix", "at most 4h", id="longer than the role"),
        pytest.param("request shop-admin 90 fix", "is not a duration", id="no unit"),
        pytest.param(
            "request shop-admin 2h until tomorrow 09:00 fix", "one of the two", id="two ends"
        ),
        pytest.param(
            "request shop-admin 2h until tomorrow", "one of the two", id="two ends and no reason"
        ),
        pytest.param("request reports-read 1h no ticket here", "needs a ticket", id="no ticket"),
        pytest.param(
            "request shop-admin " + "x" * 10_000, "10,000 characters", id="10,000 characters"
        ),
        pytest.param(
            "request " + "x" * 10_000 + " fix", "There is no role", id="10,000 characters of role"
        ),
        pytest.param(
            "request shop-admin \u202e\u200b\u2060", "Say why", id="nothing that can be read"
        ),
        pytest.param("request shop-admin a\x00b", "characters that can't be stored", id="NUL"),
    ],
)
def test_a_request_that_can_not_be_is_refused_in_words_and_on_record(
    driver: SlackDriver, typed: str, said: str
) -> None:
    assert said in words(driver.command(typed))
    assert driver.requests() == []
    assert [actor for actor, _, _ in driver.refusals()] == [ANA]


def test_control_and_bidirectional_characters_are_kept_in_the_reason_and_not_shown(
    driver: SlackDriver,
) -> None:
    driver.command("request shop-admin 1h fix \u202egpj\u200b\x07 now")
    assert driver.requests()[0][3] == "fix \u202egpj\u200b\x07 now"


def test_the_same_command_delivered_twice_asks_once(stored: SlackDriver) -> None:
    body = a_command("request shop-admin 1h fix")
    assert [stored.send(body).status for _ in range(2)] == [200, 200]
    assert len(stored.requests()) == len(stored.work("post_approval")) == 1


def test_asking_for_what_is_pending_says_so_and_offers_to_cancel(driver: SlackDriver) -> None:
    driver.command("request shop-admin 1h fix")
    assert "already waiting" in words(answer := driver.command("request shop-admin 1h fix"))
    assert "Cancel" in words(answer)
    assert len(driver.requests()) == 1


def test_asking_for_what_is_held_offers_to_renew(driver: SlackDriver) -> None:
    driver.made.a_grant()
    assert "Renew" in words(driver.command("request shop-admin 1h more"))


@pytest.mark.parametrize("typed", ["", "request", "  ", "REQUEST"])
def test_without_arguments_the_form_opens(driver: SlackDriver, typed: str) -> None:
    assert driver.command(typed) == {}
    ((method, call),) = driver.views.calls
    assert (method, call["view"]["callback_id"]) == ("views.open", Modal.REQUEST)
    (menu,) = [
        block for block in driver.views.last["blocks"] if block.get("block_id") == Field.ROLE
    ]
    assert menu["element"]["type"] == "external_select"
    assert {"shop-admin", "reports-read"} <= {option["value"] for option in driver.options()}


def test_a_form_that_comes_too_late_is_answered_with_the_words_that_need_none(
    driver: SlackDriver,
) -> None:
    driver.views.error = "expired_trigger_id"
    assert "/access request ROLE" in words(driver.command())


# --- renewing, giving back, cancelling


def test_renew_extends_the_only_access(driver: SlackDriver) -> None:
    grant = driver.made.a_grant(duration=7200)
    driver.pass_time(1800)
    assert "Renewed: shop-admin" in words(driver.command("renew 2h still fixing"))
    assert driver.made.grant(grant.id).ends_at == driver.made.clock.at + 7200
    assert driver.rows("SELECT reason FROM audit WHERE event = 'grant:access:renewed'") == [
        ("still fixing",)
    ]


def test_renew_with_a_role_and_a_reason_takes_the_duration_of_the_grant(
    driver: SlackDriver,
) -> None:
    grant = driver.made.a_grant()
    driver.pass_time(1800)
    driver.command("renew shop-admin still fixing")
    assert driver.made.grant(grant.id).ends_at == driver.made.clock.at + 3600


def test_a_renewal_delivered_twice_counts_once(stored: SlackDriver) -> None:
    grant = stored.made.a_grant()
    stored.pass_time(1800)
    body = a_command("renew")
    stored.send(body)
    stored.made.clock.at += 60
    stored.send(body)
    assert stored.made.grant(grant.id).renewals == 1


def test_a_role_that_wants_it_renews_only_with_a_new_approval(driver: SlackDriver) -> None:
    grant = driver.made.a_grant("reports-read")
    driver.pass_time(1800)
    assert "waits for approval" in words(driver.command("renew"))
    assert driver.made.grant(grant.id).ends_at == grant.ends_at


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        pytest.param("renew still fixing", "“still” is not a role that you hold", id="no role"),
        pytest.param("renew -1h", "`-1h` is not a duration", id="bad duration"),
        pytest.param("renew 999999h", "too long", id="too long"),
        pytest.param("renew reports-read 1h", "only: shop-admin", id="another role"),
        pytest.param("done reports-read", "only: shop-admin", id="done with another role"),
        pytest.param("done x\u202ey", "only: shop-admin", id="done with no role"),
        pytest.param("cancel", "you have no pending request", id="nothing to cancel"),
    ],
)
def test_what_does_not_fit_what_i_have_is_refused_and_changes_nothing(
    driver: SlackDriver, typed: str, said: str
) -> None:
    grant = driver.made.a_grant()
    assert said in words(driver.command(typed))
    assert driver.made.grant(grant.id) == grant
    assert len(driver.refusals()) == 1


@pytest.mark.parametrize("verb", ["renew", "done"])
def test_with_several_the_role_has_to_be_named(driver: SlackDriver, verb: str) -> None:
    driver.made.a_grant()
    driver.made.a_grant("reports-read")
    assert "reports-read, shop-admin" in words(driver.command(verb))


@pytest.mark.parametrize("typed", ["done", "done shop-admin", "done shop-admin thanks"])
def test_done_gives_access_back(driver: SlackDriver, typed: str) -> None:
    grant = driver.made.a_grant()
    assert "shop-admin is closed" in words(driver.command(typed))
    assert driver.made.grant(grant.id).end_reason == "released"


def test_done_delivered_twice_ends_nothing_that_came_later(stored: SlackDriver) -> None:
    first = stored.made.a_grant()
    body = a_command("done")
    stored.send(body)
    stored.made.close_gates(stored.made.grant(first.id))
    later = stored.made.a_grant()
    stored.send(body)
    assert stored.made.grant(later.id).state == "active"


def test_cancel_takes_the_pending_request_back(stored: SlackDriver) -> None:
    stored.command("request shop-admin 1h fix")
    assert "Withdrawn" in words(stored.command("cancel"))
    assert stored.requests()[0][5] == "withdrawn"


def test_nobody_renews_or_ends_what_somebody_else_holds(driver: SlackDriver) -> None:
    grant = driver.made.a_grant()
    for typed in ("done shop-admin", "renew shop-admin", "cancel shop-admin"):
        driver.command(typed, user=BEN)
    assert driver.made.grant(grant.id) == grant


# --- looking


def test_list_roles_and_help_show_what_is_mine(driver: SlackDriver) -> None:
    driver.made.a_grant()
    assert "shop-admin" in words(driver.command("list"))
    assert "shop-deploy" in words(driver.command("roles"))
    assert "shop-deploy" not in words(driver.command("roles", user=LEA))
    assert "revoke" not in words(driver.command("help"))
    assert "/access revoke" in words(driver.command("help", user=LEA))


@pytest.mark.parametrize(
    ("typed", "user", "said"),
    [
        ("explain shop-admin", ANA, "It waits for 1 approval; 1 person can give one."),
        ("explain shop-admin", ANA, "may ask for this role"),
        ("explain shop-admin <@U0ANA|ana>", LEA, "It waits for 1 approval"),
        ("explain shop-admin <@U0BEN|ben>", ANA, "This is what the role says in general."),
        ("explain shop-admn", ANA, "Did you mean shop-admin?"),
        ("explain", ANA, "Which role? Write /access explain ROLE"),
        ("explain shop-admin nonsense", ANA, "Whom do you mean?"),
    ],
)
def test_explain_says_what_would_happen(
    driver: SlackDriver, typed: str, user: str, said: str
) -> None:
    assert said in words(driver.command(typed, user=user))
    assert driver.requests() == []


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("lst", "Did you mean /access list?"),
        ("approve r1", "/access help"),
        ("shop-admin 2h fix", "Did you mean /access request shop-admin REASON?"),
        ("\u202e<@U0BEN|ben>", "/access help"),
        ("x" * 5000, "/access help"),
    ],
)
def test_an_unknown_word_is_answered_with_help(driver: SlackDriver, typed: str, said: str) -> None:
    answer = words(driver.command(typed))
    assert said in answer
    assert "/access renew [ROLE]" in answer


def test_help_has_every_verb_that_does_something_and_no_other() -> None:
    told = {line.split()[0] for line, _ in [*HELP_VERBS, *LEAD_VERBS] if line}
    assert told == set(VERBS) - {""}
    leads = {verb.name for verb in VERBS.values() if verb.leads}
    assert {line.split()[0] for line, _ in LEAD_VERBS} == leads


LEADS_ONLY = (
    "onboard <@U0BEN|ben> backend",
    "review start",
    "review list",
    "revoke <@U0BEN|ben>",
    "audit",
    "audit export",
    "audit verify",
    "audit nonsense",
    "audit export nonsense",
)


@pytest.mark.parametrize("typed", LEADS_ONLY)
def test_what_only_leads_may_is_refused_to_others_and_on_record(
    driver: SlackDriver, typed: str
) -> None:
    assert "Only leads (@platform-leads)" in words(driver.command(typed))
    assert len(driver.refusals()) == 1


# --- leads


def test_revoke_shows_what_would_end_and_ends_nothing(driver: SlackDriver) -> None:
    grant = driver.made.a_grant()
    answer = driver.command("revoke <@U0ANA|ana>", user=LEA)
    assert grant.id in words(answer)
    assert driver.made.grant(grant.id).state == "active"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("revoke <@U0ANA|ana> all", "Revoke"),
        ("revoke nobody@example.com", "Slack's list"),
        ("revoke <mailto:u0ana@example.com|u0ana@example.com> shop-admin", "Revoke"),
        ("revoke <@U0ANA|ana> reports-read", "no access right now"),
        ("revoke <@U0ANA|ana> shop-admn", "Did you mean shop-admin?"),
        ("revoke @ana", "Slack's list"),
        ("revoke", "Slack's list"),
    ],
)
def test_revoke_takes_a_person_and_perhaps_a_role(
    driver: SlackDriver, typed: str, said: str
) -> None:
    driver.made.a_grant()
    assert said in words(driver.command(typed, user=LEA))


def test_audit_shows_the_newest_records_first_and_records_the_look(driver: SlackDriver) -> None:
    driver.command("request shop-admin 1h fix the till")
    answer = driver.command("audit <@U0ANA|ana> role:shop-admin since:7d", user=LEA)
    assert "request:access:asked" in words(answer) and "fix the till" in words(answer)
    assert driver.rows(
        "SELECT COUNT(*) FROM audit WHERE event = 'audit:log:read' AND actor = ?", LEA
    ) == [(1,)]


def test_audit_has_an_older_page_as_long_as_there_is_one(stored: SlackDriver) -> None:
    for _ in range(25):
        stored.command("request nothing-like-it fix")
        stored.made.clock.at += 60
    stored.made.know(replace(a_person(LEA), checked_at=stored.made.clock.at))
    answer = stored.command("audit event:request:action", user=LEA)
    assert "audit_older" in str(answer)
    assert "audit_older" not in str(
        stored.command("audit event:request:action since:2020-01-01 until:1s <@U0BEN>", user=LEA)
    )


@pytest.mark.parametrize(
    "typed",
    [
        "os:root",
        "rule:oncall",
        "system:shop-admin",
        "event:grant",
        "request:r1",
        "grant:g1",
        "until:2026-11-22",
        'text:"the queue is stuck"',
        "text:“the queue” role:shop-admin",
        "text:queue",
        "since:2026-11-22T14:05",
        "since:2026-11-22T14:05+02:00",
        "U0ANA00",
        "u0ana@example.com",
    ],
)
def test_every_filter_is_understood(driver: SlackDriver, typed: str) -> None:
    assert "Unknown filter" not in words(driver.command(f"audit {typed}", user=LEA))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("rolle:x", "Use: @user, role:ROLE"),
        ("shop-admin", "Unknown filter"),
        ("role:", "Unknown filter"),
        ("role:" + "x" * 200, "Unknown filter"),
        ("event:grnt:access:started", "did you mean event:grant:access:started?"),
        ("since:yesterday", "write how long ago (7d"),
        ("since:-1h", "is not a duration"),
        ("since:2026-13-01", "is not a time"),
        ("since:9999-12-31T23:59 until:99999999d", "too long"),
        ("role:a role:b", "second role"),
        ("@ana", "Unknown filter"),
        ("export role", "Unknown filter"),
        ('text:"the queue', "between two quotation marks"),
        ('text:""', "between two quotation marks"),
    ],
)
def test_a_filter_that_means_nothing_is_refused_with_what_does(
    driver: SlackDriver, typed: str, said: str
) -> None:
    assert said in words(driver.command(f"audit {typed}", user=LEA))


def test_the_log_is_searched_for_a_part_of_a_reason(driver: SlackDriver) -> None:
    driver.command("request shop-admin 1h The queue is stuck", user=ANA)
    driver.command("request shop-admin 1h A queue", user=BEN)
    found = words(driver.command('audit text:"the queue" event:request', user=LEA))
    assert "The queue is stuck" in found and "A queue" not in found
    assert 'text:"the queue"' in found


def test_a_day_is_meant_in_the_lead_s_zone_and_until_has_that_day_in_it(
    driver: SlackDriver,
) -> None:
    driver.command("audit export since:2026-09-21 until:2026-09-21", user=LEA)
    (work,) = driver.work("send_export")
    assert work["filters"] == {"since": 1_789_941_600, "until": 1_789_941_600 + 86_400}


def test_export_and_verify_are_left_to_be_done_once(stored: SlackDriver) -> None:
    export, verify = a_command("audit export", user=LEA), a_command("audit verify", user=LEA)
    for body in (export, export, verify, verify):
        stored.send(body)
    assert stored.work("send_export") == [{"person": LEA, "filters": {}}]
    assert stored.work("verify_audit") == [{"person": LEA, "channel": "C0OPS"}]


def test_a_lead_s_own_access_is_ended_by_the_same_rules(driver: SlackDriver) -> None:
    driver.made.policies.append(a_policy(shop_admin='approvers = ["@platform-leads", "@db-leads"]'))
    grant = driver.made.a_grant(person=LEA)
    driver.command("done", user=LEA)
    assert driver.made.grant(grant.id).state == "ending"


def test_fewer_words_than_a_verb_takes_never_break_anything(stored: SlackDriver) -> None:
    for user in (ANA, LEA):
        for verb in VERBS:
            for typed in (
                verb,
                f"{verb} x",
                f"{verb} <@U0ANA|ana>",
                f"{verb} \u202e \x07",
                f" {verb.upper()}  ",
            ):
                assert "went wrong" not in words(stored.command(typed, user=user))


def test_requests_of_one_person_do_not_get_in_the_way_of_another(driver: SlackDriver) -> None:
    request_access(driver.made.world, Ask(BEN, "reports-read", "why", ticket="A-1"))
    assert "no pending request" in words(driver.command("cancel"))


def test_access_that_is_over_can_be_asked_for_again(driver: SlackDriver) -> None:
    grant = driver.made.a_grant()
    release_grant(driver.made.world, grant.id, ANA)
    driver.made.clock.at = START + 10
    assert "waits for approval" in words(driver.command("request shop-admin 1h again"))
