"""The ticket of a request is a link wherever a card shows it, and nothing a person typed becomes
one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bot.core.model import EndReason, RequestState
from bot.operations.people.describe_person import describe_home
from bot.sandbox.blocks import validate_message
from bot.slack.views import approval_message, home, request_details
from bot.slack.views._parts import ended_because
from tests.builders import SYSTEMS
from tests.factories import BEN, START, make_world
from tests.slack.views_samples import ENDED, NOW, a_card, a_grant, a_request

PAGE = "https://acme.atlassian.net/browse/OPS-1"


def links(view: Any) -> list[dict[str, Any]]:
    if isinstance(view, dict):
        own = [view] if view.get("type") == "link" else []
        return own + [each for part in view.values() for each in links(part)]
    if isinstance(view, list):
        return [each for part in view for each in links(part)]
    return []


def test_a_card_links_its_ticket() -> None:
    for request in (
        a_request(ticket="OPS-1"),
        a_request(ticket="OPS-1", state=RequestState.DENIED, decided_by="U0BEN", decided_at=NOW),
    ):
        card = a_card(request=request, ticket_link=PAGE)
        message = approval_message.render(card, NOW)
        assert validate_message(message) == []
        (found,) = links(message["blocks"])
        assert (found["url"], found["text"]) == (PAGE, "OPS-1")


def test_the_details_link_it() -> None:
    card = a_card(request=a_request(ticket="OPS-1"), ticket_link=PAGE)
    assert [each["url"] for each in links(request_details.render(card))] == [PAGE]


def test_home_links_the_ticket_of_what_waits_for_a_decision(tmp_path: Path) -> None:
    made = make_world(tmp_path)
    jira = '[tickets]\nkind = "jira"\nurl = "https://acme.atlassian.net"\ntoken = "s3cret:x"\n'
    made.a_request("reports-read")
    assert links(home.render(describe_home(made.world, BEN), START)) == []
    made.set_policy(systems=SYSTEMS + jira)
    assert [
        (each["url"], each["text"])
        for each in links(home.render(describe_home(made.world, BEN), START))
    ] == [(PAGE, "OPS-1")]


def test_without_a_known_page_it_is_text_only() -> None:
    card = a_card(request=a_request(ticket="<https://evil.test|OPS-1>"))
    message = approval_message.render(card, NOW)
    assert links(message["blocks"]) == []
    assert "<https://evil.test|OPS-1>" in json.dumps(message["blocks"])


def test_an_end_by_a_closed_ticket_says_so() -> None:
    ended = {**ENDED, "end_reason": EndReason.REVOKED, "end_words": "its ticket OPS-1 was closed"}
    (words,) = ended_because(a_grant(**ended))
    assert isinstance(words, dict) and words["text"] == "its ticket OPS-1 was closed"
