"""Lists about oneself, and for leads about everybody: Home, the lists, the audit page, revoking,
help."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from bot.core.drift import Finding, What
from bot.core.model import GrantState, Person, RequestState
from bot.core.usage import GrantUsage
from bot.operations.systems.describe_alerts import AlertView
from bot.slack.ids import Action
from bot.slack.pages import from_more
from bot.slack.payloads import BadPayload
from bot.slack.views import audit_table, findings, help, home, lists, revoke_confirm
from bot.slack.views._fit import FIRST, Place
from storage.alerts import Alert
from tests.slack.views_samples import (
    NOW,
    a_grant,
    a_person,
    a_person_view,
    a_record,
    a_request,
    a_role,
    elements,
    labels,
    problems,
    shown,
    words,
)

ALL_200 = tuple(a_grant(id=f"e{n}", person=f"U0{n}") for n in range(200))


# --- Home

ALONE: dict[str, Any] = {"roles": (), "held": (), "pending": (), "waiting_for_me": ()}


def test_home_shows_my_access_with_time_left_and_buttons() -> None:
    view = home.render(a_person_view(**{**ALONE, "roles": (a_role(),), "held": (a_grant(),)}), NOW)
    assert "Active until 22 Nov 2026 14:29 UTC. 30 min left." in words(view)
    assert labels(view) == ["Request access", "Show credentials", "Renew", "I'm done", "Request"]


def test_home_shows_requests_for_my_decision_with_reason_and_buttons() -> None:
    view = home.render(a_person_view(held=(), pending=()), NOW)
    assert "@U0BEN asks for Orders database, read only for 1h." in words(view)
    assert "it was charged twice" in words(view)
    assert labels(view) == ["Request access", "Approve", "Deny", "Edit", "Request"]
    assert {b["value"] for b in elements(view, "button")} == {"-", "r3", "orders-read"}


def test_home_shows_my_pending_requests() -> None:
    view = home.render(a_person_view(held=(), waiting_for_me=()), NOW)
    assert "Waits for a decision until 22 Nov 2026 21:00 UTC." in words(view)
    assert labels(view) == ["Request access", "Cancel", "Request"]


def test_home_of_a_newcomer_explains_the_bot_and_how_to_request() -> None:
    view = home.render(a_person_view(held=(), pending=(), waiting_for_me=()), NOW)
    assert "You have no access right now." in words(view)
    assert "choose a role, say why, and an approver decides" in words(
        view
    ) and "/access help" in words(view)
    assert labels(view) == ["Request access", "Request"]


def test_home_shows_the_roles_that_i_may_request_with_maximum_and_approvers() -> None:
    role = a_role(approvers=("U0BEN", "@db-leads", "gwen@example.com", "@sre", "@oncall"))
    names = {role.name: ("Ben Okafor", *role.approvers[1:])}
    view = home.render(a_person_view(**{**ALONE, "roles": (role,)}, approvers=names), NOW)
    asked = (
        "(orders-read): at most 4h, decided by Ben Okafor, @db-leads, gwen@example.com and 2 more"
    )
    assert asked in words(view)
    assert [b["value"] for b in elements(view, "button") if b["action_id"] == Action.REQUEST] == [
        "-",
        "orders-read",
    ]


def test_home_offers_to_repeat_my_last_requests_that_are_still_allowed() -> None:
    recent = (
        a_request(id="r7", state=RequestState.APPROVED),
        a_request(id="r8", state=RequestState.DENIED, role="gone", duration=1800),
    )
    view = home.render(a_person_view(**{**ALONE, "roles": (a_role(),)}, recent=recent), NOW)
    assert "Orders database, read only for 1h, approved: " in words(view)
    assert "gone for 30m, denied: " in words(view)
    assert [b["value"] for b in elements(view, "button") if b["action_id"] == Action.ASK_AGAIN] == [
        "r7"
    ]
    assert "choose a role, say why" not in words(view)


def test_home_of_a_person_without_roles_has_no_request_button() -> None:
    view = home.render(a_person_view(**ALONE), NOW)
    assert "Ask a lead which one you need." in words(view)
    assert labels(view) == []


@pytest.mark.parametrize(
    ("person", "why"),
    [
        (a_person(guest=True), "guest accounts can't use access"),
        (a_person(deleted=True), "this Slack account is deactivated"),
        (a_person(stranger=True), "people from other workspaces can't use access here"),
        (a_person(stranger=True, checked_at=0), "Slack has not said yet who you are."),
    ],
    ids=["guest", "deactivated", "stranger", "unknown"],
)
def test_home_of_an_ineligible_account_shows_only_the_reason(person: Person, why: str) -> None:
    view = home.render(a_person_view(person=person, everything=ALL_200), NOW)
    assert why in words(view)
    assert labels(view) == []


def home_pages(view_of: Callable[[int], dict[str, Any]], section: str) -> list[dict[str, Any]]:
    """Every page of a section, by its own "Show more"."""
    found, skip = [view_of(0)], 0
    while True:
        turned = [
            b["value"] for b in elements(found[-1], "button") if b["action_id"] == Action.HOME_PAGE
        ]
        more = [
            skips for name, skips in map(home.page_from, turned) if name == section and skips > skip
        ]
        if not more:
            return found
        skip = more[0]
        found.append(view_of(skip))
        assert problems(found[-1]) == [] and "Back to the first" in labels(found[-1])


MANY: dict[str, tuple[str, dict[str, Any], Action]] = {
    "held": ("held", {"held": tuple(a_grant(id=f"x{n}") for n in range(60))}, Action.DONE),
    "pending": (
        "pending",
        {"pending": tuple(a_request(id=f"x{n}") for n in range(60))},
        Action.CANCEL,
    ),
    "to decide": (
        "decide",
        {"waiting_for_me": tuple(a_request(id=f"x{n}") for n in range(60))},
        Action.DENY,
    ),
    "roles": ("ask", {"roles": tuple(a_role(name=f"x{n}") for n in range(60))}, Action.REQUEST),
}


@pytest.mark.parametrize(("section", "many", "action"), MANY.values(), ids=MANY)
def test_every_row_of_home_is_on_one_of_its_pages(
    section: str, many: dict[str, Any], action: Action
) -> None:
    view = a_person_view(**{**ALONE, **many})
    found = home_pages(lambda skip: home.render(view, NOW, section, skip), section)
    pressed = [
        b["value"] for one in found for b in elements(one, "button") if b["action_id"] == action
    ]
    assert [value for value in pressed if value != home.NO_ROLE] == [f"x{n}" for n in range(60)]
    assert "1 to " in words(found[0]) and "of 60 are shown" in words(found[0])


def test_a_lead_reaches_every_active_grant_with_end_now_at_each() -> None:
    def page(skip: int) -> dict[str, Any]:
        read = a_person_view(
            everything=ALL_200[skip : skip + 50], active=200, names={"U00": "Ben Okafor"}
        )
        return home.render(read, NOW, "everything", skip)

    found = home_pages(page, "everything")
    ends = [b for one in found for b in elements(one, "button") if b["text"]["text"] == "End now"]
    assert [b["value"] for b in ends] == [grant.id for grant in ALL_200]
    assert "Everything active (200)" in words(found[0])
    assert (
        ends[0]["action_id"] == Action.REVOKE
        and "of Ben Okafor ends at once" in ends[0]["confirm"]["text"]["text"]
    )


def test_a_lead_cannot_end_a_grant_that_is_ending() -> None:
    ending = a_grant(state=GrantState.ENDING)
    view = home.render(a_person_view(**ALONE, everything=(ending,)), NOW)
    assert "Ending (" in words(view) and "End now" not in labels(view)


def test_a_lead_sees_unconfirmed_ends() -> None:
    alerts = tuple(
        AlertView(
            Alert(f"a{n}", "g1", f"system-{n}", NOW, 3, 1, NOW), a_grant(id="g1"), "timed out"
        )
        for n in range(9)
    )
    view = home.render(a_person_view(**ALONE, everything=(), alerts=alerts, open_alerts=9), NOW)
    assert "Ends not confirmed (9)" in words(view)
    assert (
        "system-0 has not confirmed the end of Orders database, read only of @U0ANA since"
        in words(view)
    )
    pressed = [b["value"] for b in elements(view, "button") if b["action_id"] == Action.ACKNOWLEDGE]
    assert pressed == ["a0", "a1", "a2", "a3"] and "Show more" in labels(view)


@pytest.mark.parametrize(
    "value",
    ["", "held", "held:", "held:-1", "held:x", "held:١", "nothing:1", "held:9999999", "a:b:c"],
)
def test_a_forged_page_of_home_is_refused(value: str) -> None:
    with pytest.raises(BadPayload):
        home.page_from(value)


def test_a_page_beyond_the_end_leads_back() -> None:
    view = home.render(a_person_view(**{**ALONE, "held": (a_grant(),)}), NOW, "held", 40)
    assert "There are no more." in words(view) and labels(view) == ["Back to the first"]


def test_only_leads_see_everything_active() -> None:
    assert "Everything active" not in words(home.render(a_person_view(), NOW))
    assert "Everything active (1)" in words(
        home.render(a_person_view(everything=(a_grant(),)), NOW)
    )
    assert "Nobody has any access" in words(home.render(a_person_view(everything=()), NOW))


@pytest.mark.parametrize(
    ("used", "told"),
    [
        (GrantUsage(), "Not used yet."),
        (GrantUsage(2, NOW, NOW), "Used 2 times, last 22 Nov 2026 14:00 UTC."),
        (GrantUsage(1, NOW, NOW, open=1), "Used once, last 22 Nov 2026 14:00 UTC. In use now."),
        (GrantUsage(silent=("a",)), "Its use is not reported."),
    ],
)
def test_a_lead_sees_the_use_of_every_grant(used: GrantUsage, told: str) -> None:
    view = a_person_view(everything=(a_grant(),), used={"g1": used})
    assert told in words(home.render(view, NOW))
    scheduled = a_grant(state=GrantState.SCHEDULED, started_at=None)
    waiting = a_person_view(everything=(scheduled,), used={"g1": used}, held=())
    assert told not in words(home.render(waiting, NOW))


# --- /access list and /access roles


def test_my_list_has_grants_with_time_left_and_requests_with_cancel() -> None:
    message = lists.my_access(a_person_view(), NOW)
    assert "30 min left" in words(message)
    assert labels(message) == ["Show credentials", "Renew", "I'm done", "Cancel"]
    assert message["text"] == "You have 1 grant and 1 open request."


BUTTONS = {
    GrantState.SCHEDULED: ["I'm done"],
    GrantState.STARTING: ["I'm done"],
    GrantState.ACTIVE: ["Show credentials", "Renew", "I'm done"],
    GrantState.ENDING: [],
}


@pytest.mark.parametrize(("state", "expected"), BUTTONS.items(), ids=BUTTONS)
def test_a_grant_offers_the_actions_of_its_state(state: GrantState, expected: list[str]) -> None:
    view = a_person_view(held=(a_grant(state=state),), pending=())
    assert labels(lists.my_access(view, NOW)) == expected


def test_an_empty_list_says_how_to_begin() -> None:
    assert "/access asks for something" in words(
        lists.my_access(a_person_view(held=(), pending=()), NOW)
    )


def more_of(message: dict[str, Any]) -> dict[str, Any] | None:
    """The value of a page's More button, None on the last page."""
    found = [
        each["value"] for each in elements(message, "button") if each["action_id"] == Action.MORE
    ]
    return from_more(found[0]) if found else None


