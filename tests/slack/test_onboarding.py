"""Onboarding as leads, mentors and newcomers use it in Slack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.operations.onboarding.describe_ramp import describe_graduation, describe_ramp
from bot.operations.people.describe_person import describe_home
from bot.sandbox.blocks import validate_message, validate_view
from bot.slack.ids import Action, Field, Modal
from bot.slack.views import home, onboarding_forms, onboarding_lists, onboarding_notes
from tests.builders import SYSTEMS
from tests.factories import ANA, BEN, CARA, LEA, a_person
from tests.ramps import BUNDLES, DAY, ROLES, a_ramp, set_bundles, sweep_after
from tests.slack.slack_driver import SlackDriver, words

COMMAND = f"onboard <@{ANA}|ana> engineer <@{BEN}|ben>"


@pytest.fixture
def driver(driver: SlackDriver) -> SlackDriver:
    """With bundles in roles.toml, and a Slack that knows everybody."""
    set_bundles(driver.made)
    for person in (ANA, BEN, CARA, LEA):
        driver.slack_people.people[person] = a_person(person)
    return driver


def ramps(driver: SlackDriver) -> list[tuple[Any, ...]]:
    return driver.rows("SELECT newcomer, mentor, lead, state, email FROM ramps ORDER BY planned_at")


def ramp_id(driver: SlackDriver) -> str:
    return str(driver.rows("SELECT id FROM ramps")[0][0])


class TestCommand:
    def test_it_starts_and_answers_with_the_plan_and_the_buttons(self, driver: SlackDriver) -> None:
        said = driver.command(COMMAND, LEA)
        assert ramps(driver) == [(ANA, BEN, LEA, "running", "")]
        shown = words(said)
        for part in ("has started", "New engineer", "when the mentor opens it", "may ask for"):
            assert part in shown
        for label in ("Pause", "Change mentor", "End"):
            assert label in shown

    def test_a_command_that_slack_sends_twice_starts_once(self, driver: SlackDriver) -> None:
        for _ in range(2):
            driver.command(COMMAND, LEA, trigger_id="same")
        assert len(ramps(driver)) == 1

    def test_an_address_plans_for_who_has_not_joined(self, driver: SlackDriver) -> None:
        mail = "<mailto:ola@example.com|ola@example.com>"
        said = words(driver.command(f"onboard {mail} engineer", LEA))
        assert ramps(driver) == [("", "", LEA, "planned", "ola@example.com")]
        assert "is planned" in said and "ola@example.com" in said and "Day 8" in said

    @pytest.mark.parametrize(
        ("typed", "by", "why"),
        [
            (COMMAND, BEN, "Only leads"),
            ("onboard list", BEN, "Only leads"),
            ("onboard", BEN, "Only leads"),
            (f"onboard <@{ANA}|ana>", LEA, "Write /access onboard"),
            ("onboard ana engineer", LEA, "Whose onboarding?"),
            (f"onboard <@{ANA}|ana> engineer ben", LEA, "Who is the mentor?"),
            (f"onboard <@{ANA}|ana> enginer", LEA, "did you mean"),
            (f"onboard <@{ANA}|ana> engineer <@{ANA}|ana>", LEA, "their own mentor"),
        ],
    )
    def test_a_refusal_says_what_to_write(
        self, driver: SlackDriver, typed: str, by: str, why: str
    ) -> None:
        assert why in words(driver.command(typed, by))
        assert ramps(driver) == []

    def test_people_whom_slack_does_not_describe_start_nothing(self, driver: SlackDriver) -> None:
        del driver.slack_people.people[CARA]
        said = driver.command(f"onboard <@{CARA}|cara> engineer", LEA)
        driver.made.clock.at += 61
        driver.made.know(replace(a_person(LEA), checked_at=driver.made.clock.at))
        said = driver.command(f"onboard <@{CARA}|cara> engineer", LEA)
        assert "Slack did not say who these people are" in words(said)

    def test_the_list_has_every_ramp_with_its_buttons(self, driver: SlackDriver) -> None:
        assert "No onboarding is running" in words(driver.command("onboard list", LEA))
        driver.command(COMMAND, LEA)
        shown = words(driver.command("onboard list", LEA))
        assert "New engineer" in shown and "Pause" in shown


class TestForm:
    def values(self, **more: str) -> dict[str, Any]:
        return {Field.NEWCOMER: ANA, Field.BUNDLE: "engineer", Field.MENTOR: BEN, **more}

    def test_the_command_alone_opens_it(self, driver: SlackDriver) -> None:
        assert driver.command("onboard", LEA) == {}
        assert "Choose newcomer and bundle" in words(driver.views.last)

    def test_a_choice_shows_the_plan_and_what_would_be_refused(self, driver: SlackDriver) -> None:
        driver.made.set_groups(engineers=[BEN])
        view = {"id": "V1", "hash": "h", "state": {"values": a_state(self.values())}}
        driver.press(Action.ONBOARDING_FORM, "engineer", LEA, view=view)
        shown = words(driver.views.last)
        assert "The plan" in shown and "it is only for @engineers" in shown

    def test_it_starts_what_it_says(self, driver: SlackDriver) -> None:
        reply = driver.submit(Modal.ONBOARDING, self.values(), LEA)
        assert ramps(driver) == [(ANA, BEN, LEA, "running", "")]
        assert "has started" in words(reply["view"])

    def test_a_refusal_stands_at_its_input(self, driver: SlackDriver) -> None:
        reply = driver.submit(Modal.ONBOARDING, self.values(mentor=ANA), LEA)
        assert "their own mentor" in reply["errors"][Field.MENTOR]
        assert ramps(driver) == []

    def test_nobody_but_a_lead_sends_it(self, driver: SlackDriver) -> None:
        reply = driver.submit(Modal.ONBOARDING, self.values(), BEN)
        assert "Only leads" in words(reply) and ramps(driver) == []


class TestButtons:
    def test_the_mentor_opens_a_stage_once(self, driver: SlackDriver) -> None:
        ramp = a_ramp(driver.made)
        sweep_after(driver.made, 7 * DAY)
        body = driver.press(Action.OPEN_STAGE, f"{ramp.id}:2", BEN)
        driver.send(body)
        assert driver.rows("SELECT role FROM grants ORDER BY starts_at") == [
            ("shop-admin",),
            ("shop-deploy",),
        ]
        assert "Opened. They get" in driver.work("answer")[-1]["text"]

    def test_a_stage_is_not_opened_by_others(self, driver: SlackDriver) -> None:
        ramp = a_ramp(driver.made)
        sweep_after(driver.made, 7 * DAY)
        driver.press(Action.OPEN_STAGE, f"{ramp.id}:2", CARA)
        assert "Only the mentor" in driver.work("answer")[-1]["text"]

    def test_a_forged_stage_is_refused(self, driver: SlackDriver) -> None:
        ramp = a_ramp(driver.made)
        for value in (f"{ramp.id}:x", f"{ramp.id}:9", "o0:1", ""):
            driver.press(Action.OPEN_STAGE, value, BEN)
        assert driver.rows("SELECT count(*) FROM grants") == [(1,)]

    def test_a_lead_pauses_resumes_and_ends(self, driver: SlackDriver) -> None:
        ramp = a_ramp(driver.made)
        for action, state in (
            (Action.PAUSE_RAMP, "paused"),
            (Action.RESUME_RAMP, "running"),
            (Action.END_RAMP, "ended"),
        ):
            driver.press(action, ramp.id, BEN)
            assert ramps(driver)[0][3] != state
            driver.press(action, ramp.id, LEA)
            assert ramps(driver)[0][3] == state

    def test_a_lead_names_another_mentor(self, driver: SlackDriver) -> None:
        ramp = a_ramp(driver.made)
        driver.press(Action.CHANGE_MENTOR, ramp.id, LEA)
        assert "from now on" in words(driver.views.last)
        driver.submit(Modal.MENTOR, {Field.MENTOR: CARA}, LEA, metadata=ramp.id)
        assert ramps(driver)[0][1] == CARA

    def test_the_offer_opens_the_form_with_its_plan(self, driver: SlackDriver) -> None:
        driver.press(Action.PLAN_ONBOARDING, f"{ANA}:engineer", LEA)
        assert "The plan" in words(driver.views.last)


NOTES = [*onboarding_notes.NOTES]


class TestViews:
    @pytest.mark.parametrize("name", NOTES)
    def test_every_note_holds_in_every_state(self, driver: SlackDriver, name: str) -> None:
        ramp = a_ramp(driver.made)
        for seconds in (0, 7 * DAY, 7 * DAY, 16 * DAY):
            sweep_after(driver.made, seconds)
            view = describe_ramp(driver.made.world, ramp.id)
            assert view is not None
            for stage in (1, 2, 3):
                assert validate_message(onboarding_notes.note(name, view, stage, BEN)) == []

    def test_the_worst_bundle_fits_into_every_view(self, driver: SlackDriver) -> None:
        stage = '[[bundles.engineer.stages]]\nafter = "{}d"\nroles = ["shop-admin"]\n'
        stage += 'duration = "1h"\nmay_ask = ["on-call"]\n'
        head = BUNDLES.split("[[")[0].replace("New engineer", "N" * 75)
        stages = "".join(stage.format(number % 29) for number in range(50))
        driver.made.set_policy(systems=SYSTEMS + head + stages, **ROLES)
        ramp = a_ramp(driver.made)
        view = describe_ramp(driver.made.world, ramp.id)
        found = describe_graduation(driver.made.world, ramp.id)
        assert view is not None and found is not None
        for name in NOTES:
            assert validate_message(onboarding_notes.note(name, view, 1, BEN)) == []
        assert validate_message(onboarding_notes.graduation(found)) == []
        assert validate_message(onboarding_lists.ramp_list([view] * 60, LEA)) == []
        form = onboarding_forms.form(driver.made.world.policy().bundles, {}, view)
        assert validate_view(form) == []

    @pytest.mark.parametrize("reader", [ANA, BEN, LEA])
    def test_everybody_sees_it_in_their_home(self, driver: SlackDriver, reader: str) -> None:
        a_ramp(driver.made)
        sweep_after(driver.made, 7 * DAY)
        shown = home.render(describe_home(driver.made.world, reader), driver.made.clock.at)
        assert validate_view(shown) == []
        text = words(shown)
        assert "New engineer" in text
        assert ("Open stage" in text) == (reader == BEN)
        assert ("Change mentor" in text) == (reader == LEA)


def a_state(values: dict[str, str]) -> dict[str, Any]:
    """The state of the form's inputs as Slack sends it."""
    users = (Field.NEWCOMER, Field.MENTOR)
    return {
        name: {
            "x": {"selected_user": value}
            if name in users
            else {"selected_option": {"value": value}}
        }
        for name, value in values.items()
    }
