"""Tests the statements of docs/threat-model.md about stolen keys and copies."""

from __future__ import annotations

import json

from bot.operations.audit.verify_audit import verdict_text
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.grants.record_results import record_started
from bot.operations.tokens.introspect_token import TokenInactive, introspect_token
from bot.tokens import BadSignature, Signer
from tests.factories import ANA, KEYS, Made

OTHER = "key-two-0123456789-0123456789-0123456789"


def test_a_signing_key_alone_opens_nothing(made: Made) -> None:
    grant = made.a_grant()
    made.a_token(grant)
    assert made.check(Signer(KEYS).sign_token("invented", grant.ends_at)) == TokenInactive(
        "unknown"
    )


def test_with_the_key_a_copy_of_the_database_gives_the_tokens_and_without_it_none(
    made: Made,
) -> None:
    shown = made.a_token(made.a_grant())
    ((jti, expires_at),) = made.rows("SELECT jti, expires_at FROM tokens WHERE revoked_at IS NULL")
    assert Signer(KEYS).sign_token(jti, expires_at) == shown
    assert made.signer.read_token(Signer((OTHER,)).sign_token(jti, expires_at)) == BadSignature()
    rows = [
        made.rows(f"SELECT * FROM {table}")
        for table in ("tokens", "audit", "outbox", "grants", "gates")
    ]
    assert shown not in str(rows)


def test_a_removed_key_opens_nothing(made: Made) -> None:
    token = made.a_token(made.a_grant())
    assert Signer((OTHER,)).read_token(token) == BadSignature()
    claims = Signer((*KEYS, OTHER)).read_token(token)
    assert not isinstance(claims, BadSignature)
    assert not isinstance(introspect_token(made.world, claims, "shop-admin"), TokenInactive)  # type: ignore[arg-type]


def test_a_writer_of_the_database_gets_access_and_verify_finds_it(made: Made) -> None:
    system, request, made.forged = "shop-admin", made.a_request(), True
    values = (
        request.id,
        json.dumps([system]),
        json.dumps(request.actions),
        made.clock.at,
        made.clock.at + 3600,
    )
    with made.world.db.transaction():
        made.world.db.run("UPDATE requests SET state = 'approved'")
        made.world.db.run(
            "INSERT INTO grants (id, request_id, person, role, systems, actions, state, duration, "
            "starts_at, ends_at, "
            "latest_end, renewals) "
            f"VALUES ('ginvented', ?, '{ANA}', 'shop-admin', ?, ?, 'starting', 3600, ?, ?, ?, 0)",
            *values,
            values[-1],
        )
        made.world.db.run(
            "INSERT INTO leases (grant_id, system, connector, state, error) "
            "VALUES ('ginvented', ?, 'gateway', 'starting', '')",
            system,
        )
    assert [order.system for order in begin_attempt(made.world, "ginvented")] == [system]
    record_started(made.world, "ginvented")
    assert made.state("grants", "ginvented") == "active"
    assert "grant ginvented of U0ANA: no record says that it was approved" in verdict_text(
        made.verdict()
    )