def pages(render: Callable[[Place], dict[str, Any]]) -> list[dict[str, Any]]:
    """Every page to which presses on More lead."""
    made = [render(FIRST)]
    while (given := more_of(made[-1])) is not None:
        made.append(render(Place(given["start"], given["after"])))
        assert len(made) < 100
    assert [problems(page) for page in made] == [[]] * len(made)
    return made


def test_300_grants_are_all_listed_each_once_with_its_buttons() -> None:
    view = a_person_view(held=tuple(a_grant(id=f"g{n}") for n in range(300)))
    made = pages(lambda place: lists.my_access(view, NOW, place))
    renews = [
        each["value"]
        for page in made
        for each in elements(page, "button")
        if each["action_id"] == Action.RENEW
    ]
    assert renews == [f"g{n}" for n in range(300)]
    assert "1–" in words(made[0]) and " of 301" in words(made[0])
    assert "Cancel" in labels(made[-1]) and more_of(made[-1]) is None


def test_a_page_begins_after_the_last_seen_row_even_if_others_are_gone() -> None:
    held = [a_grant(id=f"g{n}") for n in range(100)]
    given = more_of(lists.my_access(a_person_view(held=tuple(held)), NOW))
    assert given is not None
    after, start = Place(given["start"], given["after"]), int(given["start"])
    fewer = a_person_view(held=tuple(held[5:]))
    assert elements(lists.my_access(fewer, NOW, after), "button")[0]["value"] == f"g{start}"
    without_it = a_person_view(held=tuple(each for each in held if each.id != given["after"]))
    assert elements(lists.my_access(without_it, NOW, after), "button")[0]["value"] == f"g{start}"
    assert "There are no more." in words(
        lists.my_access(a_person_view(held=(), pending=(a_request(),)), NOW, after)
    )


