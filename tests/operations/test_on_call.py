"""On-call duty in auto-approval, by a group and by a calendar: what is not known gives nothing."""

from __future__ import annotations

import json

from bot.core.eligibility import Ask
from bot.core.errors import SystemUnavailable
from bot.core.on_call import BELIEVED, READ_EVERY, TRY_AGAIN, Shift
from bot.operations.on_call.record_shifts import claim_calendars, record_shifts, record_unread
from bot.operations.requests.request_access import (
    GrantedAtOnce,
    Outcome,
    Submitted,
    Waiting,
    request_access,
)
from bot.worker.calendar_poller import CalendarPoller
from tests.factories import ANA, BEN, CARA, START, Made, a_person

RULE = '[[roles.shop-admin.auto_approve]]\nname = "on call"\non_call = "backend"\n'
BY_GROUP = f'{RULE}[oncall.backend]\ngroup = "@sre"\n'
BY_CALENDAR = f'{RULE}[oncall.backend]\nical = "https://cal.example.com/{{}}"\n'
SHIFT = Shift(START - 3600, START + 7200, ("u0cara@example.com",))


def ask(made: Made, person: str = CARA, start_at: int | None = None) -> Outcome:
    asked = Ask(person, "shop-admin", "because", 3600, start_at=start_at)
    return request_access(made.world, asked)


def criterion(made: Made) -> tuple[str, str]:
    ((text,),) = made.rows("SELECT criteria FROM judgements WHERE moment = 'asked'")
    (found,) = [each for each in json.loads(str(text)) if each["name"] == "on_call"]
    return found["verdict"], found["text"]


class TestByGroup:
    def test_a_member_is_approved_at_once(self, made: Made) -> None:
        made.set_policy(shop_admin=BY_GROUP)
        assert isinstance(ask(made), GrantedAtOnce)

    def test_another_person_waits_for_an_approver(self, made: Made) -> None:
        made.set_policy(shop_admin=BY_GROUP)
        assert isinstance(ask(made, ANA), Submitted)
        assert criterion(made) == ("not met", "is not on call for backend now")

    def test_who_is_on_call_at_a_later_start_is_not_known(self, made: Made) -> None:
        made.set_policy(shop_admin=BY_GROUP)
        assert isinstance(ask(made, start_at=START + 86400), Submitted)
        assert criterion(made)[0] == "could not be checked"

    def test_a_request_waits_until_slack_has_described_the_group(self, made: Made) -> None:
        made.reload(shop_admin=BY_GROUP.replace("@sre", "S0NEWDUTY"))
        assert isinstance(ask(made), Waiting)


class TestByCalendar:
    def read(self, made: Made, *shifts: Shift, where: str = "a") -> None:
        made.set_policy(shop_admin=BY_CALENDAR.format(where))
        (duty,) = claim_calendars(made.world)
        record_shifts(made.world, duty, shifts, made.clock.at)

    def test_a_person_with_a_shift_now_is_approved_at_once(self, made: Made) -> None:
        self.read(made, SHIFT)
        assert isinstance(ask(made), GrantedAtOnce)

    def test_another_person_waits_for_an_approver(self, made: Made) -> None:
        self.read(made, SHIFT)
        assert isinstance(ask(made, ANA), Submitted)
        assert criterion(made) == ("not met", "is not on call for backend now")

    def test_before_the_calendar_was_read_nobody_is_on_call(self, made: Made) -> None:
        made.set_policy(shop_admin=BY_CALENDAR.format("a"))
        assert isinstance(ask(made), Submitted)
        assert criterion(made)[0] == "could not be checked"

    def test_the_end_of_the_shift_counts_from_the_rows(self, made: Made) -> None:
        self.read(made, Shift(START, START + 60, SHIFT.emails))
        made.clock.at += 60
        assert isinstance(ask(made), Submitted)

    def test_an_old_reading_gives_nothing(self, made: Made) -> None:
        self.read(made, SHIFT)
        made.clock.at += BELIEVED + 1
        assert isinstance(ask(made), Submitted)
        assert criterion(made) == (
            "could not be checked",
            "who is on call for backend could not be read",
        )

    def test_a_reading_of_ten_minutes_still_counts(self, made: Made) -> None:
        self.read(made, SHIFT)
        made.clock.at += BELIEVED
        assert isinstance(ask(made), GrantedAtOnce)

    def test_what_was_read_elsewhere_gives_nothing(self, made: Made) -> None:
        self.read(made, SHIFT)
        made.set_policy(shop_admin=BY_CALENDAR.format("b"))
        assert isinstance(ask(made), Submitted)

    def test_what_was_read_elsewhere_is_not_recorded(self, made: Made) -> None:
        made.set_policy(shop_admin=BY_CALENDAR.format("a"))
        (before,) = claim_calendars(made.world)
        made.set_policy(shop_admin=BY_CALENDAR.format("b"))
        claim_calendars(made.world)
        record_shifts(made.world, before, [SHIFT], made.clock.at)
        assert isinstance(ask(made), Submitted)

    def test_a_person_who_lost_the_account_is_not_on_call(self, made: Made) -> None:
        self.read(made, SHIFT)
        made.know(a_person(CARA, deleted=True))
        assert not isinstance(ask(made), GrantedAtOnce)


