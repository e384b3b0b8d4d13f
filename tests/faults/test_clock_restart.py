"""A process starts again with its clock set back: access ends on time at the latest, or the process
refuses to start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.running_bot import Company
from tests.waiting import until

SHIFT = """import time
_wall = time.time
time.time = lambda: _wall() - {back}
"""


def set_back(company: Company, seconds: int) -> None:
    """Processes that start from now on have a clock that is behind this machine's."""
    folder: Path = company.folder / "shift"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(SHIFT.format(back=seconds))
    company.env["PYTHONPATH"] = str(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def company(request: pytest.FixtureRequest) -> Company:
    """Everything in one process on SQLite; or web and worker on PostgreSQL, whose server stops only
    after them."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    make_company: Callable[..., Company] = request.getfixturevalue("make_company")
    return make_company(environment={"DATABASE_URL": url}) if url else make_company()


def start(company: Company) -> None:
    for verb in ("run",) if "DATABASE_URL" not in company.env else ("worker", "web"):
        company.start(verb)


def test_access_ends_on_time_at_the_latest(company: Company) -> None:
    start(company)
    who = company.newcomer()
    company.hold(who, "brief", "20s over a restart")
    for bot in company.bots:
        if bot.alive:
            assert bot.stop() == 0
    set_back(company, 60)
    start(company)
    # Without the correction it would be 60 s more.
    until(lambda: company.grant(who, "brief")[1] == "ended", 45)
    assert company.events(event="process:clock:corrected")
    until(
        lambda: any(
            "behind when the bot" in str(each)
            for each in company.chiara.messages("#access-security")
        )
    )


def test_a_clock_more_than_an_hour_behind_refuses_the_start(company: Company) -> None:
    start(company)
    for bot in company.bots:
        if bot.alive:
            assert bot.stop() == 0
    set_back(company, 2 * 3600)
    for verb in ("run",) if "DATABASE_URL" not in company.env else ("worker", "web"):
        bot = company.launch(verb)
        assert bot.process.wait(30) == 2
        assert "behind the newest record in the database" in bot.output
        assert "set the clock, turn NTP on, and start again" in bot.output
        assert "--accept-clock" in bot.output


def test_with_records_ahead_of_a_right_clock_the_bot_starts_by_ending_all_access(
    company: Company,
) -> None:
    start(company)
    who = company.newcomer()
    company.hold(who, "shop-admin")
    for bot in company.bots:
        if bot.alive:
            assert bot.stop() == 0
    set_back(company, 2 * 3600)
    company.start(f"{'worker' if 'DATABASE_URL' in company.env else 'run'} --accept-clock")
    until(lambda: company.grant(who, "shop-admin")[1] == "ended")
    assert company.bot.stop() == 0
    start(company)
    company.hold(company.newcomer(), "shop-admin")
