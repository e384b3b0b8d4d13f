"""Introspection and revocation as systems and their libraries use them, on both databases."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from urllib.parse import quote_plus

import httpx2
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.audit import Event
from bot.core.roles import System
from bot.operations.grants.release_grant import release_grant
from storage import audit, people
from tests.builders import SHOP_SECRET
from tests.factories import ANA, START, a_person
from tests.web.conftest import Site, serving

INACTIVE = b'{"active": false}'


def test_a_good_token_is_described(either: Site) -> None:
    grant = either.made.a_grant()
    either.made.clock.at += 60
    answer = either.introspect(either.made.a_token(grant))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    said = answer.json()
    assert len(said.pop("jti")) >= 16
    assert said == {
        "active": True,
        "scope": "orders:read orders:refund",
        "client_id": "access-bot",
        "username": "u0ana@example.com",
        "token_type": "Bearer",
        "exp": grant.ends_at,
        "iat": grant.starts_at + 60,
        "sub": ANA,
        "aud": "shop-admin",
    }


def test_everything_else_is_exactly_inactive(either: Site) -> None:
    grant = either.made.a_grant(duration=600)
    old, token = either.made.a_token(grant), either.made.a_token(grant)
    other = either.made.a_token(either.made.a_grant("reports-read"))
    answers = [either.introspect(text) for text in (old, other, "junk", token[:-2], "x" * 60_000)]
    either.made.clock.at = grant.ends_at
    answers.append(either.introspect(token))
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, INACTIVE)] * len(
        answers
    )


def test_a_token_is_not_active_at_its_exp(either: Site) -> None:
    grant = either.made.a_grant(duration=600)
    token = either.made.a_token(grant)
    either.made.clock.at = grant.ends_at - 1
    said = either.introspect(token).json()
    assert said["active"] is True
    either.made.clock.at = said["exp"]
    assert either.introspect(token).content == INACTIVE


def test_an_ended_grant_is_inactive_from_the_commit_on(either: Site) -> None:
    grant = either.made.a_grant()
    token = either.made.a_token(grant)
    release_grant(either.made.world, grant.id, ANA)
    assert either.introspect(token).content == INACTIVE


def test_a_person_without_an_e_mail_is_named_by_the_slack_id(site: Site) -> None:
    token = site.made.a_token(site.made.a_grant())
    with site.made.world.db.transaction():
        people.save(site.made.world.db, [a_person(ANA, "")], START)
    assert site.introspect(token).json()["username"] == ANA


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(junk=st.text(min_size=1))
def test_any_junk_is_inactive(site: Site, junk: str) -> None:
    answer = site.call(
        "POST",
        "/oauth2/introspect",
        content=f"token={quote_plus(junk, errors='surrogatepass')}",
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": basic("shop-admin", SHOP_SECRET),
        },
    )
    assert (answer.status_code, answer.content) == (200, INACTIVE)


def basic(name: str, secret: str) -> str:
    return "Basic " + b64encode(f"{name}:{secret}".encode()).decode()


NOBODY = [
    pytest.param([], id="no credentials"),
    pytest.param([basic("shop-admin", "wrong")], id="a wrong secret"),
    pytest.param([basic("nope", SHOP_SECRET)], id="an unknown system"),
    pytest.param([basic("orders-db", "")], id="a system without a secret"),
    pytest.param([basic("reports", SHOP_SECRET)], id="the secret of another system"),
    pytest.param([basic("shop-admin", "")], id="an empty secret"),
    pytest.param([basic("", "")], id="nothing at all"),
    pytest.param(
        [basic("shop-admin", SHOP_SECRET).replace("Basic", "Bearer")], id="another scheme"
    ),
    pytest.param(["Basic"], id="the scheme alone"),
    pytest.param(["Basic !!!"], id="no base64"),
    pytest.param(["Basic " + b64encode(b"\xff\xfe:x").decode()], id="no text"),
    pytest.param(["Basic " + b64encode(b"shop-admin").decode()], id="no colon"),
    pytest.param([basic("shop-admin", SHOP_SECRET)] * 2, id="twice"),
]


@pytest.mark.parametrize("path", ["/oauth2/introspect", "/oauth2/revoke"])
@pytest.mark.parametrize("authorization", NOBODY)
def test_an_unauthenticated_caller_learns_nothing(
    site: Site, path: str, authorization: list[str]
) -> None:
    policy = site.made.policies[-1]
    others = {"orders-db": System("orders-db", "postgres", {})}
    site.made.policies.append(replace(policy, systems={**policy.systems, **others}))
    token = site.made.a_token(site.made.a_grant())
    headers = [("Authorization", each) for each in authorization]
    answer = site.call("POST", path, data={"token": token}, headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {"error": "invalid_client"}
    assert answer.headers["www-authenticate"] == 'Basic realm="access"'
    assert site.auth(token).status_code == 200


@pytest.mark.parametrize("encode", [str, quote_plus], ids=["plain", "form-encoded"])
def test_a_secret_with_odd_characters_is_read_both_ways(site: Site, encode: type) -> None:
    secret = "p+q%41:ä /=&-0123456789"
    policy = site.made.policies[-1]
    system = System("shop-admin", "gateway", {"secret": secret})
    site.made.policies.append(replace(policy, systems={**policy.systems, "shop-admin": system}))
    token = site.made.a_token(site.made.a_grant())
    headers = {"Authorization": basic("shop-admin", encode(secret))}
    answer = site.call("POST", "/oauth2/introspect", data={"token": token}, headers=headers)
    assert answer.json()["active"] is True


BODIES = [
    pytest.param("", 400, id="empty"),
    pytest.param("token=", 400, id="an empty token is no token"),
    pytest.param("token=a&token=b", 400, id="two tokens"),
    pytest.param("other=a", 400, id="another parameter"),
    pytest.param("&".join(f"a{n}=1" for n in range(50)), 400, id="too many parameters"),
    pytest.param(b"token=\xff", 400, id="not UTF-8"),
    pytest.param("token=a&token_type_hint=refresh_token", 200, id="the hint is ignored"),
    pytest.param("token=" + "x" * 70_000, 413, id="too big"),
]


@pytest.mark.parametrize("path", ["/oauth2/introspect", "/oauth2/revoke"])
@pytest.mark.parametrize(("body", "status"), BODIES)
def test_a_form_needs_exactly_one_token(
    site: Site, path: str, body: str | bytes, status: int
) -> None:
    headers = {
        "Authorization": basic("shop-admin", SHOP_SECRET),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    answer = site.call("POST", path, content=body, headers=headers)
    assert answer.status_code == status
    assert status != 400 or answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", None]
)
def test_a_body_that_is_no_form_is_refused(site: Site, kind: str | None) -> None:
    headers = {"Authorization": basic("shop-admin", SHOP_SECRET)} | (
        {"Content-Type": kind} if kind else {}
    )
    answer = site.call("POST", "/oauth2/introspect", content=b"token=a", headers=headers)
    assert answer.status_code == 400


def test_a_token_in_the_address_is_not_read(site: Site) -> None:
    """RFC 7662 section 2.1 requires it in the body, so that no log has it."""
    token = site.made.a_token(site.made.a_grant())
    auth = ("shop-admin", SHOP_SECRET)
    assert site.call("GET", f"/oauth2/introspect?token={token}", auth=auth).status_code == 405
    assert (
        site.call(
            "POST", f"/oauth2/introspect?token={token}", data={"a": "b"}, auth=auth
        ).status_code
        == 400
    )


def test_a_system_ends_its_own_token_and_the_grant_continues(either: Site) -> None:
    grant = either.made.a_grant()
    token = either.made.a_token(grant)
    answer = either.call(
        "POST", "/oauth2/revoke", data={"token": token}, auth=("shop-admin", SHOP_SECRET)
    )
    assert (answer.status_code, answer.content) == (200, b"")
    assert either.introspect(token).content == INACTIVE
    assert either.made.grant(grant.id).state == "active"
    assert either.introspect(either.made.a_token(grant)).json()["active"] is True
    with either.made.world.db.reading():
        filters = audit.Filters(event=Event.CREDENTIALS_REVOKED, grant=grant.id)
        (record,) = audit.page(either.made.world.db, filters, None, 10)
    assert (record.actor, record.system) == ("system", "shop-admin")
    assert '"source":"http"' in record.detail


def test_a_system_cannot_end_the_token_of_another(either: Site) -> None:
    token = either.made.a_token(either.made.a_grant("reports-read"))
    answer = either.call(
        "POST", "/oauth2/revoke", data={"token": token}, auth=("shop-admin", SHOP_SECRET)
    )
    assert (answer.status_code, answer.content) == (200, b""), (
        "as for any unknown token: RFC 7009 section 2.2"
    )
    assert either.auth(token, "reports").status_code == 200


def test_revoking_an_unknown_or_ended_token_is_answered_200(either: Site) -> None:
    grant = either.made.a_grant()
    token = either.made.a_token(grant)
    release_grant(either.made.world, grant.id, ANA)
    for text in ("junk", token, either.made.signer.sign_token("made-up", 2_000_000_000)):
        answer = either.call(
            "POST", "/oauth2/revoke", data={"token": text}, auth=("shop-admin", SHOP_SECRET)
        )
        assert (answer.status_code, answer.content) == (200, b"")


def test_an_oauth_library_reads_the_answers(site: Site) -> None:
    token = site.made.a_token(site.made.a_grant())
    with (
        serving(site.app) as port,
        OAuth2Client("shop-admin", SHOP_SECRET, trust_env=False) as client,
    ):
        bot = f"http://127.0.0.1:{port}/oauth2"
        said = client.introspect_token(f"{bot}/introspect", token=token).json()
        assert (said["active"], said["sub"], said["token_type"]) == (True, ANA, "Bearer")
        assert client.revoke_token(f"{bot}/revoke", token=token).status_code == 200
        assert client.introspect_token(f"{bot}/introspect", token=token).json() == {"active": False}
    with serving(site.app) as port, httpx2.Client(trust_env=False) as plain:
        assert plain.get(f"http://127.0.0.1:{port}/healthz").status_code == 200, (
            "the server can be started again"
        )
