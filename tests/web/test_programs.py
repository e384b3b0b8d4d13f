"""Programs ask for access in the name of their owner, and can do nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx2
import psycopg
import pytest

from bot.core.approval import Refused
from bot.core.effects import Kind
from bot.core.eligibility import Ask
from bot.operations.idempotency import do_together
from bot.operations.programs.create_api_token import PREFIX, Created, Wanted, create_api_token
from bot.operations.programs.request_by_program import RequestView, Sent, request_by_program
from bot.operations.programs.revoke_api_token import Revoked, revoke_api_token
from bot.operations.requests.answer_waiting import answer_waiting, give_up_waiting
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.request_access import request_access
from bot.operations.requests.withdraw_request import withdraw_request
from bot.web import programs
from bot.web.json_body import Wrong
from bot.web.programs import read_request
from storage.database import Database
from tests.builders import ROLES
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, DAN, LEA, Made, a_person, make_world
from tests.web.conftest import Site, build_site, serving

DOCS = Path(__file__).parents[2] / "docs" / "api.md"
EVE = "os:eve"
DAY = 86400


def a_program(made: Made, owner: str = ANA, *roles: str, life: int = 30 * DAY) -> Created:
    wanted = Wanted(owner, roles or ("shop-admin",), life, "deploy-job")
    created = create_api_token(made.world, EVE, wanted)
    assert isinstance(created, Created), created
    return created


def post(site: Site, secret: str, key: str = "", **more: object) -> httpx2.Response:
    said = {"role": "shop-admin", "duration": "30m", "reason": "migrate", **more}
    headers = {"Authorization": f"Bearer {secret}"} | ({"Idempotency-Key": key} if key else {})
    return site.call("POST", "/requests", json=said, headers=headers)


def read(site: Site, secret: str, id: str) -> httpx2.Response:
    return site.call("GET", f"/requests/{id}", headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def made_on_postgres(postgres_url: str, tmp_path: Path) -> Iterator[Made]:
    with closing(Database(postgres_url)) as database:
        yield make_world(tmp_path, db=database)


def refusals(site: Site) -> list[str]:
    """The reasons of the refusals on record, without the counts of repetitions."""
    found = site.made.log("request:action:refused", "detail")
    details = [json.loads(str(detail)) for (detail,) in found]
    assert all(detail["source"] == "api" and detail["token"] for detail in details)
    return [str(detail["why"]) for detail in details]


def error(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.json()["error_description"][-1:] != "", answer.text
    return answer.status_code, answer.json()["error"]


def test_a_program_asks_waits_and_sees_the_end(site: Site) -> None:
    made, program = site.made, a_program(site.made)
    answer = post(site, program.secret)
    assert (answer.status_code, answer.json()["state"]) == (201, "pending")
    id = answer.json()["id"]
    ((actor, detail),) = made.log("request:access:asked", "actor, detail")
    said = json.loads(str(detail))
    assert (actor, said["source"], said["token"], said["program"]) == (
        ANA,
        "api",
        program.token.id,
        "deploy-job",
    )
    assert made.work() == ["notify_security", "answer", "answer", "post_approval"]
    card = describe_request(made.world, id)
    assert card is not None
    grant = made.start(made.a_started(card.request, BEN))
    seen = read(site, program.secret, id).json()
    assert (seen["state"], seen["grant"]["state"], seen["grant"]["id"]) == (
        "approved",
        "active",
        grant.id,
    )
    assert seen["grant"]["ends_at"] == "2026-09-21T14:43:20Z"
    assert made.verdict().broken is None


def test_a_key_makes_one_request_however_often_it_is_posted(either: Site) -> None:
    program = a_program(either.made)
    first, again = post(either, program.secret, "k1"), post(either, program.secret, "k1")
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert either.made.count("requests") == 1
    assert error(post(either, program.secret, "k1", reason="else")) == (409, "key_reused")
    assert error(post(either, program.secret)) == (409, "conflict")
    assert error(post(either, program.secret, "k2")) == (409, "conflict")
    assert error(read(either, program.secret, "%00")) == (404, "not_found")


def test_posts_of_the_same_moment_with_one_key_make_one_request(
    database: Database, tmp_path: Path
) -> None:
    made = make_world(tmp_path, db=database)
    made.clock.at += 120  # the owner is looked up first, so no pending request is in the way
    token = a_program(made).token
    sent = Sent("shop-admin", "migrate", None, "", "digest", "k1")
    views = together(database, [partial(request_by_program, made.world, token, sent)] * 4)
    assert len({view.sent.id for view in views if isinstance(view, RequestView)}) == 1
    assert (made.count("api_requests"), made.work().count("ask")) == (1, 1)


def test_a_program_may_do_no_more_than_its_token_says(site: Site) -> None:
    made = site.made
    made.set_policy(gone=ROLES["shop-admin"])
    ours, other = a_program(made), a_program(made, BEN, "gone", "reports-read")
    made.set_policy()
    assert error(post(site, "")) == (401, "invalid_token")
    assert error(post(site, ours.secret[:-1])) == (401, "invalid_token")
    assert error(post(site, ours.token.id)) == (401, "invalid_token")
    assert error(post(site, ours.secret, role="shop-deploy")) == (403, "insufficient_scope")
    id = post(site, ours.secret).json()["id"]
    assert error(read(site, other.secret, id)) == (404, "not_found")
    assert error(read(site, ours.secret, "rnone")) == (404, "not_found")
    assert error(read(site, "", id)) == (401, "invalid_token")
    assert error(post(site, other.secret, role="gone")) == (404, "not_found")
    assert error(post(site, other.secret, role="reports-read")) == (400, "invalid_request")
    assert error(post(site, ours.secret, reason="…")) == (409, "conflict")
    assert site.auth(ours.secret).status_code == 401
    assert site.call("POST", f"/requests/{id}", json={}).status_code == 405


def test_a_token_ends(site: Site) -> None:
    made = site.made
    short, long = a_program(made, life=60), a_program(made, CARA)
    made.clock.at += 60
    assert error(post(site, short.secret)) == (401, "invalid_token")
    id = post(site, long.secret).json()["id"]
    revoked = revoke_api_token(made.world, EVE, long.token.id)
    assert isinstance(revoked, Revoked) and revoked.withdrawn == 1
    assert made.state("requests", id) == "withdrawn"
    assert error(read(site, long.secret, id)) == (401, "invalid_token")
    assert isinstance(revoke_api_token(made.world, EVE, long.token.id), Refused)
    last = a_program(made, BEN)
    made.know(a_person(BEN, deleted=True))
    assert error(post(site, last.secret)) == (401, "invalid_token")
    assert [actor for (actor,) in made.log("api:token:revoked", "actor")] == [EVE, "system"]


@pytest.mark.parametrize(
    "forged",
    [
        "owner = 'U0BEN'",
        'roles = \'["shop-admin", "shop-deploy"]\'',
        "expires_at = expires_at + 60",
        "hash = 'of another secret'",
        "id = 'tinvented'",
        "revoked_at = NULL",
    ],
)
def test_verify_finds_a_token_that_somebody_wrote_into_the_database(
    made: Made, forged: str
) -> None:
    token = a_program(made).token
    if "revoked_at" in forged:
        revoke_api_token(made.world, EVE, token.id)
    assert made.verdict().is_intact
    made.forged = True
    with made.world.db.transaction():
        made.world.db.run(f"UPDATE api_tokens SET {forged}")
    (difference,) = made.verdict().differences
    assert difference.what.endswith("no record says that it holds")


def test_an_owner_is_looked_up_first_and_the_program_reads_what_came_of_it(site: Site) -> None:
    made = site.made
    made.clock.at += 120
    asks = [a_program(made), a_program(made, CARA, "shop-deploy"), a_program(made, DAN)]
    sent = [post(site, one.secret, "k", role=one.token.roles[0]) for one in asks]
    assert {(one.status_code, one.json()["state"]) for one in sent} == {(201, "checking")}
    assert post(site, asks[0].secret, "k").json() == sent[0].json()
    assert error(post(site, asks[0].secret, "k2")) == (409, "conflict")
    over = a_program(made, LEA)
    lost = post(site, over.secret).json()["id"]
    revoke_api_token(made.world, EVE, over.token.id)
    rows = made.rows("SELECT data FROM outbox WHERE kind = ? ORDER BY id", Kind.ASK)
    waiting = [json.loads(str(data)) for (data,) in rows]
    made.forget_work()
    give_up_waiting(made.world, waiting.pop(2), "timeout")
    for each in waiting:
        do_together(made.world, lambda world, data=each: answer_waiting(world, data))
    pairs = zip(asks, sent, strict=True)
    views = [read(site, one.secret, it.json()["id"]).json() for one, it in pairs]
    assert [view["state"] for view in views] == ["pending", "refused", "refused"]
    assert "only for @engineers" in views[1]["why"] and "timeout" in views[2]["why"]
    assert made.count("requests") == 1 and made.count("requests", f"id = '{lost}'") == 0
    assert made.work() == ["answer", "post_approval"]
    refusals = made.log("request:action:refused", "actor, detail")
    said = [(who, json.loads(str(detail))["token"]) for who, detail in refusals]
    assert said == [(DAN, asks[2].token.id), (CARA, asks[1].token.id), (LEA, over.token.id)]


def test_a_program_gives_the_parameters_of_a_role(site: Site) -> None:
    lines = """actions = ["customer:{customer}"]
