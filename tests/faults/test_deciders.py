"""Tiers, absence and escalation together, in the running bot and as people see them."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.running_bot import ROLES, Company
from tests.waiting import until

VAULT = f"""{ROLES}
[roles.vault]
title = "Vault"
system = "shop-admin"
actions = ["orders:read"]
requesters = ["everyone"]
max_duration = "1h"
[[roles.vault.tiers]]
name = "database"
approvers = ["@db-leads"]
[[roles.vault.tiers]]
name = "security"
approvers = ["@sre"]
[roles.vault.escalation]
after = "5s"
approvers = ["@platform-leads"]
"""


def test_a_delegate_and_a_backup_decide_tier_by_tier(make_company: Callable[..., Company]) -> None:
    company = make_company()
    company.roles.write_text(VAULT)
    company.start()
    ana, ben, chiara, dev, gwen = (
        company.sandbox.person(name) for name in ("ana", "ben", "chiara", "dev", "gwen")
    )

    # Ben is away: his delegate decides in the first tier, the backup not yet.
    assert (
        "Dev Patel can decide what you could"
        in company.access(ben, "away until tomorrow @dev").text
    )
    dev.wait_dm("is away until")
    request = company.ask(ana, "vault")
    company.wait_card(request, "Asked now: “database” (step 1 of 2)")
    assert "who is away until" in company.card_text(request)
    dev.open_home()
    assert dev.click(dev.wait_home("You decide in the place of"), "Approve").ok
    company.wait_card(request, "Asked now: “security” (step 2 of 2)")
    assert "Approved already as database (@dev)" in company.card_text(request)

    # Nobody of the second tier decides: the backup is asked, and may decide from then on.
    asked = chiara.wait_dm("Nobody had decided after 5s")
    assert "you are a backup for this role" in chiara.plain(asked)
    company.wait_card(request, "so the backups can too: @platform-leads")
    assert gwen.click(company.card(request), "Approve").ok
    gwen.wait_ephemeral("you are not among its approvers")
    assert chiara.click(asked, "Approve").ok
    until(lambda: company.grant(ana, "vault")[1] == "active")
    votes = company.rows(
        "SELECT actor, detail FROM audit WHERE event = 'request:vote:given' ORDER BY seq"
    )
    assert [actor for actor, _ in votes] == [dev.id, chiara.id]
    assert f'"for":"{ben.id}"' in votes[0][1] and '"backup":"yes"' in votes[1][1]
    assert company.complaints() == [] and company.reactions() == []