def test_250_roles_are_all_listed() -> None:
    many = [a_role(name=f"role-{n}") for n in range(250)]
    made = pages(lambda place: lists.roles(many, "", place))
    said = " ".join(map(words, made))
    assert all(said.count(f"(role-{n})") == 1 for n in range(250))


def test_one_role_is_shown_in_full_whatever_it_gives() -> None:
    large = a_role(
        actions=tuple(f"{n:02}{'a' * 198}" for n in range(50)),
        systems=tuple(f"system-{n}-{'s' * 50}" for n in range(20)),
        approvers=tuple(f"@group-{n}" for n in range(40)),
        description="d" * 2000,
    )
    said = " ".join(words(page) for page in pages(lambda place: lists.role(large, place)))
    for each in (*large.actions, *large.systems, *large.approvers, large.description):
        assert each in said


def test_the_roles_that_i_may_request_show_maximum_and_approvers() -> None:
    roles = (a_role(), a_role(name="deploy", title="Deploy", approvals=2, ticket="^A$"))
    said = words(lists.roles(roles))
    assert "Orders database, read only (orders-read): 1h, at most 4h; 1 approval" in said
    assert "Deploy (deploy): 1h, at most 4h; 2 approvals, with a ticket" in said


def test_a_person_without_roles_reads_so() -> None:
    assert "Ask a lead" in words(lists.roles(()))


