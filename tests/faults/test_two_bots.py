"""Two bots in one workspace, each a process with its own app, command, database and keys: neither
acts on commands, presses, forms and messages of the other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from bot.sandbox import Outcome, Person
from tests.faults.processes import command
from tests.faults.running_bot import Company, running_company, second_company
from tests.waiting import until

HUNTER = {
    "ACCESS_COMMAND": "/hunter",
    "ACCESS_APP_NAME": "Hunter",
    "ACCESS_SECRET_KEYS": "a-signing-key-of-forty-characters-0000002",
}
BEN = "U0BENOKAFO"
TOUR = (
    *("", "help", "list", "roles", "explain shop-admin", "nonsense", "request", "request nothing"),
    *("renew", "done", "cancel", "emergency", "allow list", "allow", "disallow", "away", "back"),
    *("review", "review list", "onboard", "onboard list", "revoke", "audit", "audit nonsense:x"),
    *("audit export", "audit verify", "flags", "drift"),
)
KINDS = {
    *("command", "shortcut", "block_suggestion", "view_submission", "block_actions"),
    "event_callback",
}
Json = dict[str, Any]


class Bots(NamedTuple):
    """`access` was installed first."""

    access: Company
    hunter: Company


@pytest.fixture(scope="module")
def bots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bots]:
    """Both, running."""
    folder = tmp_path_factory.mktemp
    with (
        running_company(folder("access")) as access,
        second_company(access, folder("hunter"), HUNTER) as hunter,
    ):
        access.start()
        hunter.start()
        yield Bots(access, hunter)
        assert access.complaints() == []
        assert access.reactions() == []
        refused = [call for call in access.sandbox.inspector.calls() if not call["ok"]]
        assert {call["args"].get("channel") for call in refused} <= {"NOWHERE"}, refused


@pytest.fixture(params=(0, 1), ids=Bots._fields)
def pair(bots: Bots, request: pytest.FixtureRequest) -> tuple[Company, Company]:
    """One bot, and the other one: each test holds both ways round."""
    one: int = request.param
    return bots[one], bots[1 - one]


def app_of(company: Company) -> str:
    """The id of its app."""
    return company.sandbox.app or "A0SANDBOX"


def bot_user(company: Company) -> str:
    """The user id under which it posts."""
    return str(company.sandbox.call("info")["bot_user"])


def facts(company: Company) -> list[Any]:
    """Everything that a payload could change: the rows, and the messages that people see."""
    company.quiet()
    tables = ("requests", "grants", "votes", "audit", "messages")
    rows = [company.rows(f"SELECT count(*) FROM {table}") for table in tables]
    states = [company.rows(f"SELECT id, state FROM {table}") for table in ("requests", "grants")]
    calls = [call["number"] for call in company.sandbox.inspector.calls() if is_answer(call)]
    return [rows, states, calls]


def is_answer(call: Json) -> bool:
    return str(call["method"]).startswith(("chat.", "views.", "response_url"))


def said(company: Company) -> str:
    """Everything that the bot sent to Slack so far."""
    app, inspector = app_of(company), company.sandbox.inspector
    calls = [call["args"] for call in inspector.calls() if call["app"] == app and is_answer(call)]
    return json.dumps([calls, [each["ack"] for each in received(company)]])


def asked(company: Company, person: Person) -> str:
    """A request that waits in the approvals channel."""
    request = company.ask(person, "shop-admin")
    company.card(request)
    return request


def received(company: Company) -> list[Json]:
    """The deliveries to the bot, oldest first."""
    deliveries = company.sandbox.inspector.deliveries(20_000)
    return [each for each in deliveries if each["app"] == app_of(company)]


def twins(bots: tuple[Company, Company]) -> tuple[Person, Person]:
    """One newcomer, as the user of either bot."""
    handle = bots[0].newcomer().name
    return bots[0].sandbox.person(handle), bots[1].sandbox.person(handle)


def test_a_command_reaches_its_bot_which_posts_its_own_message_in_the_shared_channel(
    pair: tuple[Company, Company],
) -> None:
    bot, other = pair
    person, _ = twins(pair)
    before = facts(other)[:2]
    card = bot.card(asked(bot, person))
    assert card["user"] == bot_user(bot) != bot_user(other)
    assert card["channel"] == "C0APPROVAL"
    payload = received(bot)[-1]["payload"]
    assert (payload["command"], payload["api_app_id"]) == (bot.command, app_of(bot))
    assert facts(other)[:2] == before


def test_a_button_reaches_only_the_bot_of_its_message(pair: tuple[Company, Company]) -> None:
    bot, other = pair
    person, there = twins(pair)
    here, waits = asked(bot, person), asked(other, there)
    before = facts(other)[:2]
    assert bot.ben.click(bot.card(here), "Approve").ok
    until(lambda: bot.grant(person, "shop-admin")[1] == "active")
    assert other.request(there, "shop-admin") == (waits, "pending")
    assert facts(other)[:2] == before
    assert other.grant(there, "shop-admin") == ("", "")


def test_a_token_of_one_bot_opens_nothing_at_the_other(pair: tuple[Company, Company]) -> None:
    bot, other = pair
    person, _ = twins(pair)
    bot.hold(person, "shop-admin")
    token = bot.token(person, "shop-admin")
    assert (bot.check(token), other.check(token)) == (200, 401)


def test_a_payload_that_is_delivered_to_the_other_bot_changes_nothing_there(
    pair: tuple[Company, Company],
) -> None:
    bot, other = pair
    person, there = twins(pair)
    asked(other, there)
    earlier = len(received(bot))
    request = asked(bot, person)
    assert person.shortcut("request_access").ok
    person.wait_view()
    assert person.fill_and_submit({"Role": "Sales reports", "Reason": "a form"}).ok
    assert bot.ben.click(bot.card(request), "Approve").ok
    person.wait_dm("Show credentials")
    assert person.open_home()
    person.wait_home("Shop admin")
    payloads = received(bot)[earlier:]
    kinds = {each["payload"].get("type", "command") for each in payloads}
    assert kinds == KINDS
    bot.quiet()
    before = facts(other)
    for each in payloads:
        assert each["payload"]["api_app_id"] == app_of(bot)
        assert other.sandbox.deliver(each["kind"], each["payload"])["outcome"] == "acked"
    assert facts(other) == before


def test_a_value_of_the_other_bots_message_does_nothing_in_ours(
    pair: tuple[Company, Company],
) -> None:
    bot, other = pair
    person, there = twins(pair)
    theirs, ours = asked(other, there), asked(bot, person)
    bot.quiet()
    card, before = bot.card(ours), facts(bot)[1]
    assert bot.ben.click(card, "Approve", value=theirs).outcome == "acked"
    foreign = other.card(theirs)
    press = received(bot)[-1]["payload"]
    press = {**press, "message": foreign, "trigger_id": other.sandbox.call("trigger", user=BEN)}
    press["container"] = {**press["container"], "message_ts": foreign["ts"]}
    assert bot.sandbox.deliver("interactive", press)["outcome"] == "acked"
    bot.quiet()
    assert other.card(theirs) == foreign
    assert facts(bot)[1] == before
    assert other.request(there, "shop-admin") == (theirs, "pending")
    assert [bot.grant(person, "shop-admin"), other.grant(there, "shop-admin")] == [("", "")] * 2


def test_direct_messages_and_app_home_are_of_one_bot(pair: tuple[Company, Company]) -> None:
    bot, other = pair
    person, there = twins(pair)
    bot.hold(person, "shop-admin")
    assert there.dms() == [], "the other bot wrote nothing"
    assert {dm["user"] for dm in person.dms()} == {bot_user(bot)}
    assert person.open_home() and there.open_home()
    assert "Show credentials" in json.dumps(person.wait_home("Shop admin"))
    home = there.wait_home()
    assert home["app_id"] == app_of(other)
    assert "Show credentials" not in json.dumps(home)
    assert there.wait_home()["id"] != person.wait_home()["id"]


def test_a_command_in_the_other_bots_conversation_is_answered_there_by_its_own(
    pair: tuple[Company, Company],
) -> None:
    bot, other = pair
    person, there = twins(pair)
    bot.hold(person, "shop-admin")
    conversation = person.dms()[0]["channel"]
    answer = other.access(there, "list", channel=conversation)
    assert answer.ok and {each["user"] for each in answer.messages} == {bot_user(other)}
    assert "Shop admin" not in answer.text, "the access is at the other bot"


def test_texts_name_the_bots_own_command(bots: Bots) -> None:
    for bot, own, foreign in (
        (bots.hunter, "/hunter", r"(?<![\w/.])/access\b"),
        (bots.access, "/access", r"/hunter\b"),
    ):
        for person in (bot.newcomer(), bot.chiara):
            said_to(bot, person)
        text = said(bot)
        assert len(re.findall(rf"{own}\b", text)) > 30
        found = [
            text[max(0, hit.start() - 80) : hit.end() + 40] for hit in re.finditer(foreign, text)
        ]
        assert found == []


def said_to(bot: Company, person: Person) -> None:
    """Each command once, and App Home."""
    for words in TOUR:
        answer: Outcome = bot.access(person, words)
        assert answer.outcome == "acked", words
        if answer.view or person.view():
            person.close_view()
    assert person.open_home()
    person.wait_home()
    bot.quiet()


def test_events_of_the_workspace_reach_both(bots: Bots) -> None:
    person = bots.access.newcomer()
    bots.access.sandbox.admin.set_group("@db-leads", [bots.access.ben.id, person.id])
    for bot in bots:
        until(lambda bot=bot: bot.rows("SELECT 1 FROM people WHERE id = ?", person.id))
        until(lambda bot=bot: person.id in str(bot.rows("SELECT members FROM user_groups")))
    bots.access.sandbox.admin.set_group("@db-leads", [bots.access.ben.id, bots.access.gwen.id])


def test_the_doctor_of_each_finds_its_own_app(bots: Bots) -> None:
    for bot in bots:
        found = command(bot, "doctor")
        assert found.returncode == 0, found.stdout + found.stderr


def test_a_first_start_waits_for_the_id_of_its_app(make_company: Callable[..., Company]) -> None:
    company = make_company()
    company.sandbox.faults.http("users.info", 500)
    company.launch()
    until(lambda: company.sandbox.inspector.calls("users.info"))
    company.sandbox.faults.clear("users.info")
    until(lambda: company.bot.is_ready() and company.sandbox.inspector.connections())
    person = company.newcomer()
    payload = {"command": "/access", "text": "request shop-admin 1h because", "user_id": person.id}
    payload |= {"team_id": "T0SANDBOX", "api_app_id": "A0SANDBOX2", "channel_id": "C0SHOP"}
    answer = company.sandbox.deliver("slash_commands", payload)["ack"]
    assert "two different Slack apps" in json.dumps(answer)
    assert company.request(person, "shop-admin") == ("", "")
