"""The data about use and about people who have left, and how long the bot keeps it."""

from __future__ import annotations

import json

import pytest

from bot.core import effects
from bot.core.approval import Refused
from bot.core.model import Grant, Person
from bot.core.recorded_paths import RecordedPath
from bot.operations._usage import by_system
from bot.operations.grants.release_grant import release_grant
from bot.operations.people.pseudonymise_person import pseudonymise_person
from bot.operations.people.record_people import find_person
from bot.operations.systems.account_links import StoredPins, list_accounts
from bot.operations.usage.count_usage import UsageMeter, sum_usage
from bot.operations.usage.prune_usage import prune_usage
from storage import outbox, sessions, ssh
from tests.builders import SYSTEMS
from tests.factories import ANA, CARA, LEA, Made, a_person

DAY = 86400
EVE = "os:eve"
KEPT = SYSTEMS + '[retention]\nusage = "30d"\n'


def a_used_grant(made: Made, person: str = ANA, *, is_summed: bool = True) -> Grant:
    """Ended, with two checks allowed, one refused, a session and a path."""
    grant = made.a_grant(person=person)
    meter = UsageMeter(made.world)
    meter.count(grant.id, "shop-admin", "192.0.2.7", path=RecordedPath("GET", "/orders/7"))
    meter.count(grant.id, "shop-admin", "192.0.2.8")
    meter.count(grant.id, "shop-admin", "192.0.2.8", outcome="ended")
    meter.flush()
    with made.world.db.transaction():
        at = made.clock.at
        sessions.open_(made.world.db, grant.id, "shop-admin", "host-1 4711", "192.0.2.9", at)
    end(made, grant)
    if is_summed:
        sum_usage(made.world, [grant.id])
        made.forget_work()
    return made.grant(grant.id)


def end(made: Made, grant: Grant) -> None:
    release_grant(made.world, grant.id, grant.person)
    made.close_gates(grant)


def details(made: Made) -> tuple[int, int, int]:
    return (
        made.count("usage", "source <> 'summed'"),
        made.count("sessions"),
        made.count("recorded_paths"),
    )


class TestUsage:
    def test_old_details_are_replaced_by_their_sums(self, made: Made) -> None:
        made.set_policy(systems=KEPT)
        grant = a_used_grant(made)
        with made.world.db.reading():
            before = by_system(made.world.db, [grant.id])[grant.id]["shop-admin"]
        made.clock.at += 30 * DAY
        assert prune_usage(made.world) == 0
        made.clock.at += 60
        assert prune_usage(made.world) == 1
        assert details(made) == (0, 0, 0)
        with made.world.db.reading():
            after = by_system(made.world.db, [grant.id])[grant.id]["shop-admin"]
        assert (after.allowed, after.refused) == (before.allowed + before.sessions, before.refused)
        assert (after.first, after.last) == (before.first, before.last)
        assert prune_usage(made.world) == 0
        ((detail,),) = made.log("usage:detail:pruned", "detail")
        assert json.loads(str(detail))["grants"] == 1

    def test_nothing_is_pruned_before_it_was_summed(self, made: Made) -> None:
        made.set_policy(systems=KEPT)
        a_used_grant(made, is_summed=False)
        made.clock.at += 60 * DAY
        assert prune_usage(made.world) == 0
        assert details(made) == (2 + 1, 1, 1)

    def test_a_grant_whose_sum_waits_keeps_its_details(self, made: Made) -> None:
        made.set_policy(systems=KEPT)
        grant = a_used_grant(made)
        made.clock.at += 60 * DAY
        with made.world.db.transaction():
            outbox.add(made.world.db, [effects.sum_usage([grant.id])], made.clock.at)
        assert prune_usage(made.world) == 0

    def test_a_grant_that_was_used_lately_keeps_its_details(self, made: Made) -> None:
        made.set_policy(systems=KEPT)
        grant = a_used_grant(made)
        made.clock.at += 31 * DAY
        with made.world.db.transaction():
            at = made.clock.at - DAY
            sessions.open_(made.world.db, grant.id, "shop-admin", "late", "192.0.2.9", at)
        assert prune_usage(made.world) == 0

    def test_everything_is_kept_by_default(self, made: Made) -> None:
        a_used_grant(made)
        made.clock.at += 3650 * DAY
        assert prune_usage(made.world) == 0


def left(made: Made, person: str = CARA) -> Person:
    gone = a_person(person, deleted=True)
    made.know(gone)
    return gone


class TestPeopleWhoHaveLeft:
    def test_their_name_is_replaced_by_their_id_for_good(self, made: Made) -> None:
        grant = a_used_grant(made, CARA)
        StoredPins(made.world).keep("github", CARA, "cara-dev")
        StoredPins(made.world).keep("github", LEA, "lea-dev")
        with made.world.db.transaction():
            ssh.keep_key(made.world.db, CARA, "ssh-ed25519 AAAA cara@laptop", made.clock.at)
        gone = left(made)
        made.forget_work()
        done = pseudonymise_person(made.world, EVE, CARA)
        assert isinstance(done, Person), done
        made.know(gone)
        found = find_person(made.world, CARA)
        assert found is not None
        assert (found.name, found.email, found.tz, found.deleted) == (CARA, "", "UTC", True)
        assert list_accounts(made.world) == [("github", LEA, "lea-dev")]
        assert made.count("ssh_keys") == 0
        assert made.count("places", f"person = '{CARA}'") == 0
        assert details(made) == (0, 0, 0)
        assert made.log("person:name:pseudonymised", "actor, subject") == [(EVE, CARA)]
        assert made.verdict().broken is None
        assert made.grant(grant.id).person == CARA

    def test_a_person_who_comes_back_has_a_name_again(self, made: Made) -> None:
        left(made)
        pseudonymise_person(made.world, EVE, CARA)
        made.know(a_person(CARA))
        found = find_person(made.world, CARA)
        assert found is not None and found.name == CARA.title()

    @pytest.mark.parametrize("why", ["is not deactivated", "still has access", "roles.toml names"])
    def test_a_person_who_is_still_needed_keeps_their_name(self, made: Made, why: str) -> None:
        if why == "still has access":
            made.a_grant(person=CARA)
        if why == "roles.toml names":
            made.set_policy(systems=SYSTEMS + '[people."u0cara@example.com"]\ngithub = "cara"\n')
        if why != "is not deactivated":
            left(made)
        done = pseudonymise_person(made.world, EVE, CARA)
        assert isinstance(done, Refused) and why in done.reason, done
        ((detail,),) = made.log("request:action:refused", "detail")
        assert json.loads(str(detail))["action"] == "pseudonymise a person"
        assert find_person(made.world, CARA).email  # type: ignore[union-attr]
