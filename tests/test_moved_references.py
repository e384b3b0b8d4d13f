"""A handle or e-mail of roles.toml means the group or account that it stood for when it was loaded,
and changes of the groups that roles.toml names are reported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.core.approval import Refused
from bot.core.eligibility import Ask
from bot.operations._bind_references import MOST_PEOPLE, RECORDED_PEOPLE
from bot.operations.people.record_people import record_emails, record_groups, record_people
from bot.operations.people.require_lead import require_lead
from bot.operations.policy.record_policy import record_loaded
from bot.operations.requests.accept_vote import Taken
from bot.operations.requests.request_access import request_access
from bot.sandbox.blocks import validate_message
from bot.slack.views import security_notes
from storage.database import Database
from tests.builders import WORKSPACE
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, DAN, GROUPS, LEA, Made, a_person, make_world
from tests.first_look import Start
from tests.slack.views_samples import words

OLD, NEW = "S0DB-LEADS", "S0NEW"
MAIL = "lead@example.com"
Group = tuple[str, str, list[str]]


def _groups(*changed: Group, without: str = "") -> list[Group]:
    usual = {
        f"S0{handle.upper()}": (f"S0{handle.upper()}", handle, ids)
        for handle, ids in GROUPS.items()
    }
    usual.pop(without, None)
    return [*(usual | {group[0]: group for group in changed}).values()]


def _read(made: Made, *changed: Group, without: str = "") -> None:
    """Slack was asked for all groups, and they differ from before."""
    record_groups(made.world, _groups(*changed, without=without), made.clock.at)


def _moved(made: Made) -> None:
    """The approvers' group was disabled, and another one has its handle now."""
    _read(made, (NEW, "db-leads", [CARA]), without=OLD)


def _notes(start: Start, note: str) -> list[dict[str, Any]]:
    """The notes of this kind to the security channel."""
    start.work()
    return [
        dict(data) for some in start.messenger.sent for _, data in some if data.get("note") == note
    ]


def _shown(person: str) -> str:
    return f"{person.title()} ({person})"


def _records(made: Made, event: str) -> list[tuple[str, dict[str, Any]]]:
    return [(subject, json.loads(detail)) for subject, detail in made.log(event, "subject, detail")]


def test_nobody_decides_by_a_handle_that_leads_to_another_group(start: Start) -> None:
    request = start.made.a_request()
    groups = [
        {"id": i, "handle": h, "users": u}
        for i, h, u in _groups((NEW, "db-leads", [CARA]), without=OLD)
    ]
    start.slack.usergroups_list = lambda **_: {"ok": True, "usergroups": groups}  # type: ignore[assignment, method-assign]
    start.people.refresh_groups()
    for person in (CARA, BEN):
        assert isinstance(start.made.press(request.id, person), Taken | Refused)
    start.work()
    assert start.made.state("requests", request.id) == "pending"
    assert start.made.log("request:approval:given") == []


def test_a_handle_that_moved_is_recorded_and_reported_once_and_again_when_it_is_back(
    start: Start,
) -> None:
    for _ in range(3):
        _moved(start.made)
    (told,) = _notes(start, "reference_moved")
    assert (told["reference"], told["bound"], told["now"]) == ("@db-leads", OLD, [NEW])
    ((subject, detail),) = _records(start.made, "policy:reference:moved")
    assert (subject, detail["bound"], detail["now"]) == ("@db-leads", OLD, [NEW])
    _read(start.made)
    assert [data["now"] for data in _notes(start, "reference_moved")] == [[NEW], []]
    assert start.made.world.directory().resolve(["@db-leads"]) == {BEN}


def test_a_handle_stays_bound_over_a_restart_and_however_often_roles_toml_is_saved(
    start: Start, database_url: str
) -> None:
    made = start.made
    _moved(made)
    made.world.db.close()
    made.world = made.another_process(Database(database_url))
    made.reload(shop_admin='max_duration = "30m"')
    record_loaded(made.world, made.world.policy())
    _moved(made)
    assert made.world.directory().resolve(["@db-leads"]) == frozenset()
    made.world.db.close()


def test_the_id_of_the_new_group_in_roles_toml_accepts_it(start: Start) -> None:
    made = start.made
    _moved(made)
    made.reload(shop_admin=f'approvers = ["{NEW}"]')
    record_loaded(made.world, made.world.policy())
    assert made.world.directory().resolve([NEW]) == {CARA}


def test_a_group_with_the_handle_of_another_gives_no_authority(
    start: Start,
) -> None:
    _read(start.made, (NEW, "db-leads", [CARA]))
    assert start.made.world.directory().resolve(["@db-leads"]) == frozenset()
    assert [data["now"] for data in _notes(start, "reference_moved")] == [[NEW]]


def test_a_disabled_group_has_no_members_and_is_reported(start: Start) -> None:
    _read(start.made, without=OLD)
    assert start.made.world.directory().resolve(["@db-leads", OLD]) == frozenset()
    (told,) = _notes(start, "groups_changed")
    (group,) = told["groups"]
    assert (group["name"], group["left"], group["there"]) == ("@db-leads", [_shown(BEN)], False)
    assert _notes(start, "reference_moved") == []


