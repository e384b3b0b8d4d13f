"""Whole lifecycles of every kind. Afterwards, no message in the workspace offers or claims
access."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.sandbox import Person
from tests.faults.processes import command
from tests.faults.running_bot import ROLES, ROOT, Company, parts
from tests.waiting import until

Json = dict[str, Any]
REST = f"""{ROLES}
[systems.broken]
connector = "command"
argv = ["/bin/false"]

[roles.never-works]
title = "Never works"
system = "broken"
actions = ["read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "1h"
"""
CHANNELS = ("#access-approvals", "#db-approvals", "#access-security")
OF_GRANT = {"show_credentials", "renew", "done", "revoke"}
OF_REQUEST = {"approve", "deny", "edit", "cancel"}
CLAIMED = (
    ("Active until ",),
    ("Scheduled: starts ",),
    ("Starting: it is being set up",),
    ("); every system has to confirm it.",),
    ("You have ", " until "),
    (" is still being set up.",),
    (" is yours until ",),
    (" should work until ",),
    (" now ends ",),
    ("Still working? Renew it.",),
    ("You get a message when it works.",),
    ("Has it now until ",),
    ("it waits for a decision.",),
    ("Waits for a decision until ",),
    ("Lapses ", " if nobody decides"),
    ("Unanswered, it lapses ",),
    ("You get a direct message as soon as it is decided.",),
    ("I can't post your request for ",),
    ("keep trying",),
    ("is approved, and waits for you.",),
    ("It is open until ",),
)
"""Words, in their order, of sentences in the present tense about access or a request that is not
over."""
CLAIMS = re.compile("|".join(".*".join(map(re.escape, words)) for words in CLAIMED))


def test_the_views_still_have_every_claim() -> None:
    strings = {
        node.value
        for path in (ROOT / "bot/slack/views").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    said = "\n".join(strings)
    assert [words for claim in CLAIMED for words in claim if words not in said] == []


def visible(company: Company, people: list[Person]) -> Iterator[tuple[str, Json]]:
    """Everything that somebody can see, with where it is and as they read it."""
    chiara = company.sandbox.person("chiara")
    for channel in CHANNELS:
        for message in company.sandbox.inspector.messages(channel):
            yield f"{channel}: {chiara.plain(message)}", message
            if message.get("reply_count"):
                for reply in company.sandbox.inspector.messages(channel, message["ts"]):
                    yield f"{channel}, thread: {chiara.plain(reply)}", reply
    for person in people:
        for message in person.dms():
            yield f"to {person.name}: {person.plain(message)}", message
        for message in person.ephemerals():
            yield f"privately to {person.name}: {person.plain(message)}", message
        if (window := person.view()) is not None:
            yield f"window of {person.name}: {person.plain(window)}", window
        if (home := person.home()) is not None:
            yield f"Home of {person.name}: {person.plain(home)}", home


def offers(thing: Json) -> set[tuple[str, str]]:
    """Action and value of the buttons of a message or view."""
    return {
        (str(p["action_id"]), str(p["value"]))
        for p in parts(thing)
        if p.get("type") == "button" and "value" in p
    }


def outdated(company: Company, people: list[Person]) -> list[str]:
    """Messages and views that still offer or claim access, when everything is over."""
    found = []
    for words, thing in visible(company, people):
        dead = [action for action, _ in offers(thing) if action in OF_GRANT | OF_REQUEST]
        if dead or CLAIMS.search(words):
            found.append(f"{dead} {words}")
    return found


def twice_offered(people: list[Person]) -> list[str]:
    """Grants whose buttons are in more than one direct message."""
    found = []
    for person in people:
        shown = [
            value
            for dm in person.dms()
            for value in {value for act, value in offers(dm) if act in OF_GRANT}
        ]
        found += [f"{person.name}: {value}" for value in shown if shown.count(value) > 1]
    return found


def approve(company: Company, request: str) -> None:
    assert company.ben.click(company.card(request), "Approve").ok


def live_all_lives(company: Company) -> list[Person]:
    """Every way for a request and for a grant to end; gives the people."""
    who = [company.newcomer() for _ in range(9)]
    for each in (*who, company.ben, company.gwen):
        each.open_home()
    expires, gives_back, revoked, renews, cancels, denied, lapses, fails, later = who
    company.hold(expires, "brief")
    assert expires.click(company.about(expires, "brief", "Show credentials"), "Show credentials").ok
    expires.wait_view("Credentials")
    company.hold(gives_back, "shop-admin")
    company.access(gives_back, "list")
    assert gives_back.click(company.about(gives_back, "shop-admin", "I'm done"), "I'm done").ok
    company.hold(revoked, "shop-admin")
    company.hold(renews, "reports-read", "1h please")
    assert company.access(renews, "renew reports-read 2h more").ok
    approve(company, company.request(renews, "reports-read")[0])
    renews.wait_dm("Renewed")
    until(lambda: not twice_offered(who))
    assert company.access(renews, "renew reports-read 3h even more").ok
    company.card(company.request(renews, "reports-read")[0])
    company.ask(cancels, "shop-admin")
    sent = cancels.ephemerals()[-1]
    company.access(cancels, "list")
    assert cancels.click(sent, "Cancel").ok
    refused = company.ask(denied, "shop-admin")
    company.access(denied, "request shop-admin again")
    assert company.ben.click(company.card(refused), "Deny").ok
    company.ben.wait_view("Deny")
    assert company.ben.fill_and_submit({"Reason": "not today"}).ok
    company.ask(lapses, "hurried")
    approve(company, company.ask(fails, "never-works"))
    form = company.access(later, "").view
    assert form is not None
    later.fill({"Role": "Shop admin"})
    later.wait_view("Duration")
    start = int(time.time()) + 7200
    assert (
        later.fill_and_submit(
            {"Duration": "1h", "Reason": "for the evening", "Start": start}
        ).errors
        == {}
    )
    later.close_view()
    approve(company, company.request(later, "shop-admin")[0])
    later.wait_dm("starts")
    fails.wait_dm("could not be set up")
    lapses.wait_dm("Nobody decided")
    assert company.access(company.chiara, f"revoke @{revoked.name}").ok
    assert company.chiara.click(company.chiara.ephemerals()[-1], "Revoke").ok
    until(lambda: company.grant(revoked, "shop-admin")[1] == "ended")
    assert outdated(company, who), "what is not over is claimed and offered"
    stopped = command(company, "panic", "--yes")
    assert stopped.returncode == 0, stopped.stderr
    until(
        lambda: not company.rows("SELECT id FROM grants WHERE state NOT IN ('ended', 'failed')"), 30
    )
    until(lambda: not company.rows("SELECT id FROM requests WHERE state = 'pending'"))
    return [*who, company.ben, company.gwen, company.chiara]


@pytest.mark.timeout(240)
def test_when_all_is_over_nothing_in_the_workspace_says_or_offers_otherwise(
    database_url: str, make_company: Callable[..., Company]
) -> None:
    company = make_company(environment={"DATABASE_URL": database_url})
    company.roles.write_text(REST)
    company.expect("start_grant can't be done: broken exited with 1")
    company.start()
    people = live_all_lives(company)
    until(
        lambda: (
            not company.rows("SELECT id FROM outbox WHERE queue IN ('slack', 'update', 'decide')")
        ),
        60,
    )
    assert outdated(company, people) == []
    assert company.rows("SELECT DISTINCT note FROM direct_notes WHERE past = 0") == []
    assert any(
        "window" in text and "This access has ended" in text for text, _ in visible(company, people)
    )
    ended = [
        text
        for text, _ in visible(company, people)
        if "#access-approvals" in text and "Ended" in text
    ]
    assert ended, "the approval messages tell the end"


def test_the_answer_to_who_is_asked_about_first_becomes_what_was_sent_with_cancel(
    company: Company,
) -> None:
    who = company.newcomer()
    assert company.access(who, "list").ok  # now Slack has described them
    with company.db.transaction():
        company.db.run("UPDATE people SET checked_at = checked_at - 120 WHERE id = ?", who.id)
    assert company.access(who, "request shop-admin 1h refund").ok
    until(lambda: "as soon as it is decided" in who.plain(who.ephemerals()[-1]))
    sent = who.ephemerals()[-1]
    assert "asking Slack" not in " ".join(who.plain(each) for each in who.ephemerals())
    assert who.click(sent, "Cancel").ok
    until(lambda: company.request(who, "shop-admin")[1] == "withdrawn")
    until(lambda: "was withdrawn" in who.plain(who.ephemerals()[-1]))
