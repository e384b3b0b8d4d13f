"""Channels that are renamed, archived, replaced, or that the bot is thrown out of: the real
messenger over the real stand-in for Slack and a real database, with a clock that only the test
moves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.core import effects
from bot.core.effects import Queue
from bot.core.errors import SystemUnavailable
from bot.operations._unit_of_work import unit
from bot.operations.grants.record_results import record_end_failed, record_start_failed
from bot.operations.grants.release_grant import release_grant
from bot.operations.messages.keep_channels import (
    known_place,
    look_up_channels,
    look_up_channels_in_turn,
)
from bot.operations.process.count_state import count_state
from bot.operations.requests.approve_request import approve_request
from bot.operations.requests.withdraw_request import withdraw_request
from bot.operations.usage.count_usage import UsageMeter
from bot.sandbox import Sandbox, running_sandbox
from bot.slack import channels
from bot.slack.messenger import Messenger
from bot.worker.dispatcher import Dispatcher
from storage.database import Database
from tests.factories import Made, a_person, make_world
from tests.fakes import FakePeople, FakeSystem, FakeSystems

APPROVALS, SECURITY = "#access-approvals", "#access-security"
OLD, OLD_SECURITY, DB = "C0APPROVAL", "G0SECURITY", "C0DBAPPROV"
BOT = "U0ACCESSBOT"
BY_ID = f"""
[workspace]
approvals_channel = "{OLD}"
security_channel = "{OLD_SECURITY}"
leads = ["@platform-leads"]
timezone = "Europe/Berlin"
"""


@dataclass
class Office:
    """A bot's delivery and the workspace it posts to."""

    made: Made
    sandbox: Sandbox
    delivery: Dispatcher
    messenger: Messenger
    client: WebClient

    def id(self, name: str) -> str:
        return self.sandbox.person(name).id

    def ask(self, name: str = "ana", role: str = "shop-admin") -> str:
        """Asks for a role; gives the id of the request, before anything was posted."""
        return self.made.a_request(role, self.id(name)).id

    def turn(self) -> None:
        """Lets everything be done that is due now or within seconds."""
        for _ in range(3):
            self.delivery.drain(Queue.SLACK)
            self.made.clock.at += 6

    def ten_minutes(self) -> None:
        self.made.clock.at += 600
        assert look_up_channels_in_turn(self.made.world)
        self.turn()

    def replace(self, name: str, archive: bool = False) -> str:
        """Gives the channel another name, and its name to a new channel; gives that one's id."""
        if archive:
            self.sandbox.admin.archive(name)
        self.sandbox.admin.rename(name, f"old-{name[1:]}")
        return self.sandbox.admin.create_channel(name[1:], [BOT, self.id("ben"), self.id("chiara")])

    def in_channel(self, channel: str) -> list[str]:
        return [self.text(each) for each in self.sandbox.inspector.messages(channel)]

    def dms(self, name: str) -> list[str]:
        return [self.text(each) for each in self.sandbox.person(name).dms()]

    def text(self, message: Any) -> str:
        return str(self.sandbox.person("ben").plain(message))

    def shown(self, request: str) -> list[str]:
        """The channels in which the request has a message, oldest first."""
        return [
            channel
            for (channel,) in self.made.rows(
                "SELECT channel FROM messages WHERE request_id = ? ORDER BY ts", request
            )
        ]

    def calls(self, method: str) -> list[dict[str, Any]]:
        return list(self.sandbox.inspector.calls(method))


