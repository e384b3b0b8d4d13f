"""A flag against the real bot: it is in the security channel soon, and a lead answers it there."""

from __future__ import annotations

from tests.faults.running_bot import Company
from tests.faults.test_lifecycle import labels


def test_a_flag_is_posted_investigated_and_answered(company: Company) -> None:
    dev, lead = company.dev, company.chiara
    for _ in range(5):
        company.ask(dev, "shop-admin")
        company.access(dev, "cancel shop-admin")
    posted = lead.wait_message("#access-security", "nagging")
    assert labels(posted) == ["Expected", "Investigate"], "there is nothing to revoke"
    assert lead.click(posted, "Investigate").ok
    thread = posted["ts"]
    lead.wait_for(lambda: lead.messages("#access-security", thread)[1:])
    note = lead.messages("#access-security", thread)[-1]
    assert "investigates this flag" in lead.plain(note)
    assert "nagging" in company.access(lead, "flags").text
    posted = lead.wait_message("#access-security", "investigates since")
    assert lead.click(posted, "Expected").ok
    lead.wait_view("Why was it expected?")
    assert lead.fill_and_submit({"Why was it expected?": "a test of the form"}).ok
    answered = lead.wait_message("#access-security", "a test of the form")
    assert labels(answered) == []
