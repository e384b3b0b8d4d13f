"""Channels that change while the bot runs, as processes see it: found at a start and after a save,
and told by the endpoints; with two workers on PostgreSQL names are looked up once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime

from storage.key_values import claim_key
from tests.faults.running_bot import Company
from tests.waiting import until

OLD, SECURITY = "C0APPROVAL", "G0SECURITY"
BOT = "U0ACCESSBOT"


def replaced(company: Company) -> str:
    """Gives #access-approvals another name, and its name to a new channel; gives that one's id."""
    company.sandbox.admin.rename("#access-approvals", "approvals-old")
    members = [BOT, company.ben.id, company.gwen.id]
    return company.sandbox.admin.create_channel("access-approvals", members)


def use(company: Company) -> str:
    found = company.rows("SELECT value FROM key_values WHERE key = 'channel #access-approvals'")
    return str(found[0][0]) if found else ""


def test_a_start_finds_the_channel_that_has_the_name_now(own_company: Company) -> None:
    company = own_company
    until(lambda: use(company) == OLD)
    assert company.bot.stop() == 0
    new = replaced(company)
    company.start()
    until(lambda: use(company) == new)
    assert company.card(company.ask(company.newcomer(), "shop-admin"))["channel"] == new


def test_a_saved_file_finds_the_channel_that_has_the_name_now(own_company: Company) -> None:
    company = own_company
    until(lambda: use(company) == OLD)
    new = replaced(company)
    company.roles.write_text(company.roles.read_text() + "\n# saved again\n")
    os.utime(company.roles)
    until(lambda: use(company) == new)


def test_a_start_posts_what_waits_since_the_bot_was_thrown_out(own_company: Company) -> None:
    company = own_company
    company.expect("can't be done")
    company.sandbox.admin.remove_from_channel("#access-approvals")
    request = company.ask(company.newcomer(), "shop-admin")
    (card,) = until(lambda: company.ben.dms())
    assert company.bot.stop() == 0
    company.sandbox.admin.add_to_channel("#access-approvals")
    company.start()
    until(
        lambda: company.rows(
            "SELECT 1 FROM messages WHERE request_id = ? AND channel = ?", request, OLD
        )
    )
    assert company.ben.click(card, "Approve").ok
    until(lambda: "Approved by" in company.ben.plain(company.ben.dms()[0]))
    until(
        lambda: any(
            "Approved by" in company.ben.plain(each)
            for each in company.sandbox.inspector.messages(OLD)
        )
    )


def test_readiness_and_metrics_tell_of_a_closed_security_channel_and_stay_well(
    own_company: Company,
) -> None:
    company = own_company
    company.expect("can't be done")
    assert '"channels"' not in company.bot.get("/readyz")[1]
    company.sandbox.admin.archive("#access-security")
    company.roles.write_text("this is no roles.toml")
    company.expect("the changed roles.toml has problems")
    until(
        lambda: (
            '"#access-security":"is_archived"' in company.bot.get("/readyz")[1].replace(" ", "")
        ),
        20,
    )
    assert company.bot.get("/readyz")[0] == 200
    metrics = company.bot.get("/metrics")[1]
    assert (
        'access_bot_channel_failing{channel="#access-security",error="is_archived"} 1.0' in metrics
    )
    assert "access_bot_leads_unreachable 0.0" in metrics
    company.chiara.wait_dm("the last good one stays in force")


def test_two_workers_look_names_up_once_and_both_post_to_what_was_found(
    postgres_url: str, make_company: Callable[..., Company]
) -> None:
    company = make_company(environment={"DATABASE_URL": postgres_url})
    company.start()
    workers = [company.launch("worker"), company.start("worker")]
    until(lambda: all(bot.is_ready() for bot in workers))
    until(lambda: use(company) == OLD)
    company.quiet()
    new = replaced(company)
    company.sandbox.inspector.forget()
    with company.db.transaction():  # ten minutes are over: nobody has looked in this interval
        company.db.run("DELETE FROM seen WHERE key LIKE 'channels:%'")
        claim_key(company.db, f"checkup:{datetime.now(UTC):%Y-%m-%d}", int(time.time()))
    until(lambda: use(company) == new, 90)
    company.quiet()
    assert len(company.sandbox.inspector.calls("conversations.list")) == 1
    moved = company.rows("SELECT seq FROM audit WHERE event = 'channel:name:moved'")
    assert len(moved) == 1
    assert company.card(company.ask(company.newcomer(), "shop-admin"))["channel"] == new
