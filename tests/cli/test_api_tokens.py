"""`access-bot api-tokens`: a token is shown once, listed without its secret, and revoked."""

from __future__ import annotations

import json

from bot.operations.programs.request_by_program import find_program
from tests.cli.conftest import Shop, run
from tests.factories import ANA


def test_a_token_from_its_creation_to_its_revocation(shop: Shop) -> None:
    made = run(
        "api-tokens", "new", "--owner", "u0ana@example.com", "--roles", "shop-admin, reports-read"
    )
    secret = made.stdout.strip()
    assert made.exit_code == 0 and secret.startswith("abt_"), made.output
    token = find_program(shop.made.world, secret)
    assert token is not None and (token.owner, token.roles) == (ANA, ("shop-admin", "reports-read"))
    assert token.name == token.id and token.expires_at - token.created_at == 90 * 86400
    assert secret not in json.dumps(shop.made.rows("SELECT * FROM api_tokens"))
    assert secret not in json.dumps(shop.events())
    listed = json.loads(run("api-tokens", "list", "--json").stdout)
    assert (listed["id"], listed["state"], listed["requests"]) == (token.id, "active", 0)
    assert run("api-tokens", "revoke", token.id, "--yes").exit_code == 0
    assert run("api-tokens", "list").stdout.splitlines()[1].split()[3] == "revoked"
    assert find_program(shop.made.world, secret) is None
    assert shop.recorded("api:token:created", "api:token:revoked")


def test_a_token_that_nobody_should_have_is_refused(shop: Shop) -> None:
    new = ("api-tokens", "new", "--roles", "shop-admin", "--owner")
    assert "at most" in run(*new, ANA, "--expires", "366d").stderr
    assert "1 to 60" in run(*new, ANA, "--name", "*ci*").stderr
    assert run(*new, "U0NOBODY").exit_code == 2
    assert "no role" in run("api-tokens", "new", "--owner", ANA, "--roles", "shop").stderr
    assert shop.made.count("api_tokens") == 0
