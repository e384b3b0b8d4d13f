"""After a whole lifecycle with the most detailed log, each secret is only where it belongs."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import pytest

from tests.bot_environment import KEY, REPORTS, SHOP
from tests.faults.running_bot import Company, running_company
from tests.waiting import until


class Lived(NamedTuple):
    """Everything that was left behind, as bytes by place, and by name the secrets that must not be
    in it."""

    places: dict[str, bytes]
    secrets: dict[str, str]


def introspect(company: Company, token: str, path: str = "introspect") -> str:
    """Introspects a token as a system does, with its secret."""
    basic = base64.b64encode(f"shop-admin:{SHOP}".encode()).decode()
    request = urllib.request.Request(
        f"{company.bot.url}/oauth2/{path}",
        urlencode({"token": token}).encode(),
        {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


def database_files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("access.db*")))


def live_through(company: Company) -> dict[str, str]:
    """One lifecycle in which every secret is used; returns the tokens that were shown."""
    who, lead = company.ana, company.chiara
    company.hold(who, "shop-admin", "1h to find secrets")
    tokens = {
        "first token": company.token(who, "shop-admin"),
        "second token": company.token(who, "shop-admin"),
    }
    newest = tokens["second token"]
    assert company.check(newest) == 200 and json.loads(introspect(company, newest))["active"]
    assert (
        company.bot.get(f"/auth?system=shop-admin&token={newest}", Authorization=newest)[0] == 401
    )
    assert company.bot.get(
        f"/auth/{newest}", X_Access_System="shop-admin", Authorization="Bearer " + newest[:-3]
    )[0]
    who.open_home()
    who.wait_home("Active until")
    company.renew(who, "shop-admin 1h")
    tokens["third token"] = company.token(who, "shop-admin")
    introspect(company, tokens["third token"], "revoke")
    company.access(
        who,
        "request reports-read 1h my token is no longer"
        f" {company.sandbox.environment['SLACK_API_URL']}",
    )
    company.access(who, "done shop-admin")
    who.wait_dm("you gave it back")
    company.access(lead, "audit")
    company.access(lead, "audit export")
    until(company.sandbox.inspector.files)
    company.quiet()
    return tokens


@pytest.fixture(scope="module", params=["text", "json"])
def lived(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lived]:
    told = {"LOG_LEVEL": "DEBUG", "LOG_FORMAT": request.param}
    with running_company(tmp_path_factory.mktemp("company"), environment=told) as company:
        company.start()
        tokens = live_through(company)
        metrics = company.bot.get("/metrics")[1]
        assert company.bot.stop() == 0
        calls = company.sandbox.inspector.calls()
        modals = [
            call
            for call in calls
            if call["method"] == "views.open" and "Your token for" in json.dumps(call)
        ]
        assert len(modals) == 3
        acks = [each["ack"] for each in company.sandbox.inspector.deliveries()]
        places = {
            "log": company.bot.output,
            "calls of Slack": json.dumps([call["args"] for call in calls if call not in modals]),
            "acknowledgements": json.dumps(acks),
            "audit export": json.dumps(company.sandbox.inspector.files()),
            "metrics": metrics,
        }
        found = {name: text.encode() for name, text in places.items()}
        found["database"] = database_files(company.folder)
        slack = {
            name: company.sandbox.environment[name]
            for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET")
        }
        slack["SLACK_APP_TOKEN"] = company.sandbox.environment["SLACK_APP_TOKEN"]
        ours = {"key": KEY, "secret of shop-admin": SHOP, "secret of reports": REPORTS}
        yield Lived(found, {**tokens, **slack, **ours})


def test_no_secret_is_in_log_message_export_metric_or_database(lived: Lived) -> None:
    assert all(len(place) > 100 for place in lived.places.values())
    for what, secret in lived.secrets.items():
        for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("=")):
            assert [name for name, place in lived.places.items() if form.encode() in place] == [], (
                what
            )


def test_not_even_the_signature_of_a_token_is_stored(lived: Lived) -> None:
    for what in ("first token", "second token", "third token"):
        proof = lived.secrets[what].rpartition(".")[2]
        assert len(proof) > 20
        assert [name for name, place in lived.places.items() if proof.encode() in place] == [], what
