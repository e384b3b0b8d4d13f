"""Reviews as leads and reviewers use them in Slack."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bot.core import effects
from bot.core.effects import Queue
from bot.core.review import END, KEEP, Decision, Item, Scope
from bot.operations._unit_of_work import unit
from bot.operations.claim_work import ClaimedQueue, Work
from bot.operations.people.describe_person import describe_home
from bot.operations.reviews.start_campaign import Started, start_campaign
from bot.operations.reviews.sweep_campaigns import sweep_campaigns
from bot.operations.reviews.waiting import waiting_page
from bot.sandbox.blocks import validate_message, validate_view
from bot.slack.ids import Action, Modal
from bot.slack.messenger import Messenger
from bot.slack.payloads import BadPayload
from bot.slack.views import home, review_modal, security_notes
from bot.slack.views._fit import REPLY_BYTES
from tests.factories import ANA, BEN, CARA, LEA, Made, a_person
from tests.ramps import see_all
from tests.reviews import DAY, a_campaign, answer_rest, items_of
from tests.slack.slack_driver import SlackDriver, a_submission, words

MANY = 300


@pytest.fixture
def driver(driver: SlackDriver) -> SlackDriver:
    for person in (ANA, BEN, CARA, LEA):
        driver.slack_people.people[person] = a_person(person)
    return driver


def wide(made: Made, people: int = MANY) -> str:
    """A campaign with a grant of each of so many people."""
    made.set_policy(shop_admin='title = "' + "T" * 75 + '"\nmax_duration = "4h"')
    grant = made.a_grant()
    ids = [f"U0X{number:04}" for number in range(people)]
    made.know(*(a_person(person) for person in ids))
    made.forged = True
    with made.world.db.transaction():
        columns = ", ".join(row[1] for row in made.world.db.rows("PRAGMA table_info(grants)"))
        values = columns.replace("id,", "?,", 1).replace("person", "?")
        for person in ids:
            sql = f"INSERT INTO grants ({columns}) SELECT {values} FROM grants WHERE id = ?"
            made.world.db.run(sql, f"g{person}", person, grant.id)
    return a_campaign(made, role="shop-admin")


def state(made: Made, about: str) -> str:
    return str(made.rows("SELECT state FROM review_items WHERE about = ?", about)[0][0])


def submit(driver: SlackDriver, by: str, decision: str, *ticked: str, **more: Any) -> Any:
    """Sends the open modal."""
    view = driver.views.last
    blocks = [b["block_id"] for b in view["blocks"] if b["type"] == "input"]
    values: dict[str, Any] = {
        block: [each for each in ticked if block.startswith("items")]
        for block in blocks
        if block.startswith("items")
    }
    values |= {block: [] for block in blocks if block.startswith("every")}
    values |= {"decision": decision, "reason": "needed", **more}
    body = a_submission(Modal.REVIEW, values, by, metadata=view["private_metadata"])
    chosen = {"type": "radio_buttons", "selected_option": {"value": decision}}
    body["view"]["state"]["values"]["decision"] = {"decision": chosen}
    return driver.submitted(body)


class TestCommand:
    def test_a_lead_starts_one_and_lists_it(self, driver: SlackDriver) -> None:
        driver.made.a_grant()
        said = words(driver.command("review start due 14d role:shop-admin", LEA))
        assert "3 items (1 approver, 1 grant, 1 requester)" in said and "SHA-256" in said
        ((role, started, due),) = driver.rows("SELECT role, started_at, due_at FROM campaigns")
        assert (role, due - started) == ("shop-admin", 14 * DAY)
        listed = words(driver.command("review list", LEA))
        assert "role shop-admin" in listed and "0 of 3 items answered" in listed

    @pytest.mark.parametrize(
        ("typed", "by", "why"),
        [
            ("review start", BEN, "Only leads"),
            ("review list", BEN, "Only leads"),
            ("review nonsense", BEN, "Write /access review start"),
            ("review start now", LEA, "Unknown word “now”"),
            ("review start due soon", LEA, "The due date"),
            ("review start role:shop-admn", LEA, "Did you mean shop-admin"),
        ],
    )
    def test_a_refusal_says_what_to_write(
        self, driver: SlackDriver, typed: str, by: str, why: str
    ) -> None:
        assert why in words(driver.command(typed, by))
        assert driver.rows("SELECT id FROM campaigns") == []

    def test_nothing_waits(self, driver: SlackDriver) -> None:
        a_campaign(driver.made)
        assert "No review waits" in words(driver.command("review", ANA))


class TestModal:
    def test_one_item_is_kept_and_one_is_ended(self, driver: SlackDriver) -> None:
        kept, ended = driver.made.a_grant(), driver.made.a_grant("shop-admin", CARA)
        campaign = a_campaign(driver.made, role="shop-admin")
        items = items_of(driver.made, campaign)
        driver.command("review", BEN)
        shown = words(driver.views.last)
        for part in ("May request it: everyone", "U0Cara", "never used", "approved by U0Ben"):
            assert part in shown
        assert "@db-leads" not in shown  # Ben is in it
        reply = submit(driver, BEN, END, str(items[ended.id].number))
        assert "1 item to end." in words(reply["view"])
        assert driver.made.grant(ended.id).state == "ending"
        driver.views.calls.append(("reply", reply))
        submit(driver, BEN, KEEP, str(items[kept.id].number))
        assert state(driver.made, kept.id) == "kept"

    def test_three_hundred_items_are_decided_page_by_page(self, driver: SlackDriver) -> None:
        campaign = wide(driver.made)
        driver.command("review", BEN)
        pages = 0
        while driver.views.last["callback_id"] == Modal.REVIEW:
            every = next(
                b["block_id"]
                for b in driver.views.last["blocks"]
                if b.get("block_id", "").startswith("every")
            )
            reply = submit(driver, BEN, KEEP, **{every: ["every"]})
            driver.views.calls.append(("reply", reply))
            pages += 1
        assert pages == 16
        left = driver.rows("SELECT kind FROM review_items WHERE state = 'pending'")
        assert left == [("approver",)]
        assert campaign and "20 items" not in words(driver.views.last)

    def test_the_pages_turn_without_a_decision(self, driver: SlackDriver) -> None:
        wide(driver.made, 45)
        driver.command("review", BEN)
        first = review_modal.from_metadata(driver.views.last["private_metadata"])
        view = {
            "id": "V0OPENED",
            "type": "modal",
            "hash": driver.views.hash,
            "state": {"values": {}},
        }
        driver.press(Action.REVIEW_PAGE, f"{first[0]}:{first[1][-1]}", BEN, view=view)
        second = review_modal.from_metadata(driver.views.last["private_metadata"])
        assert second[1][0] == first[1][-1] + 1 and len(second[1]) == 20
        assert "First page" in words(driver.views.last)
        assert driver.rows("SELECT 1 FROM review_items WHERE state <> 'pending'") == []

    def test_wrong_answers_stay_in_the_modal(self, driver: SlackDriver) -> None:
        grant = driver.made.a_grant()
        campaign = a_campaign(driver.made, role="shop-admin")
        number = str(items_of(driver.made, campaign)[grant.id].number)
        driver.command("review", BEN)
        assert "Choose at least one" in words(submit(driver, BEN, KEEP))
        assert "Say why" in words(submit(driver, BEN, KEEP, number, reason="…")["errors"]["reason"])
        assert "your own access" in words(submit(driver, ANA, KEEP, number))
        assert state(driver.made, grant.id) == "pending"

    def test_a_form_that_slack_sends_twice_decides_once(self, driver: SlackDriver) -> None:
        grant = driver.made.a_grant()
        campaign = a_campaign(driver.made, role="shop-admin")
        number = items_of(driver.made, campaign)[grant.id].number
        values = {"items1": [str(number)], "decision": KEEP, "reason": "needed"}
        body = a_submission(Modal.REVIEW, values, BEN, metadata=f"{campaign}:{number}")
        driver.submitted(body)
        assert "sent before" in words(driver.submitted(body))
        assert driver.made.events("review:item:decided") == 1

    @pytest.mark.parametrize("metadata", ["", "c0:x", "c0:1,-2", "c0:²"])
    def test_a_forged_form_decides_nothing(self, driver: SlackDriver, metadata: str) -> None:
        with pytest.raises(BadPayload, match="broken"):
            review_modal.from_metadata(metadata)


def _widest(item: Item) -> Item:
    return replace(item, about=item.about[:1] + "x" * 300, holders=(ANA,) * 90)


def test_the_widest_page_fits_into_a_modal(driver: SlackDriver) -> None:
    wide(driver.made, 30)
    page = waiting_page(driver.made.world, BEN)
    assert page is not None
    items = [replace(_widest(i), role=f"role-{n:058}") for n, i in enumerate(page.items)]
    wide_role = replace(
        driver.made.world.policy().roles["shop-admin"],
        systems=tuple(f"s{number:062}" for number in range(20)),
        actions=tuple(f"a{number}" for number in range(50)),
    )
    page = replace(
        page,
        items=tuple(items),
        roles={item.role: replace(wide_role, name=item.role) for item in items},
        names={ANA: "<!channel> " + "\N{SNOWMAN}" * 300},
    )
    view = review_modal.render(page, driver.made.clock.at, "x" * 3000)
    assert validate_view(view) == []
    assert len(json.dumps(view)) <= REPLY_BYTES


class Slack:
    """A Slack that accepts everything and remembers it."""

    def __init__(self) -> None:
        self.called: list[tuple[str, dict[str, Any]]] = []

    def api_call(self, method: str, json: dict[str, Any], **_: Any) -> object:
        self.called.append((method, json))
        return SimpleNamespace(data={"ok": True, "channel": "D1", "ts": f"{len(self.called)}.0"})


def deliver(made: Made, effect: effects.Effect) -> list[tuple[str, dict[str, Any]]]:
    """The messages that the messenger sends for this work."""
    slack = Slack()
    messenger = Messenger(slack, made.world)  # type: ignore[arg-type]
    made.forget_work()
    with unit(made.world) as u:
        u.do(effect)
    queue = ClaimedQueue(made.world, effect.queue, "me", 60)
    work = Work(queue, queue.take(1))
    getattr(messenger, effect.kind)(work)
    return slack.called


def test_people_get_a_message_only_while_something_waits_for_them(driver: SlackDriver) -> None:
    made = driver.made
    campaign = a_campaign(made, role="shop-admin")
    ((method, said),) = deliver(made, effects.review_note(BEN, campaign, "started"))
    assert (method, said["channel"]) == ("chat.postMessage", BEN) and "has started" in words(said)
    assert validate_message(said) == [] and "Review" in words(said["blocks"])
    assert deliver(made, effects.review_note(ANA, campaign, "reminder")) == []
    answer_rest(made, campaign)
    made.forget_work()
    sweep_campaigns(made.world)
    ((update,),) = [driver.work("update_review_note")]
    assert (update["channel"], update["ts"]) == ("D1", "1.0")
    ((method, shown),) = deliver(made, effects.update_review_note("D1", "1.0", campaign))
    assert method == "chat.update" and "is closed" in words(shown)
    assert deliver(made, effects.review_note(BEN, campaign, "reminder")) == []


def test_reminders_come_before_the_due_date_and_once(driver: SlackDriver) -> None:
    made = driver.made
    campaign = a_campaign(made, role="shop-admin")
    sent = []
    for _ in range(7 * 4):
        made.clock.at += DAY // 4
        see_all(made)
        made.set_groups()
        made.forget_work()
        sweep_campaigns(made.world)
        sweep_campaigns(made.world)
        notes = [note["person"] for note in driver.work("review_note")]
        sent += [((made.clock.at - 1_790_000_000) // DAY, notes)] if notes else []
    assert sent == [(4, [BEN, LEA]), (6, [BEN, LEA])]
    assert state(made, "@db-leads") == "kept"
    (note,) = [n for n in driver.work("notify_security") if n["note"] == "campaign_finished"]
    assert (note["unanswered_kept"], note["campaign"]) == (2, campaign)


def test_leads_are_reminded_daily_of_what_is_undone(driver: SlackDriver) -> None:
    made = driver.made
    campaign = a_campaign(made, role="shop-admin")
    answer_rest(made, campaign, Decision(False, "too many"))
    sweep_campaigns(made.world)
    notes = [note["note"] for note in driver.work("notify_security")]
    assert notes == ["campaign_started", "campaign_closed"]
    for _ in range(2):
        made.clock.at += DAY
        sweep_campaigns(made.world)
        sweep_campaigns(made.world)
    notes = [note["note"] for note in driver.work("notify_security")]
    assert notes[2:] == ["campaign_undone"] * 2
    see_all(made)
    listed = words(driver.command("review list", LEA))
    assert "2 to end and still there" in listed and "approvers = []" in listed


def test_home_shows_open_reviews_to_leads_and_to_reviewers(driver: SlackDriver) -> None:
    made = driver.made
    a_campaign(made)
    for person, shown in ((LEA, True), (BEN, True), (ANA, False)):
        view = home.render(describe_home(made.world, person), made.clock.at)
        assert validate_view(view) == []
        assert ("Reviews (1)" in words(view)) is shown
    answer_rest(made, a_campaign(made, role="shop-admin"))
    view = home.render(describe_home(made.world, LEA), made.clock.at)
    assert "Reviews (2)" in words(view)


FACTS = {
    "campaign": "c0",
    "scope": "role <!channel>",
    "due_at": 1_790_000_000,
    "items": 5,
    "people": 1,
    "undone": 2,
    "kept": 1,
    "ended": 1,
    "ending": 2,
    "gone": 1,
    "unanswered_kept": 1,
    "unanswered_ended": 0,
}


@pytest.mark.parametrize("note", ["started", "closed", "undone", "finished"])
def test_a_note_of_the_security_channel_is_safe(note: str) -> None:
    said = security_notes.render(f"campaign_{note}", FACTS)
    assert validate_message(said) == [] and "<!channel>" not in said["text"]


def test_a_start_notifies_everybody_who_decides(driver: SlackDriver) -> None:
    made = driver.made
    see_all(made)
    assert isinstance(start_campaign(made.world, LEA, Scope("shop-deploy")), Started)
    assert {note["person"] for note in driver.work("review_note")} == {BEN, CARA, "U0DAN", LEA}
    assert Queue.SLACK in made.wakes[-1][0]
