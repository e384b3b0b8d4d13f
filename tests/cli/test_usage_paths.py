"""`access-bot usage list --grant` shows the recorded paths, as a table and as JSON."""

from __future__ import annotations

import json

from bot.core.recorded_paths import recorded_path
from bot.operations.usage.count_usage import UsageMeter
from tests.cli.conftest import Shop, run


def test_the_recorded_paths_of_a_grant_are_listed(shop: Shop) -> None:
    grant, meter = shop.made.a_grant(), UsageMeter(shop.made.world)
    for method, target, outcome in (
        ("GET", "/orders/17?x=1", "allowed"),
        ("GET", "/orders/17", "expired"),
        ("", "", "allowed"),
    ):
        meter.count(grant.id, "shop-admin", "192.0.2.7", outcome, recorded_path(method, target))
    meter.flush()
    shown = run("usage", "list", "--grant", grant.id).stdout
    assert [line.split()[:5] for line in shown.splitlines() if "/orders" in line] == [
        ["shop-admin", "GET", "/orders/17", "1", "1"]
    ]
    assert "not sent by the proxy" in shown
    lines = run("usage", "list", "--grant", grant.id, "--json").stdout.splitlines()
    paths = [each["path"] for each in map(json.loads, lines) if "path" in each]
    assert sorted(paths) == ["", "/orders/17"]
    assert "/orders" not in run("usage", "list").stdout