[roles.shop-admin.parameters]
customer = "^[0-9]{1,8}$"
"""
    site.made.set_policy(shop_admin=lines)
    program = a_program(site.made)
    for wrong in ({}, {"parameters": {"customer": "4711\n"}}, {"parameters": {"x": "1"}}):
        assert error(post(site, program.secret, **wrong)) == (400, "invalid_request")
    assert post(site, program.secret, parameters={"customer": "4711"}).status_code == 201
    ((actions,),) = site.made.rows("SELECT actions FROM requests")
    assert json.loads(str(actions)) == ["customer:4711"]


BODIES = {
    "a list of parameters": {"role": "x", "reason": "x", "parameters": ["1"]},
    "a number for a parameter": {"role": "x", "reason": "x", "parameters": {"a": 1}},
    "no role": {"reason": "x"},
    "no reason": {"role": "x"},
    "a number for a role": {"role": 1, "reason": "x"},
    "a duration in seconds": {"role": "x", "reason": "x", "duration": 60},
    "a duration of two readings": {"role": "x", "reason": "x", "duration": "30"},
    "no duration": {"role": "x", "reason": "x", "duration": None},
    "a list of tickets": {"role": "x", "reason": "x", "ticket": ["OPS-1"]},
    "a person": {"role": "x", "reason": "x", "person": "U0BEN"},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_of_another_form_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(Wrong):
        read_request(json.dumps(body).encode(), None)


def test_limits_of_size_and_number(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    program = a_program(site.made)
    assert post(site, program.secret, reason="x" * 33_000).status_code == 413
    for role in ("shop-admin", "shop-deploy"):
        long = post(site, program.secret, role=role, reason="x" * 3001)
        assert error(long) == (400, "invalid_request")
    assert [why.partition(" must ")[0] for why in refusals(site)] == [
        "the body has more than 32 KiB",
        "reason",
    ]
    assert error(post(site, program.secret, "k" * 201)) == (400, "invalid_request")
    monkeypatch.setattr("bot.operations.requests.request_access.MOST_REQUESTS", 1)
    id = post(site, program.secret).json()["id"]
    withdraw_request(site.made.world, id, ANA)
    limited = post(site, program.secret)
    assert error(limited) == (429, "too_many_requests")
    assert limited.headers["retry-after"] == "600"
    monkeypatch.setattr(programs, "CALLS_AT_ONCE", 1)
    other = build_site(site.made)
    assert read(other, program.secret, id).status_code == 200
    assert error(read(other, program.secret, id)) == (429, "too_many_requests")


def test_a_request_that_cannot_be_read_is_on_record_and_a_flood_of_them_bounded(
    either: Site,
) -> None:
    program = a_program(either.made)
    bearer = {"Authorization": f"Bearer {program.secret}"}
    for content in (b"{", b"{", b"[]"):
        json_type = {**bearer, "Content-Type": "application/json"}
        either.call("POST", "/requests", content=content, headers=json_type)
    either.call("POST", "/requests", content=b"role=x", headers=bearer)
    post(either, program.secret, "k1")
    post(either, program.secret, "k1", reason="else")
    assert refusals(either) == [
        "the body is not JSON in UTF-8",
        "the body must be one JSON object",
        "the body must be application/json",
        "this Idempotency-Key came with another body before",
    ]
    assert either.made.log("request:action:refused", "actor, role, reason")[-1] == (
        ANA,
        "shop-admin",
        "else",
    )
    for number in range(50):
        post(either, program.secret, **{f"\0{number}": 1})
    assert len(refusals(either)) == 21 and refusals(either)[-1].startswith("more than 20 ")


def test_a_flood_of_invented_tokens_holds_up_no_check(made_on_postgres: Made) -> None:
    """Another connection holds the table of API tokens, so that no look-up of them ends."""
    made, site = made_on_postgres, build_site(made_on_postgres)
    token, url = made.a_token(made.a_grant()), made.world.db._url  # noqa: SLF001
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

    async def flood(other: psycopg.Connection) -> tuple[httpx2.Response, list[httpx2.Response]]:
        transport = httpx2.ASGITransport(site.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://bot") as client:
            bearer = {"Authorization": f"Bearer {PREFIX}{'x' * 43}"}
            calls = [client.get("/requests/r1", headers=bearer) for _ in range(40)]
            tasks = [asyncio.create_task(call) for call in calls]
            while not made.rows(waiting)[0][0]:
                await asyncio.sleep(0.01)
            headers = {"Authorization": f"Bearer {token}", "X-Access-System": "shop-admin"}
            checked = await client.get("/auth", headers=headers)
            other.rollback()
            return checked, await asyncio.gather(*tasks)

    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE api_tokens IN ACCESS EXCLUSIVE MODE")
        checked, invented = asyncio.run(flood(other))
    assert checked.status_code == 200
    assert {answer.status_code for answer in invented} == {401}


def test_refusals_of_a_program_hide_none_of_its_owner(site: Site) -> None:
    made = site.made
    programs = [a_program(made), a_program(made)]
    for program in programs:
        for number in range(30):
            post(site, program.secret, role=f"role-{number}")
    request_access(made.world, Ask(ANA, "role-1", "by hand"))
    refused = [json.loads(str(d)) for (d,) in made.log("request:action:refused", "detail")]
    of = [[each for each in refused if each.get("token") == p.token.id] for p in programs]
    assert [len(each) for each in of] == [21, 21]
    assert [each["source"] for each in refused if "token" not in each] == ["slack"]


def test_the_commands_of_the_docs_ask_and_read(site: Site) -> None:
    """As written, through a shell and curl, over a socket."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    ask, look = re.findall(r"^```bash\n(curl .*?)^```$", DOCS.read_text(), re.M | re.S)
    program = a_program(site.made)
    env = {"PATH": os.environ["PATH"], "ACCESS_TOKEN": program.secret}

    def sent(script: str) -> dict[str, object]:
        script = script.replace("127.0.0.1:3000", f"127.0.0.1:{port}")
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=env)
        return dict(json.loads(done.stdout or done.stderr))

    with serving(site.app) as port:
        made = sent(ask.replace("orders-read", "shop-admin"))
        seen = sent(look.replace("r4k2m9p0q1rs", str(made["id"])))
    assert seen == {**made, "role": "shop-admin", "state": "pending", "why": "", "grant": None}
