"""Systems with `record = "paths"`: method and path of each checked request are in the usage of its
grant, up to a limit, and never a query."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import httpx2
import pytest

from bot.cli.evidence import write_folder
from bot.core.evidence import Period, Sample
from bot.core.recorded_paths import NOT_SENT, OTHER_PATHS, recorded_path
from bot.operations.grants.release_grant import release_grant
from bot.operations.usage import count_usage
from bot.operations.usage.count_usage import UsageMeter, sum_usage
from bot.operations.usage.describe_usage import list_paths
from tests.builders import SYSTEMS
from tests.factories import ANA
from tests.web.conftest import Site, serving
from tests.web.proxies import PROXIES, a_proxy

RECORDING = SYSTEMS.replace("[systems.reports]", 'record = "paths"\n\n[systems.reports]')


def paths(site: Site, grant: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Allowed and refused checks by method and path, as written."""
    site.meter.flush()
    found = list_paths(site.made.world, grant)
    return {(row.method, row.path): (row.allowed, row.refused) for row in found}


def asked(site: Site, token: str, method: str, target: str, prefix: str = "Forwarded") -> None:
    names = ("Method", "Uri" if prefix == "Forwarded" else "URI")
    given = zip(names, (method, target), strict=True)
    site.auth(token, **{f"X-{prefix}-{name}": value for name, value in given})


def test_paths_are_counted_where_the_system_records_them(either: Site) -> None:
    made = either.made
    grant = made.a_grant()
    token = made.a_token(grant)
    asked(either, token, "GET", "/before")
    assert paths(either, grant.id) == {}
    made.set_policy(systems=RECORDING)
    for _ in range(2):
        asked(either, token, "GET", "/orders/17?card=4111")
    asked(either, token, "DELETE", "/orders/17", "Original")
    either.auth(token)
    made.clock.at += 5
    release_grant(made.world, grant.id, ANA)
    asked(either, token, "GET", "/orders/17")
    assert paths(either, grant.id) == {
        ("GET", "/orders/17"): (2, 1),
        ("DELETE", "/orders/17"): (1, 0),
        NOT_SENT: (1, 0),
    }
    first = next(row for row in list_paths(made.world, grant.id) if row.method == "GET")
    assert first.last_at - first.first_at == 5
    sum_usage(made.world, [grant.id])
    ((detail,),) = made.log("grant:use:summed", "detail")
    assert json.loads(detail)["methods"] == {"DELETE": 1, "GET": 2, "unknown": 1}


def test_paths_that_were_changed_after_the_sum_are_found(either: Site, tmp_path: Path) -> None:
    made = either.made
    made.set_policy(systems=RECORDING)
    grant = made.a_grant()
    token = made.a_token(grant)
    for target in ("/orders/17", "/orders/18"):
        asked(either, token, "GET", target)
    release_grant(made.world, grant.id, ANA)
    made.close_gates(made.grant(grant.id))
    either.meter.flush()
    sum_usage(made.world, [grant.id])
    asked(either, token, "GET", "/orders/19")  # refused
    either.meter.flush()
    verdict = made.verdict()
    assert verdict.broken is None
    out, period = tmp_path / "folder", Period(0, made.clock.at + 1)
    write_folder(made.world, "os:ana", period, Sample(5, "s"), verdict, out)
    ((seq,),) = made.log("grant:use:summed", "seq")
    with (out / "used-paths.csv").open(newline="") as file:
        rows = {row["path"]: (row["allowed"], row["proof"]) for row in csv.DictReader(file)}
    proof = f"as in record {seq}"
    assert rows["/orders/17"] == ("1", proof) and rows["/orders/19"] == ("0", proof)
    for change in ("path = '/' WHERE path = '/orders/17'", "allowed = 0 WHERE path = '/'"):
        with made.world.db.transaction():
            made.world.db.run(f"UPDATE recorded_paths SET {change}")
        broken = made.verdict().broken
        assert broken is not None and broken.seq == seq and "other paths" in broken.why


def test_paths_beyond_the_limit_of_a_grant_are_counted_together(
    either: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes count, and their limit is one."""
    monkeypatch.setattr(count_usage, "MOST_PATHS", 3)
    made = either.made
    grant = made.a_grant()
    for start, meter in ((0, either.meter), (2, UsageMeter(made.world))):
        for number in range(start, start + 4):
            meter.count(
                grant.id, "shop-admin", "192.0.2.7", path=recorded_path("GET", f"/{number}")
            )
        meter.flush()
    found = paths(either, grant.id)
    assert found.pop(("GET", OTHER_PATHS)) == (4, 0)
    assert found == {("GET", "/0"): (1, 0), ("GET", "/1"): (1, 0), ("GET", "/2"): (2, 0)}


def test_envoys_own_method_and_path_count_below_auth(site: Site) -> None:
    made = site.made
    made.set_policy(systems=RECORDING)
    grant = made.a_grant()
    headers = {
        "X-Access-System": "shop-admin",
        "Authorization": f"Bearer {made.a_token(grant)}",
        "X-Forwarded-Uri": "/forged",
    }
    site.call("PUT", "/auth/orders/17?x=1", headers=headers)
    assert paths(site, grant.id) == {("PUT", "/orders/17"): (1, 0)}


def test_a_header_that_is_there_twice_is_not_believed(site: Site) -> None:
    site.made.set_policy(systems=RECORDING)
    grant = site.made.a_grant()
    headers = [
        ("X-Access-System", "shop-admin"),
        ("Authorization", f"Bearer {site.made.a_token(grant)}"),
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Uri", "/orders"),
        ("X-Forwarded-Uri", "/forged"),
    ]
    site.call("GET", "/auth", headers=headers)
    assert paths(site, grant.id) == {NOT_SENT: (1, 0)}


@pytest.mark.parametrize("kind", PROXIES)
def test_the_proxies_of_the_docs_send_method_and_path(
    kind: str, site: Site, tmp_path: Path
) -> None:
    site.made.set_policy(systems=RECORDING)
    grant = site.made.a_grant()
    headers = {"Authorization": f"Bearer {site.made.a_token(grant)}"}
    forged = {"X-Original-URI": "/forged", "X-Original-Method": "HEAD"}
    forged |= {"X-Forwarded-Uri": "/forged", "X-Forwarded-Method": "HEAD"}
    with serving(site.app) as bot, a_proxy(kind, bot, tmp_path) as client:
        answer: httpx2.Response = client.post("/orders/17?x=1", headers={**headers, **forged})
    assert answer.status_code == 200
    assert paths(site, grant.id) == {("POST", "/orders/17"): (1, 0)}
