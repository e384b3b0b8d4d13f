"""The bot starts with exactly the variables that the documents call required, and with every
optional one too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.running_bot import Company
from tests.waiting import until

SETTINGS = pytest.mark.parametrize("all_set", [False, True], ids=["required", "all"])
MODES = pytest.mark.parametrize("mode", ["socket", "http"])


def live_once(company: Company) -> None:
    """One request, its approval, the credentials, a check of them, and the end."""
    who = company.newcomer()
    company.hold(who, "shop-admin", "1h to see it start")
    token = company.token(who, "shop-admin")
    assert company.check(token) == 200
    assert company.access(who, "done shop-admin").ok
    until(lambda: company.grant(who, "shop-admin")[1] == "ended")
    assert company.check(token) == 401


@SETTINGS
@MODES
def test_run_starts_and_gives_access(
    make_company: Callable[..., Company], mode: str, all_set: bool
) -> None:
    company = make_company(mode=mode, all_set=all_set)
    company.start()
    live_once(company)
    assert company.bot.stop() == 0


@SETTINGS
@MODES
def test_web_and_worker_start_and_give_access(
    make_company: Callable[..., Company], postgres_url: str, mode: str, all_set: bool
) -> None:
    company = make_company(mode=mode, all_set=all_set, environment={"DATABASE_URL": postgres_url})
    worker = company.launch("worker")
    until(worker.is_ready)
    company.start("web")
    live_once(company)
    assert [bot.stop() for bot in company.bots] == [0, 0]


def test_web_in_socket_mode_needs_nothing_of_slack(
    make_company: Callable[..., Company], postgres_url: str
) -> None:
    company = make_company(environment={"DATABASE_URL": postgres_url})
    worker = company.launch("worker")
    until(worker.is_ready)
    company.env = {
        name: value for name, value in company.env.items() if not name.startswith("SLACK_")
    }
    company.start("web")
    live_once(company)
    assert [bot.stop() for bot in company.bots] == [0, 0]


def test_web_in_socket_mode_does_not_call_slack(
    make_company: Callable[..., Company], postgres_url: str
) -> None:
    company = make_company(environment={"DATABASE_URL": postgres_url}, all_set=True)
    company.start("web")
    assert company.bot.stop() == 0
    assert company.sandbox.inspector.calls() == []
