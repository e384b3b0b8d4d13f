"""Slack over HTTP: only fresh requests that Slack signed have an effect, and then everything works
as over a socket."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.faults.running_bot import Company, running_company
from tests.waiting import until

Headers = list[tuple[str, str]]
AT, SIGNATURE = "X-Slack-Request-Timestamp", "X-Slack-Signature"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with running_company(tmp_path_factory.mktemp("company"), mode="http") as found:
        found.start()
        yield found
        assert found.complaints() == []


def signed(secret: str, body: str, at: str) -> Headers:
    digest = hmac.new(secret.encode(), f"v0:{at}:{body}".encode(), hashlib.sha256).hexdigest()
    return [(AT, at), (SIGNATURE, f"v0={digest}")]


def post(company: Company, body: str, headers: Headers) -> int:
    """Sends these headers, repeated ones too, and returns the status."""
    with closing(http.client.HTTPConnection(urlsplit(company.bot.url).netloc, timeout=10)) as line:
        line.putrequest("POST", "/slack/events")
        for name, value in [("Content-Type", "application/x-www-form-urlencoded"), *headers]:
            line.putheader(name, value)
        line.putheader("Content-Length", str(len(body.encode())))
        line.endheaders(body.encode())
        return line.getresponse().status


def command(company: Company, who: Any, words: str) -> str:
    """The body of a slash command as Slack sends it."""
    team = company.sandbox.inspector.directory()["users"][who.id]["team_id"]
    return urlencode(
        {
            "command": "/access",
            "text": words,
            "user_id": who.id,
            "team_id": team,
            "channel_id": "C0GENERAL",
            "trigger_id": f"{time.time_ns()}.1",
            "response_url": "https://slack.invalid/",
        }
    )


Spoil = Callable[[str, str, str], Headers]

SPOILED: dict[str, Spoil] = {
    "missing both": lambda secret, body, now: [],
    "missing signature": lambda secret, body, now: signed(secret, body, now)[:1],
    "missing time": lambda secret, body, now: signed(secret, body, now)[1:],
    "another secret": lambda secret, body, now: signed("0" * 32, body, now),
    "no secret": lambda secret, body, now: signed("", body, now),
    "another body": lambda secret, body, now: signed(secret, body + "&x=1", now),
    "another version": lambda secret, body, now: [
        (AT, now),
        (SIGNATURE, signed(secret, body, now)[1][1].replace("v0=", "v1=")),
    ],
    "six minutes old": lambda secret, body, now: signed(secret, body, str(int(now) - 360)),
    "from the future": lambda secret, body, now: signed(secret, body, str(int(now) + 360)),
    "no number": lambda secret, body, now: signed(secret, body, "now"),
    "a fraction": lambda secret, body, now: signed(secret, body, f"{now}.5"),
    "empty signature": lambda secret, body, now: [(AT, now), (SIGNATURE, "")],
    "not ascii": lambda secret, body, now: [(AT, now), (SIGNATURE, "v0=\xe9")],
    "signed twice": lambda secret, body, now: [
        *signed(secret, body, now),
        *signed("0" * 32, body, now)[1:],
    ],
    "timed twice": lambda secret, body, now: [
        *signed(secret, body, now),
        (AT, str(int(now) - 360)),
    ],
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_request_without_a_fresh_signature_of_slack_is_refused_and_has_no_effect(
    company: Company, spoil: Spoil
) -> None:
    who = company.newcomer()
    secret = company.sandbox.environment["SLACK_SIGNING_SECRET"]
    body = command(company, who, "request shop-admin 1h because")
    before = company.rows("SELECT count(*) FROM audit")
    assert post(company, body, spoil(secret, body, str(int(time.time())))) == 401
    assert company.request(who, "shop-admin") == ("", "")
    assert company.rows("SELECT count(*) FROM audit") == before


def test_a_signed_request_works_and_has_no_second_effect_when_repeated(
    company: Company,
) -> None:
    who = company.newcomer()
    secret = company.sandbox.environment["SLACK_SIGNING_SECRET"]
    body = command(company, who, "request shop-admin 1h because")
    headers = signed(secret, body, str(int(time.time())))
    assert [post(company, body, headers) for _ in range(3)] == [200, 200, 200]
    assert len(company.rows("SELECT id FROM requests WHERE requester = ?", who.id)) == 1


def test_the_whole_lifecycle_works_over_http(company: Company) -> None:
    who = company.newcomer()
    company.access(who, "")
    who.wait_view("Reason")
    assert list(
        who.fill_and_submit({"Role": "Shop admin", "Duration": "9h", "Reason": "because"}).errors
    ) == ["duration"]
    assert who.fill_and_submit({"Duration": "1h"}).errors == {}
    request = company.request(who, "shop-admin")[0]
    assert company.ben.click(company.card(request), "Edit").ok
    company.ben.wait_view("Edit")
    assert company.ben.fill_and_submit({"Duration": "30m"}).ok
    who.wait_dm("Show credentials")
    token = company.token(who, "shop-admin")
    assert company.check(token) == 200
    assert "approved for 30m" in company.access(who, "renew 1h").text
    company.renew(who, "30m")
    who.wait_dm("Renewed")
    who.open_home()
    who.wait_home("Active until")
    shown = company.access(company.chiara, f"revoke @{who.name}").messages[-1]
    assert company.chiara.click(shown, "Revoke").ok
    who.wait_dm("revoked by @chiara")
    assert company.check(token) == 401
    company.ask(who, "shop-admin", "1h again")
    company.card(company.request(who, "shop-admin")[0])
    assert company.access(who, "cancel").ok
    talk = company.dev.say("C0GENERAL", "look at this")
    assert company.dev.message_shortcut("request_access_from_message", talk).view is not None


def test_group_changes_and_app_home_arrive_over_http_too(company: Company) -> None:
    company.sandbox.admin.set_group("@oncall-backend", [company.emi.id, company.dev.id])
    until(
        lambda: (
            company.dev.id
            in str(company.rows("SELECT members FROM user_groups WHERE handle = 'oncall-backend'"))
        )
    )
    assert "oncall" in company.access(company.dev, "roles").text
    company.sandbox.admin.set_group("@oncall-backend", [company.emi.id])


@pytest.mark.parametrize("verb", ["run", "web"])
def test_without_a_signing_secret_it_refuses_to_start(
    make_company: Callable[..., Company], verb: str
) -> None:
    company = make_company(mode="http", environment={"SLACK_SIGNING_SECRET": ""})
    bot = company.launch(verb)
    assert bot.process.wait(20) == 2
    missing, no_file = bot.output.splitlines()
    assert "SLACK_SIGNING_SECRET" in missing and ".env: is not in this folder" in no_file