@pytest.fixture
def office(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setattr(channels, "LOOK_UPS_APART", 0)
    with running_sandbox(rate_limits=False) as sandbox:
        made = make_world(tmp_path, db=database)
        env = sandbox.environment
        client = WebClient(env["SLACK_BOT_TOKEN"], base_url=env["SLACK_API_URL"], retry_handlers=[])
        messenger = Messenger(client, made.world)
        meter = UsageMeter(made.world)
        delivery = Dispatcher(made.world, FakeSystems(FakeSystem()), messenger, FakePeople(), meter)  # type: ignore[arg-type]
        office = Office(made, sandbox, delivery, messenger, client)
        made.know(
            *(a_person(office.id(name)) for name in ("ana", "ben", "chiara", "dev", "emi", "gwen"))
        )
        made.set_groups(
            db_leads=[office.id("ben"), office.id("gwen")], platform_leads=[office.id("chiara")]
        )
        made.forget_work()
        look_up_channels(made.world)
        office.turn()
        yield office


# --- a name means the channel that has it now


def test_a_name_means_the_channel_that_has_it_after_ten_minutes_at_most(office: Office) -> None:
    before = office.ask()
    office.turn()
    new = office.replace(APPROVALS)
    office.ten_minutes()
    after = office.ask("dev")
    office.turn()
    assert (office.shown(before), office.shown(after)) == ([OLD], [new])
    assert office.made.log("channel:name:moved", "subject, detail")[0][0] == APPROVALS
    assert (
        sum(
            f"{APPROVALS} is another channel now" in each
            for each in office.in_channel(OLD_SECURITY)
        )
        == 1
    )


def test_a_channel_that_was_archived_and_replaced_is_found_at_the_next_message(
    office: Office,
) -> None:
    new = office.replace(APPROVALS, archive=True)
    request = office.ask()
    office.turn()
    assert office.shown(request) == [new]
    assert office.made.events("message:delivery:failed") == 0


def test_a_channel_that_the_bot_left_and_that_was_replaced_is_found_at_the_next_message(
    office: Office,
) -> None:
    office.sandbox.admin.remove_from_channel(APPROVALS)
    new = office.replace(APPROVALS)
    request = office.ask()
    office.turn()
    assert office.shown(request) == [new]


def test_a_name_that_leads_nowhere_any_more_is_not_kept_in_silence(office: Office) -> None:
    office.sandbox.admin.rename(APPROVALS, "renamed")
    office.ten_minutes()
    assert known_place(office.made.world, APPROVALS).id is None
    assert office.made.events("channel:name:lost") == 1
    assert (
        sum(f"I can no longer see {APPROVALS}" in each for each in office.in_channel(OLD_SECURITY))
        == 1
    )
    request = office.ask()
    office.turn()
    assert OLD not in office.shown(request)


def test_when_the_security_channel_is_another_one_each_lead_hears_it_too(office: Office) -> None:
    new = office.replace(SECURITY)
    office.ten_minutes()
    words = f"{SECURITY} is another channel now"
    assert sum(words in each for each in office.in_channel(new)) == 1
    assert sum(words in each for each in office.dms("chiara")) == 1


def test_names_are_looked_up_once_in_ten_minutes_for_all_callers(office: Office) -> None:
    office.made.clock.at = (office.made.clock.at // 600 + 1) * 600
    assert [look_up_channels_in_turn(office.made.world) for _ in range(3)] == [True, False, False]
    office.made.clock.at += 599
    assert not look_up_channels_in_turn(office.made.world)
    office.made.clock.at += 1
    assert look_up_channels_in_turn(office.made.world)
    assert office.made.count("outbox", "kind = 'refresh_channels'") == 1  # the first waits still


def test_many_messages_to_a_closed_channel_look_its_name_up_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "LOOK_UPS_APART", 3600)
    office.sandbox.admin.archive(APPROVALS)
    office.sandbox.inspector.forget()
    for name in ("ana", "dev", "emi"):
        office.ask(name)
    office.turn()
    assert len(office.calls("conversations.list")) == 1


def test_all_pages_of_channels_are_read_also_when_slack_asks_for_a_pause(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "PAGE", 2)
    office.sandbox.faults.rate_limited("conversations.list", 1, count=1)
    new = office.replace(APPROVALS)
    office.ten_minutes()
    assert known_place(office.made.world, APPROVALS).id == new


# --- messages that could not be posted are posted later


def test_a_request_that_no_channel_took_reaches_approvers_directly_and_the_channel_later(
    office: Office,
) -> None:
    office.sandbox.admin.remove_from_channel(APPROVALS)
    request = office.ask()
    office.turn()
    assert [channel[:1] for channel in office.shown(request)] == ["D", "D"]
    for name in ("ben", "gwen"):
        (card,) = office.dms(name)
        assert "I ask you directly" in card and "Approve" in card and "because" in card
    (told,) = office.dms("ana")
    assert "to its channel now" in told
    assert "find it in their App Home. 2 of 2 have it as a direct message" in told
    office.ten_minutes()
    assert len(office.shown(request)) == 2 and len(office.dms("ana")) == 1
    office.sandbox.admin.add_to_channel(APPROVALS)
    office.ten_minutes()
    office.ten_minutes()
    assert office.shown(request).count(OLD) == 1
    approve_request(office.made.world, request, a_person(office.id("ben")))
    office.turn()
    for shown in (office.in_channel(OLD), office.dms("ben"), office.dms("gwen")):
        (card,) = [each for each in shown if "asked for" in each]
        assert "Approved by" in card and "I ask you directly" not in card


def test_while_a_channel_is_closed_one_request_is_tried_and_when_it_opens_all_are_posted_once(
    office: Office,
) -> None:
    office.sandbox.admin.archive(APPROVALS)
    asked = [office.ask(name) for name in ("ana", "dev", "emi")]
    office.turn()
    office.sandbox.inspector.forget()
    office.ten_minutes()
    assert [call["args"]["channel"] for call in office.calls("chat.postMessage")] == [OLD]
    office.sandbox.admin.archive(APPROVALS, archived=False)
    office.ten_minutes()
    assert [office.shown(request).count(OLD) for request in asked] == [1, 1, 1]


def test_any_message_that_a_channel_takes_again_brings_what_waited(office: Office) -> None:
    office.sandbox.admin.remove_from_channel(APPROVALS)
    first = office.ask()
    office.turn()
    office.sandbox.admin.add_to_channel(APPROVALS)
    second = office.ask("dev")
    office.turn()
    assert [office.shown(request).count(OLD) for request in (first, second)] == [1, 1]
    assert office.made.rows("SELECT key FROM key_values WHERE key LIKE 'failing %'") == []


def test_what_was_decided_meanwhile_is_not_posted(office: Office) -> None:
    office.sandbox.admin.remove_from_channel(APPROVALS)
    request = office.ask()
    office.turn()
    approve_request(office.made.world, request, a_person(office.id("ben")))
    office.sandbox.admin.add_to_channel(APPROVALS)
    office.ten_minutes()
    assert OLD not in office.shown(request)


def test_a_message_that_slack_may_have_taken_is_not_posted_a_third_time(office: Office) -> None:
    office.sandbox.faults.lost_answer("chat.postMessage", count=3)
    request = office.ask()
    for _ in range(6):
        office.turn()
        office.made.clock.at += 20
    office.sandbox.faults.clear()
    office.turn()
    office.ten_minutes()
    posts = [each for each in office.in_channel(OLD) if "asks for" in each]
    assert 1 <= len(posts) <= 2
    assert office.made.state("requests", request) == "pending"


def test_of_many_approvers_some_are_asked_directly_and_never_who_asks(office: Office) -> None:
    many = [
        office.sandbox.admin.create_user(f"approver{n}", f"Approver {n}", join=False)
        for n in range(25)
    ]
    office.made.know(*map(a_person, many))
    office.made.set_groups(db_leads=[*many, office.id("ana")], platform_leads=[office.id("chiara")])
    office.made.forget_work()
    office.sandbox.admin.archive(APPROVALS)
    request = office.ask()
    office.turn()
    assert len(office.shown(request)) == 20
    assert "20 of 25 have it as a direct message" in office.dms("ana")[-1]
    assert not any("I ask you directly" in each for each in office.dms("ana"))


# --- a copy in a channel that is archived or gone


def test_what_waits_in_a_channel_that_was_archived_and_replaced_is_posted_in_the_new_one_once(
    office: Office,
) -> None:
    request, decided = office.ask(), office.ask("dev")
    office.turn()
    approve_request(office.made.world, decided, a_person(office.id("ben")))
    office.turn()
    new = office.replace(APPROVALS, archive=True)
    for _ in range(2):
        office.ten_minutes()
    assert (office.shown(request), office.shown(decided)) == ([OLD, new], [OLD])
    assert office.dms("ben") == []


def test_a_request_in_an_archived_channel_reaches_approvers_directly_and_copies_are_true_later(
    office: Office,
) -> None:
    request = office.ask()
    office.turn()
    office.sandbox.admin.archive(APPROVALS)
    for _ in range(2):
        office.ten_minutes()
    assert [channel[:1] for channel in office.shown(request)] == ["C", "D", "D"]
    assert any("I ask you directly" in each for each in office.dms("ben"))
    assert any("to its channel now" in each for each in office.dms("ana"))
    approve_request(office.made.world, request, a_person(office.id("ben")))
    office.turn()
    office.sandbox.admin.archive(APPROVALS, archived=False)
    assert any("asks for" in each for each in office.in_channel(OLD))
    office.ten_minutes()
    office.delivery.drain(Queue.UPDATE)
    assert not any("asks for" in each for each in office.in_channel(OLD))
    assert office.shown(request).count(OLD) == 1


def test_a_private_channel_that_the_bot_does_not_see_any_more_is_gone(office: Office) -> None:
    request = office.ask()
    office.turn()
    with office.made.world.db.transaction():
        office.made.world.db.run("UPDATE messages SET channel = 'G0GONE'")
    office.ten_minutes()
    assert office.shown(request) == ["G0GONE", OLD]


def test_without_names_a_channel_is_found_archived_by_what_it_refuses(office: Office) -> None:
    office.made.set_policy(workspace=BY_ID, shop_admin="approvals = 2")
    request = office.ask()
    office.turn()
    office.sandbox.admin.archive(APPROVALS)
    approve_request(office.made.world, request, a_person(office.id("ben")))
    office.turn()
    assert "D" in {channel[:1] for channel in office.shown(request)}
    office.sandbox.admin.archive(APPROVALS, archived=False)
    other = office.ask("dev")
    office.turn()
    for _ in range(2):
        office.ten_minutes()
    assert (office.shown(request).count(OLD), office.shown(other)) == (1, [OLD])


# --- a look-up holds nobody up


def test_while_names_are_looked_up_or_slack_asks_for_a_pause_messages_are_put_off_and_not_refused(
    office: Office,
) -> None:
    office.replace(APPROVALS, archive=True)
    office.sandbox.faults.rate_limited("conversations.list", 30, count=1)
    office.sandbox.inspector.forget()
    requests = [office.ask(name) for name in ("ana", "dev", "emi")]
    office.turn()
    assert [office.shown(each) for each in requests] == [[], [], []]
    assert len(office.calls("conversations.list")) == 1
    assert office.made.events("message:delivery:failed") == 0


def test_a_message_waits_for_no_look_up_of_another(office: Office) -> None:
    # By private names, because only the messenger's own look-up holds this lock, and never for
    # long.
    names = office.messenger._channels  # noqa: SLF001
    with names._looking, pytest.raises(SystemUnavailable) as put_off:  # noqa: SLF001
        names._moved(APPROVALS, OLD)  # noqa: SLF001
    assert put_off.value.retry_after == 1
    assert names._moved(APPROVALS, OLD) == OLD  # noqa: SLF001


# --- messages that the security channel does not take


def test_what_the_security_channel_refuses_reaches_each_lead_and_the_holder_reads_what_is_true(
    office: Office,
) -> None:
    grant = office.made.a_started(office.made.a_request(person=office.id("ana")), office.id("ben"))
    office.turn()
    office.sandbox.admin.archive(SECURITY)
    record_start_failed(office.made.world, grant.id, "the system said no")
    office.turn()
    said = office.dms("chiara")
    assert sum("could not be set up" in each and "the system said no" in each for each in said) == 1
    assert sum("can't be delivered" in each and "Unarchive it" in each for each in said) == 1
    assert "The leads were notified why." in office.dms("ana")[-1]


def test_alerts_reach_each_lead_with_their_button_and_are_kept_up_to_date(office: Office) -> None:
    made = office.made
    grant = made.start(made.a_started(made.a_request(person=office.id("ana")), office.id("ben")))
    release_grant(made.world, grant.id, grant.person)
    office.turn()
    office.sandbox.admin.remove_from_channel(SECURITY)
    record_end_failed(made.world, grant.id, "shop-admin", "no answer", 1)
    office.turn()
    (alert,) = [each for each in office.dms("chiara") if "Access may still exist" in each]
    assert "Acknowledge" in alert
    assert "The leads were notified." in next(
        each for each in office.dms("ana") if "has not confirmed" in each
    )
    made.close_gates(grant)
    office.turn()
    assert not any("Access may still exist" in each for each in office.dms("chiara"))
    assert any("Gone from shop-admin" in each for each in office.dms("chiara"))


def test_an_alert_to_a_lead_waits_for_no_other_message(office: Office) -> None:
    made = office.made
    office.sandbox.admin.archive(SECURITY)
    grant = made.start(made.a_started(made.a_request(person=office.id("ana")), office.id("ben")))
    release_grant(made.world, grant.id, grant.person)
    made.forget_work()
    with unit(made.world) as u:
        u.do(
            effects.later(
                effects.notify_security(
                    office.id("chiara"), "panic_off", by="", role="", person=""
                ),
                3600,
            )
        )
    record_end_failed(made.world, grant.id, "shop-admin", "no answer", 1)
    office.turn()
    assert any("may still exist" in each for each in office.dms("chiara"))


def test_when_no_lead_can_be_told_the_holder_is_asked_to_and_the_log_and_a_metric_say_so(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    grant = office.made.a_started(office.made.a_request(person=office.id("ana")), office.id("ben"))
    office.turn()
    office.sandbox.admin.archive(SECURITY)
    office.sandbox.admin.deactivate(office.id("chiara"))
    record_start_failed(office.made.world, grant.id, "the system said no")
    office.turn()
    assert "The leads have not been notified yet: please tell one." in office.dms("ana")[-1]
    counted = count_state(office.made.world)
    assert (counted.failing, counted.unreachable) == ({SECURITY: "is_archived"}, True)
    assert re.search(r"ERROR .*no lead can be notified", caplog.text)


@pytest.mark.parametrize("leads", [[], ["U0GONE"]], ids=["nobody", "one who left"])
def test_without_any_lead_the_log_says_what_nobody_was_told(
    office: Office, caplog: pytest.LogCaptureFixture, leads: list[str]
) -> None:
    office.made.know(a_person("U0GONE", deleted=True))
    office.made.set_groups(db_leads=[office.id("ben")], platform_leads=leads)
    office.made.forget_work()
    office.sandbox.admin.archive(SECURITY)
    with unit(office.made.world) as u:
        u.notify_leads("panic_off", by="os:eve", role="", person="")
    office.turn()
    assert re.search(r"ERROR .*nobody was notified", caplog.text)
    assert count_state(office.made.world).unreachable


def test_the_security_channel_that_works_again_takes_what_comes_and_the_leads_are_left_alone(
    office: Office,
) -> None:
    office.sandbox.admin.archive(SECURITY)
    with unit(office.made.world) as u:
        u.notify_leads("panic_off", by="os:eve", role="", person="")
    office.turn()
    office.sandbox.admin.archive(SECURITY, archived=False)
    with unit(office.made.world) as u:
        u.notify_leads("panic_off", by="os:eve", role="reports", person="")
    office.turn()
    assert any("reports" in each for each in office.in_channel(OLD_SECURITY))
    assert not any("reports" in each for each in office.dms("chiara"))
    assert count_state(office.made.world).failing == {}


# --- siblings


def test_a_note_whose_thread_is_gone_troubles_nobody(office: Office) -> None:
    made = office.made
    request = made.a_request(person=office.id("ana"))
    office.turn()
    grant = made.start(made.a_started(request, office.id("ben")))
    office.turn()
    ((ts,),) = made.rows("SELECT ts FROM messages WHERE request_id = ?", request.id)
    office.client.chat_delete(channel=OLD, ts=ts)
    release_grant(made.world, grant.id, grant.person)
    made.close_gates(grant)
    office.turn()
    assert made.events("message:delivery:failed") == 0


def test_ids_need_no_list_of_channels(office: Office) -> None:
    office.made.set_policy(workspace=BY_ID)
    office.sandbox.inspector.forget()
    office.ten_minutes()
    request = office.ask()
    office.turn()
    assert office.shown(request) == [OLD]
    assert office.calls("conversations.list") == []


def test_without_the_scope_for_names_what_waits_is_posted_all_the_same(office: Office) -> None:
    office.sandbox.admin.remove_from_channel(APPROVALS)
    request = office.ask()
    office.turn()
    scopes = office.sandbox.call("set_app")["scopes"]
    office.sandbox.admin.grant_scopes([scope for scope in scopes if scope != "groups:read"])
    office.sandbox.admin.add_to_channel(APPROVALS)
    office.ten_minutes()
    assert office.shown(request).count(OLD) == 1
    assert (
        json.dumps(office.made.log("message:delivery:failed", "subject")).count("access-approvals")
        == 1
    )


def test_requests_that_were_cancelled_before_their_first_post_are_not_posted(
    office: Office,
) -> None:
    for _ in range(10):
        withdraw_request(office.made.world, office.ask(), office.id("ana"))
    other = office.ask("gwen")
    office.turn()
    assert [r for (r,) in office.made.rows("SELECT request_id FROM messages")] == [other]
