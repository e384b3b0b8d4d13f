"""`access-bot people`: the names of people who have left."""

from __future__ import annotations

from storage import people
from tests.cli.conftest import Shop, run
from tests.factories import CARA, a_person


def test_only_people_who_have_left_lose_their_name(shop: Shop) -> None:
    made = shop.made
    made.know(a_person(CARA))
    shown = run("people", "pseudonymise", CARA, "--yes")
    assert shown.exit_code == 1 and "is not deactivated in Slack" in shown.stderr
    made.know(a_person(CARA, deleted=True))
    shown = run("people", "pseudonymise", "u0cara@example.com", "--yes")
    assert (shown.exit_code, shown.stdout) == (
        0,
        f"Lists and messages show {CARA} instead of a name.\n",
    )
    with made.world.db.reading():
        known = people.get(made.world.db, CARA)
    assert known is not None and (known.name, known.email) == (CARA, "")
    assert shop.recorded("person:name:pseudonymised")
