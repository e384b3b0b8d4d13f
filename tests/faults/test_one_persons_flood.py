"""One person asks, cancels and presses without end; another one asks, is approved and gets in as if
nobody did."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults.running_bot import ROLES, Company
from tests.waiting import until

FLOOD = 25
MANY_ROLES = "".join(
    f"""
[roles.flood-{number}]
title = "Flood {number}"
system = "reports"
actions = ["reports:read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "1h"
"""
    for number in range(FLOOD)
)


def test_a_flood_of_one_person_does_not_hold_up_another(
    make_company: Callable[..., Company],
) -> None:
    company = make_company(rate_limits=True)
    company.roles.write_text(ROLES + MANY_ROLES)
    company.start()
    flooder, other = company.ana, company.newcomer()
    company.sandbox.admin.add_to_channel("#access-approvals", flooder.id)
    own = company.card(company.ask(flooder, "shop-admin"))
    asked = [company.ask(flooder, f"flood-{number}") for number in range(FLOOD)]
    for _ in range(30):
        assert flooder.click(own, "Approve").ok
        assert "no role" in company.access(flooder, "request nope because").text
    posted_before = len(_posted(company, asked))
    began = time.monotonic()
    request = company.ask(other, "shop-admin")
    times = {"asked": time.monotonic() - began}
    card = company.card(request)
    times["posted"] = time.monotonic() - began
    assert len(_posted(company, asked)) - posted_before <= 3, (
        "one is on its way, and one may follow with the other's"
    )
    assert len(_posted(company, asked)) < FLOOD, "the flood is still there"
    assert company.ben.click(card, "Approve").ok
    until(lambda: company.grant(other, "shop-admin")[1] == "active")
    times["active"] = time.monotonic() - began
    said = ", ".join(f"{what} after {took:.2f} s" for what, took in times.items())
    print(f"the other's times: {said}")  # noqa: T201
    assert len(_posted(company, asked)) < FLOOD, "the flood is still there"
    refused = company.rows(
        "SELECT COUNT(*) FROM audit WHERE event = 'request:action:refused' AND actor = ?",
        flooder.id,
    )
    assert 2 <= refused[0][0] <= 4, "60 refusals are two kinds, and each is counted"


def _posted(company: Company, requests: list[str]) -> set[str]:
    """Those of these requests that are in their channel."""
    return {
        request for (request,) in company.rows("SELECT DISTINCT request_id FROM messages")
    } & set(requests)
