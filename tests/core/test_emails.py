"""An e-mail address stays as Slack has it, and is case-folded only for comparisons."""

from __future__ import annotations

import pytest

from bot.core.model import folded
from bot.core.roles import names_of
from bot.operations.people.find_by_email import find_by_email
from bot.operations.people.record_people import find_person, record_people
from bot.slack.people import person_from
from tests.builders import SYSTEMS
from tests.factories import ANA, Made, a_person

ADDRESS = "Ana.Lopez+Prod@Example.com"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ADDRESS, "ana.lopez+prod@EXAMPLE.COM", True),
        ("kim@example.com", "\N{KELVIN SIGN}im@example.com", False),
        ("iris@example.com", "\N{LATIN SMALL LETTER DOTLESS I}ris@example.com", False),
        ("iris@example.com", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}ris@example.com", False),
        ("strasse@example.com", "stra\N{LATIN SMALL LETTER SHARP S}e@example.com", False),
    ],
)
def test_capitals_of_a_to_z_make_no_difference_and_every_other_letter_does(
    one: str, other: str, same: bool
) -> None:
    assert (folded(one) == folded(other)) is same


def test_an_e_mail_is_stored_as_in_slack_and_found_in_any_case(made: Made) -> None:
    user = {"id": "U0ANALO", "team_id": "T1", "profile": {"email": ADDRESS}}
    record_people(made.world, [person_from(user, made.clock.at, "T1")])
    known = find_person(made.world, "U0ANALO")
    assert known is not None and known.email == ADDRESS
    assert (
        find_by_email(made.world, ADDRESS.lower())
        == find_by_email(made.world, ADDRESS.upper())
        == "U0ANALO"
    )
    assert made.world.directory().resolve([ADDRESS.lower()]) == {"U0ANALO"}


def test_an_old_row_gets_its_capitals_at_the_next_look_up_in_slack(made: Made) -> None:
    record_people(made.world, [a_person(ANA, ADDRESS.lower())])
    record_people(made.world, [a_person(ANA, ADDRESS)])
    known = find_person(made.world, ANA)
    assert known is not None and known.email == ADDRESS


def test_a_name_on_a_system_is_found_by_the_e_mail_in_any_case(made: Made) -> None:
    people = f'[people."{ADDRESS.lower()}"]\nkubernetes = "Ana (Prod)"'
    made.set_policy(systems=SYSTEMS + people)
    assert names_of(made.world.policy(), a_person(ANA, ADDRESS)) == {"kubernetes": "Ana (Prod)"}