class TestReading:
    def test_one_process_reads_a_calendar_every_five_minutes(self, made: Made) -> None:
        made.set_policy(shop_admin=BY_CALENDAR.format("a"))
        other = made.another_process()
        assert [len(claim_calendars(world)) for world in (made.world, other)] == [1, 0]
        made.clock.at += READ_EVERY - 1
        assert claim_calendars(made.world) == []
        made.clock.at += 1
        assert [len(claim_calendars(world)) for world in (other, made.world)] == [1, 0]

    def test_after_a_failure_it_is_read_again_in_a_minute(self, made: Made) -> None:
        made.set_policy(shop_admin=BY_CALENDAR.format("a"))
        (duty,) = claim_calendars(made.world)
        record_unread(made.world, duty, "no")
        made.clock.at += TRY_AGAIN
        assert len(claim_calendars(made.world)) == 1

    def test_the_leads_are_told_once_when_it_is_no_longer_believed(self, made: Made) -> None:
        made.set_policy(shop_admin=BY_CALENDAR.format("a"))
        (duty,) = claim_calendars(made.world)
        record_shifts(made.world, duty, [SHIFT], made.clock.at)
        told = []
        for _ in range(15):
            made.clock.at += TRY_AGAIN
            record_unread(made.world, duty, "cal.example.com answered 404")
            told.append(len(self.notes(made)))
        assert (told[9], told[10], told[-1]) == (0, 1, 1)
        record_shifts(made.world, duty, [SHIFT], made.clock.at)
        made.clock.at += BELIEVED + 1
        record_unread(made.world, duty, "gone again")
        assert len(self.notes(made)) == 2

    def test_the_leads_are_told_at_once_of_one_that_was_never_read(self, made: Made) -> None:
        made.set_policy(shop_admin=BY_CALENDAR.format("a"))

        def fails(source: str, zone: str, now: int) -> tuple[Shift, ...]:
            raise SystemUnavailable("cal.example.com answered 404")

        poller = CalendarPoller(made.world, fails)
        (duty,) = claim_calendars(made.world)
        poller.read(duty)
        poller.read(duty)
        (note,) = self.notes(made)
        assert "cal.example.com answered 404" in note
        assert "https://" not in note

    def test_what_the_poller_reads_counts(self, made: Made) -> None:
        made.set_policy(shop_admin=BY_CALENDAR.format("a"))
        (duty,) = claim_calendars(made.world)
        CalendarPoller(made.world, lambda source, zone, now: (SHIFT,)).read(duty)
        assert isinstance(ask(made), GrantedAtOnce)

    def notes(self, made: Made) -> list[str]:
        sql = "SELECT data FROM outbox WHERE data LIKE '%calendar_unread%'"
        return [str(data) for (data,) in made.rows(sql)]


def test_nobody_approves_their_own_request_by_being_on_call(made: Made) -> None:
    made.set_policy(shop_admin=BY_GROUP.replace("@sre", "@db-leads"))
    asked = ask(made, BEN)
    assert isinstance(asked, GrantedAtOnce)  # the rule decides, which has no vote of Ben
    ((actor,),) = made.log("request:approval:given", "actor")
    assert actor == "rule:on call"