def test_changes_of_members_of_a_group_in_roles_toml_are_recorded_and_reported(
    start: Start,
) -> None:
    _read(start.made, (OLD, "db-leads", [CARA, DAN]), ("S0OTHER", "other", [ANA]))
    _read(start.made, (OLD, "db-leads", [CARA, DAN]), ("S0OTHER", "other", [ANA, BEN]))
    ((group, detail),) = _records(start.made, "policy:group:changed")
    assert (group, detail["references"]) == (OLD, ["@db-leads"])
    assert (detail["came"], detail["left"]) == ([CARA, DAN], [BEN])
    (told,) = _notes(start, "groups_changed")
    shown = words(security_notes.render("groups_changed", told))
    assert f"@db-leads ({OLD}), came: {_shown(CARA)}, {_shown(DAN)}, left: {_shown(BEN)}." in shown


def test_a_new_group_for_an_unused_handle_is_reported(start: Start) -> None:
    start.made.set_policy(shop_admin='approvers = ["@later"]')
    _read(start.made, ("S0LATER", "later", [CARA]))
    (told,) = _notes(start, "groups_changed")
    assert (told["groups"][0]["name"], told["groups"][0]["came_count"]) == ("@later", 1)


def test_a_large_change_is_recorded_and_reported_in_part_with_its_number(start: Start) -> None:
    many = [f"U0MANY{n:04}" for n in range(1000)]
    _read(start.made, (OLD, "db-leads", [BEN, *many]))
    ((_, detail),) = _records(start.made, "policy:group:changed")
    assert (len(detail["came"]), detail["came_count"]) == (RECORDED_PEOPLE, 1000)
    (told,) = _notes(start, "groups_changed")
    assert f"and {1000 - MOST_PEOPLE} more" in words(security_notes.render("groups_changed", told))


def test_changes_of_many_large_groups_at_once_fit_into_one_message(start: Start) -> None:
    many = [f"U0MANY{n:04}" for n in range(500)]
    handles = [f"team-{n:02}-{'x' * 60}" for n in range(30)]
    start.made.set_policy(
        shop_admin=f"requesters = {json.dumps(['@' + handle for handle in handles])}"
    )
    groups: list[Group] = [(f"S0{n:02}", handle, []) for n, handle in enumerate(handles)]
    _read(start.made, *groups)
    _read(start.made, *((group, handle, many) for group, handle, _ in groups))
    messages = [
        security_notes.render("groups_changed", told) for told in _notes(start, "groups_changed")
    ]
    assert [validate_message(message) for message in messages] == [[]] * len(messages)
    assert "and 20 more groups, in the audit log" in words(messages[-1])


def test_an_e_mail_that_leads_to_another_account_gives_no_authority(start: Start) -> None:
    made = start.made
    made.set_policy(workspace=WORKSPACE.replace("@platform-leads", MAIL.title()))
    made.know(a_person(LEA, MAIL))
    record_emails(made.world, [MAIL.title()])
    assert require_lead(made.world, LEA, "audit") is None
    made.know(a_person(LEA, deleted=True), a_person(CARA, MAIL.upper()))
    assert isinstance(require_lead(made.world, CARA, "audit"), Refused)
    ((subject, detail),) = _records(made, "policy:reference:moved")
    assert (subject, detail["bound"], detail["now"]) == (MAIL, LEA, [CARA])
    assert len(_notes(start, "reference_moved")) == 1


def test_replicas_that_read_the_same_move_record_and_report_it_once(
    postgres_url: str, tmp_path: Path
) -> None:
    made = make_world(tmp_path, postgres_url)
    worlds = [made.another_process(Database(postgres_url)) for _ in "1234"]
    groups = _groups((NEW, "db-leads", [CARA]), without=OLD)
    together(
        made.world.db, [lambda w=world: record_groups(w, groups, made.clock.at) for world in worlds]
    )  # type: ignore[misc]
    assert len(_records(made, "policy:reference:moved")) == 1
    assert [group for group, _ in _records(made, "policy:group:changed")] == [OLD]
    assert [world.directory().resolve(["@db-leads"]) for world in worlds] == [frozenset()] * 4
    for world in (*worlds, made.world):
        world.db.close()


DENY = '\n[[roles.shop-admin.deny]]\nname = "d"\nmembers = ["{}"]\nreason = "No."\n'


def _is_denied(made: Made, person: str) -> bool:
    outcome = request_access(made.world, Ask(person, "shop-admin", "because"))
    return isinstance(outcome, Refused) and outcome.rule == "d"


def test_nobody_avoids_a_denial_rule_with_another_address(made: Made) -> None:
    made.set_policy(shop_admin=DENY.format("U0Cara@example.com"))
    other = replace(a_person(CARA), email="cara@example.com")
    record_people(made.world, [other])
    assert _is_denied(made, CARA)
    assert not _is_denied(made, ANA)


def test_a_denial_rule_follows_its_group_to_another_handle(made: Made) -> None:
    made.set_policy(shop_admin=DENY.format("@sre"))
    _read(made)
    _read(made, ("S0SRE", "sre-team", [CARA]))
    assert _is_denied(made, CARA)
    assert not _is_denied(made, ANA)
