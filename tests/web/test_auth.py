"""`/auth`: who gets through, who doesn't, and with which answer, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.roles import System
from bot.operations.grants.release_grant import release_grant
from bot.operations.grants.renew_grant import Renewed, renew_grant
from bot.operations.grants.show_credentials import Credentials, show_credentials
from storage import grants, people
from tests.builders import a_policy
from tests.factories import ANA, START, a_person
from tests.web.conftest import Site


def test_a_good_token_is_answered_with_who_it_is(either: Site) -> None:
    grant = either.made.a_grant()
    answer = either.auth(either.made.a_token(grant))
    assert answer.status_code == 200
    assert answer.content == b""
    assert {
        name: value for name, value in answer.headers.items() if name.startswith("x-access")
    } == {
        "x-access-user": "u0ana@example.com",
        "x-access-role": "shop-admin",
        "x-access-grant": grant.id,
        "x-access-expires": "2026-09-21T15:13:20Z",
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers


def test_a_token_is_good_until_the_second_before_the_end(either: Site) -> None:
    grant = either.made.a_grant(duration=600)
    token = either.made.a_token(grant)
    either.made.clock.at = grant.ends_at - 1
    assert either.auth(token).status_code == 200
    either.made.clock.at = grant.ends_at
    assert either.auth(token).status_code == 401
    either.made.clock.at = grant.ends_at + 10**9
    assert either.auth(token).status_code == 401


def test_an_ended_grant_is_closed_from_the_commit_on(either: Site) -> None:
    grant = either.made.a_grant()
    token = either.made.a_token(grant)
    assert either.auth(token).status_code == 200
    release_grant(either.made.world, grant.id, ANA)
    refused = either.auth(token)
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    either.made.close_gates(grant)
    assert either.made.grant(grant.id).state == "ended"
    refused = either.auth(token)
    assert (refused.status_code, "the access has ended" in refused.text) == (401, True)


def test_a_closed_gate_is_closed_whatever_the_grant_says(either: Site) -> None:
    grant = either.made.a_grant()
    token = either.made.a_token(grant)
    with either.made.world.db.transaction():
        grants.close_gate(either.made.world.db, grant.id, "shop-admin")
    assert either.made.grant(grant.id).state == "active"
    assert either.auth(token).status_code == 401


def test_a_token_for_another_system_is_answered_with_403(either: Site) -> None:
    token = either.made.a_token(either.made.a_grant("reports-read"))
    refused = either.auth(token)
    assert refused.status_code == 403
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert either.auth(token, "reports").status_code == 200


def test_an_ended_token_for_another_system_is_answered_as_ended(either: Site) -> None:
    grant = either.made.a_grant("reports-read")
    token = either.made.a_token(grant)
    either.made.clock.at = grant.ends_at
    assert either.auth(token).status_code == 401


def test_showing_again_replaces_the_token(either: Site) -> None:
    grant = either.made.a_grant()
    first, second = either.made.a_token(grant), either.made.a_token(grant)
    assert either.auth(first).status_code == 401
    assert either.auth(second).status_code == 200


def test_the_old_token_works_until_the_holder_has_seen_the_new_one(either: Site) -> None:
    grant = either.made.a_grant()
    first = either.made.a_token(grant)
    shown = show_credentials(either.made.world, grant.id, ANA)
    assert isinstance(shown, Credentials)
    assert either.auth(first).status_code == 200


def test_after_a_renewal_the_old_token_dies_at_the_end_it_was_signed_for(either: Site) -> None:
    grant = either.made.a_grant(duration=600)
    old = either.made.a_token(grant)
    either.made.clock.at += 300
    renewed = renew_grant(either.made.world, grant.id, ANA)
    assert isinstance(renewed, Renewed)
    either.made.open_gate(grant.id, "shop-admin", renewed.grant.ends_at)
    assert either.auth(old).headers["x-access-expires"] == "2026-09-21T14:23:20Z"
    either.made.clock.at = grant.ends_at
    assert either.auth(old).status_code == 401
    new = either.made.a_token(renewed.grant)
    assert either.auth(new).status_code == 200
    either.made.clock.at = renewed.grant.ends_at
    assert either.auth(new).status_code == 401


def test_a_signed_token_that_the_database_does_not_know_opens_nothing(either: Site) -> None:
    """A person has the key alone, or the database was restored from a backup."""
    assert either.auth(either.made.signer.sign_token("made-up", 2_000_000_000)).status_code == 401


def test_a_known_id_with_a_later_end_opens_nothing(either: Site) -> None:
    grant = either.made.a_grant()
    shown = show_credentials(either.made.world, grant.id, ANA)
    assert isinstance(shown, Credentials)
    assert (
        either.auth(either.made.signer.sign_token(shown.jti, grant.ends_at + 3600)).status_code
        == 401
    )
    assert either.auth(shown.token).status_code == 200


NO_TOKEN = [
    pytest.param({}, id="none"),
    pytest.param({"Authorization": ""}, id="empty"),
    pytest.param({"Authorization": "Bearer"}, id="the scheme alone"),
    pytest.param({"Authorization": "Bearer  "}, id="blanks"),
    pytest.param({"Authorization": "Basic YTpi"}, id="another scheme"),
]


@pytest.mark.parametrize("headers", NO_TOKEN)
def test_without_a_token_the_answer_names_the_scheme_without_an_error_code(
    site: Site, headers: dict[str, str]
) -> None:
    """RFC 6750 section 3.1: no error code for a request that lacks any authentication."""
    refused = site.auth(**headers)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="access"'
    assert "Bearer" in refused.text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_may_be_written_in_any_case(site: Site, scheme: str) -> None:
    token = site.made.a_token(site.made.a_grant())
    assert site.auth(Authorization=f"{scheme} {token}").status_code == 200


@pytest.mark.parametrize(
    "junk", ["x", "a.b", "a.b.c", "x" * 5000, "a b", "%00", "ä".encode().decode("latin-1")]
)
def test_junk_is_a_bad_token(site: Site, junk: str) -> None:
    refused = site.call(
        "GET",
        "/auth?system=shop-admin",
        headers={b"Authorization": b"Bearer " + junk.encode("latin-1")},
    )
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


def test_two_authorization_headers_are_refused_even_if_one_is_good(site: Site) -> None:
    token = site.made.a_token(site.made.a_grant())
    headers = [
        ("X-Access-System", "shop-admin"),
        ("Authorization", f"Bearer {token}"),
        ("Authorization", "Bearer x"),
    ]
    assert site.call("GET", "/auth", headers=headers).status_code == 401
    assert site.call("GET", "/auth", headers=[*headers[:2], headers[1]]).status_code == 401


SYSTEMS = [
    pytest.param("/auth", [], 400, id="none named"),
    pytest.param("/auth?system=", [], 400, id="an empty name"),
    pytest.param("/auth?system=shop-admin", [], 200, id="by query"),
    pytest.param("/auth", ["shop-admin"], 200, id="by header"),
    pytest.param("/auth?system=shop-admin", ["shop-admin"], 200, id="by both, the same"),
    pytest.param("/auth?system=reports", ["shop-admin"], 400, id="by both, different"),
    pytest.param("/auth?system=shop-admin&system=reports", [], 400, id="two by query"),
    pytest.param("/auth", ["shop-admin", "reports"], 400, id="two by header"),
    pytest.param("/auth?system=nope", [], 401, id="unknown"),
    pytest.param("/auth?system=Shop-Admin", [], 401, id="in capitals"),
    pytest.param("/auth?system=orders-db", [], 401, id="no gateway"),
    pytest.param("/auth?" + "a=1&" * 50 + "system=shop-admin", [], 400, id="too many parameters"),
    pytest.param(
        "/auth/orders/1?system=reports", ["shop-admin"], 200, id="Envoy: the query is the client's"
    ),
    pytest.param("/auth/orders/1?system=shop-admin", [], 400, id="Envoy: only the header names it"),
]


@pytest.mark.parametrize(("path", "named", "status"), SYSTEMS)
def test_the_proxy_names_one_system(site: Site, path: str, named: list[str], status: int) -> None:
    token = site.made.a_token(site.made.a_grant())
    policy = site.made.policies[-1]
    others = {"orders-db": System("orders-db", "postgres", {})}
    site.made.policies.append(replace(policy, systems={**policy.systems, **others}))
    headers = [("Authorization", f"Bearer {token}"), *(("X-Access-System", name) for name in named)]
    answer = site.call("GET", path, headers=headers)
    assert answer.status_code == status, answer.text
    assert "www-authenticate" in answer.headers or status != 401


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
def test_envoy_may_ask_with_the_clients_own_method(site: Site, method: str) -> None:
    token = site.made.a_token(site.made.a_grant())
    headers = {"X-Access-System": "shop-admin", "Authorization": f"Bearer {token}"}
    assert site.call(method, "/auth/orders/1", headers=headers).status_code == 200
    assert (
        site.call(method, "/auth/orders/1", headers={"X-Access-System": "shop-admin"}).status_code
        == 401
    )


USERS = [
    ("ana@example.com", "ana@example.com"),
    ("", ANA),
    ("ana+x@example.com", "ana+x@example.com"),
    ("änne@example.com", "%C3%A4nne@example.com"),
    ("a\r\nx-access-role: root@example.com", "a%0D%0Ax-access-role:%20root@example.com"),
    ("50%@example.com", "50%25@example.com"),
    ("王@example.com", "%E7%8E%8B@example.com"),
]


@pytest.mark.parametrize(("email", "shown"), USERS)
def test_no_name_can_break_out_of_its_header(site: Site, email: str, shown: str) -> None:
    token = site.made.a_token(site.made.a_grant())
    with site.made.world.db.transaction():
        people.save(site.made.world.db, [a_person(ANA, email)], START)
    assert site.auth(token).headers["x-access-user"] == shown


def test_a_system_that_leaves_roles_toml_is_closed_at_once(site: Site) -> None:
    token = site.made.a_token(site.made.a_grant())
    assert site.auth(token).status_code == 200
    only = '[systems.other]\nconnector = "gateway"\nsecret = "0123456789abcdef0123"\n'
    role = (
        'system = "other"\nactions = ["a"]\nrequesters = ["everyone"]\napprovers = ["@db-leads"]\n'
    )
    site.made.policies.append(
        a_policy(
            systems=only,
            shop_admin=role,
            shop_deploy='system = "other"',
            reports_read='system = "other"',
        )
    )
    assert site.auth(token).status_code == 401


def test_tokens_are_stored_as_hashes_only(site: Site) -> None:
    grant = site.made.a_grant()
    token = site.made.a_token(grant)
    assert site.auth(token).status_code == 200
    site.meter.flush()
    site.made.world.db.close()
    content = b"".join(file.read_bytes() for file in site.made.path.parent.glob("access.db*"))
    assert grant.id.encode() in content
    for secret in (token, token.partition(".")[0], token.partition(".")[2]):
        assert secret.encode() not in content
