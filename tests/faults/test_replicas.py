"""Several processes on one PostgreSQL: each thing is done once, by any of them, and at once."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from bot.worker.queue_worker import SETTINGS
from tests.faults.processes import ROLES, a_seed, assert_sound, finish, ready_at, under_load
from tests.faults.running_bot import Bot, Company
from tests.waiting import until

RELOADED = 5
"""Seconds after which a saved file is in force (PRODUCT.md section 3)."""


@dataclass
class Replicas:
    """Two workers and two webs; `company.bot` is the second web."""

    company: Company
    workers: list[Bot]
    webs: list[Bot]


@pytest.fixture
def replicas(
    postgres_url: str, make_company: Callable[..., Company], request: pytest.FixtureRequest
) -> Replicas:
    company = make_company(
        environment={"DATABASE_URL": postgres_url}, mode=getattr(request, "param", "socket")
    )
    company.roles.write_text(ROLES)
    first = [company.launch(verb) for verb in ("worker", "worker", "web")]
    last = company.start("web")
    for bot in first:
        ready_at(bot)
    return Replicas(company, first[:2], [first[2], last])


@pytest.mark.parametrize("replicas", ["socket", "http"], indirect=True)
def test_everything_is_done_once_by_any_process(replicas: Replicas) -> None:
    company = replicas.company
    with under_load(company, a_seed()) as load:
        until(lambda: company.rows("SELECT COUNT(*) FROM grants")[0][0] >= 15, 40)
        finish(company, load)
    assert_sound(company)
    reminded = Counter(
        company.rows("SELECT \"grant\" FROM audit WHERE event = 'grant:reminder:sent'")
    )
    ends = {
        (grant,): 1 + renewals
        for grant, renewals in company.rows("SELECT id, renewals FROM grants")
    }
    assert all(times <= ends[grant] for grant, times in reminded.items())
    assert [bot.alive for bot in company.bots] == [True] * 4


def test_every_web_checks_a_token_and_all_refuse_it_at_its_end(
    replicas: Replicas,
) -> None:
    company = replicas.company
    who = company.newcomer()
    company.hold(who, "quick", "1h at every door")
    token = company.token(who, "quick")
    headers = {"Authorization": f"Bearer {token}", "X_Access_System": "shop-admin"}
    assert [bot.get("/auth", **headers)[0] for bot in company.bots] == [200] * 4
    assert company.access(who, "done quick").ok
    assert [bot.get("/auth", **headers)[0] for bot in company.bots] == [401] * 4

    # The same processes start a review: each message about it is there once.
    company.hold(who, "quick", "1h for a review")
    lead, ben = company.chiara, company.ben
    assert company.access(lead, "review start role:quick due 1d").ok
    ben.wait_dm("role quick")
    company.quiet()
    asked = [m for m in ben.dms() if "role quick" in ben.plain(m)]
    posted = [m for m in lead.messages("#access-security") if "role quick" in lead.plain(m)]
    assert len(asked) == len(posted) == 1


@pytest.mark.parametrize("replicas", ["http"], indirect=True)
def test_a_worker_meets_a_deadline_of_a_web_within_its_second(replicas: Replicas) -> None:
    """A worker that only polled would mostly be seconds late."""
    company = replicas.company
    people = [company.newcomer() for _ in range(5)]
    for who in people:
        request = company.ask(who, "hurried")
        until(
            lambda it=request: company.rows(
                "SELECT 1 FROM requests WHERE id = ? AND state = 'lapsed'", it
            )
        )
    late = company.rows("SELECT decided_at - lapses_at FROM requests WHERE state = 'lapsed'")
    assert len(late) == len(people) and {seconds for (seconds,) in late} <= {0, 1}


def test_the_claimed_work_of_a_killed_worker_is_taken_over(replicas: Replicas) -> None:
    company, (first, _) = replicas.company, replicas.workers
    people = [company.newcomer() for _ in range(4)]
    grants = [company.hold(who, "quick", "6s and one worker dies") for who in people]
    company.sandbox.faults.latency("chat.postMessage", 1)
    until(lambda: company.rows("SELECT 1 FROM grants WHERE state = 'ended'"))
    first.kill()
    company.sandbox.faults.clear()
    for grant in grants:
        until(
            lambda it=grant: company.rows(
                "SELECT 1 FROM grants WHERE id = ? AND state = 'ended'", it
            ),
            10,
        )
    company.quiet(max(each.claim for each in SETTINGS.values()) + 20)
    who = company.newcomer()
    company.hold(who, "quick", "the other one goes on")
    ended = Counter(company.rows("SELECT \"grant\" FROM audit WHERE event = 'grant:access:ended'"))
    assert max(ended.values()) == 1


@pytest.mark.parametrize("replicas", ["http"], indirect=True)
def test_a_saved_roles_file_is_recorded_once_and_in_force_everywhere(replicas: Replicas) -> None:
    company = replicas.company

    def recorded() -> int:
        return company.events(event="policy:file:loaded").count("policy:file:loaded")

    who = company.newcomer()
    before = recorded()
    for turn in range(1, 4):
        _save(company, ROLES.replace('title = "Quick"', f'title = "Quick {turn}"'))
        until(lambda expected=before + turn: recorded() == expected, RELOADED + 5)
    _save(company, ROLES.replace("[roles.hurried]", "[roles.rushed]"))
    saved = time.monotonic()
    until(lambda: "rushed" in company.access(who, "roles").text)  # a web finds that itself
    assert time.monotonic() - saved < RELOADED + 2
    until(lambda: recorded() == before + 4)
    until(lambda: count_alerts(company, "roles.rushed: is new"))
    company.quiet(5)
    assert recorded() == before + 4
    assert count_alerts(company, "roles.rushed: is new") == 1
    assert count_alerts(company, "roles.toml was changed") == 1, "a title decides nothing"


def count_alerts(company: Company, words: str) -> int:
    """The number of messages in the security channel with these words."""
    return sum(words in str(message) for message in company.chiara.messages("#access-security"))


def _save(company: Company, text: str) -> None:
    """Saves as an editor does: a reader sees the old or the new file, never a half."""
    written = company.roles.with_suffix(".new")
    written.write_text(text)
    os.replace(written, company.roles)  # noqa: PTH105


def test_a_host_with_an_outdated_roles_toml_says_so_and_decides_nothing(
    postgres_url: str, make_company: Callable[..., Company]
) -> None:
    company = make_company(environment={"DATABASE_URL": postgres_url})
    (company.folder / "older.toml").write_text(
        f"{company.roles.read_text()}\n# not propagated yet\n"
    )
    own, company.env["ACCESS_ROLES"] = company.env.get("ACCESS_ROLES", "roles.toml"), "older.toml"
    older = company.start("run")
    company.env["ACCESS_ROLES"] = own
    newer = company.start("worker")
    until(lambda: '"roles"' in older.get("/readyz")[1])
    assert (older.get("/readyz")[0], '"roles"' in newer.get("/readyz")[1]) == (200, False)
    assert "access_bot_roles_outdated 1.0" in older.get("/metrics")[1]
    for _ in range(3):
        who = company.newcomer()
        assert company.access(who, "request shop-admin whichever process hears it").ok
        request = until(lambda who=who: company.request(who, "shop-admin")[0])
        assert company.ben.click(company.card(request), "Approve").ok
        until(lambda who=who: company.grant(who, "shop-admin")[1] == "active")
