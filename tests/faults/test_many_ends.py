"""Hundreds of grants end in the same second while Slack is down: all are over at once. When Slack
is back, the bot sends far fewer posts than there were grants, at Slack's pace."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from bot.core.audit import Entry, Event
from bot.core.model import Grant, GrantState, Lease, Request, RequestState
from bot.tokens import Signer
from storage import audit, direct_notes, grants, requests
from storage.direct_notes import DirectNote
from tests.faults.processes import ROLES, command
from tests.faults.running_bot import Company
from tests.waiting import until

GRANTS = 500
PEOPLE = 50
CARD = ("C0APPROVAL", "1700000000.000001")
TOLD = 240
"""Seconds within which a busy machine says what Slack's outage held back; a quiet one takes 60."""


def put_in(company: Company, number: int, ends_at: int) -> None:
    """Adds active grants to the rows and the log, as if each had been requested, approved and
    started an hour before."""
    chain, entries = audit.Chain(Signer([company.env["ACCESS_SECRET_KEYS"]])), []
    people = [company.newcomer().id for _ in range(PEOPLE)]
    began = ends_at - 3600
    with company.db.transaction(), company.db.together():
        for each in range(number):
            request, grant, who = f"r{each:011d}", f"g{each:011d}", people[each % PEOPLE]
            asked = Request(
                request,
                who,
                "quick",
                ("shop-admin",),
                ("orders:read",),
                "",
                3600,
                "many",
                "",
                None,
                RequestState.APPROVED,
                began,
                ends_at,
                None,
                began,
                company.ben.id,
            )
            held = Grant(
                grant,
                request,
                who,
                "quick",
                ("shop-admin",),
                ("orders:read",),
                GrantState.ACTIVE,
                3600,
                began,
                ends_at,
                ends_at,
                began,
            )
            requests.insert(company.db, asked)
            requests.add_message(company.db, request, *CARD)
            grants.insert(
                company.db,
                held,
                [Lease(grant, "shop-admin", "gateway", GrantState.ACTIVE, actions=held.actions)],
            )
            grants.open_gate(company.db, grant, "shop-admin", ends_at)
            note = DirectNote(
                f"D{who[1:]}",
                "1700000000.000002",
                each // PEOPLE,
                grant,
                "",
                "active",
                began,
                False,
            )
            direct_notes.add(company.db, [note])
            about = {"subject": who, "role": "quick", "system": "shop-admin", "request": request}
            terms = {"duration": 3600, "actions": ["orders:read"], "approvers": [company.ben.id]}
            asking = {"reason": asked.reason, "detail": {"duration": 3600}}
            entries.append(Entry(Event.REQUEST_ASKED, who, **about, **asking))
            entries.append(Entry(Event.APPROVAL_GIVEN, company.ben.id, **about, detail=terms))
        audit.append(company.db, entries, began, chain)
        company.db.notify([], ends_at)


@pytest.mark.slow
@pytest.mark.timeout(600)  # all that it waits for, each as long as it may take
def test_hundreds_of_ends_in_one_second_neither_wait_for_slack_nor_flood_it(
    database_url: str, make_company: Callable[..., Company]
) -> None:
    number = GRANTS
    company = make_company(environment={"DATABASE_URL": database_url})
    # The sandbox shares this process, which may be too busy with the rows to take a connection.
    company.expect("bot.slack.socket: ")
    company.roles.write_text(ROLES)
    company.start()
    company.sandbox.faults.http("*", 503)
    ends_at = int(time.time()) + 30
    put_in(company, number, ends_at)
    assert time.time() < ends_at, "the machine is too slow to put them in"
    until(lambda: company.rows("SELECT COUNT(*) FROM gates") == [(0,)], 60)
    until(
        lambda: company.rows("SELECT COUNT(*) FROM grants WHERE state = 'ended'") == [(number,)], 30
    )
    over = company.rows("SELECT ended_at FROM grants")
    assert min(over)[0] >= ends_at
    ended = company.rows("SELECT \"grant\" FROM audit WHERE event = 'grant:access:ended'")
    assert len(ended) == len(set(ended)) == number

    company.sandbox.inspector.forget()
    company.sandbox.admin.rate_limits(True)
    company.sandbox.faults.clear()
    until(lambda: not company.rows("SELECT id FROM outbox WHERE queue <> 'update'"), TOLD)
    updates = company.rows(
        "SELECT kind, ordering_key FROM outbox WHERE claimed_by IS NULL AND attempts = 0"
    )
    # One untried update a message, however often it is out of date; a second one may be behind a
    # row that was claimed meanwhile and put back unbegun.
    assert len(updates) - len(set(updates)) < number / 100
    assert len({key for kind, key in updates if kind == "update_direct"}) <= PEOPLE
    posts = [call for call in company.sandbox.inspector.calls("chat.postMessage") if call["ok"]]
    public = [call for call in posts if call["args"]["channel"] == CARD[0]]
    assert 0 < len(public) <= number / 20
    assert len(posts) <= number / 5 + PEOPLE
    told = {call["args"]["channel"] for call in posts}
    assert len(told) >= PEOPLE
    assert not [call for call in posts if len(json.dumps(call["args"])) > 40_000]
    company.sandbox.admin.rate_limits(False)
    company.quiet(120)
    assert company.rows("SELECT COUNT(*) FROM direct_notes WHERE past = 0") == [(0,)]
    verified = command(company, "audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    print(f"over {max(over)[0] - ends_at} s late at most, {len(public)} and {len(posts)} posts")  # noqa: T201