# --- the audit page


def audit(*changes: dict[str, Any], filters: str = "", older: str | None = None) -> dict[str, Any]:
    return audit_table.render([a_record(**each) for each in changes], filters.split(), older, NOW)


def rows(message: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return list(elements(message, "table")[0]["rows"])


def test_the_log_is_a_table_with_each_record_in_a_row() -> None:
    header, row = rows(audit({}))
    assert [cell["text"] for cell in header][:4] == ["No.", "When", "Event", "Who"]
    assert row[2]["text"] == "request:access:asked"
    assert elements(row[1], "date")[0]["timestamp"] == NOW
    assert elements(row[3], "user")[0]["user_id"] == "U0ANA"


@pytest.mark.parametrize(
    ("actor", "expected"),
    [
        ("system", "Access"),
        ("os:eve", "eve (command line)"),
        ("rule:on call", "rule “on call”"),
    ],
)
def test_actors_who_are_not_members_have_readable_names(actor: str, expected: str) -> None:
    assert elements(rows(audit({"actor": actor}))[1][3], "text")[0]["text"] == expected


def test_an_empty_cell_is_not_empty_for_slack() -> None:
    assert rows(audit({"reason": "", "system": ""}))[1][6]["text"] == "–"


def test_the_plain_text_has_the_records_without_typed_text() -> None:
    message = audit({"reason": "<!channel>"})
    assert (
        "7 · 22 Nov 2026 14:00 UTC · request:access:asked · U0ANA · orders-read" in message["text"]
    )
    assert "channel" not in message["text"]


USES: dict[str, tuple[str, dict[str, object], str]] = {
    "first": ("grant:use:first", {"source_address": "192.0.2.7"}, "used from 192.0.2.7"),
    "first, from who knows where": ("grant:use:first", {"source_address": ""}, "used"),
    "summed": (
        "grant:use:summed",
        {"allowed": 2, "sessions": 1, "last": NOW, "known": "every use"},
        "used 3 times, last 22 Nov 2026 14:00 UTC",
    ),
    "never": (
        "grant:use:summed",
        {"allowed": 0, "sessions": 0, "last": None, "known": "every use"},
        "never used",
    ),
    "looked at": (
        "grant:use:summed",
        {"allowed": 0, "last": None, "known": "observed"},
        "not seen in use",
    ),
    "silent": (
        "grant:use:summed",
        {"allowed": 0, "last": None, "known": "not reported"},
        "its use is not reported",
    ),
    "of an older version": (
        "grant:use:summed",
        {"allowed": 1, "last": NOW},
        "used once, last 22 Nov 2026 14:00 UTC",
    ),
    "beyond the end": (
        "grant:use:after_end",
        {"session": "pid 7", "opened_at": NOW},
        "beyond the end: session pid 7, opened 22 Nov 2026 14:00 UTC",
    ),
    "of a newer version": ("grant:use:summed", {"used": 1}, "–"),
}


@pytest.mark.parametrize(("event", "detail", "told"), USES.values(), ids=USES)
def test_a_record_of_use_says_how_it_was_used(
    event: str, detail: dict[str, object], told: str
) -> None:
    message = audit({"event": event, "detail": json.dumps(detail)})
    assert (shown(rows(message)[1][7]).strip(), problems(message)) == (told, [])


@pytest.mark.parametrize("reason", ["", "again and again"])
def test_a_record_of_repeats_shows_their_number(reason: str) -> None:
    detail = {"action": "approve", "why": "no", "repeated": 41}
    row = rows(
        audit({"event": "request:action:refused", "reason": reason, "detail": json.dumps(detail)})
    )[1]
    said = "".join(each["text"] for each in elements(row[7], "text"))
    assert said == (f"{reason} · " if reason else "") + "repeated 41 times"


def test_the_older_page_is_one_press_away_until_there_is_none() -> None:
    (older,) = elements(audit({}, older='{"before":7}'), "button")
    assert (older["action_id"], older["value"]) == (Action.AUDIT_OLDER, '{"before":7}')
    assert elements(audit({}), "button") == []


def test_a_page_has_at_most_20_records() -> None:
    assert len(rows(audit(*({"seq": n} for n in range(30))))) == 21


def test_an_empty_result_repeats_the_filters() -> None:
    assert "No audit records match role:x." in words(audit(filters="role:x"))


@pytest.mark.parametrize("found", [({},), ()], ids=["found", "nothing found"])
def test_the_person_of_a_filter_is_shown_by_name(found: tuple[dict[str, Any], ...]) -> None:
    title = audit(*found, filters="person:U0DEV role:x since:2026-11-22T00:00:00Z")["blocks"][0]
    assert [each["user_id"] for each in elements(title, "user")] == ["U0DEV"]
    assert "@U0DEV role:x since:2026-11-22T00:00:00Z." in words({"blocks": [title]})
    assert "person:os:eve" in words(audit(*found, filters="person:os:eve"))


# --- revoking, help


def test_each_grant_can_be_revoked_by_a_button_with_a_confirmation() -> None:
    message = revoke_confirm.render(
        [a_grant(), a_grant(id="g2")], "U0ANA", NOW, {"orders-read": "Orders"}
    )
    assert [b["value"] for b in elements(message, "button")] == ["g1", "g2"]
    assert "Orders of <@" not in json.dumps(elements(message, "button"))
    assert all(b["style"] == "danger" and "confirm" in b for b in elements(message, "button"))


def test_an_empty_list_to_revoke_says_so() -> None:
    assert "nothing to revoke" in words(revoke_confirm.render([], "U0ANA", NOW))


def test_of_300_grants_each_can_be_revoked() -> None:
    many = [a_grant(id=f"g{n}") for n in range(300)]
    made = pages(lambda place: revoke_confirm.render(many, "U0ANA", NOW, role="all", place=place))
    revokes = [
        each["value"]
        for page in made
        for each in elements(page, "button")
        if each["text"]["text"] == "Revoke"
    ]
    assert revokes == [each.id for each in many]
    given = more_of(made[0])
    assert given is not None and (given["person"], given["role"]) == ("U0ANA", "all")


def test_of_300_findings_each_can_be_removed_and_each_unreachable_system_is_named() -> None:
    many = [Finding("orders-db", What.UNMANAGED, f"role_{n}", id=f"f{n}") for n in range(300)]
    unasked = {f"system-{n:02}": "no answer " * 30 for n in range(40)}

    def render(place: Place) -> dict[str, Any]:
        return findings.render(many, 50, unasked) if place is FIRST else findings.more(many, place)

    made = pages(render)
    removes = [
        each["value"]
        for page in made
        for each in elements(page, "button")
        if each["text"]["text"] == "Remove"
    ]
    assert removes == [each.id for each in many]
    assert all(system in words(made[0]) for system in unasked)


def test_help_shows_leads_what_only_they_can_do() -> None:
    assert "/access revoke" not in words(help.render(False))
    assert "/access revoke @user [ROLE|all]" in words(help.render(True))
    assert "/access request ROLE [DURATION] REASON" in words(help.render(False))


def test_a_request_shows_the_name_of_a_removed_role() -> None:
    view = a_person_view(held=(), pending=(a_request(role="gone"),))
    assert "gone" in words(lists.my_access(view, NOW))
